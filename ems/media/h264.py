"""H.264 (ISO/IEC 14496-10, ITU-T H.264): what a stream's parameter sets tell about it.

A decoder needs one sequence parameter set (SPS: picture size, profile, timing) and one picture parameter set (PPS: coding
tools) before the first picture. Outside the bitstream both travel in an AVCDecoderConfigurationRecord, the ``avcC`` of MP4
and FLV (ISO/IEC 14496-15 §5.3.3.1)::

    1 | profile_idc | constraint flags | level_idc | 111111 lengthSizeMinusOne:2 | 111 count:5
    { size:16 SPS }* | count:8 | { size:16 PPS }*
    and for the High profiles: chroma_format_idc, the two bit depths, { size:16 SPS extension }*

`make_track` makes a `Track` from such a record and `make_configuration` makes the record from bare parameter sets. The SPS is
read by `ems.media.h264_sps`; PPS and slices are passed on unread. Not covered: the subset SPS of SVC and MVC.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Self

from ems.errors import MalformedData
from ems.media.bits import BitReader
from ems.media.h264_sps import Sps, parse_sps
from ems.media.nal import MAX_PARAMETER_SET, first_header
from ems.media.track import Codec, Kind, Track

__all__ = [
    "AvcConfiguration",
    "NalType",
    "Sps",
    "is_keyframe",
    "make_configuration",
    "make_track",
    "nal_type",
    "parse_sps",
]


class NalType(IntEnum):
    """nal_unit_type (H.264 table 7-1)."""

    SLICE = 1
    PARTITION_A = 2
    PARTITION_B = 3
    PARTITION_C = 4
    IDR = 5
    SEI = 6
    SPS = 7
    PPS = 8
    ACCESS_UNIT_DELIMITER = 9
    END_OF_SEQUENCE = 10
    END_OF_STREAM = 11
    FILLER = 12
    SPS_EXTENSION = 13
    PREFIX = 14
    SUBSET_SPS = 15
    AUXILIARY_SLICE = 19


PLAIN_PROFILES = frozenset({66, 77, 88})
"""profile_idc values whose avcC ends behind the PPS (ISO/IEC 14496-15 §5.3.3.1.2)."""

MAX_SPS_COUNT = 31
"""The count has five bits in avcC, and H.264 has no more than 32 ids."""

MAX_PPS_COUNT = 255
"""The count has eight bits in avcC."""

_SLICE_HEADERS = frozenset(header for header in range(256) if NalType.SLICE <= header & 0x1F <= NalType.IDR)


@dataclass(frozen=True, slots=True)
class AvcConfiguration:
    """An AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1). Parameter sets are NAL units without length or start code.

    `length_size` is the size of NAL unit lengths in the stream that the record came with; `bytes()` of it always writes a
    record for 4-byte lengths, which is what frames have inside the server.
    """

    profile: int
    compatibility: int
    level: int
    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]
    length_size: int = 4
    chroma_format_idc: int = 1
    bit_depth_luma: int = 8
    bit_depth_chroma: int = 8
    sps_extensions: tuple[bytes, ...] = ()

    @classmethod
    def parse(cls, record: bytes) -> Self:
        """Read an ``avcC``; raises `MalformedData` when it is empty, cut off or of another version.

        The fields of the High profiles may be missing, as old encoders leave them out: they are then read from the SPS.
        """
        reader = BitReader(record)
        if reader.u(8) != 1:
            raise MalformedData(f"avcC has version {record[0]}, not 1")
        profile, compatibility, level = reader.u(8), reader.u(8), reader.u(8)
        reader.skip(6)
        length_size = reader.u(2) + 1
        if length_size == 3:
            raise MalformedData("avcC has lengthSizeMinusOne 2, which is not allowed")
        reader.skip(3)
        sps = _sized_nals(reader, record, reader.u(5))
        pps = _sized_nals(reader, record, reader.u(8))
        plain = cls(profile, compatibility, level, sps, pps, length_size)
        return plain if profile in PLAIN_PROFILES else plain._with_high_profile_fields(reader, record)

    @property
    def codec_string(self) -> str:
        """``avc1.PPCCLL`` (RFC 6381 §3.3): profile, constraint flags and level in upper-case hexadecimal."""
        return f"avc1.{self.profile:02X}{self.compatibility:02X}{self.level:02X}"

    def __bytes__(self) -> bytes:
        parts = [bytes((1, self.profile, self.compatibility, self.level, 0xFF, 0xE0 | len(self.sps)))]
        parts += _with_sizes(self.sps)
        parts.append(bytes((len(self.pps),)))
        parts += _with_sizes(self.pps)
        if self.profile not in PLAIN_PROFILES:
            depths = (0xF8 | self.bit_depth_luma - 8, 0xF8 | self.bit_depth_chroma - 8)
            parts.append(bytes((0xFC | self.chroma_format_idc, *depths, len(self.sps_extensions))))
            parts += _with_sizes(self.sps_extensions)
        return b"".join(parts)

    def _with_high_profile_fields(self, reader: BitReader, record: bytes) -> Self:
        """This record with the fields behind the PPS, where `reader` stands, or those of the SPS when they are missing."""
        if reader.bits_left >= 32:
            reader.skip(6)
            chroma_format_idc = reader.u(2)
            reader.skip(5)
            bit_depth_luma = reader.u(3) + 8
            reader.skip(5)
            bit_depth_chroma = reader.u(3) + 8
            extensions = _sized_nals(reader, record, reader.u(8))
        elif self.sps:
            sps = parse_sps(self.sps[0])
            chroma_format_idc, extensions = sps.chroma_format_idc, ()
            bit_depth_luma, bit_depth_chroma = sps.bit_depth_luma, sps.bit_depth_chroma
        else:
            return self
        return replace(
            self,
            chroma_format_idc=chroma_format_idc,
            bit_depth_luma=bit_depth_luma,
            bit_depth_chroma=bit_depth_chroma,
            sps_extensions=extensions,
        )


def nal_type(nal: bytes) -> int:
    """nal_unit_type of a NAL unit, one of `NalType` or a number that it does not name; raises `MalformedData` when empty."""
    if not nal:
        raise MalformedData("an empty NAL unit has no type")
    return nal[0] & 0x1F


def is_keyframe(data: bytes) -> bool:
    """True when the access unit `data` (4-byte lengths) is an IDR picture, with which decoding can begin.

    All slices of a picture are IDR or none is (§7.4.1.2.4), so the first one decides and what follows is not read.
    """
    header = first_header(data, _SLICE_HEADERS)
    return header is not None and header & 0x1F == NalType.IDR


def make_configuration(sps: Iterable[bytes], pps: Iterable[bytes]) -> AvcConfiguration:
    """The record for a stream with these parameter sets, as found in RTP, SDP or MPEG-TS; doubles are dropped.

    Profile, level and bit depths are those of the first SPS. Raises `MalformedData` when there is no SPS or PPS, or one of
    them does not fit into a record.
    """
    sps, pps = tuple(dict.fromkeys(sps)), tuple(dict.fromkeys(pps))
    if not sps or not pps:
        raise MalformedData("an H.264 configuration needs an SPS and a PPS")
    if len(sps) > MAX_SPS_COUNT or len(pps) > MAX_PPS_COUNT:
        raise MalformedData(f"{len(sps)} SPS and {len(pps)} PPS do not fit into one avcC")
    if max(map(len, (*sps, *pps))) > MAX_PARAMETER_SET:
        raise MalformedData(f"a parameter set passes the limit of {MAX_PARAMETER_SET} bytes")
    first = parse_sps(sps[0])
    return AvcConfiguration(
        profile=first.profile_idc,
        compatibility=first.constraint_flags,
        level=first.level_idc,
        sps=sps,
        pps=pps,
        chroma_format_idc=first.chroma_format_idc,
        bit_depth_luma=first.bit_depth_luma,
        bit_depth_chroma=first.bit_depth_chroma,
    )


def make_track(track_id: int, config: bytes) -> Track:
    """The track that an ``avcC`` record describes; its `config` is the same record for 4-byte NAL unit lengths.

    Size and frame rate are 0 and None when the record has no SPS. Raises `MalformedData`.
    """
    record = AvcConfiguration.parse(config)
    sps = parse_sps(record.sps[0]) if record.sps else None
    return Track(
        id=track_id,
        kind=Kind.VIDEO,
        codec=Codec.H264,
        config=bytes(record),
        codec_string=record.codec_string,
        width=sps.width if sps else 0,
        height=sps.height if sps else 0,
        frame_rate=sps.frame_rate if sps else None,
        profile=record.profile,
        level=record.level,
    )


def _sized_nals(reader: BitReader, record: bytes, count: int) -> tuple[bytes, ...]:
    """`count` NAL units, each behind its 16-bit size, empty ones left out; the reader stands on a byte boundary."""
    nals = []
    for _ in range(count):
        size = reader.u(16)
        start = reader.position // 8
        reader.skip(size * 8)
        if size:
            nals.append(record[start : start + size])
    return tuple(nals)


def _with_sizes(nals: tuple[bytes, ...]) -> list[bytes]:
    return [len(nal).to_bytes(2, "big") + nal for nal in nals]
