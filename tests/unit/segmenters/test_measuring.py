"""The rates that the master playlist tells of a stream."""

from ems.formats.m3u8 import Variant
from ems.media.frame import MILLISECOND, SECOND
from ems.segmenters.hls.measuring import WINDOW, Measure

LENGTH = 2 * SECOND


def variant(measure: Measure) -> Variant:
    """What the playlist tells."""
    return measure.variant("a", ())


def test_a_short_segment_is_no_peak() -> None:
    """A segment of a key frame and little else, at any place, leaves BANDWIDTH as the whole segments have it."""
    for place in (0, 2):
        measure = Measure(0, LENGTH)
        for number in range(5):
            if number == place:
                measure.add(60_000, 40 * MILLISECOND, [])
            measure.add(250_000, LENGTH, [])
        assert variant(measure).bandwidth == 1_100_000


def test_short_segments_alone() -> None:
    """A stream that has nothing but short segments has a bandwidth too."""
    measure = Measure(0, LENGTH)
    measure.add(50_000, SECOND // 2, [])
    assert variant(measure).bandwidth == 880_000
    assert variant(measure).average_bandwidth == 800_000


def test_the_average_follows_the_stream() -> None:
    """A stream that has become softer has its lower average within two windows, and its bound as before."""
    measure = Measure(0, LENGTH)
    for _ in range(3):
        measure.add(500_000, LENGTH, [])
    for _ in range(2 * WINDOW):
        measure.add(100_000, LENGTH, [])
    assert variant(measure).average_bandwidth == 400_000
    assert variant(measure).bandwidth == 2_200_000


def test_the_average_is_never_above_the_bandwidth() -> None:
    """Whatever is declared, the list does not contradict itself."""
    measure = Measure(100_000, LENGTH)
    measure.add(500_000, LENGTH, [])
    assert (variant(measure).bandwidth, variant(measure).average_bandwidth) == (100_000, 100_000)
