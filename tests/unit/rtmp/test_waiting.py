"""The transport whose output waits to be fetched: it keeps Twisted's promises to protocols and producers."""

from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IConsumer, ITransport
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from ems.protocols.rtmp.waiting import WaitingTransport

HIGH_WATER = 1000


class Peer:
    """The protocol and the producer of a transport: it writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def makeConnection(self, transport: Any) -> None:
        self.transport = transport

    def connectionLost(self, reason: Any) -> None:
        self.told.append(reason.type)

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


class Closing(WaitingTransport):
    """One that ends as soon as it may, as that of the server does."""

    def changed(self) -> None:
        if self.finished:
            self.end(ConnectionDone())


@pytest.fixture
def clock() -> Clock:
    """The time."""
    return Clock()


@pytest.fixture
def peer(clock: Clock) -> Peer:
    """A protocol on its transport."""
    made = Peer()
    address = IPv4Address("TCP", "192.0.2.1", 80)
    Closing(clock, address, address, HIGH_WATER).attach(made)
    return made


def test_it_is_a_transport_and_a_consumer(peer: Peer) -> None:
    """Whatever works on a transport that cannot be asked for a socket works on it."""
    assert verifyObject(ITransport, peer.transport)
    assert verifyObject(IConsumer, peer.transport)
    assert not hasattr(peer.transport, "getHandle")


def test_what_is_written_waits_in_order(peer: Peer) -> None:
    """Everything written is fetched once, in order, in pieces of any size."""
    peer.transport.write(b"abc")
    peer.transport.write(b"")
    peer.transport.writeSequence([b"de", b"f"])
    assert [peer.transport.fetch(4), peer.transport.fetch(), peer.transport.fetch()] == [b"abcd", b"ef", b""]


def test_a_producer_pauses_while_too_much_waits(peer: Peer) -> None:
    """A producer is paused once above the mark, and resumed when all has been fetched."""
    peer.transport.registerProducer(peer, True)
    peer.transport.write(bytes(HIGH_WATER))
    assert peer.told == []
    peer.transport.write(b"x")
    peer.transport.write(b"y")
    assert peer.told == ["pause"]
    peer.transport.fetch(HIGH_WATER)
    assert peer.told == ["pause"]
    peer.transport.fetch()
    assert peer.told == ["pause", "resume"]


def test_only_one_push_producer_fits(peer: Peer) -> None:
    """A pull producer would never be asked, and two would mix: both are mistakes of the caller."""
    with pytest.raises(RuntimeError):
        peer.transport.registerProducer(peer, False)
    peer.transport.registerProducer(peer, True)
    with pytest.raises(RuntimeError):
        peer.transport.registerProducer(peer, True)


def test_losing_the_connection_waits_for_what_is_written(peer: Peer, clock: Clock) -> None:
    """The end comes when everything has been fetched and the producer is gone, and not at once."""
    peer.transport.registerProducer(peer, True)
    peer.transport.write(b"last words")
    peer.transport.loseConnection()
    peer.transport.unregisterProducer()
    clock.advance(1)
    assert peer.told == []
    assert peer.transport.fetch() == b"last words"
    assert peer.told == []
    clock.advance(0)
    assert peer.told == [ConnectionDone]


def test_aborting_waits_for_nothing(peer: Peer, clock: Clock) -> None:
    """What waits is lost, the producer is stopped, and the protocol learns of it once, in the reactor's next turn."""
    peer.transport.registerProducer(peer, True)
    peer.transport.write(b"lost")
    peer.transport.abortConnection()
    peer.transport.abortConnection()
    peer.transport.write(b"lost, too")
    assert peer.told == []
    clock.advance(0)
    assert peer.told == ["stop", ConnectionAborted]
    assert peer.transport.fetch() == b""


def test_what_heeds_no_pause_is_bounded(peer: Peer, clock: Clock) -> None:
    """Who writes on and on although nothing is fetched loses the connection, and the memory is free."""
    for _ in range(20):
        peer.transport.write(bytes(1 << 20))
    assert peer.transport.fetch() == b""
    clock.advance(0)
    assert peer.told == [ConnectionAborted]
