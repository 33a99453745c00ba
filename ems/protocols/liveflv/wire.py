"""The file format FLV as a stream of bytes (Adobe FLV 10.1 §E.2–E.4): a header, then tags.

::

    "FLV" version:8 flags:8 data_offset:32 | 00 00 00 00
    reserved:2 filter:1 type:5 | size:24 | timestamp:24 timestamp_extended:8 | stream_id:24 | body | size of the tag:32

What is in a body is the business of `ems.formats.flv`.
"""

from typing import NamedTuple

from ems.errors import MalformedData
from ems.media.nal import MAX_ACCESS_UNIT

SIGNATURE = b"FLV"

HEADER_SIZE = 9
MAX_HEADER_SIZE = 1024
"""data_offset: 9 in version 1; what a later one may add is skipped."""

TAG_HEADER_SIZE = 11
BACK_POINTER_SIZE = 4

MAX_TAG = MAX_ACCESS_UNIT + 64
"""Bytes of a body: the largest access unit, and what stands before it."""

_TYPE_MASK = 0x1F
_FILTER = 0x20


class Tag(NamedTuple):
    """One tag: its type (8 audio, 9 video, 18 script), its time in milliseconds (32 bits, wrapping) and its body."""

    type: int
    timestamp: int
    body: bytes


class TagSplitter:
    """Cuts bytes into tags. Tags that are encrypted (filter bit) are left out, as nobody could play them."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._begun = False

    def receive(self, data: bytes) -> list[Tag]:
        """The tags that these bytes complete. Raises `MalformedData` when it is no FLV, or a tag is above `MAX_TAG` bytes."""
        pending = self._pending
        pending += data
        tags: list[Tag] = []
        start = 0 if self._begun else self._header()
        while self._begun and start + TAG_HEADER_SIZE <= len(pending):
            body = start + TAG_HEADER_SIZE
            size = int.from_bytes(pending[start + 1 : start + 4], "big")
            if size > MAX_TAG:
                raise MalformedData(f"an FLV tag of {size} bytes, where {MAX_TAG} are possible")
            if body + size + BACK_POINTER_SIZE > len(pending):
                break
            kind = pending[start]
            time = int.from_bytes(pending[start + 4 : start + 7], "big") | pending[start + 7] << 24
            if not kind & _FILTER:
                tags.append(Tag(kind & _TYPE_MASK, time, bytes(pending[body : body + size])))
            start = body + size + BACK_POINTER_SIZE
        del pending[:start]
        return tags

    def _header(self) -> int:
        """Where the first tag begins, 0 while the header is not complete."""
        head = self._pending[:HEADER_SIZE]
        if not SIGNATURE.startswith(head[:3]):
            raise MalformedData(f"no FLV: it begins with {bytes(head[:3]).hex()}")
        if len(head) < HEADER_SIZE:
            return 0
        offset = int.from_bytes(head[5:], "big")
        if not HEADER_SIZE <= offset <= MAX_HEADER_SIZE:
            raise MalformedData(f"an FLV header of {offset} bytes")
        end = offset + BACK_POINTER_SIZE
        self._begun = len(self._pending) >= end
        return end if self._begun else 0
