r"""The text of a request: one line, a command and its parameters.

::

    <command>[ <name>=<value>]...

Only the space separates. The first ``=`` of a word splits its name from its value; a word without one is a parameter with
an empty value. There are no quotation marks, but four escapes: ``\\``, ``\ ``, ``\=`` and ``\,``; a backslash before
anything else is a backslash. A value with an unescaped comma is a list. Of a name that comes twice the last one counts.

Commands and parameters are matched without regard to case. The parameter ``commandId`` belongs to no command: its text
comes back with the reply.

Everything here works on `str` and knows no command; what a value has to be is the matter of `ems.api.arguments`.
"""

import re
from dataclasses import dataclass, field
from typing import TypeAlias

Given: TypeAlias = "bool | int | float | str | list[Given] | None"
"""A parameter as it came: text or a list of text from a request line, any JSON scalar or flat list from a JSON body."""

_ESCAPE = re.compile(r"\\([\\ =,])")
_TRIMMED = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Request:
    """One request before anybody has looked at what it means.

    `parameters` has every parameter but ``commandId``, by the name as it was written. `command_id` is empty when none was
    sent. `typed` tells that the values come from JSON and have types of their own.
    """

    command: str
    parameters: dict[str, Given] = field(default_factory=dict)
    command_id: str = ""
    typed: bool = False


def parse_request(line: str) -> Request | None:
    """Parse a request line without its line end; None when there is nothing on it."""
    words = _words(line)
    return _request(_plain(words[0]), words[1:]) if words else None


def parse_parameters(command: str, source: str) -> Request:
    """The request for a command whose name came by another way than its parameters, as on the HTTP door."""
    return _request(command, _words(source))


def _words(source: str) -> list[str]:
    return [word for word in split_unescaped(source, " ") if word.strip(_TRIMMED)]


def _request(command: str, words: list[str]) -> Request:
    parameters: dict[str, Given] = {}
    command_id = ""
    for word in words:
        written, *rest = split_unescaped(word, "=", 1)
        name, value = _plain(written), "".join(rest)
        if name.lower() == "commandid":
            command_id = _plain(value)
        elif name:
            parameters.pop(name, None)
            parameters[name] = parse_value(value)
    return Request(command, parameters, command_id)


def parse_value(value: str) -> Given:
    """A value as text, or as a list of text when it has unescaped commas. Empty elements stay: some lists count positions."""
    elements = [_plain(element) for element in split_unescaped(value, ",")]
    return elements[0] if len(elements) == 1 else list(elements)


def split_unescaped(source: str, separator: str, maximum: int = -1) -> list[str]:
    """Split at each `separator`, one of space, comma and ``=``, that no backslash escapes; the escapes stay in the parts."""
    if "\\" not in source:
        return source.split(separator, maximum)
    parts: list[str] = []
    start = 0
    for match in re.finditer(rf"\\[\\ =,]|{separator}", source):
        if match.group() == separator and len(parts) != maximum:
            parts.append(source[start : match.start()])
            start = match.end()
    return [*parts, source[start:]]


def _plain(source: str) -> str:
    return _ESCAPE.sub(r"\1", source).strip(_TRIMMED)
