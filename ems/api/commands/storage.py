"""Commands about the folders of media files."""

from ems.api.command import CommandGroup, flag, integer, text

STORAGE = CommandGroup("storage", "Storage", "Folders of media files that can be played.")

STORAGE_FIELDS = "name mediaFolder metaFolder description"

STORAGE.command(
    "addStorage",
    "Adds a folder of media files, up to the next restart.",
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

STORAGE.command(
    "listStorage",
    "Lists the folders of media files.",
    answer="Available storages",
    data="a list of storages",
    ascii_fields=STORAGE_FIELDS,
)

STORAGE.command(
    "removeStorage",
    "Takes a folder of media files out of use. Those of the configuration are back after a restart.",
    text("mediaFolder", "The folder as it was added.", mandatory=True),
    answer="Storage removed",
    data="the storage",
    example="removeStorage mediaFolder=/srv/films",
    ascii_fields=STORAGE_FIELDS,
    rejects_empty_parameter_list=True,
)

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
