"""MP4 files as bytes, for tests of those who read them: any sample tables around media of any bytes (ISO/IEC 14496-12).

`film` makes a whole file, `fragment` what follows it in a fragmented one. `pictures` and `sounds` are samples of any bytes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from struct import pack

from ems.formats.fmp4.box import box, full_box
from ems.formats.fmp4.initialisation import OTHER_SAMPLE, SYNC_SAMPLE
from ems.formats.fmp4.sample_entry import sample_entry
from ems.media import aac, h264, h265
from ems.media.track import Kind, Track
from tests.unit.media import vectors

VIDEO = h264.make_track(1, vectors.AVCC_HIGH)
HEVC = h265.make_track(1, vectors.HVCC_MAIN)
SOUND = aac.make_track(2, vectors.ASC_STEREO)

FRAME = 40
"""Ticks of a picture: with a timescale of 1000 they are milliseconds."""

MOVIE_TIMESCALE = 1000

BASE_DATA_OFFSET, DEFAULT_BASE_IS_MOOF, BEHIND_THE_LAST = 0x01, 0x020000, 0
"""What the data offsets of a fragment count from (tf_flags, §8.8.7.1): a byte of the file that is told, here 0; the ``moof``; or
the ``moof`` in the first track, and in the others the end of the data of the track before."""

Samples = Sequence[tuple[bytes, int, int, bool]]
"""Of each sample its data, its duration and composition offset in ticks, and whether it is a key frame."""


@dataclass
class Trak:
    """A track to write.

    `edits` are (segment_duration, media_time), played with `rate`; `per_chunk` samples make a chunk; `size_bits` of 4, 8 or 16
    make an ``stz2``; `entries` stand instead of the track's own sample entry, and each chunk has the next of them.
    """

    track: Track
    timescale: int
    samples: Samples
    edits: Sequence[tuple[int, int]] = ()
    per_chunk: int = 3
    size_bits: int = 0
    entries: Sequence[bytes] = ()
    rate: int = 1

    @property
    def chunks(self) -> list[bytes]:
        """The data of each chunk."""
        data = [sample[0] for sample in self.samples]
        return [b"".join(data[at : at + self.per_chunk]) for at in range(0, len(data), self.per_chunk)]


@dataclass
class Run:
    """Samples that a fragment adds to a track.

    `time` is baseMediaDecodeTime in ticks, not told when it is None. With `told_once` all samples have the first one's duration
    and the last one's flags, in ``tfhd``, and only the first has flags of its own. Without `placed` no data_offset is told.
    `entry` is sample_description_index.
    """

    track_id: int
    samples: Samples
    time: int | None = None
    told_once: bool = False
    placed: bool = True
    entry: int = 1


def units(*nals: bytes, length_size: int = 4) -> bytes:
    """An access unit with lengths of this size."""
    return b"".join(len(unit).to_bytes(length_size, "big") + unit for unit in nals)


def pictures(count: int, *, group: int = 4, later: int = 0, length_size: int = 4) -> Samples:
    """Pictures of which none is like another, a key frame first in each group, shown so many ticks after they are decoded."""
    keys = [at % group == 0 for at in range(count)]
    nals = [bytes((0x65 if key else 0x41, at)) * (5 + at) for at, key in enumerate(keys)]
    return [(units(unit, length_size=length_size), FRAME, later, key) for unit, key in zip(nals, keys, strict=True)]


def sounds(count: int) -> Samples:
    """Frames of sound of 20 ticks and 1 to 15 bytes."""
    return [(bytes((at,)) * (1 + at % 15), 20, 0, True) for at in range(count)]


def film(*traks: Trak, moov_first: bool = True, large: bool = False, fragmented: bool = False) -> bytes:
    """A file with these tracks, their chunks one behind the other; `large` has everything in 64 bits that can be."""
    ftyp = box(b"ftyp", b"isom", bytes(4), b"isom")
    media = b"".join(chunk for trak in traks for chunk in trak.chunks)
    mdat = pack(">I4sQ", 1, b"mdat", 16 + len(media)) + media if large else box(b"mdat", media)
    start = len(ftyp) + (16 if large else 8)
    if not moov_first:
        return ftyp + mdat + movie(traks, start, large=large, fragmented=fragmented)
    size = len(movie(traks, 0, large=large, fragmented=fragmented))
    return ftyp + movie(traks, start + size, large=large, fragmented=fragmented) + mdat


def movie(traks: Sequence[Trak], media_start: int, *, large: bool = False, fragmented: bool = False) -> bytes:
    """The ``moov`` of tracks whose chunks lie one behind the other from this byte of the file on."""
    boxes = []
    at = media_start
    for trak in traks:
        boxes.append(_trak(trak, at, large))
        at += sum(map(len, trak.chunks))
    if fragmented:
        boxes.append(box(b"mvex", *[full_box(b"trex", 0, 0, pack(">5I", trak.track.id, 1, 0, 0, 0)) for trak in traks]))
    return box(b"moov", _header(b"mvhd", MOVIE_TIMESCALE, bytes(80), large), *boxes)


def fragment(start: int, *runs: Run, base: int = DEFAULT_BASE_IS_MOOF) -> bytes:
    """A ``moof`` that begins at this byte of the file, and its ``mdat``: the data of the runs one behind the other."""
    media = [b"".join(sample[0] for sample in run.samples) for run in runs]
    first = len(_moof(runs, [0] * len(runs), base)) + 8 + (start if base == BASE_DATA_OFFSET else 0)
    offsets = list(accumulate(map(len, media), initial=first))
    if base == BEHIND_THE_LAST:
        offsets[1:] = [0] * len(media)
    return _moof(runs, offsets, base) + box(b"mdat", *media)


def _moof(runs: Sequence[Run], offsets: Sequence[int], base: int) -> bytes:
    trafs = [_traf(run, offset, base) for run, offset in zip(runs, offsets, strict=False)]
    return box(b"moof", full_box(b"mfhd", 0, 0, pack(">I", 1)), *trafs)


def _traf(run: Run, offset: int, base: int) -> bytes:
    flags = [SYNC_SAMPLE if key else OTHER_SAMPLE for _, _, _, key in run.samples]
    tfhd = pack(">I", run.track_id) + (bytes(8) if base == BASE_DATA_OFFSET else b"") + pack(">I", run.entry)
    trun = pack(">I", len(run.samples)) + (pack(">i", offset) if run.placed else b"")
    tf_flags, tr_flags = base | 0x02, 0x01 if run.placed else 0
    if run.told_once:
        tf_flags, tr_flags = tf_flags | 0x28, tr_flags | 0xA04
        tfhd += pack(">II", run.samples[0][1], flags[-1])
        trun += pack(">I", flags[0])
        trun += b"".join(pack(">Ii", len(data), offset) for data, _, offset, _ in run.samples)
    else:
        tr_flags |= 0xF00
        for flag, (data, duration, composition_offset, _) in zip(flags, run.samples, strict=True):
            trun += pack(">IIIi", duration, len(data), flag, composition_offset)
    tfdt = b"" if run.time is None else full_box(b"tfdt", 1, 0, pack(">Q", run.time))
    return box(b"traf", full_box(b"tfhd", 0, tf_flags, tfhd), tfdt, full_box(b"trun", 1, tr_flags, trun))


def _trak(trak: Trak, start: int, large: bool) -> bytes:
    handler = b"vide" if trak.track.kind is Kind.VIDEO else b"soun"
    offsets = list(accumulate(map(len, trak.chunks), initial=start))[:-1]
    stco = full_box(b"co64" if large else b"stco", 0, 0, pack(f">I{len(offsets)}{'Q' if large else 'I'}", len(offsets), *offsets))
    entries = trak.entries or (sample_entry(trak.track),)
    stbl = box(b"stbl", full_box(b"stsd", 0, 0, pack(">I", len(entries)), *entries), *_tables(trak), stco)
    media = _header(b"mdhd", trak.timescale, bytes(4), large), full_box(b"hdlr", 0, 0, bytes(4), handler)
    tkhd = full_box(b"tkhd", int(large), 3, pack(">QQI" if large else ">III", 0, 0, trak.track.id), bytes(68))
    return box(b"trak", tkhd, _edts(trak, large), box(b"mdia", *media, box(b"minf", stbl)))


def _header(box_type: bytes, timescale: int, rest: bytes, large: bool) -> bytes:
    """An ``mvhd`` or ``mdhd``: times of creation and change, timescale, duration."""
    return full_box(box_type, int(large), 0, pack(">QQIQ" if large else ">IIII", 0, 0, timescale, 0), rest)


def _edts(trak: Trak, large: bool) -> bytes:
    if not trak.edits:
        return b""
    entries = [pack(">Qqhh" if large else ">Iihh", *edit, trak.rate, 0) for edit in trak.edits]
    return box(b"edts", full_box(b"elst", int(large), 0, pack(">I", len(entries)), *entries))


def _tables(trak: Trak) -> Iterable[bytes]:
    durations, offsets = [sample[1] for sample in trak.samples], [sample[2] for sample in trak.samples]
    yield _runs(b"stts", 0, durations)
    if any(offsets):
        yield _runs(b"ctts", int(min(offsets) < 0), [offset & 0xFFFFFFFF for offset in offsets])
    keys = [number for number, sample in enumerate(trak.samples, 1) if sample[3]]
    if len(keys) < len(trak.samples):
        yield full_box(b"stss", 0, 0, pack(f">I{len(keys)}I", len(keys), *keys))
    yield _sizes([len(sample[0]) for sample in trak.samples], trak.size_bits)
    yield _chunks(trak)


def _chunks(trak: Trak) -> bytes:
    """An ``stsc`` with as few runs as there can be."""
    runs: list[tuple[int, int, int]] = []
    for at in range(0, len(trak.samples), trak.per_chunk):
        number = at // trak.per_chunk
        count, entry = min(trak.per_chunk, len(trak.samples) - at), min(number + 1, len(trak.entries) or 1)
        if not runs or runs[-1][1:] != (count, entry):
            runs.append((number + 1, count, entry))
    return full_box(b"stsc", 0, 0, pack(">I", len(runs)), *[pack(">III", *run) for run in runs])


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
