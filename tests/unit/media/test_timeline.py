"""Clocks of sources: wrapping, jumping, pausing, and out of step with one another. Sinks must see none of it."""

import random

import pytest

from ems.media.frame import MILLISECOND, SECOND
from ems.media.timeline import Timeline, Unwrapper

AUDIO, VIDEO = 256, 0
MINUTE = 60 * SECOND


@pytest.mark.parametrize(
    ("bits", "what"), [(32, "49.7 days of milliseconds"), (33, "26.5 hours of 90 kHz"), (16, "RTP sequence")]
)
def test_a_wrap_is_a_step_like_any_other(bits: int, what: str) -> None:
    """A counter that starts again at 0 goes on counting."""
    unwrapper = Unwrapper(bits)
    top = 1 << bits
    assert [unwrapper.unwrap(t % top) for t in (top - 40, top - 20, top, top + 20)] == [top - 40, top - 20, top, top + 20]


def test_24_8_days_are_nothing_special() -> None:
    """Where a signed 32-bit counter of milliseconds would turn negative, time goes on."""
    unwrapper = Unwrapper(32)
    half = 1 << 31
    assert [unwrapper.unwrap(t) for t in (half - 1, half, half + 1)] == [half - 1, half, half + 1]


def test_three_wraps_and_back_over_one() -> None:
    """A stream may live for months, and a frame from before a wrap that comes after it is placed before it."""
    unwrapper = Unwrapper(32)
    top = 1 << 32
    counts = [unwrapper.unwrap(t % top) for t in range(0, 3 * top + 1, top // 4)]
    assert counts == list(range(0, 3 * top + 1, top // 4))
    assert unwrapper.unwrap(top - 5) == 3 * top - 5
    assert unwrapper.unwrap(3) == 3 * top + 3


def test_time_begins_at_0_wherever_the_source_does() -> None:
    """The first frame is at 0, and tracks keep their distance."""
    timeline = Timeline()
    assert timeline.place(VIDEO, 70 * MINUTE) == 0
    assert timeline.place(AUDIO, 70 * MINUTE + 5 * MILLISECOND) == 5 * MILLISECOND
    assert timeline.place(VIDEO, 70 * MINUTE + 40 * MILLISECOND) == 40 * MILLISECOND
    assert timeline.origin == 70 * MINUTE
    assert timeline.jumps == 0


def test_a_stream_may_begin_before_its_first_frame() -> None:
    """Who knows that an earlier frame will come has time begin with that one; what is earlier still can be told."""
    timeline = Timeline()
    assert not timeline.precedes(0)
    timeline.begin(70 * MINUTE)
    timeline.begin(71 * MINUTE)
    assert timeline.place(VIDEO, 70 * MINUTE + 40 * MILLISECOND) == 40 * MILLISECOND
    assert timeline.place(AUDIO, 70 * MINUTE) == 0
    assert [timeline.precedes(70 * MINUTE + distance) for distance in (-6 * SECOND, -1, 0)] == [False, True, False]
    timeline.place(VIDEO, 90 * MINUTE)
    assert not timeline.precedes(90 * MINUTE - SECOND)


@pytest.mark.parametrize("jump", [-10 * MINUTE, -6 * SECOND, 6 * SECOND, 10 * MINUTE, 60 * 24 * MINUTE])
def test_a_jump_of_the_sources_clock_is_a_step_of_one_frame(jump: int) -> None:
    """An encoder that restarts, or a file that loops, goes on where it was; its tracks stay together."""
    timeline = Timeline()
    base = 30 * MINUTE
    for index in range(50):
        timeline.place(VIDEO, base + index * 40 * MILLISECOND)
        timeline.place(AUDIO, base + index * 40 * MILLISECOND + 3 * MILLISECOND)
    last = 49 * 40 * MILLISECOND + 3 * MILLISECOND
    after = base + 50 * 40 * MILLISECOND + jump
    assert timeline.place(VIDEO, after) == last + Timeline.RESUME_STEP
    assert timeline.place(AUDIO, after + 3 * MILLISECOND) == last + Timeline.RESUME_STEP + 3 * MILLISECOND
    assert timeline.place(VIDEO, after + 40 * MILLISECOND) == last + Timeline.RESUME_STEP + 40 * MILLISECOND
    assert timeline.jumps == 1


def test_frames_of_the_old_clock_are_placed_by_it() -> None:
    """When one track jumps before the other, the frames that still have the old clock are not taken for another jump."""
    timeline = Timeline()
    for index in range(20):
        timeline.place(VIDEO, index * 40 * MILLISECOND)
        timeline.place(AUDIO, index * 40 * MILLISECOND)
    times = []
    for index in range(20, 25):
        timeline.place(VIDEO, 600 * SECOND + index * 40 * MILLISECOND)
        times.append(timeline.place(AUDIO, index * 40 * MILLISECOND))
    assert timeline.jumps == 1
    assert times == [index * 40 * MILLISECOND for index in range(20, 25)]
    assert timeline.place(AUDIO, 601 * SECOND) > times[-1]
    assert timeline.jumps == 1


def test_a_pause_of_the_source_is_kept() -> None:
    """A source that was silent for a minute, and whose clock went on, is not taken for one that jumped."""
    timeline = Timeline()
    arrival = 1000 * SECOND
    timeline.place(VIDEO, 0, arrival)
    timeline.place(VIDEO, 40 * MILLISECOND, arrival + 40 * MILLISECOND)
    assert timeline.place(VIDEO, MINUTE, arrival + MINUTE) == MINUTE
    assert timeline.jumps == 0


def test_a_burst_after_a_pause_of_the_network() -> None:
    """A minute that the network held back and delivers at once is played as the minute that it is."""
    timeline = Timeline()
    arrival = 1000 * SECOND
    times = [timeline.place(VIDEO, index * SECOND, arrival + (MINUTE if index else 0)) for index in range(60)]
    assert times == [index * SECOND for index in range(60)]


def test_a_frame_a_little_too_early_does_not_go_back() -> None:
    """Within one track time stands still rather than going back; another track may be behind."""
    timeline = Timeline()
    timeline.place(VIDEO, 0)
    assert timeline.place(VIDEO, 100 * MILLISECOND) == 100 * MILLISECOND
    assert timeline.place(VIDEO, 90 * MILLISECOND) == 100 * MILLISECOND
    assert timeline.place(AUDIO, 80 * MILLISECOND) == 80 * MILLISECOND
    assert timeline.place(VIDEO, 140 * MILLISECOND) == 140 * MILLISECOND


def test_a_frame_before_the_first_one_begins_at_0() -> None:
    """Sound that is older than the first picture does not get a negative time."""
    timeline = Timeline()
    timeline.place(VIDEO, SECOND)
    assert timeline.place(AUDIO, SECOND - 30 * MILLISECOND) == 0


@pytest.mark.parametrize("seed", range(200))
def test_no_frame_ever_goes_back(seed: int) -> None:
    """Whatever a source does to its clocks, time goes on in every track, and no step is larger than the source's own or a gap."""
    chance = random.Random(seed)
    timeline = Timeline()
    clocks = {VIDEO: chance.randrange(1 << 42), AUDIO: 0}
    clocks[AUDIO] = clocks[VIDEO] + chance.randrange(SECOND)
    newest = {VIDEO: 0, AUDIO: 0}
    for _ in range(300):
        track = chance.choice((VIDEO, AUDIO))
        match chance.randrange(40):
            case 0:
                moved = chance.randrange(-(1 << 42), 1 << 42)
                clocks = {key: value + moved for key, value in clocks.items()}
            case 1:
                clocks[track] += chance.randrange(-20 * SECOND, 20 * SECOND)
            case _:
                clocks[track] += chance.choice((20, 23, 40)) * MILLISECOND
        time = timeline.place(track, clocks[track])
        assert time >= newest[track]
        assert time - max(newest.values()) <= Timeline.MAX_GAP + Timeline.RESUME_STEP
        newest[track] = time


def test_sound_and_picture_that_begin_on_both_sides_of_a_wrap() -> None:
    """When the sound's first time is right before the 32-bit wrap and the picture's right after it, both stay together."""
    top = 1 << 32
    timeline = Timeline()
    audio, video = Unwrapper(32), Unwrapper(32)
    differences = []
    for index in range(100):
        ticks = top - 20 + 23 * index
        sound = timeline.place(AUDIO, audio.unwrap(ticks % top) * MILLISECOND)
        picture = timeline.place(VIDEO, video.unwrap((ticks + 30) % top) * MILLISECOND)
        differences.append((picture - sound) // MILLISECOND)
    assert all(-20 <= difference - 30 <= 20 for difference in differences)
