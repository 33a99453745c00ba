"""VP8 and VP9: what a VPCodecConfigurationRecord tells ("VP Codec ISO Media File Format Binding" §3)::

    profile:8 | level:8 | bitDepth:4 chromaSubsampling:3 videoFullRangeFlag:1 | colourPrimaries:8
    transferCharacteristics:8 | matrixCoefficients:8 | codecInitializationDataSize:16 = 0

In MP4 the record stands in a full box, ``vpcC``, behind its version and flags 01 00 00 00. Some RTMP encoders send these four
bytes as well: they are cut off. The picture size is not in the record but in each key frame.
"""

from dataclasses import dataclass
from typing import Self

from ems.errors import MalformedData
from ems.media.track import Codec, Kind, Track

RECORD_SIZE = 8
"""Bytes of a record without initialisation data, which neither codec has."""

_BOX_VERSION_AND_FLAGS = b"\1\0\0\0"


@dataclass(frozen=True, slots=True)
class VpConfiguration:
    """A VPCodecConfigurationRecord. `level` is ten times the level; colours are the code points of ISO/IEC 23091-2."""

    profile: int
    level: int
    bit_depth: int
    chroma_subsampling: int
    full_range: bool
    colour_primaries: int
    transfer_characteristics: int
    matrix_coefficients: int

    @classmethod
    def parse(cls, record: bytes) -> Self:
        """Read a record, with or without version and flags of its box; raises `MalformedData` when it is too short."""
        if record.startswith(_BOX_VERSION_AND_FLAGS) and len(record) >= RECORD_SIZE + 4:
            record = record[4:]
        if len(record) < RECORD_SIZE:
            raise MalformedData(f"a vpcC record has {RECORD_SIZE} bytes, {len(record)} are there")
        profile, level, picture, primaries, transfer, matrix = record[:6]
        if int.from_bytes(record[6:8], "big"):
            raise MalformedData("vpcC with initialisation data, which VP8 and VP9 do not have")
        return cls(profile, level, picture >> 4, picture >> 1 & 7, picture & 1 == 1, primaries, transfer, matrix)

    def __bytes__(self) -> bytes:
        picture = self.bit_depth << 4 | self.chroma_subsampling << 1 | self.full_range
        colours = (self.colour_primaries, self.transfer_characteristics, self.matrix_coefficients)
        return bytes((self.profile, self.level, picture, *colours, 0, 0))


def make_track(track_id: int, config: bytes, codec: Codec = Codec.VP9) -> Track:
    """The track of `codec` (VP8 or VP9) that a record describes; its `config` is the 8 bytes. Raises `MalformedData`.

    The codec string is ``vp09.PP.LL.DD``: profile, level and bit depth in decimals (§6).
    """
    record = VpConfiguration.parse(config)
    sample_entry = "vp08" if codec is Codec.VP8 else "vp09"
    return Track(
        id=track_id,
        kind=Kind.VIDEO,
        codec=codec,
        config=bytes(record),
        codec_string=f"{sample_entry}.{record.profile:02d}.{record.level:02d}.{record.bit_depth:02d}",
        profile=record.profile,
        level=record.level,
    )
