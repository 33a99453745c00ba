"""How a configuration key is declared: once, as a field of a frozen dataclass.

A section of ``config.lua`` is a dataclass, and each key one field of it::

    @dataclass(frozen=True)
    class Multicast:
        '''The group to which …'''

        ttl: int = key("ttl", Integer(1, 255), 127, "hops that a packet may travel")

`key` keeps the name that users write, the `Kind` of value, the default and the meaning in the field's metadata. From this
one declaration come the parser (`ems.config.reader`), its error messages, the defaults and the reference page
(`ems.config.reference`).
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")
D = TypeVar("D")

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Kind(Generic[T]):
    """A kind of value: `convert` checks and converts one, `expected` names it in messages and in the reference."""

    @property
    def expected(self) -> str:
        """The values that are accepted, as the end of a sentence: ``1–65535``, ``true or false``."""
        raise NotImplementedError

    def convert(self, value: object) -> T:
        """Return `value` as the section holds it; raises `ValueError` (its text is not shown) when it is of another kind."""
        raise NotImplementedError


class Boolean(Kind[bool]):
    """``true`` or ``false``."""

    expected = "true or false"

    def convert(self, value: object) -> bool:
        """Accept a boolean only: 0 and 1 are numbers in Lua and both would be true there."""
        if not isinstance(value, bool):
            raise ValueError
        return value


@dataclass(frozen=True)
class Integer(Kind[int]):
    """An integer from `least` to `most` (None: no bound), or one of the special values `also`."""

    least: int | None = 0
    most: int | None = None
    also: tuple[int, ...] = ()

    @property
    def expected(self) -> str:
        """``1–65535``, ``a whole number of at least 0``; special values follow."""
        return " or ".join([_range_text("a whole number", self.least, self.most), *map(str, self.also)])

    def convert(self, value: object) -> int:
        """Accept an integral number within the range."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError
        if value not in self.also and not _within(value, self.least, self.most):
            raise ValueError
        return value


@dataclass(frozen=True)
class Number(Kind[float]):
    """A finite number, fractions allowed, from `least` to `most`."""

    least: float = 0.0
    most: float | None = None

    @property
    def expected(self) -> str:
        """``a number from 0 to 300``."""
        return f"a number, {_range_text('', self.least, self.most).strip()}"

    def convert(self, value: object) -> float:
        """Accept any finite number within the range."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError
        if not math.isfinite(value) or not _within(value, self.least, self.most):
            raise ValueError
        return float(value)


@dataclass(frozen=True)
class Clamped(Kind[int]):
    """An integer that is moved into `least`…`most` instead of being refused, as the documents of the original promise."""

    least: int
    most: int

    @property
    def expected(self) -> str:
        """Says the range and that values outside are moved into it."""
        return f"a whole number, moved into {self.least}–{self.most}"

    def convert(self, value: object) -> int:
        """Accept any integer and return the nearest one of the range."""
        return min(max(Integer(None).convert(value), self.least), self.most)


@dataclass(frozen=True)
class Text(Kind[str]):
    """A string; with `filled` not the empty one."""

    filled: bool = False

    @property
    def expected(self) -> str:
        """``a string`` or ``a string that is not empty``."""
        return "a string that is not empty" if self.filled else "a string"

    def convert(self, value: object) -> str:
        """Accept text without NUL (no path, address or log line survives one)."""
        if not isinstance(value, str) or "\0" in value or (self.filled and not value):
            raise ValueError
        return value


@dataclass(frozen=True)
class FilePath(Text):
    """The path of a file or folder; a relative one starts at the runtime directory, in an application at its ``appDir``."""

    @property
    def expected(self) -> str:
        """``a path``."""
        return "a path"


@dataclass(frozen=True)
class Choice(Kind[str]):
    """One of a few words, in any case; the declared spelling is what the section holds."""

    words: tuple[str, ...]

    @property
    def expected(self) -> str:
        """The words, quoted."""
        return " or ".join(f'"{word}"' for word in self.words)

    def convert(self, value: object) -> str:
        """Accept one of the words whatever its case."""
        if isinstance(value, str):
            for word in self.words:
                if word.lower() == value.lower():
                    return word
        raise ValueError


@dataclass(frozen=True)
class Pattern(Kind[str]):
    """Text of the form `regex`, described to people as `form`."""

    regex: str
    form: str

    @property
    def expected(self) -> str:
        """The form in words."""
        return self.form

    def convert(self, value: object) -> str:
        """Accept text that the whole expression matches."""
        if not isinstance(value, str) or re.fullmatch(self.regex, value) is None:
            raise ValueError
        return value


class Address(Kind[str]):
    """The address of an interface: IPv4, IPv6 or a host name. ``localhost`` is 127.0.0.1, as it always was."""

    expected = "an IP address or a host name"

    def convert(self, value: object) -> str:
        """Accept a literal or a host name (RFC 1123 §2.1); what it resolves to is found out when it is bound."""
        if not isinstance(value, str):
            raise ValueError
        if value.lower() == "localhost":
            return "127.0.0.1"
        if re.fullmatch(r"(?=.{1,253}$)(?!-)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*(?<![\d.])", value) is None:
            ip_address(value)
        return value


class TextList(Kind[tuple[str, ...]]):
    """A list of strings, none of them empty."""

    expected = "a list of strings that are not empty"

    def convert(self, value: object) -> tuple[str, ...]:
        """Accept an array; an empty table is an empty list."""
        if value == {}:
            return ()
        if not isinstance(value, list):
            raise ValueError
        return tuple(Text(filled=True).convert(item) for item in value)


class Anything(Kind[object]):
    """Any value: it is handed on as it is."""

    expected = "any value"

    def convert(self, value: object) -> object:
        """Accept everything."""
        return value


class Ignored(Kind[None]):
    """A key of older servers that means nothing here: accepted so that their files load, then forgotten."""

    expected = "ignored"

    def convert(self, value: object) -> None:
        """Forget the value."""
        return


@dataclass(frozen=True)
class Section(Kind[T]):
    """A table with the keys of the dataclass `of`."""

    of: type[T]

    @property
    def expected(self) -> str:
        """``a table``."""
        return "a table"


@dataclass(frozen=True)
class SectionList(Kind[tuple[T, ...]]):
    """A list of tables, each with the keys of the dataclass `of`.

    A table whose key in `skipped_for` is missing or wrong is skipped with a warning; any other mistake is an error.
    """

    of: type[T]
    skipped_for: tuple[str, ...] = ()

    @property
    def expected(self) -> str:
        """``a list of tables``."""
        return "a list of tables"


@dataclass(frozen=True)
class Entries(SectionList[T]):
    """All tables that stand in the same table without a name, or under a name of their own when `named`.

    An entry of a `named` kind whose own ``name`` is missing is called by the name or the position of its table
    (``0x00000001`` is the first).
    """

    named: bool = False


class Checked:
    """A section some of whose keys depend on each other."""

    def contradictions(self) -> Iterable[tuple[str, str]]:
        """Yield the name of each key that does not go with the others, and what is wrong with it."""
        raise NotImplementedError


@dataclass(frozen=True)
class Key:
    """The declaration of one key; `name` is as users write it, though any case is understood.

    What an `absent` key asks for is not in this version of the server, which a value other than the default is told.
    """

    name: str
    kind: Kind[Any]
    meaning: str
    required: bool = False
    aliases: tuple[str, ...] = ()
    inherited: bool = False
    absent: bool = False


def key(
    name: str,
    kind: Kind[T],
    default: D,
    meaning: str,
    *,
    required: bool = False,
    aliases: tuple[str, ...] = (),
    inherited: bool = False,
    absent: bool = False,
) -> T | D:
    """Declare the key `name` as a dataclass field.

    A `required` key that is missing is an error of the file; its `default` only serves those who build the section in
    Python. `aliases` are other spellings that the same key has had. An `inherited` value also counts for the key of the
    same name in tables that come later in the declarations, where these give none. `absent` is as in `Key`.
    """
    declared = Key(name, kind, meaning, required, aliases, inherited, absent)
    return cast(T | D, field(default=default, metadata={"key": declared}))


def extra(known: tuple[str, ...] = ()) -> Mapping[str, Any]:
    """Declare the field that keeps other keys of the section, unchecked, by the names that the file gives them.

    Names in `known` are kept without a word. Without `known` all are, but one that looks like a slip of a declared key is
    reported.
    """
    return field(default_factory=_nothing, metadata={"extra": known})


@dataclass(frozen=True)
class Declarations:
    """What a section's dataclass declares: its keys by field name, and the field for other keys if it has one."""

    keys: Mapping[str, Key]
    extra: str | None = None
    extra_known: tuple[str, ...] = ()

    @property
    def entries(self) -> tuple[str, Key] | None:
        """The field that collects the tables without a name of their own, if there is one."""
        found = [(name, declared) for name, declared in self.keys.items() if isinstance(declared.kind, Entries)]
        return found[0] if found else None


def declarations(section: type[Any]) -> Declarations:
    """Return the declarations of the dataclass `section`, in its order."""
    declared = fields(section)
    keys = {item.name: item.metadata["key"] for item in declared if "key" in item.metadata}
    spare = [(item.name, item.metadata["extra"]) for item in declared if "extra" in item.metadata]
    return Declarations(MappingProxyType(keys), *(spare[0] if spare else ()))


def _nothing() -> Mapping[str, Any]:
    return NOTHING


def _within(value: float, least: float | None, most: float | None) -> bool:
    return (least is None or value >= least) and (most is None or value <= most)


def _range_text(noun: str, least: float | None, most: float | None) -> str:
    if least is not None and most is not None:
        return f"{least:g}–{most:g}" if max(abs(least), abs(most)) < 1e6 else f"{least}–{most}"
    if least is not None:
        return f"{noun} of at least {least:g}"
    return noun if most is None else f"{noun} of at most {most:g}"
