"""The ways into the server and the ways out of it, each by the name that the matrix of protocols has for it.

A way in is a function that starts whatever sends a clip, in real time; a way out is one that receives for some seconds and gives
the access units that came. All ways out are open at the same time.
"""

import contextlib
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tests import clips
from tests.interop.access_units import AccessUnits, read
from tests.interop.transport import send_with_ffmpeg
from tests.processes import Children, free_port, wait_until
from tests.server import EmsServer
from tests.service.websocket.fmp4_player import BINARY, play

DOORS = (
    *("inboundRtmp", "inboundHttpJsonCli", "inboundRtsp", "inboundUdpTs", "inboundTcpTs"),
    *("inboundLiveFlv", "inboundWSFMP4"),
)

KINDS = {
    "h264_bframes_aac": ("video", "audio"),
    "hevc_aac": ("video", "audio"),
    "h264_only": ("video",),
    "aac_only": ("audio",),
}
"""The clips, and what is in them."""

MAX_UDP_BUFFER = 1 << 22
"""Bytes of a receiver's socket: a busy machine must not lose what the server has sent."""

_REPUBLISH = Path(__file__).parent / "republish.py"


class Stage:
    """A server with all its doors, a clip that comes in by one way, and receivers of the stream, whose name is `name`."""

    def __init__(self, children: Children, folder: Path, kind: str, seconds: float) -> None:
        self.folder, self.kind, self.seconds = folder, kind, seconds
        self.clip = clips.clip(kind)
        self.children = children
        self.web_port = free_port()
        web = f'configuration = {{ applications = {{ {{ name = "ews", port = {self.web_port}, bindToIP = "127.0.0.1" }} }} }}'
        (folder / "webconfig.lua").write_text(web)
        self.server = EmsServer(children, folder, "runWebServer = true,", DOORS)
        self.name = ""

    @property
    def tracks(self) -> tuple[str, ...]:
        """What the clip has: ``video``, ``audio``."""
        return KINDS[self.kind]

    def port(self, door: str) -> int:
        """The port of an acceptor."""
        return self.server.ports[door]

    def rtsp(self, path: str) -> str:
        """The address of a stream."""
        return f"rtsp://127.0.0.1:{self.port('inboundRtsp')}/{path}"

    def send(self, way: str) -> None:
        """Let the clip come in by one of `WAYS_IN`; returns when its stream is there."""
        WAYS_IN[way](self)
        wait_until(lambda: self.server.stream_names() - {ORIGIN}, f"a stream by {way}", 20)
        [self.name] = self.server.stream_names() - {ORIGIN}

    def receive(self, ways: tuple[str, ...]) -> dict[str, "Future[AccessUnits]"]:
        """What comes out by some of `WAYS_OUT`, all at once; returns when all have ended, each in its own way."""
        with ThreadPoolExecutor(len(ways)) as threads:
            return {way: threads.submit(WAYS_OUT[way], self) for way in ways}

    def read(self, source: object, **options: str) -> AccessUnits:
        """So many seconds of a source as the matrix compares."""
        return read(source, self.seconds, self.tracks, options)


ORIGIN = "origin"
"""The stream that a way in may need inside the server, to bring another one from it."""


def _rtmp_in(stage: Stage, name: str = "mine") -> None:
    _send_flv(stage, stage.server.rtmp(name))


def _live_flv_in(stage: Stage) -> None:
    _send_flv(stage, f"tcp://127.0.0.1:{stage.port('inboundLiveFlv')}")


def _send_flv(stage: Stage, url: str) -> None:
    """The system's ffmpeg may be too old for HEVC in FLV."""
    if stage.kind == "hevc_aac":
        stage.children.start(sys.executable, _REPUBLISH, stage.clip, url)
    else:
        send_with_ffmpeg(stage.children, stage.clip, url, form="flv")


def _announce_in(transport: str) -> Callable[[Stage], None]:
    def start(stage: Stage) -> None:
        send_with_ffmpeg(stage.children, stage.clip, stage.rtsp("mine"), "-rtsp_transport", transport, form="rtsp")

    return start


def _rtsp_http_in(stage: Stage) -> None:
    """Nobody publishes through HTTP, so it is a pull; from the server itself, whose own tunnel is the only one for all codecs."""
    _rtmp_in(stage, ORIGIN)
    stage.server.wait_for_stream(ORIGIN)
    stage.server.api("pullStream", uri=stage.rtsp(ORIGIN), localStreamName="mine", httpProxy="self")


def _ts_udp_in(stage: Stage) -> None:
    send_with_ffmpeg(stage.children, stage.clip, f"udp://127.0.0.1:{stage.port('inboundUdpTs')}?pkt_size=1316")


def _ts_tcp_in(stage: Stage) -> None:
    send_with_ffmpeg(stage.children, stage.clip, f"tcp://127.0.0.1:{stage.port('inboundTcpTs')}")


def _raw_rtp_in(stage: Stage) -> None:
    """A port for each medium, and a description that names them.

    Unless it is told not to, ffmpeg moves the times of each to where none is negative, and so the sound off the picture.
    """
    description = stage.folder / "source.sdp"
    outputs: list[str] = []
    for track in stage.tracks:
        port = free_port() & ~1
        outputs += ["-map", f"0:{track[0]}", "-c", "copy", "-avoid_negative_ts", "disabled"]
        outputs += ["-f", "rtp", f"rtp://127.0.0.1:{port}?pkt_size=1300"]
    words = ("ffmpeg", "-nostdin", "-v", "error", "-re", "-i", stage.clip, "-sdp_file", description)
    stage.children.start(*words, *outputs)
    wait_until(lambda: description.exists() and description.read_bytes().count(b"m=") == len(stage.tracks), "the description")
    stage.server.api("pullStream", uri=f"file://{description}", localStreamName="mine")


WAYS_IN: dict[str, Callable[[Stage], None]] = {
    "rtmp": _rtmp_in,
    "rtsp-udp": _announce_in("udp"),
    "rtsp-tcp": _announce_in("tcp"),
    "rtsp-http": _rtsp_http_in,
    "ts-udp": _ts_udp_in,
    "ts-tcp": _ts_tcp_in,
    "raw-rtp": _raw_rtp_in,
    "liveflv": _live_flv_in,
}


def _rtmp_out(stage: Stage) -> AccessUnits:
    return stage.read(stage.server.rtmp(stage.name), rtmp_live="live", rtmp_enhanced_codecs="hvc1")


def _rtsp_out(transport: str, folder: str = "") -> Callable[[Stage], AccessUnits]:
    def receive(stage: Stage) -> AccessUnits:
        buffer = str(MAX_UDP_BUFFER)
        return stage.read(stage.rtsp(f"{folder}{stage.name}"), rtsp_transport=transport, buffer_size=buffer)

    return receive


class SocketReader:
    """A socket as the file that ffmpeg's libraries read from; a datagram is read as one."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(15)
        self.read = connection.recv


def _ts_udp_out(stage: Stage) -> AccessUnits:
    with _bound(socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MAX_UDP_BUFFER)
        stage.server.api("pushStream", uri=_address("mpegtsudp", receiver), localStreamName=stage.name)
        return stage.read(SocketReader(receiver), format="mpegts")


def _ts_tcp_out(stage: Stage) -> AccessUnits:
    with _bound(socket.SOCK_STREAM) as listener:
        listener.listen()
        listener.settimeout(15)
        stage.server.api("pushStream", uri=_address("mpegtstcp", listener), localStreamName=stage.name)
        with listener.accept()[0] as receiver:
            return stage.read(SocketReader(receiver), format="mpegts")


@contextlib.contextmanager
def _bound(kind: socket.SocketKind) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, kind) as made:
        made.bind(("127.0.0.1", 0))
        yield made


def _address(scheme: str, bound: socket.socket) -> str:
    return f"{scheme}://127.0.0.1:{bound.getsockname()[1]}"


def _ws_fmp4_out(stage: Stage) -> AccessUnits:
    """The messages in a row are a file. A second more than is compared: sound comes in groups."""
    messages = play(stage.port("inboundWSFMP4"), f"/{stage.name}", stage.seconds + 1)
    recording = stage.folder / "messages.mp4"
    recording.write_bytes(b"".join(message.payload for message in messages if message.opcode == BINARY))
    return stage.read(str(recording))


def _hls_out(stage: Stage) -> AccessUnits:
    stage.server.api("createHLSStream", localStreamNames=stage.name, targetFolder="webroot", groupName="hls", chunkLength="2")
    playlist = stage.folder / "webroot/hls" / stage.name / "playlist.m3u8"
    wait_until(lambda: playlist.exists() and "#EXTINF" in playlist.read_text(), "a segment", 20)
    url = f"http://127.0.0.1:{stage.web_port}/hls/{stage.name}/playlist.m3u8"
    return stage.read(url, live_start_index="0")


WAYS_OUT: dict[str, Callable[[Stage], AccessUnits]] = {
    "rtmp": _rtmp_out,
    "rtsp-udp": _rtsp_out("udp"),
    "rtsp-tcp": _rtsp_out("tcp"),
    "rtsp-http": _rtsp_out("http"),
    "rtsp-ts": _rtsp_out("tcp", "ts/"),
    "ts-udp": _ts_udp_out,
    "ts-tcp": _ts_tcp_out,
    "ws-fmp4": _ws_fmp4_out,
    "hls": _hls_out,
}
