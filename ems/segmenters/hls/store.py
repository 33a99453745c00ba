"""The files of one output: segments first, then the playlist that names them, then what nobody needs any more is removed.

A playlist never names a file that is not there. When the disk is full, or a segment cannot be protected, the segment is listed
as a gap (RFC 8216bis §4.4.4.7), and everything goes on as soon as there is room.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
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
    """A segment as it is stored: its bytes and what the playlist tells of it. `start` is in nanoseconds on the
    stream's clock, `duration` in milliseconds.

    `init` is the initialisation segment of its run, empty without one; `key_files` are written before it.
    """

    data: bytes
    extension: str
    start: int
    duration: int
    date: datetime
    discontinuity: bool
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
    """Writes the files of one output; its coroutines must follow each other (`ems.segmenters.files.InOrder`)."""

    log = Logger(namespace="hls")

    def __init__(
        self, server: "Server", settings: HlsSettings, in_thread: "Callable[..., Deferred[Any]]", listener: PartListener | None
    ) -> None:
        self.settings = settings
        self._server = server
        self._in_thread = in_thread
        self._listener = listener
        self._window = self._new_window()
        self._stamp = 0
        self._file: _OpenFile | None = None
        self._init: tuple[str, bytes] = "", b""
        self._written_keys: set[str] = set()
        self._gone: list[str] = []
        self._failing = False
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
    def continues(self) -> bool:
        """True when there are segments in the list, so that the next one comes after a break."""
        return bool(self._window.listed)

    @property
    def playlist_path(self) -> Path:
        """Where the playlist is."""
        return self.settings.folder / self.settings.playlist_name

    async def open(self) -> None:
        """Make the folder ready for a new source. Raises `CommandError` with what stands against it."""
        settings = self.settings
        resumable = settings.resume and not self.continues
        try:
            found = await self._in_thread(_prepare, settings, resumable)
        except OSError as error:
            raise CommandError(f"{settings.folder}: {error.strerror or error}") from None
        self._stamp = int(self._server.clock.seconds() * 1000)
        self._file, self._init = None, ("", b"")
        self._open, self._ended = True, False
        if found is not None:
            self._window.resume(found)
        elif not settings.resume:
            self._begin_anew()
        if settings.rolling:
            keep = [unquote(uri) for uri in self._window.files]
            await self._in_thread(remove_matching, settings.folder, _segments_of(settings.base_name), keep)

    def name(self, number: int, extension: str) -> str:
        """The file name of a segment."""
        return f"{self.settings.base_name}_{self._stamp}_{number}.{extension}"

    def announce(self, number: int, extension: str, start: int) -> None:
        """Say that the file of a segment begins, with the media time `start` in nanoseconds (``hlsChunkCreated``)."""
        file = self.settings.folder / self.name(number, extension)
        times = {"playlistStartTs": float(self._stamp), "segmentStartTs": start / MILLISECOND}
        self._server.events.emit("hlsChunkCreated", {"file": str(file), **times})

    async def add(self, number: int, media: Media) -> Path | None:
        """Store a segment and list it; returns its file, or None when it could not be written and is listed as a gap."""
        try:
            entry = await self._write(number, media)
        except OSError as error:
            await self.lose(number, media, f"{self.settings.folder}: {error.strerror or error}")
            return None
        if self._failing:
            self._failing = False
            self.log.info("{folder}: segments can be written again", folder=str(self.settings.folder))
        self._gone += self._window.add(entry)
        await self.write_playlist()
        return self.settings.folder / unquote(entry.uri)

    async def lose(self, number: int, media: Media, reason: str) -> None:
        """List a segment that cannot be stored as a gap."""
        entry = m3u8.Segment(
            quote(self.name(number, media.extension)), media.duration, media.discontinuity, date=media.date, gap=True
        )
        last = self._window.listed[-1:]
        # A gap needs no key and no map of its own; those of its neighbours stay in force.
        self._gone += self._window.add(replace(entry, key=last[0].key, map_uri=last[0].map_uri) if last else entry)
        self._file = None
        self._server.events.emit("hlsChunkError", {"error": reason})
        if not self._failing:
            self._failing = True
            self.log.error("a segment is lost: {reason}", reason=reason)
        await self.write_playlist()

    async def write_playlist(self, *, ended: bool = False) -> None:
        """Write the playlist, and remove the files that it no longer needs."""
        path = self.playlist_path
        texts: Iterable[str] = self._window.texts(ended=ended)
        if self._listener is not None:
            texts = [self._listener.playlist(self._window.playlist(ended=ended)).text]
        try:
            content = await self._in_thread(_write_texts, path, texts)
        except OSError as error:
            self._server.events.emit("hlsChunkError", {"error": f"{path}: {error}"})
            return
        self._server.published.put(path, content)
        self._server.events.emit("hlsChildPlaylistUpdated", {"file": str(path)})
        await self._remove_gone()

    async def close(self, *, ended: bool) -> None:
        """The source is over. With `ended` the playlist is complete; without, it waits for the next source."""
        if self._open and self.settings.cleanup_on_close:
            await self.remove_all()
        elif ended and not self._ended and self.continues:
            self._ended = True
            await self.write_playlist(ended=True)
        self._open = False

    async def remove_all(self) -> None:
        """Delete all files of the stream, and its folder when nothing else is in it."""
        folder = self.settings.folder
        for uri in self._window.files:
            self._server.published.remove(folder / unquote(uri))
        self._server.published.remove(self.playlist_path)
        self._window = self._new_window()
        self._written_keys.clear()
        await self._in_thread(_remove_folder, folder)

    async def _write(self, number: int, media: Media) -> m3u8.Segment:
        """Write a segment with what it needs. Raises OSError."""
        folder = self.settings.folder
        for name, content in media.key_files.items():
            if name not in self._written_keys:
                await self._in_thread(write_file, folder / name, content)
                self._written_keys.add(name)
        map_name = await self._write_init(number, media.init) if media.init else ""
        if self.settings.file_length:
            name, byte_range = await self._extend(number, media)
        else:
            name, byte_range = self.name(number, media.extension), None
            await self._in_thread(write_file, folder / name, media.data)
            self._server.published.put(folder / name, media.data)
        return m3u8.Segment(quote(name), media.duration, media.discontinuity, media.key, quote(map_name), media.date, byte_range)

    async def _write_init(self, number: int, init: bytes) -> str:
        name, written = self._init
        if written != init:
            name = self.name(number, "init.mp4")
            path = self.settings.folder / name
            await self._in_thread(write_file, path, init)
            self._server.published.put(path, init)
            self._init = name, init
        return name

    async def _extend(self, number: int, media: Media) -> tuple[str, ByteRange]:
        """Put a segment behind those that are in the file already, or into a new file when that is long enough."""
        file = self._file
        if file is None or media.discontinuity or file.duration >= self.settings.file_length * 1000:
            file = self._file = _OpenFile(self.name(number, media.extension))
            self.announce(number, media.extension, media.start)
        await self._in_thread(extend_file, self.settings.folder / file.name, file.size, media.data)
        byte_range = ByteRange(len(media.data), file.size)
        file.size += len(media.data)
        file.duration += media.duration
        return file.name, byte_range

    async def _remove_gone(self) -> None:
        # A file that still grows is needed, even if none of its ranges is listed any more.
        growing = self._file.name if self._file is not None else ""
        names = [unquote(uri) for uri in self._gone if uri not in self._window.files]
        self._gone = [quote(name) for name in names if name == growing]
        gone = [name for name in names if name != growing]
        if not gone:
            return
        for name in gone:
            self._server.published.remove(self.settings.folder / name)
            self._written_keys.discard(name)
        await self._in_thread(remove_files, self.settings.folder, gone)

    def _begin_anew(self) -> None:
        if self.settings.rolling:
            self._window.retire()
        else:
            self._window = self._new_window()

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


def _prepare(settings: HlsSettings, resumable: bool) -> MediaPlaylist | None:
    """Make and clean the folder; returns the playlist to go on with. Blocks; raises OSError and `CommandError`."""
    folder, path = settings.folder, settings.folder / settings.playlist_name
    folder.mkdir(parents=True, exist_ok=True)
    require_inside(settings.group_folder, folder)
    if not settings.overwrite and not settings.resume and path.exists():
        raise CommandError(f"{path} is there already, and overwriteDestination is 0")
    remove_matching(folder, TEMPORARY)
    if settings.cleanup_destination:
        remove_matching(folder, OUR_FILES)
    return _old_playlist(path) if resumable else None


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


def _write_texts(path: Path, texts: Iterable[str]) -> bytes:
    content = "".join(texts).encode()
    write_file(path, content)
    return content


def _segments_of(base_name: str) -> re.Pattern[str]:
    """The names of segments and keys that an output of this ``chunkBaseName`` has written."""
    return re.compile(rf"{re.escape(base_name)}_[0-9]+_[0-9]+\.(?:ts|aac|m4s|init\.mp4)|[0-9-]{{10}}T[0-9-]{{8,16}}\.key")


def _remove_folder(folder: Path) -> None:
    remove_matching(folder, OUR_FILES)
    remove_matching(folder, TEMPORARY)
    with suppress(OSError):
        folder.rmdir()
