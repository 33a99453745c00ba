"""H.265 (ISO/IEC 23008-2, ITU-T H.265): what a stream's parameter sets tell about it.

To the SPS and PPS of H.264 comes a video parameter set (VPS). Outside the bitstream they travel in an
HEVCDecoderConfigurationRecord, the ``hvcC`` of MP4 and enhanced RTMP (ISO/IEC 14496-15 §8.3.3.1): 23 bytes of header, in which
the profile, tier and level of the SPS are repeated, then arrays of NAL units::

    array_completeness:1 0:1 NAL_unit_type:6 | count:16 | { size:16 NAL unit }*

`make_track` makes a `Track` from such a record and `make_configuration` makes the record from bare parameter sets. The SPS is
read by `ems.media.h265_sps`; VPS, PPS and slices are passed on unread. Not covered: the layers of Annexes F to I.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from ems.errors import MalformedData
from ems.media.bits import BitReader
from ems.media.h265_sps import ProfileTierLevel, Sps, parse_sps
from ems.media.nal import MAX_PARAMETER_SET, first_header
from ems.media.track import Codec, Kind, Track

__all__ = [
    "HevcConfiguration",
    "NalType",
    "ProfileTierLevel",
    "Sps",
    "is_keyframe",
    "make_configuration",
    "make_track",
    "nal_type",
    "parse_sps",
]

MAX_PARAMETER_SETS = 256
"""NAL units in one record: 16 VPS, 16 SPS and 64 PPS have ids, the rest is room for SEI."""


class NalType(IntEnum):
    """nal_unit_type (H.265 table 7-1), as far as a server looks at it. 0 to 31 are slices, 16 to 23 of key pictures (IRAP)."""

    TRAIL_N = 0
    TRAIL_R = 1
    RASL_R = 9
    BLA_W_LP = 16
    BLA_W_RADL = 17
    BLA_N_LP = 18
    IDR_W_RADL = 19
    IDR_N_LP = 20
    CRA = 21
    VPS = 32
    SPS = 33
    PPS = 34
    ACCESS_UNIT_DELIMITER = 35
    END_OF_SEQUENCE = 36
    END_OF_BITSTREAM = 37
    FILLER = 38
    PREFIX_SEI = 39
    SUFFIX_SEI = 40


_SLICE_HEADERS = frozenset(header for header in range(256) if header >> 1 & 0x3F < NalType.VPS)


@dataclass(frozen=True, slots=True)
class HevcConfiguration:
    """An HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 §8.3.3.1). Parameter sets are NAL units without length or start code.

    `length_size` is the size of NAL unit lengths in the stream that the record came with; `bytes()` of it always writes a
    record for 4-byte lengths, which is what frames have inside the server. `sei` are the SEI messages that hold for the whole
    stream (mastering display, HDR).
    """

    profile: ProfileTierLevel
    vps: tuple[bytes, ...]
    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]
    sei: tuple[bytes, ...] = ()
    length_size: int = 4
    chroma_format_idc: int = 1
    bit_depth_luma: int = 8
    bit_depth_chroma: int = 8
    min_spatial_segmentation_idc: int = 0
    parallelism_type: int = 0
    avg_frame_rate: int = 0
    constant_frame_rate: int = 0
    num_temporal_layers: int = 1
    temporal_id_nested: bool = True

    @classmethod
    def parse(cls, record: bytes) -> Self:
        """Read an ``hvcC``; raises `MalformedData` when it is empty, cut off or of an unknown version.

        Version 0 is that of the drafts, written by early encoders, and is laid out alike. Arrays of other NAL unit types are
        left out.
        """
        reader = BitReader(record)
        if reader.u(8) > 1:
            raise MalformedData(f"hvcC has version {record[0]}, not 1")
        profile = ProfileTierLevel.read(reader)
        reader.skip(4)
        min_spatial_segmentation_idc = reader.u(12)
        reader.skip(6)
        parallelism_type = reader.u(2)
        reader.skip(6)
        chroma_format_idc = reader.u(2)
        reader.skip(5)
        bit_depth_luma = reader.u(3) + 8
        reader.skip(5)
        bit_depth_chroma = reader.u(3) + 8
        avg_frame_rate = reader.u(16)
        constant_frame_rate, num_temporal_layers, temporal_id_nested = reader.u(2), reader.u(3), reader.flag()
        length_size = reader.u(2) + 1
        if length_size == 3:
            raise MalformedData("hvcC has lengthSizeMinusOne 2, which is not allowed")
        arrays = _arrays(reader, record)
        return cls(
            profile=profile,
            vps=tuple(arrays.get(NalType.VPS, ())),
            sps=tuple(arrays.get(NalType.SPS, ())),
            pps=tuple(arrays.get(NalType.PPS, ())),
            sei=(*arrays.get(NalType.PREFIX_SEI, ()), *arrays.get(NalType.SUFFIX_SEI, ())),
            length_size=length_size,
            chroma_format_idc=chroma_format_idc,
            bit_depth_luma=bit_depth_luma,
            bit_depth_chroma=bit_depth_chroma,
            min_spatial_segmentation_idc=min_spatial_segmentation_idc,
            parallelism_type=parallelism_type,
            avg_frame_rate=avg_frame_rate,
            constant_frame_rate=constant_frame_rate,
            num_temporal_layers=num_temporal_layers,
            temporal_id_nested=temporal_id_nested,
        )

    @property
    def codec_string(self) -> str:
        """``hvc1.…`` (ISO/IEC 14496-15 §E.3); ``hvc1`` says that the parameter sets are in the record."""
        return self.profile.codec_string

    def __bytes__(self) -> bytes:
        layers = self.constant_frame_rate << 6 | self.num_temporal_layers << 3 | self.temporal_id_nested << 2 | 3
        arrays = [_array(kind, nals) for kind, nals in self._nals_by_type() if nals]
        return b"".join(
            [
                b"\1",
                bytes(self.profile),
                (0xF000 | self.min_spatial_segmentation_idc).to_bytes(2, "big"),
                bytes((0xFC | self.parallelism_type, 0xFC | self.chroma_format_idc)),
                bytes((0xF8 | self.bit_depth_luma - 8, 0xF8 | self.bit_depth_chroma - 8)),
                self.avg_frame_rate.to_bytes(2, "big"),
                bytes((layers, len(arrays))),
                *arrays,
            ]
        )

    def _nals_by_type(self) -> Iterable[tuple[NalType, tuple[bytes, ...]]]:
        yield NalType.VPS, self.vps
        yield NalType.SPS, self.sps
        yield NalType.PPS, self.pps
        for kind in (NalType.PREFIX_SEI, NalType.SUFFIX_SEI):
            yield kind, tuple(nal for nal in self.sei if nal_type(nal) == kind)


def nal_type(nal: bytes) -> int:
    """nal_unit_type of a NAL unit, one of `NalType` or a number that it does not name; raises `MalformedData` when empty."""
    if not nal:
        raise MalformedData("an empty NAL unit has no type")
    return nal[0] >> 1 & 0x3F


def is_keyframe(data: bytes) -> bool:
    """True when the access unit `data` (4-byte lengths) is an IRAP picture (BLA, IDR, CRA), with which decoding can begin.

    All slices of a picture have one type (§7.4.2.2), so the first one decides and what follows is not read.
    """
    header = first_header(data, _SLICE_HEADERS)
    return header is not None and NalType.BLA_W_LP <= header >> 1 & 0x3F <= NalType.CRA


def make_configuration(vps: Iterable[bytes], sps: Iterable[bytes], pps: Iterable[bytes]) -> HevcConfiguration:
    """The record for a stream with these parameter sets, as found in RTP, SDP or MPEG-TS; doubles are dropped.

    Profile, level, layers and bit depths are those of the first SPS. Raises `MalformedData` when a kind is missing or one of
    them does not fit into a record.
    """
    vps, sps, pps = tuple(dict.fromkeys(vps)), tuple(dict.fromkeys(sps)), tuple(dict.fromkeys(pps))
    if not (vps and sps and pps):
        raise MalformedData("an H.265 configuration needs a VPS, an SPS and a PPS")
    nals = (*vps, *sps, *pps)
    if len(nals) > MAX_PARAMETER_SETS or max(map(len, nals)) > MAX_PARAMETER_SET:
        raise MalformedData(f"{len(nals)} parameter sets of up to {max(map(len, nals))} bytes do not fit into one hvcC")
    first = parse_sps(sps[0])
    return HevcConfiguration(
        profile=first.profile,
        vps=vps,
        sps=sps,
        pps=pps,
        chroma_format_idc=first.chroma_format_idc,
        bit_depth_luma=first.bit_depth_luma,
        bit_depth_chroma=first.bit_depth_chroma,
        num_temporal_layers=first.max_sub_layers,
        temporal_id_nested=first.temporal_id_nesting,
    )


def make_track(track_id: int, config: bytes) -> Track:
    """The track that an ``hvcC`` record describes; its `config` is the same record for 4-byte NAL unit lengths.

    Size and frame rate are 0 and None when the record has no SPS. Raises `MalformedData`.
    """
    record = HevcConfiguration.parse(config)
    sps = parse_sps(record.sps[0]) if record.sps else None
    return Track(
        id=track_id,
        kind=Kind.VIDEO,
        codec=Codec.H265,
        config=bytes(record),
        codec_string=record.codec_string,
        width=sps.width if sps else 0,
        height=sps.height if sps else 0,
        frame_rate=sps.frame_rate if sps else None,
        profile=record.profile.profile_idc,
        level=record.profile.level_idc,
    )


def _arrays(reader: BitReader, record: bytes) -> dict[int, list[bytes]]:
    """The NAL units at the end of a record by type, empty ones left out."""
    arrays: dict[int, list[bytes]] = {}
    total = 0
    for _ in range(reader.u(8)):
        reader.skip(2)
        nals = arrays.setdefault(reader.u(6), [])
        count = reader.u(16)
        total += count
        if total > MAX_PARAMETER_SETS:
            raise MalformedData(f"hvcC claims {total} parameter sets, where {MAX_PARAMETER_SETS} are possible")
        for _ in range(count):
            size = reader.u(16)
            start = reader.position // 8
            reader.skip(size * 8)
            if size:
                nals.append(record[start : start + size])
    return arrays


def _array(kind: NalType, nals: tuple[bytes, ...]) -> bytes:
    """One array. Parameter sets get array_completeness 1, as ``hvc1`` promises that no more follow in the stream; SEI may."""
    complete = 0x80 if kind <= NalType.PPS else 0
    sized = [part for nal in nals for part in (len(nal).to_bytes(2, "big"), nal)]
    return b"".join([bytes((complete | kind,)), len(nals).to_bytes(2, "big"), *sized])
