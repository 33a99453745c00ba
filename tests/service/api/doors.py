"""A server with nothing but streams, connections and control doors, and callers that come in through them over loopback."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from zope.interface import implementer

from ems.access import guard
from ems.api.doors import AsciiDoor, HttpDoor, JsonDoor
from ems.api.request import parse_request
from ems.config import AcceptorConfig, Application, Config
from ems.interfaces import IAcceptorProtocol
from ems.jobs.service import JobService
from ems.media.track import Codec, Kind, Track
from ems.metadata.service import MetadataService
from ems.net.acceptor import Acceptors
from ems.net.connection import Connection
from ems.net.registry import ConnectionRegistry
from ems.server import Server
from ems.streams.inbound import InboundStream
from ems.streams.manager import StreamManager
from ems.streams.outbound import OutboundStream
from ems.version import read_version


@implementer(IAcceptorProtocol)
class SilentProtocol:
    """A media protocol that says nothing."""

    def __init__(self, protocol: str, *tags: str) -> None:
        self.protocol = protocol
        self.tags = tags

    def make_factory(self, server: Server, config: AcceptorConfig) -> Any:
        """Connections that the server counts."""

        def make(address: object) -> Connection:
            connection = Connection(server.connections)
            connection.tags = self.tags
            return connection

        return SimpleNamespace(buildProtocol=make, doStart=lambda: None, doStop=lambda: None)


class Viewer(OutboundStream):
    """Somebody who plays."""

    type_tag = "ONR"


class Publisher(Connection):
    """The connection of a publisher that never came over a wire."""

    tags = ("TCP", "IR")
    near = ("198.51.100.2", 1935)
    far = ("203.0.113.8", 50110)
    details = {"userAgent": "probe/1", "rxInvokes": 5, "txInvokes": 4}  # noqa: RUF012
    closed_because = ""

    def __init__(self, registry: ConnectionRegistry) -> None:
        super().__init__(registry)
        self.live: list[Any] = []

    @property
    def streams(self) -> list[Any]:
        return self.live

    def close(self, reason: str) -> None:
        self.closed_because = reason


@dataclass(eq=False)
class Bench:
    """The server under test and what it was told."""

    server: Server
    log_levels: list[int] = field(default_factory=list)
    shut_downs: list[str] = field(default_factory=list)

    def publish(self, name: str) -> tuple[InboundStream, Publisher]:
        """A stream of H.264 and AAC comes in."""
        publisher = Publisher(self.server.connections)
        self.server.connections.add(publisher)
        stream = self.server.streams.register(name, type_tag="INR", source=publisher)
        stream.set_tracks(
            (
                Track(0, Kind.VIDEO, Codec.H264, b"x", width=1280, height=720, profile=66, level=31),
                Track(1, Kind.AUDIO, Codec.AAC, b"x", sample_rate=48000, channels=2),
            )
        )
        stream.bandwidth = 626688
        publisher.live.append(stream)
        return stream, publisher

    def play(self, name: str) -> Viewer:
        """A viewer of that name comes."""
        viewer = Viewer(self.server.streams, name, None)
        viewer.subscribe()
        return viewer

    def open(self, protocol: str, **settings: Any) -> int:
        """Open a door of that name and return its port."""
        config = AcceptorConfig(ip="127.0.0.1", port=0, protocol=protocol, **settings)
        return self.server.acceptors.create(config).port


def make_bench() -> Bench:
    """A server that listens nowhere yet."""
    clock = cast(Any, reactor)
    protocols = (
        JsonDoor(),
        AsciiDoor(),
        HttpDoor(),
        SilentProtocol("inboundRtmp", "TCP", "IR"),
        SilentProtocol("inboundUdpTs", "UDP", "ITS"),
    )
    server = Server(
        clock=clock,
        config=Config(application=Application(name="ems")),
        runtime=cast(Any, SimpleNamespace(directory=None)),
        version=read_version(),
        log=cast(Any, SimpleNamespace()),
        streams=StreamManager(clock),
        connections=ConnectionRegistry(clock),
        acceptor_protocols={protocol.protocol: protocol for protocol in protocols},
        shut_down=lambda reason: None,
    )
    for part in guard(server):
        part.startService()
    server.metadata = MetadataService(clock, server.streams, server.connections)
    server.acceptors = Acceptors(server, clock)
    server.jobs = JobService(server, pullers={}, pushers={})
    server.jobs.startService()
    bench = Bench(server)
    server.log.set_level = bench.log_levels.append  # type: ignore[method-assign]
    server.shut_down = bench.shut_downs.append
    return bench


async def until(condition: Callable[[], object], what: str = "a condition") -> None:
    """Return as soon as it holds; AssertionError when it does not within half a minute."""
    clock = cast(Any, reactor)
    deadline = clock.seconds() + 30
    while not condition():
        assert clock.seconds() < deadline, f"waited for {what}"
        await deferLater(clock, 0.002)


class Caller(Protocol):
    """A connection to a door, and all that has come back over it."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = True

    def send(self, data: bytes) -> None:
        """Send these bytes."""
        self.transport.write(data)

    async def comes(self, ending: bytes) -> bytes:
        """Wait until what has come ends so, and take it."""
        await until(lambda: self.received.endswith(ending), f"{ending!r} after {self.received[-200:]!r}")
        taken, self.received = bytes(self.received), bytearray()
        return taken

    async def gone(self) -> bytes:
        """Wait until the connection is closed, and take what has come."""
        await until(lambda: self.lost, "the end of the connection")
        return bytes(self.received)


async def call(port: int) -> Caller:
    """Connect to a door."""
    connecting: Deferred[Caller] = connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), Caller())
    return await connecting


class AnyData:
    """Equal to whatever data is expected: the ASCII door's text is not parsed."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, key: object) -> "AnyData":
        return self


Reply = dict[str, Any]


async def ask_json(port: int, line: str, prefix: bool = True) -> Reply:
    """Ask the JSON door."""
    caller = await call(port)
    caller.send(line.encode() + b"\r\n")
    received = await caller.comes(b"\r\n\r\n")
    caller.transport.abortConnection()
    if prefix:
        assert int.from_bytes(received[:4], "big") == len(received) - 4
        received = received[4:]
    return cast(Reply, json.loads(received))


async def ask_ascii(port: int, line: str) -> Reply:
    """Ask the ASCII door; the reply has no data that could be compared."""
    caller = await call(port)
    caller.send(line.encode() + b"\r\n")
    await until(lambda: caller.received.endswith((b"\n\r\n\r", b"\n\r\n")))
    caller.transport.abortConnection()
    verdict, description = caller.received.decode().split("\n\r")[:2]
    status = {"Command entered successfully!": "SUCCESS", "Command failed!": "FAIL"}[verdict]
    return {"status": status, "description": description, "data": AnyData()}


async def fetch(port: int, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (names in lower case) and body of the answer to a raw HTTP request."""
    caller = await call(port)
    caller.send(request)
    head, _, body = (await caller.gone()).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(status.split()[1]), headers, body


async def ask_http(port: int, line: str) -> Reply:
    """Ask the HTTP door as older clients do."""
    command, _, parameters = line.partition(" ")
    query = base64.b64encode(parameters.encode()).decode()
    request = f"GET /{command}?params={query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
    status, headers, body = await fetch(port, request.encode())
    assert (status, headers["content-type"]) == (200, "text/plain")
    assert body.endswith(b"\r\n\r\n")
    return cast(Reply, json.loads(body))


async def post(port: int, path: str, body: bytes, headers: str = "") -> tuple[int, Reply]:
    """Ask the HTTP door in the modern form."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    status, answered, content = await fetch(port, head.encode() + body)
    assert answered["content-type"] == "application/json"
    return status, cast(Reply, json.loads(content))


async def ask_post(port: int, line: str) -> Reply:
    """Ask the HTTP door in the modern form, with the parameters of a request line."""
    request = parse_request(line)
    assert request is not None
    parameters = request.parameters | ({"commandId": request.command_id} if request.command_id else {})
    status, reply = await post(port, f"/{request.command}", json.dumps(parameters).encode(), "Content-Type: application/json\r\n")
    assert (status == 200) == (reply["status"] == "SUCCESS")
    return reply
