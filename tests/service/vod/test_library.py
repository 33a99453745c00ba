"""Files, opened and indexed once for many."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from ems.config import Storage
from ems.config.store import Unstored
from ems.vod.library import Library, MediaFile
from ems.vod.storages import NotFound, Storages
from tests.service.vod.conftest import open_files


class Threads:
    """Threads that do their work when they are told to; `done` are the names of what they have done."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self._waiting: list[tuple[Deferred[None], str]] = []

    def run(self, function: Callable[..., Any], *arguments: Any) -> "Deferred[Any]":
        waiting: Deferred[None] = Deferred()
        self._waiting.append((waiting, function.__name__))
        return waiting.addCallback(lambda _: function(*arguments))

    def work(self, until: str = "") -> None:
        """Do all that is to be done, or what comes before a function of this name."""
        while self._waiting and self._waiting[0][1] != until:
            waiting, name = self._waiting.pop(0)
            self.done.append(name)
            waiting.callback(None)


@pytest.fixture
def threads() -> Threads:
    return Threads()


@pytest.fixture
def library(tmp_path: Path, clip: Callable[[str], Path], threads: Threads) -> Library:
    """A folder with ``film.mp4``."""
    shutil.copy(clip("h264_aac"), tmp_path / "film.mp4")
    storages = Storages((Storage(media_folder=str(tmp_path)),), tmp_path, Unstored())
    return Library(storages, in_thread=threads.run)


def ask(library: Library, name: str, count: int = 1) -> list[Any]:
    """Open a file several times at once: the files, or failures, as they come."""
    found: list[Any] = []
    for _ in range(count):
        Deferred.fromCoroutine(library.open(name)).addBoth(found.append)
    return found


def test_many_who_ask_at_once_cost_one_index(library: Library, threads: Threads) -> None:
    """A film that everybody wants to see is looked through once, and each viewer has a file of its own."""
    found = ask(library, "film.mp4", 5)
    threads.work()
    assert len(found) == 5
    assert all(isinstance(file, MediaFile) and file.index is found[0].index for file in found)
    assert threads.done.count("_read_index") == 1
    for file in found:
        file.close()


def test_a_film_that_has_changed_is_looked_through_again(library: Library, threads: Threads, tmp_path: Path) -> None:
    """Nobody is sent bytes of the new film by the index of the old one."""
    for _ in range(2):
        found = ask(library, "film.mp4")
        threads.work()
        found[0].close()
    assert threads.done.count("_read_index") == 1
    os.utime(tmp_path / "film.mp4", ns=(1, 1))
    found = ask(library, "film.mp4")
    threads.work()
    found[0].close()
    assert threads.done.count("_read_index") == 2


def test_a_damaged_film_fails_for_all_who_ask(library: Library, threads: Threads, tmp_path: Path) -> None:
    """With the reason, after one look at it, and nobody is left waiting."""
    (tmp_path / "film.mp4").write_bytes(b"no film at all")
    found = ask(library, "film.mp4", 3)
    threads.work()
    assert len(found) == 3
    assert all("cannot be played" in failure.getErrorMessage() for failure in found)
    assert threads.done.count("_read_index") == 1
    assert open_files(tmp_path) == []


def test_no_more_lookups_than_a_disk_can_bear(library: Library, threads: Threads) -> None:
    """A client that asks without end gets no for an answer."""
    found = ask(library, "none.mp4", Library.MAX_LOOKUPS + 1)
    assert len(found) == 1
    assert found[0].check(NotFound)
    threads.work()
    assert len(found) == Library.MAX_LOOKUPS + 1


def test_who_waits_for_an_index_is_one_who_looks(
    library: Library, threads: Threads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many ask for a film while it is looked through, few files are open; the others get no for an answer."""
    monkeypatch.setattr(Library, "MAX_LOOKUPS", 3)
    found = ask(library, "film.mp4", 3)
    threads.work(until="_read_index")
    (refused,) = ask(library, "film.mp4")
    assert "too many files" in refused.getErrorMessage()
    assert len(open_files(tmp_path)) == 3
    threads.work()
    again = ask(library, "film.mp4")
    threads.work()
    for file in (*found, *again):
        file.close()
    assert len(again) == 1


def test_no_more_open_films_than_the_server_can_bear(
    library: Library, threads: Threads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who plays many films over few connections leaves files for everybody else's; a film that is closed makes room."""
    monkeypatch.setattr(Library, "MAX_OPEN", 2)
    found = ask(library, "film.mp4", 3)
    assert found.pop().check(NotFound)
    threads.work()
    (refused,) = ask(library, "film.mp4")
    assert refused.getErrorMessage() == "2 files are open already"
    found.pop().close()
    again = ask(library, "film.mp4")
    threads.work()
    for file in (*found, *again):
        file.close()
    assert open_files(tmp_path) == []


def test_the_oldest_indexes_go_first(library: Library, threads: Threads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory stays bounded, whatever is played."""
    monkeypatch.setattr(Library, "MAX_INDEXES", 2)
    for name in ("a.mp4", "b.mp4", "film.mp4", "a.mp4"):
        if name != "film.mp4":
            shutil.copy(tmp_path / "film.mp4", tmp_path / name)
        found = ask(library, name)
        threads.work()
        found[0].close()
    assert threads.done.count("_read_index") == 4
