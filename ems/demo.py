"""The live stream ``demo``: a clip that the server makes itself and plays in a loop, so that a new installation has
something to show.

`DemoStream` is a publisher like any other: it registers a stream, announces its tracks and pushes frames when they are due.
Its clock never jumps: the frames of each round follow those of the round before, and the pace is kept against the moment at
which the stream began, so that the delays of single steps never add up.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from ems.demo_clip import Clip, ClipError, obtain_clip
from ems.errors import CommandError
from ems.media.frame import SECOND, Frame
from ems.media.track import Track

LONGEST_CATCH_UP = 1 * SECOND
"""After a longer stall of the process, or a longer jump of the system's clock in either direction, the stream goes on from
where it was, instead of flooding its viewers with all that they have missed or standing still."""


class Publication(Protocol):
    """What the demonstration needs of a registered stream."""

    def set_tracks(self, tracks: tuple[Track, ...]) -> None:
        """Announce what the stream is made of."""

    def push(self, frame: Frame) -> None:
        """Hand over the next frame."""

    def end(self, reason: str) -> None:
        """Say that no frame will follow."""


class StreamRegistry(Protocol):
    """What the demonstration needs of the stream manager."""

    def register(self, name: str, *, type_tag: str, source: None) -> Publication:
        """Open a stream under a name, or raise `CommandError`."""

    def by_name(self, name: str) -> Publication | None:
        """The stream that has this name now."""


class DemoStream(Service):
    """Plays the clip at `path` as the live stream `name` for as long as the service runs.

    `in_thread` runs a blocking function and gives its result as a Deferred. A clip that can neither be read nor made costs
    one line in the log; the server goes on without it.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        streams: StreamRegistry,
        path: Path,
        name: str = "demo",
        in_thread: Callable[..., Deferred[Clip]] = deferToThread,
    ) -> None:
        self.setName("demo")
        self._clock = clock
        self._streams = streams
        self._path = path
        self._stream_name = name
        self._in_thread = in_thread
        self._stopping = threading.Event()
        self._player: LoopPlayer | None = None
        self._starting: Deferred[None] | None = None

    def startService(self) -> None:
        """Begin to read or make the clip in a thread; the stream appears when that is done."""
        super().startService()
        self._stopping.clear()
        self._starting = Deferred.fromCoroutine(self._start())

    def stopService(self) -> Deferred[None] | None:
        """End the stream, or the making of its clip: the Deferred fires when the thread has let go."""
        super().stopService()
        self._stopping.set()
        if self._player is not None:
            self._player.stop("the server is stopping")
            self._player = None
        return self._starting

    async def _start(self) -> None:
        try:
            clip = await self._in_thread(obtain_clip, self._path, self._stopping.is_set)
            if self._stopping.is_set():
                return
            stream = self._streams.register(self._stream_name, type_tag="IFR", source=None)
        except (ClipError, CommandError, CancelledError) as error:
            if not self._stopping.is_set():
                self.log.warn("no demonstration stream: {reason}", reason=str(error))
            return
        except Exception:
            self.log.failure("no demonstration stream")
            return
        self._player = LoopPlayer(self._clock, stream, clip, lambda: self._streams.by_name(self._stream_name) is stream)
        self._player.start()


class LoopPlayer:
    """Pushes the frames of a clip into a stream, each at its time, round after round, while `is_open` says true."""

    def __init__(self, clock: IReactorTime, stream: Publication, clip: Clip, is_open: Callable[[], bool]) -> None:
        self._clock = clock
        self._stream = stream
        self._clip = clip
        self._is_open = is_open
        self._next = 0
        self._round_start = 0
        self._epoch = 0
        self._call: IDelayedCall | None = None

    def start(self) -> None:
        """Announce the tracks and push the first frame at once."""
        self._stream.set_tracks(self._clip.tracks)
        self._epoch = self._now()
        self._push_due()

    def stop(self, reason: str) -> None:
        """Push nothing more and end the stream."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._stream.end(reason)

    def _push_due(self) -> None:
        self._call = None
        if not self._is_open():
            return
        late = self._now() - self._epoch - self._next_dts()
        if abs(late) > LONGEST_CATCH_UP:
            self._epoch += late
        due = self._now() - self._epoch
        while self._next_dts() <= due:
            self._push_next()
        delay = (self._next_dts() - due) / SECOND
        self._call = self._clock.callLater(delay, self._push_due)

    def _push_next(self) -> None:
        track, dts, pts, keyframe, data = self._clip.frames[self._next]
        start = self._round_start
        self._next += 1
        if self._next == len(self._clip.frames):
            self._next = 0
            self._round_start += self._clip.duration
        self._stream.push(Frame(track, start + dts, start + pts, keyframe, data))

    def _next_dts(self) -> int:
        return self._round_start + self._clip.frames[self._next].dts

    def _now(self) -> int:
        return int(self._clock.seconds() * SECOND)
