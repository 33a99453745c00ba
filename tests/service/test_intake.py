"""Many publishers at once are read in passes, and nothing of theirs is lost, late or left open."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol

from ems.net.connection import Connection
from ems.net.intake import Intake
from ems.net.registry import ConnectionRegistry
from tests.service.api.doors import until


class Source(Connection):
    """A connection that joins the intake with its first byte, and breaks at a byte of 255."""

    intake: Intake

    def opened(self) -> None:
        self.received = bytearray()
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        if 255 in data:
            raise ValueError("broken")
        self.received += data
        self.intake.add(self)

    def closed(self, reason: str) -> None:
        self.intake.discard(self)
        self.lost = True


class House:
    """A port whose connections are `sources`, in the order they came."""

    def __init__(self) -> None:
        self.registry = ConnectionRegistry(cast(Any, reactor))
        self.intake = Intake(cast(Any, reactor))
        self.sources: list[Source] = []
        self.port: Any = None

    async def open(self, count: int) -> list[Protocol]:
        """Listen and connect that many clients, each of which has sent one byte that has come."""
        factory = Factory()
        factory.buildProtocol = self._build  # type: ignore[method-assign,assignment]
        self.port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
        clients = []
        for number in range(count):
            endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port)
            client = await connectProtocol(endpoint, Protocol())
            client.transport.write(b"\0")
            await until(lambda number=number: len(self.sources) > number and self.sources[number].received)
            clients.append(client)
        return clients

    def _build(self, address: object) -> Source:
        source = Source(self.registry)
        source.intake = self.intake
        self.sources.append(source)
        return source


@pytest.fixture
def house() -> Iterator[House]:
    """A house, closed at the end."""
    house = House()
    yield house
    house.port.stopListening()
    for source in house.sources:
        if not source.lost:
            cast(Any, source.transport).abortConnection()


@ensureDeferred
async def test_every_byte_arrives_in_order_also_while_more_and_fewer_publish(house: House) -> None:
    """What 20 publishers send arrives whole, in either way of reading and over the change from one to the other."""
    clients = await house.open(20)
    sent = [b"\0"] * 20
    for round_ in range(1, 40):
        for number, client in enumerate(clients):
            piece = bytes((round_,)) * (7 + 5000 * (number == round_ % 20))
            cast(Any, client.transport).write(piece)
            sent[number] += piece
        if round_ == 20:
            for source in house.sources[4:]:
                house.intake.discard(source)
    await until(lambda: [bytes(source.received) for source in house.sources] == sent)


@ensureDeferred
async def test_a_publisher_that_hangs_up_is_noticed(house: House) -> None:
    """A connection that ends or is reset while it is read in passes is closed as any other."""
    clients = await house.open(Intake.THRESHOLD + 2)
    cast(Any, clients[0].transport).loseConnection()
    cast(Any, clients[1].transport).abortConnection()
    await until(lambda: house.sources[0].lost and house.sources[1].lost)
    assert not any(source.lost for source in house.sources[2:])


@ensureDeferred
async def test_one_that_breaks_costs_itself_only(house: House) -> None:
    """An error of ours with one publisher's bytes ends that connection and no other."""
    clients = await house.open(Intake.THRESHOLD)
    cast(Any, clients[3].transport).write(b"\xff")
    await until(lambda: house.sources[3].lost)
    cast(Any, clients[4].transport).write(b"more")
    await until(lambda: bytes(house.sources[4].received) == b"\0more")
    assert sum(source.lost for source in house.sources) == 1


def test_what_has_no_socket_stays_with_the_reactor() -> None:
    """TLS and tunnels cannot be read past their own layers, and are left alone."""
    intake = Intake(cast(Any, None))
    for _ in range(Intake.THRESHOLD):
        intake.add(cast(Connection, SimpleNamespace(transport=object())))


def test_the_more_publishers_the_rarer_a_pass() -> None:
    """Few are read as often as pictures come, many up to 50 ms later: it is the passes that cost."""
    intake = Intake(cast(Any, None))
    intervals = []
    for publishers in (16, 32, 40, 1000):
        intake._members = dict.fromkeys(cast(Any, range(publishers)), cast(Any, None))
        intervals.append(intake.interval)
    assert intervals == [0.03, 0.04, 0.05, 0.05]
