"""What kind of file it is: told by its first bytes, whatever it is called."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ems.formats import flv_file, mp3_file, mp4
from ems.formats.files import SNIFFED, IndexReader, reader_for
from tests.flv import HEADER
from tests.media_files import remuxed
from tests.unit.media import vectors

FILES = [
    ("a.mp4", mp4.read_index),
    ("a.mov", mp4.read_index),
    ("a.flv", flv_file.read_index),
    ("a.mp3", mp3_file.read_index),
]


@pytest.mark.parametrize("box_type", ["ftyp", "moov", "mdat", "moof", "styp", "sidx", "free", "skip", "wide", "pnot", "uuid"])
def test_boxes_of_mp4(box_type: str) -> None:
    """Whatever box comes first, a file of the MP4 family is one, even if it is called otherwise."""
    assert reader_for("film.flv", b"\0\0\0\x18" + box_type.encode() + bytes(8)) is mp4.read_index


@pytest.mark.parametrize(
    ("name", "first_bytes", "reader"),
    [
        ("a.mp4", HEADER, flv_file.read_index),
        ("a.mp4", b"ID3\4" + bytes(12), mp3_file.read_index),
        ("a", vectors.MP3_STEREO, mp3_file.read_index),
        ("a.MP3", b"anything at all", mp3_file.read_index),
        ("a.mp3", b"", mp3_file.read_index),
        ("a.mp4", b"", None),
        ("a.mp4", b"RIFF\0\0\0\0AVI LIST", None),
        ("a.flv", b"\x1a\x45\xdf\xa3" + bytes(12), None),
        ("a.ts", b"\x47" + bytes(15), None),
        ("a.aac", vectors.ADTS[:SNIFFED], None),
    ],
)
def test_other_files(name: str, first_bytes: bytes, reader: IndexReader | None) -> None:
    """FLV and MP3 are known by their beginnings, MP3 by its name too; all else is not read."""
    assert reader_for(name, first_bytes) is reader


@pytest.mark.parametrize(("name", "reader"), FILES)
def test_files_of_ffmpeg(name: str, reader: IndexReader, clip: Callable[[str], Path], tmp_path: Path) -> None:
    """Files as ffmpeg writes them are known without their names."""
    path = remuxed(clip("h264_mp3"), tmp_path / name, "-t", "1", *(["-vn"] if name == "a.mp3" else []))
    assert reader_for("a", path.read_bytes()[:SNIFFED]) is reader
