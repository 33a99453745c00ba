"""What is said when a configuration cannot be used: every problem of a file at once, each in one line."""

import json
from collections.abc import Iterable

MAX_SHOWN = 60
"""Characters of a wrong value that a message quotes."""


class ConfigError(Exception):
    """A configuration file that cannot be used.

    `problems` holds one line for each mistake, in the order of the file's tables, so that one start-up shows them all;
    ``str()`` joins them by newlines. A line begins with the file's name and says where: ``config.lua:12: …`` for a mistake
    of Lua, ``config.lua: applications[1].acceptors[3].port: …`` for a value (indices count from 1, as in Lua).
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


def at(place: str, entry: str | int) -> str:
    """Return the place of an `entry` of the table at `place`: ``acceptors[3]``, ``acceptors[3].port``, ``a["odd name"]``."""
    if isinstance(entry, int):
        return f"{place}[{entry}]"
    if not (entry.isascii() and entry.replace("_", "a").isalnum()):
        return f"{place}[{shown(entry)}]"
    return f"{place}.{entry}" if place else entry


def shown(value: object) -> str:
    """Return `value` as a message quotes it: as it is written in Lua, on one line, and short."""
    if isinstance(value, dict | list):
        return "a table"
    if value is None:
        return "nil"
    text = json.dumps(value) if isinstance(value, str | bool) else str(value)
    return shortened(text)


def shortened(text: str) -> str:
    """Return `text`, cut to `MAX_SHOWN` characters."""
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
