"""Everything over IPv6: RTMP, RTSP with its media inside the connection and in datagrams, and transport streams, in and out."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import clips
from tests.interop.broadcast import subfolder
from tests.interop.transport import assert_same_pictures, send_with_ffmpeg
from tests.processes import Child, Children, free_port, wait_until
from tests.server import EmsServer

HOST = "[::1]"

SECONDS = 3

PATIENCE = 15
"""Seconds more for a player, on a busy machine."""

pytestmark = pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this machine has no IPv6")


class Server6(EmsServer):
    """A server whose media ports are those of ::1 alone."""

    def __init__(self, children: Children, folder: Path) -> None:
        super().__init__(children, folder)
        self.ports6 = {protocol: free_port() for protocol in ("inboundRtmp", "inboundRtsp", "inboundTcpTs")}
        for protocol, port in self.ports6.items():
            self.api("createService", ip="::1", port=str(port), protocol=protocol)

    def url(self, scheme: str, protocol: str, path: str = "") -> str:
        """The address of a port, or of a stream there."""
        return f"{scheme}://{HOST}:{self.ports6[protocol]}{path}"


@pytest.fixture
def server(children: Children, tmp_path: Path) -> Iterator[Server6]:
    """A running server."""
    started = Server6(children, subfolder(tmp_path, "server"))
    yield started
    started.stop()


def record(children: Children, url: str, file: Path, *options: str) -> Child:
    """ffmpeg, which keeps what it plays of pictures."""
    words = ("ffmpeg", "-nostdin", "-v", "error", *options, "-i", url, "-t", str(SECONDS), "-map", "0:v", "-c", "copy", file)
    return children.start(*words)


def assert_recorded(players: dict[Path, Child], clip: Path) -> None:
    """AssertionError when a player did not get the pictures that were sent."""
    for file, player in players.items():
        assert player.wait(SECONDS + PATIENCE) == 0, player.output
        assert_same_pictures(file, clip, at_least=clips.FRAME_RATE * (SECONDS - 1))


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_rtsp(children: Children, server: Server6, tmp_path: Path, transport: str) -> None:
    """ffmpeg publishes and plays, with media inside the connection or in datagrams between ports of ::1."""
    clip, url = clips.clip("h264_aac"), server.url("rtsp", "inboundRtsp", "/mine")
    send_with_ffmpeg(children, clip, url, "-rtsp_transport", transport, form="rtsp")
    server.wait_for_stream("mine")
    ways = ("tcp", "udp", "http")
    files = {way: tmp_path / f"{way}.mkv" for way in ways}
    assert_recorded({files[way]: record(children, url, files[way], "-rtsp_transport", way) for way in ways}, clip)


def test_rtmp(children: Children, server: Server6, tmp_path: Path) -> None:
    """ffmpeg publishes and plays over RTMP, and what is pulled from there and pushed there is the same stream."""
    clip, url = clips.clip("h264_aac"), server.url("rtmp", "inboundRtmp", "/live")
    send_with_ffmpeg(children, clip, f"{url}/mine", form="flv")
    server.wait_for_stream("mine")
    server.api("pullStream", uri=f"{url}/mine", localStreamName="pulled")
    server.wait_for_stream("pulled")
    server.api("pushStream", uri=url, localStreamName="pulled", targetStreamName="pushed")
    server.wait_for_stream("pushed")
    files = {name: tmp_path / f"{name}.flv" for name in ("mine", "pushed")}
    assert_recorded({file: record(children, f"{url}/{name}", file) for name, file in files.items()}, clip)


@pytest.mark.parametrize("force_tcp", ["0", "1"])
def test_rtsp_pull_and_push(children: Children, server: Server6, tmp_path: Path, force_tcp: str) -> None:
    """``pullStream`` and ``pushStream`` go to ``rtsp://[::1]``, with datagrams and without."""
    clip, url = clips.clip("h264_aac"), server.url("rtsp", "inboundRtsp")
    send_with_ffmpeg(children, clip, f"{url}/mine", form="rtsp")
    server.wait_for_stream("mine")
    server.api("pullStream", uri=f"{url}/mine", localStreamName="pulled", forceTcp=force_tcp)
    server.wait_for_stream("pulled")
    server.api("pushStream", uri=url, localStreamName="pulled", targetStreamName="pushed", forceTcp=force_tcp)
    server.wait_for_stream("pushed")
    file = tmp_path / "pushed.mkv"
    assert_recorded({file: record(children, f"{url}/pushed", file)}, clip)


def test_transport_streams_in(children: Children, server: Server6, tmp_path: Path) -> None:
    """A port for TCP, and pulls that wait for datagrams, for a connection, or connect: all bring the stream in."""
    clip, port, out, waits = clips.clip("h264_aac"), free_port(), free_port(), free_port()
    send_with_ffmpeg(children, clip, f"tcp://{HOST}:{out}?listen=1")
    server.api("pullStream", uri=f"dmpegtsudp://{HOST}:{port}", localStreamName="udp")
    server.api("pullStream", uri=f"dmpegtstcp://{HOST}:{waits}?listen", localStreamName="waits")
    server.api("pullStream", uri=f"dmpegtstcp://{HOST}:{out}", localStreamName="out")
    for url in (f"udp://{HOST}:{port}?pkt_size=1316", f"tcp://{HOST}:{waits}", server.url("tcp", "inboundTcpTs")):
        send_with_ffmpeg(children, clip, url)
    wait_until(lambda: len([name for name in server.stream_names() if not name.endswith("_ts")]) == 4, "four streams", 15)
    names = {name for name in server.stream_names() if not name.endswith("_ts")}
    files = {name: tmp_path / f"{name}.flv" for name in names}
    assert_recorded({file: record(children, server.rtmp(name), file) for name, file in files.items()}, clip)


def test_transport_streams_out(children: Children, server: Server6, tmp_path: Path) -> None:
    """``pushStream`` sends datagrams to ::1, and connects to it."""
    clip, udp, tcp = clips.clip("h264_aac"), free_port(), free_port()
    urls = {"udp": f"udp://{HOST}:{udp}", "tcp": f"tcp://{HOST}:{tcp}?listen=1"}
    files = {name: tmp_path / f"{name}.ts" for name in urls}
    players = {files[name]: record(children, url, files[name]) for name, url in urls.items()}
    send_with_ffmpeg(children, clip, server.rtmp("mine"), form="flv")
    server.wait_for_stream("mine")
    server.api("pushStream", uri=f"mpegtsudp://{HOST}:{udp}", localStreamName="mine")
    server.api("pushStream", uri=f"mpegtstcp://{HOST}:{tcp}", localStreamName="mine")
    assert_recorded(players, clip)
