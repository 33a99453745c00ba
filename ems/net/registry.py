"""All connections of the server, and counters per kind of socket."""

from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv6Address, IPv6Network
from itertools import count
from time import time
from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from ems.net.connection import Connection
from ems.net.idle import IdleSockets
from ems.net.limits import Limits

OpenBytes = Mapping[str, tuple[int, int]]
"""The bytes received and sent by the sockets that are open, by their kind."""


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
    """The counters of getExtendedConnectionCounters: one set per kind of socket, and the sum of all.

    `open_bytes` tells what the open sockets have carried so far; those that are gone have told it by `closed`.
    """

    KINDS = ("managedTcp", "managedUdp", "managedTcpAcceptors", "managedTcpConnectors", "managedNonTcpUdp", "rawUdp")

    def __init__(self, open_bytes: Callable[[], OpenBytes] = dict) -> None:
        self._kinds = {kind: SocketCounters() for kind in self.KINDS}
        self._grand_max = 0
        self._open_bytes = open_bytes
        self._measured = (0, 0)
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

    def measure(self, elapsed: float) -> None:
        """Take the speeds (bytes a second) of the last `elapsed` seconds, which is when this was called before."""
        before = self._measured
        after = self._measured = self._sums(self._open_bytes())
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
        open_bytes = self._open_bytes()
        received, sent = self._sums(open_bytes)
        answer: dict[str, dict[str, float]] = {
            kind: {
                "current": c.current,
                "max": c.max,
                "total": c.total,
                "inBytes": c.in_bytes + open_bytes.get(kind, (0, 0))[0],
                "outBytes": c.out_bytes + open_bytes.get(kind, (0, 0))[1],
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

    def _sums(self, open_bytes: OpenBytes) -> tuple[int, int]:
        gone = [(c.in_bytes, c.out_bytes) for c in self._kinds.values()]
        parts = [*gone, *open_bytes.values()]
        return sum(received for received, _ in parts), sum(sent for _, sent in parts)


class ConnectionRegistry(Service):
    """Every open connection by id; once a second each gets its `tick`, and the speeds are measured.

    `limits` are what `crowding` (`ems.net.acceptor`) goes by, `media_count` how many connections count for them; `idle` are
    those that nothing is expected from; `observers` (`IConnectionObserver`) are told of all.
    """

    name = "connections"
    log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self.counters = CounterSet(self._open_bytes)
        self.limits = Limits()
        self.media_count = 0
        self.observers: list[Any] = []
        self.idle = IdleSockets(clock)
        self._clock = clock
        self._ids = count(1)
        self._connections: dict[int, Connection] = {}
        self._per_place: dict[str, int] = {}
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
        """How many connections this address has open; with IPv6 its /64 network, of which a subscriber has all."""
        return self._per_place.get(_place(host), 0)

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
        place = _place(connection.far[0])
        self._per_place[place] = self._per_place.get(place, 0) + 1
        self.counters.opened(_kind(connection))
        for observer in self.observers:
            observer.connection_opened(connection)

    def remove(self, connection: Connection) -> None:
        """A connection is gone."""
        if self._connections.pop(connection.first_id, None) is None:
            return
        self.idle.discard(connection)
        self.media_count -= connection.media
        place = _place(connection.far[0])
        left = self._per_place.get(place, 1) - 1
        if left:
            self._per_place[place] = left
        else:
            self._per_place.pop(place, None)
        self.counters.closed(_kind(connection), connection.bytes_received, connection.bytes_sent)
        for observer in self.observers:
            observer.connection_closed(connection)

    def _tick(self) -> None:
        now = self._clock.seconds()
        for connection in [*self._connections.values()]:
            try:
                if connection.lingering < 0:
                    connection.tick(now)
                else:
                    connection.linger()
            except Exception:
                self.log.failure("{peer}: the time-outs failed", peer=connection.peer_name)
                # In a turn of its own: what the end of a broken connection brings about may fail as well.
                self._clock.callLater(0, self._cut_off, connection)
        self.counters.measure(max(now - self._ticked, 1e-3))
        self._ticked = now

    def _cut_off(self, connection: Connection) -> None:
        if connection.first_id in self._connections:
            connection.cut_off()

    def _open_bytes(self) -> OpenBytes:
        sums = {"managedTcp": (0, 0), "managedUdp": (0, 0)}
        for connection in self._connections.values():
            kind = _kind(connection)
            received, sent = sums[kind]
            sums[kind] = received + connection.bytes_received, sent + connection.bytes_sent
        return sums


def _place(host: str) -> str:
    """What stands for one subscriber: an IPv4 address, or the /64 network of an IPv6 one (RFC 6177: nobody gets less)."""
    if ":" not in host:
        return host
    address = IPv6Address(host)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address) >> 64 << 64, 64)))


def _kind(connection: Connection) -> str:
    """The kind of socket that it is, of `CounterSet.KINDS`."""
    return "managedUdp" if connection.tags[0] == "UDP" else "managedTcp"
