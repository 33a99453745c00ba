"""What a reader of transport streams must know about the NAL units of H.264 and H.265.

Where one picture ends and the next begins (H.264 §7.4.1.2.3, H.265 §7.4.2.4.4), which units are parameter sets and with which
id, and what is not passed on: delimiters and ends of sequence belong to the byte stream, filler to nobody.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ems.errors import MalformedData
from ems.media import h264, h265
from ems.media.bits import BitReader, rbsp
from ems.media.h264 import NalType as Avc
from ems.media.h265 import NalType as Hevc
from ems.media.nal import MAX_PARAMETER_SET
from ems.media.track import Track

SetKey = tuple[int, int]
"""NAL unit type and id of a parameter set: a later one of the same key replaces it."""

RECOVERY_POINT = 6
"""payload_type of the SEI message that says where decoding may begin without an IDR picture (H.264 §D.1.8)."""

MAX_SET_IDS = 256
"""Ids of parameter sets of one type: H.264 has 256 PPS, all else is less."""

MAX_SETS_SIZE = 2 * MAX_PARAMETER_SET
"""Bytes of all parameter sets of a stream, which are kept and copied into each new configuration: usual are some hundred."""

_ID_BYTES = 32


@dataclass(frozen=True, slots=True)
class NalRules:
    """`types` is nal_unit_type by the first byte. A slice is the first of its picture when bit 7 of byte `first_flag` is set.

    `beginning` are the types that, behind a slice, begin the next access unit.
    """

    types: bytes
    slices: frozenset[int]
    keys: frozenset[int]
    parameter_sets: frozenset[int]
    beginning: frozenset[int]
    dropped: frozenset[int]
    first_flag: int
    set_id: Callable[[int, bytes], int]
    make_track: Callable[[int, Mapping[SetKey, bytes]], Track]
    begins_decoding: Callable[[list[bytes]], bool]

    def learn(self, sets: dict[SetKey, bytes], kind: int, nal: bytes) -> None:
        """Put a parameter set in its place among `sets`.

        Raises `MalformedData` when it is cut off, longer than `MAX_PARAMETER_SET`, or its id is beyond `MAX_SET_IDS`, and when
        all of them are longer than `MAX_SETS_SIZE`.
        """
        if len(nal) > MAX_PARAMETER_SET:
            raise MalformedData(f"a parameter set of {len(nal)} bytes, where {MAX_PARAMETER_SET} are possible")
        key = kind, self.set_id(kind, nal)
        if key[1] >= MAX_SET_IDS:
            raise MalformedData(f"a parameter set with the id {key[1]}")
        size = sum(map(len, sets.values())) - len(sets.get(key, b"")) + len(nal)
        if size > MAX_SETS_SIZE:
            raise MalformedData(f"parameter sets of {size} bytes, where {MAX_SETS_SIZE} are possible")
        sets[key] = nal


def _avc_set_id(kind: int, nal: bytes) -> int:
    reader = BitReader(rbsp(nal[:_ID_BYTES]))
    reader.skip(32 if kind == Avc.SPS else 8)
    return reader.ue()


def _hevc_set_id(kind: int, nal: bytes) -> int:
    if kind == Hevc.SPS:
        return h265.parse_sps(nal).seq_parameter_set_id
    reader = BitReader(rbsp(nal[:_ID_BYTES]))
    reader.skip(16)
    return reader.u(4) if kind == Hevc.VPS else reader.ue()


def _of_type(sets: Mapping[SetKey, bytes], kind: int) -> list[bytes]:
    return [sets[key] for key in sorted(sets) if key[0] == kind]


def _avc_track(track_id: int, sets: Mapping[SetKey, bytes]) -> Track:
    return h264.make_track(track_id, bytes(h264.make_configuration(_of_type(sets, Avc.SPS), _of_type(sets, Avc.PPS))))


def _hevc_track(track_id: int, sets: Mapping[SetKey, bytes]) -> Track:
    vps, sps, pps = (_of_type(sets, kind) for kind in (Hevc.VPS, Hevc.SPS, Hevc.PPS))
    return h265.make_track(track_id, bytes(h265.make_configuration(vps, sps, pps)))


def _avc_begins_decoding(nals: list[bytes]) -> bool:
    """True when an SEI unit says that pictures are whole from this one on: broadcasters send I pictures, but no IDR."""
    return any(nal[0] & 0x1F == Avc.SEI and _recovers_at_once(nal) for nal in nals)


def _recovers_at_once(sei: bytes) -> bool:
    """True for a recovery point with recovery_frame_cnt 0 among the messages of an SEI unit (H.264 §7.3.2.3)."""
    payload, offset = rbsp(sei), 1
    while offset + 2 < len(payload):
        kind, size = payload[offset], payload[offset + 1]
        if kind == RECOVERY_POINT:
            return payload[offset + 2] >= 0x80  # the Exp-Golomb code of 0 is one bit
        if 0xFF in (kind, size):  # of two bytes or more: nothing that stands before a recovery point
            return False
        offset += 2 + size
    return False


def _always_false(nals: list[bytes]) -> bool:
    return False


AVC = NalRules(
    types=bytes(header & 0x1F for header in range(256)),
    slices=frozenset({Avc.SLICE, Avc.PARTITION_A, Avc.PARTITION_B, Avc.PARTITION_C, Avc.IDR}),
    keys=frozenset({Avc.IDR}),
    parameter_sets=frozenset({Avc.SPS, Avc.PPS}),
    beginning=frozenset({Avc.SEI, Avc.SPS, Avc.PPS, Avc.ACCESS_UNIT_DELIMITER, *range(14, 19)}),
    dropped=frozenset({Avc.ACCESS_UNIT_DELIMITER, Avc.END_OF_SEQUENCE, Avc.END_OF_STREAM, Avc.FILLER}),
    first_flag=1,
    set_id=_avc_set_id,
    make_track=_avc_track,
    begins_decoding=_avc_begins_decoding,
)

HEVC = NalRules(
    types=bytes(header >> 1 & 0x3F for header in range(256)),
    slices=frozenset(range(32)),
    keys=frozenset(range(Hevc.BLA_W_LP, Hevc.CRA + 1)),
    parameter_sets=frozenset({Hevc.VPS, Hevc.SPS, Hevc.PPS}),
    beginning=frozenset(
        {Hevc.VPS, Hevc.SPS, Hevc.PPS, Hevc.ACCESS_UNIT_DELIMITER, Hevc.PREFIX_SEI, *range(41, 45), *range(48, 56)}
    ),
    dropped=frozenset({Hevc.ACCESS_UNIT_DELIMITER, Hevc.END_OF_SEQUENCE, Hevc.END_OF_BITSTREAM, Hevc.FILLER}),
    first_flag=2,
    set_id=_hevc_set_id,
    make_track=_hevc_track,
    begins_decoding=_always_false,
)
