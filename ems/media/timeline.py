"""One steady clock per stream, made of the clocks that sources really have.

Sources wrap their counters, start anywhere, jump when an encoder restarts or a file loops, and deliver a frame a little too
early now and then. Sinks must see none of it. `Unwrapper` turns a counter of few bits into one that never wraps;
`Timeline` maps it to the stream's own clock: nanoseconds, 0 at the first frame, never going back within a track.
"""

from ems.media.frame import MILLISECOND, SECOND


class Unwrapper:
    """Counts past the wraps of a clock of `bits` bits: 32 for RTMP and RTP, 33 for MPEG-TS.

    A step of less than half the range, forward or back, is taken as such; so a frame from just before a wrap that comes
    just after it is placed right.
    """

    __slots__ = ("_half", "_last", "_range")

    def __init__(self, bits: int) -> None:
        self._range = 1 << bits
        self._half = self._range >> 1
        self._last: int | None = None

    def unwrap(self, ticks: int) -> int:
        """The whole count for a wrapped one."""
        if self._last is None:
            self._last = ticks
        else:
            self._last += (ticks - self._last + self._half) % self._range - self._half
        return self._last


class Timeline:
    """Places the frames of one source on the stream's clock.

    All tracks share one offset, which keeps picture and sound together. A frame that is further than `MAX_GAP` from where its
    stream has got to, and that no silence of the source explains, means that the source's clock has jumped: the offset is set
    anew so that time goes on `RESUME_STEP` after the newest frame. Frames of the other tracks that still carry the old clock
    are recognised by it and placed by the old offset.

    `origin` is the source time, in nanoseconds, that is 0 on the stream's clock (now: it changes when the source jumps), and
    `jumps` how often it has jumped.
    """

    MAX_GAP = 5 * SECOND
    """A difference that no interleaving of a live source explains."""

    RESUME_STEP = 20 * MILLISECOND
    """How far behind the newest frame time goes on after a jump: about one frame of audio or video."""

    __slots__ = ("_arrival", "_last", "_newest", "_offset", "_old_offset", "jumps", "origin")

    def __init__(self) -> None:
        self._offset: int | None = None
        self._old_offset: int | None = None
        self._newest = 0
        self._arrival = 0
        self._last: dict[int, int] = {}
        self.jumps = 0
        self.origin = 0

    def begin(self, source_time: int) -> None:
        """Have this source time be 0, unless there have been frames: for who knows that the first frame is not the earliest."""
        if self._offset is None:
            self._offset = -source_time
            self.origin = source_time

    def precedes(self, source_time: int) -> bool:
        """True for a time before the stream's beginning, to which `place` would move it and so away from the other tracks."""
        return self._offset is not None and not self.jumps and -self.MAX_GAP <= source_time + self._offset < 0

    def place(self, track_id: int, source_time: int, arrival: int = 0) -> int:
        """The decoding time on the stream's clock of a frame with this unwrapped source time.

        All in nanoseconds; `arrival` is the monotonic time at which the frame came, which tells a source that paused for a
        minute (its time moved on with ours) from one whose clock jumped by a minute.
        """
        if self._offset is None:
            self._offset = -source_time
            self.origin = source_time
        time = source_time + self._offset
        if not -self.MAX_GAP <= time - self._newest <= self.MAX_GAP and not self._plausible(time, arrival):
            time = self._after_jump(source_time, arrival)
        last = self._last.get(track_id, 0)
        if time < last:
            time = last
        self._last[track_id] = time
        if time >= self._newest:
            self._newest = time
            self._arrival = arrival
        return time

    def _plausible(self, time: int, arrival: int) -> bool:
        ahead = time - self._newest
        return -self.MAX_GAP <= ahead <= self.MAX_GAP or 0 < ahead <= self.MAX_GAP + arrival - self._arrival

    def _after_jump(self, source_time: int, arrival: int) -> int:
        if self._old_offset is not None and self._plausible(source_time + self._old_offset, arrival):
            return source_time + self._old_offset
        self.jumps += 1
        self._old_offset = self._offset
        self._offset = self._newest + self.RESUME_STEP - source_time
        self.origin = -self._offset
        return self._newest + self.RESUME_STEP
