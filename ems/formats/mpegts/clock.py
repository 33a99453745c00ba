"""Samples of a transport stream to frames on the stream's clock.

The 33-bit times of all PIDs count one clock, so one `Unwrapper` counts its wraps for all of them. `Timeline` repairs what is
left: a source that starts anywhere, jumps, or goes back.
"""

from ems.formats.mpegts.events import Sample
from ems.formats.mpegts.packets import TICKS_RANGE, to_nanoseconds
from ems.media.frame import Frame
from ems.media.timeline import Timeline, Unwrapper

MAX_COMPOSITION_OFFSET = 90_000 * 10
"""Ticks by which a picture may be shown after it is decoded: ten seconds; what says more, or less than nothing, is damaged."""


class SampleClock:
    """Makes frames of samples, on one clock for all tracks."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self._unwrapper = Unwrapper(33)

    def frame(self, sample: Sample, arrival: int = 0) -> Frame:
        """The frame of a sample that came at `arrival`, a monotonic time in nanoseconds (see `Timeline.place`)."""
        dts = to_nanoseconds(self._unwrapper.unwrap(sample.dts_ticks))
        placed = self.timeline.place(sample.track.id, dts, arrival)
        offset = (sample.pts_ticks - sample.dts_ticks) % TICKS_RANGE
        shown = placed + to_nanoseconds(offset) if offset <= MAX_COMPOSITION_OFFSET else placed
        return Frame(sample.track, placed, shown, sample.keyframe, sample.data)
