"""The settings of jobs, and their types."""

import pytest

from ems.api.commands.pull_push import PULL_PUSH
from ems.config.variant import Int64, UInt64
from ems.errors import CommandError
from ems.jobs.settings import PULL, PULL_EXTRAS, PUSH, Settings, complete

MADE_LATER = {"localStreamName", "emulateUserAgent", "targetStreamName", "uri"}
"""Settings whose defaults are made when the command runs."""


@pytest.mark.parametrize(("command", "defaults"), [("pullStream", {**PULL, **PULL_EXTRAS}), ("pushStream", PUSH)])
def test_the_defaults_are_those_of_the_command(command: str, defaults: Settings) -> None:
    """A stored job that lacks a setting runs as if the command had left it out."""
    [declared] = [one for one in PULL_PUSH.commands() if one.name == command]
    parameters = {parameter.name: parameter.default for parameter in declared.parameters}
    assert set(parameters) - {"uri"} <= set(defaults)
    for name, default in parameters.items():
        assert name in MADE_LATER or defaults[name] == default, name


def test_settings_get_the_widths_of_the_original() -> None:
    """Whole numbers are stored as the original stores them, or its checksum would not hold."""
    settings = complete({"uri": "rtmp://192.0.2.1/a/b", "ttl": 64, "rangeStart": -1, "_crew": "red"}, PULL)
    assert (type(settings["ttl"]), type(settings["rangeStart"]), type(settings["rtcpDetectionInterval"])) == (
        UInt64,
        Int64,
        UInt64,
    )
    assert (settings["ttl"], settings["rangeStart"], settings["keepAlive"], settings["_crew"]) == (64, -1, True, "red")


@pytest.mark.parametrize(
    "given", [{"ttl": "64"}, {"ttl": True}, {"ttl": -1}, {"keepAlive": 1}, {"uri": 5}, {"_x": "\x01"}, {"_\x02": "x"}, {"_x": 5}]
)
def test_what_cannot_be_stored_is_refused(given: dict[str, object]) -> None:
    """A setting that the file cannot hold is refused by itself; it does not keep other jobs from being stored."""
    with pytest.raises(CommandError):
        complete(given, PULL, PULL_EXTRAS)
