"""Receivers of events that do what the test says: one without a network, and one on a real socket."""

import hashlib
import hmac
import json
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import Request
from twisted.web.iweb import IAgent
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

SILENT = 0
"""The answer of a receiver that never answers."""

DEAD = -1
"""The answer of a receiver that is not there."""


class Answer:
    """A response with a short body."""

    def __init__(self, code: int) -> None:
        self.code = code

    def deliverBody(self, protocol: Protocol) -> None:
        protocol.dataReceived(b"thank you")
        protocol.connectionLost(Failure(ResponseDone()))


class _Consumer:
    """Gathers a request's body."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data


@implementer(IAgent)
class FakeAgent:
    """An agent whose receiver answers with `answer`, a status, `SILENT` or `DEAD`. `times` are when it was asked."""

    def __init__(self, clock: Clock) -> None:
        self.answer = 200
        self.bodies: list[bytes] = []
        self.headers: list[Any] = []
        self.times: list[float] = []
        self.closed = False
        self._clock = clock

    def request(self, method: bytes, uri: bytes, headers: Any = None, bodyProducer: Any = None) -> "Deferred[Any]":
        consumer = _Consumer()
        bodyProducer.startProducing(consumer)
        assert bodyProducer.length == len(consumer.data)
        self.bodies.append(consumer.data)
        self.headers.append(headers)
        self.times.append(self._clock.seconds())
        if self.answer == SILENT:
            return Deferred()
        if self.answer == DEAD:
            return fail(ConnectionRefusedError())
        return succeed(Answer(self.answer))

    def close(self) -> "Deferred[None]":
        """What the sink calls at its end."""
        self.closed = True
        return succeed(None)

    def ids(self) -> list[int]:
        """The ids of all events it was sent, repetitions included."""
        return [json.loads(body)["id"] for body in self.bodies]


class Hook(Resource):
    """A web hook. It keeps every request, and answers with `status`; while `held` is a list, requests are held in it."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.status = 200
        self.events: list[dict[str, Any]] = []
        self.paths: list[bytes] = []
        self.hosts: list[str | None] = []
        self.agents: list[str | None] = []
        self.logins: list[str | None] = []
        self.signatures: list[str | None] = []
        self.bodies: list[bytes] = []
        self.peers: set[int] = set()
        self._channels: set[Any] = set()
        self.held: list[Request] | None = None

    def render_POST(self, request: Request) -> bytes | int:
        assert request.content is not None
        body = request.content.read()
        self.bodies.append(body)
        self.events.append(json.loads(body))
        self._channels.add(request.channel)
        self.paths.append(request.uri)
        self.hosts.append(request.getHeader("host"))
        self.agents.append(request.getHeader("user-agent"))
        self.logins.append(request.getHeader("authorization"))
        self.signatures.append(request.getHeader("x-ems-signature"))
        self.peers.add(request.getClientAddress().port)
        request.setResponseCode(self.status)
        if self.held is not None:
            self.held.append(request)
            return NOT_DONE_YET
        return b"thank you"

    def hang_up(self) -> None:
        """Cut all connections."""
        for channel in self._channels:
            channel.transport.abortConnection()
        self._channels.clear()


def signature(secret: str, body: bytes) -> str:
    """The header of a signed body, computed as docs/events.md says."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
