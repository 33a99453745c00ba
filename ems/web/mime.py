"""What a file is, by its extension: its media type, whether it belongs to a segmented stream, and how long it may be kept.

Who may keep it is another matter: a shared cache, at a provider or a CDN, would give a file that not everybody may have to
everybody (RFC 9111 §3.5). So whoever answers with a file behind a password or an alias marks it as `protected`: then only the
client may keep it, and a key not even the client.
"""

from collections.abc import Iterable
from typing import NamedTuple

from ems.config.web import MimeType


class FileType(NamedTuple):
    """What is known of a file by its name.

    `stream_type` is ``hls``, ``hds``, ``mss`` or ``dash`` for files of a stream, and empty for others. `media` files may be
    played by pages of other sites; fetching one whole is a download. `compressible` is text that shrinks. `is_key` is what
    decrypts segments.

    Two things more are known of the file itself when it has been found: it is `protected` when not everybody may have it, and
    `growing` when bytes still come behind those that are there.
    """

    mime: str
    stream_type: str = ""
    is_manifest: bool = False
    media: bool = False
    compressible: bool = False
    is_key: bool = False
    protected: bool = False
    growing: bool = False

    @property
    def cache_control(self) -> str:
        """Who may keep it, and how long (RFC 9111 §5.2.2): names of HLS segments are never used again, others may be after a
        restart."""
        if self.protected and self.is_key:
            return "no-store"
        if self.is_manifest or self.growing or not self.media:
            return "private, no-cache" if self.protected else "no-cache"
        who = "private" if self.protected else "public"
        if self.stream_type == "hls":
            return f"{who}, max-age=31536000, immutable"
        return f"{who}, max-age={60 if self.stream_type else 3600}"


UNKNOWN = FileType("application/octet-stream")

BUILT_IN: dict[str, FileType] = {
    "m3u8": FileType("application/vnd.apple.mpegurl", "hls", True, True, True),
    "m3u": FileType("audio/x-mpegurl", "hls", True, True, True),
    "mpd": FileType("application/dash+xml", "dash", True, True, True),
    "f4m": FileType("application/f4m+xml", "hds", True, True, True),
    "ismc": FileType("application/octet-stream", "mss", True, True, True),
    "isma": FileType("application/octet-stream", "mss", True, True),
    "ismv": FileType("application/octet-stream", "mss", True, True),
    "ts": FileType("video/mp2t", "hls", media=True),
    "aac": FileType("audio/aac", "hls", media=True),
    "key": FileType("application/octet-stream", "hls", media=True, is_key=True),
    "fmp4": FileType("video/mp4", "mss", media=True),
    "m4s": FileType("video/mp4", "dash", media=True),
    "mp4": FileType("video/mp4", media=True),
    "mp4v": FileType("video/mp4", media=True),
    "mpg4": FileType("video/mp4", media=True),
    "m4v": FileType("video/mp4", media=True),
    "m4a": FileType("audio/mp4", media=True),
    "mov": FileType("video/quicktime", media=True),
    "flv": FileType("video/x-flv", media=True),
    "webm": FileType("video/webm", media=True),
    "mkv": FileType("video/x-matroska", media=True),
    "mp3": FileType("audio/mpeg", media=True),
    "ogg": FileType("audio/ogg", media=True),
    "opus": FileType("audio/ogg", media=True),
    "wav": FileType("audio/wav", media=True),
    "vtt": FileType("text/vtt; charset=utf-8", media=True, compressible=True),
    "xml": FileType("application/xml", compressible=True),
    "html": FileType("text/html; charset=utf-8", compressible=True),
    "htm": FileType("text/html; charset=utf-8", compressible=True),
    "css": FileType("text/css; charset=utf-8", compressible=True),
    "js": FileType("text/javascript; charset=utf-8", compressible=True),
    "mjs": FileType("text/javascript; charset=utf-8", compressible=True),
    "json": FileType("application/json", compressible=True),
    "webmanifest": FileType("application/manifest+json", compressible=True),
    "txt": FileType("text/plain; charset=utf-8", compressible=True),
    "svg": FileType("image/svg+xml", compressible=True),
    "png": FileType("image/png"),
    "jpg": FileType("image/jpeg"),
    "jpeg": FileType("image/jpeg"),
    "gif": FileType("image/gif"),
    "webp": FileType("image/webp"),
    "ico": FileType("image/x-icon"),
    "wasm": FileType("application/wasm", compressible=True),
    "woff2": FileType("font/woff2"),
    "pdf": FileType("application/pdf"),
}
"""By extension, in lower case."""


class MimeTable:
    """`BUILT_IN` with the entries of the configuration before it."""

    def __init__(self, configured: Iterable[MimeType] = ()) -> None:
        self._types = dict(BUILT_IN)
        for entry in configured:
            for extension in filter(None, "".join(entry.extensions.split()).lower().split(",")):
                self._types[extension] = _file_type(entry, self._types.get(extension, UNKNOWN))

    def of(self, name: str) -> FileType:
        """What a file of this name is; extensions count in any case."""
        return self._types.get(name.rpartition(".")[2].lower(), UNKNOWN)


def _file_type(entry: MimeType, known: FileType) -> FileType:
    """What a configured entry says; what it cannot say is as it was, and media files are told by their type."""
    media = known.media or bool(entry.stream_type) or entry.is_manifest or entry.mime_type.startswith(("video/", "audio/"))
    return FileType(entry.mime_type, entry.stream_type, entry.is_manifest, media, known.compressible, known.is_key)
