"""Where a file is: in memory if a segmenter has just written it, else in the web root, else among the packaged pages.

The disk is looked at in threads only. A name that is nowhere is remembered for some seconds, so that clients who poll for a
stream that has not begun cost no more than a look into a dictionary; memory comes first, so a file that is published counts at
once. Names that lead out of a folder by symbolic links are nowhere.
"""

import os
import stat
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from ems.published import PublishedFile, PublishedFiles
from ems.security.paths import UnsafePath, require_inside

MAX_MISSING = 10_000
"""Names that are known to be nowhere, about 2 MB."""

MISSING_SECONDS = 5.0

SMALL = 256 << 10
"""Bytes of a file that is read whole: pages and playlists, which may be compressed."""

MAX_ENTRIES = 256
"""Entries of a folder among which a manifest is looked for."""

InThread = Callable[[Callable[[], Any]], "Deferred[Any]"]
"""Does something slow without blocking the reactor."""


@dataclass(slots=True)
class Found:
    """A file that is there. Its bytes are in `data`, or are read from `descriptor`, which whoever has it must close.

    `growing` is true while more bytes are going to be behind those of now.
    """

    path: Path
    size: int
    modified: float
    data: bytes | None = None
    descriptor: int = -1
    growing: bool = False

    def close(self) -> None:
        """Let go of the file."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class Folder:
    """What was asked for is a folder with an index page: its address ends in a slash."""


class Files:
    """The files under `roots`, the first of which is the web root; `now` is a clock for the memory of missing names."""

    def __init__(self, published: PublishedFiles, roots: Sequence[Path], in_thread: InThread, now: Callable[[], float]) -> None:
        self.published = published
        self.roots = tuple(roots)
        self._texts = tuple(map(str, roots))
        # A path that is made anew for each viewer costs more than sending it a playlist.
        self._absolute = lru_cache(maxsize=1024)(lambda path: Path(f"{self._texts[0]}/{path}"))
        self._in_thread = in_thread
        self._now = now
        self._missing: OrderedDict[str, float] = OrderedDict()

    def in_memory(self, path: str) -> tuple[Path, PublishedFile | None]:
        """Where this path (safe, without a slash at its beginning) is in the web root, and its bytes if they are in memory."""
        absolute = self._absolute(path)
        return absolute, self.published.get(absolute)

    def relative(self, folder: str) -> str:
        """The path of a folder in the web root, empty for the root itself."""
        return folder.removeprefix(self._texts[0]).strip("/")

    def is_missing(self, path: str) -> bool:
        """Whether this path was nowhere a moment ago."""
        since = self._missing.get(path)
        if since is None:
            return False
        if self._now() - since < MISSING_SECONDS:
            return True
        del self._missing[path]
        return False

    async def find(self, path: str) -> Found | Folder | None:
        """The file of this path on the disk; None when there is none."""
        found: Found | Folder | None = await self._in_thread(lambda: _find(self.roots, path))
        if found is None:
            self._missing[path] = self._now()
            self._missing.move_to_end(path)
            if len(self._missing) > MAX_MISSING:
                self._missing.popitem(last=False)
        elif isinstance(found, Found):
            found.growing = self.published.is_growing(found.path)
        return found

    async def manifest_of(self, group: str, is_manifest: Callable[[str], bool]) -> str | None:
        """The path of a group's manifest: its master playlist, or the only playlist in it."""
        found: str | None = await self._in_thread(lambda: _manifest_of(self.roots[0], group, is_manifest))
        return found

    async def read(self, found: Found, start: int, size: int) -> bytes:
        """Bytes of an open file, fewer when it has become shorter."""
        data: bytes = await self._in_thread(lambda: os.pread(found.descriptor, size, start))
        return data


def _find(roots: Iterable[Path], path: str) -> Found | Folder | None:
    for root in roots:
        absolute = root / path
        with suppress(OSError, UnsafePath):
            found = _open(root, absolute)
            if found is not None:
                return found
    return None


def _open(root: Path, path: Path) -> Found | Folder | None:
    """The regular file at `path`. Raises `OSError` or `UnsafePath`."""
    require_inside(root, path)
    with ExitStack() as opened:
        # Opening a named pipe would wait for its other end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        opened.callback(os.close, descriptor)
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            return Folder() if (path / "index.html").is_file() else None
        if not stat.S_ISREG(status.st_mode):
            return None
        if status.st_size <= SMALL:
            data = os.pread(descriptor, SMALL, 0)
            return Found(path, len(data), status.st_mtime, data)
        opened.pop_all()
        return Found(path, status.st_size, status.st_mtime, descriptor=descriptor)


def _manifest_of(root: Path, group: str, is_manifest: Callable[[str], bool]) -> str | None:
    """A manifest in the folder itself goes before one in its only folder that has any."""
    try:
        require_inside(root, root / group)
        folders = [root / group]
        own = _manifests(folders[0], is_manifest)
        if not own:
            inner = [_manifests(folder, is_manifest) for folder in _entries(folders[0]) if folder.is_dir()]
            with_one = [manifests for manifests in inner if manifests]
            own = with_one[0] if len(with_one) == 1 else []
    except (OSError, UnsafePath):
        return None
    if not own:
        return None
    own.sort(key=lambda path: (not path.name.startswith(("playlist.", "manifest.")), path.name))
    return own[0].relative_to(root).as_posix()


def _manifests(folder: Path, is_manifest: Callable[[str], bool]) -> list[Path]:
    return [path for path in _entries(folder) if is_manifest(path.name) and path.is_file()]


def _entries(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return [Path(entry.path) for entry, _ in zip(entries, range(MAX_ENTRIES), strict=False)]
