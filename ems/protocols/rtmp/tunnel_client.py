"""RTMP through HTTP (RTMPT), the client's side: a transport that fetches and sends by HTTP requests.

The requests are those of `ems.protocols.rtmp.tunnel`. One is under way at a time, over one connection that stays open: what
the protocol writes goes with the next one, and when it writes nothing the client asks for news, as often as the server's
polling byte suggests. A reply other than 200, or none in time, is the end: a session that misses bytes cannot be repaired.
"""

import re
from collections.abc import Mapping
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost, TimeoutError
from twisted.internet.interfaces import IAddress, IProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, HTTPConnectionPool, RequestTransmissionFailed, ResponseDone, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

from ems.errors import RemoteProtocolError
from ems.net.dialing import prepared, server_endpoint
from ems.protocols.rtmp.waiting import WaitingTransport
from ems.uri import Uri

REPLY_SECONDS = 15
"""For one request with its reply: a session whose server is silent for so long is lost there, too."""

MAX_REPLY = 32 << 20
"""Bytes of one reply: what a server may hold back for a client, twice."""

MAX_SEND = 512 << 10
"""Bytes of one request: proxies accept 1 MiB (nginx's client_max_body_size) unless told otherwise."""

HIGH_WATER = 512 << 10
"""Bytes that may wait for the next request before a producer is paused."""

SESSION_ID = re.compile(rb"[A-Za-z0-9_.~-]{1,256}")
"""What can be a session id: it becomes part of a path (RFC 3986 §2.3). Those of real servers have 16 to 32 characters."""

POLL_SECONDS = 0.03
"""The pause before asking again, for each unit of the polling byte: 33 times a second while something comes."""

MAX_POLL_SECONDS = 0.5

HEADERS = {
    b"Content-Type": [b"application/x-fcs"],
    b"User-Agent": [b"Shockwave Flash"],
    b"Accept": [b"*/*"],
    b"Cache-Control": [b"no-cache"],
}


def connect_tunnel(reactor: Any, uri: Uri, protocol: IProtocol, settings: Mapping[str, Any]) -> "Deferred[IProtocol]":
    """Open a session at the address and connect the protocol to it; `settings` are those of `ems.net.dialing.connect`.

    Fires with the protocol, connected; fails with the network's error, or with `RemoteProtocolError` when the other side does
    not speak RTMPT. It can be cancelled.
    """
    return Deferred.fromCoroutine(_connect(HttpLink(reactor, uri, settings), protocol))


async def _connect(link: "HttpLink", protocol: IProtocol) -> IProtocol:
    try:
        session_id = (await link.post("open/1", b"\0")).strip()
        if not SESSION_ID.fullmatch(session_id):
            raise RemoteProtocolError("the answer to open is not the id of an RTMPT session")
    except BaseException:
        link.close()
        raise
    transport = TunnelTransport(link, session_id.decode("ascii"))
    transport.attach(protocol)
    transport.begin()
    return protocol


class TunnelTransport(WaitingTransport):
    """The transport of one session at another server."""

    def __init__(self, link: "HttpLink", session_id: str) -> None:
        super().__init__(link.reactor, link.host, link.peer, HIGH_WATER)
        self._link = link
        self._session_id = session_id
        self._number = 0
        self._pause = POLL_SECONDS
        self._news: Deferred[None] | None = None

    def begin(self) -> None:
        """Send what has been written, and ask for news, until the session ends."""
        Deferred.fromCoroutine(self._run())

    def changed(self) -> None:
        if self._news is not None and (self._waiting or self.finished or not self.connected):
            news, self._news = self._news, None
            news.callback(None)

    def ended(self) -> None:
        self._link.close()
        self.changed()

    async def _run(self) -> None:
        try:
            while self.connected and not self.finished:
                await self._exchange()
            if self.connected:
                await self._request("close")
        except Exception as error:
            self.end(ConnectionLost(str(error)))
        else:
            self.end(ConnectionDone())

    async def _exchange(self) -> None:
        if not self._waiting and not self.finished:
            await self._wait_for_news()
        if not self.connected:
            return
        data = self.fetch(MAX_SEND)
        reply = await self._request("send" if data else "idle", data)
        self._pause = min(max(1, reply[0]) * POLL_SECONDS, MAX_POLL_SECONDS)
        if len(reply) > 1 and not self.disconnecting:
            self.protocol.dataReceived(reply[1:])

    async def _wait_for_news(self) -> None:
        news = self._news = Deferred()
        asking = self._link.reactor.callLater(self._pause, news.callback, None)
        await news
        self._news = None
        if asking.active():
            asking.cancel()

    async def _request(self, command: str, data: bytes = b"") -> bytes:
        # Some proxies refuse a POST without a body.
        reply = await self._link.post(f"{command}/{self._session_id}/{self._number}", data or b"\0")
        self._number += 1
        if not reply:
            raise RemoteProtocolError(f"an empty answer to {command}")
        return reply


@implementer(IAgentEndpointFactory)
class HttpLink:
    """The HTTP connection to one server, and its addresses once it is there."""

    def __init__(self, reactor: Any, uri: Uri, settings: Mapping[str, Any]) -> None:
        self.reactor = reactor
        self.host: IAddress = IPv4Address("TCP", "", 0)
        self.peer: IAddress = IPv4Address("TCP", uri.host, uri.port)
        self._uri = uri
        self._settings = settings
        host = f"[{uri.host}]" if ":" in uri.host else uri.host.encode("idna").decode("ascii")
        self._base = f"http://{host}:{uri.port}/"
        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = 1
        self._agent = Agent.usingEndpointFactory(reactor, self, self._pool)
        self._headers = Headers(HEADERS)
        self._transport: Any = None
        self._busy = False

    def endpointForURI(self, uri: URI) -> "HttpLink":
        """Ourselves (`IAgentEndpointFactory`): so we learn of the connection's addresses."""
        return self

    def connect(self, factory: Any) -> "Deferred[Any]":
        """Connect as an endpoint does."""
        # Two lines in the log for each connection would tell nothing.
        factory.noisy = False
        endpoint: Any = server_endpoint(self.reactor, self._uri.host, self._uri.port)
        connected: Deferred[Any] = endpoint.connect(factory)
        return connected.addCallback(self._connected)

    async def post(self, path: str, body: bytes) -> bytes:
        """The body of the reply. Raises what the network does, and `RemoteProtocolError` for another status than 200."""
        self._busy = True
        exchange = Deferred.fromCoroutine(self._post((self._base + path).encode("ascii"), body))
        try:
            return await exchange.addTimeout(REPLY_SECONDS, self.reactor, _too_late)
        finally:
            self._busy = False

    def close(self) -> None:
        """Let the connection go; a request that is under way fails."""
        if self._transport is not None and self._busy:
            self._transport.abortConnection()
        self._pool.closeCachedConnections()

    async def _post(self, url: bytes, body: bytes) -> bytes:
        try:
            response = await self._agent.request(b"POST", url, self._headers, Body(body))
        except (RequestTransmissionFailed, ResponseFailed) as error:
            raise error.reasons[-1].value from error
        reply = Reply()
        response.deliverBody(reply)
        content: bytes = await reply.complete
        if response.code != 200:
            raise RemoteProtocolError(f"HTTP status {response.code}")
        return content

    def _connected(self, protocol: Any) -> Any:
        self._transport = protocol.transport
        self.host, self.peer = self._transport.getHost(), self._transport.getPeer()
        return prepared(protocol, self._settings)


@implementer(IBodyProducer)
class Body:
    """The body of a request, written in one piece."""

    def __init__(self, data: bytes) -> None:
        self.length = len(data)
        self._data = data

    def startProducing(self, consumer: Any) -> "Deferred[None]":
        consumer.write(self._data)
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done

    def pauseProducing(self) -> None:
        """Everything is written already."""

    resumeProducing = stopProducing = pauseProducing


class Reply(Protocol):
    """The body of a reply of at most `MAX_REPLY` bytes: `complete` fires with it. Cancelled, it cuts the connection."""

    transport: Any  # a transport with abortConnection, which is more than Twisted's type says

    def __init__(self) -> None:
        self.complete: Deferred[bytes] = Deferred(lambda _: self.transport.abortConnection())
        self._parts: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= MAX_REPLY:
            self._parts.append(data)
        else:
            self._parts.clear()
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.complete.called:
            return
        if reason.check(ResponseDone) and self._size <= MAX_REPLY:
            self.complete.callback(b"".join(self._parts))
        else:
            self.complete.errback(reason)


def _too_late(result: Any, seconds: float) -> Any:
    raise TimeoutError(string=f"no reply within {seconds:g} s")
