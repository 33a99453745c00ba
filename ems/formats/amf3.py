"""AMF3, Action Message Format 3: ActionScript 3's serialisation (Adobe, amf-file-format-spec, 2013).

In RTMP it appears inside AMF0, behind its marker 11. A value is a marker byte and what the marker asks for; lengths and indices
are U29, numbers of one to four bytes whose high bits say whether another byte follows (§1.3.1). Strings, objects and the shape of
classes (*traits*: class name, sealed member names, dynamic or not) are kept in three tables while reading, and a U29 with the
low bit 0 refers to what was read before. We read all of it and write no references.

How values look in Python is told in `ems.formats.amf_values`, the limits in `ems.formats.amf_nesting`. Integers that need more
than 29 bits are written as doubles; XML and XML documents are both `XmlDocument`, written as the latter; a `dict` is written as a
dynamic anonymous object, a `TypedObject` with its members sealed. Of the externalizable classes, whose bytes only their own code
can read, ``ArrayCollection`` and ``ObjectProxy`` of flex.messaging.io are known and stand for what they wrap; others raise
`MalformedData`. An `EcmaArray` without members comes back as an empty list, as AMF3 makes no difference.
"""

from collections.abc import Iterator, Mapping
from enum import IntEnum
from struct import Struct, error, pack
from typing import NamedTuple

from ems.errors import LocalProtocolError, MalformedData
from ems.formats.amf_nesting import MAX_KEY, Budget, Container, Elements, Members, Reader, Writer, double, key_bytes, utf8
from ems.formats.amf_values import (
    UNDEFINED,
    AmfDate,
    AmfValue,
    Dictionary,
    EcmaArray,
    TypedObject,
    Undefined,
    Vector,
    VectorType,
    XmlDocument,
)

__all__ = ["Amf3Reader", "Marker", "decode", "decode_all", "encode"]

WRAPPERS = frozenset({"flex.messaging.io.ArrayCollection", "flex.messaging.io.ObjectProxy"})
"""Externalizable classes whose content is one AMF3 value."""

MAX_U29 = (1 << 29) - 1
MIN_INTEGER = -(1 << 28)
MAX_INTEGER = (1 << 28) - 1


class Marker(IntEnum):
    """The type markers (§3.1)."""

    UNDEFINED = 0x00
    NULL = 0x01
    FALSE = 0x02
    TRUE = 0x03
    INTEGER = 0x04
    DOUBLE = 0x05
    STRING = 0x06
    XML_DOCUMENT = 0x07
    DATE = 0x08
    ARRAY = 0x09
    OBJECT = 0x0A
    XML = 0x0B
    BYTE_ARRAY = 0x0C
    VECTOR_INT = 0x0D
    VECTOR_UINT = 0x0E
    VECTOR_DOUBLE = 0x0F
    VECTOR_OBJECT = 0x10
    DICTIONARY = 0x11


_NUMBERS = {VectorType.INT: "i", VectorType.UINT: "I", VectorType.DOUBLE: "d"}


def decode(data: bytes, offset: int = 0) -> tuple[AmfValue, int]:
    """The value at `offset`, and the offset behind it. Raises `MalformedData`."""
    reader = Amf3Reader(data, offset)
    return reader.value(), reader.offset


def decode_all(data: bytes) -> list[AmfValue]:
    """All values of `data`, which share their reference tables. Raises `MalformedData`."""
    return list(Amf3Reader(data).values())


def encode(*values: object) -> bytes:
    """The bytes of `values`, one behind another. Raises `LocalProtocolError` for what AMF3 cannot say."""
    return _Amf3Writer().write(values)


class _Traits(NamedTuple):
    """The shape of a class (§3.12)."""

    class_name: str
    names: tuple[str, ...]
    dynamic: bool
    externalizable: bool = False


class Amf3Reader(Reader):
    """The markers of AMF3, and its tables of strings and traits."""

    def __init__(self, data: bytes, offset: int = 0, budget: Budget | None = None) -> None:
        super().__init__(data, offset, budget)
        self._strings: list[tuple[str, int]] = []
        self._traits: list[_Traits] = []

    def begin(self, depth: int) -> AmfValue | Container:
        marker = self.unsigned(1)
        match marker:
            case Marker.UNDEFINED:
                return UNDEFINED
            case Marker.NULL:
                return None
            case Marker.FALSE:
                return False
            case Marker.TRUE:
                return True
            case Marker.INTEGER:
                number = self.u29()
                return number if number <= MAX_INTEGER else number - (MAX_U29 + 1)
            case Marker.DOUBLE:
                return self.double()
            case Marker.STRING:
                return self.string(len(self.data))
        if not Marker.XML_DOCUMENT <= marker <= Marker.DICTIONARY:
            raise MalformedData(f"AMF3 marker {marker:#04x} at byte {self.offset - 1} does not exist")
        header = self.u29()
        return self._object(Marker(marker), header >> 1) if header & 1 else self.referenced(header >> 1)

    def u29(self) -> int:
        """A number of 29 bits (§1.3.1)."""
        value = 0
        for _ in range(3):
            byte = self.unsigned(1)
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
        return value << 8 | self.unsigned(1)

    def string(self, limit: int = MAX_KEY) -> str:
        """A string of at most `limit` bytes, or a reference to one (§1.3.2)."""
        header = self.u29()
        if header & 1:
            size = header >> 1
            text = self.utf8(size)
            if size:
                self._strings.append((text, size))
        elif header >> 1 < len(self._strings):
            text, size = self._strings[header >> 1]
            self.budget.spend(0, size)
        else:
            raise MalformedData(f"an AMF3 reference to string {header >> 1} of {len(self._strings)}")
        if size > limit:
            raise MalformedData(f"an AMF3 member name of {size} bytes passes {limit}")
        return text

    def _object(self, marker: Marker, header: int) -> AmfValue | Container:
        """What has a place in the reference table; `header` is the U29 behind its marker without the reference bit."""
        match marker:
            case Marker.XML_DOCUMENT | Marker.XML:
                return self._remembered(XmlDocument(self.utf8(header)), header)
            case Marker.DATE:
                return self._remembered(AmfDate(self.double()), 9)
            case Marker.BYTE_ARRAY:
                return self._remembered(self.take(header), header)
            case Marker.ARRAY:
                return _ArrayBody(self, self.checked_count(header))
            case Marker.OBJECT:
                return self._instance(header)
            case Marker.DICTIONARY:
                return _DictionaryBody(self.checked_count(header), self.unsigned(1) != 0)
            case _:
                return self._vector(VectorType(marker), header)

    def _remembered(self, value: AmfValue, size: int) -> AmfValue:
        self.remember(value, size)
        return value

    def _instance(self, header: int) -> Container:
        """An object (§3.12): `header` says where its traits are."""
        if header & 1:
            traits = self._new_traits(header >> 1)
        elif header >> 1 < len(self._traits):
            traits = self._traits[header >> 1]
        else:
            raise MalformedData(f"an AMF3 reference to traits {header >> 1} of {len(self._traits)}")
        if traits.externalizable:
            return _Wrapped()
        return _ObjectBody(self, traits)

    def _new_traits(self, header: int) -> _Traits:
        class_name = self.string()
        if header & 1:
            if class_name not in WRAPPERS:
                raise MalformedData(f"AMF3 objects of the externalizable class {class_name[:100]!r} cannot be read")
            traits = _Traits(class_name, (), dynamic=False, externalizable=True)
        else:
            count = self.checked_count(header >> 2)
            self.budget.spend(count)
            names = tuple(self.string() for _ in range(count))
            if "" in names:
                raise MalformedData("an AMF3 class with a member without a name")
            traits = _Traits(class_name, names, dynamic=bool(header & 2))
        self._traits.append(traits)
        return traits

    def _vector(self, kind: VectorType, count: int) -> AmfValue | Container:
        fixed = self.unsigned(1) != 0
        if kind is VectorType.OBJECT:
            vector = Vector(kind, fixed=fixed, class_name=self.string())
            return Elements(vector, self.checked_count(count))
        layout = Struct(f">{self.checked_count(count)}{_NUMBERS[kind]}")
        self.budget.spend(count)
        return self._remembered(Vector(kind, layout.unpack(self.take(layout.size)), fixed), layout.size)


class _ArrayBody(Container):
    """The associative part of an array up to an empty name, then its dense part (§3.11)."""

    def __init__(self, reader: Amf3Reader, count: int) -> None:
        self._reader = reader
        self._count = count
        self._associative = EcmaArray()
        self._dense: list[AmfValue] = []
        self._key: str = ""
        self._in_dense = False

    def wants_value(self) -> bool:
        if not self._in_dense:
            self._key = self._reader.string()
            self._in_dense = not self._key
        return not self._in_dense or len(self._dense) < self._count

    def add(self, value: AmfValue) -> None:
        if self._in_dense:
            self._dense.append(value)
        else:
            self._associative[self._key] = value

    def finish(self) -> AmfValue:
        if not self._associative:
            return self._dense
        array = EcmaArray((str(index), value) for index, value in enumerate(self._dense))
        array.update(self._associative)
        return array


class _ObjectBody(Members):
    """The sealed members of an object in the order of its traits, then the dynamic ones up to an empty name (§3.12)."""

    def __init__(self, reader: Amf3Reader, traits: _Traits) -> None:
        super().__init__(TypedObject(traits.class_name) if traits.class_name else {})
        self._reader = reader
        self._sealed = iter(traits.names)
        self._dynamic = traits.dynamic

    def next_key(self) -> str | None:
        for name in self._sealed:
            return name
        return (self._reader.string() or None) if self._dynamic else None


class _Wrapped(Container):
    """An externalizable object that holds one value and stands for it."""

    def __init__(self) -> None:
        self._values: list[AmfValue] = []

    def wants_value(self) -> bool:
        return not self._values

    def add(self, value: AmfValue) -> None:
        self._values.append(value)

    def finish(self) -> AmfValue:
        return self._values[0]


class _DictionaryBody(Container):
    """Keys and values by turns (§3.16)."""

    def __init__(self, count: int, weak: bool) -> None:
        self._pairs = Dictionary(weak=weak)
        self._count = count
        self._keys: list[AmfValue] = []

    def wants_value(self) -> bool:
        return len(self._pairs) < self._count

    def add(self, value: AmfValue) -> None:
        if self._keys:
            self._pairs.append((self._keys.pop(), value))
        else:
            self._keys.append(value)

    def finish(self) -> AmfValue:
        return self._pairs


class _Amf3Writer(Writer):
    """The markers of AMF3; every string, object and trait is written in place."""

    def begin(self, value: object) -> Iterator[object] | None:
        match value:
            case None:
                self._scalar(Marker.NULL)
            case bool():
                self._scalar(Marker.TRUE if value else Marker.FALSE)
            case int() if MIN_INTEGER <= value <= MAX_INTEGER:
                self._scalar(Marker.INTEGER, _u29(value & MAX_U29))
            case int() | float():
                self._scalar(Marker.DOUBLE, double(value))
            case str():
                self._scalar(Marker.XML_DOCUMENT if isinstance(value, XmlDocument) else Marker.STRING, _sized(utf8(value)))
            case bytes():
                self._scalar(Marker.BYTE_ARRAY, _sized(value))
            case AmfDate():
                self._scalar(Marker.DATE, b"\1" + double(value.ms))
            case Undefined():
                self._scalar(Marker.UNDEFINED)
            case _:
                return self._container(value)
        return None

    def _container(self, value: object) -> Iterator[object]:
        match value:
            case EcmaArray():
                self._scalar(Marker.ARRAY, b"\1")
                return self._named(value)
            case TypedObject():
                return self._sealed(value)
            case dict():
                self._scalar(Marker.OBJECT, b"\x0b\1")
                return self._named(value)
            case Vector():
                return self._vector(value)
            case Dictionary():
                self._scalar(Marker.DICTIONARY, _inline(len(value)) + (b"\1" if value.weak else b"\0"))
                return (part for pair in value for part in pair)
            case list() | tuple():
                self._scalar(Marker.ARRAY, _inline(len(value)) + b"\1")
                return iter(value)
        raise LocalProtocolError(f"AMF3 has no form for {type(value).__name__}")

    def _scalar(self, marker: Marker, body: bytes = b"") -> None:
        self.out.append(marker.to_bytes(1, "big") + body)

    def _named(self, members: Mapping[str, object]) -> Iterator[object]:
        """Members of an associative part or a dynamic object, and the empty name behind them."""
        for key, value in members.items():
            if not key:
                raise LocalProtocolError("AMF3 cannot name a member with an empty string")
            self.out.append(_sized(key_bytes(key)))
            yield value
        self.out.append(b"\1")

    def _sealed(self, members: TypedObject) -> Iterator[object]:
        names = [_sized(key_bytes(name)) for name in (members.class_name, *members)]
        if b"\1" in names[1:]:
            raise LocalProtocolError("AMF3 cannot name a member with an empty string")
        self._scalar(Marker.OBJECT, _u29(len(members) << 4 | 0b0011) + b"".join(names))
        return iter(members.values())

    def _vector(self, vector: Vector) -> Iterator[object]:
        head = _inline(len(vector)) + (b"\1" if vector.fixed else b"\0")
        if vector.type is VectorType.OBJECT:
            self._scalar(Marker.VECTOR_OBJECT, head + _sized(key_bytes(vector.class_name)))
            return iter(vector)
        try:
            numbers = pack(f">{len(vector)}{_NUMBERS[vector.type]}", *vector)
        except error as problem:
            raise LocalProtocolError(f"a vector of {vector.type.name} holds something else: {problem}") from None
        self._scalar(Marker(vector.type.value), head + numbers)
        return iter(())


def _u29(number: int) -> bytes:
    """`number` in one to four bytes (§1.3.1)."""
    if number > MAX_U29:
        raise LocalProtocolError(f"{number} does not fit into the 29 bits of an AMF3 length")
    if number < 0x80:
        return bytes((number,))
    if number < 0x4000:
        return bytes((number >> 7 | 0x80, number & 0x7F))
    if number < 0x200000:
        return bytes((number >> 14 | 0x80, number >> 7 & 0x7F | 0x80, number & 0x7F))
    return bytes((number >> 22 | 0x80, number >> 15 & 0x7F | 0x80, number >> 8 & 0x7F | 0x80, number & 0xFF))


def _inline(count: int) -> bytes:
    """A length or count with the bit that says: no reference, the content follows."""
    return _u29(count << 1 | 1)


def _sized(content: bytes) -> bytes:
    return _inline(len(content)) + content
