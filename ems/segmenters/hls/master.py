"""The master playlist of a group: one entry for each of its streams that can be played (RFC 8216 §4.3.4)."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from ems.formats.m3u8 import MasterPlaylist, Variant
from ems.segmenters.files import InOrder, remove_files, write_file

if TYPE_CHECKING:
    from ems.server import Server

NAME = "playlist.m3u8"
"""The file name, whatever the playlists of the streams are called."""


class Group:
    """Writes the master playlist of one folder whenever an entry has changed.

    An entry stays while its stream is away: its playlist is still there.
    """

    log = Logger()

    def __init__(self, server: "Server", folder: Path, in_thread: "Callable[..., Deferred[Any]]") -> None:
        self._server = server
        self._path = folder / NAME
        self._in_thread = in_thread
        self._variants: dict[str, tuple[Variant, int]] = {}
        self._order = InOrder()
        self._stale = False

    def put(self, variant: Variant, version: int) -> None:
        """This stream can be played, and is like this."""
        if self._stale or self._variants.get(variant.uri) != (variant, version):
            self._variants[variant.uri] = variant, version
            self._order.put(self._write)

    def remove(self, uri: str, *, even_last: bool) -> None:
        """That stream is no longer written. The last entry stays, for what there is of it, unless `even_last`."""
        if uri in self._variants and (even_last or len(self._variants) > 1):
            del self._variants[uri]
            self._order.put(self._write)

    def files_lost(self) -> None:
        """Somebody has removed files of the group: the list is written again with the next segment."""
        self._stale = True

    async def done(self) -> None:
        """Return when everything is written."""
        await self._order.done()

    async def _write(self) -> None:
        if not self._variants:
            self._server.published.remove(self._path)
            await self._in_thread(remove_files, self._path.parent, [self._path.name])
            return
        variants = tuple(variant for _, (variant, _) in sorted(self._variants.items()))
        playlist = MasterPlaylist(max(version for _, version in self._variants.values()), variants)
        content = playlist.text.encode()
        try:
            await self._in_thread(write_file, self._path, content)
        except OSError as error:
            self._stale = True
            self.log.error("{path} cannot be written: {error}", path=str(self._path), error=error)
            self._server.events.emit("hlsChunkError", {"error": f"{self._path}: {error}"})
            return
        self._stale = False
        self._server.published.put(self._path, content)
        self._server.events.emit("hlsMasterPlaylistUpdated", {"file": str(self._path)})


class Groups:
    """The groups of a server, by folder. A group is forgotten with the last job that holds it."""

    def __init__(self, server: "Server", in_thread: "Callable[..., Deferred[Any]]") -> None:
        self._server = server
        self._in_thread = in_thread
        self._groups: WeakValueDictionary[Path, Group] = WeakValueDictionary()

    def of(self, folder: Path) -> Group:
        """The group that writes into this folder."""
        group = self._groups.get(folder)
        if group is None:
            group = self._groups[folder] = Group(self._server, folder, self._in_thread)
        return group
