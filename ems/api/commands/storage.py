"""Commands about the folders of media files."""

from typing import TYPE_CHECKING

from twisted.logger import Logger

from ems.api.arguments import Arguments
from ems.api.command import CommandGroup, Json, flag, integer, text
from ems.config import Storage
from ems.errors import CommandError

if TYPE_CHECKING:
    from ems.server import Server
    from ems.vod.storages import Storages

_log = Logger(namespace="storages")

STORAGE = CommandGroup("storage", "Storage", "Folders of media files that can be played.")

STORAGE_FIELDS = "name mediaFolder metaFolder description"


@STORAGE.command(
    "addStorage",
    "Adds a folder of media files, which is there again after a restart.",
    text("mediaFolder", "The folder; it must be there.", mandatory=True),
    text("name", "What it is called."),
    text("description", "What it is."),
    text("metaFolder", "Folder for seek and meta files.", default_text="mediaFolder"),
    flag("enableStats", False, "Count in files what is played."),
    flag("keyframeSeek", False, "Seek to key frames only."),
    integer("clientSideBuffer", "Seconds that a player is sent ahead.", default=15, minimum=3, maximum=2600),
    integer("seekGranularity", "Milliseconds between seek points.", default=1000, minimum=100, maximum=300_000),
    flag("externalSeekGenerator", False, "Seek and meta files are written by somebody else."),
    integer("maxPlaylistFileSize", "Bytes that an .lst file may have.", default=4096, minimum=4096, maximum=409_600),
    answer="Storage created",
    data="the storage",
    example="addStorage mediaFolder=/srv/films name=films",
    ascii_fields=STORAGE_FIELDS,
    rejects_empty_parameter_list=True,
)
async def add_storage(server: "Server", arguments: Arguments) -> Json:
    meta_folder = arguments.values["metaFolder"]
    storage = Storage(
        media_folder=arguments.text("mediaFolder"),
        name=arguments.text("name"),
        description=arguments.text("description"),
        meta_folder=meta_folder if isinstance(meta_folder, str) else "",
        enable_stats=arguments.flag("enableStats"),
        keyframe_seek=arguments.flag("keyframeSeek"),
        client_side_buffer=arguments.integer("clientSideBuffer"),
        seek_granularity=arguments.integer("seekGranularity") / 1000,
        external_seek_generator=arguments.flag("externalSeekGenerator"),
        max_playlist_file_size=arguments.integer("maxPlaylistFileSize"),
    )
    try:
        return _described(await _storages(server).add(storage))
    except CommandError as error:
        _log.info("no storage: {reason}", reason=error)
        raise CommandError("Failed to initialize storage. See the logs for more details") from error


@STORAGE.command(
    "listStorage",
    "Lists the folders of media files.",
    answer="Available storages",
    data="a list of storages",
    ascii_fields=STORAGE_FIELDS,
)
async def list_storage(server: "Server", arguments: Arguments) -> Json:
    return [_described(storage) for storage in _storages(server)]


@STORAGE.command(
    "removeStorage",
    "Takes a folder of media files out of use. Those of the configuration are back after a restart.",
    text("mediaFolder", "The folder as it was added.", mandatory=True),
    answer="Storage removed",
    data="the storage",
    example="removeStorage mediaFolder=/srv/films",
    ascii_fields=STORAGE_FIELDS,
    rejects_empty_parameter_list=True,
)
async def remove_storage(server: "Server", arguments: Arguments) -> Json:
    try:
        return _described(await _storages(server).remove(arguments.text("mediaFolder")))
    except CommandError as error:
        _log.info("no storage removed: {reason}", reason=error)
        raise CommandError("Unable to remove storage. Check storage path or storage permission.") from error


def _storages(server: "Server") -> "Storages":
    if server.vod is None:
        raise CommandError("there is no video on demand here")
    return server.vod.storages


def _described(storage: Storage) -> Json:
    """A storage as clients read it: folders end with a slash, the granularity is in milliseconds."""
    folder = f"{storage.media_folder.rstrip('/')}/"
    return {
        "name": storage.name,
        "description": storage.description,
        "mediaFolder": folder,
        "metaFolder": f"{storage.meta_folder.rstrip('/')}/" if storage.meta_folder else folder,
        "enableStats": storage.enable_stats,
        "keyframeSeek": storage.keyframe_seek,
        "clientSideBuffer": storage.client_side_buffer,
        "seekGranularity": round(storage.seek_granularity * 1000),
        "externalSeekGenerator": storage.external_seek_generator,
        "maxPlaylistFileSize": storage.max_playlist_file_size,
    }


STORAGE.command(
    "listMediaFiles",
    "Lists the files of the first folder.",
    answer="Successfully listed media files",
    data="`mediaFiles`, a list of names",
    ascii_fields="mediaFiles",
)

STORAGE.command(
    "removeMediaFile",
    "Deletes a file of the first folder.",
    text("fileName", "Its name, without a path.", mandatory=True),
    answer="Successfully removed media file {fileName}",
    example="removeMediaFile fileName=old.mp4",
    rejects_empty_parameter_list=True,
)
