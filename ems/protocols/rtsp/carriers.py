"""The sockets of a session over UDP: a pair of ports for each medium, and the way out that a feed's cursor sends through."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall

from ems.net.udp import Address, PortPairs, UdpSocket, peer_address
from ems.protocols.rtsp.feed import Burst
from ems.streams.outlet import FanOut, Lane, Sender

if TYPE_CHECKING:
    from ems.net.connection import Connection
    from ems.net.registry import ConnectionRegistry

LOWEST_CLIENT_PORT = 1024
"""Below are the ports of services, at which nobody should have us send."""


class UdpPair:
    """The two sockets of a medium, for RTP and for RTCP, and where its packets go to.

    Only datagrams of the session's peer are taken: `heard` gets them, with False for RTP and True for RTCP. The first one to each
    socket shows where that peer really is: behind a router that translates addresses it is not where it believes. `sockets` are
    aimed there, for RTP and for RTCP.
    """

    def __init__(
        self,
        reactor: Any,
        registry: "ConnectionRegistry",
        ports: PortPairs,
        near: str,
        far: str,
        heard: Callable[[bool, bytes], None],
    ) -> None:
        """Binds a pair. Raises `CommandError` when none is free."""
        self._far = far.partition("%")[0]
        self._registry = registry
        self._heard = heard
        rtp, rtcp = ports.bind(near)
        self.sockets = UdpSocket(reactor, rtp, self._rtp), UdpSocket(reactor, rtcp, self._rtcp)
        self._found = [False, False]
        self._sends = self._certain = False
        for _ in self.sockets:
            registry.counters.opened("managedUdp")

    @property
    def ports(self) -> tuple[int, int]:
        """Our ports."""
        return self.sockets[0].address[1], self.sockets[1].address[1]

    def aim(self, host: str, ports: tuple[int, int]) -> None:
        """Send there, until the peer shows that it is elsewhere. Raises `OSError` for an address of the wrong kind."""
        for one, port in zip(self.sockets, ports, strict=True):
            one.aim(peer_address(one.family, host, port))

    def send_media(self) -> None:
        """The peer is sent media, and has none to send: as soon as it is certain where it hears them, sending is made cheap.

        It is when media packets have come from there, as of players that open a way through routers; or reports from where the
        peer said, since then nothing on the way translates its ports.
        """
        self._sends = True
        self._connect()

    def close(self) -> None:
        """Give the ports back."""
        for one in self.sockets:
            if one.address[1]:
                # Its bytes are counted with those of the connection.
                self._registry.counters.closed("managedUdp")
            one.close()

    def _rtp(self, data: bytes, address: Address) -> None:
        self._received(False, data, address)

    def _rtcp(self, data: bytes, address: Address) -> None:
        self._received(True, data, address)

    def _received(self, control: bool, data: bytes, address: Address) -> None:
        if address[0].partition("%")[0] != self._far:
            return
        if not self._found[control]:
            self._locate(control, address)
        self._heard(control, data)

    def _locate(self, control: bool, address: Address) -> None:
        """The first datagram to one of the sockets."""
        one = self.sockets[control]
        self._found[control] = True
        self._certain = self._certain or not control or address == one.target
        one.aim(address)
        self._connect()

    def _connect(self) -> None:
        """Reports go on to come from anywhere: a router may change the port of a peer that sends but now and then."""
        if self._sends and self._certain:
            with suppress(OSError):
                self.sockets[0].connect()


class DatagramOutlet:
    """The way out over UDP, for one cursor. It stands for an `ems.streams.outlet.Outlet`.

    UDP takes everything at once, and what is too much is lost on the way: a late joiner's group of pictures, or a large key
    frame, is therefore sent in portions.
    """

    PORTION = 64 << 10
    """Bytes that are sent without a pause: receivers have 200 KiB of buffer where nobody has given them more."""

    PAUSE = 0.004
    """Seconds for them: 130 Mbit/s in all."""

    __slots__ = ("_clock", "_connection", "_portion", "_resume", "_sender", "_since", "_ways", "lane", "open")

    def __init__(self, connection: "Connection", fan_out: FanOut, clock: Any, ways: Mapping[int, UdpSocket]) -> None:
        """`ways` are sockets, aimed at the viewer, by the port numbers of `Burst`."""
        self._connection = connection
        self._clock = clock
        self._ways = dict(ways)
        self._sender: Sender | None = None
        self._portion = 0
        self._since = 0.0
        self._resume: IDelayedCall | None = None
        self.open = True
        self.lane: Lane = fan_out.datagrams

    def add(self, sender: Sender) -> None:
        """Let a cursor send, from now on."""
        self._sender = sender
        if self.open:
            sender.opened()

    def discard(self, sender: Sender) -> None:
        """It has nothing more to send."""
        sender.closed()
        self._sender = None

    def write(self, data: bytes) -> None:
        """Send a burst, in order with everything else; nothing here waits."""
        self.send(data)

    def send(self, data: bytes) -> None:
        """Send the datagrams of a burst."""
        assert isinstance(data, Burst)
        ways = self._ways
        for port, run in data.runs:
            ways[port].send_run(run)
        size = len(data)
        self._connection.bytes_sent += size
        self._portion += size
        if self._portion > self.PORTION:
            self._rest()

    def abort(self) -> None:
        """Give the viewer up."""
        self._connection.close("it cannot be sent to")

    def close(self) -> None:
        """Send nothing more."""
        self.open = False
        if self._resume is not None:
            self._resume.cancel()
            self._resume = None

    def _rest(self) -> None:
        """A portion is out: pause, unless it has taken a while."""
        now = self._clock.seconds()
        if now - self._since < self.PAUSE and self._resume is None:
            self.open = False
            if self._sender is not None:
                self._sender.closed()
            self._resume = self._clock.callLater(self.PAUSE, self._go_on)
        self._portion = 0
        self._since = now

    def _go_on(self) -> None:
        self._resume = None
        self._since = self._clock.seconds()
        self.open = True
        if self._sender is not None:
            self._sender.opened()
