"""What players call a recording, and the files that may be meant.

======================  ==========================================================
``mp4:x.mp4``, ``x.mp4``  the file ``x.mp4``
``mp4:x``                 the file ``x.mp4``
``x``, ``flv:x``          the file ``x.flv``
``x.lst``                 a playlist (`ems.vod.playlist`)
``d1/d2/x.mp4``           a file in a folder of the storage
======================  ==========================================================

What a file holds is told by its first bytes, not by its name.
"""

from typing import Final

from ems.streams.names import short_name

TYPES: Final = ("flv", "mp4", "mp3")
"""What may stand before a colon, and is then the extension of a name without one."""

EXTENSIONS: Final = (".flv", ".mp4", ".mov", ".m4v", ".m4a", ".f4v", ".mpv", ".mpg4", ".mp3", ".lst")
"""What is a file's name and hardly a live stream's: who asks for one of these is not left to wait for a publisher."""

PLAYLIST: Final = ".lst"


def file_name(name: str) -> str:
    """The file that is meant by what a player asks for; the query is left out."""
    kind, path = _split(short_name(name))
    has_extension = "." in path.rpartition("/")[2]
    return path if has_extension else f"{path}.{kind or TYPES[0]}"


def is_recording(name: str) -> bool:
    """True when the name can hardly be that of a live stream."""
    kind, path = _split(short_name(name))
    return bool(kind) or path.lower().endswith(EXTENSIONS)


def is_playlist(name: str) -> bool:
    """True when the name is that of a playlist."""
    return file_name(name).lower().endswith(PLAYLIST)


def _split(name: str) -> tuple[str, str]:
    """The type before the colon in lower case, empty when there is none, and the rest."""
    kind, colon, path = name.partition(":")
    return (kind.lower(), path) if colon and kind.lower() in TYPES else ("", name)
