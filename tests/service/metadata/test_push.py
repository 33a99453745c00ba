"""pushMetadata: every new metadata of a stream goes to another server, over real sockets."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogEvent

from ems.api.commands import load_commands
from ems.api.reply import Reply
from ems.api.request import parse_request
from ems.config import AcceptorConfig
from ems.metadata.push import Push, Target
from ems.testing import testing_server
from tests.conversation import sleep


class Receiver(Protocol):
    """Another server's end."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = True


class Far(Factory):
    """Another server: its `connections`, in the order in which they came."""

    noisy = False

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.connections: list[Receiver] = []
        self.port: Any = reactor.listenTCP(0, self, interface="127.0.0.1")

    @property
    def number(self) -> int:
        """Its port."""
        return int(self.port.getHost().port)

    def buildProtocol(self, addr: Any) -> Receiver:
        self.connections.append(Receiver())
        return self.connections[-1]


class Near:
    """Our server, and what it is told."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.server = testing_server(reactor)
        self.server.acceptors = type(self.server.acceptors)(self.server, reactor)
        self.far = Far(reactor)
        self._commands = load_commands()

    async def tell(self, line: str) -> Reply:
        """Have a command carried out."""
        request = parse_request(line)
        assert request is not None
        return await self._commands.execute(self.server, request)

    async def until(self, condition: Any) -> None:
        """Wait for a condition; AssertionError when it does not come."""
        for _ in range(1000):
            if condition():
                return
            await sleep(self.reactor, 0.005)
        raise AssertionError("waited in vain")

    async def close(self) -> None:
        """Nothing is connected in the end."""
        self.server.metadata.stopService()
        await self.far.port.stopListening()
        for connection in self.far.connections:
            connection.transport.abortConnection()  # type: ignore[union-attr]
        await self.until(lambda: not len(self.server.connections))
        await self.server.acceptors.stopService()
        self.server.connections.stopService()


@pytest_twisted.async_yield_fixture
async def near(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Near]:
    """Our server and another; attempts follow each other quickly."""
    from twisted.internet import reactor

    monkeypatch.setattr(Push, "FIRST_PAUSE", 0.02)
    made = Near(reactor)
    yield made
    await made.close()


@ensureDeferred
async def test_new_metadata_is_sent(near: Near) -> None:
    """The receiver gets each envelope as it is, one behind the other, and only those of the stream."""
    reply = await near.tell(f"pushMetadata localStreamName=lobby port={near.far.number} _mine=1")
    assert reply.description == "Launched Metadata Push Stream"
    assert reply.data == {
        "applicationName": "evostreamms",
        "ip": "127.0.0.1",
        "keepAlive": True,
        "localStreamName": "lobby",
        "name": "evostreamms",
        "port": near.far.number,
        "protocol": "outboundVmf",
        "streamName": "lobby",
        "type": "vmf",
        "_mine": "1",
    }
    await near.until(lambda: len(near.server.connections) == 1)
    sent = [near.server.metadata.publish(name, text) for name, text in (("lobby", '{"a":1}'), ("yard", "2"), ("lobby", "3"))]
    expected = (sent[0].text + sent[2].text).encode()
    await near.until(lambda: near.far.connections and len(near.far.connections[0].received) >= len(expected))
    assert near.far.connections[0].received == expected


@ensureDeferred
async def test_a_lost_receiver_is_connected_again(near: Near) -> None:
    """With keepAlive the push lives on, and what is new then arrives."""
    await near.tell(f"pushMetadata localStreamName=lobby port={near.far.number}")
    for number in range(3):
        await near.until(lambda number=number: len(near.far.connections) > number and len(near.server.connections) == 1)
        connection = near.far.connections[number]
        near.server.metadata.publish("lobby", str(number))
        await near.until(lambda connection=connection: connection.received)
        connection.transport.abortConnection()  # type: ignore[union-attr]
        await near.until(lambda connection=connection: connection.lost)


@ensureDeferred
async def test_without_keepalive_a_loss_ends_it(near: Near) -> None:
    """The push is forgotten when the other side goes, or is not there."""
    port = near.far.number
    await near.tell(f"pushMetadata localStreamName=lobby port={port} keepAlive=0")
    await near.until(lambda: near.far.connections and near.far.connections[0].connected)
    near.far.connections[0].transport.abortConnection()  # type: ignore[union-attr]
    await near.until(lambda: Target("lobby", "127.0.0.1", port) not in near.server.metadata.pushes)


@ensureDeferred
async def test_shutting_it_down(near: Near) -> None:
    """The connection ends, and there is no other; shutting down what is not there fails."""
    port = near.far.number
    await near.tell(f"pushMetadata localStreamName=lobby port={port}")
    again = await near.tell(f"pushMetadata localStreamName=lobby port={port}")
    assert again.description == f"Unable to push metadata: that of lobby goes to 127.0.0.1:{port} already"
    await near.until(lambda: len(near.server.connections) == 1)
    reply = await near.tell("shutdownMetadata localStreamName=lobby")
    assert (reply.description, reply.data) == (
        "Shutdown Metadata Push Stream",
        {"localStreamName": "lobby", "streamName": "lobby", "type": "vmf"},
    )
    await near.until(lambda: near.far.connections[0].lost)
    reply = await near.tell("shutdownMetadata localStreamName=lobby")
    assert reply.description == "Unable to shutdown metadata: nothing is pushed of lobby"


@ensureDeferred
async def test_a_push_to_nobody_can_be_shut_down(near: Near) -> None:
    """While it tries to connect, and while it pauses, it ends at once."""
    port = near.far.number
    await near.far.port.stopListening()
    await near.tell(f"pushMetadata localStreamName=lobby port={port}")
    await sleep(near.reactor, 0.03)
    await near.tell("shutdownMetadata localStreamName=lobby")
    near.far = Far(near.reactor)
    assert not len(near.server.connections)


def test_a_push_that_is_still_connecting_ends_for_good(log_events: list[LogEvent]) -> None:
    """Shut down while the other host does not answer: it is not tried again later, and the log does not call it a failure."""
    clock = MemoryReactorClock()
    push = Push(clock, Target("lobby", "192.0.2.8", 8110), lambda: pytest.fail("nothing was connected"), None)
    push.start()
    push.stop()
    assert clock.connectors[0].stoppedConnecting
    assert clock.getDelayedCalls() == []
    assert log_events == []


@ensureDeferred
async def test_a_receiver_that_does_not_read_gets_the_newest(near: Near) -> None:
    """It costs no memory, and when it reads again it gets what is newest."""
    await near.tell(f"pushMetadata localStreamName=lobby port={near.far.number}")
    await near.until(lambda: near.far.connections and len(near.server.connections) == 1)
    receiver: Any = near.far.connections[0]
    receiver.transport.pauseProducing()
    sender: Any = next(iter(near.server.connections))
    for number in range(1000):
        near.server.metadata.publish("lobby", json.dumps([number, "x" * 60_000]))
        if sender._paused and number > 300:
            break
        await sleep(near.reactor, 0)
    assert sender._paused
    last = near.server.metadata.publish("lobby", '"the last"')
    receiver.transport.resumeProducing()
    await near.until(lambda: receiver.received.endswith(last.text.encode()))


@ensureDeferred
async def test_a_push_to_itself_is_refused(near: Near) -> None:
    """The default port is that of our own listener: metadata would go in a circle."""
    port = near.server.acceptors.create(AcceptorConfig(ip="0.0.0.0", protocol="inboundJsonMeta")).port
    reply = await near.tell(f"pushMetadata localStreamName=lobby port={port}")
    assert reply.description == f"Unable to push metadata: 127.0.0.1:{port} is this very server"
    reply = await near.tell("pushMetadata localStreamName=lobby ip=169.254.169.254")
    assert reply.description.startswith("the server does not connect to 169.254.169.254")
