"""What SETUP has set up: a session of one connection, which plays or records.

A session belongs to the connection that made it, and with it to whoever has logged in there: its id is worth nothing elsewhere.
It ends with TEARDOWN, with the connection, or when nothing is heard of the client for too long.
"""

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ems.errors import CommandError
from ems.protocols.rtsp.address import Address, Origin
from ems.protocols.rtsp.carriers import LOWEST_CLIENT_PORT, DatagramOutlet, UdpPair
from ems.protocols.rtsp.description import Medium
from ems.protocols.rtsp.feed import PACKET_SIZES, TCP_PACKET, UDP_PACKET, Form
from ems.protocols.rtsp.media import ssrc_of
from ems.protocols.rtsp.multicast import Broadcast
from ems.protocols.rtsp.play import MulticastPlay, RtpInfo, RtspPlay
from ems.protocols.rtsp.reply import Refused
from ems.protocols.rtsp.transport import Pair, Transport
from ems.streams.inbound import InboundStream

if TYPE_CHECKING:
    from ems.protocols.rtsp.server import RtspConnection

TIMEOUT = 60
"""Seconds of silence after which a session may end, as the Session header tells (RFC 2326 §12.37)."""

MAX_SETUPS = 16
"""Media that one session may set up."""

GRANTED_CHANNELS = ((0, 1), (2, 3), (4, 5), (6, 7))
"""Interleaved channels that viewers can choose among; who asks for others is answered with the lowest that are free."""


class Setup(NamedTuple):
    """How one medium is carried: by interleaved channels, by a pair of ports, or by a multicast group."""

    transport: Transport
    pair: UdpPair | None = None


class Session:
    """What playing and recording sessions have in common. `setups` are by the key of the medium, in the order of SETUP."""

    def __init__(self, connection: "RtspConnection") -> None:
        self.id = secrets.token_hex(8)
        self.connection = connection
        self.setups: dict[int, Setup] = {}

    @property
    def header(self) -> str:
        """The value of the Session header."""
        return f"{self.id};timeout={TIMEOUT}"

    @property
    def interleaved(self) -> bool:
        """True when media are inside the connection."""
        return any(setup.transport.tcp for setup in self.setups.values())

    def received(self, key: int, control: bool, data: bytes) -> None:
        """A packet of the client has come by a medium's carrier."""

    def interleaved_frame(self, channel: int, data: bytes) -> None:
        """A frame has come inside the connection; those of channels that nobody knows are dropped."""
        for key, setup in self.setups.items():
            channels = setup.transport.interleaved
            if channels is not None and channel in channels:
                self.received(key, channel == channels[1], data)
                return

    def close(self, reason: str) -> None:
        """The session is over; its ports are given back."""
        for setup in self.setups.values():
            if setup.pair is not None:
                setup.pair.close()
        self.setups.clear()

    def carry(self, key: int, offers: list[Transport], **changes: Any) -> Transport:
        """Carry a medium by the first of these transports that can be, and return it as it is answered.

        Raises `Refused` (461) when there is none, or when other media of the session are carried in another way.
        """
        if key not in self.setups and len(self.setups) >= MAX_SETUPS:
            raise Refused(461, f"more than {MAX_SETUPS} media")
        others = [setup.transport for other, setup in self.setups.items() if other != key]
        for offer in offers:
            if any((other.tcp, other.multicast, other.raw) != (offer.tcp, offer.multicast, offer.raw) for other in others):
                continue
            setup = self._channels(offer, others) if offer.tcp else self._ports(key, offer)
            if setup is not None:
                self._drop(key)
                answer = replace(setup.transport, **changes)
                self.setups[key] = setup._replace(transport=answer)
                return answer
        raise Refused(461, "no transport that it offers can be had")

    def _drop(self, key: int) -> None:
        before = self.setups.pop(key, None)
        if before is not None and before.pair is not None:
            before.pair.close()

    def grants(self, channels: Pair) -> bool:
        """Whether a client can have these interleaved channels, if they are free."""
        return channels[0] != channels[1]

    def _channels(self, offer: Transport, others: list[Transport]) -> Setup | None:
        """Interleaved channels as asked for, or the lowest that are free: the client is told."""
        taken = {channel for other in others for channel in other.interleaved or ()}
        channels = offer.interleaved
        if channels is None or not self.grants(channels) or taken & {*channels}:
            first = next((low for low in range(0, 255, 2) if low not in taken and low + 1 not in taken), 0)
            channels = (first, first + 1)
        if taken & {*channels}:
            return None
        return Setup(Transport(offer.profile, tcp=True, interleaved=channels, mode=offer.mode))

    def _ports(self, key: int, offer: Transport) -> Setup | None:
        """A pair of ports of ours, which sends to those of the client and nowhere else."""
        if offer.multicast or offer.client_port is None or min(offer.client_port) < LOWEST_CLIENT_PORT:
            return None
        connection = self.connection
        near, far = connection.near[0], connection.far[0]
        if offer.destination and offer.destination != far.partition("%")[0]:
            # Anybody could have us flood anybody.
            return None
        try:
            pair = UdpPair(
                connection.reactor,
                connection.registry,
                connection.factory.ports,
                near,
                far,
                lambda control, data: self._datagram(key, control, data),
            )
        except CommandError as error:
            raise Refused(453, str(error)) from error
        pair.aim(far, offer.client_port)
        answer = Transport(
            offer.profile, client_port=offer.client_port, server_port=pair.ports, source=near.partition("%")[0], mode=offer.mode
        )
        return Setup(answer, pair)

    def _datagram(self, key: int, control: bool, data: bytes) -> None:
        self.connection.heard_by_udp(len(data))
        self.received(key, control, data)


class PlaySession(Session):
    """A session that plays one presentation: the `media` that the stream had when it began."""

    def __init__(
        self, connection: "RtspConnection", address: Address, name: str, stream: InboundStream, media: tuple[Medium, ...]
    ) -> None:
        super().__init__(connection)
        self.address = address
        self.name = name
        self.media = media
        self.play: RtspPlay | None = None
        self.packet_size = 0
        self._stream = stream
        self._broadcast: Broadcast | None = None
        self._outlet: DatagramOutlet | None = None

    def grants(self, channels: Pair) -> bool:
        """Viewers with the same channels share their packets: so they cannot have just any."""
        return channels in GRANTED_CHANNELS

    @property
    def streams(self) -> list[Any]:
        """What is played."""
        return [self.play] if self.play is not None else []

    def set_up(self, medium: Medium, offers: list[Transport], block_size: int | None) -> Transport:
        """Carry a medium; `block_size` is the size of packets that the client wants. Raises `Refused`."""
        if self.address.force_tcp:
            offers = [offer for offer in offers if offer.tcp]
        offers = [offer for offer in offers if offer.mode != "RECORD" and not (offer.raw and (medium.track or offer.tcp))]
        if block_size is not None:
            self.packet_size = max((size for size in PACKET_SIZES if size <= block_size), default=PACKET_SIZES[0])
        ssrc = ssrc_of(self._stream.id, medium)
        group = self.connection.factory.broadcasts.group
        if offers and offers[0].multicast and group is not None and not offers[0].raw:
            return self._join_group(medium, offers[0], ssrc)
        raw = bool(offers) and offers[0].raw
        return self.carry(medium.number, offers, **({} if raw else {"ssrc": ssrc}))

    def start_playing(self, url: str) -> list[RtpInfo]:
        """Play, or go on playing; media flow from `begin` on. Gives the entries of RTP-Info, as far as they are known."""
        if self.play is None:
            self.play = self._make_play()
            self.play.subscribe()
        if self.play.inbound is None:
            raise Refused(404, f"the stream {self.name!r} has ended")
        if self.play.playing:
            return []
        feed = self.play.prepare()
        if feed is None or not self.play.begins_at_once or feed.form.raw:
            return []
        base = url.rstrip("/")
        return [
            RtpInfo(f"{base}/trackID={medium.number}", info.sequence, info.timestamp)
            for medium, info in zip(feed.form.media, feed.join_info, strict=False)
        ]

    def begin(self) -> None:
        """The client has been told: media may flow."""
        if self.play is not None:
            self.play.start()

    def pause(self) -> None:
        """Send nothing for a while."""
        if self.play is not None:
            self.play.leave()
        self._close_outlet()

    def close(self, reason: str) -> None:
        play, self.play = self.play, None
        if play is not None:
            play.unsubscribe()
        self._close_outlet()
        broadcast, self._broadcast = self._broadcast, None
        if broadcast is not None:
            self.connection.factory.broadcasts.leave(broadcast)
        super().close(reason)

    def _make_play(self) -> RtspPlay:
        if self._broadcast is not None:
            return MulticastPlay(self.connection, self.name, self._broadcast)
        return RtspPlay(self.connection, self.name, self._form(), self._open_outlet, at_next=self.address.wait_for_key_frame)

    def _form(self) -> Form:
        """What this viewer gets: all that it has set up."""
        chosen = tuple(medium for medium in self.media if medium.number in self.setups)
        transports = [self.setups[medium.number].transport for medium in chosen]
        channels = tuple(transport.interleaved for transport in transports if transport.interleaved is not None)
        largest = TCP_PACKET if channels else UDP_PACKET
        size = min(self.packet_size or largest, largest)
        return Form(chosen, channels, size, any(transport.raw for transport in transports))

    def _open_outlet(self) -> Any:
        """The connection's own way out, or one of our sockets."""
        if self.interleaved:
            return self.connection.outlet()
        ways = {}
        for index, medium in enumerate(medium for medium in self.media if medium.number in self.setups):
            pair = self.setups[medium.number].pair
            assert pair is not None
            pair.send_media()
            ways[2 * index], ways[2 * index + 1] = pair.sockets
        connection = self.connection
        self._outlet = DatagramOutlet(connection, connection.server.streams.fan_out, connection.server.clock, ways)
        return self._outlet

    def _close_outlet(self) -> None:
        if self._outlet is not None:
            self._outlet.close()
            self._outlet = None

    def _join_group(self, medium: Medium, offer: Transport, ssrc: int) -> Transport:
        connection = self.connection
        broadcasts = connection.factory.broadcasts
        if any(not setup.transport.multicast for setup in self.setups.values()):
            raise Refused(461, "other media of the session are unicast")
        try:
            if self._broadcast is None:
                self._broadcast = broadcasts.join(self._stream, self.media, connection.near[0])
        except CommandError as error:
            raise Refused(461, str(error)) from error
        group = broadcasts.group
        assert group is not None
        ports = self._broadcast.ports(self.media.index(medium))
        answer = Transport(offer.profile, multicast=True, destination=group.ip, port=ports, ttl=group.ttl, ssrc=ssrc)
        self.setups[medium.number] = Setup(answer)
        return answer


def stream_of(connection: "RtspConnection", address: Address) -> tuple[str, InboundStream]:
    """The stream that a client means, and its real name. Raises `Refused` (404)."""
    if address.origin is not Origin.LIVE:
        raise Refused(404, "files are not played over RTSP")
    streams = connection.server.streams
    try:
        name = connection.resolve(address.name)
    except CommandError as error:
        raise Refused(404, str(error)) from error
    stream = streams.by_name(name)
    if stream is None and not connection.server.aliases.enabled:
        # Who has published at /live/cam plays there as well, where the name of the stream is cam.
        stream = streams.by_name(name.rpartition("/")[2])
    if stream is None:
        raise Refused(404, f"there is no stream {address.name!r}")
    return stream.name, stream
