"""The body of the modern form of HTTP: one flat JSON object, whose names are the parameters.

Values are strings, numbers, booleans, null for "not given", or a list of the former. Nothing is split at commas and nothing
needs an escape. What JSON leaves open is refused here (RFC 8259 §4, §6, §8.2): a name twice, NaN and infinities, halves of
surrogate pairs.
"""

import json
import math
from typing import Any, NoReturn

from ems.api.request import Given, Request
from ems.errors import CommandError

MAX_BODY = 65536
"""Bytes of a body: four times the longest line of the other doors."""


def parse_json_request(command: str, body: bytes) -> Request:
    """The request for `command` with the parameters of `body`; an empty body has none.

    Raises `CommandError` when the body is not a flat JSON object in UTF-8.
    """
    pairs = _load(body) if body.strip() else []
    parameters: dict[str, Given] = {}
    seen: set[str] = set()
    for name, value in pairs:
        if name.lower() in seen:
            raise CommandError(f"The JSON body has the parameter {name} twice")
        seen.add(name.lower())
        parameters[name] = _value(name, value)
    command_id = parameters.pop(next((name for name in parameters if name.lower() == "commandid"), ""), None)
    return Request(command, parameters, "" if command_id is None else str(command_id), typed=True)


class _Pairs(list[tuple[str, Any]]):
    """The members of an object in their order, repetitions included."""


def _load(body: bytes) -> _Pairs:
    try:
        loaded = json.loads(body.decode("utf-8"), object_pairs_hook=_Pairs, parse_constant=_refuse_constant)
        # Half a surrogate pair is fine in JSON's escapes but has no UTF-8.
        json.dumps(loaded, ensure_ascii=False).encode("utf-8")
    except RecursionError as error:
        raise CommandError("The JSON body is nested too deeply") from error
    except ValueError as error:
        raise CommandError(f"The body is not JSON: {error}") from error
    if not isinstance(loaded, _Pairs):
        raise CommandError('The JSON body must be an object, as in {"id": 5}')
    return loaded


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _value(name: str, value: Any) -> Given:
    if isinstance(value, list) and not isinstance(value, _Pairs):
        return [_scalar(name, element) for element in value if element is not None]
    return _scalar(name, value)


def _scalar(name: str, value: Any) -> Given:
    if isinstance(value, float) and not math.isfinite(value):
        raise CommandError(f"The number of parameter {name} is out of range")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise CommandError(f"Parameter {name} must be a string, a number, a boolean or a list of these, not a nested value")
