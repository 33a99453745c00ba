"""Boxes as they are read (ISO/IEC 14496-12 §4.2): a size that counts itself, a type, a content, which may be boxes again::

    size:32 type:32                      size 0: to the end of the file
    1:32    type:32 largesize:64         for boxes of 4 GiB and more

`top_level` goes over the boxes of a file without reading what is in them; a `Box` has its content in memory. Nothing here
recurses: a reader asks for the boxes it knows, level by level.
"""

from array import array
from collections.abc import Iterator
from struct import Struct
from sys import byteorder
from typing import Any, NamedTuple

from ems.errors import MalformedData
from ems.formats.index import Read

MAX_TOP_LEVEL = 5_000_000
"""Boxes of a file: two for every picture of a day of live fragments; more is an attack on time."""

MAX_CHILDREN = 4096
"""Boxes in a box. A ``moov`` has one for each track; only fragments of many runs have more than a dozen."""

_HEADER = Struct(">I4s")
_LARGE_HEADER = Struct(">I4sQ")
_TO_THE_END, _LARGE = 0, 1


class Extent(NamedTuple):
    """Where a box of a file lies: its first byte, the first byte of its content, and the byte behind it.

    `end` is what the box claims, and may be behind the end of the file.
    """

    type: bytes
    start: int
    content: int
    end: int


class Box(NamedTuple):
    """A box in memory; `at` is the place of its content in the file, for messages about it."""

    type: bytes
    at: int
    content: memoryview

    def __str__(self) -> str:
        return f"{self.type.decode('latin-1')} at byte {self.at}"

    def unpack(self, layout: Struct, offset: int = 0) -> tuple[Any, ...]:
        """The fields at this offset of the content. Raises `MalformedData` when they are not all there."""
        if len(self.content) < offset + layout.size:
            raise MalformedData(f"{self} has {len(self.content)} bytes, {offset + layout.size} are needed")
        return layout.unpack_from(self.content, offset)

    def words(self, count: int, offset: int, typecode: str = "I") -> "array[int]":
        """A table of `count` big-endian numbers; the typecode tells their size. Raises `MalformedData` as `unpack` does."""
        table = array(typecode)
        end = offset + count * table.itemsize
        if len(self.content) < end:
            raise MalformedData(f"{self} has {len(self.content)} bytes, {end} are needed for {count} entries")
        table.frombytes(self.content[offset:end])
        if byteorder == "little":
            table.byteswap()
        return table

    def children(self, offset: int = 0) -> Iterator["Box"]:
        """The boxes in this one from an offset of its content on. Raises `MalformedData` when a size is not true.

        Fewer bytes at the end than a box has are passed over: QuickTime ends lists with a zero of four bytes.
        """
        content, at = self.content, offset
        for _ in range(MAX_CHILDREN):
            if len(content) - at < _HEADER.size:
                return
            size, box_type = _HEADER.unpack_from(content, at)
            start = at + _HEADER.size
            if size == _LARGE and len(content) - at >= _LARGE_HEADER.size:
                start, size = at + _LARGE_HEADER.size, _LARGE_HEADER.unpack_from(content, at)[2]
            end = at + size if size != _TO_THE_END else len(content)
            if not start <= end <= len(content):
                raise MalformedData(f"a box of {size} bytes at byte {self.at + at}, where {len(content) - at} are left of {self}")
            yield Box(box_type, self.at + start, content[start:end])
            at = end
        raise MalformedData(f"more than {MAX_CHILDREN} boxes in {self}")

    def find(self, *path: bytes) -> "Box | None":
        """The first box of each type of the path, one in the other, or None."""
        found: Box | None = self
        for wanted in path:
            found = next((child for child in found.children() if child.type == wanted), None) if found else None
        return found

    def need(self, *path: bytes) -> "Box":
        """As `find`; raises `MalformedData` when there is none."""
        found = self.find(*path)
        if found is None:
            raise MalformedData(f"no {'/'.join(name.decode('latin-1') for name in path)} in {self}")
        return found


def top_level(read: Read, size: int) -> Iterator[Extent]:
    """The boxes of a file of this size (bytes), without one whose header is cut off. Raises `MalformedData` for a size that
    cannot be."""
    at = 0
    for _ in range(MAX_TOP_LEVEL):
        head = read(at, _LARGE_HEADER.size) if size - at >= _HEADER.size else b""
        if len(head) < _HEADER.size:
            return
        length, box_type = _HEADER.unpack_from(head)
        content = at + _HEADER.size
        if length == _LARGE:
            if len(head) < _LARGE_HEADER.size:
                return
            content, length = at + _LARGE_HEADER.size, _LARGE_HEADER.unpack(head)[2]
        end = at + length if length != _TO_THE_END else size
        if end < content:
            raise MalformedData(f"a box of {length} bytes at byte {at}")
        yield Extent(box_type, at, content, end)
        at = end
    raise MalformedData(f"more than {MAX_TOP_LEVEL} boxes in the file")


def load(read: Read, extent: Extent, size: int, limit: int) -> Box:
    """A box of a file of this size with its content. Raises `MalformedData` when it is cut off or larger than `limit`."""
    length = extent.end - extent.content
    name = extent.type.decode("latin-1")
    if extent.end > size:
        raise MalformedData(f"{name} at byte {extent.start} claims to end at byte {extent.end} of {size}")
    if length > limit:
        raise MalformedData(f"{name} at byte {extent.start} has {length} bytes and passes the limit of {limit}")
    content = read(extent.content, length)
    if len(content) != length:
        raise MalformedData(f"{name} at byte {extent.start}: {len(content)} of {length} bytes could be read")
    return Box(extent.type, extent.content, memoryview(content))
