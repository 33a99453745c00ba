"""PES packets (ISO/IEC 13818-1 §2.4.3.6): what stands before an access unit in a transport stream.

::

    00 00 01 stream_id:8 PES_packet_length:16 | 10 scrambling:2 priority:1 data_alignment:1 copyright:1 original:1
    PTS_DTS_flags:2 … | PES_header_data_length:8 | PTS:40 | DTS:40

A time is cut into pieces of 3, 15 and 15 bits with a marker bit behind each. DTS is left out when it equals PTS. The length,
which counts from behind itself, may be 0 for video: then the packet ends where the next one begins.
"""

from struct import Struct
from typing import NamedTuple

from ems.errors import MalformedData
from ems.formats.mpegts.packets import TICKS_RANGE

VIDEO_STREAM = 0xE0
AUDIO_STREAM = 0xC0
PRIVATE_STREAM_1 = 0xBD

FIXED_SIZE = 6
"""Bytes up to PES_packet_length, included."""

HEADER_SIZE = 9
"""Bytes up to PES_header_data_length, included."""

MAX_LENGTH = 0xFFFF
"""PES_packet_length has 16 bits."""

START_CODE = b"\0\0\1"

_HEADERLESS = frozenset({0xBC, 0xBE, 0xBF, 0xF0, 0xF1, 0xF2, 0xF8, 0xFF})
_PTS_HEADER = Struct(">IHBBB BHH")
_PTS_DTS_HEADER = Struct(">IHBBB BHH BHH")
_TIME = Struct(">BHH")
_HAS_PTS = 0x80


class PesPacket(NamedTuple):
    """A PES packet: `pts` and `dts` in ticks of 90 kHz as they stand there (33 bits), None when they are not told."""

    stream_id: int
    pts: int | None
    dts: int | None
    scrambled: bool
    data: bytes


def write_header(stream_id: int, size: int, pts: int, dts: int, *, aligned: bool) -> bytes:
    """The header of a PES packet with `size` bytes of data; times in ticks, wrapped here.

    PES_packet_length is 0 when it cannot be said, which the standard allows for video only. `aligned` says that an access unit
    begins with the data.
    """
    marks = 0x84 if aligned else 0x80
    if pts == dts:
        length = size + _PTS_HEADER.size - FIXED_SIZE
        return _PTS_HEADER.pack(0x100 | stream_id, length if length <= MAX_LENGTH else 0, marks, _HAS_PTS, 5, *_time(0x21, pts))
    length = size + _PTS_DTS_HEADER.size - FIXED_SIZE
    sized = length if length <= MAX_LENGTH else 0
    return _PTS_DTS_HEADER.pack(0x100 | stream_id, sized, marks, 0xC0, 10, *_time(0x31, pts), *_time(0x11, dts))


def parse(packet: bytes) -> PesPacket:
    """Read a whole PES packet; what is behind PES_packet_length is left out. Raises `MalformedData`.

    A decoding time that contradicts the flags is taken for the presentation time, as is one that is not there.
    """
    if len(packet) < FIXED_SIZE or not packet.startswith(START_CODE):
        raise MalformedData(f"a PES packet that begins with {packet[:4].hex() or 'nothing'}")
    stream_id = packet[3]
    length = int.from_bytes(packet[4:6], "big")
    end = FIXED_SIZE + length if length else len(packet)
    if end > len(packet):
        raise MalformedData(f"a PES packet of {end} bytes, of which {len(packet)} are there")
    if stream_id in _HEADERLESS:
        return PesPacket(stream_id, None, None, False, packet[FIXED_SIZE:end])
    if end < HEADER_SIZE or packet[6] >> 6 != 2:
        raise MalformedData("a PES header that is cut off or of MPEG-1")
    flags, start = packet[7], HEADER_SIZE + packet[8]
    wanted = 10 if flags & 0xC0 == 0xC0 else 5 if flags & _HAS_PTS else 0
    if start > end or packet[8] < wanted:
        raise MalformedData(f"a PES header of {start} bytes with {wanted} bytes of times in a packet of {end}")
    pts = read_time(packet, HEADER_SIZE) if wanted else None
    dts = read_time(packet, HEADER_SIZE + 5) if wanted == 10 else pts
    return PesPacket(stream_id, pts, dts, bool(packet[6] & 0x30), packet[start:end])


def begins_unit(start: bytes, last: int | None) -> bool:
    """True unless the PES packet of which `start` is the beginning goes on with an access unit whose time was `last`.

    A unit goes on in a packet that has no time or the same one.
    """
    if len(start) < HEADER_SIZE + 5:
        return True
    return bool(start[7] & _HAS_PTS) and read_time(start, HEADER_SIZE) != last


def read_time(data: bytes, offset: int) -> int:
    """The 33-bit time in the five bytes at `offset`, which must be there."""
    high, middle, low = _TIME.unpack_from(data, offset)  # type: tuple[int, int, int]
    return (high & 0xE) << 29 | (middle & 0xFFFE) << 14 | low >> 1


def _time(marks: int, ticks: int) -> tuple[int, int, int]:
    """The three numbers of a time; `marks` are the four bits before it and the first marker bit."""
    ticks %= TICKS_RANGE
    return marks | ticks >> 29 & 0xE, ticks >> 14 & 0xFFFE | 1, ticks << 1 & 0xFFFE | 1
