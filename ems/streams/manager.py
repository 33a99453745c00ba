"""Who streams what: the names in use, and who waits for which name."""

from collections.abc import Callable, Container
from itertools import count
from time import time
from typing import Any, NamedTuple

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from ems.errors import CommandError
from ems.media.frame import Frame
from ems.media.track import Codec, Kind, Track
from ems.net.connection import Connection
from ems.streams.inbound import InboundStream
from ems.streams.names import checked_name, short_name
from ems.streams.outbound import OutboundStream
from ems.streams.outlet import FanOut


class StreamManager(Service):
    """All streams of the server, in and out, by name and by unique id.

    `expire_after` is the time in seconds without a frame after which an inbound stream is closed; 0 never closes it.
    `observers` (`IStreamObserver`) are told of every inbound stream that comes and goes, `data_observers` of every frame of
    data that passes through one, `reporters` (`IStreamReporter`) of everything but frames. No stream gets one of the
    `reserved_names`, which are aliases of others.
    """

    name = "streams"
    log = Logger()

    def __init__(self, clock: IReactorTime, *, expire_after: float = 0, max_merge_delay: float = 0.1) -> None:
        self.inbound: dict[str, InboundStream] = {}
        self.outbound: dict[int, OutboundStream] = {}
        self.fan_out = FanOut(clock, max_merge_delay)
        self.observers: list[Any] = []
        self.data_observers: list[Callable[[InboundStream, Frame], None]] = []
        self.reporters: list[Any] = []
        self.reserved_names: Container[str] = ()
        self._ids = count(1)
        self._waiting: dict[str, dict[int, OutboundStream]] = {}
        self._expire_after = expire_after
        self._frame_counts: dict[int, FrameCounts] = {}
        self._stopped: dict[int, set[Kind]] = {}
        self._expiry = LoopingCall(self._expire)
        self._expiry.clock = clock

    def startService(self) -> None:
        super().startService()
        if self._expire_after:
            self._expiry.start(self._expire_after, now=False)

    def stopService(self) -> None:
        super().stopService()
        if self._expiry.running:
            self._expiry.stop()
        for stream in list(self.inbound.values()):
            stream.end("the server stops")

    def new_id(self) -> tuple[int, float]:
        """A fresh unique stream id, and the moment (seconds since the epoch) it was given."""
        return next(self._ids), time()

    def by_id(self, stream_id: int) -> InboundStream | OutboundStream | None:
        """The stream, in or out, that has this unique id."""
        found = self.outbound.get(stream_id)
        return found or next((stream for stream in self.inbound.values() if stream.id == stream_id), None)

    def by_name(self, name: str) -> InboundStream | None:
        """The inbound stream of this name; the whole text is tried, then the part before its query."""
        return self.inbound.get(name) or self.inbound.get(short_name(name))

    def register(self, name: str, *, type_tag: str, source: Connection | None) -> InboundStream:
        """A new inbound stream, at once found by its name and joined by those who waited for it.

        Raises `CommandError` when the name is taken or no name at all.
        """
        name = checked_name(name)
        if name in self.inbound or name in self.reserved_names:
            raise CommandError(f"Stream name {name} already taken")
        stream_id, created = self.new_id()
        stream = InboundStream(self, stream_id, name, type_tag, source, created)
        self.inbound[name] = stream
        origin = f"from {source.peer_name}" if source is not None else "made here"
        self.log.info("stream {name!r} ({tag}) is here, {origin}", name=name, tag=type_tag, origin=origin)
        self._report("stream_made", stream)
        for waiting in [*self._waiting.pop(name, {}).values()]:
            self._join(waiting, stream)
        for observer in [*self.observers]:
            self._tell(observer, "stream_came", stream)
        return stream

    def unregister(self, stream: InboundStream, reason: str) -> None:
        """The stream has ended; `InboundStream.end` calls this."""
        if self.inbound.get(stream.name) is stream:
            del self.inbound[stream.name]
        self.log.info("stream {name!r} ended: {reason}", name=stream.name, reason=reason)
        self._report("stream_over", stream)
        for outbound in [*stream.outbound.values()]:
            # Who was told before may have had others unsubscribe.
            if outbound.id in self.outbound:
                outbound.inbound = None
                self._wait(outbound)
                self._tell(outbound, "source_left", reason)
        stream.outbound.clear()
        for observer in [*self.observers]:
            self._tell(observer, "stream_left", stream, reason)

    def data_came(self, stream: InboundStream, frame: Frame) -> None:
        """A frame of data passes through a stream; `InboundStream.push` calls this."""
        for observer in self.data_observers:
            observer(stream, frame)

    def tracks_changed(self, stream: InboundStream, before: tuple[Track, ...]) -> None:
        """A stream has other tracks than before; `InboundStream.set_tracks` calls this."""
        if self.reporters and _codecs(before) != _codecs(stream.tracks):
            self._report("codecs_changed", stream)

    def subscribe(self, outbound: OutboundStream) -> None:
        """Give the subscription its stream, now or when it comes."""
        self.enlist(outbound)
        stream = self.by_name(outbound.name)
        if stream is None:
            self._wait(outbound)
        else:
            self._join(outbound, stream)

    def enlist(self, outbound: OutboundStream) -> None:
        """Have it known as a stream that goes out; what it sends is its own business. `unsubscribe` ends that."""
        self.outbound[outbound.id] = outbound
        self._report("stream_made", outbound)

    def unsubscribe(self, outbound: OutboundStream) -> None:
        """Forget the subscription."""
        if self.outbound.pop(outbound.id, None) is not None:
            self._report("stream_over", outbound)
        if outbound.inbound is not None:
            outbound.inbound.outbound.pop(outbound.id, None)
            outbound.inbound = None
        for name in _waiting_names(outbound):
            waiting = self._waiting.get(name, {})
            waiting.pop(outbound.id, None)
            if not waiting:
                self._waiting.pop(name, None)

    def _join(self, outbound: OutboundStream, stream: InboundStream) -> None:
        if outbound.inbound is None and outbound.id in self.outbound:
            outbound.inbound = stream
            stream.outbound[outbound.id] = outbound
            self._report("source_joined", outbound)
            self._tell(outbound, "source_came")

    def _wait(self, outbound: OutboundStream) -> None:
        for name in _waiting_names(outbound):
            self._waiting.setdefault(name, {})[outbound.id] = outbound

    def _expire(self) -> None:
        earlier, self._frame_counts = self._frame_counts, {s.id: FrameCounts.of(s) for s in self.inbound.values()}
        told, self._stopped = self._stopped, {}
        for stream in [*self.inbound.values()]:
            now = self._frame_counts[stream.id]
            before = earlier.get(stream.id)
            if before is None:
                continue
            self._stopped[stream.id] = before.stopped(now)
            for kind in self._stopped[stream.id] - told.get(stream.id, set()):
                self._report("feed_stopped", stream, kind)
            if before.all == now.all:
                self._tell(stream, "close", f"nothing came for {self._expire_after:g} s")

    def _report(self, what: str, *arguments: object) -> None:
        for reporter in self.reporters:
            self._tell(reporter, what, *arguments)

    def _tell(self, whom: Any, what: str, *arguments: object) -> None:
        """Call a method of somebody whose mistakes are not to stop a stream from coming, going or being counted."""
        try:
            getattr(whom, what)(*arguments)
        except Exception:
            self.log.failure("{whom} failed with {what}", whom=whom, what=what)


class FrameCounts(NamedTuple):
    """How many frames of a stream have passed."""

    all: int
    by_kind: dict[Kind, int]

    @classmethod
    def of(cls, stream: InboundStream) -> "FrameCounts":
        """The present counts."""
        counters = stream.statistics
        return cls(stream.frame_count, {Kind.AUDIO: counters.audio.packets, Kind.VIDEO: counters.video.packets})

    def stopped(self, now: "FrameCounts") -> set[Kind]:
        """The kinds that had been coming, and of which none has come until `now`."""
        return {kind for kind, packets in self.by_kind.items() if packets and now.by_kind[kind] == packets}


def _codecs(tracks: tuple[Track, ...]) -> list[Codec | None]:
    """The codecs of the first track of sound and of pictures."""
    return [next((track.codec for track in tracks if track.kind is kind), None) for kind in (Kind.AUDIO, Kind.VIDEO)]


def _waiting_names(outbound: OutboundStream) -> set[str]:
    return {outbound.name, short_name(outbound.name)}
