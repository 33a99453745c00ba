"""Puts the frames of all tracks in the order of their decoding times, so that a cut at one instant is a cut in every track.

Sources interleave as they like: sound may come half a second before the pictures that belong to it. A frame is passed on as
soon as every other track has come as far as it, or has been silent for so long that nobody waits for it any more.
"""

from bisect import bisect_right
from collections.abc import Iterable
from operator import attrgetter

from ems.media.frame import SECOND, Frame
from ems.media.track import Kind, Track

_dts = attrgetter("dts")


class _Lane:
    """One track: its frames that wait, and how far it has come."""

    __slots__ = ("frames", "reached")

    def __init__(self, reached: int) -> None:
        self.frames: list[Frame] = []
        self.reached = reached


class Interleaver:
    """Orders frames by `Frame.dts`; within a track the order stays as it is."""

    MAX_WAIT = 1 * SECOND
    """How far the tracks of a source may be apart. A track that is further behind is silent, not slow."""

    MAX_HELD = 1000
    """Frames that wait at most, whatever their times say: about 8 s of picture and sound."""

    def __init__(self) -> None:
        self._lanes: dict[int, _Lane] = {}
        self._newest: int | None = None
        self._held = 0

    def tracks_changed(self, tracks: tuple[Track, ...]) -> None:
        """These are the tracks that count from now on. Frames that wait must have been taken with `drain` before."""
        old, newest = self._lanes, self._newest or 0
        self._lanes = {track.id: old.get(track.id) or _Lane(newest) for track in tracks if track.kind is not Kind.DATA}

    def push(self, frames: Iterable[Frame]) -> list[Frame]:
        """Take frames, and give those that are due; frames of other tracks are passed over."""
        lanes, newest = self._lanes, self._newest
        for frame in frames:
            lane = lanes.get(frame.track.id)
            if lane is None:
                continue
            dts = frame.dts
            if newest is None:
                newest = dts
                for other in lanes.values():
                    other.reached = dts
            elif dts > newest:
                newest = dts
            lane.frames.append(frame)
            lane.reached = dts
            self._held += 1
        self._newest = newest
        if newest is None:
            return []
        return self._due(newest - self.MAX_WAIT) if self._held <= self.MAX_HELD else self.drain()

    def drain(self) -> list[Frame]:
        """All frames that wait, in order."""
        return self._take(self._newest or 0)

    def _due(self, silent_since: int) -> list[Frame]:
        """The frames that no earlier one can come before. Tracks that have not come up to `silent_since` are not waited for."""
        awaited = [lane.reached for lane in self._lanes.values() if lane.reached >= silent_since]
        return self._take(min(awaited, default=silent_since))

    def _take(self, until: int) -> list[Frame]:
        """Take the frames up to this time, in order. Those of a track are in order already, and sorting only merges them."""
        taken: list[Frame] = []
        for lane in self._lanes.values():
            frames = lane.frames
            if lane.reached <= until:
                taken += frames
                lane.frames = []
            else:
                count = bisect_right(frames, until, key=_dts)
                taken += frames[:count]
                del frames[:count]
        taken.sort(key=_dts)
        self._held -= len(taken)
        return taken
