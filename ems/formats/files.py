"""Which reader a media file wants: told by how it begins, not by what it is called."""

from collections.abc import Callable

from ems.errors import MalformedData
from ems.formats import flv_file, mp3_file, mp4
from ems.formats.index import MediaIndex, Read
from ems.media.mp3 import HEADER_SIZE, parse_frame_header

SNIFFED = 16
"""Bytes from a file's beginning that tell its format."""

IndexReader = Callable[[Read, int], MediaIndex]
"""``read_index(read, size)`` of a format. It blocks, and raises `MalformedData` for a file that it cannot read."""

_BOXES = frozenset((b"ftyp", b"moov", b"mdat", b"moof", b"styp", b"sidx", b"free", b"skip", b"wide", b"pnot", b"uuid"))
"""The boxes with which files of the MP4 and QuickTime family begin."""


def reader_for(name: str, first_bytes: bytes) -> IndexReader | None:
    """The reader of a file that begins with these bytes (`SNIFFED` are enough), None when its format is not known.

    The name decides only where the content says nothing: an ``.mp3`` may begin with anything.
    """
    if first_bytes[4:8] in _BOXES:
        return mp4.read_index
    if first_bytes.startswith(flv_file.SIGNATURE):
        return flv_file.read_index
    if first_bytes.startswith(mp3_file.ID3) or name.lower().endswith(".mp3") or _is_mpeg_audio(first_bytes):
        return mp3_file.read_index
    return None


def _is_mpeg_audio(first_bytes: bytes) -> bool:
    try:
        parse_frame_header(first_bytes[:HEADER_SIZE])
    except MalformedData:
        return False
    return True
