"""A live stream inside the server, whatever protocol it came in by and whoever consumes it."""

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from ems.interfaces import IFrameSink
from ems.media.frame import Frame
from ems.media.track import Kind, Track
from ems.streams.feed import Feed
from ems.streams.gop import GopCache
from ems.streams.statistics import StreamStatistics

if TYPE_CHECKING:
    from ems.jobs.job import Job
    from ems.net.connection import Connection
    from ems.streams.manager import StreamManager
    from ems.streams.outbound import OutboundStream


# Looking a member up in its enumeration costs more than comparing with it, and this is done for every frame.
_VIDEO, _DATA = Kind.VIDEO, Kind.DATA


class InboundStream:
    """One named source: its tracks, its newest frames, its counters, and the sinks it feeds.

    Made by `StreamManager.register`. The protocol that brings it calls `set_tracks`, `set_metadata`, `push` and `end`;
    consumers call `add_sink` and `remove_sink`, or share a `feed`. Times of frames are on the stream's clock already
    (`ems.media.timeline`); `newest` is that of the last one. `job` is the pull that brings it, if any.
    """

    log = Logger()

    def __init__(
        self,
        manager: "StreamManager",
        stream_id: int,
        name: str,
        type_tag: str,
        source: "Connection | None",
        created: float,
    ) -> None:
        self.id = stream_id
        self.name = name
        self.type_tag = type_tag
        self.source = source
        self.created = created
        self.tracks: tuple[Track, ...] = ()
        self.metadata: dict[str, Any] = {}
        self.origin = 0
        self.internal = False
        self.bandwidth = 0
        self.details: dict[str, Any] = {}
        self.job: Job | None = None
        self.statistics = StreamStatistics()
        self.frame_count = 0
        self.newest = 0
        self.outbound: dict[int, OutboundStream] = {}
        self._manager = manager
        self._sinks: tuple[Any, ...] = ()
        self._feeds: dict[Hashable, Feed] = {}
        self._gop = GopCache()
        self._inserted: tuple[Track, ...] = ()
        self._inserted_at = 0
        self._ended = False

    def set_tracks(self, tracks: tuple[Track, ...]) -> None:
        """These are the tracks from now on; a repetition of the same ones changes nothing."""
        if self._inserted:
            tracks = (*(track for track in tracks if track not in self._inserted), *self._inserted)
        if tracks == self.tracks:
            return
        before, self.tracks = self.tracks, tracks
        self._gop.tracks_changed(tracks)
        for sink in self._sinks:
            self._tell(sink, "tracks_changed", tracks)
        self._manager.tracks_changed(self, before)

    def set_metadata(self, metadata: dict[str, Any]) -> None:
        """What the source says of itself (``onMetaData``): kept for viewers to come."""
        self.metadata = metadata

    def push(self, frame: Frame) -> None:
        """The next frame, from the source to every sink."""
        self.frame_count += 1
        self.newest = frame.dts
        kind = frame.track.kind
        if kind is not _DATA:
            counters = self.statistics.video if kind is _VIDEO else self.statistics.audio
            counters.packets += 1
            counters.bytes += len(frame.data)
        else:
            self._manager.data_came(self, frame)
        self._gop.push(frame)
        for sink in self._sinks:
            try:
                sink.frame(frame)
            except Exception:
                self._give_up(sink)

    def insert(self, track: Track, data: bytes) -> None:
        """A frame that the source does not have, at the present time, on a track of data that it does not have either.

        Nothing happens while the source's own tracks are not known: nobody is being fed.
        """
        if not self.tracks:
            return
        if track not in self._inserted:
            self._inserted = (*self._inserted, track)
            self.set_tracks(self.tracks)
        now = self._inserted_at = max(self.newest, self._inserted_at)
        self.push(Frame(track, now, now, False, data))
        # It is no sign of life of the source, whose time-out goes by this count.
        self.frame_count -= 1

    def end(self, reason: str) -> None:
        """The source is gone: sinks are told, viewers wait for the name or leave, the name is free again."""
        if self._ended:
            return
        self._ended = True
        for sink in self._sinks:
            self._tell(sink, "ended", reason)
        self._sinks = ()
        self._feeds.clear()
        self._manager.unregister(self, reason)

    def close(self, reason: str) -> None:
        """Have the source leave: its connection closes; a stream without one just ends."""
        source = self.source
        self.end(reason)
        if source is not None:
            source.close(reason)

    def add_sink(self, sink: Any) -> None:
        """Feed an `IFrameSink` from now on, primed with the frames since the last key frame."""
        assert IFrameSink.providedBy(sink)
        try:
            if self.tracks:
                sink.tracks_changed(self.tracks)
            for frame in self._gop.frames:
                sink.frame(frame)
        except Exception:
            self._give_up(sink)
            return
        self._sinks = (*self._sinks, sink)

    def remove_sink(self, sink: Any) -> None:
        """Feed it no more."""
        self._sinks = tuple(other for other in self._sinks if other is not sink)

    def feed(self, key: Hashable, make: Callable[[], Feed]) -> Feed:
        """The feed known by `key`, made and primed when its first viewer asks."""
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = make()
            self.add_sink(feed)
        return feed

    def release(self, feed: Feed) -> None:
        """A viewer has left this feed: without viewers it is not made any longer."""
        if not feed.viewers:
            self._feeds = {key: other for key, other in self._feeds.items() if other is not feed}
            self.remove_sink(feed)

    def _tell(self, sink: Any, what: str, argument: object) -> None:
        try:
            getattr(sink, what)(argument)
        except Exception:
            self._give_up(sink)

    def _give_up(self, sink: Any) -> None:
        self.log.failure("{sink} failed and is no longer fed by {name!r}", sink=sink, name=self.name)
        self.remove_sink(sink)
