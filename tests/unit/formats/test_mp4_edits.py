"""What edit lists show of a track (ISO/IEC 14496-12 §8.6.6). The timescales of movie and tracks are 1000 here."""

import pytest

from ems.errors import MalformedData
from ems.formats.index import MediaIndex
from ems.media.frame import MILLISECOND
from tests.media_files import index_of, shown
from tests.mp4 import FRAME, SOUND, VIDEO, Trak, film, pictures, sounds


def edited(*edits: tuple[int, int], rate: int = 1, large: bool = False) -> MediaIndex:
    """A film of twelve pictures in groups of four, each shown a picture's time after it is decoded."""
    return index_of(film(Trak(VIDEO, 1000, pictures(12, later=FRAME), edits=edits, rate=rate), large=large))


@pytest.mark.parametrize("large", [True, False])
def test_from_the_first_picture(large: bool) -> None:
    """An edit that begins where the first picture is shown puts that at 0, and its decoding before."""
    index = edited((0, FRAME), large=large)
    assert shown(index) == [at * FRAME for at in range(12)]
    assert index.samples[0].dts == -FRAME * MILLISECOND
    assert index.duration == 12 * FRAME * MILLISECOND


@pytest.mark.parametrize("large", [True, False])
def test_empty_edits(large: bool) -> None:
    """Empty edits, one or more, let a track begin so much later."""
    index = edited((300, -1), (200, -1), (0, FRAME), large=large)
    assert shown(index) == [500 + at * FRAME for at in range(12)]
    assert index.duration == (500 + 12 * FRAME) * MILLISECOND


def test_a_middle_part() -> None:
    """An edit in the middle of a group keeps the key frame before and all that it needs, and ends when it ends."""
    index = edited((3 * FRAME, 7 * FRAME))
    # Shown are the pictures number 6 to 8, counted from 0; number 4 is the key frame before.
    assert shown(index) == [(at - 6) * FRAME for at in range(4, 9)]
    assert index.samples[0].keyframe
    assert index.duration == 3 * FRAME * MILLISECOND
    assert index.first_at(0) == 0


def test_an_edit_of_sound() -> None:
    """Of sound so much is kept before its edit as a decoder needs to get in swing."""
    index = index_of(film(Trak(SOUND, 1000, sounds(50), edits=[(0, 500)])))
    assert shown(index, 2) == list(range(-80, 500, 20))


def test_further_edits_are_told() -> None:
    """Of several edits the first is followed, and what is left out is said."""
    index = edited((2 * FRAME, FRAME), (100, 300), (100, 0))
    assert shown(index) == [0, FRAME]
    assert index.left_out == ("track 1: 2 further edits are not followed",)


def test_slow_motion_is_told() -> None:
    """An edit with another rate is played at the track's own speed."""
    index = edited((0, FRAME), rate=2)
    assert shown(index) == [at * FRAME for at in range(12)]
    assert index.left_out == ("track 1: it is played at its own speed, not 2 times as fast",)


def test_nothing_is_shown() -> None:
    """An edit behind the end of its track leaves that out, in words."""
    with pytest.raises(MalformedData, match="its edit begins where the track has ended"):
        edited((0, 14 * FRAME))


def test_edits_that_are_not_there() -> None:
    """An edit list that claims more edits than it has, or begins before the track, is refused."""
    data = film(Trak(VIDEO, 1000, pictures(4), edits=[(0, FRAME)]))
    with pytest.raises(MalformedData, match="elst at byte"):
        index_of(data.replace(b"elst\0\0\0\0\0\0\0\1", b"elst\0\0\0\0\xff\xff\xff\xff"))
    with pytest.raises(MalformedData, match="edit 1 begins at -2"):
        edited((0, -2))
