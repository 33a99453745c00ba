"""What every connection has in common: identity, addresses, counters, and a way to end it."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

if TYPE_CHECKING:
    from ems.net.registry import ConnectionRegistry


class Connection(Protocol):
    """A connection that the server knows of: the base of every protocol that an acceptor makes.

    Subclasses set `tags` (its layers, far to near, in the runtime API's words), override `opened`, `closed` and `tick`
    instead of Twisted's methods, and keep `bytes_received` and `bytes_sent`. `media` tells the ends of streams from those of
    the control doors, which the runtime API does not list. `close_level` is the level at which their end is logged.
    `idle_socket` is for `ems.net.idle`; `lingering` counts the seconds since the end has begun, -1 before.
    """

    __slots__ = ("bytes_received", "bytes_sent", "created", "first_id", "idle_socket", "lingering", "registry")
    """For those with many connections: what is not in slots is in a dictionary, which costs 1.5 KiB from 30 names on."""

    CLOSE_SECONDS = 5
    """What a peer gets to read what is left and to close its end; one that does not answer TLS's farewell would stay for ever."""

    log = Logger()
    close_level = LogLevel.info
    tags: tuple[str, ...] = ("TCP",)
    media = True

    def __init__(self, registry: "ConnectionRegistry") -> None:
        self.registry = registry
        self.first_id = 0
        self.created = 0.0
        self.bytes_received = 0
        self.bytes_sent = 0
        self.idle_socket = -1
        self.lingering = -1

    @property
    def layer_ids(self) -> tuple[int, ...]:
        """An id for each of `tags`."""
        return (self.first_id, *range(self.first_id + 2, self.first_id + len(self.tags) + 1))

    @property
    def carrier_id(self) -> int:
        """The socket's own id."""
        return self.first_id + 1

    @property
    def id(self) -> int:
        """The id of the nearest layer: the connection's own."""
        return self.layer_ids[-1]

    @property
    def near(self) -> tuple[str, int]:
        """Our address and port; nothing when the socket is gone, which alone knows them."""
        try:
            return _endpoint(self.transport.getHost()) if self.transport else ("", 0)
        except AttributeError:
            return "", 0

    @property
    def far(self) -> tuple[str, int]:
        """The peer's address and port."""
        return _endpoint(self.transport.getPeer()) if self.transport else ("", 0)

    @property
    def streams(self) -> list[Any]:
        """The inbound and outbound streams of this connection."""
        return []

    @property
    def details(self) -> dict[str, Any]:
        """What the peer says of itself, and further counters, in the runtime API's words."""
        return {}

    @property
    def settings(self) -> Mapping[str, Any]:
        """What was asked for when we have connected ourselves: the parameters of a pull or a push."""
        return {}

    def connectionMade(self) -> None:
        self.registry.add(self)
        self.opened()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.registry.remove(self)
        self.closed(reason.getErrorMessage())

    def opened(self) -> None:
        """The transport is there."""

    def closed(self, reason: str) -> None:
        """The transport is gone; let go of everything."""

    def tick(self, now: float) -> None:
        """Called about once a second until the end begins, for time-outs: `now` in the reactor's seconds."""

    def close(self, reason: str) -> None:
        """End the connection in good order; a peer that has not taken what is left after `CLOSE_SECONDS` is cut off."""
        self.end_begins(reason)
        if self.transport:
            self.transport.loseConnection()

    def end_begins(self, reason: str) -> None:
        """Log the end, from which on `linger` is called in the place of `tick`; `close` does it before anything else."""
        self.lingering = max(self.lingering, 0)
        text = "{peer} {tag} closed: {reason}"
        self.log.emit(self.close_level, text, peer=self.peer_name, tag=self.tags[-1], reason=reason)

    def linger(self) -> None:
        """Another second has passed since the end has begun: after `CLOSE_SECONDS` of them what is still there is cut off."""
        self.lingering += 1
        if self.lingering >= self.CLOSE_SECONDS:
            self.cut_off()

    def cut_off(self) -> None:
        """End the connection at once; it must not be lost yet."""
        transport: Any = self.transport
        if transport:
            transport.abortConnection()

    def hand_over(self, protocol: Protocol, data: bytes) -> None:
        """Leave the transport to another protocol, which receives `data` first; this connection was never there."""
        self.registry.remove(self)
        self.dataReceived = protocol.dataReceived  # type: ignore[method-assign]
        self.connectionLost = protocol.connectionLost  # type: ignore[method-assign]
        protocol.makeConnection(self.transport)
        protocol.dataReceived(data)

    @property
    def peer_name(self) -> str:
        """The peer for a log line."""
        host, port = self.far
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class ConnectionFactory(Factory):
    """Makes the connections of one acceptor, by `make`; each knows it as its `factory`."""

    noisy = False

    def __init__(self, make: Callable[[], Connection]) -> None:
        self.protocol = make


def _endpoint(address: IAddress) -> tuple[str, int]:
    return getattr(address, "host", ""), getattr(address, "port", 0)
