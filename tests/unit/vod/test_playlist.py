"""Reading and writing playlists."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.media.frame import MILLISECOND, SECOND
from ems.vod.playlist import LIVE, LIVE_OR_FILE, MAX_ITEMS, TO_END, TO_LOSS, Item, read_playlist, write_playlist


def test_a_list_as_people_write_it() -> None:
    """Comments, empty lines, either line end, blanks, decimals, and commas in names."""
    content = b"\xef\xbb\xbf# the evening\r\n\r\n0,30,intro.mp4\r\n 1.5 , 2 , a film, with a comma.mp4\n-2,-1,lobby\n-1,-2,cam\n"
    assert read_playlist(content).items == (
        Item("intro.mp4", 0, 30 * SECOND),
        Item("a film, with a comma.mp4", 1500 * MILLISECOND, 2 * SECOND),
        Item("lobby", LIVE_OR_FILE, TO_END),
        Item("cam", LIVE, TO_LOSS),
    )


@pytest.mark.parametrize(("text", "meant"), [("-1", LIVE), ("-2", LIVE_OR_FILE), ("-7", LIVE_OR_FILE), ("-0.5", LIVE_OR_FILE)])
def test_negative_starts(text: str, meant: int) -> None:
    """-1 is the live stream only; every other negative start is the live stream or the file."""
    assert read_playlist(f"{text},-1,x".encode()).items == (Item("x", meant, TO_END),)


@pytest.mark.parametrize("line", ["x", "0,1", "0,1,", "a,1,x", "0,1e5,x", "0,9999999999,x", ",,x", "0,nan,x"])
def test_lines_that_are_no_items_are_left_out_and_told(line: str) -> None:
    """A slip of the pen costs one item, and the log says which line it is in."""
    playlist = read_playlist(f"0,1,before\n{line}\n0,1,after".encode())
    assert [item.name for item in playlist.items] == ["before", "after"]
    assert playlist.mistakes == ("line 2: expected start,length,name",)


def test_a_list_has_a_limit() -> None:
    """However long the file is."""
    playlist = read_playlist(b"0,1,x\n" * (MAX_ITEMS + 5))
    assert len(playlist.items) == MAX_ITEMS
    assert len(playlist.mistakes) == 1


def test_what_the_server_writes() -> None:
    """Compatibility case 73: the comment, an item a line, CR LF."""
    assert write_playlist(["a.mp4", "lobby"], [0, 0], [0, 0], repeat=False) == (
        b"# sourceOfset,duration,localStreamName\r\n0,0,a.mp4\r\n0,0,lobby\r\n"
    )
    assert read_playlist(write_playlist(["a"], [0], [0], repeat=True)).repeat


def test_times_of_insertions_are_milliseconds() -> None:
    """insertPlaylistItem has its own unit and its own special values."""
    assert Item.of_milliseconds("x", 1500, 250) == Item("x", 1500 * MILLISECOND, 250 * MILLISECOND)
    assert Item.of_milliseconds("x", -1000, -1000) == Item("x", LIVE, TO_END)
    assert Item.of_milliseconds("x", -2000, -2000) == Item("x", LIVE_OR_FILE, TO_LOSS)
    assert Item.of_milliseconds("x", -3000, 0) == Item("x", LIVE_OR_FILE, 0)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_list(content: bytes) -> None:
    """Whatever is in the file, it is read."""
    for item in read_playlist(content).items:
        assert item.start >= -2
        assert item.length >= -2
