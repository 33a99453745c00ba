"""Low-latency HLS: players are two or three parts behind the source, not three segments (RFC 8216bis, appendix B).

While a segment is being made, its parts are already there, in memory: the web server gives them to players, and answers at the
moment at which the part that a player waits for exists. The steps::

    frames ─► PartCutter ─► a CMAF chunk (moof and mdat) ─► ComingPart, PublishedFiles
                                └─► LowLatencyPlaylist ─► BlockingPlaylist

On the disk there is nothing of all this: the segment is its parts, joined, and the playlist there has no tag of low latency, as a
web server that only reads files could neither give parts nor wait. So any server can serve the same folder, with the usual
latency.

Parts have names that count through all segments, so the name of the next part is known whatever comes: a player that has asked
for it in advance never asks for something that does not come.
"""

import os
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from ems.errors import CommandError
from ems.formats import m3u8
from ems.formats.m3u8 import MediaPlaylist
from ems.media.frame import MILLISECOND, Frame
from ems.segmenters.cutting import Segment
from ems.segmenters.hls.lowlatency_parts import Part, PartCutter
from ems.segmenters.hls.lowlatency_playlist import PARTS_LISTED, Listed, LowLatencyPlaylist, RenditionReport
from ems.segmenters.hls.lowlatency_reload import MAX_WAIT, BlockingPlaylist, ComingPart
from ems.segmenters.hls.seams import Container
from ems.segmenters.hls.settings import NO_DRM, HlsSettings

if TYPE_CHECKING:
    from ems.server import Server

SHORTEST_PART = 100
"""Milliseconds that ``partLength`` must have: below that, requests cost more than the latency they save."""

PARTS_KEPT = 2 * PARTS_LISTED
"""Target durations for which a part can be fetched: as long again as it is listed (§6.2.2)."""

MICROSECOND = 1000


@dataclass(slots=True, eq=False)
class _Making:
    """A segment from its first frame until the playlist lists it."""

    segment: Segment
    number: int
    container: Container
    map_name: str
    cutter: PartCutter
    complete: bool = False
    parts: list[m3u8.Part] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A segment whose parts can be fetched. `uri` is empty when the playlist does not list it; `duration` is in milliseconds."""

    uri: str
    duration: int
    parts: tuple[m3u8.Part, ...]


class LowLatency:
    """The low latency of one output (a `PartListener` of the seams), as long as it lives.

    Raises `CommandError` for settings that do not go with it.
    """

    def __init__(self, server: "Server", settings: HlsSettings) -> None:
        check(settings)
        self._server = server
        self._settings = settings
        self._path = settings.folder / settings.playlist_name
        self._group = str(settings.group_folder)
        self._patience = MAX_WAIT * settings.chunk_length
        self._playlist = BlockingPlaylist(server.clock, self._patience)
        self._making: deque[_Making] = deque()
        self._kept: deque[_Kept] = deque()
        self._listed: Listed | None = None
        self._siblings: list[tuple[str, Path]] = []
        self._cutter: tuple[Container, PartCutter] | None = None
        self._stamp = int(time.time() * 1000)
        self._serial = 0
        self._coming: ComingPart | None = None

    def began(self, segment: Segment, number: int, container: Container, map_name: str) -> None:
        if self._coming is None:
            self._coming = self._expect()
        # Again for each segment: who removes the files of a source that has gone removes this, too.
        self._server.published.put_live(self._path, self._playlist)
        if self._cutter is None or self._cutter[0] is not container:
            self._cutter = container, PartCutter(container.tracks, self._settings.part_length * MILLISECOND)
        cutter = self._cutter[1]
        cutter.begin(segment.start)
        self._making.append(_Making(segment, number, container, map_name, cutter))

    def frames(self, segment: Segment, frames: Sequence[Frame]) -> None:
        making = self._making[-1]
        for frame in frames:
            for part in making.cutter.frame(frame):
                self._take(making, part)

    def ended(self, segment: Segment) -> None:
        making = self._making[-1]
        for part in making.cutter.end(segment.end):
            self._take(making, part)
        making.complete = True

    def left_out(self, segment: Segment) -> None:
        making = self._making[-1]
        self._remove(making.parts)
        making.parts.clear()

    def playlist(self, playlist: MediaPlaylist) -> MediaPlaylist:
        """Show the new list to players; the one on the disk stays as it is."""
        last = playlist.media_sequence + len(playlist.segments) - 1
        while self._making and self._making[0].complete and self._making[0].number <= last:
            self._settle(self._making.popleft(), playlist)
        self._forget(PARTS_KEPT * playlist.target_duration * 1000)
        self._listed = Listed.of(playlist, {kept.uri: kept.parts for kept in self._kept})
        self._siblings = self._find_siblings()
        self._show()
        return playlist

    def close(self) -> None:
        published = self._server.published
        published.remove(self._path)
        self._playlist.close("the stream is over")
        if self._coming is not None:
            published.remove(self._settings.folder / self._coming_name)
            self._coming.close("the stream is over")
        self._kept.extend(_Kept("", 0, tuple(making.parts)) for making in self._making)
        self._forget(-1)

    @property
    def _coming_name(self) -> str:
        return f"{self._settings.base_name}_{self._stamp}_part{self._serial}.m4s"

    def _expect(self) -> ComingPart:
        """Let players wait for the part that comes next."""
        self._serial += 1
        coming = ComingPart(self._server.clock, self._patience)
        self._server.published.put_live(self._settings.folder / self._coming_name, coming)
        return coming

    def _take(self, making: _Making, part: Part) -> None:
        """A part is complete: make its bytes, and let everybody have them."""
        duration = (part.end - part.start) // MICROSECOND
        segment = making.segment
        data = making.container.piece(part.frames, part.end) if part.frames else b""
        segment.muxed += len(part.frames)
        if not data:
            making.parts.append(m3u8.Part(quote(f"{self._coming_name}.gap"), duration, gap=True))
        else:
            if not segment.pieces:
                data = making.container.header(segment) + data
            segment.pieces.append(data)
            making.parts.append(m3u8.Part(quote(self._coming_name), duration, part.independent))
            self._publish(data)
        self._show()

    def _publish(self, data: bytes) -> None:
        path, coming = self._settings.folder / self._coming_name, self._coming
        self._server.published.remove(path)
        self._server.published.keep(path, data)
        self._coming = self._expect()
        if coming is not None:
            coming.here(data)

    def _settle(self, making: _Making, playlist: MediaPlaylist) -> None:
        """The playlist lists this segment: its parts belong to that entry."""
        index = making.number - playlist.media_sequence
        entry = playlist.segments[index] if index >= 0 else None
        uri = entry.uri if entry is not None and not entry.gap else ""
        self._kept.append(_Kept(uri, making.segment.duration // MILLISECOND, tuple(making.parts)))

    def _forget(self, limit: int) -> None:
        """Remove the parts of segments that are further from the end than `limit`, in milliseconds."""
        behind = sum(kept.duration for kept in self._kept)
        while self._kept and behind - self._kept[0].duration > limit:
            oldest = self._kept.popleft()
            behind -= oldest.duration
            self._remove(oldest.parts)

    def _remove(self, parts: Iterable[m3u8.Part]) -> None:
        """Nobody can fetch these parts any more."""
        for part in parts:
            self._server.published.remove(self._settings.folder / unquote(part.uri))

    def _show(self) -> None:
        """Let players see what there is now: of a new output, as soon as there is a part."""
        if self._listed is None:
            return
        playlist = self._listed.playlist
        unfinished = _entry(self._making[0]) if self._making else None
        if not playlist.segments:
            if unfinished is None or not unfinished.parts:
                # A new list: what the old one says is over.
                self._playlist.forget()
                return
            if playlist.media_sequence == 1:
                # Nothing comes before it that it could fail to continue.
                unfinished = replace(unfinished, discontinuity=False)
        reports = tuple(self._reports())
        self._playlist.show(LowLatencyPlaylist(self._listed, self._settings.part_length, unfinished, self._hint, reports))

    @property
    def _hint(self) -> str:
        """The part behind the last one that is listed: it is there already when the segment waits for the disk."""
        following = self._making[1].parts[:1] if len(self._making) > 1 else []
        if not following:
            return quote(self._coming_name)
        return "" if following[0].gap else following[0].uri

    def _find_siblings(self) -> list[tuple[str, Path]]:
        """The playlists of the other streams of the group: their addresses as seen from this one, and where they are."""
        settings, found = self._settings, []
        for job in self._server.jobs:
            # Texts, as making a path of each of a thousand jobs for every segment would cost more than the segment.
            if job.kind == "hls" and str(job.settings.get("groupTargetFolder")).rstrip("/") == self._group:
                path = Path(str(job.settings.get("targetFolder"))) / str(job.settings.get("playlistName"))
                if path != self._path:
                    found.append((quote(os.path.relpath(path, settings.folder)), path))
        return found

    def _reports(self) -> "list[RenditionReport]":
        """How far the other playlists of the group are, as far as they are of low latency."""
        reports = []
        for uri, path in self._siblings:
            live = self._server.published.live(path)
            if isinstance(live, BlockingPlaylist) and live.newest is not None:
                reports.append(RenditionReport(uri, *live.newest.newest))
        return reports


def _entry(making: _Making) -> m3u8.Segment:
    """A segment as far as it is there."""
    return m3u8.Segment("", 0, making.segment.discontinuous, map_uri=quote(making.map_name), parts=tuple(making.parts))


def check(settings: HlsSettings) -> None:
    """Raise `CommandError` for settings that do not go with low latency."""
    if settings.segment_type != "fmp4":
        raise CommandError("partLength needs segmentType=fmp4")
    if settings.drm_type != NO_DRM:
        raise CommandError(f"partLength and drmType={settings.drm_type} cannot go together: parts are not encrypted")
    if settings.file_length:
        raise CommandError("partLength and useByteRange cannot go together")
    if not SHORTEST_PART <= settings.part_length <= settings.chunk_length * 1000:
        raise CommandError(f"partLength is in milliseconds, from {SHORTEST_PART} to chunkLength: {settings.part_length} is not")
