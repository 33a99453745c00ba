"""What an item of a programme plays: a file, or a live stream. Both give frames, a little at a time, on their own clock."""

from collections import deque
from collections.abc import Callable
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from ems.formats.index import Sample
from ems.interfaces import IFrameSink, IStreamObserver
from ems.media.frame import MILLISECOND, SECOND, Frame
from ems.media.track import Track
from ems.streams.gop import is_join_point, lead_track

if TYPE_CHECKING:
    from ems.streams.inbound import InboundStream
    from ems.streams.manager import StreamManager
    from ems.vod.library import MediaFile

PART = 100 * MILLISECOND
"""What is given at once at most: something else can be put in between."""

RESUME_STEP = 20 * MILLISECOND
"""From the last frame of a stream to the first of the next one."""


class Source(Protocol):
    """Where the frames of an item come from.

    `tracks` are those of the frames that `next` has given last; when it is `over` no more come.
    """

    tracks: tuple[Track, ...]
    over: bool

    async def next(self) -> list[Frame]:
        """The next frames, in order, at most `PART` of them; none when it is over, or something else is to be played first."""

    def unread(self, frames: list[Frame]) -> None:
        """Give frames back that `next` has given, to be given again."""

    def resume(self) -> None:
        """Go on, after something else has been played, so that the next frames can be decoded."""

    def interrupt(self) -> None:
        """Have a `next` that waits return."""

    def close(self) -> None:
        """Let go of everything; no other call follows, but one that is under way may still return."""


class FileSource:
    """A file from a position on. `start` is in nanoseconds of its presentation, and begins with the key frame before it."""

    log = Logger()

    BATCH_BYTES = 512 << 10
    BATCH_SAMPLES = 300
    BATCH_DURATION = 2 * SECOND
    """What is read at once, whichever is reached first: the memory of one viewer."""

    def __init__(self, file: "MediaFile", start: int, in_thread: Callable[..., "Deferred[Any]"]) -> None:
        self.tracks = file.index.tracks
        self.over = False
        self.file = file
        self._in_thread = in_thread
        self._frames: deque[Frame] = deque()
        self._seeks = 0
        self._reading = False
        self._closed = False
        self._position = 0
        self._time = start
        self.seek(start)

    @property
    def first_time(self) -> int:
        """The decoding time of the file's first sample."""
        return self.file.index.samples[0].dts

    def seek(self, time: int) -> None:
        """Go on with the key frame at or before this time; with any sample where the storage wants that (`keyframeSeek`).

        Behind the end it is over.
        """
        index = self.file.index
        if time <= 0:
            # What is decoded before the first picture, as priming sound is, belongs to the beginning.
            self._position = 0
        elif time >= index.duration:
            self._position = len(index.samples)
        else:
            self._position = index.first_at(time) if self.file.storage.keyframe_seek else index.samples.decoded_at(time)
        self._seeks += 1
        self._frames.clear()
        self.over = False

    async def next(self) -> list[Frame]:
        if not self._frames and not self.over:
            await self._read()
        frames = _part(self._frames)
        if frames:
            self._time = frames[-1].dts
        return frames

    def unread(self, frames: list[Frame]) -> None:
        self._frames.extendleft(reversed(frames))
        self._time = frames[0].dts

    def resume(self) -> None:
        self.seek(self._time)

    def interrupt(self) -> None:
        """A file is never waited for."""

    def close(self) -> None:
        if self._closed:
            return
        self.over = self._closed = True
        # A thread that reads must not find another file behind the same number.
        if not self._reading:
            self.file.close()

    async def _read(self) -> None:
        position, seeks = self._position, self._seeks
        samples = self._batch(position)
        if not samples:
            self.over = True
            return
        self._reading = True
        try:
            frames = await self._in_thread(self.file.read, samples)
        except OSError as error:
            self.log.error("a file cannot be read any more: {reason}", reason=error.strerror)
            self.over = True
            return
        finally:
            self._reading = False
            if self._closed:
                self.file.close()
        if self._seeks == seeks and not self._closed:
            self._position = position + len(samples)
            self._frames.extend(frames)

    def _batch(self, position: int) -> list[Sample]:
        """The samples to read next."""
        batch: list[Sample] = []
        size = 0
        for sample in self.file.index.samples[position : position + self.BATCH_SAMPLES]:
            size += sample.size
            if batch and (size > self.BATCH_BYTES or sample.dts - batch[0].dts > self.BATCH_DURATION):
                break
            batch.append(sample)
        return batch


@implementer(IFrameSink, IStreamObserver)
class StreamSource:
    """A live stream, now or when it comes. `patience` is how many seconds it is waited for, None for ever; with `holds` it
    is also waited for when it has been lost.

    Frames that nobody fetches are kept up to `MAX_BYTES`; then all are dropped, and it goes on with the next key frame.
    """

    MAX_BYTES = 16 << 20

    def __init__(self, streams: "StreamManager", clock: IReactorTime, name: str, patience: float | None, *, holds: bool) -> None:
        self.tracks: tuple[Track, ...] = ()
        self.over = False
        self._streams = streams
        self._name = name
        self._holds = holds
        self._stream: InboundStream | None = None
        self._waiting: Deferred[None] | None = None
        self._frames: deque[Frame | tuple[Track, ...]] = deque()
        self._bytes = 0
        self._lead: Track | None = None
        self._offset: int | None = 0
        self._newest = 0
        self._give_up: IDelayedCall | None = None
        streams.observers.append(self)
        stream = streams.by_name(name)
        if stream is not None:
            self.stream_came(stream)
        elif patience is not None:
            self._give_up = clock.callLater(patience, self._end)

    async def next(self) -> list[Frame]:
        if not self._frames and not self.over:
            self._waiting = Deferred()
            await self._waiting
        while self._frames and not isinstance(tracks := self._frames[0], Frame):
            self.tracks = tracks
            self._frames.popleft()
        frames = _part(self._frames)
        self._bytes -= sum(len(frame.data) for frame in frames)
        return frames

    def unread(self, frames: list[Frame]) -> None:
        self._frames.extendleft(reversed(frames))
        self._bytes += sum(len(frame.data) for frame in frames)

    def resume(self) -> None:
        stream = self._stream
        if stream is not None:
            stream.remove_sink(self)
            self._forget()
            stream.add_sink(self)

    def interrupt(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def close(self) -> None:
        self._end()
        self._forget()

    def stream_came(self, stream: "InboundStream") -> None:
        if stream.name == self._name and self._stream is None and not self.over:
            self._cancel()
            self._stream = stream
            stream.add_sink(self)

    def _placed(self, frame: Frame) -> Frame:
        """The frame on one clock for all streams that come one after the other, each of which begins at 0."""
        if self._offset is None:
            self._offset = self._newest + RESUME_STEP - frame.dts
        if self._offset:
            frame = frame._replace(dts=frame.dts + self._offset, pts=frame.pts + self._offset)
        self._newest = max(self._newest, frame.dts)
        return frame

    def stream_left(self, stream: "InboundStream", reason: str) -> None:
        if stream is self._stream:
            self._stream = None
            self._offset = None
            if not self._holds:
                self._end()

    def tracks_changed(self, tracks: tuple[Track, ...]) -> None:
        self._lead = lead_track(tracks)
        self._frames.append(tracks)

    def frame(self, frame: Frame) -> None:
        if self._bytes > self.MAX_BYTES:
            if not is_join_point(frame, self._lead):
                return
            self._forget()
        self._frames.append(self._placed(frame))
        self._bytes += len(frame.data)
        self.interrupt()

    def ended(self, reason: str) -> None:
        """`stream_left` follows."""

    def _forget(self) -> None:
        """Drop the frames that wait, but not what was told of tracks."""
        told = [entry for entry in self._frames if not isinstance(entry, Frame)]
        self._frames = deque(told[-1:])
        self._bytes = 0

    def _cancel(self) -> None:
        if self._give_up is not None and self._give_up.active():
            self._give_up.cancel()

    def _end(self) -> None:
        if self.over:
            return
        self.over = True
        self._cancel()
        self._streams.observers.remove(self)
        if self._stream is not None:
            self._stream.remove_sink(self)
        self.interrupt()


def _part(waiting: "deque[Any]") -> list[Frame]:
    """Take the next `PART` of the frames that wait, up to a change of tracks."""
    if not waiting:
        return []
    end = waiting[0].dts + PART if isinstance(waiting[0], Frame) else 0
    frames = list(takewhile(lambda entry: isinstance(entry, Frame) and entry.dts < end, waiting))
    for _ in frames:
        waiting.popleft()
    return frames
