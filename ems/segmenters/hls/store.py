"""The files of one output: segments first, then the playlist that names them, then what nobody needs any more is removed.

A playlist never names a file that is not there. When the disk is full, or a segment cannot be protected, the segment is listed
as a gap (RFC 8216bis §4.4.4.7), and everything goes on as soon as there is room.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from errno import ENOENT
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from ems.errors import CommandError, MalformedData
from ems.formats import m3u8
from ems.formats.m3u8 import ByteRange, Key, MediaPlaylist
from ems.media.frame import MILLISECOND
from ems.security.paths import require_inside
from ems.segmenters.files import TEMPORARY, extend_file, remove_files, remove_matching, write_file
from ems.segmenters.hls.seams import PartListener
from ems.segmenters.hls.settings import HlsSettings
from ems.segmenters.hls.window import Window

if TYPE_CHECKING:
    from ems.server import Server

OUR_FILES = re.compile(r"[^.].*\.(?:ts|m3u8|key|aac|m4s|mp4)")
"""What ``cleanupDestination`` and ``removeHlsHdsFiles`` remove."""


class Media(NamedTuple):
    """A segment as it is stored: its bytes, in pieces, and what the playlist tells of it. `start` is in nanoseconds on the
    stream's clock, `duration` in milliseconds.

    `init` is the initialisation segment of its run and `map_name` that one's file, both empty without one. It and the
    `key_files` are written before the segment.
    """

    pieces: Sequence[bytes]
    extension: str
    start: int
    duration: int
    date: datetime
    discontinuity: bool
    map_name: str = ""
    init: bytes = b""
    key: Key | None = None
    key_files: Mapping[str, bytes] = {}


@dataclass(slots=True)
class _OpenFile:
    """The file that grows by byte ranges."""

    name: str
    size: int = 0
    duration: int = 0


class Store:
    """Writes the files of one output; its coroutines must follow each other (`ems.segmenters.files.InOrder`).

    `files_lost` is called when somebody has removed its folder or what was in it.
    """

    log = Logger(namespace="hls")

    def __init__(
        self,
        server: "Server",
        settings: HlsSettings,
        in_thread: "Callable[..., Deferred[Any]]",
        listener: PartListener | None,
        files_lost: Callable[[], None],
    ) -> None:
        self.settings = settings
        self._server = server
        self._in_thread = in_thread
        self._listener = listener
        self._files_lost = files_lost
        self._window = self._new_window()
        self._stamp = 0
        self._file: _OpenFile | None = None
        self._written: set[str] = set()
        self._gone: list[str] = []
        self._failing = False
        self._has_list = False
        self._leftovers = False
        self._open = False
        self._ended = True

    @property
    def next_number(self) -> int:
        """The media sequence number of the next segment."""
        return self._window.next_number

    @property
    def begun(self) -> int:
        """When the playlist was begun, in milliseconds since 1970; it is in the names of segments."""
        return self._stamp

    @property
    def stays_open(self) -> bool:
        """True when the list goes on with the next source: players are to wait for it.

        A rolling list that began anew would take its numbers back, which players do not follow (RFC 8216 §6.2.2).
        """
        return self.settings.keep_alive and (self.settings.rolling or self.settings.resume)

    @property
    def playlist_path(self) -> Path:
        """Where the playlist is."""
        return self.settings.folder / self.settings.playlist_name

    async def open(self) -> None:
        """Make the folder ready for a new source. Raises `CommandError` with what stands against it."""
        settings = self.settings
        continuing = self.stays_open and bool(self._window.listed)
        try:
            found = await self._in_thread(_prepare, settings, continuing)
        except OSError as error:
            raise CommandError(f"{settings.folder}: {error.strerror or error}") from None
        # Later than the one before even when the clock has been set back: a name is never used twice.
        self._stamp = max(int(self._server.clock.seconds() * 1000), self._stamp + 1)
        self._end_file()
        self._has_list = False
        self._open, self._ended = True, False
        if found is not None:
            self._window.resume(found)
        elif not continuing:
            self._window = self._new_window()
        self._leftovers = settings.rolling
        if self._listener is not None:
            self._listener.playlist(self._window.playlist())

    def name(self, number: int, extension: str) -> str:
        """The file name of a segment."""
        return f"{self.settings.base_name}_{self._stamp}_{number}.{extension}"

    def publish_init(self, number: int, init: bytes) -> str:
        """Let players have the initialisation segment for the segments from `number` on, before anything is on the disk;
        returns its file name. It is written with the first segment that names it."""
        name = self.name(number, "init.mp4")
        self._server.published.put(self.settings.folder / name, init)
        return name

    def announce(self, number: int, extension: str, start: int) -> None:
        """Say that the file of a segment begins, with the media time `start` in nanoseconds (``hlsChunkCreated``)."""
        file = self.settings.folder / self.name(number, extension)
        times = {"playlistStartTs": float(self._stamp), "segmentStartTs": start / MILLISECOND}
        self._server.events.emit("hlsChunkCreated", {"file": str(file), **times})

    async def add(self, number: int, media: Media) -> Path | None:
        """Store a segment and list it; returns its file, or None when it could not be written and is listed as a gap."""
        try:
            try:
                entry = await self._write(number, media)
            except FileNotFoundError:
                await self._find_lost()
                entry = await self._write(number, media)
        except OSError as error:
            await self.lose(number, media, f"{self.settings.folder}: {error.strerror or error}")
            return None
        self._gone += self._window.add(entry)
        if await self.write_playlist() and self._failing:
            self._failing = False
            self.log.info("{folder}: segments can be written again", folder=str(self.settings.folder))
        return self.settings.folder / unquote(entry.uri)

    async def lose(self, number: int, media: Media, reason: str) -> None:
        """List a segment that cannot be stored as a gap."""
        entry = m3u8.Segment(
            quote(self.name(number, media.extension)), media.duration, media.discontinuity, date=media.date, gap=True
        )
        last = self._window.listed[-1:]
        # A gap needs no key and no map of its own; those of its neighbours stay in force.
        self._gone += self._window.add(replace(entry, key=last[0].key, map_uri=last[0].map_uri) if last else entry)
        self._end_file()
        self._report(f"a segment is lost: {reason}")
        await self.write_playlist()

    async def write_playlist(self, *, ended: bool = False) -> bool:
        """Write the playlist, and remove the files that it no longer needs; False when it cannot be written."""
        path = self.playlist_path
        try:
            try:
                content = await self._write_list(ended)
            except FileNotFoundError:
                await self._find_lost()
                content = await self._write_list(ended)
        except OSError as error:
            self._report(f"{path}: {error.strerror or error}")
            return False
        self._server.published.put(path, content)
        self._server.events.emit("hlsChildPlaylistUpdated", {"file": str(path)})
        if self._leftovers:
            await self._remove_leftovers()
        return True

    async def close(self, *, ended: bool) -> None:
        """The source is over. With `ended` the playlist is complete; without, it waits for the next source."""
        if self._open and self.settings.cleanup_on_close:
            await self.remove_all()
        elif ended and not self._ended and self._window.listed:
            self._ended = True
            await self.write_playlist(ended=True)
            # From here on it is the disk that counts: somebody else may remove or replace what is there.
            self._unpublish()
        self._end_file()
        self._open = False

    async def remove_all(self) -> None:
        """Delete all files of the stream, and its folder when nothing else is in it."""
        self._unpublish()
        self._end_file()
        self._window = self._new_window()
        self._written.clear()
        await self._in_thread(_remove_folder, self.settings.folder)

    def _unpublish(self) -> None:
        """Have nothing of the list in memory any more."""
        for uri in self._window.files:
            self._server.published.remove(self.settings.folder / unquote(uri))
        self._server.published.remove(self.playlist_path)

    def _report(self, problem: str) -> None:
        """Tell everybody of a problem; the log is told once, until it is over."""
        self._server.events.emit("hlsChunkError", {"error": problem})
        if not self._failing:
            self._failing = True
            self.log.error("{problem}", problem=problem)

    async def _find_lost(self) -> None:
        """Somebody has removed the folder, or what is in it: make it anew, and list only what is still there. Raises OSError."""
        folder = self.settings.folder
        there = await self._in_thread(_names_in, folder)
        lost = self._window.keep_only(quote(name) for name in there)
        for uri in lost:
            self._server.published.remove(folder / unquote(uri))
        self._written.intersection_update(there)
        self._has_list = False
        self._end_file()
        self._report(f"{folder}: somebody has removed files; {len(lost)} of the playlist are lost")
        self._files_lost()

    async def _remove_leftovers(self) -> None:
        """Remove what an output of before has left: now that its playlist has been replaced, nobody names it any more."""
        self._leftovers = False
        keep = [unquote(uri) for uri in self._window.files]
        await self._in_thread(remove_matching, self.settings.folder, _segments_of(self.settings.base_name), keep)

    async def _write_list(self, ended: bool) -> bytes:
        """Write the playlist and remove what is not needed any more, in one step; returns its content. Raises OSError."""
        texts: Iterable[str] = self._window.texts(ended=ended)
        if self._listener is not None:
            texts = [self._listener.playlist(self._window.playlist(ended=ended)).text]
        # A file that still grows is needed, even if none of its ranges is listed any more.
        growing = quote(self._file.name) if self._file is not None else ""
        gone = [uri for uri in self._gone if uri != growing and uri not in self._window.files]
        names = [unquote(uri) for uri in gone]
        content: bytes = await self._in_thread(_write_texts, self.playlist_path, texts, self._has_list, names)
        self._has_list = True
        self._gone = [uri for uri in self._gone if uri == growing]
        for name in names:
            self._server.published.remove(self.settings.folder / name)
            self._written.discard(name)
        return content

    async def _write(self, number: int, media: Media) -> m3u8.Segment:
        """Write a segment with what it needs. Raises OSError."""
        folder = self.settings.folder
        needed = {media.map_name: media.init, **media.key_files} if media.map_name else media.key_files
        for name, content in needed.items():
            if name not in self._written:
                await self._in_thread(write_file, folder / name, content)
                self._written.add(name)
        if self.settings.file_length:
            name, byte_range = await self._extend(number, media)
        else:
            name, byte_range = self.name(number, media.extension), None
            path = folder / name
            await self._in_thread(write_file, path, *media.pieces)
            self._server.published.put(path, *media.pieces)
        map_uri = quote(media.map_name)
        return m3u8.Segment(quote(name), media.duration, media.discontinuity, media.key, map_uri, media.date, byte_range)

    async def _extend(self, number: int, media: Media) -> tuple[str, ByteRange]:
        """Put a segment behind those that are in the file already, or into a new file when that is long enough."""
        file = self._file
        if file is None or media.discontinuity or file.duration >= self.settings.file_length * 1000:
            self._end_file()
            file = self._file = _OpenFile(self.name(number, media.extension))
            self._server.published.grows(self.settings.folder / file.name)
            self.announce(number, media.extension, media.start)
        await self._in_thread(extend_file, self.settings.folder / file.name, file.size, *media.pieces)
        byte_range = ByteRange(sum(map(len, media.pieces)), file.size)
        file.size += byte_range.length
        file.duration += media.duration
        return file.name, byte_range

    def _end_file(self) -> None:
        """The next segment begins a new file: the one that grew by byte ranges is complete."""
        if self._file is not None:
            self._server.published.complete(self.settings.folder / self._file.name)
            self._file = None

    def _new_window(self) -> Window:
        settings = self.settings
        shape = MediaPlaylist(
            version=settings.version,
            target_duration=settings.chunk_length,
            playlist_type="" if settings.rolling else m3u8.EVENT,
            start_offset=settings.start_offset or None,
            # The tag was taken away in version 7.
            allow_cache=not settings.rolling or settings.version >= 7,
        )
        length = settings.playlist_length if settings.rolling else 0
        return Window(shape, length=length, retention=settings.retention)


def date_of(settings: HlsSettings, seconds: float) -> datetime:
    """EXT-X-PROGRAM-DATE-TIME of a moment in seconds since 1970: UTC, or local time with its offset (decided by settings)."""
    moment = datetime.fromtimestamp(seconds + settings.offset_time, tz=UTC)
    return moment if settings.utc else moment.astimezone()


def _prepare(settings: HlsSettings, continuing: bool) -> MediaPlaylist | None:
    """Make and clean the folder; returns the playlist of before a restart to go on with. What an output that is `continuing`
    finds there is its own. Blocks; raises OSError and `CommandError`."""
    folder, path = settings.folder, settings.folder / settings.playlist_name
    folder.mkdir(parents=True, exist_ok=True)
    require_inside(settings.group_folder, folder)
    if continuing:
        return None
    if not settings.overwrite and not settings.resume and path.exists():
        raise CommandError(f"{path} is there already, and overwriteDestination is 0")
    remove_matching(folder, TEMPORARY)
    if settings.cleanup_destination:
        remove_matching(folder, OUR_FILES)
    return _old_playlist(path) if settings.resume else None


def _old_playlist(path: Path) -> MediaPlaylist | None:
    """The playlist of before a restart, without what is no longer there."""
    try:
        old = m3u8.read_media_playlist(path.read_bytes())
    except FileNotFoundError:
        return None
    except MalformedData as error:
        Store.log.warn("{path} cannot be continued: {error}", path=str(path), error=error)
        return None
    there = frozenset(entry.name for entry in path.parent.iterdir())
    lost = 0
    for index, segment in enumerate(old.segments):
        if unquote(segment.uri) not in there and not segment.gap:
            lost = index + 1
    gone = sum(segment.discontinuity for segment in old.segments[:lost])
    return replace(
        old,
        segments=old.segments[lost:],
        media_sequence=old.media_sequence + lost,
        discontinuity_sequence=old.discontinuity_sequence + gone,
    )


def _write_texts(path: Path, texts: Iterable[str], replaces: bool, gone: Iterable[str]) -> bytes:
    """Write a playlist that `replaces` one, then remove the files that are `gone` from it. Blocks; raises OSError,
    FileNotFoundError when somebody has removed the one before, and probably all that it names."""
    content = "".join(texts).encode()
    if replaces and not path.exists():
        raise FileNotFoundError(ENOENT, os.strerror(ENOENT), str(path))
    write_file(path, content)
    remove_files(path.parent, gone)
    return content


def _names_in(folder: Path) -> frozenset[str]:
    """The names of the files in a folder, which is made if it is not there. Blocks; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    return frozenset(os.listdir(folder))


def _segments_of(base_name: str) -> re.Pattern[str]:
    """The names of segments and keys that an output of this ``chunkBaseName`` has written."""
    return re.compile(rf"{re.escape(base_name)}_[0-9]+_[0-9]+\.(?:ts|aac|m4s|init\.mp4)|[0-9-]{{10}}T[0-9-]{{8,16}}\.key")


def _remove_folder(folder: Path) -> None:
    remove_matching(folder, OUR_FILES)
    remove_matching(folder, TEMPORARY)
    with suppress(OSError):
        folder.rmdir()
