"""The sample tables of a ``trak`` (ISO/IEC 14496-12 §8.6, §8.7): when each sample is decoded and shown, its size and its place.

====  =========================================================================
stts  runs of samples that last equally long
ctts  runs of samples that are shown equally long after they are decoded
stss  the numbers of the key frames; without it every sample is one
stsz  the size of each sample, or one for all; stz2 in 4, 8 or 16 bits
stsc  runs of chunks with equally many samples
stco  where each chunk begins; co64 in 64 bits
====  =========================================================================

Samples are numbered from 1 in decoding order, and follow each other without a gap in their chunk. A film has hundreds of
thousands: the tables become columns by `accumulate`, `repeat` and `map`, with no step of Python for each sample.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, islice, repeat
from operator import add
from struct import Struct

from ems.errors import MalformedData
from ems.formats.index import MAX_SAMPLES
from ems.formats.mp4.boxes import Box

MIN_SAMPLE_COST = 4
"""Bytes of a file for each of its samples: as many as ``stsz`` alone has for each, or the smallest frames of sound. A file made
to cost memory names the same bytes again and again."""

MAX_REORDER = 32
"""Samples at a track's end among which the one shown last is looked for: H.264 and H.265 hold back 16 pictures at most."""

_COUNT = Struct(">4xI")
_SIZES = Struct(">4xII")
_SMALL_SIZES = Struct(">7xBI")
_TABLE, _SIZE_TABLE = 8, 12
"""Where tables begin behind version, flags and counts."""


@dataclass(slots=True)
class Allowance:
    """How many samples a file may still bring, its tracks and fragments together: `MAX_SAMPLES` at most, and not more than have
    room in it. `file_size` is in bytes."""

    file_size: int
    samples: int = MAX_SAMPLES

    def __post_init__(self) -> None:
        self.samples = min(self.samples, self.file_size // MIN_SAMPLE_COST + 1)

    def take(self, box: Box, count: int, size: int = 0) -> int:
        """How many of the `count` samples that the box names, of `size` bytes each if that is known, are to be read.

        They are asked for before their table is made: a box of twenty bytes can name four thousand million. Those that the file
        has no room for are not counted, but for one, by which it is noticed that the file is cut off. Raises `MalformedData`
        when the file's samples pass the limit.
        """
        wanted = min(count, self.file_size // max(size, 1) + 1)
        if wanted > self.samples:
            raise MalformedData(f"{box} names {count} samples; the file of {self.file_size} bytes may have {self.samples} more")
        self.samples -= wanted
        return wanted


@dataclass(slots=True)
class Columns:
    """Samples of a track in decoding order. Times are ticks of the track's clock, `end` is when the last one ends.

    `described` is the number of the sample entry that all of them have; 0 while there are none.
    """

    dts: "array[int]" = field(default_factory=lambda: array("q"))
    pts: "array[int]" = field(default_factory=lambda: array("q"))
    keyframes: bytearray = field(default_factory=bytearray)
    offsets: "array[int]" = field(default_factory=lambda: array("q"))
    sizes: "array[int]" = field(default_factory=lambda: array("I"))
    end: int = 0
    described: int = 0

    @property
    def shown(self) -> int:
        """When the last picture shown, which need not be the last one decoded, has been shown; 0 without samples."""
        if not self.dts:
            return 0
        return max(self.pts[-MAX_REORDER:]) + self.end - self.dts[-1]


def read_tables(stbl: Box, allowance: Allowance) -> tuple[Columns, bool]:
    """The samples of an ``stbl``, and whether these are all of them: samples of a second sample entry are left out, with all that
    follow. They are taken from the allowance. Raises `MalformedData` when the tables do not fit each other or it is used up.
    """
    sizes = _sizes(stbl, allowance)
    if not sizes:
        return Columns(), True
    chunks = _chunks(stbl)
    per_chunk, described, whole = _samples_per_chunk(stbl.need(b"stsc"), len(chunks))
    placed = sum(per_chunk)
    if placed < len(sizes) and whole:
        raise MalformedData(f"{stbl}: {len(chunks)} chunks hold {placed} samples, stsz has {len(sizes)}")
    sizes = sizes[:placed]
    dts, end = _decoding_times(stbl.need(b"stts"), len(sizes))
    offsets = _offsets(sizes, chunks, per_chunk)
    return Columns(dts, _presentation_times(stbl, dts), _keyframes(stbl, len(sizes)), offsets, sizes, end, described), whole


def _sizes(stbl: Box, allowance: Allowance) -> "array[int]":
    stsz = stbl.find(b"stsz")
    if stsz is None:
        return _small_sizes(stbl.need(b"stz2"), allowance)
    size, count = stsz.unpack(_SIZES)
    count = allowance.take(stsz, count, size)
    return array("I", (size,)) * count if size else stsz.words(count, _SIZE_TABLE)


def _small_sizes(stz2: Box, allowance: Allowance) -> "array[int]":
    """Sizes of 4, 8 or 16 bits (§8.7.3.3)."""
    bits, count = stz2.unpack(_SMALL_SIZES)
    count = allowance.take(stz2, count)
    if bits == 16:
        return array("I", stz2.words(count, _SIZE_TABLE, "H"))
    if bits not in (4, 8):
        raise MalformedData(f"{stz2} has sizes of {bits} bits")
    table = stz2.words((count * bits + 7) // 8, _SIZE_TABLE, "B")
    if bits == 8:
        return array("I", table)
    return array("I", chain.from_iterable((byte >> 4, byte & 15) for byte in table))[:count]


def _chunks(stbl: Box) -> "array[int]":
    stco = stbl.find(b"stco")
    if stco is not None:
        return stco.words(_entries(stco), _TABLE)
    co64 = stbl.need(b"co64")
    return co64.words(_entries(co64), _TABLE, "Q")


def _entries(table: Box) -> int:
    """entry_count of a table. Raises `MalformedData` when it passes `MAX_SAMPLES`: no table needs more entries than samples."""
    count: int = table.unpack(_COUNT)[0]
    if count > MAX_SAMPLES:
        raise MalformedData(f"{table} has {count} entries and passes the limit of {MAX_SAMPLES}")
    return count


def _samples_per_chunk(stsc: Box, chunk_count: int) -> tuple[list[int], int, bool]:
    """How many samples each chunk holds, up to the first chunk of another sample entry; the number of the entry; whether that
    is all of them."""
    runs = _entries(stsc)
    table = stsc.words(3 * runs, _TABLE)
    firsts, counts, entries = table[0::3], table[1::3], table[2::3]
    if not runs or firsts[0] != 1 or any(map(int.__ge__, firsts, firsts[1:])):
        raise MalformedData(f"{stsc}: the runs of chunks do not follow each other")
    same = next((at for at, entry in enumerate(entries) if entry != entries[0]), runs)
    bounds = [min(first - 1, chunk_count) for first in (*firsts, chunk_count + 1)]
    spans = [bounds[at + 1] - bounds[at] for at in range(same)]
    return list(chain.from_iterable(map(repeat, counts, spans))), entries[0], same == runs


def _decoding_times(stts: Box, count: int) -> tuple["array[int]", int]:
    times = array("q", accumulate(_expanded(stts, count, "I"), initial=0))
    return times, times.pop()


def _presentation_times(stbl: Box, dts: "array[int]") -> "array[int]":
    ctts = stbl.find(b"ctts")
    if ctts is None:
        return dts[:]
    # Version 0 has unsigned offsets, but writers put negative ones there too; none needs the 32nd bit otherwise.
    return array("q", map(add, dts, _expanded(ctts, len(dts), "i")))


def _expanded(box: Box, count: int, typecode: str) -> Iterator[int]:
    """The value of each sample in a table of runs: sample_count, value."""
    runs = _entries(box)
    counts = box.words(2 * runs, _TABLE)[0::2]
    values = box.words(2 * runs, _TABLE, typecode)[1::2]
    if sum(counts) < count:
        raise MalformedData(f"{box} tells the times of {sum(counts)} samples, there are {count}")
    return islice(chain.from_iterable(map(repeat, values, counts)), count)


def _keyframes(stbl: Box, count: int) -> bytearray:
    stss = stbl.find(b"stss")
    if stss is None:
        return bytearray(b"\1") * count
    flags = bytearray(count)
    for number in stss.words(_entries(stss), _TABLE):
        if 1 <= number <= count:
            flags[number - 1] = 1
    return flags


def _offsets(sizes: Sequence[int], chunks: Sequence[int], per_chunk: Sequence[int]) -> "array[int]":
    """Where each sample lies: as far behind its chunk's first one as in a row of all samples."""
    row = list(accumulate(sizes, initial=0))
    last = len(sizes)
    firsts = accumulate(per_chunk, initial=0)
    moves: Iterable[int] = [chunk - row[min(first, last)] for chunk, first in zip(chunks, firsts, strict=False)]
    return array("q", map(add, row, islice(chain.from_iterable(map(repeat, moves, per_chunk)), last)))
