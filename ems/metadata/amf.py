"""Metadata and the data messages of RTMP: AMF0 (`ems.formats.amf0`) on one side, JSON on the other.

A data message is a name and its arguments: ``onMetaData`` and an object, ``onTextData`` and an object. As metadata it is an
object of that one name: ``{"onMetaData":{"width":1280}}``, with a list when there are several arguments.

In the other direction metadata goes to players as the message ``onEMSMetaData``, whose argument is the whole envelope. It is a
name of its own because players take ``onMetaData`` for a description of the codecs. Such a message that comes in, from a server
of our kind, is the envelope again.
"""

import base64
import math
from datetime import UTC, datetime, timedelta
from typing import Any

from ems.formats import amf0
from ems.formats.amf_values import UNDEFINED, AmfDate, AmfValue, Dictionary
from ems.metadata.envelope import is_wrapped
from ems.metadata.json_text import Json

MESSAGE = "onEMSMetaData"

MAX_MESSAGE = 64 << 10
"""Bytes of a data message that is looked at."""

_MAX_EXACT = 2**53
"""Up to here a double has every whole number."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_message(value: Json) -> bytes:
    """The data message with this envelope. Raises `LocalProtocolError` for one that AMF0 cannot hold."""
    return amf0.encode(MESSAGE, value)


def from_message(message: bytes) -> Json:
    """What a data message says, as metadata; None when it says nothing, or too much. Never raises."""
    if len(message) > MAX_MESSAGE:
        return None
    name, *arguments = amf0.decode_prefix(message) or [None]
    if not isinstance(name, str) or not arguments:
        return None
    values = [to_json(argument) for argument in arguments]
    if name == MESSAGE and is_wrapped(values[0]):
        return values[0]
    return {_text(name): values[0] if len(values) == 1 else values}


def to_json(value: AmfValue) -> Json:
    """An AMF value as JSON: dates as ISO 8601 in UTC, bytes as base64, NaN, infinities and undefined as null.

    The reader has limited size and depth; the nesting is walked with a list of its own nevertheless, and not by recursion.
    """
    root: list[Json] = [None]
    todo: list[tuple[Any, Any, AmfValue]] = [(root, 0, value)]
    while todo:
        place, key, value = todo.pop()
        if isinstance(value, dict):
            names = [_text(name) for name in value]
            members: dict[str, Json] = dict.fromkeys(names)
            place[key] = members
            todo += ((members, name, member) for name, member in zip(names, value.values(), strict=True))
        elif isinstance(value, list):
            items: list[Any] = [[*pair] for pair in value] if isinstance(value, Dictionary) else [*value]
            elements: list[Json] = [None] * len(items)
            place[key] = elements
            todo += ((elements, index, item) for index, item in enumerate(items))
        else:
            place[key] = _scalar(value)
    return root[0]


def _scalar(value: Any) -> Json:
    match value:
        case None | bool() | int():
            return value
        case float():
            return _number(value)
        case str():
            return _text(value)
        case AmfDate():
            return _date(value)
        case bytes():
            return base64.b64encode(value).decode()
    assert value is UNDEFINED
    return None


def _number(value: float) -> float | None:
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) <= _MAX_EXACT else value


def _date(date: AmfDate) -> str | None:
    try:
        moment = _EPOCH + timedelta(milliseconds=date.ms)
    except (OverflowError, ValueError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(text: str) -> str:
    """Text that UTF-8 can hold; what was no UTF-8 becomes a replacement character."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
