"""Clients of the tunnel through HTTP, in memory: plain requests, and the scripted RTMP client carried by them."""

from collections.abc import Callable
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


def waiting_bytes(session: Any) -> int:
    """How much a session's transport holds for its client."""
    return sum(map(len, session.transport._waiting))


class HttpPeer:
    """One HTTP connection to a server in memory."""

    def __init__(self, world: MemoryWorld, protocol: str = "inboundRtmpt", *, host: str = "127.0.0.1") -> None:
        self.peer = MemoryPeer(world.server, protocol, host=host, on_data=lambda data: self.on_data())
        self.clock = world.clock
        self.on_data: Callable[[], None] = lambda: None
        world.peers.append(self.peer)

    def post(self, path: str, body: bytes = b"\0", method: str = "POST") -> Reply:
        """Send a request and return the reply; the server may take its time for it."""
        self.peer.send(request(path, body, method))
        for _ in range(100):
            if self.peer.received:
                break
            self.clock.advance(0.01)
        (reply,) = self.replies()
        return reply

    def replies(self) -> list[Reply]:
        """All complete replies that have come since the last call."""
        replies = []
        data = bytes(self.peer.received)
        while b"\r\n\r\n" in data:
            head, _, rest = data.partition(b"\r\n\r\n")
            status, *lines = head.decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            length = int(headers.get("content-length", 0))
            if len(rest) < length:
                break
            replies.append(Reply(int(status.split()[1]), headers, rest[:length]))
            data = rest[length:]
        self.peer.received[:] = data
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
    """A scripted RTMP client inside a session. It asks for news `POLL_SECONDS` after each reply, while it `polls`."""

    def __init__(self, world: MemoryWorld, http: HttpPeer) -> None:
        self.session_id = http.open()
        self.client = RtmpClient()
        self.polls = True
        self.replies: list[Reply] = []
        self._number = 0
        self._asking = False
        self._clock = world.clock
        self.use(http)
        self.client.connection_made(self.send)
        self._ask()

    @property
    def statuses(self) -> list[int]:
        """The statuses of all replies."""
        return [reply.status for reply in self.replies]

    def use(self, http: HttpPeer) -> None:
        """Go on over another connection."""
        self.http = http
        # Not in the middle of the server's own work: what is received lets a test go on.
        http.on_data = lambda: self._clock.callLater(0, self._received, http) and None

    def send(self, data: bytes) -> None:
        """Send RTMP."""
        self._request("send", data)

    def idle(self) -> Reply:
        """Ask for news, and wait for the reply."""
        return self.exchange("idle")

    def exchange(self, command: str) -> Reply:
        """Send a request of this session without RTMP, and wait for the reply."""
        self._request(command)
        expected = self._number
        for _ in range(100):
            if len(self.replies) >= expected:
                return self.replies[expected - 1]
            self._clock.advance(0.01)
        raise AssertionError(f"no reply to {command}")

    def _request(self, command: str, body: bytes = b"\0") -> None:
        self._number += 1
        self.http.peer.send(request(f"/{command}/{self.session_id}/{self._number}", body))

    def _received(self, http: HttpPeer) -> None:
        for reply in http.replies():
            self.replies.append(reply)
            if reply.status == 200:
                self.client.data_received(reply.body[1:])
            elif not self.client.closed:
                self.client.connection_lost()
        if len(self.replies) == self._number and not self._asking:
            self._asking = True
            self._clock.callLater(POLL_SECONDS, self._ask)

    def _ask(self) -> None:
        self._asking = False
        if self.polls and self.http.peer.connected and not self.client.closed:
            self._request("idle")
