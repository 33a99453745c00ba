"""Pulls and pushes of transport streams, and the plugins that jobs use.

======================= ============================================================================
``dmpegtsudp://``       from a UDP port or a multicast group, parsed
``mpegtsudp://``        the same untouched, as the stream ``<name>_ts``; as a push: to an address or group
``dmpegtstcp://``       from a TCP server, or with ``?listen`` from who connects to us, parsed
``mpegtstcp://``        the same untouched; as a push: to a TCP server
======================= ============================================================================
"""

from collections.abc import Mapping
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from ems.errors import CommandError
from ems.interfaces import IAttempt, IAttemptObserver, IPuller, IPusher
from ems.net.attempt import Attempt
from ems.net.connection import Connection
from ems.net.datagrams import DatagramListener, DatagramTransport, PeerAddress
from ems.net.dialing import ip_fields
from ems.net.udp import UdpSocket, bound_socket, peer_address
from ems.protocols.mpegts.client import PullConnection, TcpPush, UdpPush
from ems.protocols.mpegts.dial import dial, parameters
from ems.protocols.mpegts.pacing import ConstantRate, Pacer, Spread
from ems.uri import Uri, is_literal_address

if TYPE_CHECKING:
    from ems.server import Server

UNTOUCHED_SCHEMES = ("mpegtsudp", "mpegtstcp")
PARSED_SCHEMES = ("dmpegtsudp", "dmpegtstcp")

MIN_BITRATE, MAX_BITRATE = 64_000, 200_000_000
"""Bits a second of a push at a constant rate: less holds no stream, more would keep a processor busy with null packets."""


class TsAttempt(Attempt):
    """One pull or push."""

    def check_address(self, address: str) -> None:
        """The same, except that whoever comes to us is welcome."""
        if "listen" not in parameters(self.uri):
            super().check_address(address)

    def why_not(self, error: BaseException) -> str:
        reason = str(error) if isinstance(error, CommandError) else getattr(error, "strerror", None) or str(error)
        return f"{self.uri.scheme}://{self.uri.host}:{self.uri.port}: {reason}"


class TcpPullAttempt(TsAttempt):
    """Connects out, or waits for one connection."""

    def start(self) -> "Deferred[Any]":
        connection = PullConnection(self, "TCP", untouched=self.uri.scheme in UNTOUCHED_SCHEMES)
        return dial(self.server, self.uri, connection, self.settings)


class TcpPushAttempt(TsAttempt):
    """The same for a push."""

    def start(self) -> "Deferred[Any]":
        return dial(self.server, self.uri, TcpPush(self), self.settings)


class UdpPullAttempt(TsAttempt):
    """Listens until somebody sends, and ends when nobody does any more: then the stream has expired."""

    _listener: DatagramListener | None = None

    def check_address(self, address: str) -> None:
        """Whoever sends to us is welcome."""

    def start(self) -> "Deferred[Any]":
        return resolved(self.server, self.uri.host).addCallback(self._listen)

    def release(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()

    def _listen(self, host: str) -> None:
        if self._ended:
            return
        self._listener = DatagramListener(self.server.clock, self._make)
        opened = self._listener.open(bound_socket(host, self.uri.port))
        if ip_address(host.partition("%")[0]).is_multicast:
            opened.join(host, source=str(self.settings.get("ssmIp") or ""))

    def _make(self, peer: PeerAddress) -> Connection:
        self._connection = PullConnection(self, "UDP", untouched=self.uri.scheme in UNTOUCHED_SCHEMES)
        return self._connection


class UdpPushAttempt(TsAttempt):
    """Sends datagrams. It ends with its source only."""

    _socket: UdpSocket | None = None

    def start(self) -> "Deferred[Any]":
        return resolved(self.server, self.uri.host).addCallback(self._open)

    def release(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def _open(self, host: str) -> None:
        if self._ended:
            return
        self.check_address(host)
        sends_from = "::" if ":" in host else "0.0.0.0"
        opened = self._socket = UdpSocket(None, bound_socket(sends_from, 0), lambda data, sender: None)
        opened.set_ip_fields(*ip_fields(self.settings))
        if ":" not in host and not IPv4Address(host).is_multicast:
            opened.allow_broadcast()
        address = peer_address(opened.family, host, self.uri.port)
        opened.aim(address)
        self._connection = UdpPush(self, opened, self._pacer())
        DatagramTransport(self.server.clock, opened.address, address, self.release).attach(self._connection)

    def _pacer(self) -> Pacer:
        asked = parameters(self.uri).get("bitrate", "")
        if not asked:
            return Spread()
        if not asked.isascii() or not asked.isdigit() or not MIN_BITRATE <= int(asked) <= MAX_BITRATE:
            raise CommandError(f"bitrate: expected {MIN_BITRATE} to {MAX_BITRATE} bits a second, got {asked[:20]!r}")
        return ConstantRate(int(asked))


@implementer(IPuller)
class TsPuller:
    """Pulls over UDP and TCP."""

    schemes = (*UNTOUCHED_SCHEMES, *PARSED_SCHEMES)

    def pull(self, server: "Server", uri: Uri, settings: Mapping[str, Any], observer: IAttemptObserver) -> IAttempt:
        return (UdpPullAttempt if uri.scheme.endswith("udp") else TcpPullAttempt)(server, uri, settings, observer).begin()


@implementer(IPusher)
class TsPusher:
    """Pushes over UDP and TCP."""

    schemes = UNTOUCHED_SCHEMES

    def push(self, server: "Server", uri: Uri, settings: Mapping[str, Any], observer: IAttemptObserver) -> IAttempt:
        return (UdpPushAttempt if uri.scheme.endswith("udp") else TcpPushAttempt)(server, uri, settings, observer).begin()


def resolved(server: "Server", host: str) -> "Deferred[str]":
    """The address of a host, of IPv4 when it has to be looked up."""
    return succeed(host) if is_literal_address(host) else server.clock.resolve(host)
