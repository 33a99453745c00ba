"""Times of sound from the count of its samples, instead of those that the source has given it.

A frame of AAC lasts exactly 1024 samples, but RTMP tells times in whole milliseconds, and other sources have other jitter: the
frames of 21.333 ms come as if they lasted 21, 22, 21 … Players that play them by their times put in tiny gaps, which can be
heard. So a frame begins where the one before has ended, and the source's times only guide the count:

* every `WINDOW`, the count is moved by what the source's times have been off on average: a clock that runs fast or slow is
  followed, a jitter is not;
* a frame that is off by more than `MAX_OFFSET` takes its own time: the source has left something out, or its clock has jumped.

So sound is never further from its pictures than `MAX_OFFSET`, and nothing drifts.
"""

from collections.abc import Iterable

from ems.errors import MalformedData
from ems.media.aac import AudioSpecificConfig
from ems.media.frame import MILLISECOND, SECOND, Frame
from ems.media.track import Codec, Track

WINDOW = 10 * SECOND
"""How often the count follows the source's clock. The clocks of encoders are off by 0.1 ‰ at most: that is 1 ms in this time."""

MAX_OFFSET = 40 * MILLISECOND
"""What sound may be away from where the source has it; later than 40 ms is what people begin to see (ITU-R BT.1359)."""

ROUNDING = 1 * MILLISECOND
"""An average that is not further off comes from the rounding of times, and nothing is done about it."""

# Looking a member up in its enumeration costs more than comparing with it, and this is done for every frame.
_AAC = Codec.AAC


class SampleClocks:
    """One `SampleClock` for each track of AAC; other tracks keep their times."""

    def __init__(self) -> None:
        self._clocks: dict[int, tuple[Track, SampleClock | None]] = {}

    def on_time(self, frames: Iterable[Frame]) -> list[Frame]:
        """The frames with their times by the count; those of a track must come in order."""
        timed = []
        for frame in frames:
            track, dts, _, keyframe, data = frame
            if track.codec is _AAC:
                clock = self._clock(track)
                if clock is not None:
                    time = clock.time(dts)
                    frame = Frame(track, time, time, keyframe, data)
            timed.append(frame)
        return timed

    def _clock(self, track: Track) -> "SampleClock | None":
        known = self._clocks.get(track.id)
        if known is None or known[0] is not track:
            known = self._clocks[track.id] = track, _clock_of(track)
        return known[1]


class SampleClock:
    """The times of frames of `length` samples at `rate` Hz, in nanoseconds."""

    def __init__(self, length: int, rate: int) -> None:
        self._length = length * SECOND
        self._rate = rate
        self._base = 0
        self._count = 0
        self._newest: int | None = None
        self._window_ends = 0
        self._offsets = 0
        self._measured = 0

    def time(self, given: int) -> int:
        """When the next frame begins, which the source says begins at `given`. Never goes back."""
        newest, expected = self._newest, self._base + self._count * self._length // self._rate
        if newest is None or abs(given - expected) > MAX_OFFSET:
            # Half a frame on, at least: times must go forward, and count up with a source that sends frames twice as fast.
            expected = given if newest is None else max(given, newest + self._length // self._rate // 2)
            self._begin(expected)
        else:
            self._offsets += given - expected
            self._measured += 1
            if given >= self._window_ends:
                self._follow(expected)
        self._count += 1
        self._newest = expected
        return expected

    def _begin(self, base: int) -> None:
        """Count from here."""
        self._base, self._count = base, 0
        self._window_ends = base + WINDOW
        self._offsets = self._measured = 0

    def _follow(self, expected: int) -> None:
        """Move the frames to come by the average by which the source's were off."""
        average = self._offsets // self._measured
        if abs(average) > ROUNDING:
            # Not more than half a frame at a time, so that times go forward.
            limit = self._length // self._rate // 2
            self._base += max(-limit, min(average, limit))
        self._window_ends = expected + WINDOW
        self._offsets = self._measured = 0


def _clock_of(track: Track) -> SampleClock | None:
    """The clock of a track; None when its configuration does not tell how long a frame is."""
    try:
        config = AudioSpecificConfig.parse(track.config)
    except MalformedData:
        return None
    return SampleClock(config.frame_length, config.sample_rate) if config.sample_rate else None
