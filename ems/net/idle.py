"""The sockets of peers that hardly ever send, watched all together.

A player says something every few seconds. For as long as the reactor waits for that, it keeps handles for the socket: half a
KiB and more on the asyncio reactor. So sockets that have been silent for a while are taken off the reactor
(`ITransport.pauseProducing`) and put into an epoll set of their own, which to the reactor is one single thing to wait for. The
first sign of life gives a socket back, and the reactor reads it as ever: bytes, end and error alike.
"""

import select
import socket
from typing import TYPE_CHECKING, Any

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

if TYPE_CHECKING:
    from ems.net.connection import Connection


@implementer(IReadDescriptor)
class IdleSockets:
    """The connections that nothing is expected from. Where there is no epoll they stay with the reactor, as TLS does.

    `reactor` watches the set (`IReactorFDSet`); one that cannot, such as a test's clock, leaves everything as it is. Connections
    are found by the number of their socket: the system gives out small ones.
    """

    MAX_EVENTS = 256
    """Sockets that are given back in one turn of the reactor."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._by_socket: list[Connection | None] = []
        self._count = 0
        self._epoll: select.epoll | None = None
        self._usable = hasattr(select, "epoll") and hasattr(reactor, "addReader")

    def __len__(self) -> int:
        return self._count

    def add(self, connection: "Connection") -> None:
        """Nothing is expected from this connection for now."""
        transport: Any = connection.transport
        handle = getattr(transport, "getHandle", lambda: None)()
        if not self._usable or connection.idle_socket >= 0 or not isinstance(handle, socket.socket):
            return
        if self._epoll is None:
            self._epoll = select.epoll()
            self._reactor.addReader(self)
        number = handle.fileno()
        transport.pauseProducing()
        self._epoll.register(number, select.EPOLLIN | select.EPOLLRDHUP)
        self._by_socket += [None] * (number + 1 - len(self._by_socket))
        self._by_socket[number] = connection
        self._count += 1
        connection.idle_socket = number

    def discard(self, connection: "Connection") -> None:
        """It is closed, or reading it is somebody else's business from now on."""
        number, connection.idle_socket = connection.idle_socket, -1
        if number < 0 or self._epoll is None:
            return
        self._by_socket[number] = None
        self._count -= 1
        try:
            self._epoll.unregister(number)
        except OSError:
            # A closed socket has left the set by itself.
            return

    def doRead(self) -> None:
        """Some have something to say: the reactor reads them again."""
        assert self._epoll is not None
        for number, _ in self._epoll.poll(0, self.MAX_EVENTS):
            connection = self._by_socket[number]
            assert connection is not None
            self.discard(connection)
            transport: Any = connection.transport
            transport.resumeProducing()

    def fileno(self) -> int:
        """The set itself, which is readable when one of its sockets is."""
        return self._epoll.fileno() if self._epoll is not None else -1

    def connectionLost(self, reason: Failure) -> None:
        """The reactor stops: the set is closed; what was in it is closed by its own connections."""
        if self._epoll is not None:
            self._epoll.close()
            self._epoll = None
            self._usable = False

    def logPrefix(self) -> str:
        """For the reactor's own messages."""
        return "idle sockets"

    def close(self) -> None:
        """Watch nothing any more."""
        if self._epoll is not None:
            self._reactor.removeReader(self)
            self.connectionLost(Failure(ConnectionLost()))
