"""The switch of RTMP authentication: what auth.xml says, and what is done when it says nothing sensible."""

from pathlib import Path

import pytest
from twisted.internet.defer import ensureDeferred, execute
from twisted.internet.task import Clock
from twisted.logger import LogEvent

from ems.config import RtmpAuthentication
from ems.config.store import Store
from ems.errors import CommandError
from ems.security.rtmp import RtmpGate
from ems.security.users import UsersFile


def gate(folder: Path, *, configured: bool = True) -> RtmpGate:
    """A gate that has started."""
    settings = RtmpAuthentication(users_file="users.lua") if configured else None
    made = RtmpGate(Clock(), settings, UsersFile(folder / "users.lua"), Store(folder / "auth.xml", in_thread=execute))
    made.startService()
    return made


def test_without_the_file_it_is_off(tmp_path: Path) -> None:
    """A fresh server lets everybody publish."""
    assert not gate(tmp_path).closed


@pytest.mark.parametrize(("content", "closed"), [("true", True), ("false", False), (" true\n", True)])
def test_the_original_s_file_is_read(tmp_path: Path, content: str, closed: bool) -> None:
    """What was set before counts."""
    (tmp_path / "auth.xml").write_text(f'<?xml version="1.0" ?>\n<BOOL name="">{content}</BOOL>\n')
    assert gate(tmp_path).closed is closed


@pytest.mark.parametrize("content", ["<BOOL", '<BOOL name="">yes</BOOL>', '<UINT8 name="">0</UINT8>', '<STR name="">false</STR>'])
def test_a_file_that_cannot_be_understood_leaves_publishers_outside(
    tmp_path: Path, content: str, log_events: list[LogEvent]
) -> None:
    """A damaged or wrong file does not open the door; the log says so."""
    (tmp_path / "auth.xml").write_text(content)
    assert gate(tmp_path).closed
    assert any("auth.xml" in str(event.get("path")) for event in log_events)


def test_the_switch_outlives_a_restart(tmp_path: Path) -> None:
    """The file has the original's form."""
    for state in (True, False):
        ensureDeferred(gate(tmp_path).switch(state))
        assert (tmp_path / "auth.xml").read_text() == f'<?xml version="1.0" ?>\n<BOOL name="">{str(state).lower()}</BOOL>\n'
        assert gate(tmp_path).closed is state


def test_without_users_it_cannot_be_switched_on(tmp_path: Path) -> None:
    """Nobody is locked out by a command when the configuration knows no users."""
    made = gate(tmp_path, configured=False)
    failure = ensureDeferred(made.switch(True))
    failure.addErrback(lambda reason: reason.trap(CommandError))
    assert failure.result is CommandError
    assert not made.closed
    ensureDeferred(made.switch(False))
    (tmp_path / "auth.xml").write_text('<BOOL name="">true</BOOL>')
    assert not gate(tmp_path, configured=False).closed
