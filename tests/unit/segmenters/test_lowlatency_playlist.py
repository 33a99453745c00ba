"""The text of low-latency playlists, and what may be asked for."""

import pytest

from ems.formats.m3u8 import MediaPlaylist, Part, Segment
from ems.published import Unavailable
from ems.segmenters.hls.lowlatency_playlist import Directives, Listed, LowLatencyPlaylist, RenditionReport
from tests.unit.segmenters.lowlatency_rules import check


def parts(number: int, count: int = 5) -> tuple[Part, ...]:
    return tuple(Part(f"p{number}.{index}.m4s", 400_000, index == 0) for index in range(count))


def playlist(
    segments: int = 4, unfinished: int = 2, *, first: int = 10, ended: bool = False, reports: tuple[RenditionReport, ...] = ()
) -> LowLatencyPlaylist:
    """Segments of 2 s with parts of 400 ms, and some parts of the next one."""
    listed = tuple(Segment(f"s{first + index}.m4s", 2000, map_uri="init.mp4") for index in range(segments))
    media = MediaPlaylist(7, 2, listed, media_sequence=first, ended=ended)
    known = {segment.uri: parts(first + index) for index, segment in enumerate(listed)}
    entry = Segment("", 0, map_uri="init.mp4", parts=parts(first + segments, unfinished)) if unfinished else None
    return LowLatencyPlaylist(Listed.of(media, known), 400, entry, "next.m4s", reports)


def test_a_playlist_keeps_the_rules() -> None:
    """Everything that a low-latency player needs is there, and in the right order."""
    text = playlist(reports=(RenditionReport("../low/playlist.m3u8", 13, 4),)).text()
    parsed = check(text)
    assert parsed.hint == "next.m4s"
    assert parsed.reports == [{"URI": "../low/playlist.m3u8", "LAST-MSN": "13", "LAST-PART": "4"}]
    assert [len(parsed.parts.get(number, [])) for number in range(10, 15)] == [0, 5, 5, 5, 2]
    assert text.index("p13.4.m4s") < text.index("s13.m4s") < text.index("p14.0.m4s") < text.index("next.m4s")
    assert '#EXT-X-PART:DURATION=0.400000,URI="p14.0.m4s",INDEPENDENT=YES\n' in text


def test_a_player_that_knows_nothing_of_parts_sees_the_segments() -> None:
    """Without the tags of low latency the playlist is an ordinary one, of the same version."""
    added = ("#EXT-X-PART", "#EXT-X-SERVER-CONTROL", "#EXT-X-PRELOAD-HINT", "#EXT-X-RENDITION-REPORT")
    low_latency = playlist()
    lines = [line for line in low_latency.text().splitlines(keepends=True) if not line.startswith(added)]
    ordinary = low_latency.playlist
    plain = MediaPlaylist(7, 2, tuple(Segment(one.uri, 2000, map_uri="init.mp4") for one in ordinary.segments), media_sequence=10)
    assert "".join(lines) == plain.text


def test_a_delta_update_leaves_out_what_is_old() -> None:
    """Who has the older segments gets the newest 12 s, which are 6 target durations, and the number of those left out."""
    parsed = check(playlist(20).text(skip=True))
    assert (parsed.version, parsed.skipped) == (9, 14)
    assert sorted(parsed.segments) == list(range(24, 30))
    assert "#EXT-X-SKIP" not in playlist(5).text(skip=True)
    assert "#EXT-X-VERSION:7" in playlist(5).text(skip=True)


def test_an_ended_playlist_promises_nothing() -> None:
    """After the end there is no next part, and nothing to wait for."""
    parsed = check(playlist(unfinished=0, ended=True).text())
    assert parsed.ended
    assert not parsed.hint
    assert playlist(ended=True).has(Directives(99, 99))


@pytest.mark.parametrize(
    ("msn", "part", "there"),
    [
        (9, None, True),
        (13, None, True),
        (14, None, False),
        (9, 99, True),
        (12, 99, True),
        (13, 4, True),
        (13, 5, True),
        (14, 0, True),
        (14, 1, True),
        (14, 2, False),
        (15, 0, False),
    ],
)
def test_what_is_there(msn: int, part: int | None, there: bool) -> None:
    """A playlist is an answer when it has the segment or part that was asked for, or a later one."""
    assert playlist().has(Directives(msn, part)) is there


def test_a_part_behind_the_last_of_a_segment_is_the_first_of_the_next() -> None:
    """Players cannot know how many parts a segment will have: one too many means the next segment."""
    assert not playlist(unfinished=0).has(Directives(13, 5))
    assert playlist(unfinished=1).has(Directives(13, 5))


@pytest.mark.parametrize(("msn", "part"), [(16, None), (10**12, None), (16, 0), (14, 10), (13, 13), (15, 8)])
def test_too_far_ahead_is_refused(msn: int, part: int | None) -> None:
    """Who asks for what will not be there for long is told so at once."""
    with pytest.raises(Unavailable, match="too far ahead") as refused:
        playlist().check(Directives(msn, part))
    assert refused.value.status == 400


@pytest.mark.parametrize(("msn", "part"), [(0, None), (14, None), (15, None), (14, 9), (15, 0), (13, 12)])
def test_what_comes_soon_may_be_asked_for(msn: int, part: int | None) -> None:
    """The next segments and parts may be waited for."""
    playlist().check(Directives(msn, part))


@pytest.mark.parametrize(
    "query",
    [
        {"_HLS_part": "1"},
        {"_HLS_msn": "-1"},
        {"_HLS_msn": "1", "_HLS_part": "-1"},
        {"_HLS_msn": ""},
        {"_HLS_msn": "1e3"},
        {"_HLS_msn": "٣"},
        {"_HLS_msn": "1" * 21},
        {"_HLS_msn": "0x10"},
        {"_HLS_msn": " 1"},
    ],
)
def test_nonsense_is_refused(query: dict[str, str]) -> None:
    """Numbers that are none, and a part without a segment, are the player's mistake: 400."""
    with pytest.raises(Unavailable) as refused:
        Directives.parse(query)
    assert refused.value.status == 400


def test_directives_are_read() -> None:
    """The three parameters, and no others, are ours."""
    assert Directives.parse({"_HLS_msn": "7", "_HLS_part": "0", "_HLS_skip": "v2", "token": "x"}) == (7, 0, True)
    assert Directives.parse({"_HLS_skip": "no"}) == (None, None, False)
