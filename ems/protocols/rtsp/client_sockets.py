"""The UDP sockets of one medium of a client: the even port for RTP, the odd one for RTCP (RFC 3550 §11)."""

from collections.abc import Callable
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from ems.net.dialing import ip_fields
from ems.net.udp import Address, PortPairs, UdpSocket, bound_socket, peer_address
from ems.protocols.rtsp.transport import Pair

if TYPE_CHECKING:
    from ems.net.connection import Connection
    from ems.server import Server

Tell = Callable[[bytes], None]
"""Is given each datagram."""

HOLE = bytes((0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
"""An RTP packet without media: sent to where packets are to come from, it opens the way through address translators."""


class MediaSockets:
    """Two bound sockets. What comes from other hosts than `sources` is dropped, unless that is empty.

    They belong to a connection, whose settings they have, and with whose bytes theirs are counted.
    """

    def __init__(self, server: "Server", pair: tuple[Any, Any], rtp: Tell, rtcp: Tell, connection: "Connection") -> None:
        self.sources: frozenset[str] = frozenset()
        self._connection = connection
        self._counters = server.connections.counters
        self._tell = (rtp, rtcp)
        self._sockets = (UdpSocket(server.clock, pair[0], self._rtp), UdpSocket(server.clock, pair[1], self._rtcp))
        ttl, tos = ip_fields(connection.settings)
        for one in self._sockets:
            self._counters.opened("managedUdp")
            one.set_ip_fields(ttl, tos)

    @classmethod
    def unicast(
        cls, server: "Server", ports: PortPairs, host: str, rtp: Tell, rtcp: Tell, connection: "Connection"
    ) -> "MediaSockets":
        """Free ports at an address of ours. Raises `CommandError` when there are none."""
        return cls(server, ports.bind(host), rtp, rtcp, connection)

    @classmethod
    def at(cls, server: "Server", host: str, ports: Pair, rtp: Tell, rtcp: Tell, connection: "Connection") -> "MediaSockets":
        """These ports of an address of ours, or of a multicast group, which is joined; then the setting ``ssmIp`` is the only
        sender that counts.

        Raises `CommandError` or `OSError` when it cannot be.
        """
        first = bound_socket(host, ports[0])
        try:
            second = bound_socket(host, ports[1])
        except OSError:
            first.close()
            raise
        made = cls(server, (first, second), rtp, rtcp, connection)
        if ip_address(host.partition("%")[0]).is_multicast:
            made._join(host, str(connection.settings.get("ssmIp", "")))
        return made

    @property
    def ports(self) -> Pair:
        """Our ports."""
        return self._sockets[0].address[1], self._sockets[1].address[1]

    @property
    def both(self) -> tuple[UdpSocket, UdpSocket]:
        """The sockets themselves."""
        return self._sockets

    def send_to(self, host: str, ports: Pair) -> None:
        """What is sent goes there. Raises `OSError` when the address makes no sense."""
        for one, port in zip(self._sockets, ports, strict=True):
            one.aim(peer_address(one.family, host, port))

    def open_way(self) -> None:
        """Have address translators between us and the other side let its packets through."""
        if self._sockets[0].target is not None:
            self._sockets[0].send(HOLE)
            self._connection.bytes_sent += len(HOLE)

    def send_control(self, packet: bytes) -> None:
        """Send RTCP, if it is known where to."""
        if self._sockets[1].target is not None:
            self._sockets[1].send(packet)
            self._connection.bytes_sent += len(packet)

    def close(self) -> None:
        """Be gone."""
        for one in self._sockets:
            if one.fileno() >= 0:
                one.close()
                self._counters.closed("managedUdp")

    def _join(self, group: str, source: str) -> None:
        try:
            for one in self._sockets:
                one.join(group, source=source)
        except BaseException:
            self.close()
            raise
        if source:
            self.sources = frozenset((source,))

    def _rtp(self, data: bytes, address: Address) -> None:
        if self._known(address):
            self._connection.bytes_received += len(data)
            self._tell[0](data)

    def _rtcp(self, data: bytes, address: Address) -> None:
        if self._known(address):
            self._connection.bytes_received += len(data)
            self._tell[1](data)

    def _known(self, address: Address) -> bool:
        return not self.sources or address[0].partition("%")[0] in self.sources
