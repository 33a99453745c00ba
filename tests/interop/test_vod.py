"""Files as channels: schedules that are pulled and become HLS, and recordings for the RTMP players that people use."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from ems.formats.m3u8 import read_media_playlist
from tests.clips import FRAME_RATE
from tests.interop import access_units
from tests.interop.access_units import AccessUnits
from tests.interop.packets import MAX_SYNC_ERROR, Packet, read_packets, run_in, sync_error
from tests.processes import Children, wait_until
from tests.server import EmsServer

CLIPS = ("h264_aac", "h264_bframes_aac")
"""Key frames come each second in the first, each 2 s in the second."""

SCHEDULE = "# the evening\r\n0,3,h264_aac.mp4\r\n6,4,h264_bframes_aac.mp4\r\n1,1,not_there.mp4\r\n10,2,h264_aac.mp4\r\n"
PLAYED = (("h264_aac", 0, 3), ("h264_bframes_aac", 6, 4), ("h264_aac", 10, 2))
"""What is seen of `SCHEDULE`: the clip, from which second on, and for how many."""

EVERYTHING = 3600.0
"""Seconds: more than any file here has."""


@pytest.fixture
def server(children: Children, tmp_path: Path, clip: Callable[[str], Path]) -> Iterator[EmsServer]:
    """A server with a folder of films."""
    (tmp_path / "films").mkdir()
    for kind in CLIPS:
        shutil.copy(clip(kind), tmp_path / "films" / f"{kind}.mp4")
    (tmp_path / "films" / "evening.lst").write_text(SCHEDULE)
    settings = 'aliases = { "live", "vod" }, mediaStorage = { { mediaFolder = "films" } },'
    server = EmsServer(children, tmp_path, settings)
    yield server
    server.stop()


def units(path: Path) -> AccessUnits:
    """All access units of a file."""
    return access_units.read(str(path), EVERYTHING, ("video",), {})


def first_run(received: list[Packet], whole: list[Packet]) -> tuple[int, list[Packet]]:
    """Where in a clip the first frame received lies, and what follows it in both."""
    start = run_in(received[:1], whole)
    pairs = zip(received, whole[start:], strict=False)
    return start, [unit for unit, _ in takewhile(lambda pair: pair[0].md5 == pair[1].md5, pairs)]


def test_a_schedule_that_is_pulled_becomes_hls(server: EmsServer, clip: Callable[[str], Path]) -> None:
    """R-100: a ``.lst`` with start offsets, pulled as a channel and cut for HLS: the segments carry it, in order and whole."""
    hls = {"localStreamNames": "chan", "targetFolder": "webroot", "groupName": "hls", "chunkLength": "2"}
    server.api("createHLSStream", playlistType="appending", **hls)
    server.api("pullStream", uri=server.rtmp("evening.lst", "vod"), localStreamName="chan", keepAlive="0")
    playlist = server.folder / "webroot/hls/chan/playlist.m3u8"
    wait_until(lambda: playlist.exists() and "EXT-X-ENDLIST" in playlist.read_text(), "the end of the channel", 40)
    segments = read_media_playlist(playlist.read_bytes()).segments
    assert abs(sum(segment.duration for segment in segments) - 9000) < 100
    parts = [units(playlist.parent / segment.uri) for segment in segments]
    sent = {kind: units(clip(kind)) for kind in CLIPS}
    for medium in ("video", "audio"):
        received = [unit for part in parts for unit in part[medium]]
        for kind, second, length in PLAYED:
            whole = sent[kind][medium]
            first, run = first_run(received, whole)
            del received[: len(run)]
            assert abs(whole[first].time - second) < 0.1
            assert abs(access_units.duration(run) - length) < 0.1
            if medium == "video":
                assert (first, len(run)) == (second * FRAME_RATE, length * FRAME_RATE)
        assert received == []


@pytest.mark.parametrize("kind", CLIPS)
def test_rtmpdump_receives_a_recording_unchanged(
    server: EmsServer, clip: Callable[[str], Path], tmp_path: Path, kind: str
) -> None:
    """A film arrives at once, every frame of it, in step."""
    received = tmp_path / "received.flv"
    # rtmpdump asks for a buffer of ten hours: the film comes as fast as it can.
    command = ["rtmpdump", "-q", "-r", server.rtmp("", "vod"), "-y", f"mp4:{kind}.mp4", "-o", str(received)]
    subprocess.run(command, check=True, timeout=30)
    sent, found = units(clip(kind)), units(received)
    assert {medium: len(found[medium]) for medium in found} == {medium: len(sent[medium]) for medium in sent}
    assert all(run_in(found[medium], sent[medium]) == 0 for medium in sent)
    assert abs(sync_error(read_packets(received), read_packets(clip(kind)))) < MAX_SYNC_ERROR


def test_rtmpdump_is_told_that_there_is_no_such_film(server: EmsServer) -> None:
    """Who asks for what is not there is told so and does not wait."""
    command = ["rtmpdump", "-q", "-r", server.rtmp("mp4:nothing.mp4", "vod"), "-o", "/dev/null"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=20)
    assert done.returncode != 0
    wait_until(lambda: "there is no file 'nothing.mp4'" in server.output, "the log to say so")
