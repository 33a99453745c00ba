"""The files of all storages, opened and indexed.

Everything that touches the disk happens in threads. The index of a file (`ems.formats.index`) is made when it is first played,
once for all who ask at the same time, and kept while the file stays as it is; a `MediaFile` is one viewer's open file with it.
"""

import os
import stat
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.python.failure import Failure

from ems.errors import MalformedData
from ems.formats.files import SNIFFED, reader_for
from ems.formats.index import MediaIndex, Sample
from ems.media.frame import Frame
from ems.vod.names import file_name, is_playlist
from ems.vod.playlist import MAX_ITEMS, Item, Playlist, read_playlist
from ems.vod.storages import Found, NotFound, Storages

if TYPE_CHECKING:
    from ems.config import Storage

MAX_DEPTH = 8
"""Lists in lists in lists: more is a list that names itself."""

READ_GAP = 64 << 10
"""Bytes of other samples that are read along when that saves a read."""


class FileKey(NamedTuple):
    """A file as it is now."""

    path: str
    size: int
    modified_ns: int


class MediaFile:
    """An open file and its index. `read` belongs into a thread; one at a time, and none after `close`, which calls `closed`."""

    def __init__(self, descriptor: int, index: MediaIndex, storage: "Storage", closed: Callable[[], None]) -> None:
        self.index = index
        self.storage = storage
        self.tracks = {track.id: track for track in index.tracks}
        self._descriptor = descriptor
        self._closed = closed

    def read(self, samples: list[Sample]) -> list[Frame]:
        """The frames of these samples. Those that are broken are left out. Raises `OSError`."""
        stored = _read_samples(self._descriptor, samples)
        frames = []
        for sample in samples:
            try:
                data = self.index.payload(sample, stored[sample.offset])
            except MalformedData:
                continue
            frames.append(Frame(self.tracks[sample.track_id], sample.dts, sample.pts, sample.keyframe, data))
        return frames

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)
        self._closed()


def _read_samples(descriptor: int, samples: list[Sample]) -> dict[int, bytes]:
    """The bytes of the samples by their offsets, with as few reads as their places allow."""
    stored: dict[int, bytes] = {}
    ordered = sorted(samples, key=lambda sample: sample.offset)
    at = 0
    while at < len(ordered):
        begin, end, run = ordered[at].offset, ordered[at].offset + ordered[at].size, at + 1
        while run < len(ordered) and ordered[run].offset <= end + READ_GAP:
            end = max(end, ordered[run].offset + ordered[run].size)
            run += 1
        data = os.pread(descriptor, end - begin, begin)
        for sample in ordered[at:run]:
            stored[sample.offset] = data[sample.offset - begin : sample.offset - begin + sample.size]
        at = run
    return stored


class Library:
    """Opens what storages have. `in_thread` runs a function elsewhere and returns a Deferred of its result."""

    log = Logger()

    MAX_INDEXES = 64
    MAX_SAMPLES = 3_000_000
    """Of all indexes that are kept, 100 MB; those that have not been used for longest go first."""

    MAX_LOOKUPS = 256
    """Names that are looked for, and files that wait for their index, at the same time: a client can ask faster than any disk
    answers."""

    MAX_OPEN = 5000
    """Files that are open at the same time: one for each connection that is let in (`ems.net.acceptor`), any of which can play
    many."""

    MAX_MISTAKES = 20
    """That are told of one list."""

    INDEXING = 2
    """Files that are indexed at the same time: the threads are everybody's."""

    def __init__(self, storages: Storages, *, in_thread: Callable[..., "Deferred[Any]"] = deferToThread) -> None:
        self.storages = storages
        self.in_thread = in_thread
        self._indexes: OrderedDict[FileKey, MediaIndex] = OrderedDict()
        self._waiting: dict[FileKey, list[Deferred[MediaIndex]]] = {}
        self._turns = DeferredSemaphore(self.INDEXING)
        self._looking = 0
        self._open_files = 0

    async def open(self, name: str) -> MediaFile:
        """Open the media file that a player means by `name`. Raises `NotFound`, also when too many are open."""
        if self._looking + self._open_files >= self.MAX_OPEN:
            raise NotFound(f"{self.MAX_OPEN} files are open already")
        with self._lookup():
            descriptor, key, storage = await self.in_thread(self._open, name)
            try:
                index = await self._index(descriptor, key)
            except BaseException:
                os.close(descriptor)
                raise
        self._open_files += 1
        return MediaFile(descriptor, index, storage, self._file_closed)

    async def playlist(self, name: str) -> Playlist:
        """Read the list that a player means by `name`, with all lists that it names. Raises `NotFound`."""
        with self._lookup():
            playlist: Playlist = await self.in_thread(self._playlist, name)
        for mistake in playlist.mistakes:
            self.log.warn("{name}: {mistake}", name=name, mistake=mistake)
        return playlist

    @contextmanager
    def _lookup(self) -> Iterator[None]:
        """One of those that are under way. Raises `NotFound` when there are too many."""
        if self._looking >= self.MAX_LOOKUPS:
            raise NotFound("too many files are being looked for")
        self._looking += 1
        try:
            yield
        finally:
            self._looking -= 1

    def _file_closed(self) -> None:
        self._open_files -= 1

    async def _index(self, descriptor: int, key: FileKey) -> MediaIndex:
        index = self._indexes.get(key)
        if index is not None:
            self._indexes.move_to_end(key)
            return index
        if key not in self._waiting:
            return await self._read_index(descriptor, key)
        other: Deferred[MediaIndex] = Deferred()
        self._waiting[key].append(other)
        return await other

    async def _read_index(self, descriptor: int, key: FileKey) -> MediaIndex:
        self._waiting[key] = []
        try:
            index: MediaIndex = await self._turns.run(self.in_thread, _read_index, descriptor, key)
        except BaseException as error:
            for waiting in self._waiting.pop(key):
                waiting.errback(Failure(error))
            raise
        self._keep(key, index)
        for waiting in self._waiting.pop(key):
            waiting.callback(index)
        for told in index.left_out:
            self.log.info("{path}: {told}", path=key.path, told=told)
        return index

    def _keep(self, key: FileKey, index: MediaIndex) -> None:
        self._indexes[key] = index
        samples = sum(len(other.samples) for other in self._indexes.values())
        while len(self._indexes) > 1 and (len(self._indexes) > self.MAX_INDEXES or samples > self.MAX_SAMPLES):
            _, oldest = self._indexes.popitem(last=False)
            samples -= len(oldest.samples)

    def _open(self, name: str) -> "tuple[int, FileKey, Storage]":
        found = self.storages.find(file_name(name))
        try:
            descriptor = _open_regular(found.path)
            status = os.fstat(descriptor)
        except OSError as error:
            raise NotFound(f"{name[:256]!r} cannot be read: {error.strerror}") from error
        return descriptor, FileKey(str(found.path), status.st_size, status.st_mtime_ns), found.storage

    def _playlist(self, name: str) -> Playlist:
        """The list with the lists in it put in their places: those that wait are on `ahead`, the next one last."""
        top = self._read_list(name)
        items: list[Item] = []
        mistakes = [*top.mistakes]
        ahead = [(item, 1) for item in reversed(top.items)]
        while ahead and len(items) < MAX_ITEMS:
            item, depth = ahead.pop()
            if not is_playlist(item.name):
                items.append(item)
            elif depth >= MAX_DEPTH or len(ahead) > MAX_ITEMS:
                mistakes.append(f"{item.name[:256]!r} is a list in too many lists")
            else:
                try:
                    inner = self._read_list(item.name)
                except NotFound as error:
                    mistakes.append(str(error))
                else:
                    mistakes += [f"{item.name}: {mistake}" for mistake in inner.mistakes]
                    ahead += [(other, depth + 1) for other in reversed(inner.items)]
            del mistakes[self.MAX_MISTAKES :]
        return Playlist(tuple(items), top.repeat, tuple(mistakes))

    def _read_list(self, name: str) -> Playlist:
        found = self.storages.find(file_name(name))
        try:
            return read_playlist(_content(found))
        except OSError as error:
            raise NotFound(f"{name[:256]!r} cannot be read: {error.strerror}") from error


def _open_regular(path: Path) -> int:
    """Open a file to read; a FIFO is not waited for. Raises `OSError`, also for what is no ordinary file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "not an ordinary file")
    return descriptor


def _content(found: Found) -> bytes:
    """A list's content. Raises `NotFound` when it is larger than its storage allows, and `OSError`."""
    limit = found.storage.max_playlist_file_size
    with open(_open_regular(found.path), "rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise NotFound(f"{found.path.name} has more than {limit} bytes (maxPlaylistFileSize)")
    return content


def _read_index(descriptor: int, key: FileKey) -> MediaIndex:
    """Read the index of an open file. Raises `NotFound` when it is damaged or no media file."""

    def read(offset: int, length: int) -> bytes:
        return os.pread(descriptor, length, offset)

    try:
        read_index = reader_for(key.path, read(0, SNIFFED))
        if read_index is None:
            raise MalformedData("it is neither MP4 nor FLV nor MP3")
        return read_index(read, key.size)
    except (MalformedData, OSError) as error:
        raise NotFound(f"{os.path.basename(key.path)} cannot be played: {error}") from error
