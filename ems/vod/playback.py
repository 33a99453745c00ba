"""A programme on its way to one viewer: when each frame is due, and what happens when the viewer pauses, seeks or stands still.

A recording goes out ahead of time. The viewer says how many seconds it buffers: twice as much comes at once, and each time so
many seconds have passed, the next so many seconds follow. A playlist, which is television, comes in real time. Nothing is ever
dropped, and nothing piles up: while the viewer takes no more, nothing is read.
"""

from math import ceil
from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from ems.media.frame import SECOND, Frame
from ems.vod.programme import Part, Programme

if TYPE_CHECKING:
    from ems.media.track import Track
    from ems.vod.playlist import Item

REAL_TIME = 0.1
"""Seconds of a playlist that are sent at once; so it is up to 0.2 s ahead. No buffer is smaller."""


class Viewer(Protocol):
    """Who watches: a connection of some protocol."""

    @property
    def ready(self) -> bool:
        """True when more can be sent now. When it becomes true, the viewer calls `Playback.wake`."""

    @property
    def buffer_seconds(self) -> float:
        """How much the viewer buffers by its own word, 0 when it has not said."""

    def item_begins(self, item: "Item") -> None:
        """The frames of another item follow."""

    def send(self, frames: list[Frame], tracks: "tuple[Track, ...]") -> None:
        """Send these frames, which are of these tracks. May end the playback."""

    def over(self) -> None:
        """The programme has ended; `Playback.seek` would go on."""


class Playback:
    """Sends a programme to a viewer, from `start` until it is over or `stop` is called, and closes it then."""

    log = Logger()

    def __init__(self, clock: IReactorTime, programme: Programme, viewer: Viewer) -> None:
        self.programme = programme
        self.paused = False
        self._clock = clock
        self._viewer = viewer
        self._stopped = False
        self._paused_at = 0.0
        self._seeks = 0
        self._shows_one = False
        self._anchor: tuple[int, float] | None = None
        self._sleeping: Deferred[None] | None = None
        self._alarm: IDelayedCall | None = None

    def start(self) -> None:
        """Begin to send."""
        Deferred.fromCoroutine(self._run())

    def stop(self) -> None:
        """End it, without a word to the viewer."""
        self._stopped = True
        self.programme.close()
        self.wake()

    def pause(self) -> None:
        """Send nothing for a while."""
        if not self.paused:
            self.paused = True
            self._paused_at = self._clock.seconds()

    def resume(self) -> None:
        """Go on where it was paused."""
        if self.paused:
            self.paused = False
            if self._anchor is not None:
                time, at = self._anchor
                self._anchor = time, at + self._clock.seconds() - self._paused_at
            self.wake()

    def seek(self, time: int) -> None:
        """Go on at this time of the recording (nanoseconds); while it is paused, with one picture. Raises `CommandError`."""
        self.programme.seek(time)
        self._seeks += 1
        self._anchor = None
        self._shows_one = True
        self.wake()

    def wake(self) -> None:
        """Look again whether something can be sent."""
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
        sleeping, self._sleeping = self._sleeping, None
        if sleeping is not None:
            sleeping.callback(None)

    @property
    def _buffer(self) -> float:
        """Seconds of one refill."""
        kept = self.programme.buffer_seconds
        if kept is None:
            return REAL_TIME
        return max(self._viewer.buffer_seconds or kept, REAL_TIME)

    async def _run(self) -> None:
        try:
            while not self._stopped:
                seeks = self._seeks
                part = await self.programme.next()
                if seeks != self._seeks or self._stopped:
                    continue
                if part is not None:
                    await self._send(part)
                elif self._viewer_is_told_of_the_end():
                    await self._sleep(None)
        except Exception:
            self.log.failure("{name} cannot go on", name=self.programme.name or "a recording")
            self._viewer.over()
        finally:
            self.programme.close()

    def _viewer_is_told_of_the_end(self) -> bool:
        """Tell the viewer; True unless that has stopped or sought the programme."""
        seeks = self._seeks
        self._viewer.over()
        return not self._stopped and seeks == self._seeks

    async def _send(self, part: Part) -> None:
        frames, tracks, begins = part
        if begins is not None:
            self._catch_up(frames[0].dts)
        seeks = self._seeks
        at = 0
        while at < len(frames):
            await self._turn(frames[at].dts)
            if self._stopped or seeks != self._seeks:
                return
            if begins is not None:
                self._viewer.item_begins(begins)
                begins = None
            stop = self._due_by_now(frames, at)
            self._viewer.send(frames[at:stop], tracks)
            at = stop

    async def _turn(self, time: int) -> None:
        """Wait until frames of this time may be sent; return early when it has been stopped or sought."""
        seeks = self._seeks
        while not self._stopped and seeks == self._seeks:
            if not self._viewer.ready or (self.paused and not self._shows_one):
                await self._sleep(None)
                continue
            if self._anchor is None:
                self._anchor = time, self._clock.seconds()
            delay = self._due(time) - self._clock.seconds()
            if delay <= 0:
                return
            await self._sleep(delay)

    def _due_by_now(self, frames: list[Frame], at: int) -> int:
        """Behind which frame those end that may go out with the one at this position."""
        if self._shows_one:
            self._shows_one = False
            if self.paused:
                return at + 1
        now = self._clock.seconds()
        stop = at + 1
        while stop < len(frames) and self._due(frames[stop].dts) <= now:
            stop += 1
        return stop

    def _due(self, time: int) -> float:
        """The moment at which frames of this time are due, in the clock's seconds."""
        assert self._anchor is not None
        start, at = self._anchor
        buffer = self._buffer
        return at + buffer * max(0, ceil((time - start) / SECOND / buffer) - 2)

    def _catch_up(self, time: int) -> None:
        """Time that was lost in waiting for a live stream is not made up for by sending faster."""
        if self._anchor is not None:
            start, at = self._anchor
            now = self._clock.seconds()
            if now - at > (time - start) / SECOND:
                self._anchor = time, now

    async def _sleep(self, seconds: float | None) -> None:
        """Wait until `wake` is called, or so many seconds have passed."""
        self._sleeping = Deferred()
        if seconds is not None:
            self._alarm = self._clock.callLater(seconds, self.wake)
        await self._sleeping
