"""Sockets of silent peers are off the reactor, and nothing that they do after all is missed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol

from ems.net.connection import Connection
from ems.net.registry import ConnectionRegistry
from tests.service.api.doors import until


class Silent(Connection):
    """A connection that is idle from the start."""

    def opened(self) -> None:
        self.received = b""
        self.lost = False
        self.registry.idle.add(self)

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def closed(self, reason: str) -> None:
        self.lost = True


@asynccontextmanager
async def silent_connections(count: int) -> AsyncIterator[tuple[ConnectionRegistry, list[Silent], list[Protocol]]]:
    """That many idle connections, and the peers at their other ends."""
    registry = ConnectionRegistry(cast(Any, reactor))
    connections: list[Silent] = []
    factory = Factory()

    def build(addr: object) -> Silent:
        connections.append(Silent(registry))
        return connections[-1]

    factory.buildProtocol = build  # type: ignore[method-assign,assignment]
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
    peers = []
    for number in range(count):
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        peers.append(await connectProtocol(endpoint, Protocol()))
        await until(lambda number=number: len(connections) > number and connections[number].transport)
    yield registry, connections, peers
    for peer in peers:
        peer.transport.abortConnection()
    await until(lambda: all(connection.lost for connection in connections))
    assert len(registry.idle) == 0
    await port.stopListening()
    registry.idle.close()


@ensureDeferred
async def test_what_an_idle_peer_says_is_heard() -> None:
    """A player that pauses after a quiet hour is answered at once; the others stay idle."""
    async with silent_connections(5) as (registry, connections, peers):
        assert len(registry.idle) == 5
        peers[3].transport.write(b"pause")
        await until(lambda: connections[3].received == b"pause")
        assert len(registry.idle) == 4
        registry.idle.add(connections[3])
        registry.idle.add(connections[3])
        assert len(registry.idle) == 5
        peers[3].transport.write(b"!")
        await until(lambda: connections[3].received == b"pause!")


@ensureDeferred
async def test_an_idle_peer_that_leaves_is_noticed() -> None:
    """Players who leave in good order, and those whose connection breaks, are gone from the server at once."""
    async with silent_connections(2) as (registry, connections, peers):
        peers[0].transport.loseConnection()
        peers[1].transport.abortConnection()
        await until(lambda: connections[0].lost and connections[1].lost)
        assert len(registry.idle) == 0


@ensureDeferred
async def test_an_idle_connection_can_be_closed_from_here() -> None:
    """Closing an idle connection sends what is left first; the number of its socket can be used again."""
    async with silent_connections(1) as (registry, connections, peers):
        received = bytearray()
        peers[0].dataReceived = received.extend
        connections[0].transport.write(b"last words")
        connections[0].close("a test")
        await until(lambda: connections[0].lost)
        await until(lambda: bytes(received) == b"last words")
        assert len(registry.idle) == 0
        async with silent_connections(1) as (_, others, more):
            more[0].transport.write(b"hello")
            await until(lambda: others[0].received == b"hello")
