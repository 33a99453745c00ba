"""Times of sound by the count of its samples."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.media import aac
from ems.media.frame import MILLISECOND, SECOND, Frame
from ems.segmenters.sample_clock import MAX_OFFSET, SampleClock, SampleClocks
from tests.unit.streams.frames import VIDEO, frame

RATE = 44_100


def exact(count: int, rate: int = RATE) -> list[int]:
    """When the frames of a source really begin."""
    return [number * 1024 * SECOND // rate for number in range(count)]


def counted(given_times: list[int], rate: int = RATE) -> list[int]:
    """The times that come out."""
    clock = SampleClock(1024, rate)
    return [clock.time(time) for time in given_times]


@pytest.mark.parametrize("rate", [44_100, 48_000, 22_050])
def test_whole_milliseconds_are_smoothed(rate: int) -> None:
    """RTMP rounds times to milliseconds: for an hour frames are evenly spaced nevertheless, and never a frame away."""
    times = exact(3600 * rate // 1024, rate)
    out = counted([time // MILLISECOND * MILLISECOND for time in times], rate)
    assert {later - earlier for earlier, later in pairwise(out)} <= {1024 * SECOND // rate, 1024 * SECOND // rate + 1}
    assert max(abs(one - other) for one, other in zip(out, times, strict=True)) <= MILLISECOND


@pytest.mark.parametrize("parts_per_million", [-400, 400])
def test_a_clock_that_drifts_is_followed(parts_per_million: int) -> None:
    """An encoder whose clock is wrong does not drift away from its pictures."""
    times = [time + time * parts_per_million // 1_000_000 for time in exact(60 * 60 * 43)]
    out = counted(times)
    assert max(abs(one - other) for one, other in zip(out, times, strict=True)) < 10 * MILLISECOND


def test_jumps_are_followed_at_once() -> None:
    """What was left out by the source, and a clock that jumps, are not smeared."""
    times = exact(1000)
    late = times[:500] + [time + 3600 * SECOND for time in times[500:]]
    missing = times[:500] + times[503:]
    for wanted in (late, missing):
        assert max(abs(one - other) for one, other in zip(counted(wanted), wanted, strict=True)) <= 1


@given(st.lists(st.integers(0, 200 * MILLISECOND), max_size=300))
def test_times_go_forward_and_stay_near(steps: list[int]) -> None:
    """Whatever a source says, times go forward, and when it goes at its pace sound is with its pictures."""
    times, now = [], 0
    for step in steps:
        now += step
        times.append(now)
    steady = [now + MAX_OFFSET + time for time in exact(50 + len(steps))]
    out = counted(times + steady)
    assert all(later > earlier for earlier, later in pairwise(out))
    assert abs(out[-1] - steady[-1]) <= MAX_OFFSET


def test_only_aac_is_counted() -> None:
    """Pictures keep their times, as does sound whose configuration is broken."""
    clocks = SampleClocks()
    picture = frame(VIDEO, 40)
    assert clocks.on_time([picture]) == [picture]
    sound = aac.make_track(2, b"\x12\x10")
    given_out = clocks.on_time([Frame(sound, time, time, True, b"x") for time in (0, 23 * MILLISECOND, 46 * MILLISECOND)])
    assert [one.pts for one in given_out] == exact(3)
