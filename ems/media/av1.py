"""AV1: what an AV1CodecConfigurationRecord and the sequence header in it tell ("AV1 Codec ISO Media File Format Binding" §2.3).

The record, ``av1C``, is four bytes and open bitstream units (OBUs), usually the sequence header alone::

    1:1 version=1:7 | seq_profile:3 seq_level_idx_0:5 | seq_tier_0:1 high_bitdepth:1 twelve_bit:1 monochrome:1 subsampling:2 …

Sizes come from the sequence header ("AV1 Bitstream & Decoding Process Specification" §5.5), which is read up to the size.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from ems.errors import MalformedData
from ems.media.bits import BitReader
from ems.media.picture import checked_size, plausible_frame_rate
from ems.media.track import Codec, Kind, Track

MAX_RECORD = 65536
"""Bytes of an ``av1C``: a sequence header has some 20, metadata OBUs a few hundred."""

MAX_LEB128 = 8
"""Bytes of a variable-length number (§4.10.5)."""

OBU_SEQUENCE_HEADER = 1


@dataclass(frozen=True, slots=True)
class SequenceHeader:
    """The part of sequence_header_obu() (§5.5.1) that tells the picture: pixels, and frames a second or None."""

    seq_profile: int
    width: int
    height: int
    frame_rate: Fraction | None


@dataclass(frozen=True, slots=True)
class Av1Configuration:
    """The fixed part of an AV1CodecConfigurationRecord, and its sequence header when there is one."""

    seq_profile: int
    seq_level_idx: int
    seq_tier: int
    bit_depth: int
    monochrome: bool
    sequence_header: SequenceHeader | None

    @classmethod
    def parse(cls, record: bytes) -> Self:
        """Read an ``av1C``; raises `MalformedData` when it is empty, cut off or of another version."""
        if len(record) > MAX_RECORD:
            raise MalformedData(f"an av1C of {len(record)} bytes passes the limit of {MAX_RECORD}")
        reader = BitReader(record)
        if reader.u(8) != 0x81:
            raise MalformedData(f"av1C begins with {record[0]:#04x}, not with marker 1 and version 1")
        seq_profile, seq_level_idx, seq_tier = reader.u(3), reader.u(5), reader.u(1)
        high_bitdepth, twelve_bit, monochrome = reader.flag(), reader.flag(), reader.flag()
        reader.skip(12)  # subsampling, chroma_sample_position, initial_presentation_delay
        bit_depth = 8 if not high_bitdepth else 12 if twelve_bit else 10
        header = _find_sequence_header(record[4:])
        return cls(seq_profile, seq_level_idx, seq_tier, bit_depth, monochrome, header)

    @property
    def codec_string(self) -> str:
        """``av01.P.LLT.DD``: profile, level index and tier, bit depth in decimals (ISO media binding §5)."""
        return f"av01.{self.seq_profile}.{self.seq_level_idx:02d}{'MH'[self.seq_tier]}.{self.bit_depth:02d}"


def make_track(track_id: int, config: bytes) -> Track:
    """The track that an ``av1C`` record describes; the size is 0 when it has no sequence header. Raises `MalformedData`."""
    record = Av1Configuration.parse(config)
    header = record.sequence_header
    return Track(
        id=track_id,
        kind=Kind.VIDEO,
        codec=Codec.AV1,
        config=config,
        codec_string=record.codec_string,
        width=header.width if header else 0,
        height=header.height if header else 0,
        frame_rate=header.frame_rate if header else None,
        profile=record.seq_profile,
        level=record.seq_level_idx,
    )


def parse_sequence_header(payload: bytes) -> SequenceHeader:
    """Read the payload of a sequence header OBU (behind OBU header and size). Raises `MalformedData`."""
    reader = BitReader(payload)
    seq_profile = reader.u(3)
    reader.skip(1)  # still_picture
    frame_rate = None
    if reader.flag():
        reader.skip(5)  # reduced_still_picture_header: only seq_level_idx[0]
    else:
        frame_rate = _operating_points(reader)
    width_bits, height_bits = reader.u(4) + 1, reader.u(4) + 1
    width, height = checked_size(reader.u(width_bits) + 1, reader.u(height_bits) + 1)
    return SequenceHeader(seq_profile, width, height, frame_rate)


def _find_sequence_header(obus: bytes) -> SequenceHeader | None:
    """The first sequence header in a row of OBUs (§5.3), each with its size."""
    offset = 0
    while offset < len(obus):
        header = obus[offset]
        if not header & 2:
            raise MalformedData("an OBU in av1C does not tell its size")
        size, start = _leb128(obus, offset + (2 if header & 4 else 1))
        offset = start + size
        if offset > len(obus):
            raise MalformedData(f"an OBU ends at byte {offset} of {len(obus)}")
        if header >> 3 & 15 == OBU_SEQUENCE_HEADER:
            return parse_sequence_header(obus[start:offset])
    return None


def _leb128(data: bytes, offset: int) -> tuple[int, int]:
    """A variable-length number (§4.10.5) and the offset behind it."""
    value = 0
    for index, byte in enumerate(data[offset : offset + MAX_LEB128]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, offset + index + 1
    raise MalformedData("the size of an OBU has no end")


def _operating_points(reader: BitReader) -> Fraction | None:
    """The frame rate; reads from timing_info_present_flag to the last operating point (§5.5.1)."""
    frame_rate, delay_bits = None, 0
    if reader.flag():
        frame_rate = _timing(reader)
        if reader.flag():
            delay_bits = reader.u(5) + 1
            reader.skip(42)  # the rest of decoder_model_info()
    display_delay = reader.flag()
    for _ in range(reader.u(5) + 1):
        reader.skip(12)  # operating_point_idc
        if reader.u(5) > 7:
            reader.skip(1)  # seq_tier
        if delay_bits and reader.flag():
            reader.skip(2 * delay_bits + 1)  # operating_parameters_info()
        if display_delay and reader.flag():
            reader.skip(4)  # initial_display_delay_minus_1
    return frame_rate


def _timing(reader: BitReader) -> Fraction | None:
    """timing_info() (§5.5.3): a rate only when all pictures last equally long."""
    num_units_in_display_tick, time_scale = reader.u(32), reader.u(32)
    if not reader.flag():
        return None
    return plausible_frame_rate(time_scale, num_units_in_display_tick * (reader.ue() + 1))
