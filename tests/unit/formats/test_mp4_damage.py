"""Damaged and hostile MP4 files: an index or a refusal, no other exception, and time and memory within the limits.

The usual run is short; ``EMS_MUTATIONS=200000`` runs that many, the same ones each time.
"""

import os
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from struct import pack

import pytest

from ems.errors import MalformedData
from ems.formats import mp4
from ems.formats.fmp4.box import box, full_box
from ems.formats.fmp4.sample_entry import sample_entry
from ems.formats.index import MAX_SAMPLES, MAX_TRACKS
from ems.formats.mp4 import boxes
from ems.formats.mp4.tables import MIN_SAMPLE_COST
from tests.media_files import index_of, stored
from tests.mp4 import FRAME, HEVC, SOUND, VIDEO, Run, Trak, film, fragment, pictures, sounds
from tests.unit.media.mutation import mutated, prefixes, refusals

MUTATIONS = int(os.environ.get("EMS_MUTATIONS", "3000"))

BILLIONS = 4_000_000_000

ORDINARY = film(Trak(VIDEO, 1000, pictures(9, later=FRAME), edits=[(0, FRAME)]), Trak(SOUND, 1000, sounds(9), size_bits=4))
LARGE = film(Trak(HEVC, 1000, pictures(5), edits=[(90, -1), (80, 40)]), large=True, moov_first=False)
_START = film(Trak(VIDEO, 1000, pictures(2)), Trak(SOUND, 1000, []), fragmented=True)
_FIRST = _START + fragment(len(_START), Run(1, pictures(3), 90), Run(2, sounds(3), 0, told_once=True))
FRAGMENTED = _FIRST + fragment(len(_FIRST), Run(1, pictures(2)), base=1)


def looked_through(data: bytes) -> None:
    """Read a file with all its samples as a player does, who passes over broken ones."""
    index = mp4.read_index(lambda offset, length: data[offset : offset + length], len(data))
    assert index.duration >= 0
    for sample in index.samples:
        assert 0 <= sample.offset < sample.offset + sample.size <= len(data)
    assert 0 <= index.first_at(0) < len(index.samples)
    for track in index.tracks:
        refusals(lambda file, track_id=track.id: stored(index, file, track_id), [data])


@contextmanager
def memory_below(limit: int) -> Iterator[None]:
    """What is done takes no more than so many bytes at a time."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


def test_damaged_files() -> None:
    """Files damaged anywhere are read as far as they can be, or refused."""
    read, refused = refusals(looked_through, mutated([ORDINARY, LARGE, FRAGMENTED], MUTATIONS))
    assert read > MUTATIONS // 5
    assert refused > MUTATIONS // 5


@pytest.mark.parametrize("data", [ORDINARY, LARGE, FRAGMENTED], ids=["ordinary", "large", "fragmented"])
def test_cut_off_files(data: bytes) -> None:
    """Files cut off at any byte are read as far as they can be, or refused."""
    refusals(looked_through, prefixes(data))


def hostile(track_id: int, *, sizes: bytes, stsc: int = BILLIONS, stts: int = BILLIONS) -> bytes:
    """A ``trak`` of some hundred bytes that names thousands of millions of samples, all in one chunk at byte 0."""
    tables = (
        full_box(b"stsd", 0, 0, pack(">I", 1), sample_entry(replace(VIDEO, id=track_id))),
        full_box(b"stts", 0, 0, pack(">III", 1, stts, 1)),
        sizes,
        full_box(b"stsc", 0, 0, pack(">IIII", 1, 1, stsc, 1)),
        full_box(b"stco", 0, 0, pack(">II", 1, 0)),
    )
    mdhd, hdlr = full_box(b"mdhd", 0, 0, pack(">IIII", 0, 0, 25, 0)), full_box(b"hdlr", 0, 0, bytes(4), b"vide")
    tkhd = full_box(b"tkhd", 0, 3, pack(">III", 0, 0, track_id))
    return box(b"trak", tkhd, box(b"mdia", mdhd, hdlr, box(b"minf", box(b"stbl", *tables))))


def movie_of(*traks: bytes) -> bytes:
    return box(b"moov", full_box(b"mvhd", 0, 0, pack(">IIII", 0, 0, 1000, 0)), *traks)


@pytest.mark.parametrize(
    "sizes",
    [
        full_box(b"stsz", 0, 0, pack(">II", 0, BILLIONS)),
        full_box(b"stsz", 0, 0, pack(">II", 1, BILLIONS)),
        full_box(b"stz2", 0, 0, pack(">II", 4, BILLIONS)),
    ],
    ids=["of any size", "of one byte", "of four bits"],
)
@pytest.mark.parametrize("file_size", [1000, 1 << 40])
def test_thousands_of_millions_of_samples(sizes: bytes, file_size: int) -> None:
    """A table that names more samples than the file can have costs nothing, however large the file claims to be."""
    moov = movie_of(hostile(1, sizes=sizes))
    with memory_below(1 << 20), pytest.raises(MalformedData, match=r"may have|are needed for"):
        mp4.read_index(lambda offset, length: moov[offset : offset + length], max(file_size, len(moov)))


def test_as_many_samples_as_a_file_has_room_for() -> None:
    """Samples of a fixed size are read as far as the file goes, and no further, whatever their number is said to be."""
    moov = movie_of(hostile(1, sizes=full_box(b"stsz", 0, 0, pack(">II", 100, BILLIONS))))
    with memory_below(1 << 20):
        index = index_of(moov + bytes(50_000))
    assert len(index.samples) == (len(moov) + 50_000) // 100
    assert index.left_out == ("track 1: 1 samples are empty, too large or not wholly in the file",)


def test_many_hostile_tracks() -> None:
    """All tracks of a file share its limit of samples: 64 that name the same bytes again are refused."""
    sizes = full_box(b"stsz", 0, 0, pack(">II", 16, BILLIONS))
    moov = movie_of(*[hostile(number, sizes=sizes) for number in range(1, MAX_TRACKS + 1)])
    with memory_below(8 << 20), pytest.raises(MalformedData, match="may have"):
        index_of(moov + bytes(500_000))


def test_more_tracks_than_are_read() -> None:
    """A file of more than 64 tracks is refused."""
    traks = [hostile(number, sizes=full_box(b"stsz", 0, 0, pack(">II", 100, 1))) for number in range(1, MAX_TRACKS + 2)]
    assert len(index_of(movie_of(*traks[:-1])).tracks) == MAX_TRACKS
    with pytest.raises(MalformedData, match=f"more than {MAX_TRACKS} tracks"):
        index_of(movie_of(*traks))


@pytest.mark.parametrize("default_size", [0, 1, 16])
def test_hostile_runs(default_size: int) -> None:
    """Fragments of some bytes that name thousands of millions of samples without telling them one by one are refused."""
    trun = full_box(b"trun", 0, 0, pack(">I", BILLIONS))
    tfhd = full_box(b"tfhd", 0, 0x10, pack(">II", 1, default_size))
    moof = box(b"moof", *[box(b"traf", tfhd, trun)] * 30)
    data = film(Trak(VIDEO, 1000, []), fragmented=True) + moof + bytes(100_000)
    with memory_below(8 << 20), pytest.raises(MalformedData, match=r"trun at byte \d+ names \d+ samples"):
        index_of(data)


@pytest.mark.parametrize("name", [b"stts", b"stsc", b"stco", b"stss", b"ctts"])
def test_tables_that_claim_too_much(name: bytes) -> None:
    """A table with more entries than the box has bytes, or any table needs, is refused before it is made."""
    whole = film(Trak(VIDEO, 1000, pictures(9, later=FRAME)))
    place = whole.index(name) + 8
    for count, reason in ((9_000_000, "are needed for"), (BILLIONS, f"passes the limit of {MAX_SAMPLES}")):
        data = whole[:place] + pack(">I", count) + whole[place + 4 :]
        with memory_below(1 << 20), pytest.raises(MalformedData, match=reason):
            index_of(data)


def test_too_many_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boxes beyond number, in a file or a box, are refused; sizes that do not fit are refused with their place."""
    monkeypatch.setattr(boxes, "MAX_TOP_LEVEL", 1000)
    with pytest.raises(MalformedData, match="more than 1000 boxes in the file"):
        mp4.read_index(lambda _offset, _length: box(b"free") * 2, 1 << 40)
    with pytest.raises(MalformedData, match=f"more than {boxes.MAX_CHILDREN} boxes in moov"):
        index_of(box(b"moov", box(b"free") * (boxes.MAX_CHILDREN + 1)))
    with pytest.raises(MalformedData, match="a box of 3 bytes at byte 8"):
        index_of(box(b"moov", b"\0\0\0\3free"))
    with pytest.raises(MalformedData, match="a box of 7 bytes at byte 8"):
        index_of(box(b"free") + b"\0\0\0\7free")


def test_boxes_in_boxes() -> None:
    """Boxes nested a hundred thousand deep are not followed."""
    depth = 100_000
    nested = b"".join(pack(">I4s", 8 * (depth - at), b"moov") for at in range(depth))
    with pytest.raises(MalformedData, match="no mvhd"):
        index_of(nested)


@pytest.mark.parametrize(("name", "limit"), [(b"moov", mp4.MAX_MOOV), (b"moof", mp4.MAX_MOOF)])
def test_huge_descriptions(name: bytes, limit: int) -> None:
    """A moov or moof larger than any file needs is refused unread."""
    data = film(Trak(VIDEO, 1000, pictures(2))) if name == b"moof" else b""
    data += pack(">I4s", limit + 9, name)

    def read(offset: int, length: int) -> bytes:
        assert length < 1 << 20
        return data[offset : offset + length]

    with pytest.raises(MalformedData, match=f"passes the limit of {limit}"):
        mp4.read_index(read, 1 << 40)


def test_one_sample_for_four_bytes() -> None:
    """The smallest samples of honest files, of four bytes and one size, are all read."""
    count = 10_000
    moov = movie_of(hostile(1, sizes=full_box(b"stsz", 0, 0, pack(">II", MIN_SAMPLE_COST, count)), stsc=count, stts=count))
    assert len(index_of(moov + bytes(MIN_SAMPLE_COST * count)).samples) == count
