"""How the NAL units of H.264 and H.265 are told apart in a row of bytes.

A picture is coded as several NAL units. Two ways to put them in a row are in use:

* *length-prefixed* (ISO/IEC 14496-15 §5.3.3): each unit behind its size in 1, 2 or 4 bytes. RTMP, FLV and MP4 have it, and so
  has `Frame.data`, always with 4 bytes;
* the *byte stream* of Annex B: each unit behind the start code 00 00 01, any number of zero bytes before it. MPEG-TS has it.

All functions take and give whole access units, and raise `MalformedData` when a length reaches past the end or a limit is
passed. They run for every frame: the work is done by `bytes` methods, with one step of Python per NAL unit, never per byte.
"""

import re
from collections.abc import Container, Iterable, Iterator
from struct import Struct

from ems.errors import MalformedData

MAX_ACCESS_UNIT = 8 * 1024 * 1024
"""Bytes of one access unit: ten times a key frame of an 8K live stream at 100 Mbit/s; more is an attack on memory."""

MAX_NAL_UNITS = 4096
"""NAL units in one access unit: level 6.2 of H.265 allows 600 slices, the rest is room for SEI and parameter sets."""

MAX_PARAMETER_SET = 65535
"""Bytes of one parameter set: its length has 16 bits in avcC and hvcC."""

START_CODE = b"\0\0\0\1"
"""The long start code: Annex B wants it before the first unit and parameter sets, and it is right before any."""

_LENGTH = Struct(">I")

_START_CODE_END = re.compile(rb"\x01(?<=\0\0\x01)")
"""The last byte of a start code: looking for one byte, and then back, is twice as quick as looking for three."""


def split_lengths(data: bytes, length_size: int = 4) -> list[bytes]:
    """The NAL units of a length-prefixed access unit, without their lengths; empty units are left out.

    `length_size` is lengthSizeMinusOne + 1 of the configuration record: 1, 2 or 4.
    """
    return [data[start:end] for start, end in _extents(data, length_size)]


def join_lengths(nals: Iterable[bytes]) -> bytes:
    """A length-prefixed access unit with 4-byte lengths made of `nals`."""
    return b"".join([part for nal in nals for part in (_LENGTH.pack(len(nal)), nal)])


def with_four_byte_lengths(data: bytes, length_size: int) -> bytes:
    """A length-prefixed access unit with 4-byte lengths; `data` itself, unread, when that is what it has."""
    return data if length_size == 4 else join_lengths(split_lengths(data, length_size))


def lengths_are_true(data: bytes) -> bool:
    """True when the 4-byte lengths of an access unit lead exactly to its end and no limit is passed.

    Asked once of each access unit that comes from outside, so that no later reader meets a length that lies.
    """
    size, end = len(data), 0
    if size > MAX_ACCESS_UNIT:
        return False
    for _ in range(MAX_NAL_UNITS + 1):
        if end >= size:
            return end == size
        start = end + 4
        end = start + int.from_bytes(data[end:start], "big")
    return False


def split_annexb(data: bytes) -> list[bytes]:
    """The NAL units of an Annex B byte stream, without start codes and the zero bytes around them; empty ones left out.

    Bytes before the first start code belong to no unit and are left out too (H.264 §B.1: they may only be zeros).
    """
    if len(data) > MAX_ACCESS_UNIT:
        raise MalformedData(f"an access unit of {len(data)} bytes passes the limit of {MAX_ACCESS_UNIT}")
    pieces = _START_CODE_END.split(data, MAX_NAL_UNITS + 1)
    if len(pieces) > MAX_NAL_UNITS + 1:
        raise MalformedData(f"more than {MAX_NAL_UNITS} NAL units in one access unit")
    # A NAL unit never ends in a zero byte (§7.4.1), so zeros at the end belong to the next start code.
    return [nal for piece in pieces[1:] if (nal := piece.rstrip(b"\0"))]


def first_header(data: bytes, wanted: Container[int]) -> int | None:
    """The first header byte in an access unit with 4-byte lengths that is one of `wanted`, or None; what follows is not read.

    One flat loop, without the generator behind the other functions: every frame of video that comes in goes through it.
    """
    size, end = len(data), 0
    for _ in range(MAX_NAL_UNITS + 1):
        if end == size:
            return None
        start = end + 4
        end = start + int.from_bytes(data[end:start], "big")
        if start > size or end > size:
            raise MalformedData(f"a NAL unit ends at byte {end} of an access unit of {size}")
        if end > start and data[start] in wanted:
            return data[start]
    raise MalformedData(f"more than {MAX_NAL_UNITS} NAL units in one access unit")


def _extents(data: bytes, length_size: int) -> Iterator[tuple[int, int]]:
    """Where each NAL unit that is not empty begins and ends."""
    if length_size not in (1, 2, 4):
        raise MalformedData(f"NAL unit lengths of {length_size} bytes do not exist")
    if len(data) > MAX_ACCESS_UNIT:
        raise MalformedData(f"an access unit of {len(data)} bytes passes the limit of {MAX_ACCESS_UNIT}")
    size, end = len(data), 0
    for _ in range(MAX_NAL_UNITS):
        if end == size:
            return
        start = end + length_size
        end = start + int.from_bytes(data[end:start], "big")
        if start > size or end > size:
            raise MalformedData(f"a NAL unit ends at byte {end} of an access unit of {size}")
        if end > start:
            yield start, end
    if end != size:
        raise MalformedData(f"more than {MAX_NAL_UNITS} NAL units in one access unit")
