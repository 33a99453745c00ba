"""Strangers that our server pulls from and pushes to: nginx with its RTMP module, ffmpeg as a server, and a player that stays.

All are started through `tests.processes.Children`, so none outlives its test.
"""

import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol

from twisted.internet.defer import Deferred

from ems.protocols.rtmp.wire import MessageType, UserControl
from tests.conversation import VIDEO, RtmpClient
from tests.processes import Child, Children, free_port, wait_until
from tests.server import EmsServer

NGINX_MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")

START_TIME = 10
"""Seconds until a peer listens, on a busy machine."""

_SEPARATOR = "\x1f"
"""Between the fields of nginx's log: no address has it."""


@dataclass(frozen=True)
class Session:
    """What nginx has been told over one connection: by the connect call, and by play or publish (`command`, `name`, `args`)."""

    command: str
    app: str
    name: str
    args: str
    flashver: str
    swfurl: str
    tcurl: str
    pageurl: str


class Nginx:
    """nginx-rtmp on a port of 127.0.0.1, with the live application ``live``.

    It does not run yet; it can be killed and started again, and comes back on the same port.
    """

    def __init__(self, children: Children, folder: Path) -> None:
        self.port = free_port()
        self._children = children
        self._log = folder / "sessions.log"
        self._config = folder / "nginx.conf"
        self._config.write_text(_nginx_configuration(folder, self.port, self._log))
        self._child: Child | None = None

    def url(self, stream: str) -> str:
        """The RTMP address of a stream."""
        return f"rtmp://127.0.0.1:{self.port}/live/{stream}"

    def start(self) -> None:
        """Start it; returns when it listens."""
        self._child = self._children.start("nginx", "-p", self._config.parent, "-c", self._config)
        wait_for_listener(self._child, self.port)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        assert self._child is not None
        self._child.stop(signal.SIGKILL)

    def sessions(self, command: str) -> list[Session]:
        """The connections that have ended and that played (``PLAY``) or published (``PUBLISH``)."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        found = [Session(*line.split(_SEPARATOR)) for line in lines]
        return [session for session in found if session.command == command]


def _nginx_configuration(folder: Path, port: int, log: Path) -> str:
    variables = _SEPARATOR.join(f"${field.name}" for field in fields(Session))
    return f"""load_module {NGINX_MODULE};
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log notice;
events {{ worker_connections 256; }}
rtmp {{
    log_format sessions '{variables}';
    access_log {log} sessions;
    server {{
        listen 127.0.0.1:{port};
        application live {{ live on; }}
    }}
}}
"""


def has_nginx() -> bool:
    """Whether nginx with the RTMP module is installed."""
    return shutil.which("nginx") is not None and NGINX_MODULE.exists()


def publish(children: Children, clip: Path, url: str) -> Child:
    """ffmpeg publishing a clip in real time, over and over."""
    words = ("-nostdin", "-v", "error", "-re", "-stream_loop", "-1", "-i", clip, "-c", "copy", "-f", "flv", url)
    return children.start("ffmpeg", *words)


def serve_with_ffmpeg(children: Children, clip: Path, port: int) -> Child:
    """ffmpeg as a server that sends a clip in real time to the first who connects; returns when it listens."""
    url = f"rtmp://127.0.0.1:{port}/live/source"
    words = ("-nostdin", "-v", "error", "-re", "-stream_loop", "-1", "-i", clip, "-c", "copy", "-f", "flv", "-listen", "1", url)
    child = children.start("ffmpeg", *words)
    wait_for_listener(child, port)
    return child


def receive_with_ffmpeg(children: Children, recording: Path, port: int) -> Child:
    """ffmpeg as a server that writes what the first who connects publishes into a file; returns when it listens."""
    url = f"rtmp://127.0.0.1:{port}/live/target"
    child = children.start("ffmpeg", "-nostdin", "-v", "error", "-listen", "1", "-i", url, "-c", "copy", recording)
    wait_for_listener(child, port)
    return child


def wait_for_listener(child: Child, port: int) -> None:
    """Wait until a program listens; looked up in the kernel, so that no connection is made."""
    entry = f"0100007F:{port:04X} 00000000:0000 0A"
    wait_until(
        lambda: entry in Path("/proc/net/tcp").read_text() or not child.running, f"{child.name} on port {port}", START_TIME
    )
    assert child.running, f"{child.name} did not start:\n{child.output}"


class Source(Protocol):
    """A source of a stream that can be killed and comes back at the same address."""

    url: str

    def start(self) -> None:
        """Come, or come back; returns when it may be connected to."""

    def kill(self) -> None:
        """Be gone at once, as by a power cut."""


class FfmpegSource:
    """ffmpeg, which listens."""

    def __init__(self, children: Children, clip: Path, folder: Path) -> None:
        self._children, self._clip = children, clip
        self._port = free_port()
        self._child: Child | None = None
        self.url = f"rtmp://127.0.0.1:{self._port}/live/source"

    def start(self) -> None:
        """Listen for the first who plays."""
        self._child = serve_with_ffmpeg(self._children, self._clip, self._port)

    def kill(self) -> None:
        """End at once."""
        assert self._child is not None
        self._child.stop(signal.SIGKILL)


class PublishedSource:
    """A server to which ffmpeg publishes the stream."""

    def __init__(self, children: Children, clip: Path, server: "Nginx | RestartedEms") -> None:
        self._children, self._clip, self._server = children, clip, server
        self._publisher: Child | None = None
        self.url = server.url("source")

    def start(self) -> None:
        """Start the server if it does not run, and publish to it."""
        self._server.start()
        self._publisher = publish(self._children, self._clip, self.url)

    def kill(self) -> None:
        """End both at once."""
        assert self._publisher is not None
        self._server.kill()
        self._publisher.stop(signal.SIGKILL)


class RestartedEms:
    """A server of our own that can be killed and comes back on the same ports."""

    def __init__(self, children: Children, folder: Path) -> None:
        self._children, self._folder = children, folder
        self._server = EmsServer(children, folder)
        self._child: Child | None = None
        self.port = self._server.ports["inboundRtmp"]
        self._server.kill()

    def url(self, stream: str) -> str:
        """The RTMP address of a stream."""
        return self._server.rtmp(stream)

    def start(self) -> None:
        """Start it; returns when it listens."""
        command = ("-m", "ems", "--config", self._folder / "server.lua", "--runtime", self._folder)
        self._child = self._children.start(sys.executable, *command)
        wait_for_listener(self._child, self.port)

    def kill(self) -> None:
        """End it at once."""
        assert self._child is not None
        self._child.stop(signal.SIGKILL)


MakeSource = Callable[[Children, Path, Path], Source]
"""Makes a source of a clip, with a folder for its files; it does not run yet."""

SOURCES: dict[str, MakeSource] = {
    "nginx": lambda children, clip, folder: PublishedSource(children, clip, Nginx(children, folder)),
    "ffmpeg": FfmpegSource,
    "ems": lambda children, clip, folder: PublishedSource(children, clip, RestartedEms(children, folder)),
}


_PING_REQUEST = UserControl.PING_REQUEST.to_bytes(2, "big")


class Picture(NamedTuple):
    """A video message that a player received: when (monotonic seconds), its timestamp in ms, and whether it is a key frame."""

    arrived: float
    timestamp: int
    keyframe: bool


class StayingPlayer:
    """A player that stays when its stream goes, in a thread of its own, for as long as its context lasts.

    Most players end themselves when they are told that the stream is unpublished; boxes on a wall do not. `pictures` are all
    that have come, without the sequence headers.
    """

    def __init__(self, url: str) -> None:
        host, _, port = url.split("/")[2].partition(":")
        self._address = host, int(port)
        self._app, self._stream = url.split("/")[3:5]
        self._client = RtmpClient()
        self._seen = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.pictures: list[Picture] = []
        self.connected = False
        self.error: BaseException | None = None

    def __enter__(self) -> "StayingPlayer":
        self._thread.start()
        wait_until(lambda: self.connected or self.error, "the player to connect")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(5)

    def picture_after(self, moment: float, *, timeout: float) -> float:
        """Wait for the first key frame that arrives after a moment; returns how many seconds later it came."""
        wait_until(lambda: self._first_after(moment) is not None, f"a key frame for {self._stream}", timeout)
        first = self._first_after(moment)
        assert first is not None
        return first.arrived - moment

    def _first_after(self, moment: float) -> Picture | None:
        assert self.error is None, self.error
        assert self.connected, "the player was thrown out"
        return next((picture for picture in self.pictures if picture.keyframe and picture.arrived > moment), None)

    def _run(self) -> None:
        try:
            with socket.create_connection(self._address, timeout=0.1) as connection:
                self._client.connection_made(connection.sendall)
                playing = Deferred.fromCoroutine(self._play())
                playing.addErrback(self._failed)
                self.connected = True
                while not self._stop.is_set() and self._receive(connection):
                    self._hear()
        except BaseException as error:
            self.error = error
        self.connected = False

    async def _play(self) -> None:
        await self._client.open(self._app)
        await self._client.play(self._stream)

    def _failed(self, failure: object) -> None:
        self.error = getattr(failure, "value", None)

    def _receive(self, connection: socket.socket) -> bool:
        try:
            data = connection.recv(1 << 16)
        except TimeoutError:
            return True
        self._client.data_received(data)
        return bool(data)

    def _hear(self) -> None:
        """Note what has come, and answer pings."""
        messages, now = self._client.messages, time.monotonic()
        for message in messages[self._seen :]:
            if message.type_id == VIDEO and message.payload[1:2] != b"\0":
                self.pictures.append(Picture(now, message.timestamp, message.payload[0] >> 4 == 1))
            elif message.type_id == MessageType.USER_CONTROL and message.payload[:2] == _PING_REQUEST:
                pong = UserControl.PING_RESPONSE.to_bytes(2, "big") + message.payload[2:6]
                self._client >> message._replace(payload=pong)
        self._seen = len(messages)
