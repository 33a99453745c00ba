"""Playlists as text, and back."""

from contextlib import suppress
from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.errors import MalformedData
from ems.formats.m3u8 import (
    ByteRange,
    Key,
    MasterPlaylist,
    MediaPlaylist,
    Segment,
    Variant,
    read_attributes,
    read_media_playlist,
)

DATE = datetime(2024, 3, 1, 10, 0, 0, 120_000, tzinfo=UTC)
KEY = Key("AES-128", "2024-03-01T10-00-00.key", bytes(range(16)))

ROLLING = """\
#EXTM3U
#EXT-X-VERSION:3
#EXT-X-ALLOW-CACHE:NO
#EXT-X-TARGETDURATION:11
#EXT-X-MEDIA-SEQUENCE:42
#EXT-X-DISCONTINUITY-SEQUENCE:2
#EXT-X-KEY:METHOD=AES-128,URI="2024-03-01T10-00-00.key",IV=0x000102030405060708090a0b0c0d0e0f
#EXT-X-PROGRAM-DATE-TIME:2024-03-01T10:00:00.120+00:00
#EXTINF:10.000,
segment_1709287200120_42.ts
#EXT-X-DISCONTINUITY
#EXT-X-PROGRAM-DATE-TIME:2024-03-01T10:00:00.120+00:00
#EXTINF:9.960,
segment_1709287200120_43.ts
"""


def test_a_rolling_encrypted_list() -> None:
    """A list as players know it: the key once, the date at the beginning and after a break."""
    playlist = MediaPlaylist(
        version=3,
        target_duration=11,
        media_sequence=42,
        discontinuity_sequence=2,
        allow_cache=False,
        segments=(
            Segment("segment_1709287200120_42.ts", 10_000, key=KEY, date=DATE),
            Segment("segment_1709287200120_43.ts", 9960, discontinuity=True, key=KEY, date=DATE),
        ),
    )
    assert playlist.text == ROLLING
    assert read_media_playlist(ROLLING.encode()).text == ROLLING


def test_a_list_with_everything() -> None:
    """Maps, ranges, gaps, the end of encryption, type, start and end are written where they belong and read again."""
    segments = (
        Segment("a.m4s", 2000, map_uri="i.mp4", key=KEY, byte_range=ByteRange(100, 0)),
        Segment("a.m4s", 2000, map_uri="i.mp4", byte_range=ByteRange(50, 100)),
        Segment("b.m4s", 1001, map_uri="i.mp4", gap=True),
        Segment("c.m4s", 1001, map_uri="j.mp4", discontinuity=True, date=DATE),
    )
    playlist = MediaPlaylist(7, 2, segments, playlist_type="VOD", ended=True, start_offset=3.5, independent_segments=True)
    text = playlist.text
    assert text.count("#EXT-X-MAP") == 2 and text.count("METHOD=NONE") == 1
    assert text.endswith("c.m4s\n#EXT-X-ENDLIST\n")
    again = read_media_playlist(text.encode())
    assert again == playlist


def test_old_versions_have_whole_seconds() -> None:
    """Below version 3 EXTINF is an integer (§4.3.2.1)."""
    assert "#EXTINF:2,\n" in MediaPlaylist(2, 2, (Segment("a.ts", 1960),)).text


def test_a_master_list() -> None:
    """Variants tell what is known of them."""
    hi = Variant("hi/playlist.m3u8", 1_100_000, 900_000, "avc1.64001F,mp4a.40.2", (1280, 720), Fraction(30000, 1001))
    text = MasterPlaylist(6, (hi, Variant("lo/playlist.m3u8", 300_000))).text
    assert text == (
        "#EXTM3U\n#EXT-X-VERSION:6\n"
        '#EXT-X-STREAM-INF:BANDWIDTH=1100000,AVERAGE-BANDWIDTH=900000,CODECS="avc1.64001F,mp4a.40.2",'
        "RESOLUTION=1280x720,FRAME-RATE=29.970\nhi/playlist.m3u8\n"
        "#EXT-X-STREAM-INF:BANDWIDTH=300000\nlo/playlist.m3u8\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#EXTINF:1,\na.ts",
        "#EXTM3U\n#EXTINF:1,\na.ts",
        "#EXTM3U\n#EXT-X-TARGETDURATION:x",
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\na.ts",
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:-1,\na.ts",
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1e9,\na.ts",
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-KEY:METHOD=AES-128\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:" + "9" * 40,
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-PROGRAM-DATE-TIME:yesterday",
    ],
)
def test_what_is_no_playlist(text: str) -> None:
    """Nonsense is told apart from a playlist, with the line."""
    with pytest.raises(MalformedData):
        read_media_playlist(text.encode())


@given(st.binary(max_size=300))
def test_garbage(data: bytes) -> None:
    """Whatever the bytes are, they are a playlist or refused."""
    for content in (data, b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n" + data):
        with suppress(MalformedData):
            read_media_playlist(content)


@given(st.lists(st.integers(1, 20_000), max_size=30), st.integers(1, 1 << 40))
def test_round_trip(durations: list[int], sequence: int) -> None:
    """What is written is read again as it was."""
    segments = tuple(Segment(f"s{index}.ts", duration) for index, duration in enumerate(durations))
    playlist = MediaPlaylist(6, 20, segments, media_sequence=sequence)
    assert read_media_playlist(playlist.text.encode()) == playlist


def test_attribute_lists() -> None:
    """Quoted strings may hold commas; anything else is no list."""
    assert read_attributes('URI="a,b.key",METHOD=AES-128') == {"URI": "a,b.key", "METHOD": "AES-128"}
    with pytest.raises(ValueError, match="attribute"):
        read_attributes("nonsense")
