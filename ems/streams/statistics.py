"""What has passed: counters per kind of track, as the runtime API reports them."""

from typing import NamedTuple

from ems.media.frame import Frame
from ems.media.track import Kind


class Totals(NamedTuple):
    """Running totals of a sequence of frames: packets and payload bytes of audio and of video."""

    audio_packets: int = 0
    audio_bytes: int = 0
    video_packets: int = 0
    video_bytes: int = 0

    def plus(self, other: "Totals") -> "Totals":
        """The sums, field by field."""
        return Totals(*(a + b for a, b in zip(self, other, strict=True)))

    def minus(self, other: "Totals") -> "Totals":
        """The differences, field by field: what passed between two moments."""
        return Totals(*(a - b for a, b in zip(self, other, strict=True)))

    def counting(self, frame: Frame) -> "Totals":
        """These totals and one frame more."""
        audio_packets, audio_bytes, video_packets, video_bytes = self
        if frame.track.kind is Kind.VIDEO:
            return Totals(audio_packets, audio_bytes, video_packets + 1, video_bytes + len(frame.data))
        if frame.track.kind is Kind.AUDIO:
            return Totals(audio_packets + 1, audio_bytes + len(frame.data), video_packets, video_bytes)
        return self


NOTHING = Totals()
"""Where every sum begins: one object for all viewers."""


class TrackCounters:
    """Packets and bytes of one kind of track, delivered and dropped."""

    __slots__ = ("bytes", "dropped_bytes", "dropped_packets", "packets")

    def __init__(self, packets: int = 0, bytes: int = 0, dropped_packets: int = 0, dropped_bytes: int = 0) -> None:
        self.packets = packets
        self.bytes = bytes
        self.dropped_packets = dropped_packets
        self.dropped_bytes = dropped_bytes


class StreamStatistics:
    """The counters of one stream, in or out."""

    __slots__ = ("audio", "video")

    def __init__(self, audio: TrackCounters | None = None, video: TrackCounters | None = None) -> None:
        self.audio = audio or TrackCounters()
        self.video = video or TrackCounters()

    @classmethod
    def of(cls, delivered: Totals, dropped: Totals) -> "StreamStatistics":
        """Counters made of what was delivered and what was dropped."""
        return cls(
            TrackCounters(delivered.audio_packets, delivered.audio_bytes, dropped.audio_packets, dropped.audio_bytes),
            TrackCounters(delivered.video_packets, delivered.video_bytes, dropped.video_packets, dropped.video_bytes),
        )
