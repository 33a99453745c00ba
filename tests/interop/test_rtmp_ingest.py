"""Ingest points as an encoder and a player meet them, over a restart."""

from pathlib import Path

import pytest

from tests import clips
from tests.interop.clients import play_with_ffmpeg, publish_with_ffmpeg
from tests.interop.packets import read_packets
from tests.processes import Child, Children, wait_until
from tests.server import EmsServer


@pytest.mark.parametrize("key", ["hasIngestPoints", "HASINGESTPOINTS"])
def test_only_the_private_name_is_taken_and_only_the_public_one_is_played(children: Children, tmp_path: Path, key: str) -> None:
    """R-034 to R-040: an undefined name is refused, the private one is accepted and played by the public one."""
    settings = f'{key} = true, ingestPointsPersistenceFile = "config/ingestPoints.xml",'
    folder = tmp_path / "server"
    folder.mkdir()
    server = EmsServer(children, folder, settings)
    server.api("createIngestPoint", privateStreamName="k9", publicStreamName="stage")
    server.stop()
    server = EmsServer(children, folder, settings)
    assert server.api("listIngestPoints") == [{"privateStreamName": "k9", "publicStreamName": "stage"}]
    clip = clips.clip("h264_aac")
    for name in ("stage", "other"):
        assert publish_with_ffmpeg(children, clip, server.rtmp(name)).wait(10) != 0
    source = publish_with_ffmpeg(children, clip, server.rtmp("k9"))
    server.wait_for_stream("stage")
    (stream,) = [stream for stream in server.api("listStreams") if stream["name"] == "stage"]
    assert stream["ingestPoint"] == "k9"
    private = probe(children, server.rtmp("k9"))
    wait_until(lambda: not private.running or "StreamNotFound" in private.output, "the private name to be refused")
    playback = play_with_ffmpeg(children, server.rtmp("stage"), tmp_path, 2)()
    assert playback.recording is not None
    assert read_packets(playback.recording)["video"]
    source.stop()
    server.stop()


def probe(children: Children, url: str) -> Child:
    """Start ffprobe, talkative enough to tell what the server says."""
    return children.start("ffprobe", "-v", "debug", url)
