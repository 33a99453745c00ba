"""A server in memory with a folder of films, read without threads, and the promise that nothing of it is left."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import LogEvent, globalLogBeginner

from ems.config import Application, MediaStorage, Storage
from tests.conversation import MemoryWorld

BUFFER = 5
"""The storage's clientSideBuffer, in seconds."""


@pytest.fixture(scope="session", autouse=True)
def log_has_begun() -> None:
    """Until it begins, Twisted keeps every event, and with it every connection that has said something."""
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)


class VodWorld(MemoryWorld):
    """`folder` is the storage's; `events` are the names of the events so far."""

    def __init__(self, folder: Path) -> None:
        storage = Storage(media_folder=str(folder), client_side_buffer=BUFFER)
        super().__init__(Application(name="ems", aliases=("live", "vod"), media_storage=MediaStorage(storages=(storage,))))
        self.folder = folder
        self.events: list[str] = []
        self.server.events.subscribe(lambda event: self.events.append(event.type))
        assert self.server.vod is not None
        self.server.vod.library.in_thread = self.at_once

    def write_list(self, name: str, *lines: str) -> None:
        """Put a playlist into the folder."""
        (self.folder / name).write_text("\n".join(lines))

    @staticmethod
    def at_once(function: Callable[..., Any], *arguments: Any) -> "Deferred[Any]":
        """What stands for a thread."""
        return maybeDeferred(function, *arguments)


def open_files(folder: Path) -> list[str]:
    """What this process has open of a folder."""
    descriptors = Path("/proc/self/fd").iterdir()
    paths = [os.readlink(one) for one in descriptors if one.is_symlink()]
    return [path for path in paths if path.startswith(str(folder))]


@pytest.fixture
def world(tmp_path: Path, clip: Callable[[str], Path], log_events: list[LogEvent]) -> Iterator[VodWorld]:
    """A server and its films: ``film.mp4`` with a key frame each second, ``odd.mp4`` with B-frames and one each 2 s."""
    shutil.copy(clip("h264_aac"), tmp_path / "film.mp4")
    shutil.copy(clip("h264_bframes_aac"), tmp_path / "odd.mp4")
    made = VodWorld(tmp_path)
    yield made
    made.close()
    assert open_files(tmp_path) == []
    assert [event for event in log_events if "log_failure" in event] == []
