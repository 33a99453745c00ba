"""Which segments a playlist lists, and which files stay on the disk, as pure values.

An *appending* list keeps everything. A *rolling* one lists the newest `length` segments; those that have left it stay on the
disk until players that still have the old list are through with them: at least `retention` of them, and at least for the
duration of the segment and of the list it was in (RFC 8216 §6.2.2), counted in time of the media.
"""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from ems.formats.m3u8 import MediaPlaylist, Segment, rounded


class _Stale(NamedTuple):
    """A segment that has left the list, and the time of the media at which its files may go."""

    segment: Segment
    expires: int


class Window:
    """The list of one stream. `length` is 0 for an appending list. Durations are in milliseconds, as in `Segment`.

    `shape` is a playlist with everything but the segments and the numbers that follow from them.
    """

    def __init__(self, shape: MediaPlaylist, *, length: int, retention: int) -> None:
        self._shape = shape
        self._length = length
        self._retention = retention
        self._listed: deque[Segment] = deque()
        self._texts: deque[str] = deque()
        self._stale: deque[_Stale] = deque()
        self._uses: Counter[str] = Counter()
        self._sequence = shape.media_sequence
        self._discontinuities = shape.discontinuity_sequence
        self._target = shape.target_duration
        self._duration = 0
        self._clock = 0

    @property
    def next_number(self) -> int:
        """The media sequence number of the next segment."""
        return self._sequence + len(self._listed)

    @property
    def listed(self) -> tuple[Segment, ...]:
        """The segments in the list."""
        return tuple(self._listed)

    @property
    def files(self) -> set[str]:
        """The names of all files that are in use, stale ones too."""
        return set(self._uses)

    def add(self, segment: Segment) -> list[str]:
        """List one more segment; returns the names of the files that nobody needs any more."""
        if self._is_first and segment.discontinuity:
            segment = replace(segment, discontinuity=False)
        before = self._listed[-1] if self._listed else None
        self._listed.append(segment)
        self._texts.append(segment.text(before, version=self._shape.version, dated=before is None))
        self._uses.update(files_of(segment))
        self._target = max(self._target, rounded(segment.duration))
        self._duration += segment.duration
        self._clock += segment.duration
        while self._length and len(self._listed) > self._length:
            self._retire_first()
        return self._expired()

    def keep_only(self, files: Iterable[str]) -> list[str]:
        """Only these files are there any longer: the list goes on behind the last segment that lacks one. Returns the names of
        the files of segments that have left it so."""
        there = frozenset(files)
        lacking = [not segment.gap and not there.issuperset(files_of(segment)) for segment in self._listed]
        count = len(lacking) - lacking[::-1].index(True) if any(lacking) else 0
        gone = []
        for _ in range(count):
            segment = self._listed.popleft()
            self._sequence += 1
            self._discontinuities += segment.discontinuity
            self._duration -= segment.duration
            gone += self._unused(segment)
        self._write_texts()
        return gone

    def resume(self, old: MediaPlaylist) -> None:
        """Go on with the list of before."""
        for segment in old.segments:
            self._listed.append(segment)
            self._uses.update(files_of(segment))
            self._duration += segment.duration
        self._sequence, self._discontinuities = old.media_sequence, old.discontinuity_sequence
        self._target = max(self._target, old.target_duration)
        self._write_texts()

    def playlist(self, *, ended: bool = False) -> MediaPlaylist:
        """The playlist as a value."""
        return replace(self._head(ended), segments=self.listed)

    def texts(self, *, ended: bool = False) -> tuple[str, ...]:
        """The playlist as pieces of text, to be joined: of a day's list only the new lines are made anew."""
        head = self._head(ended)
        return (head.head, *self._texts, head.tail)

    @property
    def _is_first(self) -> bool:
        return not self._listed and self._sequence == 1

    def _head(self, ended: bool) -> MediaPlaylist:
        return replace(
            self._shape,
            target_duration=self._target,
            media_sequence=self._sequence,
            discontinuity_sequence=self._discontinuities,
            playlist_type="VOD" if ended and self._shape.playlist_type else self._shape.playlist_type,
            ended=ended,
        )

    def _retire_first(self) -> None:
        segment = self._listed.popleft()
        if self._texts:
            self._texts.popleft()
        longest_list = self._duration - (self._listed[-1].duration if self._listed else 0)
        self._stale.append(_Stale(segment, self._clock + segment.duration + longest_list))
        self._duration -= segment.duration
        self._sequence += 1
        self._discontinuities += segment.discontinuity
        if self._listed and self._texts:
            # What comes first tells its key, its map and its date.
            self._texts[0] = self._listed[0].text(None, version=self._shape.version, dated=True)

    def _expired(self) -> list[str]:
        gone: list[str] = []
        while len(self._stale) > self._retention and self._stale[0].expires <= self._clock:
            gone += self._unused(self._stale.popleft().segment)
        return gone

    def _unused(self, segment: Segment) -> list[str]:
        """Those of the files of a segment that no other needs, now that it is gone."""
        gone = []
        for name in files_of(segment):
            self._uses[name] -= 1
            if not self._uses[name]:
                del self._uses[name]
                gone.append(name)
        return gone

    def _write_texts(self) -> None:
        self._texts.clear()
        before: Segment | None = None
        for segment in self._listed:
            self._texts.append(segment.text(before, version=self._shape.version, dated=before is None))
            before = segment


def files_of(segment: Segment) -> Iterable[str]:
    """The addresses of what a segment needs: itself, its initialisation segment, its key."""
    key = segment.key.uri if segment.key else ""
    return [uri for uri in (segment.uri, segment.map_uri, key) if uri and "://" not in uri]
