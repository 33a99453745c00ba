"""Fragmented MP4 as strangers meet it: ffmpeg publishes, a bare WebSocket client and ffmpeg's HTTP client receive, and ffprobe,
which knows nothing of either, finds the very frames that were sent.
"""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import clips
from tests.certificates import make_certificate
from tests.interop.clients import publish_with_ffmpeg
from tests.interop.packets import decoder_complaints, read_packets, run_in, sync_error
from tests.processes import Children, free_port
from tests.server import EmsServer
from tests.service.websocket.fmp4_player import BINARY, play

SECONDS = 4

MAX_SYNC_ERROR = 0.040
"""Seconds: a frame of video."""
DOORS = ("inboundRtmp", "inboundHttpJsonCli", "inboundWSFMP4", "inboundHttpFmp4")

KINDS = ("h264_bframes_aac", "h264_aac", "h264_only", "aac_only", "h264_mp3")


class Stage:
    """A server, and streams that ffmpeg publishes in real time."""

    def __init__(self, children: Children, folder: Path) -> None:
        self.server = EmsServer(children, folder, doors=DOORS)
        self.key_and_certificate = make_certificate().write(folder)
        self._children = children
        self._published = 0

    def publish(self, kind: str) -> str:
        """The name of a new stream that has just begun, with a clip of this kind."""
        self._published += 1
        name = f"{kind}{self._published}"
        publish_with_ffmpeg(self._children, clips.clip(kind), self.server.rtmp(name))
        self.server.wait_for_stream(name)
        return name

    def save(self, name: str, path: Path, *, port: int = 0, context: ssl.SSLContext | None = None) -> None:
        """Play a stream over WebSocket and write what came in a row."""
        messages = play(port or self.server.ports["inboundWSFMP4"], f"/{name}", SECONDS, context=context)
        path.write_bytes(b"".join(message.payload for message in messages if message.opcode == BINARY))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The stage, for all tests of this module."""
    folder = tmp_path_factory.mktemp("stage")
    (folder / "output").mkdir()
    children = Children(folder / "output")
    try:
        made = Stage(children, folder)
        yield made
        made.server.stop()
    finally:
        children.stop_all()


def assert_is_the_clip(path: Path, sent: Path) -> None:
    """AssertionError unless a file has an unbroken run of a clip's frames, in step, and decodes without complaint."""
    received, expected = read_packets(path), read_packets(sent)
    for kind in ("video", "audio"):
        if expected[kind]:
            run_in(received[kind], expected[kind])
    if expected["video"]:
        assert len(received["video"]) / clips.FRAME_RATE > SECONDS - 1
    if expected["video"] and expected["audio"]:
        assert abs(sync_error(received, expected)) < MAX_SYNC_ERROR
    assert not decoder_complaints(path)


@pytest.mark.parametrize("kind", KINDS)
def test_messages_in_a_row_are_a_file(stage: Stage, kind: str, tmp_path: Path) -> None:
    """What a player receives, written one behind the other, is an MP4 file with the frames that were published."""
    path = tmp_path / "received.mp4"
    stage.save(stage.publish(kind), path)
    assert_is_the_clip(path, clips.clip(kind))


def test_through_tls(stage: Stage, tmp_path: Path) -> None:
    """The same inside TLS."""
    key, certificate = stage.key_and_certificate
    port = free_port()
    stage.server.api(
        "createService", ip="127.0.0.1", port=str(port), protocol="inboundWSSFMP4", sslKey=str(key), sslCert=str(certificate)
    )
    context = ssl.create_default_context(cafile=str(certificate))
    path = tmp_path / "received.mp4"
    stage.save(stage.publish("h264_aac"), path, port=port, context=context)
    assert_is_the_clip(path, clips.clip("h264_aac"))


@pytest.mark.parametrize("kind", ["h264_bframes_aac", "aac_only"])
def test_http(stage: Stage, kind: str, tmp_path: Path, children: Children) -> None:
    """ffmpeg plays the address that a browser's video element would take."""
    path = tmp_path / "received.mp4"
    url = f"http://127.0.0.1:{stage.server.ports['inboundHttpFmp4']}/{stage.publish(kind)}"
    words = ("-v", "error", "-i", url, "-t", str(SECONDS), "-c", "copy", str(path))
    recorder = children.start("ffmpeg", "-nostdin", *words)
    recorder.wait(SECONDS + 15)
    assert not recorder.output.strip()
    assert_is_the_clip(path, clips.clip(kind))
