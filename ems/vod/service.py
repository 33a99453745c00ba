"""Video on demand: what protocols ask for recordings and playlists, and the runtime API for storages."""

from typing import TYPE_CHECKING

from twisted.application.service import MultiService

from ems.config.store import Store
from ems.media.frame import SECOND
from ems.vod.items import FileSource
from ems.vod.library import Library
from ems.vod.names import file_name, is_playlist, is_recording
from ems.vod.playback import Playback, Viewer
from ems.vod.playlist import TO_END, Item
from ems.vod.programme import NOW, Programme
from ems.vod.storages import NotFound, Storages

if TYPE_CHECKING:
    from ems.server import Server

STORAGES_FILE = "storages.xml"
"""Beside the file of pulls and pushes: the storages that were added by command."""


class VodService(MultiService):
    """The storages, the library of their files, and the playlists that are playing."""

    name = "vod"

    def __init__(self, server: "Server", store: Store) -> None:
        super().__init__()
        configured = server.config.application.media_storage.storages
        self.storages = Storages(configured, server.runtime.directory, store)
        self.storages.setServiceParent(self)
        self.library = Library(self.storages)
        self._server = server
        self._playlists: list[Programme] = []

    @property
    def available(self) -> bool:
        """True when there is any folder in which a file may lie."""
        return len(self.storages) > 0

    @staticmethod
    def is_recording(name: str) -> bool:
        """True when what a player asks for can hardly be a live stream, as ``mp4:x`` or ``x.flv``."""
        return is_recording(name)

    async def open(self, name: str, start: int = 0, length: int = TO_END) -> Programme:
        """What a player means by `name`: a recording from `start` on, so long (nanoseconds), or a playlist. Raises `NotFound`."""
        if is_playlist(name):
            return await self._open_playlist(name)
        file = await self.library.open(name)
        programme = Programme(self._server, self.library, (Item(name, start, length),))
        programme.begin_with(FileSource(file, start, self.library.in_thread))
        return programme

    async def seconds(self, name: str) -> float:
        """The length of a recording in seconds, 0 for a playlist. Raises `NotFound`."""
        if is_playlist(name):
            await self.library.playlist(name)
            return 0.0
        file = await self.library.open(name)
        file.close()
        return file.index.duration / SECOND

    def play(self, programme: Programme, viewer: Viewer) -> Playback:
        """Have a programme sent to a viewer, once it is started."""
        return Playback(self._server.clock, programme, viewer)

    def insert(self, playlist: str, item: Item, at: int = NOW) -> int:
        """Put an item into every list of that name that plays, at this time of it; returns how many there are."""
        name = file_name(playlist)
        self._playlists = [programme for programme in self._playlists if not programme.closed]
        chosen = [programme for programme in self._playlists if programme.name == name]
        for programme in chosen:
            programme.insert(item, at)
        return len(chosen)

    async def _open_playlist(self, name: str) -> Programme:
        playlist = await self.library.playlist(name)
        if not playlist.items:
            raise NotFound(f"there is nothing in {file_name(name)}")
        programme = Programme(self._server, self.library, playlist.items, file_name(name), repeat=playlist.repeat)
        self._playlists = [one for one in self._playlists if not one.closed]
        self._playlists.append(programme)
        return programme
