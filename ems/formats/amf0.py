"""AMF0, Action Message Format 0: how RTMP writes commands, answers and metadata (Adobe, amf0-file-format-specification, 2007).

A value is a marker byte and what the marker asks for::

    00 number: double      03 object: members          08 ECMA array: count:32, members     0C long string: size:32, UTF-8
    01 boolean: byte       05 null   06 undefined      0A strict array: count:32, values    0F XML document: size:32, UTF-8
    02 string: size:16,    07 reference: index:16      0B date: double, time zone:16        10 typed object: name, members
       UTF-8                                                                                11 one AMF3 value follows

where members are ``size:16, UTF-8 name, value`` until an empty name with the marker 09. The count of an ECMA array is only a
hint and is not looked at. Markers 04 (movie clip), 0D (unsupported) and 0E (record set) raise `MalformedData`.

>>> decode_all(encode("connect", 1, {"app": "live"}))
['connect', 1.0, {'app': 'live'}]

How values look in Python is told in `ems.formats.amf_values`, the limits in `ems.formats.amf_nesting`. Integers are written as
numbers, and what only AMF3 can say (`bytes`, `Vector`, `Dictionary`) behind marker 11.
"""

from collections.abc import Iterator, Mapping
from enum import IntEnum

from ems.errors import LocalProtocolError, MalformedData
from ems.formats import amf3
from ems.formats.amf_nesting import Container, Elements, Members, Reader, Writer, double, key_bytes, utf8
from ems.formats.amf_values import (
    UNDEFINED,
    AmfDate,
    AmfValue,
    Dictionary,
    EcmaArray,
    TypedObject,
    Undefined,
    Vector,
    XmlDocument,
)

__all__ = [
    "UNDEFINED",
    "AmfDate",
    "AmfValue",
    "EcmaArray",
    "Marker",
    "TypedObject",
    "XmlDocument",
    "decode",
    "decode_all",
    "decode_prefix",
    "encode",
]

MAX_SHORT_STRING = 65535
"""Bytes of a string behind marker 02; a longer one is written behind 0C."""


class Marker(IntEnum):
    """The type markers (§2.1)."""

    NUMBER = 0x00
    BOOLEAN = 0x01
    STRING = 0x02
    OBJECT = 0x03
    NULL = 0x05
    UNDEFINED = 0x06
    REFERENCE = 0x07
    ECMA_ARRAY = 0x08
    OBJECT_END = 0x09
    STRICT_ARRAY = 0x0A
    DATE = 0x0B
    LONG_STRING = 0x0C
    XML_DOCUMENT = 0x0F
    TYPED_OBJECT = 0x10
    AVMPLUS = 0x11


def decode(data: bytes, offset: int = 0) -> tuple[AmfValue, int]:
    """The value at `offset`, and the offset behind it. Raises `MalformedData`."""
    reader = _Amf0Reader(data, offset)
    return reader.value(), reader.offset


def decode_all(data: bytes) -> list[AmfValue]:
    """All values of a message. Raises `MalformedData` when one of them is damaged or cut off."""
    return list(_Amf0Reader(data).values())


def decode_prefix(data: bytes) -> list[AmfValue]:
    """The values before the first damaged one: what a command of an encoder that adds stray bytes still says."""
    values: list[AmfValue] = []
    try:
        for value in _Amf0Reader(data).values():
            values.append(value)
    except MalformedData:
        pass
    return values


def encode(*values: object) -> bytes:
    """The bytes of `values`, one behind another. Raises `LocalProtocolError` for what AMF cannot say."""
    return _Amf0Writer().write(values)


class _Amf0Reader(Reader):
    """The markers of AMF0."""

    _amf3: amf3.Amf3Reader | None = None

    def begin(self, depth: int) -> AmfValue | Container:
        marker = self.unsigned(1)
        match marker:
            case Marker.NUMBER:
                return self.double()
            case Marker.BOOLEAN:
                return self.unsigned(1) != 0
            case Marker.STRING:
                return self.utf8(self.unsigned(2))
            case Marker.OBJECT:
                return _Amf0Members(self, {})
            case Marker.NULL:
                return None
            case Marker.UNDEFINED:
                return UNDEFINED
            case Marker.REFERENCE:
                return self.referenced(self.unsigned(2))
            case Marker.ECMA_ARRAY:
                self.take(4)
                return _Amf0Members(self, EcmaArray())
            case Marker.STRICT_ARRAY:
                return Elements([], self.checked_count(self.unsigned(4)))
            case Marker.DATE:
                return AmfDate(self.double(), int.from_bytes(self.take(2), "big", signed=True))
            case Marker.LONG_STRING:
                return self.utf8(self.unsigned(4))
            case Marker.XML_DOCUMENT:
                return XmlDocument(self.utf8(self.unsigned(4)))
            case Marker.TYPED_OBJECT:
                return _Amf0Members(self, TypedObject(self.utf8(self.unsigned(2))))
            case Marker.AVMPLUS:
                return self._amf3_value(depth)
        raise MalformedData(f"AMF0 marker {marker:#04x} at byte {self.offset - 1} is not a value")

    def _amf3_value(self, depth: int) -> AmfValue:
        """The AMF3 value that follows; the AMF3 tables live as long as the message, as Flash servers have it."""
        if self._amf3 is None:
            self._amf3 = amf3.Amf3Reader(self.data, budget=self.budget)
        self._amf3.offset = self.offset
        value = self._amf3.value(depth)
        self.offset = self._amf3.offset
        return value


class _Amf0Members(Members):
    """Members up to an empty name with the object end marker (§2.5)."""

    def __init__(self, reader: _Amf0Reader, members: dict[str, AmfValue]) -> None:
        super().__init__(members)
        self._reader = reader

    def next_key(self) -> str | None:
        reader = self._reader
        key = reader.utf8(reader.unsigned(2))
        if not key and reader.data[reader.offset : reader.offset + 1] == b"\x09":
            reader.offset += 1
            return None
        return key


class _Amf0Writer(Writer):
    """The markers of AMF0."""

    def begin(self, value: object) -> Iterator[object] | None:
        match value:
            case None:
                self._scalar(Marker.NULL)
            case bool():
                self._scalar(Marker.BOOLEAN, b"\1" if value else b"\0")
            case int() | float():
                self._scalar(Marker.NUMBER, double(value))
            case XmlDocument():
                self._sized(Marker.XML_DOCUMENT, 4, utf8(value))
            case str():
                text = utf8(value)
                short = len(text) <= MAX_SHORT_STRING
                self._sized(Marker.STRING if short else Marker.LONG_STRING, 2 if short else 4, text)
            case dict():
                return self._members(value)
            case bytes() | Vector() | Dictionary():
                self._scalar(Marker.AVMPLUS, amf3.encode(value))
            case list() | tuple():
                self._scalar(Marker.STRICT_ARRAY, len(value).to_bytes(4, "big"))
                return iter(value)
            case AmfDate():
                self._scalar(Marker.DATE, double(value.ms) + value.tz.to_bytes(2, "big", signed=True))
            case Undefined():
                self._scalar(Marker.UNDEFINED)
            case _:
                raise LocalProtocolError(f"AMF0 has no form for {type(value).__name__}")
        return None

    def _scalar(self, marker: Marker, body: bytes = b"") -> None:
        self.out.append(marker.to_bytes(1, "big") + body)

    def _sized(self, marker: Marker, width: int, text: bytes) -> None:
        self.out.append(marker.to_bytes(1, "big") + len(text).to_bytes(width, "big") + text)

    def _members(self, members: Mapping[str, object]) -> Iterator[object]:
        if isinstance(members, EcmaArray):
            self._scalar(Marker.ECMA_ARRAY, len(members).to_bytes(4, "big"))
        elif isinstance(members, TypedObject):
            self._sized(Marker.TYPED_OBJECT, 2, key_bytes(members.class_name))
        else:
            self._scalar(Marker.OBJECT)
        for key, value in members.items():
            name = key_bytes(key)
            self.out.append(len(name).to_bytes(2, "big") + name)
            yield value
        self.out.append(b"\0\0\x09")
