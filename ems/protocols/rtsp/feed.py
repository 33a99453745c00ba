"""A stream as RTP, made once for all viewers who get the same media in the same form.

`InterleavedFeed` makes packets for inside the RTSP connection, `DatagramFeed` for UDP. Which of them a viewer gets, and with
whom it shares one, its `Form` says.
"""

from abc import abstractmethod
from collections.abc import Sequence
from struct import Struct
from time import time_ns
from typing import NamedTuple, Self, cast

from ems.media.frame import SECOND, Frame
from ems.media.track import Track
from ems.net.udp import Run, gathered
from ems.protocols.rtsp.description import Medium
from ems.protocols.rtsp.media import Sender, TrackSender, TsSender, ssrc_of
from ems.streams.feed import Feed
from ems.streams.inbound import InboundStream
from ems.streams.outlet import FanOut

REPORT_EVERY = 5 * SECOND
"""The time between two sender reports (RFC 3550 §6.2)."""

UDP_PACKET = 1350
"""Bytes of an RTP packet over UDP: they pass through tunnels unfragmented."""

TCP_PACKET = 1500
"""Bytes of an interleaved RTP packet; clients have buffers of this size at least."""

PACKET_SIZES = (256, 512, 1024, UDP_PACKET, TCP_PACKET)
"""What a client can have with Blocksize. Below the first, headers outweigh media; there are few, as each size that somebody has
costs a ring of packets."""

_INTERLEAVED = Struct(">BBH")


class Form(NamedTuple):
    """What of a stream a viewer gets and how: viewers of the same form share a feed.

    `channels` has the interleaved channels of each of the `media`, RTP and RTCP; it is empty for UDP. `raw` is MPEG-TS without
    RTP.
    """

    media: tuple[Medium, ...]
    channels: tuple[tuple[int, int], ...] = ()
    packet_size: int = UDP_PACKET
    raw: bool = False


class JoinInfo(NamedTuple):
    """What RTP-Info tells of a medium (RFC 2326 §12.33): the number of the first packet and the timestamp of the first moment."""

    sequence: int
    timestamp: int


class RtspFeed(Feed):
    """The packets of the media of one form. Headers are sender reports, by which a player relates sound and pictures at once.

    `senders` are in the order of the form's media.
    """

    def __init__(self, stream: InboundStream, fan_out: FanOut, form: Form) -> None:
        super().__init__(fan_out)
        self.form = form
        self.senders = tuple(_sender(stream, medium, form) for medium in form.media)
        self.join_info: tuple[JoinInfo, ...] = ()
        self._by_track = {sender.medium.track.id: sender for sender in self.senders if sender.medium.track is not None}
        self._indexes = {id(sender): index for index, sender in enumerate(self.senders)}
        # The stream's clock is even, our looking at ours is not: so they are compared once.
        self._wall = time_ns() - stream.newest
        self._report_due = 0

    @abstractmethod
    def wrapped(self, index: int, packets: Sequence[bytes], *, control: bool) -> bytes:
        """The wire form of RTP packets of the medium at `index`, or of RTCP packets (`control`)."""

    def tracks_changed(self, tracks: tuple[Track, ...]) -> None:
        for sender in self.senders:
            sender.tracks_changed(tracks)
        super().tracks_changed(tuple(track for track in tracks if not self._by_track or track.id in self._by_track))

    def packet(self, frame: Frame) -> bytes:
        sender = self._by_track.get(frame.track.id) if self._by_track else self.senders[0]
        if sender is None:
            return b""
        join = self.begins(frame)
        info = self._info(frame.dts) if join else ()
        packets = sender.packets(frame, join=join)
        if not packets:
            return b""
        if join:
            self.join_info = info
        if frame.dts >= self._report_due:
            self._report_due = frame.dts + REPORT_EVERY
            self.announce()
        return self.wrapped(self._indexes[id(sender)], packets, control=False)

    def header_packet(self, dts: int) -> bytes:
        if not self.join_info or self.form.raw:
            return b""
        reports = [sender.report(dts, self._wall + dts) for sender in self.senders]
        return self.controls(reports)

    def goodbye(self) -> bytes:
        """What tells viewers that nothing more comes."""
        return b"" if self.form.raw else self.controls([sender.bye() for sender in self.senders])

    def controls(self, packets: Sequence[bytes]) -> bytes:
        """The wire form of one RTCP packet for each medium."""
        return b"".join([self.wrapped(index, (packet,), control=True) for index, packet in enumerate(packets)])

    def fits(self, tracks: Sequence[Track]) -> bool:
        """Whether viewers, who have the SDP of another moment, can go on with these tracks."""
        present = {track.id: track for track in tracks}
        return all(
            medium.track is None or ((now := present.get(medium.track.id)) and medium._replace(track=now).kind == medium.kind)
            for medium in self.form.media
        )

    def _info(self, time: int) -> tuple[JoinInfo, ...]:
        return tuple(JoinInfo(sender.sequence, sender.timestamp(time)) for sender in self.senders)


class InterleavedFeed(RtspFeed):
    """Packets between the messages of an RTSP connection (RFC 2326 §10.12)."""

    def wrapped(self, index: int, packets: Sequence[bytes], *, control: bool) -> bytes:
        channel = self.form.channels[index][control]
        pack = _INTERLEAVED.pack
        return b"".join([part for packet in packets for part in (pack(0x24, channel, len(packet)), packet)])


class Burst(bytes):
    """The datagrams of some frames: the bytes of all of them, and `runs`, which are what is sent, each with the port it is for.

    Ports are numbered as interleaved channels are: twice the index of the medium, and one more for RTCP.
    """

    runs: tuple[tuple[int, Run], ...]

    @classmethod
    def of(cls, runs: Sequence[tuple[int, Run]]) -> Self:
        """A burst of these runs."""
        burst = cls(b"".join([run.data for _, run in runs]))
        burst.runs = tuple(runs)
        return burst


class DatagramFeed(RtspFeed):
    """Packets for UDP."""

    BATCH_BYTES = 16 << 10
    """A picture or two: an outlet rests once a portion of them is out (`DatagramOutlet.PORTION`), so one may be beyond it."""

    def joined(self, packets: Sequence[bytes]) -> bytes:
        return Burst.of([run for burst in cast(Sequence[Burst], packets) for run in burst.runs])

    def wrapped(self, index: int, packets: Sequence[bytes], *, control: bool) -> bytes:
        port = 2 * index + control
        return Burst.of([(port, run) for run in gathered(packets)])

    def controls(self, packets: Sequence[bytes]) -> bytes:
        return Burst.of([(2 * index + 1, run) for index, packet in enumerate(packets) for run in gathered((packet,))])


def feed_class(form: Form) -> type[RtspFeed]:
    """The kind of feed that makes a form."""
    return InterleavedFeed if form.channels else DatagramFeed


def _sender(stream: InboundStream, medium: Medium, form: Form) -> Sender:
    ssrc = ssrc_of(stream.id, medium)
    if medium.track is None:
        return TsSender(medium, ssrc, form.packet_size, raw=form.raw)
    return TrackSender(medium, ssrc, form.packet_size)
