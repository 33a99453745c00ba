"""The headers of files, made once for a file and not for each of its viewers."""

from functools import lru_cache
from typing import TYPE_CHECKING

from ems.web.conditions import GZIP_MARK, entity_tag, http_date
from ems.web.mime import FileType
from ems.web.request import STANDING_NAMES

if TYPE_CHECKING:
    from ems.config.web import WebApplication

EXPOSED_HEADERS = b"Content-Length, Content-Range, Date, ETag, Last-Modified"
"""What pages of other sites may read of an answer: players measure with the first three."""

REMEMBERED = 4096
"""Files whose header lines are kept, 500 bytes each."""

Fields = list[tuple[bytes, bytes]]
"""Names and values."""


class FileHeaders:
    """The headers by the configuration. `replaces_standing` tells whether that replaces one that every answer has."""

    def __init__(self, application: "WebApplication") -> None:
        self._application = application
        self._extra = [
            (one.header.encode("ascii"), one.content.encode("ascii"), one.override)
            for one in application.include_response_headers
        ]
        self.replaces_standing = any(name.lower() in STANDING_NAMES for name, _, _ in self._extra)
        self.lines = lru_cache(maxsize=REMEMBERED)(self._lines)

    def fields(self, kind: FileType, size: int, modified: float) -> Fields:
        """What every answer with a file of `size` bytes, changed at `modified`, has."""
        fields = [*self._of_type(kind), (b"ETag", entity_tag(modified, size).encode("ascii"))]
        fields.append((b"Last-Modified", http_date(modified).encode("ascii")))
        for name, value, override in self._extra:
            others = [field for field in fields if field[0].lower() != name.lower()]
            if override or len(others) == len(fields):
                fields = [*others, (name, value)]
        return fields

    def _of_type(self, kind: FileType) -> Fields:
        fields = [(b"Content-Type", kind.mime.encode("ascii")), (b"Cache-Control", kind.cache_control.encode("ascii"))]
        if self._application.enable_range_requests:
            fields.append((b"Accept-Ranges", b"bytes"))
        if kind.media and self._application.allow_origin:
            fields.append((b"Access-Control-Allow-Origin", self._application.allow_origin.encode("ascii")))
            fields.append((b"Access-Control-Expose-Headers", EXPOSED_HEADERS))
        if kind.compressible and self._application.compress:
            fields.append((b"Vary", b"Accept-Encoding"))
        return fields

    def _lines(self, kind: FileType, size: int, modified: float, sent: int, coded: bool) -> bytes:
        """The lines of an answer with the whole file, of which `sent` bytes are sent; with `coded` they are gzip."""
        fields = dict(self.fields(kind, size, modified))
        if coded:
            fields |= coding_fields(size, modified)
        fields[b"Content-Length"] = b"%d" % sent
        return b"".join([b"%b: %b\r\n" % field for field in fields.items()])


def coding_fields(size: int, modified: float) -> dict[bytes, bytes]:
    """What is different when the file is sent as gzip: it is another representation, with a tag of its own."""
    tag = f'{entity_tag(modified, size)[:-1]}{GZIP_MARK}"'
    return {b"Content-Encoding": b"gzip", b"ETag": tag.encode("ascii")}
