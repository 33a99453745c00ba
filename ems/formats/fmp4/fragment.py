"""Fragments: ``moof`` and ``mdat`` (ISO/IEC 14496-12 §8.8.4 to §8.8.12).

A ``traf`` for each run says where in time it begins (``tfdt``) and of each sample, in ``trun`` or once for all in ``tfhd``, how
long it lasts, how large it is, whether it is a key frame, and by how much later it is shown than decoded::

    moof(mfhd:sequence_number  traf(tfhd:track_ID,defaults  tfdt:baseMediaDecodeTime  trun:data_offset,samples)…)  mdat

The fragment of a single frame, which live players get for every picture, is laid out beforehand: one `Struct` packs it.
"""

from collections.abc import Sequence
from itertools import chain, pairwise
from struct import Struct, pack
from typing import NamedTuple

from ems.errors import LocalProtocolError
from ems.formats.fmp4.box import box
from ems.formats.fmp4.initialisation import OTHER_SAMPLE, SYNC_SAMPLE
from ems.formats.fmp4.ticks import ticks, timescale
from ems.formats.fragment_flags import (
    DATA_OFFSET,
    DEFAULT_BASE_IS_MOOF,
    DEFAULT_DURATION,
    DEFAULT_FLAGS,
    DEFAULT_SIZE,
    DURATIONS,
    FIRST_FLAGS,
    FLAGS,
    OFFSETS,
    SIZES,
)
from ems.media.frame import SECOND, Frame
from ems.media.track import Track

MAX_DURATION_TICKS = 0xFFFFFFFF
"""sample_duration has 32 bits, 13 hours of video. A frame before a longer silence ends then; the next run tells its own time."""

_HALF = SECOND // 2

_VERSION_1 = 1 << 24

_MFHD = Struct(">I4sII")
_TFDT = Struct(">I4sIQ")
_HEADER = Struct(">I4s")

_SINGLE = Struct(">20sI24sIII12sQ20sI4s")
_SINGLE_LATER = Struct(">20sI24sIII12sQ20siI4s")
"""A fragment of one sample up to its data: the constant bytes between the numbers, without and with a composition offset."""


class Run(NamedTuple):
    """Frames of one track that follow each other in decoding order, at least one. `end` is when the last one ends: the decoding
    time of the track's next frame, in nanoseconds."""

    track: Track
    frames: Sequence[Frame]
    end: int


class FragmentWriter:
    """Writes the fragments of one stream, whose initialisation segment has the same tracks in the same order.

    `sequence` is the number of the last fragment.
    """

    def __init__(self, tracks: Sequence[Track]) -> None:
        self.sequence = 0
        self._numbers = {track.id: number for number, track in enumerate(tracks, 1)}
        self._scales = {track.id: timescale(track) for track in tracks}
        self._single = {track_id: _SingleFrame(number) for track_id, number in self._numbers.items()}

    def fragment(self, runs: Sequence[Run]) -> bytes:
        """One fragment: a ``moof`` with a ``traf`` for each run, at most one a track, and the ``mdat`` with their samples.

        Raises `LocalProtocolError` for no runs, an empty run, or a track that the initialisation segment does not have.
        """
        return b"".join((self.head(runs), *(frame.data for run in runs for frame in run.frames)))

    def head(self, runs: Sequence[Run]) -> bytes:
        """The fragment up to its first sample: the ``moof``, and in the last 8 bytes the header of the ``mdat``.

        For those who put the samples behind it themselves: the data of all frames, run by run. Raises as `fragment` does.
        """
        numbers = [self._number(run.track) for run in runs]
        if len(numbers) == 1 and len(runs[0].frames) == 1:
            return self._head_of_one(runs[0])
        if not runs:
            raise LocalProtocolError("a fragment without frames")
        trafs = [_traf(number, self._scales[run.track.id], run) for number, run in zip(numbers, runs, strict=True)]
        self.sequence += 1
        size = _HEADER.size + _MFHD.size + sum(len(before) + 4 + len(behind) for before, behind in trafs)
        parts = [_HEADER.pack(size, b"moof"), _MFHD.pack(_MFHD.size, b"mfhd", 0, self.sequence)]
        end = size + _HEADER.size
        for (before, behind), run in zip(trafs, runs, strict=True):
            parts += (before, end.to_bytes(4, "big"), behind)
            end += sum(len(frame.data) for frame in run.frames)
        parts.append(_HEADER.pack(end - size, b"mdat"))
        return b"".join(parts)

    def _head_of_one(self, run: Run) -> bytes:
        track, (frame,), end = run
        self.sequence += 1
        scale = self._scales[track.id]
        start = (frame.dts * scale + _HALF) // SECOND
        duration = min((end * scale + _HALF) // SECOND - start, MAX_DURATION_TICKS)
        later = (frame.pts * scale + _HALF) // SECOND - start
        flags = SYNC_SAMPLE if frame.keyframe else OTHER_SAMPLE
        return self._single[track.id].head(self.sequence, start, duration, flags, later, len(frame.data))

    def _number(self, track: Track) -> int:
        number = self._numbers.get(track.id)
        if number is None:
            raise LocalProtocolError(f"the initialisation segment has no track {track.id}")
        return number


class _SingleFrame:
    """The layout of one track's fragments of one frame: all but the numbers is constant."""

    def __init__(self, number: int) -> None:
        tf_flags = DEFAULT_BASE_IS_MOOF | DEFAULT_DURATION | DEFAULT_SIZE | DEFAULT_FLAGS
        self._plain = self._constants(number, tf_flags, _SINGLE.size, DATA_OFFSET)
        self._later = self._constants(number, tf_flags, _SINGLE_LATER.size, DATA_OFFSET | OFFSETS)
        self._earlier = self._constants(number, tf_flags, _SINGLE_LATER.size, DATA_OFFSET | OFFSETS | _VERSION_1)

    @staticmethod
    def _constants(number: int, tf_flags: int, size: int, tr_flags: int) -> tuple[bytes, bytes, bytes, bytes]:
        """What stands before sequence_number, default_sample_duration, baseMediaDecodeTime and the composition offset."""
        moof_size = size - _HEADER.size
        trun_size = 20 + (4 if tr_flags & OFFSETS else 0)
        return (
            pack(">I4sI4sI", moof_size, b"moof", 16, b"mfhd", 0),
            pack(">I4sI4sII", moof_size - 24, b"traf", 28, b"tfhd", tf_flags, number),
            pack(">I4sI", 20, b"tfdt", _VERSION_1),
            pack(">I4sIII", trun_size, b"trun", tr_flags, 1, size),
        )

    def head(self, sequence: int, start: int, duration: int, flags: int, later: int, size: int) -> bytes:
        """The fragment up to its data; times in ticks, the size in bytes."""
        mdat_size = _HEADER.size + size
        if not later:
            moof, traf, tfdt, trun = self._plain
            return _SINGLE.pack(moof, sequence, traf, duration, size, flags, tfdt, start, trun, mdat_size, b"mdat")
        moof, traf, tfdt, trun = self._later if later > 0 else self._earlier
        return _SINGLE_LATER.pack(moof, sequence, traf, duration, size, flags, tfdt, start, trun, later, mdat_size, b"mdat")


def _traf(number: int, scale: int, run: Run) -> tuple[bytes, bytes]:
    """The ``traf`` of a run in two parts, before and behind the data offset of its ``trun``, which depends on other runs."""
    frames = run.frames
    if not frames:
        raise LocalProtocolError(f"a run without frames of track {run.track.id}")
    times = [(frame.dts * scale + _HALF) // SECOND for frame in frames]
    durations = [min(after - time, MAX_DURATION_TICKS) for time, after in pairwise([*times, ticks(run.end, scale)])]
    flags = [SYNC_SAMPLE if frame.keyframe else OTHER_SAMPLE for frame in frames]
    later = [(frame.pts * scale + _HALF) // SECOND - time for frame, time in zip(frames, times, strict=True)]

    tf_flags, defaults = DEFAULT_BASE_IS_MOOF | DEFAULT_FLAGS, [flags[-1]]
    tr_flags, first_flags = DATA_OFFSET | SIZES, b""
    columns = [[len(frame.data) for frame in frames]]
    if len(set(durations)) == 1:
        tf_flags |= DEFAULT_DURATION
        defaults.insert(0, durations[0])
    else:
        tr_flags |= DURATIONS
        columns.insert(0, durations)
    if len(set(flags[1:])) > 1:
        tr_flags |= FLAGS
        columns.append(flags)
    elif flags[0] != flags[-1]:
        tr_flags |= FIRST_FLAGS
        first_flags = flags[0].to_bytes(4, "big")
    if any(later):
        tr_flags |= OFFSETS | (_VERSION_1 if min(later) < 0 else 0)
        # The version says that these are signed; the bits of a number are the same.
        columns.append([offset & 0xFFFFFFFF for offset in later])

    samples = pack(f">{len(frames) * len(columns)}I", *chain.from_iterable(zip(*columns, strict=True)))
    tfhd = box(b"tfhd", pack(f">II{len(defaults)}I", tf_flags, number, *defaults))
    tfdt = _TFDT.pack(_TFDT.size, b"tfdt", _VERSION_1, times[0])
    trun_size = 20 + len(first_flags) + len(samples)
    trun = pack(">I4sII", trun_size, b"trun", tr_flags, len(frames))
    traf = _HEADER.pack(_HEADER.size + len(tfhd) + len(tfdt) + trun_size, b"traf")
    return traf + tfhd + tfdt + trun, first_flags + samples
