"""FLAC: the STREAMINFO metadata block (RFC 9639 §8.2), 34 bytes::

    min and max block size:16 16 | min and max frame size:24 24 | sample rate:20 | channels - 1:3 | bits - 1:5
    total samples:36 | MD5 of the decoded sound:128

MP4 and enhanced RTMP put it behind a metadata block header of four bytes, files and some RTMP encoders behind the magic
``fLaC`` too; all three forms are taken.
"""

from dataclasses import dataclass
from typing import Self

from ems.errors import MalformedData
from ems.media.bits import BitReader
from ems.media.track import Codec, Kind, Track

MAGIC = b"fLaC"

STREAMINFO_SIZE = 34
"""Bytes of the block's body."""

_BLOCK_HEADER_SIZE = 4


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """A STREAMINFO block. Block sizes are in samples, frame sizes in bytes, the rate in Hz; 0 is unknown for frame sizes."""

    min_block_size: int
    max_block_size: int
    min_frame_size: int
    max_frame_size: int
    sample_rate: int
    channels: int
    bits_per_sample: int
    total_samples: int

    @classmethod
    def parse(cls, block: bytes) -> Self:
        """Read the 34 bytes of a block's body; raises `MalformedData` when fewer are there or the rate is 0."""
        if len(block) < STREAMINFO_SIZE:
            raise MalformedData(f"STREAMINFO has {STREAMINFO_SIZE} bytes, {len(block)} are there")
        reader = BitReader(block)
        sizes = reader.u(16), reader.u(16), reader.u(24), reader.u(24)
        sample_rate, channels, bits = reader.u(20), reader.u(3) + 1, reader.u(5) + 1
        if not sample_rate:
            raise MalformedData("STREAMINFO with a sample rate of 0")
        return cls(*sizes, sample_rate, channels, bits, reader.u(36))


def streaminfo(config: bytes) -> bytes:
    """The 34 bytes of STREAMINFO in `config`, which may begin with ``fLaC`` and the block header. Raises `MalformedData`."""
    body = config.removeprefix(MAGIC)
    # A body begins with the minimum block size, at least 16 (RFC 9639 §8.2): its first byte and three more are no block header.
    if int.from_bytes(body[:_BLOCK_HEADER_SIZE], "big") & 0x7FFFFFFF == STREAMINFO_SIZE:
        body = body[_BLOCK_HEADER_SIZE:]
    if len(body) < STREAMINFO_SIZE:
        raise MalformedData(f"STREAMINFO has {STREAMINFO_SIZE} bytes, {len(body)} are there")
    return body[:STREAMINFO_SIZE]


def make_track(track_id: int, config: bytes) -> Track:
    """The track that STREAMINFO in any of its three forms describes; its `config` is the 34 bytes. Raises `MalformedData`."""
    block = streaminfo(config)
    info = StreamInfo.parse(block)
    return Track(
        id=track_id,
        kind=Kind.AUDIO,
        codec=Codec.FLAC,
        config=block,
        # The sample entry is "fLaC", but every browser takes the lower-case form and not all take the other.
        codec_string="flac",
        sample_rate=info.sample_rate,
        channels=info.channels,
    )
