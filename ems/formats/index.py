"""The index of a media file: where each of its samples lies, and when it is decoded and shown.

A reader (`ems.formats.mp4`, `ems.formats.flv_file`, `ems.formats.mp3_file`, chosen by `ems.formats.files.reader_for`) makes a
`MediaIndex` of a file without reading its media, as far as the format allows. It asks for bytes with a `Read`, a plain blocking
function, and so belongs into a thread. Whoever plays the file walks `MediaIndex.samples`, reads each sample's bytes and makes
`Frame.data` of them with `MediaIndex.payload`.

Two hours of a film are some 700,000 samples: they are kept in columns, 33 bytes each, and become `Sample`s when they are looked
at. Times are nanoseconds from the start of the presentation. Where pictures are decoded before they are shown, and where sound
has priming samples that a decoder needs first, the first times are negative.
"""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import add
from typing import NamedTuple, Self, overload

from ems.errors import MalformedData
from ems.media import nal
from ems.media.nal import MAX_ACCESS_UNIT
from ems.media.track import Kind, Track

MAX_SAMPLES = 10_000_000
"""Samples of a file: a day and a quarter of 50 pictures and 47 frames of sound a second, in 330 MB, and some five
times that while they are read; more is an attack."""

MAX_TRACKS = 64
"""Tracks that are read of a file: films have some twenty languages; each costs a look at its tables."""

Read = Callable[[int, int], bytes]
"""``read(offset, length)``: that many bytes of the file, fewer only where it ends."""


class Sample(NamedTuple):
    """One access unit of a file: times in nanoseconds from the start of the presentation, `size` bytes from `offset` on."""

    track_id: int
    dts: int
    pts: int
    keyframe: bool
    offset: int
    size: int


@dataclass(slots=True)
class TrackSamples:
    """The samples of one track in decoding order, by columns of equal length; `end` is when the last one has been shown.

    `length_size` is the size of the NAL unit lengths in the file: 1, 2 or 4, or 0 for codecs that have no NAL units.
    """

    track: Track
    dts: Sequence[int]
    pts: Sequence[int]
    keyframes: Sequence[int]
    offsets: Sequence[int]
    sizes: Sequence[int]
    end: int
    length_size: int = 0


class SampleTable(Sequence[Sample]):
    """Samples of all tracks in the order of their decoding times; of equal times the earlier track comes first.

    The columns hold the tracks one behind the other, as the readers have made them; `_order` has for each position the row.
    """

    __slots__ = ("_columns", "_dts", "_keyframes", "_order", "_pts", "_track_ids")

    def __init__(self, tracks: Sequence[TrackSamples] = ()) -> None:
        """Merge the samples of these tracks. Raises `OverflowError` for a time or an offset of more than 63 bits."""
        self._dts = _joined("q", [samples.dts for samples in tracks])
        self._pts = _joined("q", [samples.pts for samples in tracks])
        self._keyframes = _joined("B", [samples.keyframes for samples in tracks])
        self._track_ids = _joined("I", [array("I", (samples.track.id,)) * len(samples.dts) for samples in tracks])
        self._columns = (
            self._track_ids,
            self._dts,
            self._pts,
            self._keyframes,
            _joined("q", [samples.offsets for samples in tracks]),
            _joined("I", [samples.sizes for samples in tracks]),
        )
        # Each track is in order already, and the sort finds such runs: it is a merge.
        self._order = array("I", sorted(range(len(self._dts)), key=self._dts.__getitem__))

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, position: int) -> Sample: ...
    @overload
    def __getitem__(self, position: slice) -> list[Sample]: ...
    def __getitem__(self, position: int | slice) -> Sample | list[Sample]:
        if isinstance(position, slice):
            return [self[at] for at in range(*position.indices(len(self)))]
        row = self._order[position]
        track_id, dts, pts, keyframe, offset, size = [column[row] for column in self._columns]
        return Sample(track_id, dts, pts, keyframe == 1, offset, size)

    def __iter__(self) -> Iterator[Sample]:
        track_id, dts, pts, keyframe, offset, size = [map(column.__getitem__, self._order) for column in self._columns]
        return map(Sample, track_id, dts, pts, map(bool, keyframe), offset, size)

    def decoded_at(self, time_ns: int) -> int:
        """The position of the newest sample that is decoded at or before this time; 0 when the time is before all."""
        return max(bisect_right(self._order, time_ns, key=self._dts.__getitem__) - 1, 0)

    def key_positions(self, track_id: int) -> "array[int]":
        """The positions of a track's key frames."""
        rows, keyframes, ids = self._order, self._keyframes, self._track_ids
        return array("I", [at for at, row in enumerate(rows) if keyframes[row] and ids[row] == track_id])

    def presentation_times(self, positions: "array[int]") -> "array[int]":
        """When the samples at these positions are shown."""
        return array("q", map(self._pts.__getitem__, map(self._order.__getitem__, positions)))


@dataclass(frozen=True, slots=True)
class MediaIndex:
    """What a file has: its tracks, video first, its samples, and its duration (nanoseconds).

    `left_out` tells in words what of the file is not there: tracks of codecs that are not read, samples behind the file's end,
    edits that are not followed. `length_sizes` are the sizes of NAL unit lengths by track id, for the tracks that have them.
    """

    tracks: tuple[Track, ...]
    samples: SampleTable
    duration: int
    left_out: tuple[str, ...] = ()
    length_sizes: Mapping[int, int] = field(default_factory=dict)
    _keys: "array[int]" = field(default_factory=lambda: array("I"), repr=False)
    """Positions of the key frames of the first video track, empty when there is no video."""
    _key_times: "array[int]" = field(default_factory=lambda: array("q"), repr=False)
    """The presentation times of these."""

    @classmethod
    def of(cls, tracks: Iterable[TrackSamples], file_size: int, left_out: Iterable[str] = ()) -> Self:
        """The index of these tracks. Samples that are empty, not wholly in the file or too large for an access unit are left
        out. Raises `MalformedData` when no sample is left, or when there are more than `MAX_SAMPLES`.
        """
        told = list(left_out)
        present = [kept for samples in tracks if (kept := _in_file(samples, file_size, told)).dts]
        present.sort(key=lambda samples: samples.track.kind is not Kind.VIDEO)
        count = sum(len(samples.dts) for samples in present)
        if not count:
            raise MalformedData(f"no sample in the file can be read: {'; '.join(told) or 'it has none'}")
        if count > MAX_SAMPLES:
            raise MalformedData(f"{count} samples pass the limit of {MAX_SAMPLES}")
        try:
            table = SampleTable(present)
        except OverflowError:
            raise MalformedData("a time or an offset of a sample needs more than 63 bits") from None
        length_sizes = {samples.track.id: samples.length_size for samples in present if samples.length_size}
        tracks_found = tuple(samples.track for samples in present)
        keys = table.key_positions(tracks_found[0].id) if tracks_found[0].kind is Kind.VIDEO else array("I")
        key_times = table.presentation_times(keys)
        duration = max(0, *(samples.end for samples in present))
        return cls(tracks_found, table, duration, tuple(told), length_sizes, keys, key_times)

    def first_at(self, time_ns: int) -> int:
        """The position in `samples` with which to begin so that the presentation can go on from this time.

        It is that of the newest video key frame that is shown at or before the time; without video that of the newest sample
        decoded then. 0 when the time is before all of these.
        """
        if not self._keys:
            return self.samples.decoded_at(time_ns)
        key = bisect_right(self._key_times, time_ns) - 1
        return self._keys[key] if key >= 0 else 0

    def payload(self, sample: Sample, data: bytes) -> bytes:
        """The sample's bytes as `Frame.data` has them: NAL units with lengths of 4 bytes, else `data` itself.

        Raises `MalformedData` when fewer bytes are there than the sample has or the lengths of its NAL units are not true.
        """
        if len(data) != sample.size:
            raise MalformedData(f"{len(data)} bytes of a sample of {sample.size} at byte {sample.offset}")
        length_size = self.length_sizes.get(sample.track_id)
        if length_size is None:
            return data
        if length_size != 4:
            return nal.with_four_byte_lengths(data, length_size)
        if not nal.lengths_are_true(data):
            raise MalformedData(f"the NAL unit lengths of the sample at byte {sample.offset} do not lead to its end")
        return data


def _joined(typecode: str, columns: Sequence[Sequence[int]]) -> "array[int]":
    """Columns one behind the other."""
    joined = array(typecode)
    for column in columns:
        joined += column if isinstance(column, array) else array(typecode, column)
    return joined


def _in_file(samples: TrackSamples, file_size: int, told: list[str]) -> TrackSamples:
    """The track without the samples that cannot be read; how many these are is added to `told`."""
    sizes, offsets = samples.sizes, samples.offsets
    if not sizes or (min(sizes) > 0 and max(sizes) <= MAX_ACCESS_UNIT and max(map(add, offsets, sizes)) <= file_size):
        return samples
    kept = [at for at, (offset, size) in enumerate(zip(offsets, sizes, strict=True)) if _readable(offset, size, file_size)]
    told.append(f"track {samples.track.id}: {len(sizes) - len(kept)} samples are empty, too large or not wholly in the file")
    pts = _picked(samples.pts, kept)
    return TrackSamples(
        samples.track,
        _picked(samples.dts, kept),
        pts,
        _picked(samples.keyframes, kept),
        _picked(offsets, kept),
        _picked(sizes, kept),
        # Where the end of the track is lost, it ends with what is left.
        samples.end if kept and kept[-1] == len(sizes) - 1 else max(pts, default=0),
        samples.length_size,
    )


def _readable(offset: int, size: int, file_size: int) -> bool:
    return 0 < size <= MAX_ACCESS_UNIT and offset + size <= file_size


def _picked(column: Sequence[int], positions: Sequence[int]) -> Sequence[int]:
    return [column[at] for at in positions]
