"""Media storages: the folders of files that can be played.

Those of the configuration are always there; what ``addStorage`` adds is kept in a file of variants and is there again after a
restart. A name is looked for in the storages in the order of their names, and the first file that is found counts. No name
leads out of its folder: symbolic links are followed and must stay inside.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from twisted.application.service import Service
from twisted.logger import Logger

from ems.config import Storage
from ems.config.store import Store
from ems.config.variant import UInt32, VariantError, entries_of, index_name
from ems.config.variant_xml import read_variant, write_variant
from ems.errors import CommandError
from ems.security.paths import UnsafePath, safe_path

MAX_STORAGES = 1000
"""Folders; every name that is asked for is looked for in all of them."""


class NotFound(CommandError):
    """There is no such file, or it cannot be played; the text says which."""


class Found(NamedTuple):
    """A file, symbolic links resolved, and the storage it was found in."""

    path: Path
    storage: Storage


class Storages(Service):
    """The storages by folder. Their `Storage.media_folder` is absolute and resolved, and each has a name."""

    name = "storages"
    log = Logger()

    def __init__(self, configured: tuple[Storage, ...], directory: Path, store: Store) -> None:
        self._directory = directory
        self._store = store
        self._by_folder: dict[str, Storage] = {}
        self._added: dict[str, Storage] = {}
        for storage in configured:
            self._put(self._resolved(storage))

    def startService(self) -> None:
        """Read what was added before the restart; folders that are gone are left out, and the log says so."""
        super().startService()
        for storage in self._store.load(_read_storages) or ():
            try:
                storage = self._put(self._checked(storage))
            except CommandError as error:
                self.log.error("{path}: {reason}", path=str(self._store.path), reason=error)
            else:
                self._added[storage.media_folder] = storage

    async def stopService(self) -> None:
        super().stopService()
        await self._store.flush()

    def __iter__(self) -> Iterator[Storage]:
        """The storages in the order in which they are searched: by name."""
        return iter(sorted(self._by_folder.values(), key=lambda storage: storage.name))

    def __len__(self) -> int:
        return len(self._by_folder)

    async def add(self, storage: Storage) -> Storage:
        """Add a folder and return it as it is listed. Raises `CommandError`.

        Returns when it is on the disk, or the log tells why it cannot be kept over a restart.
        """
        storage = self._put(self._checked(storage))
        self._added[storage.media_folder] = storage
        await self._save()
        return storage

    async def remove(self, folder: str) -> Storage:
        """Take a folder out of use and return it; one of the configuration is back after a restart. Raises `CommandError`."""
        storage = self._by_folder.pop(self._folder(folder), None)
        if storage is None:
            raise CommandError(f"{folder} is not the folder of a storage")
        if self._added.pop(storage.media_folder, None) is not None:
            await self._save()
        return storage

    def find(self, name: str) -> Found:
        """The file of this name, which is relative to a storage or an absolute path inside one.

        Looks at the disk: for a thread. Raises `NotFound`, also for a name that leads out of every folder.
        """
        for storage, relative in self._places(name):
            try:
                path = safe_path(Path(storage.media_folder), relative)
            except UnsafePath:
                continue
            if path.is_file():
                return Found(Path(os.path.realpath(path)), storage)
        raise NotFound(f"there is no file {name[:256]!r}")

    def _places(self, name: str) -> list[tuple[Storage, str]]:
        """Where a name may lie: for an absolute path the longest folder that is a part of it comes first."""
        if not name.startswith("/"):
            return [(storage, name) for storage in self]
        inside = [storage for storage in self if name.startswith(f"{storage.media_folder.rstrip('/')}/")]
        inside.sort(key=lambda storage: -len(storage.media_folder))
        return [(storage, name[len(storage.media_folder.rstrip("/")) + 1 :]) for storage in inside]

    def _put(self, storage: Storage) -> Storage:
        """Take a storage in, with the first free number for a name when it has none."""
        if not storage.name:
            names = {other.name for other in self._by_folder.values()}
            storage = replace(storage, name=next(name for name in map(index_name, count(1)) if name not in names))
        self._by_folder[storage.media_folder] = storage
        return storage

    def _checked(self, storage: Storage) -> Storage:
        """The storage with its folders resolved. Raises `CommandError` when one is not there or is a storage already."""
        storage = self._resolved(storage)
        for folder in (storage.media_folder, storage.meta_folder):
            if folder and not os.path.isdir(folder):
                raise CommandError(f"there is no folder {folder}")
        if storage.media_folder in self._by_folder:
            raise CommandError(f"{storage.media_folder} is the folder of a storage already")
        if len(self) >= MAX_STORAGES:
            raise CommandError(f"there are {MAX_STORAGES} storages already")
        return storage

    def _resolved(self, storage: Storage) -> Storage:
        meta_folder = self._folder(storage.meta_folder) if storage.meta_folder else ""
        return replace(storage, media_folder=self._folder(storage.media_folder), meta_folder=meta_folder)

    def _folder(self, folder: str) -> str:
        if "\0" in folder:
            raise CommandError("a folder's name must not have a NUL")
        return os.path.realpath(self._directory / folder)

    async def _save(self) -> None:
        await self._store.save(write_variant({f: _as_variant(storage) for f, storage in self._added.items()}))


_FIELDS: Mapping[str, str] = {
    "mediaFolder": "media_folder",
    "name": "name",
    "description": "description",
    "metaFolder": "meta_folder",
    "enableStats": "enable_stats",
    "keyframeSeek": "keyframe_seek",
    "clientSideBuffer": "client_side_buffer",
    "seekGranularity": "seek_granularity",
    "externalSeekGenerator": "external_seek_generator",
    "maxPlaylistFileSize": "max_playlist_file_size",
}
"""What is kept of a storage, by the names of the runtime API."""


def _as_variant(storage: Storage) -> dict[str, Any]:
    values = {name: getattr(storage, attribute) for name, attribute in _FIELDS.items()}
    return {name: UInt32(value) if type(value) is int else value for name, value in values.items()}


def _read_storages(content: bytes) -> list[Storage]:
    entries = entries_of(read_variant(content))
    if entries is None:
        raise VariantError("expected a MAP of storages")
    return [_read_storage(name, value) for name, value in entries]


def _read_storage(folder: str, value: Any) -> Storage:
    if not isinstance(value, Mapping):
        raise VariantError(f"expected a MAP for {folder}, got a {type(value).__name__}")
    default = Storage(media_folder=folder)
    known = {attribute: value[name] for name, attribute in _FIELDS.items() if name in value}
    for attribute, found in known.items():
        expected = type(getattr(default, attribute))
        if not isinstance(found, (int, float) if expected is float else expected):
            raise VariantError(f"{attribute} of {folder}: expected a {expected.__name__}, got a {type(found).__name__}")
    return replace(default, **known)
