"""MP4 files as bytes, for tests of those who read them: any sample tables around media of any bytes (ISO/IEC 14496-12)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from struct import pack

from ems.formats.fmp4.box import box, full_box
from ems.formats.fmp4.sample_entry import sample_entry
from ems.media.track import Kind, Track

MOVIE_TIMESCALE = 1000


@dataclass
class Trak:
    """A track to write. A sample is its data, its duration and composition offset in ticks, and whether it is a key frame.

    `edits` are (segment_duration, media_time); `per_chunk` samples make a chunk; `size_bits` of 4, 8 or 16 make an ``stz2``;
    `entry` stands instead of the track's own sample entry.
    """

    track: Track
    timescale: int
    samples: Sequence[tuple[bytes, int, int, bool]]
    edits: Sequence[tuple[int, int]] = ()
    per_chunk: int = 3
    size_bits: int = 0
    entry: bytes = b""

    @property
    def chunks(self) -> list[bytes]:
        """The data of each chunk."""
        data = [sample[0] for sample in self.samples]
        return [b"".join(data[at : at + self.per_chunk]) for at in range(0, len(data), self.per_chunk)]


def film(*traks: Trak, moov_first: bool = True, large: bool = False, long_edits: bool = False) -> bytes:
    """A file with these tracks, their chunks one behind the other; `large` has 64-bit sizes and offsets."""
    ftyp = box(b"ftyp", b"isom", bytes(4), b"isom")
    media = b"".join(chunk for trak in traks for chunk in trak.chunks)
    mdat = pack(">I4sQ", 1, b"mdat", 16 + len(media)) + media if large else box(b"mdat", media)
    header = 16 if large else 8
    size = len(_moov(traks, 0, large, long_edits))
    moov = _moov(traks, len(ftyp) + header + (size if moov_first else 0), large, long_edits)
    return ftyp + moov + mdat if moov_first else ftyp + mdat + moov


def _moov(traks: Sequence[Trak], media_start: int, large: bool, long_edits: bool) -> bytes:
    mvhd = full_box(b"mvhd", 0, 0, pack(">IIII", 0, 0, MOVIE_TIMESCALE, 0), bytes(80))
    boxes = []
    at = media_start
    for trak in traks:
        boxes.append(_trak(trak, at, large, long_edits))
        at += sum(map(len, trak.chunks))
    return box(b"moov", mvhd, *boxes)


def _trak(trak: Trak, start: int, large: bool, long_edits: bool) -> bytes:
    handler = b"vide" if trak.track.kind is Kind.VIDEO else b"soun"
    offsets = list(accumulate(map(len, trak.chunks), initial=start))[:-1]
    stco = full_box(b"co64" if large else b"stco", 0, 0, pack(f">I{len(offsets)}{'Q' if large else 'I'}", len(offsets), *offsets))
    stbl = box(b"stbl", full_box(b"stsd", 0, 0, pack(">I", 1), trak.entry or sample_entry(trak.track)), *_tables(trak), stco)
    media = full_box(b"mdhd", 0, 0, pack(">IIII", 0, 0, trak.timescale, 0), bytes(4)), full_box(b"hdlr", 0, 0, bytes(4), handler)
    tkhd = full_box(b"tkhd", 0, 3, pack(">III", 0, 0, trak.track.id), bytes(68))
    return box(b"trak", tkhd, _edts(trak.edits, long_edits), box(b"mdia", *media, box(b"minf", stbl)))


def _edts(edits: Sequence[tuple[int, int]], long: bool) -> bytes:
    if not edits:
        return b""
    entries = [pack(">Qqhh" if long else ">Iihh", *edit, 1, 0) for edit in edits]
    return box(b"edts", full_box(b"elst", int(long), 0, pack(">I", len(edits)), *entries))


def _tables(trak: Trak) -> Iterable[bytes]:
    data, durations, offsets, keys = zip(*trak.samples, strict=True)
    yield _runs(b"stts", 0, durations)
    if any(offsets):
        yield _runs(b"ctts", int(min(offsets) < 0), [offset & 0xFFFFFFFF for offset in offsets])
    if not all(keys):
        numbers = [number for number, key in enumerate(keys, 1) if key]
        yield full_box(b"stss", 0, 0, pack(f">I{len(numbers)}I", len(numbers), *numbers))
    yield _sizes([len(part) for part in data], trak.size_bits)
    whole, rest = divmod(len(data), trak.per_chunk)
    runs = [(1, trak.per_chunk)] * (whole > 0) + [(whole + 1, rest)] * (rest > 0)
    yield full_box(b"stsc", 0, 0, pack(">I", len(runs)), *[pack(">III", first, count, 1) for first, count in runs])


def _runs(box_type: bytes, version: int, values: Sequence[int]) -> bytes:
    runs = [(len(list(group)), value) for value, group in groupby(values)]
    return full_box(box_type, version, 0, pack(">I", len(runs)), *[pack(">II", *run) for run in runs])


def _sizes(sizes: Sequence[int], bits: int) -> bytes:
    if not bits:
        return full_box(b"stsz", 0, 0, pack(f">II{len(sizes)}I", 0, len(sizes), *sizes))
    if bits == 4:
        padded = [*sizes, 0]
        table = bytes(padded[at] << 4 | padded[at + 1] for at in range(0, len(sizes), 2))
    else:
        table = pack(f">{len(sizes)}{'B' if bits == 8 else 'H'}", *sizes)
    return full_box(b"stz2", 0, 0, pack(">II", bits, len(sizes)), table)
