"""Fragments by which a film grows: however they say where their samples lie and when these are shown (ISO/IEC 14496-12 §8.8)."""

import pytest

from ems.errors import MalformedData
from ems.media.frame import MILLISECOND
from tests.media_files import index_of, shown, stored
from tests.mp4 import (
    BASE_DATA_OFFSET,
    BEHIND_THE_LAST,
    DEFAULT_BASE_IS_MOOF,
    FRAME,
    SOUND,
    VIDEO,
    Run,
    Trak,
    film,
    fragment,
    pictures,
    sounds,
)

FILM, VOICE = pictures(16, later=FRAME), sounds(20)
START = film(Trak(VIDEO, 1000, []), Trak(SOUND, 1000, []), fragmented=True)
"""A film that is all in fragments."""


def fragments(*, told_once: bool = False, base: int = DEFAULT_BASE_IS_MOOF, timed: bool = True) -> bytes:
    """The whole film in fragments of four pictures and five frames of sound."""
    data = START
    for at in range(4):
        picture_run = Run(1, FILM[at * 4 : at * 4 + 4], at * 4 * FRAME if timed else None, told_once)
        sound_run = Run(2, VOICE[at * 5 : at * 5 + 5], at * 100 if timed else None)
        data += fragment(len(data), picture_run, sound_run, base=base)
    return data


@pytest.mark.parametrize("told_once", [True, False])
@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("base", [DEFAULT_BASE_IS_MOOF, BASE_DATA_OFFSET, BEHIND_THE_LAST])
def test_all_that_a_fragment_may_leave_unsaid(told_once: bool, timed: bool, base: int) -> None:
    """Durations and flags of each sample or of all, times told or not, offsets from anywhere: the samples are the same."""
    data = fragments(told_once=told_once, timed=timed, base=base)
    index = index_of(data)
    assert index.tracks == (VIDEO, SOUND)
    assert not index.left_out
    assert stored(index, data) == [sample[0] for sample in FILM]
    assert stored(index, data, 2) == [sample[0] for sample in VOICE]
    assert shown(index) == [FRAME * (at + 1) for at in range(16)]
    assert shown(index, 2) == [20 * at for at in range(20)]
    assert [sample.keyframe for sample in index.samples if sample.track_id == 1] == [at % 4 == 0 for at in range(16)]
    assert index.duration == 17 * FRAME * MILLISECOND


def test_runs_without_a_place() -> None:
    """The data of a run that does not say where it lies begins where that of the run before ends: at first with the moof."""
    run = Run(1, pictures(2), 0, placed=False)
    data = START + fragment(len(START), run)
    first, second = index_of(data).samples
    assert (first.offset, second.offset) == (len(START), len(START) + first.size)
    data = START + fragment(len(START), Run(1, pictures(2), 0), Run(2, sounds(3), 0, placed=False), base=BEHIND_THE_LAST)
    assert stored(index_of(data), data, 2) == [sample[0] for sample in sounds(3)]


def test_a_film_that_begins_in_the_moov() -> None:
    """Samples in the tables of the moov, and fragments behind them, are one film: without a time these go on where those end."""
    data = film(Trak(VIDEO, 1000, FILM[:8], edits=[(0, FRAME)]), fragmented=True)
    data += fragment(len(data), Run(1, FILM[8:12]))
    data += fragment(len(data), Run(1, FILM[12:], 20 * FRAME))
    index = index_of(data)
    assert stored(index, data) == [sample[0] for sample in FILM]
    assert shown(index) == [FRAME * at for at in (*range(12), *range(20, 24))]


def test_fragments_of_tracks_that_are_not_read() -> None:
    """Samples of a track that is left out, or that the moov does not have, are passed over, and those behind them found."""
    text = Trak(SOUND, 1000, [], entries=[b"\0\0\0\x10text" + bytes(8)])
    data = film(Trak(VIDEO, 1000, []), text, fragmented=True)
    data += fragment(len(data), Run(2, sounds(4), 0), Run(1, pictures(3)), base=BEHIND_THE_LAST)
    data += fragment(len(data), Run(7, sounds(4), 0), Run(1, pictures(3)))
    assert stored(index_of(data), data) == [sample[0] for sample in pictures(3)] * 2


def test_a_change_of_the_sample_entry() -> None:
    """Fragments whose samples have another sample entry are left out, which is said."""
    data = START + fragment(len(START), Run(1, pictures(4), 0))
    data += fragment(len(data), Run(1, pictures(4), 4 * FRAME, entry=2))
    index = index_of(data)
    assert len(index.samples) == 4
    assert "track 1: fragments that have another sample entry" in index.left_out


def test_a_recording_that_was_cut_off() -> None:
    """A recording that ends anywhere behind its first fragment plays as far as it goes."""
    data = fragments()
    first = data.index(b"moof", data.index(b"moof") + 4) - 4
    whole = list(index_of(data).samples)
    for end in range(first, len(data), 3):
        index = index_of(data[:end])
        found = list(index.samples)
        assert found == [sample for sample in whole if sample in set(found)]
        assert all(sample.offset + sample.size <= end for sample in found)
        assert {sample.offset for sample in whole if sample.offset + sample.size <= first} <= {sample.offset for sample in found}
        stored(index, data[:end])


def test_times_that_cannot_be() -> None:
    """Times of more than 63 bits, and data before the file, are refused."""
    for run in (Run(1, pictures(2), 1 << 63), Run(1, pictures(2), (1 << 63) - 20)):
        with pytest.raises(MalformedData, match="63 bits"):
            index_of(START + fragment(len(START), run))
    data = bytearray(START + fragment(len(START), Run(1, pictures(2), 0)))
    place = data.index(b"trun") + 12
    data[place : place + 4] = b"\x80\0\0\0"
    with pytest.raises(MalformedData, match="begins before the file"):
        index_of(bytes(data))
    with pytest.raises(MalformedData, match="no tfhd"):
        index_of((START + fragment(len(START), Run(1, pictures(2), 0))).replace(b"tfhd", b"free"))
