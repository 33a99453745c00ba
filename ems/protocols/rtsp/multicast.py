"""One stream for all viewers of a network: packets to a multicast group, sent once however many listen.

An acceptor with ``multicast = { ip = …, ttl = … }`` offers it. Each stream that is played so gets a pair of ports of that group
for each of its media, from the first client's SETUP until the last one's session has ended.
"""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from ems.errors import CommandError
from ems.net.udp import Address, PortPairs, UdpSocket, peer_address
from ems.protocols.rtsp.carriers import DatagramOutlet
from ems.protocols.rtsp.description import Medium
from ems.protocols.rtsp.feed import DatagramFeed, Form
from ems.streams.feed import Cursor
from ems.streams.inbound import InboundStream
from ems.streams.statistics import NOTHING, Totals

if TYPE_CHECKING:
    from ems.config import Multicast
    from ems.server import Server


class Broadcast:
    """The media of a stream on their way to a group. Stands for a connection to its outlet: `bytes_sent` is what left."""

    def __init__(
        self, server: "Server", stream: InboundStream, form: Form, ports: PortPairs, near: str, group: "Multicast"
    ) -> None:
        """Binds its ports. Raises `CommandError` when none are free, or the group cannot be sent to from `near`."""
        self.form = form
        self.bytes_sent = 0
        self.sessions = 0
        self._server = server
        self._stream = stream
        self._cursor: Cursor | None = None
        self._outlet: DatagramOutlet | None = None
        self._pairs: list[tuple[UdpSocket, UdpSocket]] = []
        self._ways: dict[int, UdpSocket] = {}
        try:
            for index in range(len(form.media)):
                self._open_pair(index, ports, near, group)
        except OSError as error:
            self.close("")
            raise CommandError(f"cannot send to {group.ip} from {near}: {error}") from error

    @property
    def delivered(self) -> Totals:
        """What was sent to the group."""
        return self._cursor.delivered if self._cursor is not None else NOTHING

    def ports(self, index: int) -> tuple[int, int]:
        """The ports of the group that a medium is sent to."""
        rtp, rtcp = self._pairs[index]
        return rtp.address[1], rtcp.address[1]

    def start(self) -> None:
        """Somebody plays: send, from now on."""
        if self._cursor is None:
            stream, fan_out, form = self._stream, self._server.streams.fan_out, self.form
            feed = stream.feed(form, lambda: DatagramFeed(stream, fan_out, form))
            stand_in: Any = self
            self._outlet = DatagramOutlet(stand_in, fan_out, self._server.clock, self._ways)
            outlet: Any = self._outlet
            self._cursor = Cursor(feed, outlet)

    def close(self, reason: str) -> None:
        """Send no more, but that it is over."""
        cursor, self._cursor = self._cursor, None
        if cursor is not None and self._outlet is not None:
            assert isinstance(cursor.feed, DatagramFeed)
            farewell = cursor.feed.goodbye()
            if farewell:
                self._outlet.write(farewell)
            cursor.close()
            self._outlet.close()
            self._stream.release(cursor.feed)
        for pair in self._pairs:
            for one in pair:
                one.close()

    def _open_pair(self, index: int, ports: PortPairs, near: str, group: "Multicast") -> None:
        rtp, rtcp = ports.bind(near)
        pair = UdpSocket(None, rtp, _unread), UdpSocket(None, rtcp, _unread)
        self._pairs.append(pair)
        for control, one in enumerate(pair):
            one.set_ttl(group.ttl)
            if ":" not in near:
                one.set_multicast_interface(near)
            one.aim(peer_address(one.family, group.ip, one.address[1]))
            self._ways[2 * index + control] = one


class Broadcasts:
    """The broadcasts of one acceptor."""

    def __init__(self, server: "Server", ports: PortPairs, group: "Multicast | None") -> None:
        self.group = group
        self._server = server
        self._ports = ports
        self._running: dict[Hashable, Broadcast] = {}

    def join(self, stream: InboundStream, media: tuple[Medium, ...], near: str) -> Broadcast:
        """The broadcast of these media, for one session more. Raises `CommandError` when there is none and none can be made."""
        if self.group is None:
            raise CommandError("there is no multicast group in the configuration")
        key = (stream.id, media, near)
        broadcast = self._running.get(key)
        if broadcast is None:
            broadcast = self._running[key] = Broadcast(self._server, stream, Form(media), self._ports, near, self.group)
        broadcast.sessions += 1
        return broadcast

    def leave(self, broadcast: Broadcast) -> None:
        """A session has ended; with the last one the broadcast does."""
        broadcast.sessions -= 1
        if not broadcast.sessions:
            self._running = {key: other for key, other in self._running.items() if other is not broadcast}
            broadcast.close("nobody listens")


def _unread(data: bytes, address: Address) -> None:
    """Nothing is read: whoever listens keeps its session alive by requests."""
