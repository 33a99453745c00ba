"""What a `TsDemuxer` finds.

Times are in ticks of 90 kHz as they stand in the stream: they wrap at 33 bits and jump when the source does.
`ems.formats.mpegts.clock` makes frames with steady times of samples.
"""

from typing import NamedTuple

from ems.formats.mpegts.psi import Stream
from ems.media.track import Track


class ProgramFound(NamedTuple):
    """The map of the chosen program, the first or a changed one, with all streams that it lists, readable or not."""

    program_number: int
    pmt_pid: int
    pcr_pid: int
    streams: tuple[Stream, ...]


class TracksFound(NamedTuple):
    """The tracks there are from now on, video first; their ids are their PIDs."""

    tracks: tuple[Track, ...]


class Sample(NamedTuple):
    """One access unit, in the form that `Frame.data` has; its track has been told by a `TracksFound` before."""

    track: Track
    dts_ticks: int
    pts_ticks: int
    keyframe: bool
    data: bytes


class TimedMetadata(NamedTuple):
    """A packet of a metadata stream, as HLS has: an ID3 tag."""

    pid: int
    pts_ticks: int
    data: bytes


class Discontinuity(NamedTuple):
    """The source says that its clock begins anew here (discontinuity_indicator on the PID of the PCR)."""

    pid: int


class Scrambled(NamedTuple):
    """A PID is encrypted, and is left out for as long as it is. Told once for each PID."""

    pid: int


Event = ProgramFound | TracksFound | Sample | TimedMetadata | Discontinuity | Scrambled
"""Any of them."""
