"""Which segments are listed, and which files stay."""

from hypothesis import given
from hypothesis import strategies as st

from ems.formats.m3u8 import MediaPlaylist, Segment, read_media_playlist
from ems.segmenters.hls.window import Window

SHAPE = MediaPlaylist(6, 2)


def fill(window: Window, count: int, *, duration: int = 2000, breaks: tuple[int, ...] = ()) -> list[str]:
    """Add segments s1, s2, …; returns the files that are no longer needed, in order."""
    gone = []
    for _ in range(count):
        number = window.next_number
        gone += window.add(Segment(f"s{number}.ts", duration, discontinuity=number in breaks))
    return gone


def test_appending_keeps_everything() -> None:
    """Nothing ever leaves an appending list."""
    window = Window(SHAPE, length=0, retention=0)
    assert fill(window, 50) == []
    assert len(window.listed) == 50


def test_rolling() -> None:
    """A rolling list moves on; files go when their turn has come, in order."""
    window = Window(SHAPE, length=5, retention=5)
    assert fill(window, 20) == [f"s{number}.ts" for number in range(1, 10)]
    assert window.playlist().media_sequence == 16


def test_discontinuity_sequence() -> None:
    """Breaks that have left the list are counted (§4.3.3.3), so that players of several lists agree."""
    window = Window(SHAPE, length=5, retention=5)
    fill(window, 12, breaks=(3, 6, 10))
    playlist = window.playlist()
    assert playlist.discontinuity_sequence == 2
    assert [segment.uri for segment in playlist.segments if segment.discontinuity] == ["s10.ts"]


def test_the_first_segment_of_all_is_no_break() -> None:
    """A list does not begin with a discontinuity."""
    window = Window(SHAPE, length=0, retention=0)
    fill(window, 2, breaks=(1,))
    assert not window.listed[0].discontinuity


def test_target_duration_only_grows() -> None:
    """No segment is longer than the target duration, to the second (§4.3.3.1)."""
    window = Window(SHAPE, length=5, retention=0)
    fill(window, 1, duration=5600)
    fill(window, 20)
    assert window.playlist().target_duration == 6


@given(st.integers(0, 7), st.integers(0, 9), st.lists(st.booleans(), max_size=40))
def test_text_is_the_playlist(length: int, retention: int, breaks: list[bool]) -> None:
    """The text that is kept line by line is that of the playlist as a whole."""
    window = Window(SHAPE, length=length, retention=retention)
    for number, broken in enumerate(breaks):
        window.add(Segment(f"s{number}.ts", 2000, discontinuity=broken, map_uri=f"i{number // 4}.mp4"))
    text = "".join(window.texts())
    assert text == window.playlist().text
    assert read_media_playlist(text.encode()) == window.playlist()


def test_resume() -> None:
    """A list of before goes on with its numbers, and its files go in time."""
    first = Window(SHAPE, length=5, retention=5)
    fill(first, 8)
    second = Window(SHAPE, length=5, retention=5)
    second.resume(first.playlist(ended=True))
    assert second.next_number == 9
    assert "s8.ts" in fill(second, 30)


def test_files_that_somebody_removed() -> None:
    """The list goes on behind the last segment that lacks a file; numbers and breaks count on."""
    window = Window(SHAPE, length=9, retention=5)
    fill(window, 9, breaks=(3, 7))
    assert window.keep_only(f"s{number}.ts" for number in (1, 2, 3, 4, 6, 7, 8, 9)) == [f"s{number}.ts" for number in range(1, 6)]
    playlist = window.playlist()
    assert (playlist.media_sequence, playlist.discontinuity_sequence, len(playlist.segments)) == (6, 1, 4)
    assert "".join(window.texts()) == playlist.text
    assert window.keep_only(()) == ["s6.ts", "s7.ts", "s8.ts", "s9.ts"] and window.next_number == 10
