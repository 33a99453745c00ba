"""Who watches over HTTP is counted truly."""

from typing import Any

import pytest
from twisted.internet.task import Clock

from ems.web import sessions as module
from ems.web.downloads import Downloads
from ems.web.sessions import StreamingSession, StreamingSessions, chunk_length


class Watched:
    """Sessions, a clock, and what has been told."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.ended: list[StreamingSession] = []
        self.sessions = StreamingSessions(self.clock.seconds, self.tell, self.ended.append)

    def tell(self, event_type: str, payload: Any) -> None:
        self.events.append((event_type, dict(payload)))

    def after(self, seconds: float) -> int:
        """How many sessions are left when so much time has passed."""
        self.clock.advance(seconds)
        self.sessions.tick()
        return len(self.sessions)


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_a_session_lasts_from_the_first_playlist_until_three_chunks_are_missed(watched: Watched) -> None:
    """The events have the documented keys; times are local, with dashes."""
    session = watched.sessions.begin("192.0.2.1", "player", "/srv/show/playlist.m3u8")
    assert session is not None
    session.chunk_length = 2.0
    assert watched.after(5.9) == 1
    assert watched.sessions.find("192.0.2.1", "player", "/srv/show/hi/segment_1.ts") is session
    assert watched.after(5.9) == 1
    assert watched.after(0.2) == 0
    (started, first), (ended, last) = watched.events
    assert (started, ended) == ("streamingSessionStarted", "streamingSessionEnded")
    assert set(first) == {"clientIP", "sessionId", "playlist", "startTime"}
    assert set(last) - set(first) == {"stopTime"}
    assert len(first["startTime"]) == len("2024-05-06T07-08-09") and ":" not in first["startTime"]


def test_another_player_of_the_same_address_is_another_session(watched: Watched) -> None:
    """Address, folder and User-Agent make a viewer."""
    watched.sessions.begin("192.0.2.1", "player", "/srv/show/playlist.m3u8")
    assert watched.sessions.find("192.0.2.1", "other", "/srv/show/a.ts") is None
    assert watched.sessions.find("192.0.2.2", "player", "/srv/show/a.ts") is None
    assert watched.sessions.find("192.0.2.1", "player", "/srv/shower/a.ts") is None


def test_a_slow_download_of_a_segment_keeps_its_session(watched: Watched) -> None:
    """A viewer with a slow line is still one."""
    session = watched.sessions.begin("192.0.2.1", "player", "/srv/show/playlist.m3u8")
    assert session is not None
    session.active = 1
    assert watched.after(1000) == 1


def test_viewers_of_a_group_are_counted(watched: Watched) -> None:
    """By the whole name of a folder, not by a part of it."""
    watched.sessions.begin("192.0.2.1", "a", "/srv/show/playlist.m3u8")
    watched.sessions.begin("192.0.2.1", "b", "/srv/show/hi/playlist.m3u8")
    watched.sessions.begin("192.0.2.1", "c", "/srv/show2/playlist.m3u8")
    assert (watched.sessions.count(), watched.sessions.count("show"), watched.sessions.count("sho")) == (3, 2, 0)


def test_attack_of_invented_viewers_is_bounded(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who invents User-Agents fills a bounded table; long ones are cut."""
    monkeypatch.setattr(module, "MAX_SESSIONS", 10)
    begun = [watched.sessions.begin("192.0.2.1", f"{n}" + "x" * 100_000, "/srv/a/p.m3u8") for n in range(20)]
    assert sum(session is not None for session in begun) == len(watched.sessions) == 10


@pytest.mark.parametrize(
    ("kind", "manifest", "seconds"),
    [
        ("hls", b"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n", 4.0),
        ("hls", b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhi/playlist.m3u8\n", None),
        ("hls", b"#EXT-X-TARGETDURATION:999999\n", 3600.0),
        ("dash", b'<MPD maxSegmentDuration="PT2.5S">', 2.5),
        ("dash", b'<SegmentTemplate timescale="90000" media="$Time$"><SegmentTimeline><S t="0" d="360000"/>', 4.0),
        ("mss", b'<SmoothStreamingMedia TimeScale="10000000"><c t="0" d="20000000"/>', 2.0),
        ("hds", b"<manifest/>", None),
        ("mss", b'<SmoothStreamingMedia TimeScale="0"><c d="20000000"/>', 2.0),
    ],
)
def test_the_length_of_a_chunk_is_what_the_manifest_says(kind: str, manifest: bytes, seconds: float | None) -> None:
    """HLS, DASH and Smooth Streaming say it, each in its own way."""
    assert chunk_length(kind, manifest) == seconds


def test_a_download_in_parts_is_told_of_when_no_part_has_been_asked_for_any_more(watched: Watched) -> None:
    """Once, not for each part; the alias that led to it is used up then."""
    used: list[str] = []
    downloads = Downloads(watched.clock.seconds, 30.0, watched.tell, used.append)
    first = downloads.part_begins("192.0.2.1", "/srv/film.mp4", "ticket")
    downloads.part_begins("192.0.2.1", "/srv/film.mp4", "ticket")
    downloads.part_ends(first)
    watched.clock.advance(100)
    downloads.tick()
    assert watched.events == [], "a part is still on its way"
    downloads.part_ends(first)
    watched.clock.advance(30)
    downloads.tick()
    ((name, payload),) = watched.events
    assert name == "mediaFileDownloaded"
    assert set(payload) == {"clientIP", "mediaFile", "startTime", "stopTime", "elapsed"}
    assert used == ["ticket"]
