"""Opus: the identification header of RFC 7845 §5.1, ``OpusHead``, which enhanced RTMP sends as configuration.

All numbers in it are little-endian::

    "OpusHead" | version:8 | channels:8 | pre-skip:16 | input sample rate:32 | output gain:16 | mapping family:8
    and for a mapping family other than 0: streams:8 | coupled streams:8 | one byte a channel

Opus always decodes to 48 kHz; the input sample rate is only a remark about where the sound came from.
"""

from dataclasses import dataclass
from struct import Struct
from typing import Self

from ems.errors import MalformedData
from ems.media.track import Codec, Kind, Track

SAMPLE_RATE = 48000
"""Hz of decoded Opus and of every Opus clock (RFC 7845 §4, RFC 7587 §4.1)."""

MAGIC = b"OpusHead"

_FIXED = Struct("<8sBBHIhB")


@dataclass(frozen=True, slots=True)
class OpusHead:
    """An identification header. `pre_skip` is in samples at 48 kHz, `output_gain` in 1/256 dB.

    `stream_count`, `coupled_count` and `mapping` tell how channels are made of streams; for mapping family 0 they follow from
    the number of channels, and `mapping` is empty.
    """

    channels: int
    pre_skip: int = 312
    input_sample_rate: int = SAMPLE_RATE
    output_gain: int = 0
    mapping_family: int = 0
    stream_count: int = 1
    coupled_count: int = 0
    mapping: bytes = b""

    @classmethod
    def parse(cls, header: bytes) -> Self:
        """Read a header with its magic; raises `MalformedData` when it is cut off or contradicts itself."""
        if len(header) < _FIXED.size:
            raise MalformedData(f"OpusHead has {_FIXED.size} bytes, {len(header)} are there")
        magic, version, channels, pre_skip, rate, gain, family = _FIXED.unpack_from(header)
        if magic != MAGIC or version >> 4 or not channels:
            raise MalformedData(f"an Opus header of magic {magic!r}, version {version} and {channels} channels")
        if family == 0:
            if channels > 2:
                raise MalformedData(f"Opus mapping family 0 has 1 or 2 channels, not {channels}")
            return cls(channels, pre_skip, rate, gain, family, 1, channels - 1)
        tail = header[_FIXED.size : _FIXED.size + 2 + channels]
        if len(tail) != 2 + channels:
            raise MalformedData(f"the Opus channel mapping of {channels} channels is cut off")
        if not tail[0] or tail[1] > tail[0] or tail[0] + tail[1] > 255:
            raise MalformedData(f"Opus with {tail[0]} streams, {tail[1]} of them coupled")
        return cls(channels, pre_skip, rate, gain, family, tail[0], tail[1], tail[2:])

    def __bytes__(self) -> bytes:
        fixed = _FIXED.pack(MAGIC, 1, self.channels, self.pre_skip, self.input_sample_rate, self.output_gain, self.mapping_family)
        return fixed + bytes((self.stream_count, self.coupled_count)) + self.mapping if self.mapping_family else fixed


def make_track(track_id: int, config: bytes) -> Track:
    """The track that an ``OpusHead`` describes. Raises `MalformedData`."""
    head = OpusHead.parse(config)
    return Track(
        id=track_id,
        kind=Kind.AUDIO,
        codec=Codec.OPUS,
        config=config,
        # The sample entry is "Opus", but every browser takes the lower-case form and not all take the other.
        codec_string="opus",
        sample_rate=SAMPLE_RATE,
        channels=head.channels,
    )
