"""Samples of a transport stream to frames on the stream's clock.

The 33-bit times of all PIDs count one clock, so one `Unwrapper` counts its wraps for all of them. `Timeline` repairs what is
left: a source that starts anywhere, jumps, or goes back.

Streams are not interleaved by their times: sound that belongs to a picture may come before it or long after it. The clock
begins with the earliest of all that come together at first, and sound from before that is left out, as it cannot be told in step.
"""

from collections.abc import Iterable

from ems.formats.mpegts.events import Event, Sample
from ems.formats.mpegts.packets import TICKS_RANGE, to_nanoseconds
from ems.media.frame import Frame
from ems.media.timeline import Timeline, Unwrapper
from ems.media.track import Kind

MAX_COMPOSITION_OFFSET = 90_000 * 10
"""Ticks by which a picture may be shown after it is decoded: ten seconds; what says more, or less than nothing, is damaged."""


class SampleClock:
    """Makes frames of samples, on one clock for all tracks."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self._unwrapper = Unwrapper(33)
        self._begun = False

    def begin(self, events: Iterable[Event]) -> None:
        """These come next, all at once. When they are the first that have samples, the clock begins with the earliest of them."""
        if self._begun:
            return
        times = [to_nanoseconds(self._unwrapper.unwrap(event.dts_ticks)) for event in events if isinstance(event, Sample)]
        if times:
            self._begun = True
            self.timeline.begin(min(times))

    def frame(self, sample: Sample, arrival: int = 0) -> Frame | None:
        """The frame of a sample that came at `arrival`, a monotonic time in nanoseconds (see `Timeline.place`).

        None for sound from before the beginning.
        """
        dts = to_nanoseconds(self._unwrapper.unwrap(sample.dts_ticks))
        timeline = self.timeline
        early = timeline.precedes(dts)
        if early and sample.track.kind is Kind.AUDIO:
            return None
        placed = timeline.place(sample.track.id, dts, arrival)
        offset = (sample.pts_ticks - sample.dts_ticks) % TICKS_RANGE
        if offset > MAX_COMPOSITION_OFFSET:
            return Frame(sample.track, placed, placed, sample.keyframe, sample.data)
        shown = to_nanoseconds(offset) + (dts - timeline.origin if early else placed)
        return Frame(sample.track, placed, max(placed, shown), sample.keyframe, sample.data)
