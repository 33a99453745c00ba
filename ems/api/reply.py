"""What goes back to the caller, and its two forms on the wire.

JSON (the doors on 1112 and 7777) is one object without white space, its keys sorted by their bytes::

    {"data":[5],"description":"Available stream IDs","responseId":"k17","status":"SUCCESS"}

``data`` is null when a command failed, ``responseId`` is there only when the request had a ``commandId``. The text of the
ASCII door (1222) is for people; its lines end with LF CR, in this order.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

from ems.api.command import Json

JSON_END = b"\r\n\r\n"
"""What follows the JSON of a reply on every door but the modern form of HTTP."""

LENGTH_PREFIX_SIZE = 4

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
"""Control characters of stream names and the like, made visible: they would command the reader's terminal."""


class Status(str, Enum):
    """Whether a command could be carried out. Nothing else exists."""

    SUCCESS = "SUCCESS"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to one request.

    `http_status` is what the modern form of the HTTP door answers with. `ascii_fields` are the keys that the ASCII door
    shows, all when empty. `closes` ends the connection after the reply, `silent` instead of it. With `raw` that text alone is
    sent, by every door.
    """

    status: Status
    description: str
    data: Json = None
    response_id: str = ""
    http_status: HTTPStatus = HTTPStatus.OK
    ascii_fields: tuple[str, ...] = ()
    closes: bool = False
    silent: bool = False
    raw: str | None = None


def failure(description: str, response_id: str = "", http_status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> Reply:
    """The reply to a request that could not be carried out."""
    return Reply(Status.FAIL, description, None, response_id, http_status)


def reply_object(reply: Reply) -> dict[str, Json]:
    """The reply as a map."""
    fields: dict[str, Json] = {"data": reply.data, "description": reply.description, "status": reply.status.value}
    if reply.response_id:
        fields["responseId"] = reply.response_id
    return fields


def to_json(reply: Reply) -> bytes:
    """The reply object in UTF-8, without anything around it."""
    return reply.raw.encode("utf-8", "replace") if reply.raw is not None else compact_json(reply_object(reply))


def to_json_text(reply: Reply) -> bytes:
    """The reply object and what ends it, as the doors of the original send it."""
    return to_json(reply) + (JSON_END if reply.raw is None else b"")


def compact_json(value: Json) -> bytes:
    """JSON without white space and with sorted keys, in UTF-8. Half a surrogate pair, which UTF-8 cannot hold, becomes ``?``."""
    source = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return source.encode("utf-8", "replace")


def to_json_line(reply: Reply, length_prefix: bool) -> bytes:
    """The reply as the JSON door sends it: with `length_prefix`, behind the length of all that follows in 4 bytes."""
    body = to_json_text(reply)
    return len(body).to_bytes(LENGTH_PREFIX_SIZE, "big") + body if length_prefix and reply.raw is None else body


def to_ascii(reply: Reply) -> bytes:
    """The reply as text for people, in UTF-8: a status line, the description, and the data indented."""
    if reply.raw is not None:
        return to_json(reply)
    description = reply.description.translate(_CONTROLS)
    if reply.status is Status.FAIL:
        return f"Command failed!\n\r{description}\n\r\n\r".encode("utf-8", "replace")
    shown = frozenset(field.lower() for field in reply.ascii_fields)
    fields = "".join(_lines(reply.data, shown, 4))
    return f"Command entered successfully!\n\r{description}\n\r{fields}\n\r\n".encode("utf-8", "replace")


def _lines(value: Json, shown: Collection[str], indentation: int) -> Iterator[str]:
    blanks = " " * indentation
    match value:
        case dict():
            yield "\n\r"
            for key in sorted(value):
                if not shown or key.lower() in shown:
                    yield f"{blanks}{key.translate(_CONTROLS)}: "
                    yield from _lines(value[key], shown, indentation + 2)
        case [_, *_]:
            yield "\n\r"
            for element in value:
                yield f"{blanks}-- "
                yield from _lines(element, shown, indentation + 2)
        case _:
            yield _scalar(value) + "\n\r"


def _scalar(value: Json) -> str:
    match value:
        case None:
            return ""
        case str():
            return value.translate(_CONTROLS)
        case list():
            return "[]"
        case _:
            return json.dumps(value)
