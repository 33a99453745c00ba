"""RTMP through HTTP (RTMPT), the server's HTTP side: connections that carry the requests of `ems.protocols.rtmp.tunnel`.

HTTP/1.1 (RFC 9112) is twisted.web's. What is added are bounds: for a client that sends slowly, for one large body and for all
bodies together. A connection never has two requests under way: what a client sends ahead waits for the reply before it.
"""

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, Request, datetimeToString

from ems.net.connection import Connection
from ems.protocols.rtmp.tunnel import Tunnel, Tunnels

if TYPE_CHECKING:
    from ems.server import Server

MAX_BODY = 16 << 20
"""Of one request: the largest RTMP message. Real clients send what a poll's interval brings, some tens of KiB."""

MAX_BODIES = 64 << 20
"""Of all requests of an acceptor that are not complete yet."""

CONTENT_TYPE = b"application/x-fcs"


class Bodies:
    """The bodies on their way in. When together they pass `MAX_BODIES`, the largest one's connection is cut.

    So whoever holds much cannot keep out those who send what RTMPT needs.
    """

    def __init__(self) -> None:
        self.size = 0
        self._held: dict[TunnelRequest, int] = {}

    def grow(self, request: "TunnelRequest", size: int) -> None:
        """So many bytes more of this request's body have come."""
        self._held[request] = self._held.get(request, 0) + size
        self.size += size
        while self.size > MAX_BODIES:
            max(self._held, key=self._held.__getitem__).cut("too much is on its way in")

    def drop(self, request: "TunnelRequest") -> None:
        """This request is complete, or will never be."""
        self.size -= self._held.pop(request, 0)


class TunnelRequest(Request):
    """One request; its body is kept in memory."""

    def __init__(self, carrier: "TunnelCarrier", channel: HTTPChannel, queued: object) -> None:
        super().__init__(channel, queued, parsePOSTFormSubmission=False)
        self._carrier = carrier
        self._body_size = 0
        self._is_cut = False
        self._waits_for: Tunnel | None = None

    def gotLength(self, length: int | None) -> None:
        # With a length of its own twisted.web would put a large body into a file on disk.
        super().gotLength(0)
        if (length or 0) > MAX_BODY:
            self.cut(f"a request of {length} bytes")

    def handleContentChunk(self, data: bytes) -> None:
        self._body_size += len(data)
        if self._body_size > MAX_BODY:
            self.cut(f"a request of more than {MAX_BODY} bytes")
        if not self._is_cut:
            self._carrier.bodies.grow(self, len(data))
        if not self._is_cut:
            super().handleContentChunk(data)

    def process(self) -> None:
        self._carrier.bodies.drop(self)
        if self._is_cut:
            return
        self._carrier.carry_out(self, self.content.read() if self.content else b"")

    def wait(self, tunnel: Tunnel) -> None:
        """Reply when this session has news."""
        self._waits_for = tunnel
        tunnel.idle(self.reply)

    def reply(self, body: bytes, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Reply, and make room for the connection's next request."""
        self._waits_for = None
        self.setResponseCode(status)
        self.setHeader(b"Server", self._carrier.server_name)
        self.setHeader(b"Date", datetimeToString())
        self.setHeader(b"Content-Type", CONTENT_TYPE)
        self.setHeader(b"Cache-Control", b"no-cache")
        self.setHeader(b"Content-Length", b"%d" % len(body))
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.setHeader(b"Allow", b"POST")
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            # Asking again then costs a connection, of which there are only so many.
            self.setHeader(b"Connection", b"close")
            self.channel.persistent = False
        self.write(body)
        self.finish()

    def connectionLost(self, reason: Failure) -> None:
        self._carrier.bodies.drop(self)
        if self._waits_for is not None:
            self._waits_for.lost(self.reply)
        super().connectionLost(reason)

    def cut(self, reason: str) -> None:
        """Take no more of this request, nor anything else of its connection."""
        self._is_cut = True
        self._carrier.bodies.drop(self)
        self._carrier.cut(reason)


class TunnelChannel(HTTPChannel):
    """twisted.web's HTTP/1.1, with smaller bounds and without time-outs: its carrier watches the clock."""

    MAX_LENGTH = totalHeadersSize = 8 << 10
    """Real clients send 250 bytes; proxies add their own."""

    maxHeaders = 64
    timeOut = None


class TunnelCarrier(Connection):
    """One connection of a client or of its proxy. It carries the requests of any sessions, one after another.

    The sessions count what they carry, and are what the runtime API lists; a carrier only counts as a connection.
    """

    REQUEST_SECONDS = 20
    """In which a request must be complete and its reply taken, or the next one follow."""

    media = False
    transport: Any  # a TCP or TLS transport, which is more than Twisted's type says

    def __init__(self, server: "Server", tunnels: Tunnels, bodies: Bodies) -> None:
        super().__init__(server.connections)
        self.tags = ("TCP", "IH4R")
        self.bodies = bodies
        self.server_name = server.version.user_agent.encode("ascii")
        self._tunnels = tunnels
        self._channel = TunnelChannel()
        self._channel.requestFactory = partial(TunnelRequest, self)  # type: ignore[assignment]
        self._age = 0

    def opened(self) -> None:
        self._channel.makeConnection(self.transport)

    def dataReceived(self, data: bytes) -> None:
        self._channel.dataReceived(data)

    def connectionLost(self, reason: Any = None) -> None:
        super().connectionLost(reason)
        self._channel.connectionLost(reason)

    def tick(self, now: float) -> None:
        self._age += 1
        if self._age >= self.REQUEST_SECONDS:
            self.cut(f"no request for {self.REQUEST_SECONDS} s")

    def cut(self, reason: str) -> None:
        """End the connection at once."""
        self.log.info("{peer} {tag} cut off: {reason}", peer=self.peer_name, tag=self.tags[-1], reason=reason)
        self.transport.abortConnection()

    def carry_out(self, request: TunnelRequest, body: bytes) -> None:
        """Have a complete request answered."""
        self._age = 0
        command, _, rest = request.path.removeprefix(b"/").partition(b"/")
        if request.method != b"POST":
            request.reply(b"", HTTPStatus.METHOD_NOT_ALLOWED)
        elif command == b"open":
            self._open(request)
        elif command == b"fcs":
            request.reply(self.near[0].encode("ascii"))
        else:
            self._exchange(request, command, self._tunnels.find(rest.partition(b"/")[0]), body)

    def _open(self, request: TunnelRequest) -> None:
        session_id = self._tunnels.open(self.transport.getHost(), self.transport.getPeer())
        if session_id is None:
            request.reply(b"", HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            request.reply(session_id + b"\n")

    def _exchange(self, request: TunnelRequest, command: bytes, tunnel: Tunnel | None, body: bytes) -> None:
        if tunnel is None or command not in (b"send", b"idle", b"close"):
            request.reply(b"", HTTPStatus.NOT_FOUND)
        elif command == b"send":
            request.reply(tunnel.send(body))
        elif command == b"idle":
            request.wait(tunnel)
        else:
            tunnel.end(ConnectionDone())
            request.reply(b"\0")


class TunnelFactory(Factory):
    """Makes the carriers of one acceptor, which share its sessions."""

    noisy = False

    def __init__(self, server: "Server", *, tls: bool = False) -> None:
        self.tunnels = Tunnels(server, ("TCP", "ISSL", "IH4R", "IR") if tls else ("TCP", "IH4R", "IR"))
        self.bodies = Bodies()
        self._server = server

    def buildProtocol(self, addr: IAddress | None) -> TunnelCarrier:
        return TunnelCarrier(self._server, self.tunnels, self.bodies)
