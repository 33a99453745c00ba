"""Variants as XML: the form of auth.xml, connlimits.xml, ingestpoints.xml, pushPullSetup.xml and their kind.

One root element; the element's name is the value's type, the attribute ``name`` its name in the map around it::

    <?xml version="1.0" ?>
    <MAP isArray="false" name="">
        <UINT32 name="configId">7</UINT32>
        <STR name="uri">rtsp://192.0.2.40/cam/7</STR>
    </MAP>

`ems.config.variant` has the types. Reading is for files that people edit and disks damage: every wrong element is an error
that names it, nothing that the file says is fetched or expanded, and size, depth and count have limits.
"""

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from typing import cast
from xml.sax.saxutils import escape, quoteattr

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError

from ems.config.variant import (
    Array,
    Int8,
    Int16,
    Int32,
    Int64,
    SizedInt,
    TypedMap,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Variant,
    VariantError,
    check_depth,
    encoded,
    entries_of,
    is_array,
    rounded,
)

MAX_FILE = 4 << 20
"""Bytes of a file, as in the original: about three thousand jobs."""

MAX_VALUES = 100_000
"""Elements of a file: those of `MAX_FILE` with ordinary contents."""

INDENT = "    "


def read_variant(content: bytes) -> Variant:
    """The value that a file holds. Raises `VariantError` naming the element that is wrong.

    Maps become `dict`, `Array` or `TypedMap`, in the order of the file; an ``UNDEFINED`` becomes None.
    """
    if len(content) > MAX_FILE:
        raise VariantError(f"the file is larger than {MAX_FILE >> 20} MiB")
    try:
        text = content.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        raise VariantError(f"byte {error.start} is not UTF-8 text") from None
    reader = _Reader()
    # A text, not bytes: whatever encoding the declaration names, what is read is what was checked here.
    parser = DefusedXMLParser(target=reader, forbid_dtd=True)
    try:
        parser.feed(text)
        return cast(Variant, parser.close())
    except ParseError as error:
        raise VariantError(f"not well-formed XML: {error}") from None
    except DefusedXmlException:
        raise VariantError("a document type declaration has no place in this file") from None


def write_variant(value: Variant, *, compact: bool = False) -> bytes:
    """The file for a value. Raises `VariantError` for what cannot be stored or would be too large to read again.

    When `compact` it is the root element alone, in one line without white space between elements.
    """
    if compact:
        content = "".join(line.strip() for line in _lines(value, "", 0)).replace("\n", "&#10;").encode()
    else:
        content = ('<?xml version="1.0" ?>\n' + "".join(_lines(value, "", 0))).encode()
    if len(content) > MAX_FILE:
        raise VariantError(f"more than {MAX_FILE >> 20} MiB would have to be stored")
    return content


def _lines(value: Variant, name: str, depth: int) -> Iterator[str]:
    entries = entries_of(value)
    indent = INDENT * depth
    if entries is None:
        yield f"{indent}{_scalar(value, name)}\n"
        return
    check_depth(depth)
    tag, attributes = "MAP", f'isArray="{_word(is_array(value))}" name={_quoted(name)}'
    if isinstance(value, TypedMap):
        tag, attributes = "TYPED_MAP", f"{attributes} typeName={_quoted(value.type_name)}"
    if not entries:
        yield f"{indent}<{tag} {attributes} />\n"
        return
    yield f"{indent}<{tag} {attributes}>\n"
    for inner_name, inner in entries:
        yield from _lines(inner, inner_name, depth + 1)
    yield f"{indent}</{tag}>\n"


def _scalar(value: Variant, name: str) -> str:
    if value is None:
        return f"<NULL name={_quoted(name)} />"
    try:
        tag, text_of = _WRITERS[type(value)]
    except KeyError:
        raise VariantError(f"{name}: a value of type {type(value).__name__} cannot be stored") from None
    return f"<{tag} name={_quoted(name)}>{text_of(value)}</{tag}>"


FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 §2.2 has no form for, not even an escaped one."""


def _storable(text: str) -> str:
    encoded(text)
    found = FORBIDDEN.search(text)
    if found is not None:
        raise VariantError(f"{text[:40]!r} contains U+{ord(found.group()):04X}, which cannot be stored")
    return text


def _escaped(text: str) -> str:
    # A bare carriage return would come back as a line feed (XML 1.0 §2.11).
    return escape(_storable(text), {"\r": "&#13;"})


def _quoted(text: str) -> str:
    return quoteattr(_storable(text), {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;"})


def _word(value: object) -> str:
    return "true" if value else "false"


def _timestamp(value: datetime) -> str:
    moment = value.astimezone(UTC) if value.tzinfo is not None else value
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000")


_INTEGERS: tuple[type[SizedInt], ...] = (Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64)

_WRITERS: dict[type, tuple[str, Callable[..., str]]] = {
    bool: ("BOOL", _word),
    **{width: (width.__name__.upper(), str) for width in _INTEGERS},
    float: ("DOUBLE", lambda value: f"{rounded(value):.3f}"),
    str: ("STR", _escaped),
    datetime: ("TIMESTAMP", _timestamp),
    date: ("DATE", lambda value: cast(str, value.isoformat())),
    time: ("TIME", lambda value: cast(str, value.strftime("%H:%M:%S.000"))),
    bytes: ("BYTEARRAY", lambda value: base64.b64encode(value).decode()),
}


class _Element:
    """An element that is open: its value is made when it ends."""

    __slots__ = ("entries", "name", "read", "texts")

    def __init__(self, name: str, read: Callable[[str], Variant] | None, entries: dict[str, Variant] | None) -> None:
        self.name = name
        self.read = read
        self.entries = entries
        self.texts: list[str] = []

    def value(self) -> Variant:
        """What it stands for; raises `ValueError` for a wrong text."""
        text = "".join(self.texts)
        if self.read is not None:
            return self.read(text)
        if text.strip():
            raise VariantError(f"text between its elements: {text.strip()[:40]!r}")
        return self.entries


class _Reader:
    """Takes a parser's events and builds the value; open elements wait on a stack, so that no depth can exhaust Python's."""

    def __init__(self) -> None:
        self._stack: list[_Element] = []
        self._count = 0
        self._root: Variant = None

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        self._count += 1
        if self._count > MAX_VALUES:
            raise VariantError(f"more than {MAX_VALUES} elements")
        if self._stack and self._stack[-1].entries is None:
            raise self._wrong(f"a <{tag[:40]}> inside a value that is no map")
        if tag not in _READERS and tag not in _CONTAINERS:
            raise self._wrong(f"<{tag[:40]}> is not a type of value")
        name = attributes.get("name")
        if name is None and self._stack:
            raise self._wrong(f"a <{tag}> without a name")
        entries = _CONTAINERS[tag](attributes) if tag in _CONTAINERS else None
        self._stack.append(_Element(name or "", _READERS.get(tag), entries))
        if entries is not None:
            check_depth(len(self._stack) - 1)

    def data(self, text: str) -> None:
        """Text of the innermost element."""
        self._stack[-1].texts.append(text)

    def end(self, tag: str) -> None:
        """An element ends."""
        element = self._stack[-1]
        try:
            value = element.value()
        except ValueError as error:
            reason = str(error) if isinstance(error, VariantError) else f"{''.join(element.texts)[:40]!r} is not a {tag}"
            raise self._wrong(reason) from None
        self._stack.pop()
        if not self._stack:
            self._root = value
            return
        entries = self._stack[-1].entries
        assert entries is not None
        if element.name in entries:
            raise self._wrong(f"two elements are named {element.name[:40]!r}")
        entries[element.name] = value

    def close(self) -> Variant:
        """The root's value."""
        return self._root

    def _wrong(self, reason: str) -> VariantError:
        names = ".".join(element.name[:40] for element in self._stack if element.name)
        return VariantError(f"{names or 'the root element'}: {reason}")


def _read_boolean(text: str) -> bool:
    word = text.strip()
    if word not in ("true", "false"):
        raise ValueError
    return word == "true"


def _integer_reader(width: type[SizedInt]) -> Callable[[str], Variant]:
    def read(text: str) -> Variant:
        if re.fullmatch(r"-?[0-9]{1,20}", text.strip(), re.ASCII) is None:
            raise ValueError
        return width(int(text))

    return read


def _read_double(text: str) -> float:
    if re.fullmatch(r"-?[0-9]{1,309}(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,3})?", text.strip(), re.ASCII) is None:
        raise ValueError
    return rounded(float(text))


def _read_null(text: str) -> None:
    if text.strip():
        raise ValueError


_CONTAINERS: dict[str, Callable[[Mapping[str, str]], dict[str, Variant]]] = {
    "MAP": lambda attributes: Array() if attributes.get("isArray") == "true" else {},
    "TYPED_MAP": lambda attributes: TypedMap(attributes.get("typeName", "")),
}

_READERS: dict[str, Callable[[str], Variant]] = {
    "NULL": _read_null,
    "UNDEFINED": _read_null,
    "BOOL": _read_boolean,
    **{width.__name__.upper(): _integer_reader(width) for width in _INTEGERS},
    "DOUBLE": _read_double,
    "STR": lambda text: text,
    "TIMESTAMP": lambda text: datetime.strptime(text.strip(), "%Y-%m-%dT%H:%M:%S.%f").replace(tzinfo=UTC),
    "DATE": lambda text: datetime.strptime(text.strip(), "%Y-%m-%d").date(),
    "TIME": lambda text: datetime.strptime(text.strip(), "%H:%M:%S.%f").time(),
    "BYTEARRAY": lambda text: base64.b64decode("".join(text.split()), validate=True),
}
