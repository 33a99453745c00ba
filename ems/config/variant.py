"""Typed values, as the server's own files keep them, and their binary form.

The original stores whatever must survive a restart as a *variant*: a value that knows its type to the byte. A checksum is
taken over the binary form, where the width of a number counts, so widths are kept here, too:

================================ =======================================================
Variant                          Python
================================ =======================================================
null                             `None`
bool                             `bool`
int8 … int64, uint8 … uint64     `Int8` … `Int64`, `UInt8` … `UInt64`: an `int` with a width
double                           `float`, kept to three decimals
string                           `str`
timestamp, date, time            `datetime` (UTC), `date`, `time`, to the second
byte array                       `bytes`
map                              `dict`
map that is an array             `Array`, a `dict` whose names are positions or ids; or any `list`
typed map                        `TypedMap`, a `dict` with the name of its type
================================ =======================================================

A plain `int` has no width and is refused: ``UInt32(7)`` says which. `ems.config.variant_xml` reads and writes the XML form.
"""

import calendar
import hashlib
import math
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import ClassVar, TypeAlias, TypeVar, cast

MAX_DEPTH = 32
"""Maps within maps. The deepest file of the server has four."""

T = TypeVar("T")


class VariantError(ValueError):
    """A value that cannot be stored, or a text or file that is no variant; the text says which element is wrong."""


class SizedInt(int):
    """An integer of a declared width. Raises `VariantError` when the value does not fit."""

    SIZE: ClassVar[int]
    SIGNED: ClassVar[bool]

    def __new__(cls, value: int) -> "SizedInt":
        bits = 8 * cls.SIZE
        least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if cls.SIGNED else (0, (1 << bits) - 1)
        if not least <= value <= most:
            raise VariantError(f"{value} is not in {least}…{most}")
        return super().__new__(cls, value)


class Int8(SizedInt):
    """-128…127."""

    SIZE, SIGNED = 1, True


class Int16(SizedInt):
    """Two bytes with a sign."""

    SIZE, SIGNED = 2, True


class Int32(SizedInt):
    """Four bytes with a sign."""

    SIZE, SIGNED = 4, True


class Int64(SizedInt):
    """Eight bytes with a sign."""

    SIZE, SIGNED = 8, True


class UInt8(SizedInt):
    """0…255."""

    SIZE, SIGNED = 1, False


class UInt16(SizedInt):
    """0…65535."""

    SIZE, SIGNED = 2, False


class UInt32(SizedInt):
    """Four bytes without a sign."""

    SIZE, SIGNED = 4, False


class UInt64(SizedInt):
    """Eight bytes without a sign."""

    SIZE, SIGNED = 8, False


Variant: TypeAlias = (
    "bool | SizedInt | float | str | bytes | datetime | date | time | Mapping[str, Variant] | Sequence[Variant] | None"
)
"""A value that can be stored."""


class Array(dict[str, Variant]):
    """A map whose names are numbers, written as `index_name` does: a list, or entries by their id."""

    @classmethod
    def of(cls, items: Iterable[Variant]) -> "Array":
        """The items with their positions, from 0, as names."""
        return cls((index_name(index), item) for index, item in enumerate(items))


class TypedMap(dict[str, Variant]):
    """A map that names the type it stands for."""

    def __init__(self, type_name: str, entries: Mapping[str, Variant] | Iterable[tuple[str, Variant]] = ()) -> None:
        super().__init__(entries)
        self.type_name = type_name


def index_name(number: int) -> str:
    """The name of an array's entry: ``0x0000000a`` for 10."""
    return f"0x{number:08x}"


def rounded(value: float) -> float:
    """A double as it is stored: to three decimals. Raises `VariantError` for infinities and NaN."""
    if not math.isfinite(value):
        raise VariantError(f"{value} is not a finite number")
    return round(value, 3) + 0.0


def entries_of(value: Variant) -> list[tuple[str, Variant]] | None:
    """The entries of a map or list in byte order of their names; None for a value that is neither."""
    if isinstance(value, Mapping):
        return sorted(value.items(), key=lambda entry: entry[0].encode(errors="surrogatepass"))
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return list(Array.of(value).items())
    return None


def is_array(value: Variant) -> bool:
    """Whether a map or list is written as an array."""
    return not isinstance(value, Mapping) or isinstance(value, Array)


def checksum(root: Mapping[str, Variant]) -> str:
    """The MD5, in lower-case hex, of the binary form of a map without its entry ``checksum``."""
    entries = {name: value for name, value in root.items() if name != "checksum"}
    return hashlib.md5(to_binary(entries), usedforsecurity=False).hexdigest()


def to_binary(value: Variant) -> bytes:
    """The binary form: a type byte, then the value, big-endian. Raises `VariantError` for what cannot be stored."""
    return b"".join(_binary(value, 0))


def _binary(value: Variant, depth: int) -> Iterator[bytes]:
    entries = entries_of(value)
    if entries is None:
        yield _scalar(value)
        return
    check_depth(depth)
    yield bytes((_TYPED_MAP if isinstance(value, TypedMap) else _MAP, is_array(value)))
    if isinstance(value, TypedMap):
        yield _counted(encoded(value.type_name))
    yield struct.pack(">I", len(entries))
    for name, inner in entries:
        yield _counted(encoded(name))
        yield from _binary(inner, depth + 1)


def _scalar(value: Variant) -> bytes:
    try:
        code, pack = _SCALARS[type(value)]
    except KeyError:
        raise VariantError(f"a value of type {type(value).__name__} cannot be stored") from None
    return bytes((code,)) + pack(value)


def check_depth(depth: int) -> None:
    """Raise `VariantError` for a map that lies too deep."""
    if depth >= MAX_DEPTH:
        raise VariantError(f"maps lie more than {MAX_DEPTH} deep")


def encoded(text: str) -> bytes:
    """Text as it is stored. Raises `VariantError` for half a surrogate pair, which UTF-8 has no form for."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise VariantError(f"{text[:40]!r} is not a text that UTF-8 can hold") from None


def _counted(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


def _integer(value: SizedInt) -> bytes:
    return value.to_bytes(value.SIZE, "big", signed=value.SIGNED)


def _seconds(value: date) -> bytes:
    """Seconds since the epoch; a time without a zone counts as UTC."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC)
    return struct.pack(">q", calendar.timegm(value.timetuple()))


def _second_of_day(value: time) -> bytes:
    return struct.pack(">q", value.hour * 3600 + value.minute * 60 + value.second)


_Pack = Callable[[Variant], bytes]


def _packed_by(pack: Callable[[T], bytes]) -> _Pack:
    return cast(_Pack, pack)


_TYPED_MAP, _MAP = 18, 19

_SCALARS: dict[type, tuple[int, _Pack]] = {
    type(None): (1, _packed_by(lambda _: b"")),
    bool: (3, _packed_by(lambda value: bytes((bool(value),)))),
    **{
        width: (code, _packed_by(_integer))
        for code, width in enumerate((Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64), 4)
    },
    float: (12, _packed_by(lambda value: struct.pack(">d", rounded(cast(float, value))))),
    datetime: (14, _packed_by(_seconds)),
    date: (15, _packed_by(_seconds)),
    time: (16, _packed_by(_second_of_day)),
    str: (17, _packed_by(lambda value: _counted(encoded(cast(str, value))))),
    bytes: (20, _packed_by(_counted)),
}
