"""Reading many busy sockets in passes, instead of waking up for each piece that comes.

A publisher sends some seventy messages a second. For a few publishers the reactor's way is the best one: each message is
read when it comes. For a hundred the waking, more than the reading, is what costs. So from `THRESHOLD` publishers on their
sockets are taken off the reactor (`ITransport.pauseProducing`) and read directly in passes (`Intake.interval`), and what a pass
finds is handed to `dataReceived` as ever. A socket that has ended or failed is given back, so that Twisted closes the connection
as it closes any other.
"""

import socket
from collections.abc import Callable
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

if TYPE_CHECKING:
    from ems.net.connection import Connection


class Intake:
    """The connections that bring streams in. Only plain TCP is read in passes; anything else stays with the reactor."""

    THRESHOLD = 16
    """Publishers up to which nothing is gained."""

    SHORTEST, LONGEST = 0.03, 0.05
    """Seconds between two passes, and so the most that a message waits: about the time between two pictures."""

    EACH = 0.00125
    """Seconds for each publisher between these: the longest from 40 on."""

    BUFFER_SIZE = 256 << 10
    """Bytes taken from one socket at once; what is left is read in the same pass, `MAX_READS` times at most."""

    MAX_READS = 4
    """With the buffer's size: 280 Mbit/s for each publisher."""

    SLICE_NS = 5_000_000
    """Nanoseconds after which a pass lets the reactor do its other work, players' sockets among it."""

    log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._members: dict[Connection, Callable[[memoryview], int]] = {}
        self._taken: set[Connection] = set()
        self._buffer = memoryview(bytearray(self.BUFFER_SIZE))
        self._call: IDelayedCall | None = None

    @property
    def interval(self) -> float:
        """Seconds until the next pass."""
        return min(max(self.SHORTEST, self.EACH * len(self._members)), self.LONGEST)

    def add(self, connection: "Connection") -> None:
        """This connection brings a stream in from now on."""
        handle = getattr(connection.transport, "getHandle", lambda: None)()
        if not isinstance(handle, socket.socket) or connection in self._members:
            return
        self._members[connection] = handle.recv_into
        if len(self._members) < self.THRESHOLD:
            return
        for member in self._members.keys() - self._taken:
            self._taken.add(member)
            _transport(member).pauseProducing()
        if self._call is None:
            self._call = self._clock.callLater(self.interval, self._pass)

    def discard(self, connection: "Connection") -> None:
        """It brings none any more; reading is the reactor's business again."""
        if self._members.pop(connection, None) is not None and connection in self._taken:
            self._taken.discard(connection)
            _transport(connection).resumeProducing()

    def _pass(self) -> None:
        self._call = None
        if len(self._members) < self.THRESHOLD:
            for connection in [*self._taken]:
                self._taken.discard(connection)
                _transport(connection).resumeProducing()
        elif self._taken:
            self._slice([*self._taken])

    def _slice(self, todo: list["Connection"]) -> None:
        deadline = monotonic_ns() + self.SLICE_NS
        while todo and monotonic_ns() < deadline:
            connection = todo.pop()
            if connection in self._taken:
                self._read(connection)
        if todo:
            self._call = self._clock.callLater(0, self._slice, todo)
        else:
            self._call = self._clock.callLater(self.interval, self._pass)

    def _read(self, connection: "Connection") -> None:
        receive = self._members[connection]
        for _ in range(self.MAX_READS):
            try:
                count = receive(self._buffer)
            except BlockingIOError:
                return
            except OSError:
                count = 0
            if not count:
                self.discard(connection)
                return
            try:
                connection.dataReceived(bytes(self._buffer[:count]))
            except Exception:
                self.log.failure("{peer}: reading failed", peer=connection.peer_name)
                self.discard(connection)
                _transport(connection).abortConnection()
                return
            if count < self.BUFFER_SIZE or connection not in self._taken:
                return


def _transport(connection: "Connection") -> Any:
    return connection.transport
