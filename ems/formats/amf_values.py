"""What AMF0 and AMF3 serialise, as Python values.

Action Message Format serialises the values of ActionScript: RTMP commands, their answers and stream metadata are AMF0
(`ems.formats.amf0`) with occasional AMF3 inside (`ems.formats.amf3`). In Python they are

================== ===========================================================================================
Number             `float`; an AMF3 integer is an `int`
Boolean            `bool`
String             `str`; bytes that are not UTF-8 become surrogate escapes and are written back as they were
Null, undefined    `None`, `UNDEFINED`
Object             `dict`; with a class name, `TypedObject`
ECMA array         `EcmaArray`, keys in order; also an AMF3 array with an associative part, its dense part first
Strict array       `list`; also an AMF3 array that is dense
Date               `AmfDate`
XML, XML document  `XmlDocument`
ByteArray          `bytes` (AMF3 only, as the two below)
Vector             `Vector`
Dictionary         `Dictionary`
================== ===========================================================================================

What was sent once and referred to twice is one Python object in two places. No value contains itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias


class Undefined(Enum):
    """The type of `UNDEFINED`, the one value of ActionScript's undefined. It is false, as None is."""

    UNDEFINED = "undefined"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNDEFINED"


UNDEFINED: Final = Undefined.UNDEFINED


@dataclass(frozen=True, slots=True)
class AmfDate:
    """A moment: `ms` milliseconds since the epoch in UTC. `tz` is reserved and should be 0 (AMF0 §2.13); AMF3 has none."""

    ms: float
    tz: int = 0


class XmlDocument(str):
    """The text of an XML document, not parsed."""

    __slots__ = ()


class EcmaArray(dict[str, "AmfValue"]):
    """An associative array: what onMetaData is."""


class TypedObject(dict[str, "AmfValue"]):
    """An object of the class `class_name`."""

    def __init__(self, class_name: str, members: Mapping[str, "AmfValue"] | Iterable[tuple[str, "AmfValue"]] = ()) -> None:
        super().__init__(members)
        self.class_name = class_name


class VectorType(Enum):
    """What a vector holds; the value is its AMF3 marker (§3.15)."""

    INT = 0x0D
    UINT = 0x0E
    DOUBLE = 0x0F
    OBJECT = 0x10


class Vector(list["AmfValue"]):
    """An AMF3 vector (§3.15) of `type`; `class_name` names what a vector of objects holds."""

    def __init__(self, type: VectorType, items: Iterable["AmfValue"] = (), fixed: bool = False, class_name: str = "") -> None:
        super().__init__(items)
        self.type = type
        self.fixed = fixed
        self.class_name = class_name


class Dictionary(list[tuple["AmfValue", "AmfValue"]]):
    """An AMF3 dictionary (§3.16) as pairs, because its keys may be objects."""

    def __init__(self, pairs: Iterable[tuple["AmfValue", "AmfValue"]] = (), weak: bool = False) -> None:
        super().__init__(pairs)
        self.weak = weak


_Scalar: TypeAlias = bool | int | float | str | bytes | Undefined | AmfDate | None

AmfValue: TypeAlias = _Scalar | dict[str, "AmfValue"] | list["AmfValue"] | Vector | Dictionary
"""Whatever a message can hold."""
