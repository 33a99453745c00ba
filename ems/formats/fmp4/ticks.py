"""Times on the media clocks of MP4 tracks, whose unit is the track's timescale (ISO/IEC 14496-12 §8.4.2)."""

from ems.media.frame import SECOND
from ems.media.track import Kind, Track

VIDEO_TIMESCALE = 90_000
"""Ticks a second of a video track: whole for every usual frame rate, and the clock of MPEG-TS and RTP."""

_HALF = SECOND // 2
_VIDEO = Kind.VIDEO


def timescale(track: Track) -> int:
    """Ticks a second of the track's media clock: 90000 for video, the sample rate for audio."""
    return VIDEO_TIMESCALE if track.kind is _VIDEO else track.sample_rate


def ticks(time: int, scale: int) -> int:
    """The time (nanoseconds) as the nearest tick of a clock with `scale` ticks a second.

    The duration between two times is the difference of their ticks, never the ticks of their difference: so roundings do not
    add up.
    """
    return (time * scale + _HALF) // SECOND
