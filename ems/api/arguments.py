"""From what a caller sent to what a command's coroutine takes: checked values of the declared types.

The rules are those of the declaration (`ems.api.command`) and the same for every door. Mandatory parameters are looked at
in the order of the declaration before the optional ones, and the first mistake is the reply:

* ``Syntax error. No parameters provided``
* ``Syntax error. Parameter <name> is invalid``, with ``Range: <min> - <max>`` where a number is outside its range

A list where one value is expected counts as not given on a request line, because there a comma makes a list of any text; in
JSON, where nobody writes a list by mistake, it is a mistake.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING

from ems.api.command import Command, Parameter, Type, Value
from ems.api.request import Given, Request
from ems.errors import CommandError

if TYPE_CHECKING:
    from ems.api.registry import CommandRegistry

BOOLEANS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
"""The ways to write a boolean, in any case."""

INTEGER = re.compile(r"0|-?[1-9][0-9]{0,19}", re.ASCII)
"""The plain decimal form: no plus sign, no leading zeros, no fraction. Twenty digits hold every 64-bit number."""

FLOAT = re.compile(r"[+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})", re.ASCII)

MAX_REMARKS = 8
"""Unknown parameters that are told apart in the log for one request; a line can hold thousands."""

MAX_COMPARED_NAME = 64
"""Longest unknown name for which the nearest known one is looked up; the comparison costs time by length squared."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """The checked arguments of one call.

    `values` has every declared parameter by its canonical name; `given` has the names of those that the caller sent.
    `sent` counts all that came, known or not. `user_variables` and `environment` keep their names' first character.
    `remarks` are sentences for the log. `registry` has the commands of the server, which ``help`` describes.
    """

    values: dict[str, Value]
    given: frozenset[str] = frozenset()
    sent: int = 0
    user_variables: dict[str, str | list[str]] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    registry: "CommandRegistry | None" = None

    def text(self, name: str) -> str:
        """The string parameter `name`."""
        value = self.values[name]
        if not isinstance(value, str):
            raise TypeError(f"{name} holds no text: {value!r}")
        return value

    def integer(self, name: str) -> int:
        """The whole number `name`."""
        value = self.values[name]
        if not isinstance(value, int):
            raise TypeError(f"{name} holds no number: {value!r}")
        return value

    def flag(self, name: str) -> bool:
        """The boolean `name`."""
        value = self.values[name]
        if not isinstance(value, bool):
            raise TypeError(f"{name} holds no boolean: {value!r}")
        return value


def bind(command: Command, request: Request, registry: "CommandRegistry | None" = None) -> Arguments:
    """Check what was sent against the declaration and give every parameter its value.

    Raises `CommandError` with the text of the first mistake.
    """
    if command.rejects_empty_parameter_list and not request.parameters:
        raise CommandError("Syntax error. No parameters provided")
    known = _names(command)
    sent: dict[str, Given] = {}
    unknown: dict[str, Given] = {}
    remarks: list[str] = []
    for name, value in request.parameters.items():
        parameter = known.get(name.lower())
        if parameter is None:
            unknown[name] = value
        elif not _counts_as_missing(parameter, value, request.typed):
            sent[parameter.name] = value
        elif isinstance(value, list):
            remarks.append(f"{command.name}: {parameter.name} is left out because of its comma; a comma inside a value is \\,")
    values: dict[str, Value] = {}
    for parameter in sorted(command.parameters, key=lambda parameter: not parameter.mandatory):
        values[parameter.name] = _value_of(parameter, sent.get(parameter.name), command.keeps_empty_elements)
    return Arguments(
        values={parameter.name: values[parameter.name] for parameter in command.parameters},
        given=frozenset(sent),
        sent=len(request.parameters),
        user_variables=_user_variables(unknown) if command.user_variables else {},
        environment=_environment(unknown) if command.environment else {},
        remarks=(*remarks, *_remarks(command, known, unknown)),
        registry=registry,
    )


def invalid(name: str, detail: str = "") -> CommandError:
    """The failure of one parameter; `detail` says what would be right."""
    return CommandError(f"Syntax error. Parameter {name} is invalid{detail and '. '}{detail}")


def _names(command: Command) -> dict[str, Parameter]:
    known = {parameter.name.lower(): parameter for parameter in command.parameters}
    for parameter in command.parameters:
        known.update((other.lower(), parameter) for other in parameter.also_accept)
    return known


def _counts_as_missing(parameter: Parameter, given: Given, typed: bool) -> bool:
    if isinstance(given, list) and not parameter.multiple:
        if typed:
            raise invalid(parameter.name, "Expected one value, not a list")
        return True
    return given is None or (parameter.mandatory and given == "")


def _value_of(parameter: Parameter, given: Given, keep_empty: bool) -> Value:
    if given is None:
        if parameter.mandatory:
            raise invalid(parameter.name)
        return parameter.default
    return _list_of(parameter, given, keep_empty) if parameter.multiple else _scalar_of(parameter, given)


def _list_of(parameter: Parameter, given: Given, keep_empty: bool) -> Value:
    elements = given if isinstance(given, list) else [given]
    if not keep_empty or elements == [""]:
        elements = [element for element in elements if element != ""]
    if parameter.mandatory and not any(element != "" for element in elements):
        raise invalid(parameter.name)
    if parameter.type is Type.INT:
        return [_integer_of(parameter, element) for element in elements]
    return [_text_of(parameter, element) for element in elements]


def _scalar_of(parameter: Parameter, given: Given) -> Value:
    match parameter.type:
        case Type.INT:
            return _integer_of(parameter, given)
        case Type.BOOL:
            return _boolean_of(parameter, given)
        case Type.FLOAT:
            return _float_of(parameter, given)
        case _:
            return _text_of(parameter, given)


def _integer_of(parameter: Parameter, given: Given) -> int:
    if isinstance(given, str) and INTEGER.fullmatch(given):
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, int):
        raise invalid(parameter.name)
    low, high = parameter.minimum, parameter.maximum
    if (low is not None and given < low) or (high is not None and given > high):
        raise invalid(parameter.name, f"Range: {low} - {high}")
    return given


def _boolean_of(parameter: Parameter, given: Given) -> bool:
    if isinstance(given, str):
        given = BOOLEANS.get(given.lower(), given)
    elif given in (0, 1):
        given = bool(given)
    if not isinstance(given, bool):
        raise invalid(parameter.name, "Expected 1, 0, true, false, yes, no, on or off")
    return given


def _float_of(parameter: Parameter, given: Given) -> float:
    if isinstance(given, str) and FLOAT.fullmatch(given):
        given = float(given)
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        raise invalid(parameter.name, "Expected a number")
    return float(given)


def _text_of(parameter: Parameter, given: Given) -> str:
    if isinstance(given, bool):
        given = "true" if given else "false"
    value = str(given).strip(" \t\r\n")
    if not parameter.values:
        return value
    for allowed in parameter.values:
        if allowed.lower() == value.lower():
            return allowed
    raise CommandError(parameter.values_error or f"Syntax error for {parameter.name} parameter. Type help for details")


def _user_variables(unknown: Mapping[str, Given]) -> dict[str, str | list[str]]:
    variables = {name: value for name, value in unknown.items() if name.startswith("_")}
    return {name: _variable(value) for name, value in variables.items()}


def _variable(value: Given) -> str | list[str]:
    if isinstance(value, list):
        return [str(element) for element in value if element != ""]
    return "" if value is None else str(value)


def _environment(unknown: Mapping[str, Given]) -> dict[str, str]:
    variables = {name: value for name, value in unknown.items() if name.startswith("$")}
    return {name: ",".join(map(str, value)) if isinstance(value, list) else str(value) for name, value in variables.items()}


def _remarks(command: Command, known: Mapping[str, Parameter], unknown: Mapping[str, Given]) -> tuple[str, ...]:
    kept = ("_", "$") if command.environment else ("_",)
    strange = [name for name in unknown if not name.startswith(kept)]
    remarks = [_remark(command, known, name) for name in strange[:MAX_REMARKS]]
    if len(strange) > MAX_REMARKS:
        remarks.append(f"{command.name}: {len(strange) - MAX_REMARKS} more unknown parameters ignored")
    return tuple(remarks)


def _remark(command: Command, known: Mapping[str, Parameter], name: str) -> str:
    nearest = get_close_matches(name.lower(), known, 1) if len(name) <= MAX_COMPARED_NAME else []
    hint = f"; did you mean {known[nearest[0]].name}?" if nearest else ""
    return f"{command.name}: unknown parameter {name[:MAX_COMPARED_NAME]!r} ignored{hint}"
