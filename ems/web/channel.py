"""Connections: Twisted's, with limits, time-outs, and patience with clients that do not read.

* A request that has begun must be complete within `REQUEST_TIMEOUT`, whatever trickles in (slowloris). A connection without a
  request closes after the configured time. A client that takes nothing of an answer for `STALL_TIMEOUT` is cut off.
* Requests that come in a row (pipelining, RFC 9112 §9.3.2) are answered in their order; the next one is not looked at while
  an answer waits for a client that does not read, and after `IN_A_ROW` of them others have their turn.
* What is sent goes straight to the socket where that is plain TCP and nothing waits before it: a write that waits for the
  reactor's next turn, as Twisted's own do, costs more than the answer. What the kernel refuses is left to the transport.
"""

import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from time import time
from typing import Any

from twisted.internet.interfaces import IAddress, IProtocolNegotiationFactory
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, HTTPFactory
from twisted.web.http_headers import Headers
from zope.interface import implementer

from ems.net.registry import CounterSet
from ems.web.conditions import http_date
from ems.web.request import STANDING, WebRequest, head_of

REQUEST_TIMEOUT = 20.0
"""Seconds for a whole request: a phone in a train sends its few hundred bytes in two."""

STALL_TIMEOUT = 60.0
"""Seconds for one buffer of an answer. Who takes a minute for 64 KiB reads 1 KB/s: no stream is that slow."""

MAX_HEADERS = 100
"""Browsers send 20. All of them and the request line together may have 16 KiB (`HTTPChannel.totalHeadersSize`)."""

IN_A_ROW = 16
"""Requests of one read that are answered in one turn of the reactor: about 2 ms. A read may bring 1500."""

TLS_HANDSHAKE = b"\x16"
"""The first byte of a TLS connection (RFC 8446 §5.1), and of no HTTP request."""

SOCKETS = "managedTcp"
"""Among which sockets of getExtendedConnectionCounters the connections count."""


class WebChannel(HTTPChannel):
    """One connection."""

    maxHeaders = MAX_HEADERS
    factory: "WebFactory"

    def __init__(self) -> None:
        super().__init__()
        self.requestFactory = WebRequest  # type: ignore[assignment]
        self.peer = ""
        self._answering = False
        self._replaying = False
        self._in_a_row = 0
        self._waiting_since = 0.0
        self._reading_since: float | None = None
        self._blocked_since: float | None = None
        self._held: WebRequest | None = None
        self._socket: socket.socket | None = None

    def connectionMade(self) -> None:
        self._waiting_since = self.factory.now()
        transport = _transport(self)
        self._peer_address, self._own_address = transport.getPeer(), transport.getHost()
        host = getattr(self._peer_address, "host", "")
        self.peer = host.removeprefix("::ffff:") if "." in host else host
        super().connectionMade()
        handle = getattr(transport, "getHandle", lambda: None)()
        if isinstance(handle, socket.socket):
            # A pull producer is told when the last byte that waits in the transport has gone; a push producer is not.
            transport.unregisterProducer()
            transport.registerProducer(self, False)
            self._socket = handle

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._held = self._socket = None
        self.factory.forget(self)
        super().connectionLost(reason)

    def getPeer(self) -> Any:
        return self._peer_address

    def getHost(self) -> Any:
        return self._own_address

    def dataReceived(self, data: bytes) -> None:
        if not self._replaying:
            self.factory.traffic.in_bytes += len(data)
            self._in_a_row = 0
        if self._reading_since is None and not self.requests:
            if data.startswith(TLS_HANDSHAKE):
                # The hello has no end that HTTP would see: a browser would wait for the time-out.
                self.loseConnection()
                return
            self._reading_since = self.factory.now()
        super().dataReceived(data)
        if self._reading_since is None and self.requests and not self._answering:
            self._reading_since = self.factory.now()

    @property
    def is_blocked(self) -> bool:
        """Whether something waits for the client to take it."""
        return self._blocked_since is not None

    def send(self, *pieces: bytes | memoryview) -> int:
        """How many bytes of the pieces together the socket has taken; none while earlier ones wait in the transport."""
        if self._socket is None or self._blocked_since is not None:
            return 0
        try:
            sent = self._socket.sendmsg(pieces)
        except OSError:
            # Full, or broken: the transport finds out which when it is given the rest.
            return 0
        self.factory.traffic.out_bytes += sent
        return sent

    def leave(self, data: bytes) -> None:
        """Leave bytes to the transport, for when the client takes them."""
        if data:
            self.factory.traffic.out_bytes += len(data)
            _transport(self).write(data)
            if self._socket is not None:
                self.pauseProducing()

    def write(self, data: bytes) -> None:
        sent = self.send(data)
        self.leave(data[sent:])

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        self.write(b"".join(iovec))

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        self.write(head_of(version, code, reason, headers, self.factory.standing))

    def checkPersistence(self, request: Any, version: bytes) -> bool:
        """Whether the connection stays: Connection is a list with commas (RFC 9110 §7.6.1), for Twisted one with blanks."""
        options = b",".join(request.requestHeaders.getRawHeaders(b"Connection", ()))
        if version == b"HTTP/1.1" and b"close" not in options.lower().replace(b" ", b"").split(b","):
            return True
        request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        return False

    def lineLengthExceeded(self, line: bytes) -> None:
        """Close: as we do it, which lets the transport go; who sends such a line gets no answer."""
        self.loseConnection()

    def _send100Continue(self) -> None:
        self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def begin(self, request: WebRequest) -> None:
        """A request is complete: have it answered, as soon as the client has taken the answers before it."""
        self._reading_since = None
        self._answering = True
        self._in_a_row += 1
        if self._blocked_since is not None:
            self._held = request
        elif self._in_a_row > IN_A_ROW:
            self._held = request
            self.factory.soon(self._next_turn)
        else:
            self.factory.respond(request)

    def _next_turn(self) -> None:
        self._in_a_row = 0
        if self._blocked_since is None:
            self._release()

    def _release(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self.factory.respond(held)

    def requestDone(self, request: Any) -> None:
        self._answering = False
        self._waiting_since = self.factory.now()
        # What has come in meanwhile goes through `dataReceived` again.
        self._replaying = True
        super().requestDone(request)
        self._replaying = False

    def pauseProducing(self) -> None:
        if self._blocked_since is None:
            self._blocked_since = self.factory.now()
            super().pauseProducing()

    def resumeProducing(self) -> None:
        if self._blocked_since is None:
            return
        self._blocked_since = None
        super().resumeProducing()
        self._release()

    def trouble(self, now: float, idle_timeout: float) -> str:
        """Why this connection has to go, empty when it may stay."""
        if self._blocked_since is not None:
            return "it takes nothing of its answer" if now - self._blocked_since > STALL_TIMEOUT else ""
        if self._reading_since is not None:
            return "its request does not come to an end" if now - self._reading_since > REQUEST_TIMEOUT else ""
        if not self._answering and now - self._waiting_since > idle_timeout:
            return "it asks for nothing"
        return ""


@implementer(IProtocolNegotiationFactory)
class WebFactory(HTTPFactory):
    """All connections of the web server.

    `respond` answers a request; `now` is the clock of the time-outs; `standing` are the header lines of every answer;
    `traffic` counts bytes, of TLS those inside.
    """

    web_log = Logger()
    noisy = False
    protocol = WebChannel  # type: ignore[assignment]

    def __init__(
        self,
        clock: Any,
        respond: Callable[[WebRequest], None],
        counters: CounterSet,
        *,
        most: int,
        most_of_one: int,
        idle_timeout: float,
    ) -> None:
        super().__init__(timeout=None, reactor=clock)  # type: ignore[arg-type]
        self.traffic = counters[SOCKETS]
        self._counters = counters
        self.now: Callable[[], float] = clock.seconds
        self.respond = respond
        self._clock = clock
        self._most = most
        self._most_of_one = most_of_one
        self._idle_timeout = idle_timeout
        self._channels: dict[WebChannel, str] = {}
        self._per_host: Counter[str] = Counter()
        self._tell_time()

    def __len__(self) -> int:
        return len(self._channels)

    def __iter__(self) -> Iterator[WebChannel]:
        return iter([*self._channels])

    def buildProtocol(self, addr: IAddress | None) -> Any:
        host = getattr(addr, "host", "")
        if len(self._channels) >= self._most or (self._most_of_one and self._per_host[host] >= self._most_of_one):
            return None
        channel: Any = super().buildProtocol(addr)
        self._channels[channel] = host
        self._per_host[host] += 1
        self._counters.opened(SOCKETS)
        return channel

    def acceptableProtocols(self) -> list[bytes]:
        """What is spoken inside of TLS (ALPN, RFC 7301): browsers and curl ask, and would not go on without an answer."""
        return [b"http/1.1"]

    def soon(self, action: Callable[[], None]) -> None:
        """Do this in the reactor's next turn."""
        self._clock.callLater(0, action)

    def forget(self, channel: WebChannel) -> None:
        """That connection is closed."""
        host = self._channels.pop(channel, None)
        if host is not None:
            self._counters.closed(SOCKETS)
            self._per_host[host] -= 1
            if not self._per_host[host]:
                del self._per_host[host]

    def tick(self) -> None:
        """Close the connections whose time is over, and tell the new time; called about once a second."""
        self._tell_time()
        now = self.now()
        for channel in self:
            reason = channel.trouble(now, self._idle_timeout)
            if reason:
                self.web_log.debug("{peer} is cut off: {reason}", peer=self._channels[channel], reason=reason)
                _transport(channel).abortConnection()

    def _tell_time(self) -> None:
        self.standing = STANDING % http_date(int(time())).encode("ascii")

    def close_all(self) -> None:
        """The server stops."""
        for channel in self:
            _transport(channel).abortConnection()

    def startFactory(self) -> None:
        """There is no access log to prepare: addresses hold secrets, and the sessions tell who watches."""

    def stopFactory(self) -> None:
        """There is nothing to close."""

    def log(self, request: Any) -> None:
        """Write nothing."""


def _transport(channel: WebChannel) -> Any:
    return channel.transport
