"""From the frames of one source to its segments: put in order, cut, made into bytes, handed to the store."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from ems.interfaces import IFrameSink
from ems.media.frame import MILLISECOND, SECOND, Frame
from ems.media.track import Kind, Track
from ems.segmenters.cutting import Cutter, Segment
from ems.segmenters.files import InOrder
from ems.segmenters.hls.containers import carried, make_container
from ems.segmenters.hls.seams import Container, PartListener, Protection, ProtectionError, SegmentKey
from ems.segmenters.hls.store import Media, Store, date_of
from ems.segmenters.interleaving import Interleaver
from ems.streams.statistics import StreamStatistics

if TYPE_CHECKING:
    from ems.server import Server

MAX_BACKLOG = 256 << 20
"""Bytes of segments that wait for the disk. Beyond that the disk is too slow for the stream, and segments are left out."""

MAX_HELD = 10_000
"""Frames that wait for the folder to be ready, over a minute of them; then the output begins with what comes later."""


class WriterParts:
    """What the writers of one output, one for each of its sources, share.

    `stored` is called with every segment that can be played, its container and its size, `closed` when a source is over.
    """

    def __init__(
        self,
        server: "Server",
        store: Store,
        *,
        in_thread: "Callable[..., Deferred[Any]]",
        protection: Protection | None,
        listener: PartListener | None,
        stored: Callable[[Segment, Container, int], None],
        closed: Callable[[], Awaitable[None]],
    ) -> None:
        self.server = server
        self.store = store
        self.in_thread = in_thread
        self.protection = protection
        self.listener = listener
        self.stored = stored
        self.closed = closed
        self.order = InOrder()
        self.statistics = StreamStatistics()


@implementer(IFrameSink)
class HlsWriter:
    """A sink for one source. What it is told before the store is open (`begin`) it keeps until then."""

    log = Logger(namespace="hls")

    def __init__(self, parts: WriterParts) -> None:
        self._parts = parts
        self._settings = parts.store.settings
        self._interleaver = Interleaver()
        self._cutter = Cutter(self._settings.rules, self)
        self._container: Container | None = None
        self._container_tracks: tuple[Track, ...] = ()
        self._held: list[tuple[str, Any]] | None = []
        self._over = False
        self._number = 0
        self._first = True
        self._backlog = 0
        self._newest = 0
        self._epoch: float | None = None
        self._primed = False

    def tracks_changed(self, tracks: tuple[Track, ...]) -> None:
        if self._holds("tracks_changed", tracks):
            return
        self._drain()
        settings = self._settings
        chosen = carried(tracks, segment_type=settings.segment_type, audio_only=settings.audio_only)
        self._interleaver.tracks_changed(chosen)
        self._cutter.tracks_changed(chosen)

    def frame(self, frame: Frame) -> None:
        if self._held is not None:
            if len(self._held) >= MAX_HELD:
                self._held = [one for one in self._held if one[0] != "frame"]
            self._held.append(("frame", frame))
            self._newest = max(self._newest, frame.dts)
            return
        self._take(frame)

    def ended(self, reason: str) -> None:
        # With hlsResume the next source goes on with the playlist, and players wait for it.
        self.finish(complete=not (self._settings.resume and self._settings.keep_alive))

    def primed(self) -> None:
        """What comes from now on is live: this tells which date a frame has."""
        self._primed = True
        if self._held:
            self._date()

    def begin(self) -> None:
        """The store is open: go on with what has come meanwhile."""
        self._number = self._parts.store.next_number
        held, self._held = self._held or [], None
        for told, argument in held:
            getattr(self, told)(argument)

    def finish(self, complete: bool) -> None:
        """Write what there is; with `complete` nothing will follow in this playlist."""
        if self._holds("finish", complete) or self._over:
            return
        self._over = True
        self._drain()
        self._cutter.finish()
        self._parts.order.put(lambda: self._close(complete))

    def segment_began(self, segment: Segment) -> None:
        """Take note of a new segment (`CutListener`)."""
        container = self._container_of(segment)
        if self._parts.listener is not None:
            self._parts.listener.began(segment, self._number, container)
        if not self._settings.file_length:
            self._parts.store.announce(self._number, container.extension, segment.start)

    def segment_grew(self, segment: Segment, frame: Frame) -> None:
        """Take note of a frame (`CutListener`)."""
        statistics = self._parts.statistics
        counters = statistics.video if frame.track.kind is Kind.VIDEO else statistics.audio
        counters.packets += 1
        counters.bytes += len(frame.data)
        if self._parts.listener is not None:
            self._parts.listener.frame(segment, frame)

    def segment_ended(self, segment: Segment) -> None:
        """Have a segment written (`CutListener`)."""
        container = self._container_of(segment)
        if self._parts.listener is not None:
            self._parts.listener.ended(segment)
        number, media = self._number, self._media(segment, container)
        self._number += 1
        self._backlog += segment.size
        self._parts.order.put(lambda: self._write(segment, container, number, media))

    def segment_dropped(self, segment: Segment) -> None:
        """Forget a segment (`CutListener`)."""
        if self._parts.listener is not None:
            self._parts.listener.dropped(segment)

    def _holds(self, told: str, argument: Any) -> bool:
        """True when the store is not open yet: this is done later."""
        if self._held is None:
            return False
        self._held.append((told, argument))
        return True

    def _take(self, frame: Frame) -> None:
        if frame.dts > self._newest:
            self._newest = frame.dts
        if self._epoch is None and self._primed:
            self._date()
        for ordered in self._interleaver.push(frame):
            self._cutter.push(ordered)

    def _drain(self) -> None:
        for frame in self._interleaver.drain():
            self._cutter.push(frame)

    def _date(self) -> None:
        """The newest frame is from now."""
        self._epoch = self._parts.server.clock.seconds() - self._newest / SECOND

    def _container_of(self, segment: Segment) -> Container:
        """The container of a segment: the one before, as long as it can carry the same tracks."""
        if self._container is None or not self._fits(self._container, segment.tracks):
            protection = self._parts.protection
            protected = protection.container(segment.tracks) if protection is not None else None
            settings = self._settings
            self._container = protected or make_container(
                segment.tracks, segment_type=settings.segment_type, audio_only=settings.audio_only
            )
            self._container_tracks = segment.tracks
        return self._container

    def _fits(self, container: Container, tracks: tuple[Track, ...]) -> bool:
        old = self._container_tracks
        return len(old) == len(tracks) and all(
            one.id == other.id and self._settings.rules.continues(one, other) for one, other in zip(old, tracks, strict=True)
        )

    def _media(self, segment: Segment, container: Container) -> Media:
        # Differences of rounded times add up to the rounded time; sums of rounded differences would not.
        duration = round(segment.end / MILLISECOND) - round(segment.start / MILLISECOND)
        if self._epoch is None:
            self._date()
        assert self._epoch is not None
        date = date_of(self._settings, self._epoch + segment.start / SECOND)
        # The first segment of a source does not follow what the source before has brought.
        broken, self._first = segment.discontinuous or self._first, False
        return Media(b"", container.extension, segment.start, duration, date, broken)

    async def _write(self, segment: Segment, container: Container, number: int, media: Media) -> None:
        """Make the bytes of a segment and store them."""
        parts = self._parts
        try:
            if self._backlog > MAX_BACKLOG:
                raise ProtectionError(f"{self._settings.folder}: the disk is too slow for this stream")
            key = await parts.protection.segment(number) if parts.protection is not None else None
            data = await parts.in_thread(segment_bytes, segment, container, key)
        except ProtectionError as error:
            self._count_lost(segment)
            await parts.store.lose(number, media, str(error))
            return
        finally:
            self._backlog -= segment.size
        if key is not None:
            media = media._replace(key=key.key, key_files=key.files)
        file = await parts.store.add(number, media._replace(data=data, init=container.init))
        if file is None:
            self._count_lost(segment)
            return
        parts.stored(segment, container, len(data))
        times = {"segmentStartTs": segment.start / MILLISECOND, "segmentDuration": segment.duration / MILLISECOND}
        parts.server.events.emit("hlsChunkClosed", {"file": str(file), "playlistStartTs": float(parts.store.begun), **times})

    async def _close(self, complete: bool) -> None:
        await self._parts.store.close(ended=complete)
        await self._parts.closed()

    def _count_lost(self, segment: Segment) -> None:
        for frame in segment.frames:
            statistics = self._parts.statistics
            counters = statistics.video if frame.track.kind is Kind.VIDEO else statistics.audio
            counters.dropped_packets += 1
            counters.dropped_bytes += len(frame.data)


def segment_bytes(segment: Segment, container: Container, key: SegmentKey | None) -> bytes:
    """The bytes of a whole segment as they are stored."""
    pieces = segment.pieces or [container.header(segment)]
    frames = segment.frames[segment.muxed :]
    if frames:
        pieces = [*pieces, container.piece(frames, segment.end)]
    data = b"".join(pieces)
    return key.finish(data) if key is not None else data
