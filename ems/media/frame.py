"""One coded access unit on its stream's clock."""

from typing import NamedTuple

from ems.media.track import Track

SECOND = 1_000_000_000
"""Nanoseconds in a second: the unit of every time in the model."""

MILLISECOND = 1_000_000


class Frame(NamedTuple):
    """One access unit: a picture with all its NAL units, or one frame of audio.

    `dts` and `pts` are integer nanoseconds on the stream's own clock, 0 being its first frame, so that 90 kHz, sample-rate
    and millisecond clocks all survive a round trip. `dts` never goes back within a track; `pts - dts` is the composition
    time offset. `data` is, for H.264 and H.265, NAL units each behind its length in 4 bytes; for other codecs the raw
    access unit (no ADTS, no Annex B); for opaque codecs (`Codec.opaque`) the FLV tag body; for `Codec.AMF0` a serialised
    data message: its name and its arguments; for `Codec.TS` whole transport packets of 188 bytes, any number of them.
    """

    track: Track
    dts: int
    pts: int
    keyframe: bool
    data: bytes
