"""From packets to frames: what every receiver of RTP does, whatever brought the packets.

::

    rtp()  ─► ReorderBuffer ─► Depacketiser ─► Synchroniser ─► DecodeOrder ─► Timeline ─► frames
    rtcp() ─► sender reports ──────────────────────┘

What comes while sender reports are still waited for is dropped, but for the last moment from a key frame on: reports follow the
first key frame closely in most sources, and a stream should not have to wait for the second one. Receivers own their sockets
and clocks, tell the time of arrival, and send what `receiver_report` gives.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ems.errors import MalformedData
from ems.formats import rtcp
from ems.formats.rtp.decode_order import DecodeOrder, decode_order
from ems.formats.rtp.depacketise import AccessUnit, Depacketiser
from ems.formats.rtp.packet import RtpPacket, parse
from ems.formats.rtp.reorder import DEFAULT_WINDOW, ReorderBuffer
from ems.formats.rtp.sync import DEFAULT_INTERVAL, Synchroniser, SyncMode
from ems.media.frame import SECOND, Frame
from ems.media.timeline import Timeline
from ems.media.track import Kind, Track

MAX_HELD = 16 * 1024 * 1024
MAX_HELD_UNITS = 2500
"""What is held back while reports are waited for: as much as a stream keeps of its newest group of pictures."""

MAX_HELD_AGE = SECOND
"""Nothing older is passed on when the reports are there: viewers who wait already get no burst of old frames."""

SOURCE_TIMEOUT = SECOND
"""Silence, in nanoseconds, after which another source may take a medium over: an encoder that begins anew has another SSRC."""


class MediumReception:
    """One medium: its `depacketiser`, and counters. `payload_type` None takes any.

    A medium keeps to the source that it began with until that is silent: `ssrc` is its number. `foreign` counts packets of other
    sources, and those of other payload types (comfort noise, DTMF, error correction). The latter have their place in the
    sequence of their source, so that they are left out only where all are in order.
    """

    def __init__(self, depacketiser: Depacketiser, payload_type: int | None, window_ns: int) -> None:
        self.depacketiser = depacketiser
        self.payload_type = payload_type
        self.buffer = ReorderBuffer(window_ns) if window_ns else None
        self.statistics = rtcp.ReceiverStatistics(depacketiser.clock_rate)
        self.order: DecodeOrder | None = None
        self.ordered_track: Track | None = None
        self.read_ssrc: int | None = None
        self.bytes = 0
        self.malformed = 0
        self.foreign = 0
        self.ended = False
        self._heard = 0

    @property
    def ssrc(self) -> int | None:
        """The source, None while nothing has come."""
        return self.statistics.ssrc

    @property
    def lost(self) -> int:
        """Packets that did not come in time. RFC 3550's number, which the source is told, has those that came twice taken off."""
        return self.buffer.lost if self.buffer is not None else max(self.statistics.lost, 0)

    def packets(self, data: bytes, arrival: int) -> list[RtpPacket]:
        """The packets of the source, of any payload type, that are next now that this one has come.

        Malformed ones and those of other sources are counted and left out.
        """
        try:
            packet = parse(data)
        except MalformedData:
            self.malformed += 1
            return []
        if packet.ssrc != self.statistics.ssrc and not self._may_begin(packet, arrival):
            self.foreign += 1
            return []
        self._heard = arrival
        self.bytes += len(data)
        self.statistics.packet(packet.ssrc, packet.sequence, packet.timestamp, arrival)
        return self.buffer.push(packet, arrival) if self.buffer is not None else [packet]

    def _may_begin(self, packet: RtpPacket, arrival: int) -> bool:
        """True when another source than that of before may take over: one that sends what is read."""
        if packet.payload_type != self.payload_type is not None:
            return False
        return self.ssrc is None or arrival - self._heard > SOURCE_TIMEOUT


class Reception:
    """All media of one source.

    `medias` are pairs of a depacketiser and the payload type that it reads, None for any. `interval` is how long sender reports
    are waited for and `window` how long packets wait for missing ones (0 where the transport keeps the order), in nanoseconds.
    `origins` are the timestamps of RTP-Info by the medium's index.
    """

    def __init__(
        self,
        medias: Sequence[tuple[Depacketiser, int | None]],
        *,
        interval: int = DEFAULT_INTERVAL,
        window: int = DEFAULT_WINDOW,
        origins: Mapping[int, int] | None = None,
    ) -> None:
        self.medias = [MediumReception(depacketiser, payload_type, window) for depacketiser, payload_type in medias]
        self.synchroniser = Synchroniser([medium.depacketiser.clock_rate for medium in self.medias], interval, origins)
        self.timeline = Timeline()
        self._held: list[tuple[int, AccessUnit, int]] = []
        self._held_bytes = 0

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The tracks that are known, video first."""
        known = [medium.depacketiser.track for medium in self.medias if medium.depacketiser.track is not None]
        return tuple(sorted(known, key=lambda track: track.kind is not Kind.VIDEO))

    @property
    def mode(self) -> SyncMode:
        """How the media are synchronised."""
        return self.synchroniser.mode

    @property
    def held_back(self) -> int:
        """Access units, the dropped ones among them, that have come while reports were waited for."""
        return self.synchroniser.held_back

    @property
    def ended(self) -> bool:
        """True when all media have said goodbye."""
        return all(medium.ended for medium in self.medias)

    def rtp(self, index: int, data: bytes, arrival: int) -> list[Frame]:
        """The frames that a packet of the medium `index`, which came at `arrival`, completes. Raises nothing."""
        return self._frames(index, self.medias[index].packets(data, arrival), arrival)

    def expire(self, now: int) -> list[Frame]:
        """The frames of packets that have waited long enough for missing ones; to be asked for now and then, as once a window."""
        found: list[Frame] = []
        for index, medium in enumerate(self.medias):
            if medium.buffer is not None:
                found += self._frames(index, medium.buffer.expire(now), now)
        return found

    def rtcp(self, index: int, data: bytes, arrival: int) -> list[Frame]:
        """Take a compound packet of the medium `index`; gives the frames that a sender report sets free.

        Raises `MalformedData` for what is no RTCP.
        """
        medium = self.medias[index]
        self._drop_old(arrival)
        for packet in rtcp.parse(data):
            match packet:
                case rtcp.SenderReport():
                    medium.statistics.sender_report(packet.ntp_timestamp, arrival)
                    self.synchroniser.sender_report(index, packet.ntp_timestamp, packet.rtp_timestamp, arrival)
                case rtcp.Goodbye() if medium.ssrc is None or medium.ssrc in packet.sources:
                    medium.ended = True
        return self._released()

    def receiver_report(self, index: int, ssrc: int, name: str, now: int) -> bytes:
        """The compound packet that tells the source how its medium arrives; `ssrc` and `name` (CNAME) are the receiver's."""
        block = self.medias[index].statistics.report(now)
        blocks = (block,) if block is not None else ()
        return rtcp.build([rtcp.ReceiverReport(ssrc, blocks), rtcp.cname(ssrc, name)])

    def _frames(self, index: int, packets: Iterable[RtpPacket], arrival: int) -> list[Frame]:
        medium = self.medias[index]
        found: list[Frame] = []
        self._drop_old(arrival)
        for packet in packets:
            if packet.ssrc != medium.read_ssrc:
                if medium.read_ssrc is not None:
                    self.synchroniser.restart(index)
                medium.read_ssrc = packet.ssrc
            if packet.payload_type != medium.payload_type is not None:
                medium.foreign += 1
                medium.depacketiser.skip(packet.sequence)
                continue
            for unit in medium.depacketiser.receive(packet):
                found += self._unit(index, unit, arrival)
        return found

    def _unit(self, index: int, unit: AccessUnit, arrival: int) -> list[Frame]:
        """Frames that can be passed on now that this unit has come."""
        time = self.synchroniser.place(index, unit.timestamp, arrival)
        if time is None:
            self._hold(index, unit, arrival)
            return []
        return [*self._released(), *self._frame(self._timed(index, unit, time, arrival))]

    def _hold(self, index: int, unit: AccessUnit, arrival: int) -> None:
        """Keep a unit for a moment, in which the media may become synchronised: those since the newest key frame."""
        if unit.track.kind is Kind.VIDEO and unit.keyframe:
            self._held, self._held_bytes = [], 0
        self._held.append((index, unit, arrival))
        self._held_bytes += len(unit.data)
        if self._held_bytes > MAX_HELD or len(self._held) > MAX_HELD_UNITS:
            self._drop_held()

    def _drop_old(self, now: int) -> None:
        """Drop what is held back once its beginning, the key frame of the others, is too old."""
        if self._held and now - self._held[0][2] > MAX_HELD_AGE:
            self._drop_held()

    def _drop_held(self) -> None:
        self._held, self._held_bytes = [], 0
        for medium in self.medias:
            medium.depacketiser.await_keyframe()

    def _released(self) -> list[Frame]:
        """The frames of what has been held back, once the media are synchronised."""
        if not self._held or self.synchroniser.mode is SyncMode.WAITING:
            return []
        held, self._held, self._held_bytes = self._held, [], 0
        times = [(self.synchroniser.place(index, unit.timestamp, arrival), index, unit, arrival) for index, unit, arrival in held]
        timed = [self._timed(index, unit, time, arrival) for time, index, unit, arrival in times if time is not None]
        # Media come in any order: the stream begins with what is earliest.
        if timed:
            self.timeline.begin(min(one.dts for one in timed))
        return [frame for one in timed for frame in self._frame(one)]

    def _timed(self, index: int, unit: AccessUnit, time: int, arrival: int) -> "_TimedUnit":
        """A unit with its times of decoding and presentation on the source's clock."""
        medium, track = self.medias[index], unit.track
        if track.kind is not Kind.VIDEO:
            return _TimedUnit(unit, time, time, arrival)
        if track is not medium.ordered_track or medium.order is None:
            medium.order, medium.ordered_track = decode_order(track), track
        return _TimedUnit(unit, *medium.order.place(time), arrival)

    def _frame(self, timed: "_TimedUnit") -> tuple[Frame, ...]:
        """The frame of a unit, on the stream's clock; none for sound from before the beginning, as it could not be in step."""
        unit, dts, pts, arrival = timed
        track = unit.track
        if track.kind is Kind.AUDIO and self.timeline.precedes(dts):
            return ()
        placed = self.timeline.place(track.id, dts, arrival)
        # Where the decoding time was moved, such as up to 0 at the start, the picture is still shown when its time has come.
        return (Frame(track, placed, max(placed, pts - self.timeline.origin), unit.keyframe, unit.data),)


class _TimedUnit(NamedTuple):
    """A unit, when it is to be decoded and shown on the source's clock, and when it came; all in nanoseconds."""

    unit: AccessUnit
    dts: int
    pts: int
    arrival: int
