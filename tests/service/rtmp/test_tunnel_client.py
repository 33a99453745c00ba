"""The client's side of the tunnel through HTTP: against our own server, and against servers that misbehave."""

import socket
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from time import monotonic
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost, ConnectionRefusedError, TimeoutError
from twisted.logger import LogEvent
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from ems.errors import RemoteProtocolError
from ems.protocols.rtmp import tunnel_client
from ems.protocols.rtmp.tunnel_client import connect_tunnel
from ems.uri import Uri
from tests.conversation import AVC_HEADER, VIDEO, LoopbackWorld, avc, group, sleep, video
from tests.processes import free_port
from tests.service.rtmp.loopback import Ending, open_door, tunnel, until

Reply = tuple[int, bytes] | None
"""Status and body of a reply; None: no reply at all."""


class Strange(Resource):
    """An HTTP server that answers each request as the test says, and remembers the requests and when they came."""

    isLeaf = True

    def __init__(self, answer: Callable[[str, bytes], Reply]) -> None:
        super().__init__()
        self.requests: list[tuple[str, bytes]] = []
        self.times: list[float] = []
        self._answer = answer

    def render_POST(self, request: Any) -> bytes | int:
        """Answer."""
        path, body = request.path.decode(), request.content.read()
        self.requests.append((path, body))
        self.times.append(monotonic())
        reply = self._answer(path, body)
        if reply is None:
            return int(NOT_DONE_YET)
        request.setResponseCode(reply[0])
        return reply[1]


@pytest_twisted.async_yield_fixture
async def world(log_events: list[LogEvent]) -> AsyncIterator[LoopbackWorld]:
    """A server on a free port. Fails the test when the log has a traceback or the server keeps anything."""
    from twisted.internet import reactor

    made = LoopbackWorld(reactor)
    yield made
    await made.close()
    assert [event for event in log_events if "log_failure" in event] == []


@pytest_twisted.async_yield_fixture
async def strange(world: LoopbackWorld) -> AsyncIterator[Callable[[Callable[[str, bytes], Reply]], Any]]:
    """Starts servers of the test's own; the result waits for the port and the resource."""
    ports: list[Any] = []

    async def start(answer: Callable[[str, bytes], Reply]) -> tuple[int, Strange]:
        resource = Strange(answer)
        ports.append(await TCP4ServerEndpoint(world.reactor, 0, interface="127.0.0.1").listen(Site(resource)))
        return ports[-1].getHost().port, resource

    yield start
    for port in ports:
        await port.stopListening()


def session(path: str, body: bytes) -> Reply:
    """A server that opens sessions and has nothing to say in them."""
    return 200, b"abc\n" if path.startswith("/open") else b"\1"


@pytest_twisted.ensureDeferred
async def test_a_stream_goes_both_ways(world: LoopbackWorld) -> None:
    """What a client publishes through HTTP another one plays through HTTP, whole and in order."""
    port = open_door(world, "inboundRtmpt")
    publisher, player = await tunnel(world, port), await tunnel(world, port)
    await publisher.client.open()
    await publisher.client.publish("cam")
    publisher.client >> video(0, AVC_HEADER)
    await player.client.open()
    await player.client.play("cam")
    sent = group(0)
    for message in sent:
        publisher.client >> message
    await player.client.heard("video 160 inter")
    for message in [message for start in range(200, 2000, 200) for message in group(start)]:
        sent.append(message)
        publisher.client >> message
        await sleep(world.reactor, 0.005)
    await player.client.heard("video 1960 inter")
    received = [message for message in player.client.messages if message.type_id == VIDEO][1:]
    assert received == [message for message in sent if message.type_id == VIDEO]
    for ending in (publisher, player):
        ending.transport.loseConnection()  # type: ignore[union-attr]
    await until(world, lambda: publisher.reason and player.reason)
    assert world.server.streams.inbound == {}


@pytest_twisted.ensureDeferred
async def test_addresses_are_those_of_the_socket(world: LoopbackWorld) -> None:
    """The protocol learns both addresses, as from any transport."""
    port = open_door(world, "inboundRtmpt")
    ending = await tunnel(world, port)
    assert ending.transport is not None
    assert (ending.transport.getPeer().host, ending.transport.getPeer().port) == ("127.0.0.1", port)  # type: ignore[attr-defined]
    assert ending.transport.getHost().port not in (0, port)  # type: ignore[attr-defined]
    ending.transport.loseConnection()
    await until(world, lambda: ending.reason)


@pytest_twisted.ensureDeferred
async def test_last_words_are_sent_before_the_session_is_closed(world: LoopbackWorld, strange: Any) -> None:
    """What was written before the connection is closed arrives; then the server is told, and then it is over."""
    port, server = await strange(session)
    ending = await tunnel(world, port)
    assert ending.transport is not None
    ending.transport.write(b"x" * 1_000_000)
    ending.transport.loseConnection()
    await until(world, lambda: ending.reason)
    assert ending.reason is not None
    assert ending.reason.check(ConnectionDone)
    commands = [path.split("/")[1] for path, _ in server.requests]
    assert commands in (["open", "send", "send", "close"], ["open", "idle", "send", "send", "close"])
    assert b"".join(body for path, body in server.requests if path.startswith("/send")) == b"x" * 1_000_000
    assert [path.split("/")[-1] for path, _ in server.requests[1:]] == [str(n) for n in range(len(server.requests) - 1)]


@pytest_twisted.ensureDeferred
async def test_a_client_asks_as_often_as_it_is_told(world: LoopbackWorld, strange: Any) -> None:
    """A polling byte of 1 lets the client ask many times a second, one of 33 a few times; nonsense is taken for the nearest."""
    shortest = {}
    for polling in (1, 33, 255, 0):
        port, server = await strange(lambda path, body, polling=polling: (200, b"abc" if "open" in path else bytes((polling,))))
        ending = await tunnel(world, port)
        await until(world, lambda server=server: len(server.times) > 4)
        # The first pause is not the server's to say.
        shortest[polling] = min(after - before for before, after in pairwise(server.times[2:]))
        ending.transport.abortConnection()  # type: ignore[union-attr]
        await until(world, lambda ending=ending: ending.reason)
    assert shortest[33] > 0.4 < shortest[255]
    assert shortest[1] < 0.3 > shortest[0]


@pytest.mark.parametrize("body", [b"", b"\n", b"<html>Welcome</html>", b"../../x\n", b"a" * 300, b"\xff\xfe"])
@pytest_twisted.ensureDeferred
async def test_a_server_that_does_not_speak_rtmpt_is_told_from_one_that_does(
    world: LoopbackWorld, strange: Any, body: bytes
) -> None:
    """An answer to open that is no session id fails the attempt, with words."""
    port, server = await strange(lambda path, _: (200, body))
    with pytest.raises(RemoteProtocolError, match="RTMPT session"):
        await tunnel(world, port)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 403, 404, 500, 503])
@pytest_twisted.ensureDeferred
async def test_an_error_to_open_fails_the_attempt(world: LoopbackWorld, strange: Any, status: int) -> None:
    """Every status but 200 is the end, and is named."""
    port, _ = await strange(lambda path, _: (status, b"abc"))
    with pytest.raises(RemoteProtocolError, match=str(status)):
        await tunnel(world, port)


@pytest_twisted.ensureDeferred
async def test_nobody_there_fails_the_attempt(world: LoopbackWorld) -> None:
    """A refused connection is told as such."""
    with pytest.raises(ConnectionRefusedError):
        await tunnel(world, free_port())


@pytest.mark.parametrize("answer", [(404, b""), (500, b"\1"), (200, b"")])
@pytest_twisted.ensureDeferred
async def test_an_error_later_is_the_end_of_the_connection(world: LoopbackWorld, strange: Any, answer: Reply) -> None:
    """When the server forgets the session or fails, the protocol is told that its connection is lost, and why."""
    port, _ = await strange(lambda path, body: session(path, body) if "open" in path else answer)
    ending = await tunnel(world, port)
    await until(world, lambda: ending.reason)
    assert ending.reason is not None
    assert ending.reason.check(ConnectionLost)
    assert "HTTP status" in str(ending.reason.value) or "empty answer" in str(ending.reason.value)


@pytest_twisted.ensureDeferred
async def test_an_answer_without_end_is_cut_off(world: LoopbackWorld, strange: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one reply may hold is bounded."""
    monkeypatch.setattr(tunnel_client, "MAX_REPLY", 100_000)
    port, _ = await strange(lambda path, body: session(path, body) if "open" in path else (200, bytes(200_000)))
    ending = await tunnel(world, port)
    await until(world, lambda: ending.reason)
    assert ending.client.received_bytes == 0


@pytest.mark.parametrize("silent_to", ["open", "idle"])
@pytest_twisted.ensureDeferred
async def test_a_server_that_does_not_answer_is_given_up(
    world: LoopbackWorld, strange: Any, monkeypatch: pytest.MonkeyPatch, silent_to: str
) -> None:
    """A request that is not answered in time is the end of the attempt, or of the connection."""
    monkeypatch.setattr(tunnel_client, "REPLY_SECONDS", 0.3)
    port, _ = await strange(lambda path, body: None if silent_to in path else session(path, body))
    if silent_to == "open":
        with pytest.raises(TimeoutError, match="no reply within"):
            await tunnel(world, port)
        return
    ending = await tunnel(world, port)
    await until(world, lambda: ending.reason)


@pytest_twisted.ensureDeferred
async def test_fields_of_ip(world: LoopbackWorld, strange: Any) -> None:
    """ttl and tos hold for what goes through HTTP as well."""
    port, _ = await strange(session)
    protocol = Ending()
    uri = Uri.parse(f"rtmpt://127.0.0.1:{port}/live")
    await connect_tunnel(world.reactor, uri, protocol, {"ttl": 9, "tos": 0x20})
    transport: Any = protocol.transport
    handle = transport._link._transport.getHandle()
    assert [handle.getsockopt(socket.IPPROTO_IP, name) for name in (socket.IP_TTL, socket.IP_TOS)] == [9, 0x20]
    transport.abortConnection()
    await until(world, lambda: protocol.reason)


@pytest_twisted.ensureDeferred
async def test_an_attempt_can_be_given_up(world: LoopbackWorld, strange: Any) -> None:
    """Cancelling lets go of the connection, before the session is there."""
    port, server = await strange(lambda path, body: None)
    protocol = Ending()
    attempt: Deferred[Any] = connect_tunnel(world.reactor, Uri.parse(f"rtmpt://127.0.0.1:{port}/live"), protocol, {})
    await until(world, lambda: server.requests)
    attempt.cancel()
    with pytest.raises(CancelledError):
        await attempt
    assert protocol.transport is None


@pytest.mark.parametrize("when", ["waiting", "asking"])
@pytest_twisted.ensureDeferred
async def test_aborting_ends_it_at_once(world: LoopbackWorld, strange: Any, when: str) -> None:
    """An aborted connection is over without another request, whether or not one is under way."""
    port, server = await strange(lambda path, body: None if when == "asking" and "idle" in path else session(path, body))
    ending = await tunnel(world, port)
    if when == "asking":
        await until(world, lambda: len(server.requests) == 2)
    ending.transport.abortConnection()  # type: ignore[union-attr]
    await until(world, lambda: ending.reason, 1)
    assert ending.reason is not None
    assert ending.reason.check(ConnectionAborted)
    count = len(server.requests)
    await sleep(world.reactor, 0.1)
    assert len(server.requests) == count


@pytest_twisted.ensureDeferred
async def test_a_publisher_is_slowed_to_what_the_server_takes(world: LoopbackWorld, strange: Any) -> None:
    """A producer is paused while a request is under way and much waits, and goes on afterwards."""
    port, server = await strange(session)
    ending = await tunnel(world, port)
    told: list[str] = []

    class Producer:
        def pauseProducing(self) -> None:
            told.append("pause")

        def resumeProducing(self) -> None:
            told.append("resume")

        def stopProducing(self) -> None:
            told.append("stop")

    transport: Any = ending.transport
    transport.registerProducer(Producer(), True)
    transport.write(avc(bytes(600_000), key=True))
    assert told == ["pause"]
    await until(world, lambda: told == ["pause", "resume"])
    transport.unregisterProducer()
    transport.loseConnection()
    await until(world, lambda: ending.reason)
    assert max(len(body) for _, body in server.requests) <= tunnel_client.MAX_SEND
