"""The declarations, and everything that is made from them."""

import json
from pathlib import Path

import pytest

from ems.api.arguments import bind
from ems.api.command import Command, CommandGroup, integer
from ems.api.commands import BUILT_IN_GROUPS, load_commands
from ems.api.openapi import openapi_document
from ems.api.reference import main, pages
from ems.api.registry import CommandRegistry
from ems.api.reply import compact_json
from ems.api.request import parse_request
from ems.interfaces import ICommandGroup

ROOT = Path(__file__).parents[3]
COMMANDS = [*CommandRegistry(BUILT_IN_GROUPS)]


def test_there_are_all_eighty() -> None:
    """Every command of the original is known."""
    assert len(COMMANDS) == 80
    assert {command.name for command in COMMANDS} <= {command.name for command in load_commands()}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_example_is_a_valid_request(command: Command) -> None:
    """I can copy any example from the reference."""
    request = parse_request(command.example)
    assert request is not None
    assert request.command == command.name
    arguments = bind(command, request)
    assert arguments.remarks == ()
    assert set(request.parameters) <= set(arguments.given) | set(arguments.environment)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_declaration_is_complete(command: Command) -> None:
    """Summaries and descriptions are sentences; success has a text."""
    assert command.summary.endswith(".")
    assert command.answer
    names = [name.lower() for p in command.parameters for name in (p.name, *p.also_accept)]
    assert len(names) == len(set(names))
    for parameter in command.parameters:
        assert parameter.description.endswith(".")
        assert not (parameter.mandatory and parameter.default is not None)


def test_only_two_are_deprecated() -> None:
    """Help marks the commands whose answers are large."""
    assert {command.name for command in COMMANDS if command.deprecated} == {"listStreams", "listConnections"}


def test_other_names_are_understood() -> None:
    """Old scripts keep working."""
    registry = CommandRegistry(BUILT_IN_GROUPS)
    for other, name in {"listPullPushConfig": "listConfig", "REMOVEPULLPUSHCONFIG": "removeConfig", "quit": "quit"}.items():
        found = registry.find(other)
        assert found is not None
        assert found.name == name


def test_two_commands_cannot_share_a_name() -> None:
    """A plugin that claims a command's name is told at the start."""
    other = CommandGroup("mine", "Mine", "")
    other.command("VERSION", "A second one.", integer("x", "."), answer="x")
    assert ICommandGroup.providedBy(other)
    with pytest.raises(ValueError, match="VERSION and version"):
        CommandRegistry([*BUILT_IN_GROUPS, other])


def test_a_plugin_brings_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group that a plugin provides is there beside the built-in ones, which a plugin file may list too."""
    mine = CommandGroup("mine", "Mine", "")
    mine.command("greet", "Greets.", answer="Hello")
    monkeypatch.setattr("ems.api.commands.getPlugins", lambda interface: [BUILT_IN_GROUPS[0], mine])
    assert load_commands().find("GREET") in mine.commands()


def test_the_reference_is_current(tmp_path: Path) -> None:
    """docs/api says what this version does; otherwise run: python -m ems.api.reference docs/api"""
    made = pages(BUILT_IN_GROUPS)
    assert {path.name: path.read_text("utf-8") for path in (ROOT / "docs" / "api").glob("*.md")} == made
    (tmp_path / "gone.md").write_text("old")
    main(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(made)


def test_openapi() -> None:
    """Tools can make a client from GET /."""
    document = json.loads(compact_json(openapi_document(COMMANDS, "1.2.3")))
    assert document["openapi"].startswith("3.")
    assert len(document["paths"]) == 80
    pull = document["paths"]["/pullStream"]["post"]
    schema = pull["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["uri"]
    assert schema["properties"]["ttl"]["maximum"] == 256
    assert schema["properties"]["keepAlive"]["default"] is True
    assert set(pull["responses"]) == {"200", "400", "404", "500"}
