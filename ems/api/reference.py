"""The reference of the runtime API, made from the declarations: ``python -m ems.api.reference docs/api``.

One index and one page a group, in Markdown. Every command has its parameters, an example as it is sent to each door, and
what it answers.
"""

import base64
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from ems.api.command import Command, CommandGroup, Parameter, Value
from ems.api.commands import BUILT_IN_GROUPS
from ems.api.objects import OBJECTS
from ems.api.request import Given, parse_request

NOTICE = "<!-- Made by `python -m ems.api.reference docs/api` from the declarations in ems/api/commands. Do not edit. -->"

INTRODUCTION = """\
# Runtime API

Commands to a running server come through three doors. None of them asks who is there: they listen on 127.0.0.1 unless the
configuration says otherwise.

| Door | Port | A request | A reply |
|---|---|---|---|
| JSON | 1112 | a line of text | its length in 4 bytes, JSON, CR LF CR LF |
| ASCII | 1222 | a line of text | text for people |
| HTTP | 7777 | `POST /<command>` with a JSON object | JSON; status 200, 400 (failed), 404 (no such command), 500 |
| HTTP, as older clients ask | 7777 | `GET /<command>?params=<base64 of the parameters>` | JSON as text/plain; status always 200 |

`GET http://127.0.0.1:7777/` describes all commands as an OpenAPI document.

## A request line

    getStreamInfo localStreamName=lobby commandId=k17

One command a line; CR, LF or both end it. Words are separated by spaces. Names of commands and parameters may be in any case.
There are no quotation marks: inside a value write `\\ ` for a space, `\\,` for a comma, `\\=` for an equals sign and `\\\\` for a
backslash. A comma without a backslash makes a list.

* Numbers are plain decimal: no plus sign, no leading zeros.
* Booleans are `1 0 true false yes no on off`.
* Unknown parameters are ignored, and the server's log says so.
* Parameters whose names begin with `_` are yours: commands that set something going keep them with it.
* `commandId` may go with any command; its text comes back as `responseId`.

In a JSON body none of the escapes is needed: strings are strings, lists are lists, booleans are `true` and `false`.

## A reply

    {"data":{"Running":true},"description":"Stream status:","responseId":"k17","status":"SUCCESS"}

`status` is `SUCCESS` or `FAIL`. When it is `FAIL`, `description` says why and `data` is `null`. That a command which sets
something going succeeds means that it has been accepted; what becomes of it is told by events and by `listConfig`.

Times are milliseconds since 1970. Lists are `[]` when empty. Ids and `typeNumeric` may need 64 bits.

## Web pages

Browsers on the server's machine could be made to send commands by any page they show. The HTTP door therefore refuses
requests whose `Host` is neither an IP address nor `localhost` nor the machine's name, and those that a page of another origin
sends (by `Origin`, `Referer` and `Sec-Fetch-Site`). An acceptor's `allowedHosts` and `allowedOrigins` in config.lua make
exceptions:

    { ip = "127.0.0.1", port = 7777, protocol = "inboundHttpJsonCli",
      allowedHosts = { "media.example" }, allowedOrigins = { "https://console.example" } },
"""


def pages(groups: Iterable[CommandGroup]) -> dict[str, str]:
    """The pages of the reference by their file names."""
    groups = [*groups]
    return {"index.md": _index(groups), "objects.md": _objects(), **{f"{group.name}.md": _page(group) for group in groups}}


def _objects() -> str:
    parts = [NOTICE, "", "# Objects in replies", "", "Times are milliseconds since 1970.", "", "[All commands](index.md)", ""]
    for name, keys in OBJECTS.items():
        parts += [f"## {name}", "", "| Key | Meaning |", "|---|---|"]
        parts += [*(f"| `{key}` | {meaning} |" for key, meaning in keys.items()), ""]
    return "\n".join(parts)


def _linked(data: str) -> str:
    """The words on a command's data, with objects linked to their keys."""
    return re.sub(r"(stream|connection|service) object(s?)", r"[\1 object\2](objects.md#\1)", data)


def _index(groups: list[CommandGroup]) -> str:
    parts = [NOTICE, "", INTRODUCTION, "## Commands", "", "Those in italics are not in this version.", ""]
    for group in groups:
        parts += [f"**[{group.title}]({group.name}.md)**: {group.summary}", ""]
        parts += [" · ".join(_link(command, group) for command in group.commands()), ""]
    return "\n".join(parts)


def _link(command: Command, group: CommandGroup) -> str:
    link = f"[{command.name}]({group.name}.md#{command.name.lower()})"
    return link if command.implemented else f"*{link}*"


def _page(group: CommandGroup) -> str:
    parts = [NOTICE, "", f"# {group.title}", "", group.summary, "", "[All commands](index.md)", ""]
    for command in group.commands():
        parts += _section(command)
    return "\n".join(parts)


def _section(command: Command) -> list[str]:
    lines = [f"## {command.name}", "", command.summary, ""]
    if not command.implemented:
        lines += ["*Not in this version: the parameters are checked, then the command fails.*", ""]
    if command.also_accept:
        lines += [f"Also understood as {', '.join(f'`{name}`' for name in command.also_accept)}.", ""]
    if command.parameters:
        lines += ["| Parameter | Type | Default | Meaning |", "|---|---|---|---|"]
        lines += [_row(parameter) for parameter in command.parameters]
        lines += [""]
    if command.user_variables:
        lines += ["Parameters that begin with `_` are kept with what the command sets going.", ""]
    answers = f"Answers “{command.answer}”" if command.answer else "Answers"
    lines += [f"{answers}{f', with {_linked(command.data)}' if command.data else ''}.", ""]
    return [*lines, *_example(command)]


def _row(parameter: Parameter) -> str:
    kind = parameter.type.value + (" list" if parameter.multiple else "")
    if parameter.minimum is not None:
        kind += f", {parameter.minimum} to {parameter.maximum}"
    elif parameter.values:
        kind += ": " + ", ".join(f"`{value}`" for value in parameter.values if value)
    return f"| `{parameter.name}` | {kind} | {_default(parameter)} | {parameter.description} |"


def _default(parameter: Parameter) -> str:
    if parameter.mandatory:
        return "**mandatory**"
    if parameter.default_text:
        return parameter.default_text
    value: Value = parameter.default
    return "" if value in (None, "", []) else f"`{int(value) if isinstance(value, bool) else value}`"


def _example(command: Command) -> list[str]:
    name, _, source = command.example.partition(" ")
    encoded = base64.b64encode(source.encode()).decode()
    query = f"?params={encoded}" if source else ""
    request = parse_request(command.example)
    body = json.dumps({key: _typed(value) for key, value in request.parameters.items()} if request else {})
    return [
        "```sh",
        f"echo '{command.example}' | nc -N 127.0.0.1 1222",
        f"curl -d '{body}' http://127.0.0.1:7777/{name}",
        f"curl 'http://127.0.0.1:7777/{name}{query}'",
        "```",
        "",
    ]


def _typed(value: Given) -> Given:
    return int(value) if isinstance(value, str) and value.lstrip("-").isdigit() else value


def main(folder: Path) -> None:
    """Write the reference into `folder`, and remove pages of groups that are no more."""
    folder.mkdir(parents=True, exist_ok=True)
    made = pages(BUILT_IN_GROUPS)
    for old in folder.glob("*.md"):
        if old.name not in made:
            old.unlink()
    for name, content in made.items():
        (folder / name).write_text(content, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
