"""JSON from outside (RFC 8259): read, unless it is more than we take or less than JSON.

What the standard leaves open, and what programs therefore read differently, is refused: a name twice in an object, NaN and
infinities, numbers that no double holds, halves of surrogate pairs. Depth and values are counted before anything is parsed, so
nesting costs no stack, and a text of nothing but small values little time.
"""

import json
import math
import re
from typing import NoReturn, TypeAlias

from ems.errors import MalformedData

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""A value of JSON in Python."""

MAX_TEXT = 64 << 10
"""Bytes of one text: a minute of positions at 10 a second, twice over, and what one frame of a WebSocket may have."""

MAX_DEPTH = 24
"""Containers inside one another. AMF, in which RTMP players get it, has 32, and the envelope and the message take some."""

MAX_VALUES = 4000
"""Values and names in one text; a minute of positions at 10 a second has 3000. AMF, in which RTMP players get it, has 4096, and
the envelope and the message take some. Each costs a microsecond or two, for reading and for writing it as AMF."""

_TOKENS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{\]}]|[^"\[{\]},:\s]++', re.DOTALL)
"""Strings, brackets, and what is neither: numbers and words. Nothing is looked at twice: the quantifiers do not give back what
they have taken."""

_SURROGATE = re.compile("[\ud800-\udfff]")


def read_json(text: str) -> Json:
    """The value of a JSON text. Raises `MalformedData`, in words for the sender."""
    if len(text.encode("utf-8", "replace")) > MAX_TEXT:
        raise MalformedData(f"more than {MAX_TEXT >> 10} KiB of metadata in one text")
    _check_shape(text)
    try:
        value: Json = json.loads(
            text, object_pairs_hook=_members, parse_constant=_refuse_constant, parse_int=_integer, parse_float=_number
        )
    except ValueError as error:
        raise MalformedData(f"not JSON: {error}") from None
    if _SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        raise MalformedData("not JSON: half a surrogate pair")
    return value


def write_json(value: Json) -> str:
    """The value as JSON without white space."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _check_shape(text: str) -> None:
    depth = values = 0
    for token in _TOKENS.finditer(text):
        first = text[token.start()]
        if first in "}]":
            depth -= 1
            continue
        values += 1
        if values > MAX_VALUES:
            raise MalformedData(f"not taken: JSON of more than {MAX_VALUES} values and names")
        if first in "{[":
            depth += 1
            if depth > MAX_DEPTH:
                raise MalformedData(f"not taken: JSON nested more than {MAX_DEPTH} deep")


def _members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("an object has a name twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _integer(digits: str) -> int | float:
    # Python takes its time for thousands of digits; 20 are what 64 bits need, with a sign.
    return int(digits) if len(digits) <= 20 else _number(digits)


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is out of range")
    return number
