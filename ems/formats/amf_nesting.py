"""The loops that read and write the nested values of AMF0 and AMF3, and the limits of both.

The two formats differ in their markers, not in how values nest: a `Reader` is told by its subclass what a marker means, a
`Writer` likewise, and both keep the open containers in a list of their own, so that nesting costs no Python stack.

Every limit is on one message. References are counted as often as they repeat what they name: a small message can then never
be a large value, and a value that contains itself is refused, since a reference may only name what is complete.
"""

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import NamedTuple

from ems.errors import LocalProtocolError, MalformedData
from ems.formats.amf_values import AmfValue

MAX_DEPTH = 32
"""Containers inside one another: real messages have 4 at most, and consumers of the values may recurse."""

MAX_ITEMS = 4096
"""Values in one message, counted again wherever a reference repeats them: the richest onMetaData (key frame lists) has 3000."""

MAX_REPEATED_BYTES = 1024 * 1024
"""Serialised bytes that references may stand for in one message, so that a small message is never a large value."""

MAX_KEY = 65535
"""Bytes of a member or class name: AMF0 has 16 bits for it, AMF3 is held to the same so that it can be written as AMF0."""

MAX_WRITTEN_ITEMS = 65536
"""Values in one message of ours: more than `MAX_ITEMS`, so that what came in can be extended; ends values in a circle."""

_DOUBLE = Struct(">d")


class Budget:
    """What the values of one message have cost so far; shared by the AMF0 and AMF3 readers of that message."""

    __slots__ = ("items", "repeated")

    def __init__(self) -> None:
        self.items = 0
        self.repeated = 0

    def spend(self, items: int, repeated: int = 0) -> None:
        """Count `items` values and `repeated` bytes that a reference stands for; raises `MalformedData` past a limit."""
        self.items += items
        self.repeated += repeated
        if self.items > MAX_ITEMS:
            raise MalformedData(f"more than {MAX_ITEMS} AMF values in one message")
        if self.repeated > MAX_REPEATED_BYTES:
            raise MalformedData(f"AMF references repeat more than {MAX_REPEATED_BYTES} bytes")


class Container:
    """A value that holds others, while these are being read."""

    def wants_value(self) -> bool:
        """True when another value follows; reads what stands before it (a key)."""
        raise NotImplementedError

    def add(self, value: AmfValue) -> None:
        """Take the value that was wanted."""
        raise NotImplementedError

    def finish(self) -> AmfValue:
        """The value, now that nothing more is wanted."""
        raise NotImplementedError


class Members(Container):
    """An object or associative array: the subclass tells in `next_key` how its keys are written."""

    def __init__(self, members: dict[str, AmfValue]) -> None:
        self._members = members
        self._key: str | None = None

    def next_key(self) -> str | None:
        """The key of the next member, or None behind the last one."""
        raise NotImplementedError

    def wants_value(self) -> bool:
        self._key = self.next_key()
        return self._key is not None

    def add(self, value: AmfValue) -> None:
        assert self._key is not None
        self._members[self._key] = value

    def finish(self) -> AmfValue:
        return self._members


class Elements(Container):
    """`count` values in a row, added to `items`."""

    def __init__(self, items: list[AmfValue], count: int) -> None:
        self._items = items
        self._count = count

    def wants_value(self) -> bool:
        return len(self._items) < self._count

    def add(self, value: AmfValue) -> None:
        self._items.append(value)

    def finish(self) -> AmfValue:
        return self._items


class _Complete(NamedTuple):
    """An object that references may name, with what it costs to repeat it."""

    value: AmfValue
    items: int
    size: int


class _Open(NamedTuple):
    """A container being read: its place in the reference table and where the counters stood at its start."""

    container: Container
    slot: int
    items: int
    size: int


class Reader:
    """Reads values from `data`; `offset` is where the next one begins. The subclasses know the markers.

    The reference table lives as long as the reader: one reader reads the values of one message.
    """

    def __init__(self, data: bytes, offset: int = 0, budget: Budget | None = None) -> None:
        self.data = data
        self.offset = offset
        self.budget = budget or Budget()
        self._objects: list[_Complete | None] = []

    def begin(self, depth: int) -> AmfValue | Container:
        """Read a marker and what follows it: a whole value, or a container whose values come next.

        `depth` containers are open around it.
        """
        raise NotImplementedError

    def value(self, depth: int = 0) -> AmfValue:
        """The next value with all that it holds; `depth` containers are open around it. Raises `MalformedData`."""
        stack: list[_Open] = []
        while True:
            start, items = self._size(), self.budget.items
            self.budget.spend(1)
            part = self.begin(depth + len(stack))
            if isinstance(part, Container):
                if depth + len(stack) >= MAX_DEPTH:
                    raise MalformedData(f"AMF values nested more than {MAX_DEPTH} deep")
                stack.append(_Open(part, len(self._objects), items, start))
                self._objects.append(None)
            elif not stack:
                return part
            else:
                stack[-1].container.add(part)
            while not stack[-1].container.wants_value():
                value = self._close(stack.pop())
                if not stack:
                    return value
                stack[-1].container.add(value)

    def values(self) -> Iterator[AmfValue]:
        """Every value from `offset` to the end of the data."""
        while self.offset < len(self.data):
            yield self.value()

    def referenced(self, index: int) -> AmfValue:
        """The object number `index` of the reference table; raises `MalformedData` when it is not complete."""
        known = self._objects[index] if index < len(self._objects) else None
        if known is None:
            raise MalformedData(f"an AMF reference to object {index}, which is not complete")
        self.budget.spend(known.items, known.size)
        return known.value

    def remember(self, value: AmfValue, size: int) -> None:
        """Give a value that is no container, of `size` bytes, its place in the reference table."""
        self._objects.append(_Complete(value, 1, size))

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        start, self.offset = self.offset, self.offset + size
        if self.offset > len(self.data):
            raise MalformedData(f"an AMF value ends at byte {self.offset} of a message of {len(self.data)}")
        return self.data[start : self.offset]

    def unsigned(self, size: int) -> int:
        """The next `size` bytes as a big-endian number."""
        return int.from_bytes(self.take(size), "big")

    def double(self) -> float:
        """The next 8 bytes as an IEEE 754 number."""
        number: float = _DOUBLE.unpack(self.take(8))[0]
        return number

    def utf8(self, size: int) -> str:
        """The next `size` bytes as text."""
        return self.take(size).decode("utf-8", "surrogateescape")

    def checked_count(self, count: int) -> int:
        """`count` values to come, as it is; raises `MalformedData` when there cannot be so many."""
        if count > min(MAX_ITEMS, len(self.data) - self.offset):
            raise MalformedData(f"an AMF array claims {count} values where {len(self.data) - self.offset} bytes are left")
        return count

    def _size(self) -> int:
        return self.offset + self.budget.repeated

    def _close(self, opened: _Open) -> AmfValue:
        value = opened.container.finish()
        cost = _Complete(value, self.budget.items - opened.items, self._size() - opened.size)
        self._objects[opened.slot] = cost
        return value


class Writer:
    """Collects the bytes of values in `out`. The subclasses know the markers."""

    def __init__(self) -> None:
        self.out: list[bytes] = []
        self._items = 0

    def begin(self, value: object) -> Iterator[object] | None:
        """Write a whole value, or the start of a container and give an iterator over what it holds.

        The iterator writes, in step, what stands before each of these values and behind the last one.
        """
        raise NotImplementedError

    def write(self, values: Iterable[object]) -> bytes:
        """The bytes of `values`, one behind another. Raises `LocalProtocolError` for what AMF cannot say."""
        stack: list[Iterator[object]] = [iter(values)]
        while stack:
            for value in stack[-1]:
                self._items += 1
                if self._items > MAX_WRITTEN_ITEMS:
                    raise LocalProtocolError(f"more than {MAX_WRITTEN_ITEMS} values for one AMF message, or a circle of them")
                if (parts := self.begin(value)) is not None:
                    stack.append(parts)
                    break
            else:
                stack.pop()
        return b"".join(self.out)


def utf8(text: str) -> bytes:
    """`text` as the bytes that it was read from; a lone surrogate that stands for no byte becomes a question mark."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def key_bytes(key: object) -> bytes:
    """A member or class name as UTF-8; raises `LocalProtocolError` when it is no string or longer than `MAX_KEY`."""
    if not isinstance(key, str):
        raise LocalProtocolError(f"AMF member names are strings, not {key!r}")
    encoded = utf8(key)
    if len(encoded) > MAX_KEY:
        raise LocalProtocolError(f"an AMF member name of {len(encoded)} bytes passes {MAX_KEY}")
    return encoded


def double(number: float) -> bytes:
    """`number` in 8 bytes; raises `LocalProtocolError` for an integer beyond the range of a double."""
    try:
        return _DOUBLE.pack(float(number))
    except OverflowError:
        raise LocalProtocolError("an integer is too large for an AMF number") from None
