"""Aliases are names for some time or some viewers, and never hide a stream."""

import pytest
from twisted.internet.task import Clock

from ems.errors import CommandError
from ems.streams import aliases
from ems.streams.aliases import StreamAliases


@pytest.fixture
def clock() -> Clock:
    """Where the aliases' time comes from."""
    return Clock()


@pytest.fixture
def names(clock: Clock) -> StreamAliases:
    """No alias yet; the stream ``live`` is there."""
    return StreamAliases(clock, {"live"}, enabled=True)


def test_off_means_that_names_are_used_as_they_are(clock: Clock) -> None:
    """Without hasStreamAliases a viewer plays the name, query and all."""
    assert StreamAliases(clock, (), enabled=False).resolve("cam?x=1") == "cam?x=1"


@pytest.mark.parametrize(
    ("alias", "stream", "reason"),
    [
        ("live", "lobby", "is the name of a stream"),
        ("lobby", "lobby", "is the name of a stream"),
        ("taken", "lobby", "is an alias of other"),
        ("../etc", "lobby", "begin with a dot"),
        ("", "lobby", "must not be empty"),
        ("x" * 1_000_000, "lobby", "at most"),
        ("a\u202eb", "lobby", "must not contain"),
        ("a", "b\0", "must not contain"),
    ],
)
def test_what_cannot_be_an_alias(names: StreamAliases, alias: str, stream: str, reason: str) -> None:
    """A stream's name, another's alias, and what is no name are refused in words."""
    names.add("taken", "other", 0)
    with pytest.raises(CommandError, match=reason):
        names.add(alias, stream, -600)


def test_an_alias_is_renewed(names: StreamAliases, clock: Clock) -> None:
    """Giving a stream its alias again begins its time anew."""
    names.add("t", "lobby", 10)
    clock.advance(9)
    names.add("t", "lobby", 10)
    clock.advance(9)
    assert names.resolve("t") == "lobby"
    clock.advance(1)
    with pytest.raises(CommandError, match="there is no stream 't'"):
        names.resolve("t")


def test_a_look_does_not_use_a_ticket_up(names: StreamAliases) -> None:
    """Protocols that ask before they play do so without harm."""
    names.add("t", "lobby", -10)
    assert names.resolve("t", use=False) == names.resolve("t") == "lobby"
    assert "t" not in names


def test_an_alias_with_a_query(names: StreamAliases) -> None:
    """The whole text is looked for first, then what is before its query."""
    names.add("cam?1", "one", 0)
    names.add("cam", "any", 0)
    assert names.resolve("cam?1") == "one"
    assert names.resolve("cam?2") == "any"


def test_taking_back(names: StreamAliases) -> None:
    """One alias or all of them; one that is not there is an error."""
    names.add("a", "x", 0)
    names.add("b", "x", 0)
    names.remove("a")
    with pytest.raises(CommandError, match="there is no alias a"):
        names.remove("a")
    names.clear()
    assert list(names) == []


def test_expired_aliases_are_forgotten(names: StreamAliases, clock: Clock) -> None:
    """Once a second what is over leaves the memory, though nobody asks."""
    names.startService()
    for number in range(100):
        names.add(f"a{number}", "x", -5)
    for _ in range(6):
        clock.advance(1)
    assert names._aliases == {}
    names.stopService()
    assert clock.getDelayedCalls() == []


def test_there_is_a_limit(names: StreamAliases, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script gone mad does not fill the memory."""
    monkeypatch.setattr(aliases, "MAX_ALIASES", 3)
    for number in range(3):
        names.add(f"a{number}", "x", 0)
    with pytest.raises(CommandError, match="3 aliases already"):
        names.add("a3", "x", 0)
