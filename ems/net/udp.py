"""UDP for media: a socket with the options that media wants, pairs of ports for RTP and RTCP, multicast, and a fast way to send.

Reading: a `UdpSocket` hands each datagram to a function, at most `MAX_READS` of them between two turns of the reactor.
Sending: the packets of a frame are put together once (`gathered`) and leave in one call for each receiver; the kernel cuts them
apart again (``UDP_SEGMENT``, Linux 4.18), which costs less than a third of a call for each packet.
Multicast: groups are joined by the calls of RFC 3678 §5.1, alike for IPv4 and IPv6, for any source or for one (RFC 4607).

UDP loses what it cannot take, and so do we: nothing here waits, and nothing raises for what the network does.
"""

import errno
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import chain
from typing import Any, NamedTuple

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ems.errors import CommandError

Address = tuple[Any, ...]
"""A peer as the socket module has it: host and port, for IPv6 flow and scope as well."""

Receive = Callable[[bytes, Address], None]
"""Is given each datagram and who sent it. What it raises costs that datagram only; the first time the log has the traceback."""

MAX_DATAGRAM = 65_535

RECEIVE_BUFFER = 2 << 20
"""Bytes that wait for us in the kernel: 200 ms of 80 Mbit/s, and a key frame of any size. The system may allow less."""

SEND_BUFFER = 1 << 20
"""Bytes on their way out: a key frame for one receiver."""

MAX_SEGMENTS = 64
"""Datagrams that the kernel takes in one call (``UDP_MAX_SEGMENTS``, up to Linux 6.8)."""

MAX_GATHERED = 65_000
"""Bytes of them: what an IP packet carries, less the headers."""

_UDP_SEGMENT = 103

_MCAST_JOIN_GROUP, _MCAST_LEAVE_GROUP = 42, 45
_MCAST_JOIN_SOURCE_GROUP, _MCAST_LEAVE_SOURCE_GROUP = 46, 47
_SOCKADDR_STORAGE = 128
"""Linux: linux/in.h, which the socket module knows in part only."""

_UNSEGMENTED = frozenset((errno.EIO, errno.EINVAL, errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.EMSGSIZE))
"""What a system answers that cannot cut datagrams apart, on this route or at all."""


class PortRange(NamedTuple):
    """UDP ports to choose from, both ends included. 0 to 0 leaves the choice to the system."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """`count` datagrams of `size` bytes each, the last one perhaps shorter, back to back in `data`: one call sends them all."""

    data: bytes
    size: int
    count: int = 1
    ancillary: tuple[tuple[int, int, bytes], ...] = ()


def gathered(packets: Sequence[bytes]) -> tuple[Run, ...]:
    """The packets, none of them empty, in as few runs as the kernel allows, in order."""
    runs: list[Run] = []
    begin = count = total = size = 0
    for index, packet in enumerate(packets):
        length = len(packet)
        full = count == MAX_SEGMENTS or total + length > MAX_GATHERED
        # Only the last datagram of a run may be shorter than the others.
        if count and (full or length > size or total < count * size):
            runs.append(_run(packets[begin:index], size))
            begin, count, total = index, 0, 0
        size = size if count else length
        count += 1
        total += length
    if count:
        runs.append(_run(packets[begin:], size))
    return tuple(runs)


def _run(packets: Sequence[bytes], size: int) -> Run:
    if len(packets) == 1:
        return Run(packets[0], size)
    return Run(b"".join(packets), size, len(packets), ((socket.SOL_UDP, _UDP_SEGMENT, struct.pack("@H", size)),))


def bound_socket(host: str, port: int, *, reuse: bool = False, receive_buffer: int = RECEIVE_BUFFER) -> socket.socket:
    """A non-blocking socket bound to a literal address; port 0 picks a free one. Raises `OSError`.

    A multicast group is bound itself, so that nothing else comes in, and may be bound by others as well, as anything may
    with `reuse`. An IPv6 socket takes IPv6 only.
    """
    address = ip_address(host.partition("%")[0])
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if reuse or address.is_multicast:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        bound.setblocking(False)
        bound.bind(_resolved(family, host, port))
    except OSError:
        bound.close()
        raise
    return bound


@implementer(IReadDescriptor)
class UdpSocket:
    """A bound socket on a reactor (`IReactorFDSet`), reading from its making until `close`.

    The reactor may be None for a socket that only sends. `tell` gets every datagram; it can be replaced at any time. What is sent
    goes to `target`.
    """

    MAX_READS = 64
    """Datagrams between two turns of the reactor: 0.2 ms, and what a key frame is made of."""

    log = Logger()

    __slots__ = (
        "_destination",
        "_failed",
        "_reactor",
        "_segments",
        "_socket",
        "family",
        "target",
        "tell",
    )

    def __init__(self, reactor: Any, bound: socket.socket, tell: Receive) -> None:
        self.tell = tell
        self.family = bound.family
        self.target: Address | None = None
        self._destination: Address | None = None
        self._socket = bound
        self._reactor = reactor
        self._failed = False
        self._segments = True
        if reactor is not None:
            reactor.addReader(self)

    @property
    def address(self) -> tuple[str, int]:
        """Our address and port; nothing after `close`."""
        if self.fileno() < 0:
            return ("", 0)
        host, port = self._socket.getsockname()[:2]
        return host, port

    def close(self) -> None:
        """Read and send no more; groups are left."""
        if self.fileno() >= 0 and self._reactor is not None:
            self._reactor.removeReader(self)
        self._socket.close()

    def aim(self, target: Address) -> None:
        """Send there, as of `peer_address`, from now on."""
        self.target = self._destination = target

    def connect(self) -> None:
        """Hear nobody but the target; the way to it is looked up once, which makes sending cheaper. Raises `OSError`."""
        assert self.target is not None
        self._socket.connect(self.target)
        self._destination = None

    def join(self, group: str, *, source: str = "", interface: str = "") -> None:
        """Receive a multicast group, from one source only if that is given; `interface` is a name, or the route decides.

        Raises `OSError`, and `CommandError` for an address of the wrong kind.
        """
        self._membership(_MCAST_JOIN_SOURCE_GROUP if source else _MCAST_JOIN_GROUP, group, source, interface)

    def leave(self, group: str, *, source: str = "", interface: str = "") -> None:
        """Receive it no more: what was given to `join`."""
        self._membership(_MCAST_LEAVE_SOURCE_GROUP if source else _MCAST_LEAVE_GROUP, group, source, interface)

    def set_ip_fields(self, ttl: int | None, tos: int | None) -> None:
        """Both of the following; None leaves one to the operating system."""
        if ttl is not None:
            self.set_ttl(ttl)
        if tos is not None:
            self.set_tos(tos)

    def set_ttl(self, ttl: int) -> None:
        """How many routers datagrams pass, unicast and multicast alike (0–255)."""
        if self.family == socket.AF_INET6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, ttl)
        else:
            # A unicast TTL of 0 is none at all (ip(7)).
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, max(1, ttl))
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)

    def set_tos(self, tos: int) -> None:
        """The type-of-service byte of IPv4, the traffic class of IPv6 (0–255)."""
        if self.family == socket.AF_INET6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, tos)
        else:
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)

    def set_multicast_interface(self, near: str) -> None:
        """Send to groups from the interface that has this address of ours (IPv4), or this name (IPv6). Raises `OSError`."""
        if self.family == socket.AF_INET6:
            index = struct.pack("@I", socket.if_nametoindex(near))
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        else:
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(near))

    def allow_broadcast(self) -> None:
        """Have datagrams to a broadcast address leave (IPv4), which the system refuses otherwise."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)

    def send(self, data: bytes) -> bool:
        """Send one datagram. False when it is lost already."""
        return self.send_run(Run(data, len(data)))

    def send_run(self, run: Run) -> bool:
        """Send the datagrams of a run. False when some are lost already."""
        try:
            return self._put(run)
        except ConnectionRefusedError:
            # A connected socket tells here that what was sent earlier came to nobody; this has not been sent.
            with suppress(OSError):
                return self._put(run)
        except OSError:
            pass
        return False

    def doRead(self) -> None:
        """Hand on what has come in (`IReadDescriptor`)."""
        for _ in range(self.MAX_READS):
            try:
                data, address = self._socket.recvfrom(MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError:
                if self.fileno() < 0:
                    # Whoever was told of a datagram has closed us.
                    return
                # An ICMP error about something that was sent (ECONNREFUSED): the peer may not listen yet.
                continue
            try:
                self.tell(data, address)
            except Exception:
                if not self._failed:
                    self._failed = True
                    self.log.failure("a datagram of {peer} is dropped; others will be without a word", peer=address[0])

    def fileno(self) -> int:
        """The socket's number (`IFileDescriptor`)."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """For the reactor's own messages."""
        return "UDP"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor has stopped, or cannot read the socket (`IFileDescriptor`)."""
        self.close()

    def _put(self, run: Run) -> bool:
        if run.ancillary:
            return self._put_at_once(run) if self._segments else self._send_singly(run)
        if self._destination is None:
            self._socket.send(run.data)
        else:
            self._socket.sendto(run.data, self._destination)
        return True

    def _put_at_once(self, run: Run) -> bool:
        try:
            self._socket.sendmsg((run.data,), run.ancillary, 0, self._destination)
        except OSError as error:
            if error.errno not in _UNSEGMENTED:
                raise
            self._segments = False
            return self._send_singly(run)
        return True

    def _send_singly(self, run: Run) -> bool:
        data = run.data
        pieces = [data[start : start + run.size] for start in range(0, len(data), run.size)]
        sent = [self.send(piece) for piece in pieces]
        return all(sent)

    def _membership(self, option: int, group: str, source: str, interface: str) -> None:
        """RFC 3678 §5.1: struct group_req, or group_source_req."""
        if not ip_address(group.partition("%")[0]).is_multicast:
            raise CommandError(f"{group} is no multicast group")
        group, _, scope = group.partition("%")
        name = interface or scope
        # The addresses behind the number are aligned as the processor's words.
        request = struct.pack("@I0L", socket.if_nametoindex(name) if name else 0)
        for host in (group, source) if source else (group,):
            request += self._packed(host)
        level = socket.IPPROTO_IPV6 if self.family == socket.AF_INET6 else socket.IPPROTO_IP
        self._socket.setsockopt(level, option, request)

    def _packed(self, host: str) -> bytes:
        """A struct sockaddr_storage."""
        address = ip_address(host)
        if (address.version == 6) != (self.family == socket.AF_INET6):
            raise CommandError(f"{host} is of another IP version than the socket")
        port_and_flow = 2 if address.version == 4 else 6
        return (struct.pack("@H", self.family) + bytes(port_and_flow) + address.packed).ljust(_SOCKADDR_STORAGE, b"\0")


ANY_PORTS = PortRange(0, 0)


class PortPairs:
    """Pairs of neighbouring ports, the even one for RTP, the odd one for RTCP (RFC 3550 §11), of a range and all addresses."""

    ATTEMPTS = 50
    """Pairs that are tried where the system chooses: half of its choices are odd, and a neighbour is seldom taken."""

    def __init__(self, ports: PortRange = ANY_PORTS) -> None:
        """Raises `CommandError` when there is no whole pair in the range."""
        first = ports.first + ports.first % 2
        self._ports = range(first, ports.last, 2)
        if ports != ANY_PORTS and not self._ports:
            raise CommandError(f"there is no pair of UDP ports in {ports.first}–{ports.last}")
        self._next = 0

    def bind(self, host: str) -> tuple[socket.socket, socket.socket]:
        """Two bound sockets, as of `bound_socket`. Raises `CommandError` when none are left."""
        error: OSError | None = None
        for port in self._candidates():
            try:
                first = bound_socket(host, port)
            except OSError as problem:
                error = problem
                continue
            even = first.getsockname()[1]
            try:
                if even % 2 == 0:
                    return first, bound_socket(host, even + 1)
            except OSError as problem:
                error = problem
            first.close()
        raise CommandError(f"no pair of UDP ports is free on {host}: {error}")

    def _candidates(self) -> Iterator[int]:
        """Go round, so that a port that has just been given back is not given out at once."""
        if not self._ports:
            yield from (0 for _ in range(self.ATTEMPTS))
            return
        start = self._next
        for index in chain(range(start, len(self._ports)), range(start)):
            self._next = index + 1
            yield self._ports[index]


def peer_address(family: int, host: str, port: int) -> Address:
    """The address of a peer for `UdpSocket.send`: resolved once, not for each datagram. Raises `OSError`."""
    return _resolved(family, host, port)


def _resolved(family: int, host: str, port: int) -> Address:
    found = socket.getaddrinfo(host, port, family, socket.SOCK_DGRAM, 0, socket.AI_NUMERICHOST)
    address: Address = found[0][4]
    return address
