"""The sink that posts each event to a web server (``type = "RPC"``).

Events go out one after another, in their order, over one connection that is kept open (HTTP/1.1, RFC 9112; TLS when the address
is ``https``). Each is sent until the receiver has taken it, so one may arrive twice; ``processId`` and ``id`` tell.

=====================================  ==============================================================================
status 2xx                             delivered
status 408, 429 and 5xx, or no answer  sent again after a pause, which grows from `FIRST_PAUSE` to `LONGEST_PAUSE`
any other status                       refused: logged, not sent again
=====================================  ==============================================================================

Meanwhile events wait, up to `MAX_BACKLOG` of them, then the oldest are lost, which the log tells when the receiver is back.
Nobody else ever waits for a receiver. With a ``secret`` the header ``X-EMS-Signature`` has ``sha256=`` and the HMAC-SHA256
(RFC 2104) of the body in hex; what tells a repeated request from a new event, ``processId``, ``id`` and ``timestamp``, is in the
body.
"""

import hmac
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from random import random
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit, urlunsplit

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, HTTPConnectionPool, ResponseNeverReceived
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IPolicyForHTTPS, IResponse
from zope.interface import implementer

from ems.errors import CommandError
from ems.events.backlog import Backlog
from ems.events.event import Event, Plain
from ems.events.serializers import SERIALIZERS, Serializer

MAX_BACKLOG = 5000
"""Events that wait for a receiver: some 15 MB of them."""

TIMEOUT = 10.0
"""Seconds for one request with its answer."""

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds between two attempts when the receiver does not answer or fails; each pause is twice the one before."""

JITTER = 0.25
"""The part of a pause that is left to chance, so that a receiver that comes back is not asked by all servers at once."""

PATIENCE = 600.0
"""Seconds after which an event that makes the receiver fail is given up: it may be this event that it cannot bear."""

LAST_WORDS = 5.0
"""Seconds that the server's end waits for what has not gone out yet."""

MAX_ANSWER = 64 << 10
"""Bytes of an answer's body that are read, and forgotten, so that the connection can be used again."""

TRY_AGAIN = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)

SIGNATURE_HEADER = "X-EMS-Signature"


class Address(NamedTuple):
    """Where events are posted; `shown` is the address for the log, without what its query may keep secret."""

    uri: bytes
    shown: str

    @classmethod
    def parse(cls, url: str) -> "Address":
        """The address of a configured `url`, without its user name and password, which are not sent.

        Names that are no ASCII are encoded (RFC 3986 §2.1, RFC 5891). Raises `CommandError` when it is no address.
        """
        try:
            parts = urlsplit(url)
            host = (parts.hostname or "").encode("idna" if not (parts.hostname or "").isascii() else "ascii").decode()
            port = f":{parts.port}" if parts.port is not None else ""
        except ValueError as error:
            raise CommandError(f"{url.partition('?')[0]!r} is no address: {error}") from None
        if not host:
            raise CommandError(f"{url.partition('?')[0]!r} names no host")
        where = f"[{host}]{port}" if ":" in host else f"{host}{port}"
        path, query = (quote(part, safe="/%:@!$&'()*+,;=~?-._") for part in (parts.path or "/", parts.query))
        scheme = parts.scheme.lower()
        return cls(urlunsplit((scheme, where, path, query, "")).encode(), urlunsplit((scheme, where, path, "", "")))


class RpcSink:
    """Posts events to one receiver. `clock` is the reactor; `agent` makes the requests, and `close` lets go of its connection."""

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        agent: IAgent,
        address: Address,
        serializer: str,
        *,
        close: Callable[[], "Deferred[Any]"],
        user_agent: str,
        secret: str = "",
        custom_data: Plain = None,
    ) -> None:
        self._clock = clock
        self._agent = agent
        self._close = close
        self._address = address
        self._serializer: Serializer = SERIALIZERS[serializer]
        self._user_agent = user_agent
        self._secret = secret.encode()
        self._custom_data = custom_data
        self._backlog = Backlog(MAX_BACKLOG)
        self._started = self._stopping = False
        self._work: Deferred[None] | None = None
        self._failures = 0
        self._pause: tuple[Deferred[None], IDelayedCall] | None = None

    def __call__(self, event: Event) -> None:
        """Have an event posted."""
        self._backlog.put(event)
        self._proceed()

    def start(self) -> None:
        """Post from now on, first what has come before."""
        self._started = True
        self._proceed()

    async def stop(self) -> None:
        """Post what waits, for at most `LAST_WORDS`. Nothing is tried twice any more; what is left is counted in the log."""
        self._stopping = True
        self._end_pause()
        work = self._work
        if work is not None:
            limit = self._clock.callLater(LAST_WORDS, work.cancel)
            await work
            if limit.active():
                limit.cancel()
        await self._close()
        left = len(self._backlog) + self._backlog.take_dropped()
        if left:
            self.log.warn("{left} events have not reached {url}", left=left, url=self._address.shown)

    def _proceed(self) -> None:
        if self._started and self._work is None and self._backlog:
            work = self._work = Deferred.fromCoroutine(self._post_all())
            work.addBoth(self._done)

    def _done(self, result: Any) -> None:
        self._work = None
        if isinstance(result, Failure) and not result.check(CancelledError):
            self.log.failure("posting to {url} failed", failure=result, url=self._address.shown)

    async def _post_all(self) -> None:
        while self._backlog:
            (event,) = self._backlog.take()
            try:
                body = self._serializer.write(event.envelope(self._custom_data))
            except Exception:
                self.log.failure("{type} cannot be written for {url}", type=event.type, url=self._address.shown)
                continue
            delivered = False
            try:
                delivered = await self._deliver(event, body)
            finally:
                self._backlog.dropped += not delivered
            if not delivered:
                return

    async def _deliver(self, event: Event, body: bytes) -> bool:
        """Post until it is taken, refused or given up; False when the server ends before."""
        failing_since: float | None = None
        while True:
            reason = await self._attempt(event, body)
            if not reason:
                self._recovered()
                return True
            self._failures += 1
            if self._stopping and self._failures > 1:
                return False
            now = self._clock.seconds()
            failing_since = now if failing_since is None else failing_since
            if reason.startswith("status") and now - failing_since >= PATIENCE:
                self.log.error("{type} {id} is given up: {url} answers with {reason}", **self._named(event, reason))
                return True
            await self._wait(reason)

    async def _attempt(self, event: Event, body: bytes) -> str:
        """Post once. Why it has to be done again, empty when it has not."""
        try:
            status = await Deferred.fromCoroutine(self._post(body)).addTimeout(TIMEOUT, self._clock)
        except CancelledError:
            raise
        except TimeoutError:
            return f"no answer within {TIMEOUT:g} s"
        except Exception as error:
            return _reason(error)
        if status in TRY_AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return f"status {status}"
        if not 200 <= status < 300:
            self.log.warn("{url} refuses {type} {id}: {reason}", **self._named(event, f"status {status}"))
        return ""

    async def _post(self, body: bytes) -> int:
        headers = Headers({"User-Agent": [self._user_agent], "Content-Type": [self._serializer.content_type]})
        if self._secret:
            headers.addRawHeader(SIGNATURE_HEADER, f"sha256={hmac.digest(self._secret, body, 'sha256').hex()}")
        response: IResponse = await self._agent.request(b"POST", self._address.uri, headers, _Body(body))
        await _Discard.body_of(response)
        return int(response.code)

    async def _wait(self, reason: str) -> None:
        """Pause as long as the last failures demand. A connection that was lost may only have been idle for too long."""
        if self._failures == 1:
            return
        exponent = min(self._failures - 2, 16)
        seconds = min(LONGEST_PAUSE, FIRST_PAUSE * 2**exponent) * (1 - JITTER * random())
        if self._failures == 2:
            self.log.warn("{url} does not take events: {reason}; it is tried again", url=self._address.shown, reason=reason)
        waiting: Deferred[None] = Deferred()
        self._pause = waiting, self._clock.callLater(seconds, self._end_pause)
        await waiting

    def _end_pause(self) -> None:
        pause, self._pause = self._pause, None
        if pause is not None:
            waiting, call = pause
            if call.active():
                call.cancel()
            waiting.callback(None)

    def _recovered(self) -> None:
        failed, self._failures = self._failures > 1, 0
        dropped = self._backlog.take_dropped()
        if failed or dropped:
            url = self._address.shown
            self.log.info("{url} takes events again; {dropped} were lost meanwhile", url=url, dropped=dropped)

    def _named(self, event: Event, reason: str) -> dict[str, Any]:
        return {"type": event.type, "id": event.id, "url": self._address.shown, "reason": reason}


def keep_alive_agent(reactor: Any, trust: IPolicyForHTTPS | None = None) -> tuple[IAgent, Callable[[], "Deferred[Any]"]]:
    """An agent for one receiver, which keeps one connection, and how to close that. `trust` is by default the system's."""
    pool = HTTPConnectionPool(reactor)
    pool.maxPersistentPerHost = 1
    return Agent(reactor, trust or BrowserLikePolicyForHTTPS(), connectTimeout=TIMEOUT, pool=pool), pool.closeCachedConnections


@implementer(IBodyProducer)
class _Body:
    """A request body that is there already."""

    def __init__(self, body: bytes) -> None:
        self.length = len(body)
        self._body = body

    def startProducing(self, consumer: Any) -> "Deferred[None]":
        consumer.write(self._body)
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done

    def pauseProducing(self) -> None:
        """All has been written."""

    def resumeProducing(self) -> None:
        """All has been written."""

    def stopProducing(self) -> None:
        """All has been written."""


class _Discard(Protocol):
    """Reads an answer's body to its end, or to `MAX_ANSWER`."""

    transport: Any

    def __init__(self, finished: Callable[[], None]) -> None:
        self._finished = finished
        self._left = MAX_ANSWER

    @classmethod
    async def body_of(cls, response: IResponse) -> None:
        """Return when the body of the response is over."""
        reader: _Discard
        over: Deferred[None] = Deferred(lambda _: reader.transport.loseConnection())
        reader = cls(lambda: None if over.called else over.callback(None))
        response.deliverBody(reader)
        await over

    def dataReceived(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._finished()


def _reason(error: Exception) -> str:
    """Why a request failed, in a few words."""
    if isinstance(error, ResponseNeverReceived):
        with suppress(IndexError, AttributeError):
            error = error.reasons[0].value
    if isinstance(error, ConnectionDone | ConnectionLost):
        return "the connection was lost"
    return str(error).rstrip(".") or type(error).__name__
