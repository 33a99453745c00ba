"""Boxes, of which every MP4 file is made (ISO/IEC 14496-12 §4.2): a size in 4 bytes that counts itself, a type, a content."""

from struct import Struct

_HEADER = Struct(">I4s")
_FULL_HEADER = Struct(">I4sI")


def box(box_type: bytes, *parts: bytes) -> bytes:
    """A box of this four-character type around the parts."""
    return b"".join((_HEADER.pack(_HEADER.size + sum(map(len, parts)), box_type), *parts))


def full_box(box_type: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """A box that begins with a version (8 bits) and flags (24 bits)."""
    size = _FULL_HEADER.size + sum(map(len, parts))
    return b"".join((_FULL_HEADER.pack(size, box_type, version << 24 | flags), *parts))
