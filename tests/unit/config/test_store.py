"""What the server stores is there whole after a crash, and a disk that fails stops nothing."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, ensureDeferred, execute
from twisted.logger import LogEvent, formatEvent

from ems.config.store import Store, backup_of, write_atomically


def texts(events: list[LogEvent]) -> list[str]:
    return [formatEvent(event) for event in events if "Store" in event["log_namespace"]]


def number(content: bytes) -> int:
    return int(content)


class SlowDisk:
    """Writes when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[Deferred[Any], Callable[..., Any], tuple[Any, ...]]] = []

    def in_thread(self, function: Callable[..., Any], *arguments: Any) -> "Deferred[Any]":
        done: Deferred[Any] = Deferred()
        self.asked.append((done, function, arguments))
        return done

    def write(self) -> None:
        done, function, arguments = self.asked.pop(0)
        function(*arguments)
        done.callback(None)


def test_a_file_is_replaced_whole_and_the_old_one_kept(tmp_path: Path) -> None:
    """The new content is there, the previous as .bak, nothing else; nobody but the owner reads it."""
    path = tmp_path / "deep/er/auth.xml"
    for content in (b"one", b"two", b"three"):
        write_atomically(path, content)
    assert path.read_bytes() == b"three"
    assert backup_of(path).read_bytes() == b"two"
    assert sorted(os.listdir(path.parent)) == ["auth.xml", "auth.xml.bak"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_mode_and_link_of_the_old_file_stay(tmp_path: Path) -> None:
    """A file that the administrator has opened to a group, or has put elsewhere with a link, stays so."""
    real = tmp_path / "elsewhere/real.xml"
    write_atomically(real, b"one")
    real.chmod(0o640)
    link = tmp_path / "auth.xml"
    link.symlink_to(real)
    write_atomically(link, b"two")
    assert link.is_symlink()
    assert real.read_bytes() == b"two"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


@pytest.mark.parametrize("call", ["write", "fsync", "replace", "fchmod"])
def test_a_failure_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """Whatever fails on the way, a full disk for example, the old file is there and no temporary one."""
    path = tmp_path / "auth.xml"
    write_atomically(path, b"old")

    def fail(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    if call == "write":
        monkeypatch.setattr("ems.config.store.open", lambda *arguments: fail(), raising=False)
    else:
        monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert not [name for name in os.listdir(tmp_path) if name not in ("auth.xml", "auth.xml.bak", ".auth.xml.bak.tmp")]


def test_saving_returns_when_it_is_on_the_disk(tmp_path: Path) -> None:
    """A command that waits for `save` answers only when its value would survive a crash."""
    disk = SlowDisk()
    store = Store(tmp_path / "x", in_thread=disk.in_thread)
    saved = ensureDeferred(store.save(b"1"))
    assert not saved.called
    disk.write()
    assert saved.result is True
    assert (tmp_path / "x").read_bytes() == b"1"


def test_many_values_at_once_are_written_together(tmp_path: Path) -> None:
    """While one write is under way only the newest value waits; everybody is told when a value as new as theirs is there."""
    disk = SlowDisk()
    store = Store(tmp_path / "x", in_thread=disk.in_thread)
    first = ensureDeferred(store.save(b"1"))
    others = [ensureDeferred(store.save(str(value).encode())) for value in range(2, 50)]
    idle = ensureDeferred(store.flush())
    disk.write()
    assert first.called
    assert not any(other.called for other in others)
    disk.write()
    assert all(other.called for other in others)
    assert idle.called
    assert disk.asked == []
    assert (tmp_path / "x").read_bytes() == b"49"


def test_who_is_told_may_save_again(tmp_path: Path) -> None:
    """Saving from the answer to a save starts one further write, never two at a time."""
    disk = SlowDisk()
    store = Store(tmp_path / "x", in_thread=disk.in_thread)
    for value in (b"1", b"2"):
        ensureDeferred(store.save(value)).addCallback(lambda _, value=value: ensureDeferred(store.save(value + b"0")) and None)
    disk.write()
    assert len(disk.asked) == 1
    disk.write()
    assert len(disk.asked) == 1
    disk.write()
    assert disk.asked == []
    assert (tmp_path / "x").read_bytes() == b"20"


def test_a_folder_that_cannot_be_written_is_told_once(tmp_path: Path, log_events: list[LogEvent]) -> None:
    """A read-only folder: saving says False, the log says it once, and once more when the folder can be written again."""
    blocked = tmp_path / "config"
    blocked.write_text("a file where the folder should be, for root may write into any folder")
    store = Store(blocked / "auth.xml", in_thread=execute)
    for _ in range(3):
        assert ensureDeferred(store.save(b"1")).result is False
    assert len(texts(log_events)) == 1
    assert "cannot write" in texts(log_events)[0]
    blocked.unlink()
    assert ensureDeferred(store.save(b"1")).result is True
    assert "can be written again" in texts(log_events)[1]


def test_loading(tmp_path: Path, log_events: list[LogEvent]) -> None:
    """A file is parsed; a missing or empty one is nothing, without a word."""
    path = tmp_path / "x"
    assert Store(path).load(number) is None
    path.write_bytes(b" \n")
    assert Store(path).load(number) is None
    path.write_bytes(b"7")
    store = Store(path)
    assert (store.load(number), store.damaged) == (7, False)
    assert texts(log_events) == []


def test_a_damaged_file_is_kept_and_the_one_before_it_used(tmp_path: Path, log_events: list[LogEvent]) -> None:
    """Nothing is lost: what was in the damaged file is kept under another name, and the last good one counts."""
    path = tmp_path / "x"
    write_atomically(path, b"7")
    write_atomically(path, b"8")
    path.write_bytes(b"8 and a half")
    store = Store(path)
    assert (store.load(number), store.damaged) == (7, True)
    (copy,) = [name for name in os.listdir(tmp_path) if name.removeprefix("x.").isdigit()]
    assert (tmp_path / copy).read_bytes() == b"8 and a half"
    assert copy in texts(log_events)[0]


@pytest.mark.parametrize("make", [lambda path: path.write_bytes(b"x" * (5 << 20)), Path.mkdir, os.mkfifo])
def test_a_file_that_is_none_does_not_stop_the_start(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A folder, a FIFO or far too much in the file's place: nothing is loaded, and nothing waits."""
    make(tmp_path / "x")
    assert Store(tmp_path / "x").load(number) is None
