"""Reading a Lua file: it is run by real Lua 5.4, in a sandbox, and one of its global tables becomes Python values.

A configuration of the original is a Lua program: it computes (``512*1024``), comments and has variables of its own. So it
is executed, by lupa, with nothing at hand that reaches the machine (`ems.config.sandbox` says what is left out and why),
a bounded number of instructions, seconds and bytes. The tables are then converted by the original's rules:

=============================== ==================================================
Lua                             Python
=============================== ==================================================
boolean                         `bool`
number that is integral         `int`
other finite number             `float`
string (UTF-8)                  `str`; ``"__null__value__"`` is `None`
table with numeric keys only    `list`, in the order of the keys
table with names                `dict`; a numeric key n is called ``0x0000000n``
empty table                     `dict`, and readers take it for an empty list, too
=============================== ==================================================

Anything else in a table (a function, infinity) is an error. Every error is a `ConfigError`.
"""

import math
import os
import stat
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from lupa import lua54

from ems.config.errors import ConfigError, at, shortened, shown
from ems.config.sandbox import PRELUDE, STEP

MAX_FILE = 256 * 1024
"""Bytes of a Lua file: the original's own has 20 KiB, and compiling some programs takes time of the square of their size."""

MAX_MEMORY = 16 * 1024 * 1024
"""Bytes that the program may hold: a thousand times what a configuration needs."""

MAX_INSTRUCTIONS = 10_000_000
"""Lua instructions: a fraction of a second."""

MAX_SECONDS = 2.0
"""CPU time, for instructions that copy megabytes each."""

MAX_DEPTH = 32
"""Tables within tables. A table that contains itself ends here."""

MAX_VALUES = 100_000
"""Values of all tables together: no configuration has more than some hundred."""

NULL = "__null__value__"
"""The string that stands for null, which a Lua table cannot hold."""

Value = bool | int | float | str | None | list["Value"] | dict[str, "Value"]


def load_global(path: Path, name: str) -> Value:
    """Run the Lua file at `path` and return its global `name`, converted; raises `ConfigError`."""
    return run_global(read_source(path), name, path.name)


def load_globals(path: Path, *names: str) -> dict[str, Value]:
    """Run the Lua file at `path` and return those of its globals `names` that it sets, converted; raises `ConfigError`."""
    environment = _execute(read_source(path), path.name)
    values = {name: environment[name.encode()] for name in names}
    return {name: _convert(value, name, path.name) for name, value in values.items() if value is not None}


def run_global(source: bytes, name: str, file_name: str) -> Value:
    """Run the Lua program `source`, called `file_name` in messages, and return its global `name`; raises `ConfigError`."""
    environment = _execute(source, file_name)
    value = environment[name.encode()]
    if value is None:
        raise ConfigError(f'{file_name}: sets no global "{name}"')
    return _convert(value, name, file_name)


def read_source(path: Path) -> bytes:
    """Return the text of the regular file at `path` without a byte order mark; raises `ConfigError`.

    A link to a file is followed, as package managers and containers make them. Nothing else is opened for reading in
    earnest: a FIFO or a device could keep the server waiting.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigError(f"{path}: is not a regular file")
            source = file.read(MAX_FILE + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{str(path)!r}: {error}") from None
    if len(source) > MAX_FILE:
        raise ConfigError(f"{path}: is larger than {MAX_FILE // 1024} KiB")
    _check_text(source, path.name)
    return source.removeprefix(b"\xef\xbb\xbf")


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting, which a FIFO that nobody writes would otherwise do for ever."""
    return os.open(path, flags | os.O_NONBLOCK)


def _check_text(source: bytes, file_name: str) -> None:
    try:
        source.decode()
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{file_name}:{line}: is not UTF-8 text") from None


def _execute(source: bytes, file_name: str) -> Any:
    """Run `source` and return its global environment."""
    runtime = lua54.LuaRuntime(
        encoding=None,
        source_encoding=None,
        register_eval=False,
        register_builtins=False,
        unpack_returned_tuples=True,
        attribute_filter=_refuse_attribute,
        max_memory=MAX_MEMORY,
    )
    environment, run = runtime.execute(PRELUDE, MAX_INSTRUCTIONS, MAX_SECONDS, STEP)
    try:
        run(source, b"@" + file_name.encode(errors="replace"))
    except lua54.LuaMemoryError:
        raise ConfigError(f"{file_name}: needs more than {MAX_MEMORY >> 20} MiB of memory") from None
    except lua54.LuaError as error:
        raise ConfigError(_message(error, file_name)) from None
    finally:
        # What follows allocates outside Lua's protection, where a failure would abort the process.
        runtime.set_max_memory(0)
    return environment


def _refuse_attribute(obj: object, name: object, setting: bool) -> object:
    raise AttributeError("Lua has no access to Python")


def _message(error: Exception, file_name: str) -> str:
    """Return what Lua says without its traceback. (Without a declared encoding lupa hands bytes out as Latin-1.)"""
    text = str(error).partition("\nstack traceback:")[0].encode("latin-1", "replace").decode(errors="replace")
    if not text:
        return f"{file_name}: error() was called with something that is not text"
    return text if text.startswith(f"{file_name}:") else f"{file_name}: {text}"


class _Waiting(NamedTuple):
    """A Lua value that waits for its conversion: it goes into `container` at `slot`, and is `depth` tables deep."""

    value: Any
    place: str
    depth: int
    container: Any
    slot: str | int


def _convert(value: object, name: str, file_name: str) -> Value:
    """Convert `value`, the global `name`; tables wait on a stack, so that no depth can exhaust Python's."""
    result: dict[str, Value] = {}
    stack = [_Waiting(value, name, 0, result, name)]
    count = 0
    while stack:
        waiting = stack.pop()
        try:
            container, inner = _convert_one(waiting)
        except ValueError as error:
            raise ConfigError(f"{file_name}: {shortened(waiting.place)}: {error}") from None
        waiting.container[waiting.slot] = container
        count += 1 + len(inner)
        if count > MAX_VALUES:
            raise ConfigError(f"{file_name}: {name}: holds more than {MAX_VALUES} values (a table that contains itself?)")
        stack.extend(reversed(inner))
    return result[name]


def _convert_one(waiting: _Waiting) -> tuple[Value, list[_Waiting]]:
    """Return the Python value of one Lua value and, if it is a table, what is to be put into it."""
    value = waiting.value
    if value is None or isinstance(value, bool):
        return value, []
    if isinstance(value, int | float):
        return _number(value), []
    if isinstance(value, bytes):
        text = _text(value)
        return None if text == NULL else text, []
    kind = lua54.lua_type(value)
    if kind != "table":
        raise ValueError(f"a {kind} is not a value that a configuration can hold")
    if waiting.depth >= MAX_DEPTH:
        raise ValueError(f"lies more than {MAX_DEPTH} tables deep (a table that contains itself?)")
    return _open_table(list(islice(value.items(), MAX_VALUES + 1)), waiting)


def _number(value: int | float) -> int | float:
    if isinstance(value, int):
        return value
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    return int(value) if value.is_integer() else value


def _open_table(entries: list[tuple[Any, object]], table: _Waiting) -> tuple[Value, list[_Waiting]]:
    """Return the empty list or dict for a table of `entries` and the values that will fill it."""
    depth = table.depth + 1
    if entries and all(isinstance(name, int | float) and not isinstance(name, bool) for name, _ in entries):
        items: list[Value] = [None] * len(entries)
        ordered = sorted(entries, key=itemgetter(0))
        return items, [_Waiting(item, at(table.place, i + 1), depth, items, i) for i, (_, item) in enumerate(ordered)]
    names: dict[str, Value] = {}
    named = sorted(((_name(name), item) for name, item in entries), key=itemgetter(0))
    return names, [_Waiting(item, at(table.place, name), depth, names, name) for name, item in named]


def _name(name: object) -> str:
    if isinstance(name, bytes):
        return _text(name)
    if isinstance(name, int) and not isinstance(name, bool) and name >= 0:
        return f"0x{name:08x}"
    raise ValueError(f"{shown(name)} cannot be the name of an entry")


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
