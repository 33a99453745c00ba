"""Fragments as they are read (ISO/IEC 14496-12 §8.8): the samples that each ``moof`` adds to the tracks of the ``moov``.

What all samples of a run have in common is told once, by the first of these that does: ``trun``, ``tfhd`` of the fragment,
``trex`` of the file. ``tfdt`` tells when the first sample is decoded; without it the run goes on where the track ended.
"""

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate, repeat
from operator import add
from struct import Struct
from typing import NamedTuple, Self

from ems.errors import MalformedData
from ems.formats.fragment_flags import (
    BASE_DATA_OFFSET,
    DATA_OFFSET,
    DEFAULT_BASE_IS_MOOF,
    DEFAULT_DURATION,
    DEFAULT_FLAGS,
    DEFAULT_SIZE,
    DESCRIPTION_INDEX,
    DURATIONS,
    FIRST_FLAGS,
    FLAGS,
    OFFSETS,
    SIZES,
)
from ems.formats.mp4.boxes import Box
from ems.formats.mp4.tables import Allowance, Columns

_NON_SYNC = 0x10000
"""sample_is_non_sync_sample in sample flags (§8.8.3.1)."""

_TREX = Struct(">4x5I")
_TFHD = Struct(">II")
_TRUN = Struct(">II")
_WORD = Struct(">I")
_SIGNED = Struct(">i")
_LONG = Struct(">Q")


class Defaults(NamedTuple):
    """What holds for samples of which nothing else is told: sample entry, duration (ticks), size (bytes), flags."""

    described: int
    duration: int
    size: int
    flags: int


@dataclass(slots=True)
class Target:
    """A track that fragments add to. Of `sound` every sample is a key frame. `changes` tells that samples were left out because
    they have another sample entry than those before them."""

    columns: Columns
    defaults: Defaults
    sound: bool = False
    changes: bool = False


def read_trex(trex: Box) -> tuple[int, Defaults]:
    """The track that a ``trex`` (§8.8.3) is about, and its defaults."""
    track_id, *defaults = trex.unpack(_TREX)
    return track_id, Defaults(*defaults)


class Fragment:
    """One ``moof`` that is being read; it begins at byte `start` of the file. Its samples are taken from the allowance."""

    def __init__(self, moof: Box, start: int, allowance: Allowance) -> None:
        self._moof = moof
        self._start = start
        self._allowance = allowance
        self._data_end = start
        """Where the data of the newest run ends, behind which that of the next one lies if nothing else is told."""

    def add_to(self, tracks: Mapping[int, Target]) -> None:
        """Add the samples to their tracks, by track id. Raises `MalformedData`."""
        for traf in self._moof.children():
            if traf.type == b"traf":
                self._read(traf, tracks)

    def _read(self, traf: Box, tracks: Mapping[int, Target]) -> None:
        boxes = list(traf.children())
        tfhd = next((box for box in boxes if box.type == b"tfhd"), None)
        if tfhd is None:
            raise MalformedData(f"no tfhd in {traf}")
        head = _Head.read(tfhd, tracks)
        if head is None:
            return
        columns = head.track.columns
        base = head.base if head.base is not None else self._start if head.base_is_moof else self._data_end
        self._data_end = base
        for box in boxes:
            if box.type == b"tfdt":
                columns.end = _decode_time(box)
            elif box.type == b"trun":
                self._data_end = _add_run(box, head, base, self._data_end, self._allowance)


class _Head(NamedTuple):
    """A ``tfhd`` (§8.8.7) with what the file's ``trex`` says where it is silent."""

    track: Target
    base: int | None
    base_is_moof: bool
    defaults: Defaults

    @classmethod
    def read(cls, tfhd: Box, tracks: Mapping[int, Target]) -> Self | None:
        """None for a track that the ``moov`` does not have."""
        flags, track_id = tfhd.unpack(_TFHD)
        track = tracks.get(track_id)
        if track is None:
            return None
        at, base = _TFHD.size, None
        if flags & BASE_DATA_OFFSET:
            base = tfhd.unpack(_LONG, at)[0]
            at += _LONG.size
        values = []
        defaults = track.defaults
        for flag, value in zip((DESCRIPTION_INDEX, DEFAULT_DURATION, DEFAULT_SIZE, DEFAULT_FLAGS), defaults, strict=True):
            if flags & flag:
                value = tfhd.unpack(_WORD, at)[0]
                at += _WORD.size
            values.append(value)
        told = Defaults(*values)
        if track.columns.described not in (0, told.described):
            track.changes = True
            track = Target(Columns(), told)
        track.columns.described = told.described
        return cls(track, base, flags & DEFAULT_BASE_IS_MOOF != 0, told)


def _decode_time(tfdt: Box) -> int:
    """baseMediaDecodeTime (§8.8.12), in 32 or 64 bits."""
    long = tfdt.unpack(_WORD)[0] >> 24 == 1
    time: int = tfdt.unpack(_LONG if long else _WORD, 4)[0]
    return time


def _add_run(trun: Box, head: _Head, base: int, data_end: int, allowance: Allowance) -> int:
    """Add the samples of a ``trun`` (§8.8.8) to their track; where their data ends."""
    flags, count = trun.unpack(_TRUN)
    columns = head.track.columns
    count = allowance.take(trun, count, 0 if flags & SIZES else head.defaults.size)
    at, start, first_flags = _TRUN.size, data_end, None
    if flags & DATA_OFFSET:
        start = base + trun.unpack(_SIGNED, at)[0]
        at += _SIGNED.size
    if flags & FIRST_FLAGS:
        first_flags = trun.unpack(_WORD, at)[0]
        at += _WORD.size
    if start < 0:
        raise MalformedData(f"the data of {trun} begins before the file")
    present = [field for field in (DURATIONS, SIZES, FLAGS, OFFSETS) if flags & field]
    width = len(present)
    table = trun.words(count * width, at)
    told = {field: table[index::width] for index, field in enumerate(present)}

    durations = told.get(DURATIONS) or repeat(head.defaults.duration, count)
    sizes = told.get(SIZES) or array("I", (head.defaults.size,)) * count
    times = array("q", accumulate(durations, initial=columns.end))
    columns.end = times.pop()
    places = array("q", accumulate(sizes, initial=start))
    end: int = places.pop()
    columns.dts += times
    columns.pts += array("q", map(add, times, _signed(told[OFFSETS]))) if OFFSETS in told else times
    columns.offsets += places
    columns.sizes += sizes
    columns.keyframes += _keyframes(head, told.get(FLAGS), first_flags, count)
    return end


def _signed(words: "array[int]") -> Iterable[int]:
    """Composition offsets: signed in version 1, and never so large in version 0 that it matters."""
    return array("i", words.tobytes())


def _keyframes(head: _Head, flags: "array[int] | None", first_flags: int | None, count: int) -> bytearray:
    if head.track.sound:
        return bytearray(b"\1") * count
    if flags is not None:
        keyframes = bytearray(not flag & _NON_SYNC for flag in flags)
    else:
        keyframes = bytearray((not head.defaults.flags & _NON_SYNC,)) * count
    if first_flags is not None and count:
        keyframes[0] = not first_flags & _NON_SYNC
    return keyframes
