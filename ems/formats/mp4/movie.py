"""A ``moov`` with all that belongs to it, and what comes of it: the tracks and their samples on the clock of the presentation."""

from array import array
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import repeat
from operator import sub
from struct import Struct
from typing import Self

from ems.errors import MalformedData
from ems.formats.index import MAX_TRACKS, Read, TrackSamples
from ems.formats.mp4.boxes import Box
from ems.formats.mp4.edits import PREROLL, WHOLE, Edit, read_edit
from ems.formats.mp4.entries import NotRead, kind_of, read_entry
from ems.formats.mp4.fragments import Defaults, Fragment, Target, read_trex
from ems.formats.mp4.tables import Allowance, Columns, read_tables
from ems.media.frame import SECOND
from ems.media.nal import MAX_ACCESS_UNIT
from ems.media.track import Kind

_TIMESCALE = {0: Struct(">12xI"), 1: Struct(">20xI")}
"""The timescale in ``mvhd`` and ``mdhd`` (§8.2.2, §8.4.2), by their version: alike in both."""
_TRACK_ID = {0: Struct(">12xI"), 1: Struct(">20xI")}
_VERSION = Struct(">B")
_HANDLER = Struct(">8x4s")
_NO_DEFAULTS = Defaults(1, 0, 0, 0)


@dataclass(slots=True)
class Trak:
    """A ``trak`` that is read. `timescale` is ticks a second of its clock."""

    track_id: int
    kind: Kind
    timescale: int
    edit: Edit
    stsd: Box
    columns: Columns

    @classmethod
    def read(cls, trak: Box, track_id: int, movie_timescale: int, allowance: Allowance, told: list[str]) -> Self:
        """Read the box with its tables; `told` is added what of it is not read. Raises `NotRead` for a track that is left
        out, and `MalformedData`."""
        media = trak.need(b"mdia")
        kind = kind_of(media.need(b"hdlr").unpack(_HANDLER)[0])
        stbl = media.need(b"minf", b"stbl")
        stsd = stbl.need(b"stsd")
        read_entry(stsd, 1)  # for codecs that are not read, before the tables are
        columns, whole = read_tables(stbl, allowance)
        if kind is Kind.AUDIO:
            columns.keyframes = bytearray(b"\1") * len(columns.dts)
        if not whole:
            told.append(f"track {track_id}: it ends where its sample entry changes")
        elst = trak.find(b"edts", b"elst")
        edit, not_followed = read_edit(elst, movie_timescale) if elst else (WHOLE, "")
        if not_followed:
            told.append(f"track {track_id}: {not_followed}")
        return cls(track_id, kind, _timescale(media.need(b"mdhd")), edit, stsd, columns)

    def samples(self, read: Read, file_size: int) -> TrackSamples:
        """The samples on the clock of the presentation, as far as the edit shows them or needs them for what it shows.

        There is at least one sample. The file, of `file_size` bytes, is asked for a key frame where only that tells the codec's
        parameters. Raises `NotRead` and `MalformedData`.
        """
        columns, edit, scale = self.columns, self.edit, self.timescale
        entry = read_entry(self.stsd, columns.described or 1)
        track = entry.track(self.track_id, lambda: self._first_key_frame(read, file_size))
        dts = _on_clock(columns.dts, edit, scale)
        pts = dts if columns.pts == columns.dts else _on_clock(columns.pts, edit, scale)
        (end,) = _on_clock((columns.shown,), edit, scale)
        if end < edit.delay:
            raise NotRead("its edit begins where the track has ended")
        # Negative composition offsets keep pictures in time with sound, and mean that they are decoded earlier than dts tells.
        if (late := max(map(sub, dts, pts))) > 0:
            dts = array("q", map(sub, dts, repeat(late)))
        first, last = 0, len(dts)
        if pts[0] < edit.delay:
            first = self._first_needed(pts)
        if edit.duration and end > edit.delay + edit.duration:
            end = edit.delay + edit.duration
            last = next((at + 1 for at in range(last - 1, -1, -1) if pts[at] < end), 0)
        kept = slice(first, last)
        keys = columns.keyframes[kept]
        sizes, offsets = columns.sizes[kept], columns.offsets[kept]
        return TrackSamples(track, dts[kept], pts[kept], keys, offsets, sizes, end, entry.length_size)

    def _first_needed(self, pts: "array[int]") -> int:
        """The number of the sample with which a decoder begins for what the edit shows first."""
        if self.kind is Kind.AUDIO:
            return max(bisect_right(pts, self.edit.delay - PREROLL) - 1, 0)
        before = (at for at, keyframe in enumerate(self.columns.keyframes) if keyframe and pts[at] <= self.edit.delay)
        return max(before, default=0)

    def _first_key_frame(self, read: Read, file_size: int) -> bytes:
        columns = self.columns
        at = columns.keyframes.find(1)
        if at < 0 or columns.offsets[at] >= file_size:
            raise MalformedData("it has no key frame")
        return read(columns.offsets[at], min(columns.sizes[at], MAX_ACCESS_UNIT))


@dataclass(slots=True)
class Movie:
    """What a ``moov`` tells, and the fragments behind it add. `left_out` names the tracks that are not read."""

    allowance: Allowance
    traks: list[Trak] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    _targets: dict[int, Target] = field(default_factory=dict)

    @classmethod
    def read(cls, moov: Box, file_size: int) -> Self:
        """Read the tracks of a file of this size (bytes). Raises `MalformedData` for damaged boxes; a codec's own configuration
        is looked at in `samples`."""
        movie = cls(Allowance(file_size))
        movie_timescale = _timescale(moov.need(b"mvhd"))
        mvex = moov.find(b"mvex")
        defaults = dict(read_trex(box) for box in mvex.children() if box.type == b"trex") if mvex else {}
        for number, trak in enumerate((box for box in moov.children() if box.type == b"trak"), 1):
            if number > MAX_TRACKS:
                raise MalformedData(f"more than {MAX_TRACKS} tracks in {moov}")
            movie._add(trak, movie_timescale, defaults)
        return movie

    def _add(self, trak: Box, movie_timescale: int, defaults: dict[int, Defaults]) -> None:
        tkhd = trak.need(b"tkhd")
        track_id: int = tkhd.unpack(_versioned(tkhd, _TRACK_ID))[0]
        if track_id in self._targets:
            raise MalformedData(f"{trak} has the number of another track, {track_id}")
        target = self._targets[track_id] = Target(Columns(), defaults.get(track_id, _NO_DEFAULTS))
        try:
            read = Trak.read(trak, track_id, movie_timescale, self.allowance, self.left_out)
        except NotRead as reason:
            self.left_out.append(f"track {track_id}: {reason}")
            return
        target.columns, target.sound = read.columns, read.kind is Kind.AUDIO
        self.traks.append(read)

    def add(self, moof: Box, start: int) -> None:
        """Add the samples of a ``moof`` that begins at this byte of the file. Raises `MalformedData`."""
        Fragment(moof, start, self.allowance).add_to(self._targets)

    def samples(self, read: Read) -> list[TrackSamples]:
        """The tracks with their samples. Those whose configuration is not right are left out, and `left_out` tells why."""
        tracks = []
        for trak in self.traks:
            if self._targets[trak.track_id].changes:
                self.left_out.append(f"track {trak.track_id}: fragments that have another sample entry")
            if not trak.columns.dts:
                self.left_out.append(f"track {trak.track_id}: it has no samples")
                continue
            try:
                tracks.append(trak.samples(read, self.allowance.file_size))
            except (NotRead, MalformedData) as reason:
                self.left_out.append(f"track {trak.track_id}: {reason}")
        return tracks


def _versioned(box: Box, layouts: dict[int, Struct]) -> Struct:
    version = box.unpack(_VERSION)[0]
    if version not in layouts:
        raise MalformedData(f"{box} has version {version}, not 0 or 1")
    return layouts[version]


def _timescale(header: Box) -> int:
    timescale: int = header.unpack(_versioned(header, _TIMESCALE))[0]
    if not timescale:
        raise MalformedData(f"{header} has a timescale of 0")
    return timescale


def _on_clock(ticks: "array[int] | tuple[int, ...]", edit: Edit, timescale: int) -> "array[int]":
    """Ticks of the track as nanoseconds of the presentation."""
    start, delay = edit.media_time, edit.delay
    return array("q", [(tick - start) * SECOND // timescale + delay for tick in ticks])
