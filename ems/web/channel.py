"""Connections and requests: Twisted's, with limits, time-outs, and patience with clients that do not read.

* A request that has begun must be complete within `REQUEST_TIMEOUT`, whatever trickles in (slowloris). A connection without a
  request closes after the configured time. A client that takes nothing of an answer for `STALL_TIMEOUT` is cut off.
* Requests that come in a row (pipelining, RFC 9112 §9.3.2) are answered in their order; the next one is not looked at while
  an answer waits for a client that does not read.
* A body is kept up to `MAX_BODY` bytes, for the API; more is read and dropped up to `MAX_DISCARDED`, so that the client sees why.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, HTTPFactory, Request

REQUEST_TIMEOUT = 20.0
"""Seconds for a whole request: a phone in a train sends its few hundred bytes in two."""

STALL_TIMEOUT = 60.0
"""Seconds for one buffer of an answer. Who takes a minute for 64 KiB reads 1 KB/s: no stream is that slow."""

MAX_BODY = 65_536
"""Bytes of a command's JSON object; the API door has the same limit."""

MAX_DISCARDED = 16 * MAX_BODY

MAX_HEADERS = 100
"""Browsers send 20. All of them and the request line together may have 16 KiB (`HTTPChannel.totalHeadersSize`)."""


class WebRequest(Request):
    """One request. `on_end` is called once when its answer is complete (true) or its client is gone (false)."""

    body_size = 0
    on_end: Callable[[bool], None] | None = None
    channel: Any

    def __init__(self, channel: "WebChannel", queued: object = False) -> None:
        super().__init__(channel, parsePOSTFormSubmission=False)

    def gotLength(self, length: int | None) -> None:
        super().gotLength(min(length or 0, MAX_BODY))

    def handleContentChunk(self, data: bytes) -> None:
        self.body_size += len(data)
        if self.body_size <= MAX_BODY:
            super().handleContentChunk(data)
        elif self.body_size > MAX_DISCARDED:
            self.channel.transport.abortConnection()

    @property
    def peer(self) -> str:
        """The client's address; an IPv4 one in IPv6's clothes as what it is."""
        host = getattr(self.client, "host", "")
        return host.removeprefix("::ffff:") if "." in host else host

    @property
    def is_gone(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return bool(self._disconnected or self.finished)

    def process(self) -> None:
        self.channel.begin(self)

    def finish(self) -> None:
        super().finish()
        self._end(True)

    def connectionLost(self, reason: Any) -> None:
        super().connectionLost(reason)
        self._end(False)

    def _end(self, complete: bool) -> None:
        on_end, self.on_end = self.on_end, None
        if on_end is not None:
            on_end(complete)


class WebChannel(HTTPChannel):
    """One connection."""

    maxHeaders = MAX_HEADERS
    factory: "WebFactory"

    def __init__(self) -> None:
        super().__init__()
        self.requestFactory = WebRequest  # type: ignore[assignment]
        self._answering = False
        self._waiting_since = 0.0
        self._reading_since: float | None = None
        self._blocked_since: float | None = None
        self._held: WebRequest | None = None

    def connectionMade(self) -> None:
        self._waiting_since = self.factory.now()
        super().connectionMade()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._held = None
        self.factory.forget(self)
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:
        if self._reading_since is None and not self.requests:
            self._reading_since = self.factory.now()
        super().dataReceived(data)
        if self._reading_since is None and self.requests and not self._answering:
            self._reading_since = self.factory.now()

    def begin(self, request: WebRequest) -> None:
        """A request is complete: have it answered, as soon as the client has taken the answers before it."""
        self._reading_since = None
        self._answering = True
        if self._blocked_since is not None:
            self._held = request
        else:
            self.factory.respond(request)

    def requestDone(self, request: Any) -> None:
        self._answering = False
        self._waiting_since = self.factory.now()
        super().requestDone(request)

    def pauseProducing(self) -> None:
        if self._blocked_since is None:
            self._blocked_since = self.factory.now()
        super().pauseProducing()

    def resumeProducing(self) -> None:
        self._blocked_since = None
        super().resumeProducing()
        held, self._held = self._held, None
        if held is not None:
            self.factory.respond(held)

    def trouble(self, now: float, idle_timeout: float) -> str:
        """Why this connection has to go, empty when it may stay."""
        if self._blocked_since is not None:
            return "it takes nothing of its answer" if now - self._blocked_since > STALL_TIMEOUT else ""
        if self._reading_since is not None:
            return "its request does not come to an end" if now - self._reading_since > REQUEST_TIMEOUT else ""
        if not self._answering and now - self._waiting_since > idle_timeout:
            return "it asks for nothing"
        return ""


class WebFactory(HTTPFactory):
    """All connections of the web server. `respond` answers a request; `now` is the clock of the time-outs."""

    web_log = Logger()
    noisy = False
    protocol = WebChannel  # type: ignore[assignment]

    def __init__(
        self, clock: Any, respond: Callable[[WebRequest], None], *, most: int, most_of_one: int, idle_timeout: float
    ) -> None:
        super().__init__(timeout=None, reactor=clock)  # type: ignore[arg-type]
        self.now: Callable[[], float] = clock.seconds
        self.respond = respond
        self.turned_away = 0
        self._most = most
        self._most_of_one = most_of_one
        self._idle_timeout = idle_timeout
        self._channels: dict[WebChannel, str] = {}
        self._per_host: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._channels)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        host = getattr(addr, "host", "")
        if len(self._channels) >= self._most or (self._most_of_one and self._per_host[host] >= self._most_of_one):
            self.turned_away += 1
            return None
        channel: Any = super().buildProtocol(addr)
        self._channels[channel] = host
        self._per_host[host] += 1
        return channel

    def forget(self, channel: WebChannel) -> None:
        """That connection is closed."""
        host = self._channels.pop(channel, None)
        if host is not None:
            self._per_host[host] -= 1
            if not self._per_host[host]:
                del self._per_host[host]

    def tick(self) -> None:
        """Close the connections whose time is over; called about once a second."""
        now = self.now()
        for channel in [*self._channels]:
            reason = channel.trouble(now, self._idle_timeout)
            if reason:
                self.web_log.debug("{peer} is cut off: {reason}", peer=self._channels[channel], reason=reason)
                _transport(channel).abortConnection()

    def close_all(self) -> None:
        """The server stops."""
        for channel in [*self._channels]:
            _transport(channel).abortConnection()

    def startFactory(self) -> None:
        """There is no access log to prepare: addresses hold secrets, and the sessions tell who watches."""

    def stopFactory(self) -> None:
        """There is nothing to close."""

    def log(self, request: Any) -> None:
        """Write nothing."""


def _transport(channel: WebChannel) -> Any:
    return channel.transport
