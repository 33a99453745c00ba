"""All connections of the server, and counters per kind of socket."""

from collections.abc import Iterator, Mapping
from itertools import count
from time import time
from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from ems.net.connection import Connection
from ems.net.idle import IdleSockets
from ems.net.limits import Limits


class SocketCounters:
    """How many sockets of one kind are and were open, and the bytes of those that are gone."""

    __slots__ = ("current", "in_bytes", "max", "out_bytes", "total")

    def __init__(self) -> None:
        self.current = self.max = self.total = self.in_bytes = self.out_bytes = 0

    def opened(self) -> None:
        self.current += 1
        self.total += 1
        self.max = max(self.max, self.current)

    def closed(self, received: int = 0, sent: int = 0) -> None:
        self.current -= 1
        self.in_bytes += received
        self.out_bytes += sent


class CounterSet:
    """The counters of getExtendedConnectionCounters: one set per kind of socket, and the sum of all."""

    KINDS = ("managedTcp", "managedUdp", "managedTcpAcceptors", "managedTcpConnectors", "managedNonTcpUdp", "rawUdp")

    def __init__(self) -> None:
        self._kinds = {kind: SocketCounters() for kind in self.KINDS}
        self._grand_max = 0
        self._open_bytes: Mapping[str, tuple[int, int]] = {}
        self.speed = (0.0, 0.0)

    def __getitem__(self, kind: str) -> SocketCounters:
        return self._kinds[kind]

    def opened(self, kind: str) -> None:
        """A socket of this kind has been opened."""
        self._kinds[kind].opened()
        self._grand_max = max(self._grand_max, self.current)

    def closed(self, kind: str, received: int = 0, sent: int = 0) -> None:
        """A socket of this kind is gone, after that many bytes in each direction."""
        self._kinds[kind].closed(received, sent)

    @property
    def current(self) -> int:
        """Sockets open now."""
        return sum(counters.current for counters in self._kinds.values())

    def measure(self, open_bytes: Mapping[str, tuple[int, int]], elapsed: float) -> None:
        """Note the bytes in and out of the open sockets by kind; speeds (bytes a second) follow from the last two notes."""
        before = self._sums()
        self._open_bytes = open_bytes
        after = self._sums()
        self.speed = (max(0.0, (after[0] - before[0]) / elapsed), max(0.0, (after[1] - before[1]) / elapsed))

    def reset_max(self) -> None:
        """Every maximum becomes the present value."""
        for counters in self._kinds.values():
            counters.max = counters.current
        self._grand_max = self.current

    def reset_total(self) -> None:
        """Every total becomes 0."""
        for counters in self._kinds.values():
            counters.total = 0

    def as_dict(self) -> dict[str, dict[str, float]]:
        """The answer's keys: a map per kind and ``grandTotal``."""
        received, sent = self._sums()
        answer: dict[str, dict[str, float]] = {
            kind: {
                "current": c.current,
                "max": c.max,
                "total": c.total,
                "inBytes": c.in_bytes + self._open_bytes.get(kind, (0, 0))[0],
                "outBytes": c.out_bytes + self._open_bytes.get(kind, (0, 0))[1],
            }
            for kind, c in self._kinds.items()
        }
        answer["grandTotal"] = {
            "current": self.current,
            "max": self._grand_max,
            "total": sum(c.total for c in self._kinds.values()),
            "inBytes": received,
            "outBytes": sent,
            "inSpeed": self.speed[0],
            "outSpeed": self.speed[1],
        }
        return answer

    def _sums(self) -> tuple[int, int]:
        kinds = self._kinds.values()
        open_bytes = self._open_bytes.values()
        received, sent = sum(received for received, _ in open_bytes), sum(sent for _, sent in open_bytes)
        return received + sum(c.in_bytes for c in kinds), sent + sum(c.out_bytes for c in kinds)


class ConnectionRegistry(Service):
    """Every open connection by id; once a second each gets its `tick`, and the speeds are measured.

    `limits` are what `crowding` (`ems.net.acceptor`) goes by, `media_count` how many connections count for them; `idle` are
    those that nothing is expected from; `observers` (`IConnectionObserver`) are told of all.
    """

    name = "connections"

    def __init__(self, clock: IReactorTime) -> None:
        self.counters = CounterSet()
        self.limits = Limits()
        self.media_count = 0
        self.observers: list[Any] = []
        self.idle = IdleSockets(clock)
        self._clock = clock
        self._ids = count(1)
        self._connections: dict[int, Connection] = {}
        self._per_host: dict[str, int] = {}
        self._ticks = LoopingCall(self._tick)
        self._ticks.clock = clock
        self._ticked = clock.seconds()

    def startService(self) -> None:
        super().startService()
        self._ticked = self._clock.seconds()
        self._ticks.start(1.0, now=False)

    def stopService(self) -> None:
        super().stopService()
        if self._ticks.running:
            self._ticks.stop()
        self.idle.close()

    def __iter__(self) -> Iterator[Connection]:
        return iter([connection for connection in self._connections.values() if connection.media])

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def speed(self) -> tuple[float, float]:
        """Bytes a second in and out, as measured last."""
        return self.counters.speed

    def new_id(self) -> int:
        """A fresh id; connections, carriers and services share one number space."""
        return next(self._ids)

    def from_host(self, host: str) -> int:
        """How many connections this address has open."""
        return self._per_host.get(host, 0)

    def by_id(self, connection_id: int) -> Connection | None:
        """The media connection one of whose layers has this id."""
        for connection in self:
            if connection_id in connection.layer_ids:
                return connection
        return None

    def add(self, connection: Connection) -> None:
        """A connection is open: give it its ids and count it."""
        connection.first_id = next(self._ids)
        for _ in connection.tags:
            next(self._ids)
        connection.created = time()
        self._connections[connection.first_id] = connection
        self.media_count += connection.media
        host = connection.far[0]
        self._per_host[host] = self._per_host.get(host, 0) + 1
        self.counters.opened(_kind(connection))
        for observer in self.observers:
            observer.connection_opened(connection)

    def remove(self, connection: Connection) -> None:
        """A connection is gone."""
        if self._connections.pop(connection.first_id, None) is None:
            return
        self.idle.discard(connection)
        self.media_count -= connection.media
        host = connection.far[0]
        left = self._per_host.get(host, 1) - 1
        if left:
            self._per_host[host] = left
        else:
            self._per_host.pop(host, None)
        self.counters.closed(_kind(connection), connection.bytes_received, connection.bytes_sent)
        for observer in self.observers:
            observer.connection_closed(connection)

    def _tick(self) -> None:
        now = self._clock.seconds()
        open_bytes = {"managedTcp": (0, 0), "managedUdp": (0, 0)}
        for connection in [*self._connections.values()]:
            connection.tick(now)
            kind = _kind(connection)
            received, sent = open_bytes[kind]
            open_bytes[kind] = received + connection.bytes_received, sent + connection.bytes_sent
        self.counters.measure(open_bytes, max(now - self._ticked, 1e-3))
        self._ticked = now


def _kind(connection: Connection) -> str:
    """The kind of socket that it is, of `CounterSet.KINDS`."""
    return "managedUdp" if connection.tags[0] == "UDP" else "managedTcp"
