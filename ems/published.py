"""Files of running streams in memory: what segmenters have just written, for a web server that need not read it again.

A segmenter writes a segment or a playlist to the disk for good, and puts the same bytes here for as long as they are fresh.
The web server looks here first. A file that is written piece by piece is not here, but noted as growing, so that nobody is told
to keep what is there of it. A segment that comes in pieces is put together when somebody asks for it: most of those of a
hundred cameras nobody ever does. What is on no disk (the parts of low-latency HLS) is kept here until its owner removes it. A
playlist that can answer questions (low-latency HLS: ``_HLS_msn`` and the like) is put as a `LiveFile`, which makes its bytes when
it is asked.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from time import time
from typing import NamedTuple, Protocol


class PublishedFile(NamedTuple):
    """The bytes of a file and when they were put here, in seconds since 1970."""

    data: bytes
    modified: float


class Unavailable(Exception):
    """A live file cannot be given as it was asked for: `status` is the HTTP status that says why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class LiveFile(Protocol):
    """A file whose content depends on how it is asked for."""

    def answer(self, query: Mapping[str, str]) -> Awaitable[PublishedFile]:
        """The content for these query parameters, perhaps later. Raises `Unavailable`."""


class _Pieces(NamedTuple):
    """A file as it was put here."""

    pieces: Sequence[bytes]
    size: int
    modified: float


class PublishedFiles:
    """Fresh files by their absolute path. Of those that were `put`, the oldest go beyond `MAX_BYTES`: they are on the disk as
    well. What was given to `keep` is not counted: its owner knows for how long it is needed."""

    MAX_BYTES = 256 << 20
    """About 100 s of 20 Mbit/s: the players of a live stream are within the newest half minute of it."""

    def __init__(self) -> None:
        self._files: OrderedDict[Path, _Pieces] = OrderedDict()
        self._kept: dict[Path, PublishedFile] = {}
        self._live: dict[Path, LiveFile] = {}
        self._growing: set[Path] = set()
        self._bytes = 0

    def put(self, path: Path, *pieces: bytes) -> None:
        """These are the bytes of that file now, one piece behind the other."""
        self._drop(path)
        size = sum(map(len, pieces))
        self._files[path] = _Pieces(pieces, size, time())
        self._bytes += size
        while self._bytes > self.MAX_BYTES:
            self._drop(next(iter(self._files)))

    def keep(self, path: Path, data: bytes) -> None:
        """These are the bytes of that file, which is nowhere else: they stay until `remove`."""
        self._drop(path)
        self._kept[path] = PublishedFile(data, time())

    def put_live(self, path: Path, live: LiveFile) -> None:
        """That file answers for itself from now on."""
        self._live[path] = live

    def grows(self, path: Path) -> None:
        """From now on that file gets longer, on the disk, until it is `complete`."""
        self._growing.add(path)

    def complete(self, path: Path) -> None:
        """That file does not get longer any more; one that never did is no matter."""
        self._growing.discard(path)

    def is_growing(self, path: Path) -> bool:
        """Whether that file still gets longer."""
        return path in self._growing

    def remove(self, path: Path) -> None:
        """That file is gone, or is to be read from the disk from now on; unknown ones are no matter."""
        self._drop(path)
        self._live.pop(path, None)

    def get(self, path: Path) -> PublishedFile | None:
        """The file, if it is here."""
        found = self._files.get(path)
        if found is None:
            return self._kept.get(path)
        if len(found.pieces) != 1:
            found = self._files[path] = found._replace(pieces=(b"".join(found.pieces),))
        return PublishedFile(found.pieces[0], found.modified)

    def live(self, path: Path) -> LiveFile | None:
        """The live file of that path, if it is one."""
        return self._live.get(path)

    def _drop(self, path: Path) -> None:
        found = self._files.pop(path, None)
        if found is not None:
            self._bytes -= found.size
        self._kept.pop(path, None)
