"""A transport whose output waits until it is fetched: what both ends of a tunnel through HTTP have in common."""

import sys
from collections.abc import Iterable
from typing import Any

from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IAddress, IConsumer, IReactorTime, ITransport
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(ITransport, IConsumer)
class WaitingTransport:
    """One connection's output, in memory, between a protocol that writes it and somebody who fetches it.

    A push producer is paused when more than `high_water` bytes wait, and resumed when they have been fetched. Subclasses learn
    in `changed` of what is written and of the wish to close, and call `end`.
    """

    MAX_CONTROL_BYTES = 16 << 20
    """Above `high_water`, for what heeds no pause: answers to calls, and one batch of frames. Beyond it the connection ends."""

    def __init__(self, clock: IReactorTime, host: IAddress, peer: IAddress, high_water: int) -> None:
        self.disconnecting = False
        self.connected = True
        self.protocol: Any = None
        self._clock = clock
        self._host = host
        self._peer = peer
        self._high_water = high_water
        self._producer: Any = None
        self._paused = False
        self._waiting: list[bytes] = []
        self._size = 0

    def attach(self, protocol: Any) -> None:
        """Connect the protocol."""
        self.protocol = protocol
        protocol.makeConnection(self)

    @property
    def finished(self) -> bool:
        """True when the protocol wants to close, and everything it has written has been fetched."""
        return self.disconnecting and not self._waiting and self._producer is None

    def changed(self) -> None:
        """Something was written or fetched, or the protocol wants to close."""

    def ended(self) -> None:
        """The connection is over; the protocol is told in the reactor's next turn."""

    def fetch(self, limit: int = sys.maxsize) -> bytes:
        """Take what waits, at most `limit` bytes of it."""
        data = b"".join(self._waiting)
        rest = data[limit:]
        self._waiting = [rest] if rest else []
        self._size = len(rest)
        self.changed()
        if self._paused and not rest:
            self._paused = False
            self._producer.resumeProducing()
        return data[:limit]

    def end(self, reason: Exception) -> None:
        """End the connection: what waits is lost, and the protocol is told why, not at once, as with a socket."""
        self.disconnecting = True
        self._waiting.clear()
        self._size = 0
        if self.connected:
            self.connected = False
            self.ended()
            self._clock.callLater(0, self._lost, Failure(reason))

    def write(self, data: bytes) -> None:
        if not self.connected or not data:
            return
        self._waiting.append(data)
        self._size += len(data)
        if self._size > self._high_water + self.MAX_CONTROL_BYTES:
            self.abortConnection()
        elif self._size > self._high_water and self._producer is not None and not self._paused:
            self._paused = True
            self._producer.pauseProducing()
        self.changed()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def getHost(self) -> IAddress:
        return self._host

    def getPeer(self) -> IAddress:
        return self._peer

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take a push producer; there is no moment at which a pull producer could be asked."""
        if self._producer is not None or not streaming:
            raise RuntimeError("one producer, and it has to push")
        self._producer = producer

    def unregisterProducer(self) -> None:
        self._producer = None
        self._paused = False
        self.changed()

    def loseConnection(self) -> None:
        """End when what waits has been fetched."""
        self.disconnecting = True
        self.changed()

    def abortConnection(self) -> None:
        """End now."""
        self.end(ConnectionAborted())

    def _lost(self, reason: Failure) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        self.protocol.connectionLost(reason)
