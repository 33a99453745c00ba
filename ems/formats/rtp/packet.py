"""The RTP packet (RFC 3550 §5.1)::

V=2:2 P:1 X:1 CC:4 | M:1 PT:7 | sequence number:16 | timestamp:32 | SSRC:32
CSRC:32 × CC | with X: profile:16 length:16, length × 32 bits | payload | with P: padding, its last byte its length
"""

from struct import Struct
from typing import NamedTuple

from ems.errors import MalformedData

HEADER_SIZE = 12
"""Bytes in front of the payload in every packet that we make."""

SEQUENCE_RANGE = 1 << 16
TIMESTAMP_RANGE = 1 << 32

_HEADER = Struct(">BBHII")
_HALF = SEQUENCE_RANGE >> 1


class RtpPacket(NamedTuple):
    """A packet without what only transports it: contributing sources, header extension and padding."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def parse(data: bytes) -> RtpPacket:
    """The packet that a datagram or an interleaved frame holds.

    Raises `MalformedData` for another version, and where contributing sources, extension or padding reach past the end.
    """
    if len(data) < HEADER_SIZE:
        raise MalformedData(f"an RTP packet has {HEADER_SIZE} bytes or more, not {len(data)}")
    flags, kind, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if flags == 0x80:
        return RtpPacket(kind & 0x7F, kind > 0x7F, sequence, timestamp, ssrc, data[HEADER_SIZE:])
    if flags >> 6 != 2:
        raise MalformedData(f"RTP of version {flags >> 6}, not 2")
    start, end = HEADER_SIZE + 4 * (flags & 15), len(data)
    if flags & 0x10:
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    if flags & 0x20:
        end -= data[-1]
        if end == len(data):
            raise MalformedData("an RTP packet with a padding of 0 bytes")
    if start > end:
        raise MalformedData(f"the payload of an RTP packet of {len(data)} bytes would begin at byte {start} and end at {end}")
    return RtpPacket(kind & 0x7F, kind > 0x7F, sequence, timestamp, ssrc, data[start:end])


def build(payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, marker: bool = False) -> bytes:
    """A packet; sequence number and timestamp are wrapped to their 16 and 32 bits."""
    kind = payload_type | 0x80 if marker else payload_type
    return _HEADER.pack(0x80, kind, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


def sequence_step(before: int, after: int) -> int:
    """How far it is from one sequence number to another, -32768 to 32767: the shorter way around (RFC 3550 §A.1)."""
    return (after - before + _HALF) % SEQUENCE_RANGE - _HALF
