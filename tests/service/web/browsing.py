"""A web server on a free port of loopback, and clients that write their requests byte by byte."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from ems.config.web import default_web_config
from ems.events.event import Event
from ems.server import Server
from ems.testing import testing_server
from ems.web.service import WebServer

reactor: Any = global_reactor


@dataclass
class Answer:
    """What came back. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def parse_answer(data: bytes) -> tuple[Answer, bytes]:
    """The first answer of some bytes, and the bytes behind it. IndexError when it is not complete."""
    head, separator, rest = data.partition(b"\r\n\r\n")
    if not separator:
        raise IndexError
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    size = int(headers.get("content-length", 0))
    status = int(lines[0].split()[1])
    if status in (204, 304):
        size = 0
    if len(rest) < size:
        raise IndexError
    return Answer(status, headers, rest[:size]), rest[size:]


class Client(Protocol):
    """A connection that keeps what it receives."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True

    def write(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


async def until(condition: Callable[[], Any], what: str, seconds: float = 10) -> None:
    """Return when the condition is true; AssertionError when it does not become so."""
    deadline = reactor.seconds() + seconds
    while not condition():
        assert reactor.seconds() < deadline, f"waited in vain for {what}"
        await deferLater(reactor, 0.005)


class Web:
    """A running web server whose web root is `root`; `events` has the types and payloads of all events."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.root = folder / "webroot"
        self.root.mkdir(exist_ok=True)
        self.server: Server = testing_server(reactor, runtime=folder)
        self.events: list[Event] = []
        self.server.events.subscribe(self.events.append)
        self.service = WebServer(self.server, default_web_config(folder, port=0, bind_to_ip="127.0.0.1", **settings), reactor)
        self.server.web = self.service
        self.service.bind()
        self.service.startService()
        self.clients: list[Client] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.service.port

    def publish(self, path: str, data: bytes) -> Path:
        """Put a file into memory, as a segmenter does."""
        absolute = self.root / path
        self.server.published.put(absolute, data)
        return absolute

    def write(self, path: str, data: bytes) -> Path:
        """Put a file on the disk."""
        absolute = self.root / path
        absolute.parent.mkdir(parents=True, exist_ok=True)
        absolute.write_bytes(data)
        return absolute

    async def connect(self) -> Client:
        """A connection."""
        client: Client = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", self.port), Client())
        self.clients.append(client)
        return client

    async def raw(self, data: bytes) -> Client:
        """A connection on which these bytes have been sent and which the server has closed."""
        client = await self.connect()
        client.write(data)
        await until(lambda: client.lost, "the server to close the connection")
        return client

    async def ask(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
        """One request on a connection of its own. Underscores in header names are dashes; `Host=""` leaves the header out."""
        fields = {"Host": f"127.0.0.1:{self.port}", "Connection": "close", **headers}
        if body:
            fields["Content-Length"] = str(len(body))
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items() if value]
        client = await self.connect()
        client.write("\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode("latin-1") + body)
        await until(lambda: client.lost, f"the answer to {path}")
        if method == "HEAD":
            head, _, rest = bytes(client.received).partition(b"\r\n\r\n")
            assert rest == b"", "HEAD has no body"
            lines = head.decode("latin-1").split("\r\n")
            return Answer(
                int(lines[0].split()[1]), {n.lower(): v.strip() for n, _, v in (x.partition(":") for x in lines[1:])}, b""
            )
        answer, rest = parse_answer(bytes(client.received))
        assert rest == b""
        return answer

    def deaf(self, request: bytes) -> socket.socket:
        """A client that has sent a request and does not read."""
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect(("127.0.0.1", self.port))
        one.sendall(request)
        return one

    def told(self, event_type: str) -> list[dict[str, Any]]:
        """The payloads of all events of a type."""
        return [dict(event.payload) for event in self.events if event.type == event_type]

    async def close(self) -> None:
        """Stop everything."""
        await self.service.stopService()
        for client in self.clients:
            if client.transport is not None:
                client.transport.abortConnection()
        await until(lambda: all(client.lost for client in self.clients), "connections to close")
        for part in (self.server.jobs, self.server.streams, self.server.connections):
            await_result: Any = part.stopService()
            if isinstance(await_result, Deferred):
                await await_result


OpenWeb = Callable[..., Web]
