"""What the pages' JavaScript reads out of an initialisation segment: Media Source Extensions refuse a wrong codec string."""

import base64
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error, Page

from tests.browser.pages import serve_pages

READ = """async (encoded) => {
    const { readTracks, mimeType } = await import("/js/mp4.js");
    const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
    const tracks = readTracks(bytes.buffer);
    return {tracks, type: mimeType(tracks)};
}"""


@pytest.fixture
def read(page: Page) -> Callable[[bytes], Any]:
    """`readTracks` of the pages' mp4.js. Raises `playwright.sync_api.Error` with what it throws."""
    serve_pages(page)
    return lambda data: page.evaluate(READ, base64.b64encode(data).decode())


def init_segment(clip: Path, folder: Path) -> bytes:
    """The first ftyp and moov of a clip as fragmented MP4."""
    whole = folder / "fragmented.mp4"
    words = ["ffmpeg", "-v", "error", "-y", "-i", clip, "-t", "1", "-c", "copy", "-strict", "-2"]
    subprocess.run([*words, "-movflags", "frag_keyframe+empty_moov+delay_moov+default_base_moof", whole], check=True, timeout=60)
    data = whole.read_bytes()
    return data[: data.index(b"moof") - 4]


@pytest.mark.parametrize(
    ("kind", "codecs"),
    [
        ("h264_aac", ["avc1.42c01e", "mp4a.40.2"]),
        ("h264_mp3", ["avc1.42c01e", "mp4a.6b"]),
        ("h264_ac3", ["avc1.42c01e", "ac-3"]),
        ("hevc_aac", ["hvc1.1.6.L63.90", "mp4a.40.2"]),
        ("vp9_opus", ["vp09.00.21.08", "opus"]),
        ("av1_opus", ["av01.0.01M.08", "opus"]),
        ("h264_flac", ["avc1.42c01e", "flac"]),
    ],
)
def test_codecs_are_read_from_the_stream(
    read: Callable[[bytes], Any], clip: Callable[[str], Path], tmp_path: Path, kind: str, codecs: list[str]
) -> None:
    """Whatever a stream is made of, the player names it to the browser as RFC 6381 has it, with the size of the picture."""
    answer = read(init_segment(clip(kind), tmp_path))
    assert [track["codec"] for track in answer["tracks"]] == codecs
    assert (answer["tracks"][0]["width"], answer["tracks"][0]["height"]) == (640, 360)
    assert answer["type"] == f'video/mp4; codecs="{",".join(codecs)}"'


def test_a_stream_of_sound_only_is_no_video(read: Callable[[bytes], Any], clip: Callable[[str], Path], tmp_path: Path) -> None:
    """A radio station plays, too."""
    assert read(init_segment(clip("aac_only"), tmp_path))["type"] == 'audio/mp4; codecs="mp4a.40.2"'


def test_damaged_segments_are_refused(read: Callable[[bytes], Any], clip: Callable[[str], Path], tmp_path: Path) -> None:
    """Wherever a segment is cut, or a size in it lies, the player says so and does not hang."""
    segment = init_segment(clip("h264_aac"), tmp_path)
    for cut in range(8, len(segment) - 1, 37):
        with pytest.raises(Error, match="Mp4Error"):
            read(segment[:cut])
    at = segment.index(b"stsd") - 4
    with pytest.raises(Error, match="Mp4Error"):
        read(segment[:at] + b"\xff\xff\xff\xff" + segment[at + 4 :])
