"""Files that the server itself writes: whole or not at all, one at a time, and never on the reactor.

`write_atomically` is the way a file gets onto the disk so that a crash or a cut of the power leaves the old one or the new
one. `Store` is one such file: it writes in a thread, in order; when values come faster than the disk takes them the newest
one is written for all who wait. A folder that cannot be written is told in the log, once, and the server goes on.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import time
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from ems.config.variant import VariantError
from ems.config.variant_xml import MAX_FILE

T = TypeVar("T")

PRIVATE = 0o600
"""The mode of a new file: these files hold names and addresses that are secrets. That of an old file is kept."""


def write_atomically(path: Path, content: bytes) -> None:
    """Put `content` into the file at `path`; the file that was there stays as ``<name>.bak``.

    The bytes are on the disk when this returns: they go into a temporary file of the same folder, which is synced and renamed,
    and then the folder is synced. A link is followed. Raises `OSError`; what was there is then as it was.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    # What a kill has left behind goes now; a link that somebody put there is not followed.
    with suppress(FileNotFoundError):
        os.unlink(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, path.stat().st_mode & 0o777 if path.exists() else PRIVATE)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        _keep_previous(path)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(path.parent)


def backup_of(path: Path) -> Path:
    """Where `write_atomically` keeps the file that was at `path` before."""
    return path.with_name(f"{path.name}.bak")


def _keep_previous(path: Path) -> None:
    """Give the present file a second name; there is no moment at which it has none."""
    link = path.with_name(f".{path.name}.bak.tmp")
    with suppress(FileNotFoundError):
        os.unlink(link)
    try:
        os.link(path, link)
    except FileNotFoundError:
        return
    except OSError:
        # A file system without hard links.
        shutil.copy2(path, link)
    os.replace(link, backup_of(path))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Store:
    """One file that the server keeps. `in_thread` runs a function elsewhere and returns a Deferred of its result."""

    log = Logger()

    def __init__(self, path: Path, *, in_thread: Callable[..., "Deferred[Any]"] = deferToThread) -> None:
        self.path = path
        self.damaged = False
        self._in_thread = in_thread
        self._newest = b""
        self._waiting: list[Deferred[bool]] = []
        self._idle: list[Deferred[None]] = []
        self._busy = False
        self._failing = False

    def load(self, parse: Callable[[bytes], T]) -> T | None:
        """What the file holds, read by `parse`; None when there is no file, or an empty one. For the start: it blocks.

        A file that `parse` refuses with a `ValueError`, or that cannot be read, is `damaged`: it is kept as
        ``<name>.<unix seconds>``, the log says so, and the one before it (``<name>.bak``) is read in its place.
        """
        try:
            content = _read(self.path)
            return parse(content) if content.strip() else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self.damaged = True
            self.keep_copy(str(error))
        return self._load_backup(parse)

    def _load_backup(self, parse: Callable[[bytes], T]) -> T | None:
        backup = backup_of(self.path)
        try:
            found = parse(_read(backup))
        except (OSError, ValueError):
            return None
        self.log.warn("{backup} is used in its place", backup=str(backup))
        return found

    def keep_copy(self, reason: str) -> None:
        """Keep the file as it is under the name ``<name>.<unix seconds>``, and say in the log why."""
        copy = self.path.with_name(f"{self.path.name}.{int(time())}")
        try:
            shutil.copy2(self.path, copy)
            kept = f"a copy is kept as {copy.name}"
        except OSError as error:
            kept = f"no copy can be kept ({error.strerror})"
        self.log.error("{path}: {reason}; {kept}", path=str(self.path), reason=reason, kept=kept)

    async def save(self, content: bytes) -> bool:
        """Write `content`, or what was asked for after it; returns when that is on the disk: True, or False if it failed."""
        self._newest = content
        done: Deferred[bool] = Deferred()
        self._waiting.append(done)
        if not self._busy:
            self._busy = True
            ensureDeferred(self._write_all())
        return await done

    async def flush(self) -> None:
        """Return when nothing is left to write."""
        if self._busy:
            idle: Deferred[None] = Deferred()
            self._idle.append(idle)
            await idle

    async def _write_all(self) -> None:
        while True:
            content, waiting = self._newest, self._waiting
            self._waiting = []
            written = await self._write(content)
            # Whoever is told may save again, and begins a new loop when this one is over.
            self._busy = bool(self._waiting)
            if self._busy:
                _tell(waiting, written)
                continue
            idle, self._idle = self._idle, []
            _tell(waiting, written)
            _tell(idle, None)
            return

    async def _write(self, content: bytes) -> bool:
        try:
            await self._in_thread(write_atomically, self.path, content)
        except OSError as error:
            if not self._failing:
                self.log.error("cannot write {path}: {reason}", path=str(self.path), reason=error.strerror or str(error))
            self._failing = True
            return False
        if self._failing:
            self.log.info("{path} can be written again", path=str(self.path))
        self._failing = False
        return True


class Unstored(Store):
    """Stands for a file where nothing is to be kept: there is nothing to load, and whatever is saved is forgotten."""

    def __init__(self) -> None:
        super().__init__(Path(os.devnull))

    def load(self, parse: Callable[[bytes], T]) -> T | None:
        return None

    async def save(self, content: bytes) -> bool:
        return True


def _tell(waiting: list["Deferred[T]"], result: T) -> None:
    for done in waiting:
        done.callback(result)


def _read(path: Path) -> bytes:
    """The content of a file; a FIFO is not waited for. Raises `OSError`, and `VariantError` when it is too large."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        content = file.read(MAX_FILE + 1)
    if len(content) > MAX_FILE:
        raise VariantError(f"is larger than {MAX_FILE >> 20} MiB")
    return content
