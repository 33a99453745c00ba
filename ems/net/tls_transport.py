"""TLS whose records go straight to the socket, for connections that many bytes leave by.

Twisted's own way gathers what is written until the reactor's next turn, and then has the reactor wait for the socket to become
writable, which it nearly always is. For viewers, whose writes are gathered before they come here (`ems.streams.outlet`), that is
half of the processor time of a write. So here the records of a write are sent at once and together, and only what the kernel
refuses goes the usual way.
"""

import socket
from typing import Any

from twisted.internet.interfaces import IAddress, IPushProducer
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

MAX_RECORD = 1 << 14
"""Bytes that one record takes (RFC 8446 §5.1)."""


class DirectTls(TLSMemoryBIOProtocol):
    """TLS over a TCP connection; `DirectTlsFactory` makes them."""

    _direct: "DirectTransport | None" = None

    def makeConnection(self, transport: Any) -> None:
        """Take over a TCP transport."""
        if hasattr(transport, "getHandle") and isinstance(transport.getHandle(), socket.socket):
            transport = self._direct = DirectTransport(transport)
        super().makeConnection(transport)

    def write(self, data: bytes) -> None:
        """Encrypt and send; the records that it becomes, 16 KiB each, leave in one call."""
        if self._direct is None or len(data) <= MAX_RECORD:
            super().write(data)
            return
        self._direct.gather()
        try:
            super().write(data)
        finally:
            self._direct.release()


class DirectTlsFactory(TLSMemoryBIOFactory):
    """`DirectTls` around the connections of another factory. Whom that one turns away the port closes, before any TLS."""

    protocol = DirectTls

    def buildProtocol(self, addr: IAddress | None) -> DirectTls | None:  # type: ignore[override]
        """The connection from this address; None when the factory inside wants none (`IProtocolFactory`)."""
        inner = self.wrappedFactory.buildProtocol(addr)
        return None if inner is None else self.protocol(self, inner)


@implementer(IPushProducer)
class DirectTransport:
    """A TCP transport whose `write` goes to the socket while the transport's own buffer is empty.

    It is the transport's *pull* producer: so it is told the moment that the buffer has drained. Its own producer, which TLS
    registers for the protocol inside, is a push producer. Everything else is the transport's.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._socket = transport.getHandle()
        self._gathered: list[bytes] | None = None
        self._producer: Any = None
        self._empty = False
        transport.registerProducer(self, False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send now what the kernel takes; the rest waits in the transport."""
        if self._gathered is not None:
            self._gathered.append(data)
            return
        if self._empty:
            try:
                sent = self._socket.send(data)
            except OSError:
                # Busy or broken: the transport finds out which.
                sent = 0
            if sent == len(data):
                return
            data = data[sent:]
            self._empty = False
            if self._producer is not None:
                self._producer.pauseProducing()
        self._transport.write(data)

    def gather(self) -> None:
        """Hold back what is written, until `release`."""
        self._gathered = []

    def release(self) -> None:
        """Send what was held back, in one call."""
        held, self._gathered = self._gathered, None
        if held:
            self.write(b"".join(held))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Tell a push producer when to pause and when to go on."""
        self._producer = producer
        if not self._empty:
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """The producer has nothing more."""
        self._producer = None

    def loseConnection(self) -> None:
        """Close when everything is out."""
        self._empty = False
        self._transport.unregisterProducer()
        self._transport.loseConnection()

    def resumeProducing(self) -> None:
        """The transport's buffer is empty."""
        self._empty = True
        if self._producer is not None:
            self._producer.resumeProducing()

    def pauseProducing(self) -> None:
        """Part of the interface; a pull producer is not paused."""

    def stopProducing(self) -> None:
        """The connection is lost."""
        self._empty = False
        if self._producer is not None:
            self._producer.stopProducing()
