"""Datagrams as connections: for protocols that one sender speaks to a port, over UDP as over TCP.

UDP has no connections. A `DatagramListener` makes some: the first datagram begins one, of a protocol that is told what comes by
`dataReceived`, and it lasts until the protocol closes it, for instance because nothing has come for a while. There is one sender
at a time. Datagrams of others are left out, unless the sender has been silent for a moment: then it has been started anew with
another port, or another has taken its place, and the connection goes on with the new one.
"""

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from ems.net.connection import Connection
from ems.net.udp import Address, UdpSocket

PeerAddress = IPv4Address | IPv6Address


class DatagramTransport:
    """The transport of a connection over UDP: two addresses, and an end, which the connection learns of a little later."""

    def __init__(self, clock: IReactorTime, near: Address, far: Address, closed: Callable[[], None]) -> None:
        """`near` and `far` begin with host and port; `closed` is called once, as soon as the connection is to end."""
        self.connected = True
        self._clock = clock
        self._near, self._far = twisted_address(near), twisted_address(far)
        self._closed = closed
        self._connection: Connection | None = None

    def attach(self, connection: Connection) -> None:
        """Begin."""
        self._connection = connection
        transport: Any = self
        connection.makeConnection(transport)

    def getHost(self) -> PeerAddress:
        """Our address."""
        return self._near

    def getPeer(self) -> PeerAddress:
        """The address of who began to send, or to whom we send."""
        return self._far

    def loseConnection(self) -> None:
        """End it. There is nothing to wait for."""
        if self.connected:
            self.connected = False
            self._closed()
            self._clock.callLater(0, self._lost)

    abortConnection = loseConnection

    def _lost(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.connectionLost(Failure(ConnectionDone()))


class DatagramListener:
    """One sender after the other at some bound sockets, each as a connection that `make` makes.

    `admit` says whether a sender is let in; it is asked for each datagram of those who are not.
    """

    log = Logger()

    TAKEOVER_SECONDS = 1.0
    """Silence of the sender after which another may go on in its place: receivers buffer about as much."""

    RESTART_SECONDS = 5.0
    """From the beginning of one connection to that of the next: a sender that is of no use would begin one by each datagram."""

    def __init__(
        self, clock: Any, make: Callable[[PeerAddress], Connection], admit: Callable[[PeerAddress], bool] = lambda peer: True
    ) -> None:
        """`clock` is the reactor, which reads the sockets (`IReactorFDSet`)."""
        self._clock = clock
        self._make = make
        self._admit = admit
        self._sockets: list[UdpSocket] = []
        self._transport: DatagramTransport | None = None
        self._connection: Connection | None = None
        self._sender: Address | None = None
        self._heard = 0.0
        self._not_before = 0.0

    def open(self, bound: socket.socket) -> UdpSocket:
        """Listen at one more socket."""
        opened = UdpSocket(self._clock, bound, self._receive)
        self._sockets.append(opened)
        return opened

    @property
    def port(self) -> int:
        """The port of the first socket, 0 without any."""
        return self._sockets[0].address[1] if self._sockets else 0

    def close(self) -> None:
        """Listen no more, and end the connection."""
        for one in self._sockets:
            one.close()
        self._sockets.clear()
        if self._transport is not None:
            self._transport.loseConnection()

    def _receive(self, data: bytes, address: Address) -> None:
        now = self._clock.seconds()
        if address != self._sender and not self._turn_to(address, now):
            return
        self._heard = now
        assert self._connection is not None
        self._connection.dataReceived(data)

    def _turn_to(self, address: Address, now: float) -> bool:
        """Whether this is the sender from now on."""
        peer = twisted_address(address)
        if self._connection is not None and now - self._heard < self.TAKEOVER_SECONDS:
            return False
        if (self._connection is None and now < self._not_before) or not self._admit(peer):
            return False
        if self._connection is None:
            self._begin(address, peer, now)
        else:
            self.log.info("{peer} goes on in the place of {silent}", peer=peer.host, silent=(self._sender or ("",))[0])
        self._sender = address
        return True

    def _begin(self, address: Address, peer: PeerAddress, now: float) -> None:
        self._not_before = now + self.RESTART_SECONDS
        self._connection = self._make(peer)
        self._transport = DatagramTransport(self._clock, self._sockets[0].address, address, self._ended)
        self._transport.attach(self._connection)

    def _ended(self) -> None:
        self._transport = self._connection = self._sender = None


def twisted_address(address: Address) -> PeerAddress:
    """A socket's address as Twisted has it."""
    host, port = address[:2]
    return IPv6Address("UDP", host, port) if ":" in host else IPv4Address("UDP", host, port)
