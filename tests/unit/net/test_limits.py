"""Limits bind who comes, outlive a restart, and a file of a wrong form is none."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from twisted.internet.defer import ensureDeferred, execute
from twisted.logger import LogEvent

from ems.config.store import Store
from ems.net.limits import LimitKeeper, Limits


@dataclass
class Load:
    """So many connections, so many bytes a second."""

    media_count: int = 0
    speed: tuple[float, float] = (0.0, 0.0)


def keeper(folder: Path) -> LimitKeeper:
    """Limits that have been loaded."""
    stores = [Store(folder / name, in_thread=execute) for name in ("connlimits.xml", "bandwidthlimits.xml")]
    made = LimitKeeper(Limits(), *stores)
    made.startService()
    return made


@pytest.mark.parametrize(
    ("load", "refusal"),
    [
        (Load(9, (1000.0, 2000.0)), ""),
        (Load(10), "10 connections"),
        (Load(11), "10 connections"),
        (Load(0, (1000.5, 0)), "1000 bytes a second in"),
        (Load(0, (0, 2000.5)), "2000 bytes a second out"),
    ],
)
def test_who_comes_above_a_limit_is_turned_away(load: Load, refusal: str) -> None:
    """The limit of connections is their number; a bandwidth may be reached, and not passed."""
    limits = Limits()
    assert limits.refusal(Load(10**6, (1e12, 1e12))) == ""
    limits.connections, limits.bandwidth_in, limits.bandwidth_out = 10, 1000, 2000
    assert limits.refusal(load).removeprefix("the limit is ") == refusal


def test_limits_outlive_a_restart_in_the_original_s_form(tmp_path: Path) -> None:
    """The files have the types that the original insists on."""
    made = keeper(tmp_path)
    ensureDeferred(made.limit_connections(500))
    ensureDeferred(made.limit_bandwidth(0, 2_000_000))
    assert (tmp_path / "connlimits.xml").read_text() == '<?xml version="1.0" ?>\n<UINT32 name="">500</UINT32>\n'
    assert (tmp_path / "bandwidthlimits.xml").read_text() == (
        '<?xml version="1.0" ?>\n<MAP isArray="false" name="">\n'
        '    <DOUBLE name="in">0.000</DOUBLE>\n    <DOUBLE name="out">2000000.000</DOUBLE>\n</MAP>\n'
    )
    limits = keeper(tmp_path).limits
    assert (limits.connections, limits.bandwidth_in, limits.bandwidth_out) == (500, 0.0, 2_000_000.0)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("connlimits.xml", '<UINT64 name="">5</UINT64>'),
        ("connlimits.xml", '<STR name="">5</STR>'),
        ("connlimits.xml", '<UINT32 name="">-5</UINT32>'),
        ("bandwidthlimits.xml", '<MAP><UINT32 name="in">5</UINT32><DOUBLE name="out">5.0</DOUBLE></MAP>'),
        ("bandwidthlimits.xml", '<MAP><DOUBLE name="in">5.0</DOUBLE></MAP>'),
        ("bandwidthlimits.xml", '<MAP><DOUBLE name="in">-5.0</DOUBLE><DOUBLE name="out">5.0</DOUBLE></MAP>'),
        ("bandwidthlimits.xml", '<UINT32 name="">5</UINT32>'),
    ],
)
def test_a_file_of_a_wrong_type_is_reported_and_ignored(
    tmp_path: Path, name: str, content: str, log_events: list[LogEvent]
) -> None:
    """The server starts without the limit, and the log says which file is wrong."""
    (tmp_path / name).write_text(content)
    limits = keeper(tmp_path).limits
    assert (limits.connections, limits.bandwidth_in, limits.bandwidth_out) == (0, 0.0, 0.0)
    assert any(name in str(event.get("path")) for event in log_events)
