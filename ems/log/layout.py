r"""How a log event becomes text: a short line for people, a colon-separated record for files, an object for programs.

What a peer sends finds its way into messages, so no message can look like a record of its own or steer a terminal: control
characters and marks that change the direction of text are written as ``\x1b`` or ``\u202e``, and a line break is either
written as ``\n`` (``singleLine``) or followed by an indentation that no record begins with.

A record of a file is what it always was::

    1700000000:3:ems/streams/manager.py:71:add:stream "lobby" is there

that is: seconds since the epoch, level, source file, line, function, message. Where an event does not come from a line of
Python that is known (it was logged before logging began), file is its Twisted namespace, line 0, function ``-``.
"""

import json
import re
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from twisted.logger import eventAsText

import ems
from ems.log.levels import NAMES, level_of

MAX_MESSAGE = 64 * 1024
"""Characters of a message, traceback included, that are written: nobody reads more, and a peer must not fill the disk."""

INDENT = "    "
"""What continuation lines begin with."""

COLORS = ("\x1b[1;31m", "\x1b[31m", "\x1b[33m", "", "\x1b[36m", "\x1b[2m", "\x1b[2m")
"""How a terminal shows each level, fatal first; info is plain."""

RESET = "\x1b[0m"

_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SKIPPED_MODULES = ("twisted.logger", "twisted.python.log", "ems.log.")
_SOURCES = Path(ems.__file__).parent.parent

Event = Mapping[str, Any]


class Origin(NamedTuple):
    """The place in the source that logged an event."""

    file: str
    line: int
    function: str


def origin_of_call() -> Origin | None:
    """Return the place from which Twisted's logger has been called, or None; asked for from within an observer."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_SKIPPED_MODULES):
        frame = frame.f_back
    if frame is None:
        return None
    code = frame.f_code
    return Origin(_source_name(code.co_filename), frame.f_lineno, code.co_name)


def console_line(event: Event, color: bool, single_line: bool = False) -> str:
    """Return ``12:34:56 INFO    streams.manager  message``, in local time and without a line end."""
    level = level_of(event)
    clock = time.strftime("%H:%M:%S", time.localtime(_time(event)))
    line = f"{clock} {NAMES[level]:7} {_system(event)}  {message(event, single_line)}"
    return f"{COLORS[level]}{line}{RESET}" if color and COLORS[level] else line


def file_record(event: Event, origin: Origin | None, single_line: bool) -> str:
    """Return the colon-separated record of `event`, without its end."""
    file, line, function = origin or Origin(_system(event), 0, "-")
    return f"{int(_time(event))}:{level_of(event)}:{file}:{line}:{function}:{message(event, single_line)}"


def json_record(event: Event, origin: Origin | None) -> str:
    """Return `event` as one JSON object: time (ISO 8601, UTC), level, levelName, system, file, line, function, message."""
    level = level_of(event)
    record = {
        "time": datetime.fromtimestamp(_time(event), UTC).isoformat(timespec="milliseconds"),
        "level": level,
        "levelName": NAMES[level],
        "system": _system(event),
        "message": _text(event),
    }
    if origin is not None:
        record.update(origin._asdict())
    return json.dumps(record)


def message(event: Event, single_line: bool = False) -> str:
    """Return the message of `event` with its traceback, if it has one, made harmless."""
    text = _text(event)
    if text.isprintable():
        return text
    text = _UNSAFE.sub(_escaped, text.replace("\r\n", "\n"))
    return text.replace("\n", "\\n" if single_line else f"\n{INDENT}")


def _escaped(match: re.Match[str]) -> str:
    if match[0] == "\r":
        return "\\r"
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _text(event: Event) -> str:
    text = eventAsText(dict(event), includeTimestamp=False, includeSystem=False).strip("\n")
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}… ({len(text)} characters)"


def _time(event: Event) -> float:
    return float(event.get("log_time") or time.time())


def _system(event: Event) -> str:
    """Return the namespace of `event`, without the package's own name."""
    system = event.get("log_system") or event.get("log_namespace") or "-"
    return _UNSAFE.sub(_escaped, str(system)).replace("\n", "\\n").removeprefix("ems.")


def _source_name(path: str) -> str:
    """Return `path` as it stands in a record: relative to the sources if it lies there, and without a colon."""
    return path.removeprefix(f"{_SOURCES}/").replace(":", "_")
