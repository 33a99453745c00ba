"""RTSP through HTTP, the client's side: two HTTP requests that stay open make one connection.

The way that QuickTime went to pass firewalls: a GET whose answer never ends brings what the server sends, RTSP and interleaved
RTP as they are; a POST whose body never ends takes what the client sends, in base64. A cookie of the client's choice,
``x-sessioncookie``, tells the server that the two belong together. They go to the server itself, with the path as their target,
or to a proxy, with the whole address.
"""

import re
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IAddress, IStreamClientEndpoint, ITransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from ems.errors import RemoteProtocolError
from ems.net.dialing import connect
from ems.protocols.rtsp.client_login import Login

ANSWER_SECONDS = 10
"""Until the server has answered the GET."""

MAX_HEAD = 16 << 10
"""Bytes of an HTTP answer up to its body."""

MAX_LOGINS = 3
"""Requests until we are let in: the first one, one with an answer to the challenge, one more for a stale nonce."""

BODY_SIZE = 0x7FFFFFFF
"""What the POST announces as its Content-Length. Nobody sends that much; some servers read no further than it says."""

_STATUS = re.compile(r"HTTP/1\.[01] +([0-9]{3})(?: +(.*))?")


class Gate(NamedTuple):
    """Where the two requests go: the endpoint, their target, and the value of Host.

    `check` raises for an address that we must not talk to; it is called when connected, before anything is sent. `settings` are
    those of `ems.net.dialing.connect`.
    """

    endpoint: IStreamClientEndpoint
    target: str
    host: str
    check: Callable[[str], None]
    settings: Mapping[str, Any]


class HttpAnswer(NamedTuple):
    """The status of an answer, its reason, and its headers in order, their names in lower case."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]

    def values(self, name: str) -> list[str]:
        """The values of all headers of that name."""
        return [value for key, value in self.headers if key == name]


def connect_tunnel(reactor: Any, gate: Gate, protocol: Any, login: Login, user_agent: str) -> "Deferred[Any]":
    """Open a tunnel and connect the protocol to it.

    Fires with the protocol, connected; fails with the network's error, with `CommandError` of `Gate.check`, or with
    `RemoteProtocolError` when the other side opens no tunnel. It can be cancelled.
    """
    return Deferred.fromCoroutine(_connect(reactor, gate, protocol, login, user_agent))


async def _connect(reactor: Any, gate: Gate, protocol: Any, login: Login, user_agent: str) -> Any:
    cookie = secrets.token_urlsafe(16)  # 22 characters, as QuickTime's
    get = await _open_get(reactor, gate, cookie, login, user_agent)
    try:
        post = await _leg(gate)
    except BaseException:
        get.close()
        raise
    post.write(_head("POST", gate, cookie, login, user_agent, f"Content-Length: {BODY_SIZE}"))
    TunnelTransport(get, post).attach(protocol)
    return protocol


async def _open_get(reactor: Any, gate: Gate, cookie: str, login: Login, user_agent: str) -> "HttpLeg":
    """The GET, answered with 200."""
    for attempt in range(MAX_LOGINS):
        get = await _leg(gate)
        get.write(_head("GET", gate, cookie, login, user_agent, "Accept: application/x-rtsp-tunnelled"))
        try:
            answer = await get.answer.addTimeout(ANSWER_SECONDS, reactor)
        except BaseException:
            get.close()
            raise
        if answer.status == 200:
            return get
        get.close()
        if answer.status != 401 or not login.challenged(answer.values("www-authenticate"), again=attempt > 0):
            break
    raise RemoteProtocolError(f"no tunnel through HTTP: {answer.status} {answer.reason}")


async def _leg(gate: Gate) -> "HttpLeg":
    leg: HttpLeg = await connect(gate.endpoint, HttpLeg(), gate.settings)
    try:
        gate.check(leg.peer.host)  # type: ignore[attr-defined]
    except BaseException:
        leg.close()
        raise
    return leg


def _head(method: str, gate: Gate, cookie: str, login: Login, user_agent: str, *more: str) -> bytes:
    lines = [
        f"{method} {gate.target} HTTP/1.0",
        f"Host: {gate.host}",
        f"User-Agent: {user_agent}",
        f"x-sessioncookie: {cookie}",
        "Content-Type: application/x-rtsp-tunnelled",
        "Pragma: no-cache",
        "Cache-Control: no-cache",
        *more,
    ]
    authorization = login.authorization(method, gate.target)
    if authorization:
        lines.append(f"Authorization: {authorization}")
    return "\r\n".join([*lines, "", ""]).encode("utf-8")


class HttpLeg(Protocol):
    """One of the two connections. `answer` fires with what the server answers; `body` is then given what follows.

    Nothing is read between the answer and `attach`: a server could send without end meanwhile.
    """

    transport: Any  # a transport with abortConnection and pauseProducing, which is more than Twisted's type says

    def __init__(self) -> None:
        self.answer: Deferred[HttpAnswer] = Deferred()
        self.body: Callable[[bytes], None] | None = None
        self.lost: Callable[[Failure], None] | None = None
        self._answered = False
        self._waiting = bytearray()

    @property
    def peer(self) -> IAddress:
        """The other side."""
        address: IAddress = self.transport.getPeer()
        return address

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def close(self) -> None:
        """Be gone; nobody is told."""
        self.lost = None
        self.answer.addErrback(lambda _: None)
        self.transport.abortConnection()

    def attach(self, body: Callable[[bytes], None], lost: Callable[[Failure], None]) -> None:
        """From now on hand on what comes, beginning with what has come already."""
        self.body, self.lost = body, lost
        if not self._answered:
            return
        waiting, self._waiting = bytes(self._waiting), bytearray()
        if waiting:
            body(waiting)
        self.transport.resumeProducing()

    def dataReceived(self, data: bytes) -> None:
        if self._answered and self.body is not None:
            self.body(data)
            return
        self._waiting += data
        if not self._answered:
            self._read_head()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self._answered:
            self._answered = True
            self.answer.errback(reason)
        if self.lost is not None:
            self.lost(reason)

    def _read_head(self) -> None:
        end = self._waiting.find(b"\r\n\r\n")
        if end < 0 and len(self._waiting) <= MAX_HEAD:
            return
        lines = self._waiting[: max(end, 0)].decode("utf-8", "replace").split("\r\n")
        status = _STATUS.fullmatch(lines[0])
        self._answered = True
        if status is None:
            self.answer.errback(Failure(RemoteProtocolError("no HTTP answer")))
            self.transport.abortConnection()
            return
        headers = tuple((name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:]))
        if self.body is None:
            self.transport.pauseProducing()
        rest, self._waiting = bytes(self._waiting[end + 4 :]), bytearray()
        self.answer.callback(HttpAnswer(int(status[1]), status[2] or "", headers))
        if rest:
            self.dataReceived(rest)


@implementer(ITransport)
class TunnelTransport:
    """The two connections as one transport."""

    def __init__(self, get: HttpLeg, post: HttpLeg) -> None:
        self._get = get
        self._post = post
        self._protocol: Any = None
        self.disconnecting = False

    def attach(self, protocol: Any) -> None:
        """Connect the protocol, which is given what has come already."""
        self._protocol = protocol
        protocol.makeConnection(self)
        self._post.answer.addCallbacks(self._answered, lambda _: None)
        self._post.attach(lambda data: None, self._lost)
        self._get.attach(self._received, self._lost)

    def write(self, data: bytes) -> None:
        """Send, as a group of base64 characters of its own."""
        self._post.write(b64encode(data))

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def getPeer(self) -> IAddress:
        return self._get.peer

    def getHost(self) -> IAddress:
        address: IAddress = self._get.transport.getHost()
        return address

    def loseConnection(self) -> None:
        """Close when everything is sent."""
        self.disconnecting = True
        self._post.transport.loseConnection()

    def abortConnection(self) -> None:
        """Close at once."""
        self.disconnecting = True
        self._post.transport.abortConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Who sends is told by the POST when to pause."""
        self._post.transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        self._post.transport.unregisterProducer()

    def _received(self, data: bytes) -> None:
        if self._protocol is not None:
            self._protocol.dataReceived(data)

    def _answered(self, answer: HttpAnswer) -> None:
        """Servers answer the POST at its end, if at all; an error is the end."""
        if answer.status >= 300:
            self._lost(Failure(ConnectionLost(f"{answer.status} {answer.reason}")))

    def _lost(self, reason: Failure) -> None:
        protocol, self._protocol = self._protocol, None
        if protocol is None:
            return
        for leg in (self._get, self._post):
            leg.close()
        protocol.connectionLost(Failure(ConnectionDone()) if self.disconnecting else reason)
