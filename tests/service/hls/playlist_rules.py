"""A strict reader of media playlists for tests: it takes nothing for granted, and has nothing in common with our own.

`read` fails for a text that RFC 8216 forbids; `Watcher` for a playlist that changes in a way that §6.2 forbids.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

ONCE = {
    "#EXT-X-VERSION": r"[1-9][0-9]*",
    "#EXT-X-TARGETDURATION": r"[1-9][0-9]*",
    "#EXT-X-MEDIA-SEQUENCE": r"[0-9]+",
    "#EXT-X-DISCONTINUITY-SEQUENCE": r"[0-9]+",
    "#EXT-X-PLAYLIST-TYPE": r"EVENT|VOD",
    "#EXT-X-START": r"TIME-OFFSET=-?[0-9.]+",
    "#EXT-X-ALLOW-CACHE": r"YES|NO",
    "#EXT-X-ENDLIST": r"",
}
"""Tags that a playlist has at most once, and what their values look like."""

BEFORE_SEGMENTS = frozenset(ONCE) - {"#EXT-X-ENDLIST"}

OF_SEGMENTS = {
    "#EXTINF": r"[0-9]+(\.[0-9]+)?,.*",
    "#EXT-X-BYTERANGE": r"[0-9]+@[0-9]+",
    "#EXT-X-DISCONTINUITY": r"",
    "#EXT-X-GAP": r"",
    "#EXT-X-KEY": r'METHOD=NONE|METHOD=(AES-128|SAMPLE-AES),URI="[^"]+"(,IV=0x[0-9a-f]{32})?(,KEYFORMAT.*)?',
    "#EXT-X-MAP": r'URI="[^"]+"',
    "#EXT-X-PROGRAM-DATE-TIME": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)",
}
"""Tags that apply to the segment that follows."""


@dataclass
class Entry:
    """A segment: its number, the discontinuities before it since the list began, its tags."""

    number: int
    era: int
    uri: str
    tags: dict[str, str]

    @property
    def identity(self) -> tuple[int, str, str, str]:
        """What must never change while the segment is listed."""
        return self.era, self.uri, self.tags["#EXTINF"], self.tags.get("#EXT-X-BYTERANGE", "")


@dataclass
class Playlist:
    """What has been read."""

    once: dict[str, str] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)

    @property
    def first(self) -> int:
        """EXT-X-MEDIA-SEQUENCE."""
        return int(self.once.get("#EXT-X-MEDIA-SEQUENCE", "0"))

    @property
    def ended(self) -> bool:
        """Whether there is an EXT-X-ENDLIST."""
        return "#EXT-X-ENDLIST" in self.once


def read(path: Path) -> Playlist:
    """The playlist, with AssertionError for what it must not be; every file that it names has to be there."""
    lines = path.read_text("utf-8").split("\n")
    assert lines[0] == "#EXTM3U" and lines[-1] == "" and lines[1].startswith("#EXT-X-VERSION:"), lines[:2]
    playlist, tags, era = Playlist(), dict[str, str](), 0
    for line in lines[1:-1]:
        assert line.strip() == line and line and not playlist.ended, f"misplaced: {line!r}"
        name, _, value = line.partition(":")
        if not line.startswith("#"):
            assert "#EXTINF" in tags, f"{line} has no duration"
            era = era or int(playlist.once.get("#EXT-X-DISCONTINUITY-SEQUENCE", "0"))
            era += "#EXT-X-DISCONTINUITY" in tags
            playlist.entries.append(Entry(playlist.first + len(playlist.entries), era, line, tags))
            tags = {}
        elif name in ONCE:
            assert re.fullmatch(ONCE[name], value) and name not in playlist.once, line
            assert name not in BEFORE_SEGMENTS or not (playlist.entries or tags), f"too late: {line}"
            playlist.once[name] = value
        else:
            assert re.fullmatch(OF_SEGMENTS[name], value) and name not in tags, line
            tags[name] = value
    assert not tags, f"tags without a segment: {tags}"
    _check(playlist, path.parent)
    return playlist


def _check(playlist: Playlist, folder: Path) -> None:
    version, target = int(playlist.once["#EXT-X-VERSION"]), int(playlist.once["#EXT-X-TARGETDURATION"])
    used = {tag for entry in playlist.entries for tag in entry.tags}
    assert version >= 4 or "#EXT-X-BYTERANGE" not in used
    assert version >= 6 or "#EXT-X-MAP" not in used
    assert version < 7 or "#EXT-X-ALLOW-CACHE" not in playlist.once
    identities = [entry.identity[1:] for entry in playlist.entries]
    assert len(set(identities)) == len(identities), "a segment is listed twice"
    for entry in playlist.entries:
        duration = float(entry.tags["#EXTINF"].split(",")[0])
        assert int(duration + 0.5) <= target, f"{entry.uri} is longer than the target duration"
        assert "#EXT-X-GAP" in entry.tags or (folder / unquote(entry.uri)).is_file(), f"{entry.uri} is not there"
        for tag in ("#EXT-X-KEY", "#EXT-X-MAP"):
            named = re.search('URI="([^"]+)"', entry.tags.get(tag, ""))
            assert named is None or "://" in named[1] or (folder / unquote(named[1])).is_file(), f"{named} is not there"


class Watcher:
    """Looks at one playlist again and again, as a player does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.newest: Playlist | None = None

    def look(self) -> Playlist:
        """Read it; AssertionError when a player that follows it would be lost (§6.2.1, §6.2.2)."""
        before, now = self.newest, read(self._path)
        if before is not None:
            assert not before.ended or now.entries == before.entries, "an ended playlist has changed"
            assert now.first >= before.first, "EXT-X-MEDIA-SEQUENCE has gone back"
            assert now.first + len(now.entries) >= before.first + len(before.entries), "the newest segments were taken back"
            assert int(now.once["#EXT-X-TARGETDURATION"]) >= int(before.once["#EXT-X-TARGETDURATION"])
            known = {entry.number: entry.identity for entry in before.entries}
            for entry in now.entries:
                assert known.get(entry.number, entry.identity) == entry.identity, f"segment {entry.number} has changed"
        self.newest = now
        return now
