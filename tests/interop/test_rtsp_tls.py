"""RTSP and transport streams inside TLS, with the programs of others: they publish and play, and the frames arrive as sent."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import clips
from tests.certificates import make_certificate
from tests.interop.broadcast import subfolder
from tests.interop.packets import decoder_complaints, read_packets, run_in
from tests.interop.transport import assert_same_pictures
from tests.processes import Child, Children, free_port, wait_until
from tests.server import EmsServer

SECONDS = 3

PATIENCE = 15
"""Seconds more for a player, on a busy machine."""

TLS = "tls-validation-flags=0"
"""GStreamer wants to know who has signed a certificate, unless it is told not to."""

PUBLISHERS = {
    "ffmpeg": "ffmpeg -nostdin -v error -re -i {clip} -c copy -f rtsp {url}",
    "rtspclientsink": (
        "gst-launch-1.0 -q filesrc location={clip} ! qtdemux name=file file.video_0 ! queue ! h264parse ! identity sync=true ! "
        f"rtspclientsink protocols=tcp {TLS} location={{url}}"
    ),
}
PLAYERS = {
    "ffmpeg": f"ffmpeg -nostdin -v error -i {{url}} -t {SECONDS} -map 0:v -c copy {{file}}",
    "rtspsrc": (
        f"timeout --foreground -s INT {SECONDS + 3} gst-launch-1.0 -q -e rtspsrc location={{url}} {TLS} buffer-mode=none "
        "! application/x-rtp,media=video ! rtph264depay ! h264parse ! video/x-h264,stream-format=avc "
        "! matroskamux ! filesink location={file}"
    ),
}

MakeDoor = Callable[[str], int]


@pytest.fixture
def server(children: Children, tmp_path: Path) -> Iterator[EmsServer]:
    """A running server with a key and a certificate."""
    folder = subfolder(tmp_path, "server")
    make_certificate().write(folder)
    started = EmsServer(children, folder)
    yield started
    started.stop()


@pytest.fixture
def secure_door(server: EmsServer) -> MakeDoor:
    """Opens a port for a protocol inside TLS."""

    def open_door(protocol: str) -> int:
        port, files = free_port(), {"sslKey": "server.key", "sslCert": "server.cert"}
        server.api("createService", ip="127.0.0.1", port=str(port), protocol=protocol, **files)
        return port

    return open_door


def start(children: Children, command: str, **values: object) -> Child:
    """Start a program with these values in its command line."""
    return children.start(*command.format(**values).split())


@pytest.mark.parametrize("publisher", PUBLISHERS)
def test_rtsps(children: Children, server: EmsServer, secure_door: MakeDoor, tmp_path: Path, publisher: str) -> None:
    """ffmpeg and GStreamer publish to ``rtsps://`` and play from it, and none of them has anything to say against it."""
    clip = clips.clip("h264_aac")
    url = f"rtsps://127.0.0.1:{secure_door('inboundRtsp')}/mine"
    source = start(children, PUBLISHERS[publisher], clip=clip, url=url)
    server.wait_for_stream("mine")
    files = {name: tmp_path / f"{name}.mkv" for name in PLAYERS}
    players = {name: start(children, command, url=url, file=files[name]) for name, command in PLAYERS.items()}
    for name, player in players.items():
        player.wait(SECONDS + PATIENCE)
        assert player.output == ""
        assert_same_pictures(files[name], clip, at_least=clips.FRAME_RATE * (SECONDS - 1))
    assert source.running, source.output
    assert source.output == ""


def test_pull_and_push(children: Children, server: EmsServer, secure_door: MakeDoor, tmp_path: Path) -> None:
    """``pullStream`` and ``pushStream`` speak ``rtsps://`` as well, and what has gone through both is what was sent."""
    clip = clips.clip("h264_bframes_aac")
    base = f"rtsps://127.0.0.1:{secure_door('inboundRtsp')}"
    start(children, PUBLISHERS["ffmpeg"], clip=clip, url=f"{base}/first")
    server.wait_for_stream("first")
    server.api("pullStream", uri=f"{base}/first", localStreamName="second")
    server.wait_for_stream("second")
    server.api("pushStream", uri=base, localStreamName="second", targetStreamName="third")
    server.wait_for_stream("third")
    recording = tmp_path / "third.mkv"
    assert start(children, PLAYERS["ffmpeg"], url=server.rtmp("third"), file=recording).wait(SECONDS + PATIENCE) == 0
    received, sent = read_packets(recording), read_packets(clip)
    run_in(received["video"], sent["video"])
    assert not decoder_complaints(recording)


def test_transport_stream_inside_tls(children: Children, server: EmsServer, secure_door: MakeDoor, tmp_path: Path) -> None:
    """ffmpeg sends a transport stream to a port with a certificate (``tls://``)."""
    clip = clips.clip("h264_bframes_aac")
    url = f"tls://127.0.0.1:{secure_door('inboundTcpTs')}"
    start(children, "ffmpeg -nostdin -v error -re -i {clip} -c copy -f mpegts {url}", clip=clip, url=url)
    wait_until(server.stream_names, "the stream")
    [name] = server.stream_names()
    recording = tmp_path / "played.mkv"
    assert start(children, PLAYERS["ffmpeg"], url=server.rtmp(name), file=recording).wait(SECONDS + PATIENCE) == 0
    assert_same_pictures(recording, clip, at_least=clips.FRAME_RATE * (SECONDS - 1))
