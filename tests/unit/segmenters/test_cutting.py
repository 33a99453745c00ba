"""Where segments begin and end."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.media.frame import MILLISECOND, SECOND, Frame
from ems.media.track import Track
from ems.segmenters.cutting import MAX_GAP, Cutter, Rules, Segment
from ems.segmenters.interleaving import Interleaver
from tests.unit.streams.frames import AUDIO, NEW_VIDEO, VIDEO, frame


class Recorder:
    """Remembers segments."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self.dropped: list[Segment] = []

    def segment_began(self, segment: Segment) -> None:
        assert not segment.frames

    def segment_grew(self, segment: Segment, frames: Sequence[Frame]) -> None:
        assert segment.frames[-1] is frames[-1]

    def segment_ended(self, segment: Segment) -> None:
        self.segments.append(segment)

    def segment_dropped(self, segment: Segment) -> None:
        self.dropped.append(segment)


def cut(rules: Rules, frames: list[Frame], tracks: tuple[Track, ...] = (VIDEO, AUDIO)) -> Recorder:
    """The segments of a whole stream."""
    recorder = Recorder()
    cutter = Cutter(rules, recorder)
    cutter.tracks_changed(tracks)
    for one in frames:
        cutter.push([one])
    cutter.finish()
    return recorder


def video(start: int, end: int, *, gop: int = 1000, step: int = 40) -> list[Frame]:
    """Pictures each `step` ms, with key frames each `gop` ms."""
    return [frame(VIDEO, ms, key=(ms - start) % gop == 0) for ms in range(start, end, step)]


def durations(recorder: Recorder) -> list[int]:
    """In ms."""
    return [segment.duration // MILLISECOND for segment in recorder.segments]


def test_cuts_at_the_next_key_frame() -> None:
    """A segment is as long as asked, and on to the next key frame."""
    assert durations(cut(Rules(1500 * MILLISECOND), video(0, 8000))) == [2000, 2000, 2000, 2000]


def test_a_key_frame_a_little_early_counts() -> None:
    """A clock that is not exact does not double the length of a segment."""
    assert durations(cut(Rules(2 * SECOND), video(0, 6000, gop=1980, step=20)))[:2] == [1980, 1980]


def test_cuts_at_any_frame_when_told() -> None:
    """Without key frames segments are cut in time."""
    assert durations(cut(Rules(SECOND, on_key_frame=False), video(0, 4000, gop=99999)))[:3] == [960, 960, 960]


def test_maximum() -> None:
    """A source without key frames is cut at the maximum, by time or by size."""
    assert durations(cut(Rules(SECOND, maximum=3 * SECOND), video(0, 9000, gop=99999))) == [3000, 3000, 3000]
    large = [one._replace(data=bytes(200_000)) for one in video(0, 3000, gop=99999)]
    recorder = cut(Rules(SECOND, maximum=SECOND), large)
    assert all(segment.size <= 1_450_000 for segment in recorder.segments)


def test_a_jump_is_a_break() -> None:
    """A hole of more than some seconds is not part of a segment."""
    late = 4000 + MAX_GAP // MILLISECOND + 1000
    recorder = cut(Rules(2 * SECOND), video(0, 4000) + video(late, late + 4000))
    assert durations(recorder) == [2000, 2000, 2000, 2000]
    assert [segment.discontinuous for segment in recorder.segments] == [False, False, True, False]


def test_begins_with_a_key_frame() -> None:
    """What comes before the first key frame is left out, but for the sound right before it."""
    early = [frame(VIDEO, 0), frame(AUDIO, 100), frame(AUDIO, 460), frame(VIDEO, 480)]
    [first, *_] = cut(Rules(SECOND), early + video(500, 2000)).segments
    assert first.start == 500 * MILLISECOND
    assert [one.dts // MILLISECOND for one in first.frames[:2]] == [460, 500]


def test_change_of_codec() -> None:
    """A changed track begins with the next key frame, in a segment of its own; what was open is not lost."""
    recorder = Recorder()
    cutter = Cutter(Rules(10 * SECOND), recorder)
    cutter.tracks_changed((VIDEO,))
    for one in video(0, 1500):
        cutter.push([one])
    changed = replace(NEW_VIDEO, width=100)
    cutter.tracks_changed((changed,))
    for one in video(1500, 5000):
        cutter.push([one._replace(track=changed)])
    cutter.finish()
    assert durations(recorder)[0] == 1500
    assert [segment.discontinuous for segment in recorder.segments] == [False, True]
    assert recorder.segments[1].tracks == (changed,)


@pytest.mark.parametrize(("exact", "segments"), [(False, 1), (True, 2)])
def test_new_parameter_sets(exact: bool, segments: int) -> None:
    """The same picture with other parameter sets is cut only where the format needs it."""
    recorder = Recorder()
    cutter = Cutter(Rules(10 * SECOND, exact=exact), recorder)
    cutter.tracks_changed((VIDEO,))
    for one in video(0, 2000):
        cutter.push([one])
    cutter.tracks_changed((NEW_VIDEO,))
    for one in video(2000, 4000):
        cutter.push([one._replace(track=NEW_VIDEO)])
    cutter.finish()
    assert len(recorder.segments) == segments


def test_a_storm_of_changes_makes_few_files() -> None:
    """A source that changes with every frame does not fill the disk with files."""
    recorder = Recorder()
    cutter = Cutter(Rules(SECOND), recorder)
    for number in range(200):
        track = replace(VIDEO, width=number)
        cutter.tracks_changed((track,))
        cutter.push([frame(track, 40 * number, key=True)])
    cutter.finish()
    assert len(recorder.segments) <= 1 and len(recorder.dropped) > 100


@given(
    gop=st.integers(1, 60).map(lambda frames: 40 * frames),
    length=st.integers(1, 4),
    lead=st.integers(-400, 400),
    on_key_frame=st.booleans(),
)
def test_every_frame_is_in_one_segment(gop: int, length: int, lead: int, on_key_frame: bool) -> None:
    """However tracks are interleaved: each frame once, in order, at the right side of the cut; durations add up."""
    sound = [frame(AUDIO, ms) for ms in range(0, 10_000, 21)]
    pictures = video(0, 10_000, gop=gop)
    arriving = sorted(pictures + sound, key=lambda one: one.dts + (lead * MILLISECOND if one.track is AUDIO else 0))
    interleaver, recorder = Interleaver(), Recorder()
    interleaver.tracks_changed((VIDEO, AUDIO))
    cutter = Cutter(Rules(length * SECOND, on_key_frame=on_key_frame), recorder)
    cutter.tracks_changed((VIDEO, AUDIO))
    for one in arriving:
        for ordered in interleaver.push([one]):
            cutter.push([ordered])
    for ordered in interleaver.drain():
        cutter.push([ordered])
    cutter.finish()
    for track, expected in ((VIDEO, pictures), (AUDIO, sound)):
        assert [one for segment in recorder.segments for one in segment.frames if one.track is track] == expected
    for segment, after in zip(recorder.segments, recorder.segments[1:], strict=False):
        assert segment.end == after.start
        assert all(one.dts < segment.end for one in segment.frames)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 3), st.booleans(), st.sampled_from([0, 2 * SECOND]))
def test_frames_together_are_cut_as_one_by_one(count: int, length: int, on_key_frame: bool, maximum: int) -> None:
    """It makes no difference how many frames come at a time."""
    frames = sorted(video(0, 9000, gop=1240) + [frame(AUDIO, ms) for ms in range(0, 9000, 21)], key=lambda one: one.dts)
    rules = Rules(length * SECOND, on_key_frame=on_key_frame, maximum=maximum)
    together = Recorder()
    cutter = Cutter(rules, together)
    cutter.tracks_changed((VIDEO, AUDIO))
    for start in range(0, len(frames), count):
        cutter.push(frames[start : start + count])
    cutter.finish()
    assert [one.frames for one in together.segments] == [one.frames for one in cut(rules, frames).segments]
    assert durations(together) == durations(cut(rules, frames))


def test_a_silent_track_is_not_waited_for() -> None:
    """A declared track that sends nothing does not hold the others back for ever, nor without bound."""
    interleaver = Interleaver()
    interleaver.tracks_changed((VIDEO, AUDIO))
    given_out = [one for picture in video(0, 5000) for one in interleaver.push([picture])]
    assert [one.dts for one in given_out] == [one.dts for one in video(0, 5000)]


def test_what_waits_is_bounded() -> None:
    """A clock that stands still cannot pile up frames."""
    interleaver = Interleaver()
    interleaver.tracks_changed((VIDEO, AUDIO))
    [*interleaver.push([frame(AUDIO, 0)])]
    out = [one for _ in range(5000) for one in interleaver.push([frame(VIDEO, 10)])]
    assert len(out) >= 5000 - Interleaver.MAX_HELD


def test_a_track_joins_with_its_first_frame() -> None:
    """A track that is announced in one segment and comes in the next is declared in the next only, which begins anew."""
    recorder = Recorder()
    cutter = Cutter(Rules(SECOND), recorder)
    cutter.tracks_changed((VIDEO,))
    cutter.push(video(0, 1000))
    cutter.tracks_changed((VIDEO, AUDIO))
    cutter.push(video(1000, 2000))
    cutter.push(sorted([*video(2000, 4000), *(frame(AUDIO, ms) for ms in range(2010, 4000, 21))], key=lambda one: one.dts))
    cutter.finish()
    assert [segment.tracks for segment in recorder.segments] == [(VIDEO,), (VIDEO,), (VIDEO, AUDIO), (VIDEO, AUDIO)]
    assert [segment.discontinuous for segment in recorder.segments] == [False, False, True, False]


def test_a_track_that_is_only_announced_changes_nothing() -> None:
    """A track that is announced and taken back without a frame of it leaves no trace."""
    recorder = Recorder()
    cutter = Cutter(Rules(SECOND), recorder)
    pictures = video(0, 4000)
    for tracks, part in (((VIDEO,), pictures[:37]), ((VIDEO, AUDIO), pictures[37:63]), ((VIDEO,), pictures[63:])):
        cutter.tracks_changed(tracks)
        cutter.push(part)
    cutter.finish()
    assert durations(recorder) == [1000, 1000, 1000, 1000]
    assert {segment.tracks for segment in recorder.segments} == {(VIDEO,)}
    assert not any(segment.discontinuous for segment in recorder.segments)
