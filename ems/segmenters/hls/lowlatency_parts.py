"""How a segment that is still being made is cut into parts (RFC 8216bis §4.4.4.9).

A part is a short piece of a segment, half a second or less, that players fetch as soon as it is there, long before the segment
ends. What the standard asks of its duration:

* no part is longer than the *part target*, which the playlist declares once and for all;
* none is shorter than 85 % of it, but the last of each segment. (Parts with a key frame are excused, too: we need no excuse.)

So a part ends with the last picture that still fits, if that is 85 % of the target; else exactly at the target, even if that is
in the middle of a picture: then the next part begins with the rest of its time. That holds at any frame rate, and for sources
whose time stamps are rounded to milliseconds. Sound is cut at the same instant as the picture. A part in whose time nothing
began (a source that stood still) has no frames, and is listed as a gap.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ems.media.frame import Frame
from ems.media.track import Kind, Track
from ems.streams.gop import lead_track

SHORTEST_PERCENT = 85
"""Of the part target: what a part other than the last of a segment must at least have."""


class Part(NamedTuple):
    """A piece of a segment: its frames, when it begins and ends in nanoseconds, and whether a player can begin in it.

    Without frames it is a gap.
    """

    frames: tuple[Frame, ...]
    start: int
    end: int
    independent: bool


class PartCutter:
    """Cuts the frames of one segment after the other into parts. `target` is in nanoseconds.

    Call `begin`, then `frame` for each frame, then `end`. Frames come in the order of their decoding times, whatever track they
    are of; one that comes late goes into the part that is open.
    """

    def __init__(self, tracks: Sequence[Track], target: int) -> None:
        lead = lead_track(tuple(tracks))
        self._lead = lead.id if lead is not None else -1
        self._has_video = lead is not None and lead.kind is Kind.VIDEO
        self._target = target
        self._start = 0
        self._frames: list[Frame] = []
        self._last_picture = 0

    def begin(self, start: int) -> None:
        """A segment begins at this time, in nanoseconds."""
        self._start = start
        self._last_picture = start

    def frame(self, frame: Frame) -> list[Part]:
        """The next frame of the segment. Gives the parts that end before it, nearly always none or one."""
        parts = []
        limit = self._start + self._target
        while frame.dts >= limit:
            parts.append(self._cut(self._last_fitting(frame)))
            limit = self._start + self._target
        if frame.track.id == self._lead:
            # The picture after this one would pass the limit: no need to wait for it.
            interval, self._last_picture = frame.dts - self._last_picture, frame.dts
            if self._long_enough(frame.dts) and frame.dts + interval // 2 > limit:
                parts.append(self._cut(frame.dts))
        self._frames.append(frame)
        return parts

    def end(self, end: int) -> list[Part]:
        """The segment is over, at this time: the rest of it, as one part or several.

        A short rest in which nothing began is none: it is the end of the frames before it.
        """
        parts = []
        while end - self._start > self._target:
            parts.append(self._cut(self._last_fitting()))
        if self._frames or (end - self._start) * 100 > (100 - SHORTEST_PERCENT) * self._target:
            parts.append(self._cut(max(end, self._start), everything=True))
        return parts

    def _last_fitting(self, following: Frame | None = None) -> int:
        """The newest begin of a picture within the target, if the part is long enough with it; else the target itself."""
        limit = self._start + self._target
        frames = self._frames if following is None else [*self._frames, following]
        starts = (frame.dts for frame in frames if frame.track.id == self._lead and frame.dts <= limit)
        last = max(starts, default=self._start)
        return last if self._long_enough(last) else limit

    def _long_enough(self, end: int) -> bool:
        return (end - self._start) * 100 >= SHORTEST_PERCENT * self._target

    def _cut(self, end: int, *, everything: bool = False) -> Part:
        frames = self._frames
        if everything:
            taken, self._frames = frames, []
        else:
            taken, self._frames = [one for one in frames if one.dts < end], [one for one in frames if one.dts >= end]
        part = Part(tuple(taken), self._start, end, self._is_independent(taken))
        self._start = end
        return part

    def _is_independent(self, frames: list[Frame]) -> bool:
        return any(frame.keyframe for frame in frames if (frame.track.kind is Kind.VIDEO) is self._has_video)
