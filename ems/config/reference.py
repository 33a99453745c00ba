"""The reference page of all keys, ``docs/configuration.md``, made from the declarations::

python -m ems.config.reference > docs/configuration.md
"""

import json
import sys
from typing import Any

from ems.config.keys import Entries, Ignored, Key, Section, SectionList, declarations
from ems.config.sections import Root

INTRODUCTION = """\
# Configuration

This page is generated from the server's own declarations (`python -m ems.config.reference > docs/configuration.md`).

EMS reads `config/config.lua` in its runtime directory: the working directory, or what `--runtime DIR` names. At first start
the directory gets `config/`, `media/`, `webroot/` and `logs/` with a commented `config.lua`; what exists is never changed.
`ems --check-config FILE` says what is wrong with a file without starting anything.

The file is a Lua program that sets the table `configuration`:

```lua
local megabyte = 1024 * 1024

configuration = {
    logAppenders = {
        { name = "console", type = "coloredConsole", level = 3 },
        { name = "file", type = "file", level = 4, fileName = "logs/ems", fileLength = 4 * megabyte },
    },
    applications = {
        {
            name = "evostreamms",
            aliases = { "live", "vod" },
            mediaStorage = { { mediaFolder = "media" } },
            acceptors = {
                { ip = "0.0.0.0", port = 1935, protocol = "inboundRtmp" },
                { ip = "127.0.0.1", port = 7777, protocol = "inboundHttpJsonCli" },
            },
        },
    },
}
```

* **Names** are understood in any case. A name that the server does not know is reported with the nearest one that it
  knows; names that begin with `_` are yours.
* **Wrong values** stop the start, all of them in one go: `config.lua: applications[1].acceptors[3].port: expected 1–65535,
  got "x"`. What the server can do without (a log appender of an unknown type, a missing media folder, a protocol that it
  does not speak) is left out with a warning.
* **Keys of the original that do nothing yet** are marked *not in this version*. They are understood, and a value that asks for
  something is told at the start.
* **Relative paths** start at the runtime directory; those of an application at its `appDir`, which starts there.
* **Lua** is real Lua 5.4 with `math`, `os.getenv`, `os.time`, `os.date`, `os.clock`, `table.insert`, `remove`, `concat`, `pack`,
  `unpack` and `string` without its pattern functions. Files, programs, modules, coroutines, metatables and `pcall` are out of
  reach. The program may run 2 s, hold 16 MiB and be 256 KiB long. The string `__null__value__` stands for null.
* **TLS**: an acceptor with `sslKey` and `sslCert` speaks TLS; `inboundRtmp` then is `inboundRtmps`. When
  these files do not exist or cannot be used, that acceptor alone is left out, which the log says; with `optional = true`
  missing ones are no warning. Files that are replaced while the server runs count for the next connections.
"""


def render() -> str:
    """Return the page as Markdown."""
    places: dict[type[Any], list[str]] = {}
    _collect("", Root, places)
    lines = [INTRODUCTION]
    for section, titles in places.items():
        lines += ["## " + ", ".join(f"`{title or 'configuration'}`" for title in titles), "", *_section(section)]
    return "\n".join(lines).rstrip() + "\n"


def _collect(place: str, section: type[Any], places: dict[type[Any], list[str]]) -> None:
    """Add the places of `section` and of what it holds, outer tables first. (Declarations are a few levels deep.)"""
    known = section in places
    places.setdefault(section, []).append(place)
    if known:
        return
    for key in declarations(section).keys.values():
        if isinstance(key.kind, Section | SectionList):
            _collect(_inner_place(place, key), key.kind.of, places)


def _inner_place(place: str, key: Key) -> str:
    if isinstance(key.kind, Entries):
        return f"{place}[…]"
    name = f"{key.name}[…]" if isinstance(key.kind, SectionList) else key.name
    return f"{place}.{name}" if place else name


def _section(section: type[Any]) -> list[str]:
    """Return the lines that describe one section: what it is, its keys, those that are ignored."""
    paragraphs = [paragraph.replace("\n    ", " ").strip() for paragraph in (section.__doc__ or "").split("\n\n")]
    declared = declarations(section)
    rows = [
        f"| `{key.name}` | {_cell(key.kind.expected)} | {_default(key, getattr(section, name))} | {_cell(_meaning(key))} |"
        for name, key in declared.keys.items()
        if not isinstance(key.kind, Ignored)
    ]
    lines = [paragraphs[0], "", "| Key | Value | Default | Meaning |", "|---|---|---|---|", *rows, ""]
    ignored = [f"`{key.name}`" for key in declared.keys.values() if isinstance(key.kind, Ignored)]
    if ignored:
        lines += [f"Accepted without effect, from other servers of the family: {', '.join(ignored)}.", ""]
    if declared.extra_known:
        names = ", ".join(f"`{name}`" for name in declared.extra_known)
        lines += [f"Handed on to the command of the same purpose: {names}.", ""]
    return lines


def _default(key: Key, value: object) -> str:
    if key.required:
        return "needed"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f"`{json.dumps(value)}`" if value else ""
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`" if isinstance(value, int) else ""


def _meaning(key: Key) -> str:
    return f"{key.meaning} (*not in this version*)" if key.absent else key.meaning


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(render())
