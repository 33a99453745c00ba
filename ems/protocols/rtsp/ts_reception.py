"""MPEG-TS that comes in over RTP (RFC 2250 §2) or bare in datagrams: from packets to frames.

The same face as `ems.formats.rtp.reception.Reception` has, for a source whose only medium is a transport stream: its tracks are
inside, and so is its clock, so that no sender reports are waited for.
"""

from collections.abc import Iterable, Sequence

from ems.errors import MalformedData
from ems.formats import rtcp
from ems.formats.mpegts.clock import SampleClock
from ems.formats.mpegts.demux import TsDemuxer
from ems.formats.mpegts.events import Event, Sample, TracksFound
from ems.formats.rtp.packet import RtpPacket, parse
from ems.formats.rtp.payload import VIDEO_CLOCK
from ems.formats.rtp.reorder import ReorderBuffer
from ems.formats.rtp.sync import SyncMode
from ems.media.frame import Frame
from ems.media.timeline import Timeline
from ems.media.track import Track


class TsReception:
    """One transport stream. `raw` is without RTP; `window` (ns) is how long packets wait for missing ones, 0 for not at all."""

    mode = SyncMode.SINGLE
    held_back = 0

    def __init__(self, *, raw: bool, window: int) -> None:
        self.tracks: tuple[Track, ...] = ()
        self.ended = False
        self._raw = raw
        self._buffer = ReorderBuffer(window) if window and not raw else None
        self._statistics = rtcp.ReceiverStatistics(VIDEO_CLOCK)
        self._demuxer = TsDemuxer()
        self._clock = SampleClock()

    @property
    def timeline(self) -> Timeline:
        """The clock of the stream."""
        return self._clock.timeline

    @property
    def lost(self) -> int:
        """RTP packets that did not come in time."""
        return self._buffer.lost if self._buffer is not None else max(self._statistics.lost, 0)

    @property
    def dropped(self) -> int:
        """Access units, or tables, that came in part."""
        return self._demuxer.statistics.malformed

    def rtp(self, index: int, data: bytes, arrival: int) -> list[Frame]:
        """The frames that a datagram completes, which came at `arrival`. Raises `MalformedData` for no transport stream."""
        if self._raw:
            return self._frames(self._demuxer.receive(data), arrival)
        try:
            packet = parse(data)
        except MalformedData:
            return []
        self._statistics.packet(packet.ssrc, packet.sequence, packet.timestamp, arrival)
        return self._packets(self._buffer.push(packet, arrival) if self._buffer is not None else (packet,), arrival)

    def expire(self, now: int) -> list[Frame]:
        """The frames of packets that have waited long enough for missing ones."""
        return self._packets(self._buffer.expire(now), now) if self._buffer is not None else []

    def rtcp(self, index: int, data: bytes, arrival: int) -> list[Frame]:
        """Take a compound packet. Raises `MalformedData` for what is no RTCP."""
        for packet in rtcp.parse(data):
            match packet:
                case rtcp.SenderReport():
                    self._statistics.sender_report(packet.ntp_timestamp, arrival)
                case rtcp.Goodbye():
                    self.ended = True
        return []

    def receiver_report(self, index: int, ssrc: int, name: str, now: int) -> bytes:
        """The compound packet that tells the source how its packets arrive."""
        block = self._statistics.report(now)
        return rtcp.build([rtcp.ReceiverReport(ssrc, (block,) if block is not None else ()), rtcp.cname(ssrc, name)])

    def _packets(self, packets: Iterable[RtpPacket], arrival: int) -> list[Frame]:
        return [frame for packet in packets for frame in self._frames(self._demuxer.receive(packet.payload), arrival)]

    def _frames(self, events: Sequence[Event], arrival: int) -> list[Frame]:
        frames = []
        self._clock.begin(events)
        for event in events:
            if isinstance(event, Sample):
                frame = self._clock.frame(event, arrival)
                if frame is not None:
                    frames.append(frame)
            elif isinstance(event, TracksFound):
                self.tracks = event.tracks
        return frames
