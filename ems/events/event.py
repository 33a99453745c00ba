"""One event: what happened, when, and where."""

import base64
import math
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import date, time
from enum import Enum
from typing import TypeAlias

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"
"""What JSON has a form for. Integers may keep a width (`ems.config.variant.SizedInt`); no number is infinite or NaN."""

MAX_DEPTH = 16
"""Maps within maps of a payload: a stream with the settings of its job has four. What lies deeper is left out."""


_SCALARS = frozenset((str, int, bool))
"""What is taken as it is, and is most of every payload."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened.

    `id` counts from 1 and rises with each event of the process; `timestamp` is seconds since 1970. `payload` is a copy that
    nobody else holds, in the runtime API's words; all sinks share it, so they must not change it.
    """

    id: int
    type: str
    timestamp: int
    process_id: int
    payload: Mapping[str, Plain]

    def envelope(self, custom_data: Plain = None) -> dict[str, Plain]:
        """The map that receivers get: id, type, timestamp, processId, and the payload with ``PID`` and ``customData``."""
        return {
            "id": self.id,
            "payload": {**self.payload, "PID": self.process_id, "customData": custom_data},
            "processId": self.process_id,
            "timestamp": self.timestamp,
            "type": self.type,
        }


def plain(value: object, depth: int = 0) -> Plain:
    """A copy of `value` in plain types: mappings as `dict`, sequences and sets as `list`, bytes as base64, the rest as text.

    Infinities and NaN, which JSON has no form for, become None, and so does what lies deeper than `MAX_DEPTH`.
    """
    if value is None or type(value) in _SCALARS:
        return value  # type: ignore[return-value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Enum):
        return plain(value.value, depth)
    if isinstance(value, str | int):
        return value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {str(key): plain(item, depth + 1) for key, item in value.items()} if depth < MAX_DEPTH else None
    if isinstance(value, list | tuple | Set):
        return [plain(item, depth + 1) for item in value] if depth < MAX_DEPTH else None
    return value.isoformat() if isinstance(value, date | time) else str(value)
