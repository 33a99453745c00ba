"""Clients of the tunnel through HTTP, in memory: plain requests, and the scripted RTMP client carried by them."""

from typing import Any, NamedTuple

from ems.config import AcceptorConfig
from ems.server import Server
from ems.testing import MemoryPeer
from tests.conversation import MemoryWorld, RtmpClient

POLL_SECONDS = 0.05
"""How often a tunnelled client asks for news."""


class Reply(NamedTuple):
    """An HTTP reply."""

    status: int
    headers: dict[str, str]
    body: bytes


def request(path: str, body: bytes = b"\0", method: str = "POST") -> bytes:
    """A request as librtmp and ffmpeg write it."""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-fcs\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class OneAcceptor:
    """An acceptor protocol all of whose peers come to the same acceptor, and share its sessions."""

    def __init__(self, world: MemoryWorld, protocol: str) -> None:
        inner = world.server.acceptor_protocols[protocol]
        self.factory: Any = inner.make_factory(world.server, AcceptorConfig(ip="127.0.0.1", protocol=protocol))
        self.protocol, self.tags = protocol, inner.tags
        world.server.acceptor_protocols = {**world.server.acceptor_protocols, protocol: self}

    def make_factory(self, server: Server, config: AcceptorConfig) -> Any:
        """The one factory."""
        return self.factory


class HttpPeer:
    """One HTTP connection to a server in memory."""

    def __init__(self, world: MemoryWorld, protocol: str = "inboundRtmpt", *, host: str = "127.0.0.1") -> None:
        self.peer = MemoryPeer(world.server, protocol, host=host)
        world.peers.append(self.peer)

    def post(self, path: str, body: bytes = b"\0", method: str = "POST") -> Reply:
        """Send a request and return the reply, which comes at once."""
        self.peer.send(request(path, body, method))
        (reply,) = self.replies()
        return reply

    def replies(self) -> list[Reply]:
        """All replies that have come since the last call."""
        replies = []
        data = bytes(self.peer.received)
        self.peer.received.clear()
        while data:
            head, _, data = data.partition(b"\r\n\r\n")
            status, *lines = head.decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            length = int(headers.get("content-length", 0))
            replies.append(Reply(int(status.split()[1]), headers, data[:length]))
            data = data[length:]
        return replies

    def open(self) -> str:
        """Begin a session and return its id."""
        reply = self.post("/open/1")
        assert reply.status == 200
        assert reply.body.endswith(b"\n")
        return reply.body.decode().strip()


def leave(world: MemoryWorld) -> None:
    """All clients vanish, and the server waits for their sessions as long as it does."""
    for peer in world.peers:
        peer.hang_up()
    world.pass_time(12)


class Tunnel:
    """A scripted RTMP client inside a session. It asks for news `POLL_SECONDS` after each request, unless it is told not to."""

    def __init__(self, world: MemoryWorld, http: HttpPeer) -> None:
        self.http = http
        self.session_id = http.open()
        self.client = RtmpClient()
        self.polling_byte = 0
        self.polls = True
        self.statuses: list[int] = []
        self._number = 0
        self._clock = world.clock
        self.client.connection_made(self.send)
        self._ask_again()

    def send(self, data: bytes) -> None:
        """Send RTMP."""
        self.exchange("send", data)

    def idle(self) -> Reply:
        """Ask for news."""
        return self.exchange("idle")

    def exchange(self, command: str, body: bytes = b"\0") -> Reply:
        """One request of this session; what comes with the reply goes to the client."""
        self._number += 1
        reply = self.http.post(f"/{command}/{self.session_id}/{self._number}", body)
        self.statuses.append(reply.status)
        if reply.status == 200 and command != "close":
            self.polling_byte = reply.body[0]
            self.client.data_received(reply.body[1:])
        elif not self.client.closed:
            self.client.connection_lost()
        return reply

    def _ask_again(self) -> None:
        if self.polls and self.http.peer.connected and not self.client.closed:
            self.idle()
        self._clock.callLater(POLL_SECONDS, self._ask_again)
