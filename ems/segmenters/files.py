"""Files that appear whole or not at all, written in threads, in order.

A file is written under a temporary name and renamed, so neither a reader nor a killed server ever leaves half of one. Steps of
one stream follow each other (`InOrder`): a playlist comes after the segments that it names. The functions that block are for
threads only.
"""

import os
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger

TEMPORARY = re.compile(r"\.[^/]+\.tmp")
"""Names of files that are not finished. They begin with a dot, which no web server gives away."""

MAX_PIECES = 1024
"""Pieces of data that one system call writes (IOV_MAX of Linux)."""


class InOrder:
    """Runs steps one after another, each when the one before has ended. One that fails is logged and does not stop the others."""

    log = Logger()

    def __init__(self) -> None:
        self._steps: deque[Callable[[], Awaitable[None]]] = deque()
        self._idle: list[Deferred[None]] = []
        self._busy = False

    def put(self, step: Callable[[], Awaitable[None]]) -> None:
        """Run this coroutine function after all that were put before."""
        self._steps.append(step)
        if not self._busy:
            self._busy = True
            ensureDeferred(self._run())

    async def done(self) -> None:
        """Return when nothing is left to do."""
        if self._busy:
            waiting: Deferred[None] = Deferred()
            self._idle.append(waiting)
            await waiting

    async def _run(self) -> None:
        while self._steps:
            try:
                await self._steps.popleft()()
            except Exception:
                self.log.failure("a file could not be handled")
        self._busy = False
        idle, self._idle = self._idle, []
        for waiting in idle:
            waiting.callback(None)


def write_file(path: Path, *pieces: bytes) -> None:
    """Write a file, its pieces one behind the other, and replace what is there in one step.

    Blocks; raises OSError, and then leaves nothing behind.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb", buffering=0) as file:
            _write_pieces(file, pieces)
        os.replace(temporary, path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def extend_file(path: Path, offset: int, *pieces: bytes) -> None:
    """Make these pieces the end of a file, from `offset` on; what an attempt that failed has left there is cut off.

    Blocks; raises OSError, and then the file ends at `offset`, or as near behind it as the disk lets.
    """
    with path.open("r+b" if offset else "wb", buffering=0) as file:
        file.truncate(offset)
        file.seek(offset)
        try:
            _write_pieces(file, pieces)
        except OSError:
            with suppress(OSError):
                file.truncate(offset)
            raise


def _write_pieces(file: FileIO, pieces: Sequence[bytes]) -> None:
    for start in range(0, len(pieces), MAX_PIECES):
        together = pieces[start : start + MAX_PIECES]
        written = os.writev(file.fileno(), together)
        if written < sum(map(len, together)):
            # A disk that is nearly full takes a part of it; writing the rest tells what it is.
            rest = memoryview(b"".join(together))[written:]
            while rest:
                rest = rest[file.write(rest) :]


def remove_files(folder: Path, names: Iterable[str]) -> None:
    """Remove these files; those that are not there are no matter. Blocks; never raises."""
    for name in names:
        with suppress(OSError):
            (folder / name).unlink(missing_ok=True)


def remove_matching(folder: Path, pattern: re.Pattern[str], keep: Iterable[str] = ()) -> None:
    """Remove the files whose whole name matches, and that are not to be kept. Blocks; never raises."""
    kept = frozenset(keep)
    with suppress(OSError):
        remove_files(folder, [name for name in os.listdir(folder) if pattern.fullmatch(name) and name not in kept])
