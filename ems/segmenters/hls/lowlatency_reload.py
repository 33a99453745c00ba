"""Answers that wait: for the playlist as it will be, and for the part that comes next (RFC 8216bis §6.2.5.2 and §6.2.6).

A player does not ask again and again whether there is something new. It asks once, in advance, and the answer comes at the
moment at which there is. All who wait for the same playlist get the same bytes, made once. Nobody waits for ever: after three
target durations without anything new the answer is 503, and players ask again.
"""

from collections.abc import Callable, Mapping
from time import time

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime

from ems.published import PublishedFile, Unavailable
from ems.segmenters.hls.lowlatency_playlist import Directives, LowLatencyPlaylist

MAX_WAIT = 3
"""Target durations after which a blocked request is given up (§6.2.5.2)."""

MAX_WAITING = 10_000
"""Requests that wait for one file at most; the web server has its own, lower limit for all files."""


class Waiting:
    """Everybody who waits for something to change."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: dict[Deferred[None], Callable[[], bool]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    async def until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Return when `ready` says so, which is asked at each `check`.

        Raises `Unavailable` with 503 after `seconds`, and when too many wait.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise Unavailable(503, "too many players wait")
        done: Deferred[None] = Deferred()
        self._waiting[done] = ready
        done.addTimeout(seconds, self._clock)
        try:
            await done
        except TimeoutError:
            raise Unavailable(503, f"nothing new within {seconds:g} s") from None
        finally:
            # Also when the player has gone away, and the web server has cancelled its request.
            self._waiting.pop(done, None)

    def check(self) -> None:
        """Something has changed: let go of those who have what they wait for."""
        for done in [done for done, ready in self._waiting.items() if ready()]:
            if self._waiting.pop(done, None) is not None:
                done.callback(None)

    def give_up(self, reason: str) -> None:
        """What they wait for does not come: everybody gets 503."""
        waiting, self._waiting = self._waiting, {}
        for done in waiting:
            done.errback(Unavailable(503, reason))


class BlockingPlaylist:
    """A playlist that answers when it is what the player asked for (`ems.published.LiveFile`).

    `first_wait` is how many seconds the first answer may take.
    """

    def __init__(self, clock: IReactorTime, first_wait: float) -> None:
        self._waiting = Waiting(clock)
        self._first_wait = first_wait
        self._newest: LowLatencyPlaylist | None = None
        self._made: dict[bool, PublishedFile] = {}

    @property
    def newest(self) -> LowLatencyPlaylist | None:
        """What it lists; None until there is anything."""
        return self._newest

    def show(self, playlist: LowLatencyPlaylist) -> None:
        """This is the playlist from now on."""
        self._newest = playlist
        self._made = {}
        self._waiting.check()

    def forget(self) -> None:
        """A new playlist begins, of which there is nothing yet: players wait."""
        self._newest = None
        self._made = {}

    async def answer(self, query: Mapping[str, str]) -> PublishedFile:
        """The playlist that was asked for, perhaps later. Raises `Unavailable`: 400 for nonsense, 503 when it does not come."""
        wanted = Directives.parse(query)
        seconds = self._first_wait
        if self._newest is not None:
            self._newest.check(wanted)
            seconds = MAX_WAIT * self._newest.playlist.target_duration
        if not self._has(wanted):
            await self._waiting.until(lambda: self._has(wanted), seconds)
        return self._file(skip=wanted.skip)

    def close(self, reason: str) -> None:
        """It comes to nothing: nobody may wait any longer."""
        self._waiting.give_up(reason)

    def _has(self, wanted: Directives) -> bool:
        return self._newest is not None and self._newest.has(wanted)

    def _file(self, *, skip: bool) -> PublishedFile:
        assert self._newest is not None
        if skip not in self._made:
            self._made[skip] = PublishedFile(self._newest.text(skip=skip).encode(), time())
        return self._made[skip]


class ComingPart:
    """The part that the playlist has hinted at: who asks for it gets it as soon as it is there (`ems.published.LiveFile`)."""

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self._waiting = Waiting(clock)
        self._seconds = seconds
        self._file: PublishedFile | None = None

    def here(self, data: bytes) -> None:
        """This is it."""
        self._file = PublishedFile(data, time())
        self._waiting.check()

    async def answer(self, query: Mapping[str, str]) -> PublishedFile:
        """The part, perhaps later. Raises `Unavailable` (503) when it does not come in time."""
        if self._file is None:
            await self._waiting.until(lambda: self._file is not None, self._seconds)
        assert self._file is not None
        return self._file

    def close(self, reason: str) -> None:
        """It does not come."""
        self._waiting.give_up(reason)
