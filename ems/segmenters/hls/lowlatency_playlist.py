"""The low-latency form of a media playlist (RFC 8216bis §4.4.3.7, §4.4.3.8, §4.4.4.9, §4.4.5.2 to §4.4.5.4, §6.2.5).

It lists what the ordinary playlist lists, with the parts of its newest segments, the parts of the one that is unfinished, and
the name of the part that comes next::

    #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12.000,HOLD-BACK=6.000,PART-HOLD-BACK=0.600
    #EXT-X-PART-INF:PART-TARGET=0.200
    …
    #EXT-X-PART:DURATION=0.200000,URI="segment_1709287200120_part211.m4s",INDEPENDENT=YES
    #EXTINF:2.000,
    segment_1709287200120_42.m4s
    #EXT-X-PART:DURATION=0.200000,URI="segment_1709287200120_part212.m4s",INDEPENDENT=YES
    #EXT-X-PRELOAD-HINT:TYPE=PART,URI="segment_1709287200120_part213.m4s"
    #EXT-X-RENDITION-REPORT:URI="../low/playlist.m3u8",LAST-MSN=43,LAST-PART=0

A player that knows none of these tags passes over them and plays the segments. One that knows them asks for the playlist *as it
will be* when a certain segment or part is there (`Directives`), and the server answers at that moment.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil
from typing import NamedTuple, Self

from ems.formats.m3u8 import MediaPlaylist, Part, Segment, attributes, quoted, seconds, segment_texts
from ems.published import Unavailable

HOLD_BACK = 3
"""Target durations that an ordinary player stays behind the end, and part targets a low-latency one: the least allowed."""

SKIP_UNTIL = 6
"""Target durations before the end that a delta update always has in full: the least allowed."""

PARTS_LISTED = 3
"""Target durations before the end up to which parts are listed (§6.2.2)."""

SKIP_VERSION = 9
"""EXT-X-VERSION that EXT-X-SKIP asks for (§8)."""

MAX_AHEAD = 2
"""Segments beyond the newest one that may be asked for: who asks for more is not following this playlist (§6.2.5.2)."""

_NUMBER = re.compile("[0-9]{1,20}", re.ASCII)


class Directives(NamedTuple):
    """What a player says of the playlist it wants (§6.2.5): one that has segment `msn`, or its part `part`, or is later.

    `skip`: it has the older part already, and is content with a delta update.
    """

    msn: int | None = None
    part: int | None = None
    skip: bool = False

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> Self:
        """Read ``_HLS_msn``, ``_HLS_part`` and ``_HLS_skip``; other parameters are not ours. Raises `Unavailable` with 400."""
        msn, part = (_number(query, name) for name in ("_HLS_msn", "_HLS_part"))
        if part is not None and msn is None:
            raise Unavailable(400, "_HLS_part without _HLS_msn")
        return cls(msn, part, query.get("_HLS_skip") in ("YES", "v2"))


class RenditionReport(NamedTuple):
    """How far another playlist of the group is (EXT-X-RENDITION-REPORT): its newest segment and, if it has parts, part."""

    uri: str
    last_msn: int
    last_part: int | None

    @property
    def tag(self) -> str:
        """The line, without its end."""
        last_part = str(self.last_part) if self.last_part is not None else None
        values = {"URI": quoted(self.uri), "LAST-MSN": str(self.last_msn), "LAST-PART": last_part}
        return f"#EXT-X-RENDITION-REPORT:{attributes(values)}"


@dataclass(frozen=True)
class Listed:
    """The complete segments of the list, the newest with their parts; it changes with every segment, not with every part."""

    playlist: MediaPlaylist

    @classmethod
    def of(cls, playlist: MediaPlaylist, parts: Mapping[str, tuple[Part, ...]]) -> Self:
        """List the parts, which are told by the segment's URI, of segments no further than `PARTS_LISTED` from the end."""
        left = PARTS_LISTED * playlist.target_duration * 1000
        segments = list(playlist.segments)
        for index in range(len(segments) - 1, -1, -1):
            if left <= 0:
                break
            left -= segments[index].duration
            segments[index] = replace(segments[index], parts=parts.get(segments[index].uri, ()))
        return cls(replace(playlist, segments=tuple(segments)))

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The lines of each segment."""
        return tuple(segment_texts(self.playlist.segments, self.playlist.version))


@dataclass(frozen=True, slots=True)
class LowLatencyPlaylist:
    """A media playlist with the parts of its newest segments. `part_target` is in milliseconds.

    `unfinished` is the segment behind the last one, as far as it is there: only its parts and what applies to them count.
    `hint` names the part that comes next; empty when there is nothing to wait for.
    """

    listed: Listed
    part_target: int
    unfinished: Segment | None = None
    hint: str = ""
    reports: tuple[RenditionReport, ...] = ()

    @property
    def playlist(self) -> MediaPlaylist:
        """The complete segments."""
        return self.listed.playlist

    @property
    def unfinished_parts(self) -> tuple[Part, ...]:
        """The parts behind the last complete segment."""
        return self.unfinished.parts if self.unfinished is not None else ()

    @property
    def last_msn(self) -> int:
        """The number of the newest complete segment; one less than the first when there is none."""
        return self.playlist.media_sequence + len(self.playlist.segments) - 1

    @property
    def newest(self) -> tuple[int, int | None]:
        """The numbers of the newest segment of which there is anything, and of its newest part."""
        if self.unfinished_parts:
            return self.last_msn + 1, len(self.unfinished_parts) - 1
        parts = self._parts(self.last_msn)
        return self.last_msn, parts - 1 if parts else None

    def has(self, wanted: Directives) -> bool:
        """True when the playlist is what the player waits for. An ended playlist always is."""
        if wanted.msn is None or self.playlist.ended:
            return True
        msn, part = wanted.msn, wanted.part
        if part is None or msn < self.last_msn:
            return msn <= self.last_msn
        if msn == self.last_msn and part >= self._parts(msn):
            # There is no such part: the first one of the next segment is meant.
            msn, part = msn + 1, 0
        return msn == self.last_msn or (msn == self.last_msn + 1 and part < len(self.unfinished_parts))

    def check(self, wanted: Directives) -> None:
        """Raise `Unavailable` with 400 when the player asks for what is too far ahead (§6.2.5.2)."""
        if wanted.msn is None or self.playlist.ended:
            return
        if wanted.msn > self.last_msn + MAX_AHEAD:
            raise Unavailable(400, f"segment {wanted.msn} is too far ahead: the newest one is {self.last_msn}")
        if wanted.part is None or wanted.msn < self.last_msn:
            return
        limit = self._parts(wanted.msn) - 1 + max(HOLD_BACK, ceil(HOLD_BACK * 1000 / self.part_target))
        if wanted.part > limit:
            raise Unavailable(400, f"part {wanted.part} is too far ahead")

    def text(self, *, skip: bool = False) -> str:
        """The whole file, or a delta update (§6.2.5.1), which leaves out segments that the player has had for long."""
        playlist = self.playlist
        skipped = self._skippable() if skip else 0
        if skipped:
            playlist = replace(playlist, version=max(SKIP_VERSION, playlist.version))
        head = replace(playlist, tags=(*playlist.tags, *self._tags(), *_skip_tag(skipped))).head
        return "".join([head, *self.listed.texts[skipped:], *self._end()])

    def _end(self) -> list[str]:
        """The lines behind the last complete segment."""
        playlist = self.playlist
        if playlist.ended:
            return [playlist.tail]
        lines = []
        if self.unfinished is not None:
            lines += self.unfinished.opening(playlist.segments[-1] if playlist.segments else None)
        if self.hint:
            lines.append(f"#EXT-X-PRELOAD-HINT:TYPE=PART,URI={quoted(self.hint)}")
        lines += [report.tag for report in self.reports]
        return [f"{line}\n" for line in lines]

    def _tags(self) -> tuple[str, ...]:
        target = self.playlist.target_duration * 1000
        control = {
            "CAN-BLOCK-RELOAD": "YES",
            "CAN-SKIP-UNTIL": seconds(SKIP_UNTIL * target),
            "HOLD-BACK": seconds(HOLD_BACK * target),
            "PART-HOLD-BACK": seconds(HOLD_BACK * self.part_target),
        }
        return (f"#EXT-X-SERVER-CONTROL:{attributes(control)}", f"#EXT-X-PART-INF:PART-TARGET={seconds(self.part_target)}")

    def _parts(self, msn: int) -> int:
        """How many parts of that segment are listed."""
        index = msn - self.playlist.media_sequence
        if index == len(self.playlist.segments):
            return len(self.unfinished_parts)
        return len(self.playlist.segments[index].parts) if 0 <= index < len(self.playlist.segments) else 0

    def _skippable(self) -> int:
        """How many of the oldest segments end before the skip boundary."""
        left = SKIP_UNTIL * self.playlist.target_duration * 1000
        left -= sum(part.duration for part in self.unfinished_parts) // 1000
        for index in range(len(self.playlist.segments) - 1, -1, -1):
            if left <= 0:
                return index + 1
            left -= self.playlist.segments[index].duration
        return 0


def _skip_tag(skipped: int) -> tuple[str, ...]:
    return (f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}",) if skipped else ()


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise Unavailable(400, f"{name} is no decimal integer")
    return int(text)
