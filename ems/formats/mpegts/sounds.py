"""Access units of audio out of PES packets, with times counted in samples.

Audio frames need not be aligned with PES packets: one packet may hold several, and a frame may begin in one and end in the next.
The time of a packet is that of the first frame that begins in it; all further ones follow by their number of samples. As times in
the stream are rounded, to ticks or often to milliseconds, the count goes on from packet to packet for as long as the times agree
with it, and frames come evenly.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ems.errors import MalformedData
from ems.formats.mpegts.events import Event, Sample, TimedMetadata
from ems.formats.mpegts.packets import CLOCK_RATE, TICKS_RANGE
from ems.formats.mpegts.pes import PesPacket
from ems.media.track import Track

TOLERANCE = 2 * CLOCK_RATE // 1000
"""Ticks (2 ms) by which a packet's time may differ from the count: rounding to milliseconds twice, and too little to hear."""

MAX_WAITING = 65536
"""Bytes of a frame that goes on in the next packet: LOAS has 8 KiB, Opus 60, the others less."""

MAX_MARKS = 16
"""Times that are kept for frames to come: of more, told by packets in which no frame begins, only the newest counts."""


class SoundFrame(NamedTuple):
    """A frame in a row of bytes: `end` is where the next one begins, perhaps behind all that is there yet.

    `units` are its access units, each of `samples` samples, once it is whole; `track` is None for what is only to be passed over.
    """

    end: int
    track: Track | None = None
    units: Sequence[bytes] = ()
    samples: int = 0


class Framing(Protocol):
    """How frames of a codec stand one behind the other. `first` is the byte that each begins with."""

    first: bytes

    def frame(self, data: bytes, offset: int) -> SoundFrame | None:
        """The frame at `offset`; None when more bytes are needed to tell. Raises `MalformedData` when there is none."""


class SoundReader:
    """Reads frames of one framing from the PES packets of one PID."""

    holds = False

    def __init__(self, framing: Framing) -> None:
        self._framing = framing
        self._rest = b""
        self._marks: list[tuple[int, int]] = []
        self._aligned = False
        self._base: int | None = None
        self._count = 0
        self._rate = 0

    def begins(self, start: bytes) -> list[Event]:
        """Nothing: frames tell their own sizes."""
        return []

    def receive(self, packet: PesPacket, size: int) -> list[Event]:
        """The samples of all frames that this packet completes."""
        if packet.pts is not None:
            if self._marks and (self._marks[-1][0] == len(self._rest) or len(self._marks) == MAX_MARKS):
                self._marks.pop()
            self._marks.append((len(self._rest), packet.pts))
        data = self._rest + packet.data
        found: list[Event] = []
        offset = 0
        while offset < len(data):
            frame = self._frame(data, offset)
            if frame is None or frame.end > len(data):
                break
            if frame.track is not None:
                found += self._samples(frame, frame.track, offset)
            offset = frame.end
        self._keep(data, offset)
        return found

    def lose(self) -> None:
        """Drop the frame that has begun, and look for the next time."""
        self._rest = b""
        self._marks.clear()
        self._aligned = False
        self._base = None

    def end(self) -> list[Event]:
        """Nothing: a frame that is not whole is no frame."""
        return []

    def _frame(self, data: bytes, offset: int) -> SoundFrame | None:
        """The frame at `offset`, or the bytes up to where one may begin; the first one must have another one behind it."""
        framing = self._framing
        try:
            frame = framing.frame(data, offset)
            if not self._aligned and frame is not None and frame.end < len(data):
                framing.frame(data, frame.end)
                self._aligned = True
        except MalformedData:
            self._aligned = False
            following = data.find(framing.first, offset + 1)
            return SoundFrame(following if following >= 0 else len(data))
        return frame

    def _samples(self, frame: SoundFrame, track: Track, offset: int) -> list[Event]:
        """Samples of the frame that begins at `offset`, in their time; none before the first time has come."""
        marks = self._marks
        while marks and marks[0][0] <= offset:
            self._anchor(marks.pop(0)[1], track.sample_rate)
        found: list[Event] = []
        for unit in frame.units:
            if self._base is None:
                break
            ticks = self._now(self._base)
            found.append(Sample(track, ticks, ticks, True, unit))
            self._count += frame.samples
        return found

    def _now(self, base: int) -> int:
        """The time that the count of samples tells, in ticks, when it began at `base`."""
        return (base + (self._count * CLOCK_RATE + self._rate // 2) // self._rate) % TICKS_RANGE

    def _anchor(self, ticks: int, rate: int) -> None:
        """Count from this time on, unless it agrees with the count."""
        if self._base is not None and rate == self._rate:
            off = (ticks - self._now(self._base) + TICKS_RANGE // 2) % TICKS_RANGE - TICKS_RANGE // 2
            if -TOLERANCE <= off <= TOLERANCE:
                return
        self._base, self._count, self._rate = ticks, 0, rate or CLOCK_RATE

    def _keep(self, data: bytes, offset: int) -> None:
        """Keep what begins at `offset` for the next packet, and the times that belong to it."""
        if len(data) - offset > MAX_WAITING:
            raise MalformedData(f"an audio frame of more than {MAX_WAITING} bytes")
        self._rest = data[offset:]
        if self._marks:
            self._marks = [(max(position - offset, 0), ticks) for position, ticks in self._marks]


class MetadataReader:
    """Gives the packets of a metadata stream as they are."""

    holds = False

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def begins(self, start: bytes) -> list[Event]:
        """Nothing: each packet stands for itself."""
        return []

    def receive(self, packet: PesPacket, size: int) -> list[Event]:
        """The packet, when it tells its time."""
        return [] if packet.pts is None else [TimedMetadata(self._pid, packet.pts, packet.data)]

    def lose(self) -> None:
        """Nothing is kept."""

    def end(self) -> list[Event]:
        """Nothing is kept."""
        return []
