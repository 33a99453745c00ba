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

    def work(self) -> None:
        """Do all that is to be done."""
        while self._waiting:
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
    """With the reason, and nobody is left waiting."""
    (tmp_path / "film.mp4").write_bytes(b"no film at all")
    found = ask(library, "film.mp4", 3)
    threads.work()
    assert len(found) == 3
    assert all("cannot be played" in failure.getErrorMessage() for failure in found)
    assert open_files(tmp_path) == []


def test_no_more_lookups_than_a_disk_can_bear(library: Library, threads: Threads) -> None:
    """A client that asks without end gets no for an answer."""
    found = ask(library, "none.mp4", Library.MAX_LOOKUPS + 1)
    assert len(found) == 1
    assert found[0].check(NotFound)
    threads.work()
    assert len(found) == Library.MAX_LOOKUPS + 1


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
