"""MP3 files: every frame is found, whatever lies before, between and behind the frames."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ems.errors import MalformedData
from ems.formats import mp3_file
from ems.formats.index import MediaIndex
from ems.media.frame import SECOND
from ems.media.track import Codec
from tests.media_files import index_of, indexed, packets, probed, remuxed, stored
from tests.unit.media import vectors
from tests.unit.media.mutation import mutated, prefixes, refusals

MUTATIONS = int(os.environ.get("EMS_MUTATIONS", "3000"))

FRAME_SIZE = 417
"""Bytes of a frame of 128 kbit/s at 44.1 kHz without padding; it has 1152 samples."""


def frames(count: int, first: int = 0) -> list[bytes]:
    """Frames of which each is unlike the others."""
    return [vectors.MP3_STEREO[:4] + bytes((first + at,)) * (FRAME_SIZE - 4) for at in range(count)]


def id3(size: int, *, footer: bool = False) -> bytes:
    """An ID3v2 tag with so many bytes of what may be anything: a picture that looks like sound."""
    size_bytes = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    header = b"ID3\4\0" + bytes((0x10 * footer,)) + size_bytes
    return header + (b"\xff\xfb\x90\x64" * size)[:size] + (b"3DI" + header[3:] if footer else b"")


def read(data: bytes) -> MediaIndex:
    """The index of a file in memory, called ``.mp3``."""
    return index_of(data, "song.MP3")


@pytest.mark.parametrize(
    "options",
    [
        ("-metadata", "title=Song", "-id3v2_version", "3"),
        ("-metadata", "title=Song", "-id3v2_version", "4", "-write_id3v1", "1"),
        ("-write_xing", "0", "-id3v2_version", "0"),
    ],
    ids=["ID3v2.3", "ID3v2.4 and v1", "bare"],
)
def test_as_ffmpeg_writes_them(options: tuple[str, ...], clip: Callable[[str], Path], tmp_path: Path) -> None:
    """Frames and times are those that ffprobe finds, with and without tags and the frame of tables."""
    path = remuxed(clip("h264_mp3"), tmp_path / "song.mp3", "-vn", "-t", "4", *options)
    index = indexed(path)
    (track,) = index.tracks
    assert (track.codec, track.sample_rate, track.channels) == (Codec.MP3, 48000, 2)
    found, (stream,) = packets(index, track.id), probed(path)
    assert len(found) > 100
    assert [packet[2:] for packet in found] == [packet[2:] for packet in stream]
    # ffprobe's clock has 14112000 ticks a second, and rounds.
    assert all(abs(packet.pts - other.pts) < 1000 for packet, other in zip(found, stream, strict=True))
    assert not index.left_out


@pytest.mark.parametrize("before", [b"", id3(3000), id3(300, footer=True), id3(200) + id3(5)])
@pytest.mark.parametrize("behind", [b"", b"TAG" + bytes(125), b"APETAGEX" + bytes(300)])
def test_tags_before_and_behind(before: bytes, behind: bytes) -> None:
    """Tags at the beginning are skipped by their size, even if they look like sound; those at the end are no frames."""
    song = frames(9)
    data = before + b"".join(song) + behind
    index = read(data)
    assert stored(index, data) == song
    assert [sample.pts for sample in index.samples] == [at * 1152 * SECOND // 44100 for at in range(9)]
    assert index.duration == 9 * 1152 * SECOND // 44100


@pytest.mark.parametrize(("name", "place"), [(b"Xing", 36), (b"Info", 36), (b"VBRI", 36)])
def test_the_frame_of_tables(name: bytes, place: int) -> None:
    """The silent first frame with tables for players is left out; a name in a later frame is sound."""
    tables, song = bytearray(vectors.MP3_STEREO[:4] + bytes(FRAME_SIZE - 4)), frames(3)
    tables[place : place + 4] = name
    data = bytes(tables) + song[0] + bytes(tables) + song[1]
    assert stored(read(data), data) == [song[0], bytes(tables), song[1]]


def test_junk_between_frames() -> None:
    """Damage is passed over to where frames of the same kind follow each other again."""
    song = frames(8)
    alone, other = vectors.MP3_STEREO[:4], vectors.MP3_LOW_MONO[:4] + bytes(100)
    data = b"junk" + b"".join(song[:4]) + b"\xff\xff\xfe" + alone + other * 2 + bytes(90) + b"".join(song[4:])
    assert stored(read(data), data) == song


def test_a_change_between_stereo_and_joint_stereo() -> None:
    """Coders switch between stereo and joint stereo, bit rates and padding: the frames are of one song."""
    joint = [bytes((0xFF, 0xFB, 0x92, 0x64)) + bytes(FRAME_SIZE - 3), bytes((0xFF, 0xFB, 0xB0, 0x00)) + bytes(622)]
    song = [*frames(2), *joint, *frames(2)]
    data = b"".join(song)
    assert stored(read(data), data) == song


def test_frames_across_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the pieces end in which the file is read, frames and junk are found as in one piece."""
    data = id3(50) + b"".join(frames(3)) + b"\xff\xfb\x90" * 50 + bytes(600) + b"".join(frames(4, first=3))
    whole = stored(read(data), data)
    assert whole == frames(7)
    for window in range(FRAME_SIZE, FRAME_SIZE + 200):
        monkeypatch.setattr(mp3_file, "WINDOW", window)
        assert stored(read(data), data) == whole


def test_cut_off_files() -> None:
    """A song that was cut off plays up to its last whole frame."""
    data = id3(20) + b"".join(frames(5))
    for part in prefixes(data):
        count = max(0, len(part) - 30) // FRAME_SIZE
        if count > 1:
            assert len(read(part).samples) == count


def test_files_without_sound() -> None:
    """Files that have no frame, or frames of the free format, are refused."""
    for data in (b"", b"ID3", id3(3000), bytes(5000), b"\xff" * 5000, (b"\xff\xfb\x00\x64" + bytes(96)) * 40):
        with pytest.raises(MalformedData, match="no MPEG audio frame"):
            read(data)


def test_files_made_to_cost_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Megabytes of what almost looks like frames are given up after a while, and what was found before plays."""
    before = time.process_time()
    with pytest.raises(MalformedData):
        read(b"\xff" * 5_000_000)
    assert time.process_time() - before < 2
    monkeypatch.setattr(mp3_file, "MAX_FALSE_HEADERS", 100)
    song = b"".join(frames(5))
    index = read(song + b"\0" + b"\xff\xfb\x90\x64" * 101 + bytes(FRAME_SIZE) + song)
    assert len(index.samples) == 5
    assert "too much between the frames" in index.left_out[0]


def test_too_many_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of more frames than an index may have is read up to there, and that is said."""
    monkeypatch.setattr(mp3_file, "MAX_SAMPLES", 4)
    index = read(b"".join(frames(6)))
    assert len(index.samples) == 4
    assert index.left_out == ("what follows 4 frames",)


def test_damaged_files() -> None:
    """Files damaged anywhere are read as far as they can be, or refused, without any other exception."""
    originals = [id3(40) + b"".join(frames(5)) + b"TAG" + bytes(125), b"".join([vectors.MP3_LOW_MONO[:4] + bytes(100)] * 9)]

    def look_through(data: bytes) -> None:
        index = read(data)
        assert all(sample.size > 0 and sample.offset + sample.size <= len(data) for sample in index.samples)

    read_count, _ = refusals(look_through, mutated(originals, MUTATIONS))
    assert read_count > MUTATIONS // 2
