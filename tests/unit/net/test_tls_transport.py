"""The transport under TLS: straight to the socket while it takes bytes, through the reactor while it does not."""

import socket
from collections.abc import Iterator

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock

from ems.net.tls_transport import DirectTlsFactory, DirectTransport


class Reactor:
    """A TCP transport whose buffer is emptied when the test says so."""

    def __init__(self, handle: socket.socket) -> None:
        self.handle = handle
        self.buffer = bytearray()
        self.producer: DirectTransport | None = None
        self.closed = False

    def getHandle(self) -> socket.socket:
        return self.handle

    def registerProducer(self, producer: DirectTransport, streaming: bool) -> None:
        assert not streaming
        self.producer = producer
        producer.resumeProducing()

    def unregisterProducer(self) -> None:
        self.producer = None

    def loseConnection(self) -> None:
        self.closed = True

    def write(self, data: bytes) -> None:
        self.buffer += data

    def drain(self) -> bytes:
        """Everything that waits goes out."""
        waiting, self.buffer = bytes(self.buffer), bytearray()
        if self.producer is not None:
            self.producer.resumeProducing()
        return waiting


class Producer:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection."""
    near, far = socket.socketpair()
    near.setblocking(False)
    yield near, far
    near.close()
    far.close()


def test_what_the_socket_takes_goes_at_once(ends: tuple[socket.socket, socket.socket]) -> None:
    """A write is at the other end before the reactor has had a turn."""
    transport = DirectTransport(Reactor(ends[0]))
    transport.write(b"record")
    assert ends[1].recv(100) == b"record"


def test_what_it_refuses_waits_in_order(ends: tuple[socket.socket, socket.socket]) -> None:
    """For a peer that does not read, bytes wait in the reactor's buffer; none is lost, doubled or overtaken by a later one."""
    reactor, producer = Reactor(ends[0]), Producer()
    transport = DirectTransport(reactor)
    transport.registerProducer(producer, True)
    sent = bytearray()
    while not reactor.buffer:
        record = len(sent).to_bytes(4, "big") * 5000
        transport.write(record)
        sent += record
    transport.write(b"later")
    assert producer.told == ["pause"]
    ends[1].setblocking(False)
    received = bytearray()
    while len(received) < len(sent) + 5 - len(reactor.buffer):
        received += ends[1].recv(1 << 20)
    received += reactor.drain()
    assert bytes(received) == bytes(sent) + b"later"
    assert producer.told == ["pause", "resume"]
    transport.write(b"direct again")
    assert ends[1].recv(100) == b"direct again"


def test_closing(ends: tuple[socket.socket, socket.socket]) -> None:
    """What is written before a close waits for the reactor, which closes then; a broken connection is the reactor's to tell."""
    reactor = Reactor(ends[0])
    transport = DirectTransport(reactor)
    ends[1].close()
    transport.write(b"to nobody")
    assert reactor.drain() == b"to nobody"
    transport.loseConnection()
    transport.write(b"last")
    assert (reactor.closed, reactor.producer, reactor.drain()) == (True, None, b"last")


def test_who_is_turned_away_gets_no_tls() -> None:
    """Where the server behind TLS wants no connection there is none, so that the port closes the socket."""

    class Full(Factory):
        def buildProtocol(self, addr: object) -> None:
            return None

    factory = DirectTlsFactory(CertificateOptions(), False, Full(), Clock())
    assert factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 40_000)) is None


def test_losing(ends: tuple[socket.socket, socket.socket]) -> None:
    """Whoever produces is told when the connection is gone."""
    producer = Producer()
    transport = DirectTransport(Reactor(ends[0]))
    transport.registerProducer(producer, True)
    transport.stopProducing()
    assert producer.told == ["stop"]
