"""From the frames of one source to its segments: put in order, cut, made into bytes, handed to the store."""

from collections.abc import Awaitable, Callable, Sequence
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
from ems.segmenters.sample_clock import SampleClocks
from ems.streams.statistics import StreamStatistics

if TYPE_CHECKING:
    from ems.server import Server

MAX_BACKLOG = 256 << 20
"""Bytes of segments that wait for the disk. With more of them the disk is too slow for the stream, and segments are left out."""

MAX_HELD = 10_000
"""Frames that wait for the folder to be ready, over a minute of them; then the output begins with what comes later."""


BATCH = 96
BATCH_TIME = 1 * SECOND
"""Frames that are taken together at most, and how long (media time): a second of pictures and sound takes 2 ms. A key frame is
always the last of them. One by one, between other streams' work, each costs twice the time, as nothing of it is in the
processor's caches."""

BEHIND_KEY = 8
"""Frames that are taken together behind a key frame: with it a segment ends, as soon as the sound has come so far as well."""


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

    def chosen(self, tracks: Sequence[Track]) -> tuple[Track, ...]:
        """Those of a source's tracks that its segments carry."""
        settings = self.store.settings
        able = self.protection.able(tracks) if self.protection is not None else tracks
        return carried(able, segment_type=settings.segment_type, audio_only=settings.audio_only)


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
        self._unit: Callable[[Frame], bytes] | None = None
        self._made_tracks: tuple[Track, ...] = ()
        self._map_name = ""
        self._clocks = SampleClocks()
        self._held: list[tuple[str, Any]] | None = []
        # Until `begin` is through, which is a step of the common order itself.
        self._order = InOrder()
        self._over = False
        self._number = 0
        self._first = True
        self._backlog = 0
        self._newest = 0
        self._batch: list[Frame] = []
        # Parts are to be there as soon as their last frame is.
        self._batch_size = self._usual_batch = 1 if parts.listener is not None else BATCH
        self._epoch: float | None = None
        self._primed = False

    def tracks_changed(self, tracks: tuple[Track, ...]) -> None:
        if self._holds("tracks_changed", tracks):
            return
        self._drain()
        chosen = self._parts.chosen(tracks)
        self._interleaver.tracks_changed(chosen)
        self._cutter.tracks_changed(chosen)

    def frame(self, frame: Frame) -> None:
        if self._held is not None:
            if len(self._held) >= MAX_HELD:
                self._held = [one for one in self._held if one[0] != "frame"]
            self._held.append(("frame", frame))
            self._newest = max(self._newest, frame.dts)
            return
        batch = self._batch
        batch.append(frame)
        # A segment may end where a picture is a key frame.
        if frame.keyframe and frame.track.kind is Kind.VIDEO:
            self._take_batch()
            self._batch_size = min(BEHIND_KEY, self._usual_batch)
        elif len(batch) >= self._batch_size or frame.dts - batch[0].dts >= BATCH_TIME:
            self._take_batch()
            self._batch_size = self._usual_batch

    def ended(self, reason: str) -> None:
        self.finish(complete=not self._parts.store.stays_open)

    def primed(self) -> None:
        """What comes from now on is live: this tells which date a frame has."""
        self._primed = True
        if self._held is None:
            self._take_batch()
        elif any(told == "frame" for told, _ in self._held):
            self._date()

    async def begin(self) -> None:
        """The store is open: go on with what has come meanwhile. Returns when that is written: a source that comes next, or the
        removal of all files, finds it done."""
        self._number = self._parts.store.next_number
        held, self._held = self._held or [], None
        for told, argument in held:
            getattr(self, told)(argument)
        order, self._order = self._order, self._parts.order
        await order.done()

    def finish(self, complete: bool) -> None:
        """Write what there is; with `complete` nothing will follow in this playlist."""
        if self._holds("finish", complete) or self._over:
            return
        self._over = True
        self._drain()
        self._cutter.finish()
        self._order.put(lambda: self._close(complete))

    def segment_began(self, segment: Segment) -> None:
        """Take note of a new segment (`CutListener`)."""
        if segment.discontinuous and self._primed:
            # The clock of the source has jumped, or drifts: here players take a new date.
            self._date()
        # The first segment of a source does not follow what the source before has brought.
        segment.discontinuous, self._first = segment.discontinuous or self._first, False
        container = self._container_of(segment)
        if self._parts.listener is not None:
            self._parts.listener.began(segment, self._number, container, self._map_name)
        else:
            self._make_so_far(segment)
        if not self._settings.file_length:
            self._parts.store.announce(self._number, container.extension, segment.start)

    def segment_grew(self, segment: Segment, frames: Sequence[Frame]) -> None:
        """Take note of frames (`CutListener`)."""
        if self._parts.listener is not None:
            self._parts.listener.frames(segment, frames)
        elif segment.tracks is not self._made_tracks:
            self._make_so_far(segment)
        elif self._unit is not None:
            segment.pieces += map(self._unit, frames)
            segment.muxed += len(frames)

    def segment_ended(self, segment: Segment) -> None:
        """Have a segment written (`CutListener`)."""
        parts, container = self._parts, self._container_of(segment)
        if parts.listener is not None:
            parts.listener.ended(segment)
        elif self._unit is not None:
            # Now, however long it has to wait: what the container holds back must not get into the next segment.
            segment.pieces.append(container.piece((), segment.end))
        number, media = self._number, self._media(segment, container)
        self._number += 1
        if self._backlog > MAX_BACKLOG:
            self._leave_out(segment, number, media)
            return
        self._backlog += segment.size
        self._order.put(lambda: self._write(segment, container, number, media))

    def segment_dropped(self, segment: Segment) -> None:
        """Forget a segment (`CutListener`): none that has parts, see `HlsSettings.rules`."""
        self._first = self._first or segment.discontinuous
        self._count_lost(segment)

    def _holds(self, told: str, argument: Any) -> bool:
        """True when the store is not open yet: this is done later."""
        if self._held is None:
            return False
        self._held.append((told, argument))
        return True

    def _take_batch(self) -> None:
        """Go on with the frames that have come."""
        batch, self._batch = self._batch, []
        self._newest = max(self._newest, max([frame.dts for frame in batch], default=0))
        if self._epoch is None and self._primed:
            self._date()
        self._cutter.push(self._interleaver.push(self._clocks.on_time(batch)))

    def _drain(self) -> None:
        """Go on with all there is: what comes next does not follow it."""
        self._take_batch()
        self._cutter.push(self._interleaver.drain())

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
            self._map_name = ""
            if self._container.init:
                self._map_name = self._parts.store.publish_init(self._number, self._container.init)
        return self._container

    def _make_so_far(self, segment: Segment) -> None:
        """Make the bytes of what the segment has so far, if they can be made as frames come: nothing when it begins, all of it
        again when a track has joined it."""
        container = self._container_of(segment)
        self._made_tracks = segment.tracks
        self._unit = container.unit if self._parts.protection is None else None
        if self._unit is not None:
            segment.pieces = [container.header(segment), *map(self._unit, segment.frames)]
            segment.muxed = len(segment.frames)

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
        return Media(
            (), container.extension, segment.start, duration, date, segment.discontinuous, self._map_name, container.init
        )

    def _leave_out(self, segment: Segment, number: int, media: Media) -> None:
        """Too much waits for the disk: only a gap in the list is left of this segment."""
        self._count_lost(segment)
        if self._parts.listener is not None:
            self._parts.listener.left_out(segment)
        segment.frames, segment.pieces = [], []
        reason = f"{self._settings.folder}: the disk is too slow for this stream"
        self._order.put(lambda: self._parts.store.lose(number, media, reason))

    async def _write(self, segment: Segment, container: Container, number: int, media: Media) -> None:
        """Make the bytes of a segment, as far as they are not there, and store them."""
        parts = self._parts
        try:
            if parts.protection is not None:
                key = await parts.protection.segment(number)
                pieces = [await parts.in_thread(protected_bytes, segment, container, key)]
                media = media._replace(key=key.key, key_files=key.files)
            else:
                pieces = segment_pieces(segment, container)
        except ProtectionError as error:
            self._count_lost(segment)
            await parts.store.lose(number, media, str(error))
            return
        finally:
            self._backlog -= segment.size
        file = await parts.store.add(number, media._replace(pieces=pieces))
        if file is None:
            self._count_lost(segment)
            return
        self._count(segment)
        parts.stored(segment, container, sum(map(len, pieces)))
        times = {"segmentStartTs": segment.start / MILLISECOND, "segmentDuration": segment.duration / MILLISECOND}
        parts.server.events.emit("hlsChunkClosed", {"file": str(file), "playlistStartTs": float(parts.store.begun), **times})

    async def _close(self, complete: bool) -> None:
        await self._parts.store.close(ended=complete)
        await self._parts.closed()

    def _count(self, segment: Segment) -> None:
        """Count the frames of a segment as delivered."""
        statistics = self._parts.statistics
        for kind, counters in ((Kind.VIDEO, statistics.video), (Kind.AUDIO, statistics.audio)):
            sizes = [len(frame.data) for frame in segment.frames if frame.track.kind is kind]
            counters.packets += len(sizes)
            counters.bytes += sum(sizes)

    def _count_lost(self, segment: Segment) -> None:
        """Count the frames of a segment as lost."""
        statistics = self._parts.statistics
        for kind, counters in ((Kind.VIDEO, statistics.video), (Kind.AUDIO, statistics.audio)):
            sizes = [len(frame.data) for frame in segment.frames if frame.track.kind is kind]
            counters.dropped_packets += len(sizes)
            counters.dropped_bytes += sum(sizes)


def segment_pieces(segment: Segment, container: Container) -> list[bytes]:
    """The bytes of a whole segment, in pieces."""
    pieces = segment.pieces or [container.header(segment)]
    frames = segment.frames[segment.muxed :]
    if frames:
        pieces.append(container.piece(frames, segment.end))
    return pieces


def protected_bytes(segment: Segment, container: Container, key: SegmentKey) -> bytes:
    """The bytes of a whole segment as they are stored under this key."""
    return key.finish(b"".join(segment_pieces(segment, container)))
