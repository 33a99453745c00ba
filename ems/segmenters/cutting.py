"""Where a segment begins and ends: the rules that all formats share, without files and formats.

The `Cutter` takes frames in the order of their decoding times (`ems.segmenters.interleaving`) and puts each into exactly one
`Segment`. A segment begins with a key frame of the leading track (the first video track, else the first audio track), and
lasts until the first frame of the next one, so that the durations of segments add up to the time of the media.

A cut comes when the segment is `Rules.length` long, at the next key frame, or at any frame when `Rules.on_key_frame` is off.
Three things cut out of turn: `Rules.maximum`, a change of the tracks, and a jump of the clock. After the last two the next
segment is *discontinuous*: players have to begin anew there.

A track that appears joins the segment that is open when its first frame comes. A leading track that changes its codec, its
picture size or its sample rate begins with a new segment at its next key frame; what comes of it before is left out, as are the
frames before the first key frame of all, but for the `PREROLL`. When another track changes so, its next frame begins a new
segment, in the middle of a group of pictures: nothing is lost, unless the open segment has only just begun (`SHORTEST`).
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Protocol

from ems.media.frame import MILLISECOND, SECOND, Frame
from ems.media.track import Kind, Track

CLOCK_JITTER = 50 * MILLISECOND
"""How much earlier than due a key frame may come: clocks of milliseconds and cameras are not exact to the frame."""

SHORTEST = 100 * MILLISECOND
"""What a change of the tracks leaves shorter than this is dropped: a source that changes with every frame must not fill the disk
with files. (The original drops up to a second, and with it media that players would have shown.)"""

MAX_GAP = 5 * SECOND
"""A longer hole between two frames is no silence: the source had stopped, or its clock has jumped."""

LEAD_SILENCE = 3 * SECOND
"""After so long without a picture, sound alone is cut: a camera that has frozen must not stop the playlist."""

MAX_BYTES = 128 << 20
"""A segment that is larger is cut without a key frame: it is kept in memory until it is complete."""

BYTES_PER_SECOND = 1_250_000
"""`Rules.maximum` limits the size, too: to this many bytes for each of its seconds."""

PREROLL = 100 * MILLISECOND
"""Sound that comes so little before the first key frame belongs to the segment that begins there: encoders begin with it."""

USUAL_DURATION = 40 * MILLISECOND
"""How long the last frame of all lasts when nothing says it."""

_dts = attrgetter("dts")


@dataclass(frozen=True, slots=True)
class Rules:
    """How to cut; times in nanoseconds. `maximum` is 0 for none.

    A segment that a change of the tracks leaves shorter than `shortest` is dropped.

    With `growing` a track that appears joins the open segment. With `exact` every change of a configuration is a cut; without,
    parameter sets may change within a segment as long as codec, picture size and sample rate stay.
    """

    length: int
    on_key_frame: bool = True
    maximum: int = 0
    shortest: int = SHORTEST
    growing: bool = True
    exact: bool = False

    def continues(self, old: Track, new: Track) -> bool:
        """True when frames of `new` can follow those of `old` in one segment."""
        return old == new or (not self.exact and replace(old, config=b"") == replace(new, config=b""))


@dataclass(slots=True, eq=False)
class Segment:
    """One segment in the making. `start` is the decoding time of its first frame; `duration` is known at its end.

    `discontinuous`: it does not follow the one before. `pieces` are the bytes that have been made of the first `muxed`
    frames already (`ems.segmenters.hls.seams.PartListener`).
    """

    tracks: tuple[Track, ...]
    start: int
    discontinuous: bool = False
    frames: list[Frame] = field(default_factory=list)
    size: int = 0
    duration: int = 0
    pieces: list[bytes] = field(default_factory=list)
    muxed: int = 0

    @property
    def end(self) -> int:
        """When the next segment begins."""
        return self.start + self.duration


class CutListener(Protocol):
    """Who gets the segments."""

    def segment_began(self, segment: Segment) -> None:
        """A segment begins; it has no frames yet."""

    def segment_grew(self, segment: Segment, frames: Sequence[Frame]) -> None:
        """Its next frames, which are in `segment.frames` already."""

    def segment_ended(self, segment: Segment) -> None:
        """It is complete."""

    def segment_dropped(self, segment: Segment) -> None:
        """It is too short to be one."""


class Cutter:
    """Cuts one stream. Frames come in the order of their decoding times, and of the announced tracks only."""

    def __init__(self, rules: Rules, listener: CutListener) -> None:
        self._rules = rules
        self._listener = listener
        self._tracks: tuple[Track, ...] = ()
        self._lead: Track | None = None
        self._segment: Segment | None = None
        self._discontinuous = False
        self._overdue = False
        self._excluded: frozenset[int] = frozenset()
        self._urgent: frozenset[int] = frozenset()
        self._joining: frozenset[int] = frozenset()
        self._early: list[Frame] = []
        self._newest: int | None = None
        self._newest_of_lead = 0
        self._usual = USUAL_DURATION

    def tracks_changed(self, tracks: tuple[Track, ...]) -> None:
        """These are the tracks from now on."""
        old, self._tracks = {track.id: track for track in self._tracks if track.id not in self._joining}, tracks
        self._lead = lead_track(tracks)
        self._joining = frozenset()
        segment = self._segment
        if segment is None:
            return
        grown = {track.id for track in tracks if track.id not in old}
        changed = {track.id for track in tracks if track.id in old and not self._rules.continues(old[track.id], track)}
        vanished = old.keys() - {track.id for track in tracks}
        if changed or vanished or (grown and not self._rules.growing):
            self._overdue = True
            self._excluded |= changed | grown
            self._urgent = self._excluded - grown
            if self._lead is None or self._lead.id in self._excluded:
                self._urgent = frozenset()
            return
        # A segment that declares a track and has nothing of it would have players wait for it.
        self._joining = frozenset(grown)
        segment.tracks = self._present()

    def push(self, frames: Sequence[Frame]) -> None:
        """The next frames."""
        start = 0
        while start < len(frames):
            clear = self._clear(frames, start)
            if clear:
                self._append(frames[start : start + clear])
            else:
                self._push(frames[start])
            start += clear or 1

    def _clear(self, frames: Sequence[Frame], start: int) -> int:
        """How many of the frames from `start` on the open segment takes, as far as that is clear at a glance."""
        segment, newest, rules = self._segment, self._newest, self._rules
        if segment is None or newest is None or self._overdue or self._excluded:
            return 0
        length = min(rules.length - CLOCK_JITTER, rules.maximum) if rules.maximum else rules.length - CLOCK_JITTER
        limit = min(MAX_BYTES, rules.maximum * BYTES_PER_SECOND // SECOND) if rules.maximum else MAX_BYTES
        until = min(segment.start + length, newest + MAX_GAP)
        if frames[start].dts >= until:
            return 0
        count = bisect_left(frames, until, start, key=_dts) - start
        size = segment.size + sum([len(frame.data) for frame in frames[start : start + count]])
        return count if size <= limit else 0

    def _append(self, frames: Sequence[Frame]) -> None:
        """Put these frames into the open segment."""
        assert self._segment is not None and self._newest is not None and self._lead is not None
        self._newest = max(self._newest, frames[-1].dts)
        lead = self._lead.id
        for frame in [frame for frame in frames if frame.track.id == lead][-2:]:
            self._follow_lead(frame)
        self._add(self._segment, frames)

    def _push(self, frame: Frame) -> None:
        segment, newest = self._segment, self._newest
        if newest is None:
            self._newest_of_lead = frame.dts
        elif segment is not None and frame.dts - newest > MAX_GAP:
            self._interrupt(newest + self._usual)
            segment = self._begin(frame)
        self._newest = frame.dts if newest is None else max(newest, frame.dts)
        if segment is None:
            segment = self._begin(frame) if self._can_begin(frame) else None
        elif self._is_due(frame, segment):
            self._end(segment, frame.dts)
            segment = self._begin(frame)
        self._follow_lead(frame)
        if segment is None:
            self._keep_early(frame)
        elif frame.track.id not in self._excluded:
            self._add(segment, (frame,))

    def finish(self) -> None:
        """No frame follows for now: the open segment ends."""
        if self._newest is not None:
            self._interrupt(self._newest + self._usual)

    def _interrupt(self, end: int) -> None:
        """End the open segment at this time; what follows does not continue it."""
        if self._segment is not None:
            self._end(self._segment, end)
        self._discontinuous = True

    def _begin(self, frame: Frame) -> Segment:
        segment = self._segment = Segment(self._present(), frame.dts, self._discontinuous)
        self._discontinuous = self._overdue = False
        self._excluded = self._urgent = frozenset()
        self._listener.segment_began(segment)
        early, self._early = [one for one in self._early if frame.dts - one.dts <= PREROLL], []
        if early:
            self._add(segment, early)
        return segment

    def _present(self) -> tuple[Track, ...]:
        """The tracks but for those that are still to join."""
        return tuple([track for track in self._tracks if track.id not in self._joining]) if self._joining else self._tracks

    def _join(self, segment: Segment, frames: Sequence[Frame]) -> None:
        """Let the tracks of these frames join the segment. Players learn the tracks where they begin anew."""
        waiting = self._joining.difference([frame.track.id for frame in frames])
        if waiting != self._joining:
            self._joining = waiting
            segment.tracks = self._present()
            segment.discontinuous = True

    def _add(self, segment: Segment, frames: Sequence[Frame]) -> None:
        if self._joining:
            self._join(segment, frames)
        segment.frames += frames
        segment.size += sum([len(frame.data) for frame in frames])
        self._listener.segment_grew(segment, frames)

    def _keep_early(self, frame: Frame) -> None:
        """Remember a frame before the first key frame, if it is sound."""
        if frame.track.kind is not Kind.VIDEO:
            self._early = [*(one for one in self._early if frame.dts - one.dts <= PREROLL), frame]

    def _end(self, segment: Segment, end: int) -> None:
        self._segment = None
        segment.duration = end - segment.start
        self._discontinuous = self._overdue
        if self._overdue and segment.duration < self._rules.shortest:
            self._listener.segment_dropped(segment)
        else:
            self._listener.segment_ended(segment)

    def _is_due(self, frame: Frame, segment: Segment) -> bool:
        """True when a new segment has to begin with this frame."""
        lasted, rules = frame.dts - segment.start, self._rules
        if rules.maximum and (lasted >= rules.maximum or segment.size > rules.maximum * BYTES_PER_SECOND // SECOND):
            return True
        if segment.size > MAX_BYTES:
            return True
        if self._overdue:
            return self._can_begin(frame) or (frame.track.id in self._urgent and lasted >= rules.shortest)
        return lasted >= rules.length - CLOCK_JITTER and (not rules.on_key_frame or self._can_begin(frame))

    def _can_begin(self, frame: Frame) -> bool:
        """True for a key frame of the leading track, and for any frame when that is silent."""
        lead = self._lead
        is_key = frame.keyframe and lead is not None and frame.track.id == lead.id
        return is_key or frame.dts - self._newest_of_lead > LEAD_SILENCE

    def _follow_lead(self, frame: Frame) -> None:
        if self._lead is not None and frame.track.id == self._lead.id:
            if frame.dts > self._newest_of_lead:
                self._usual = min(frame.dts - self._newest_of_lead, SECOND)
            self._newest_of_lead = frame.dts


def lead_track(tracks: tuple[Track, ...]) -> Track | None:
    """The track whose key frames begin segments: the first video track, else the first."""
    return next((track for track in tracks if track.kind is Kind.VIDEO), next(iter(tracks), None))
