"""What one viewer sees: items one after the other, on one clock that runs through all of them.

A programme is a single recording, whose clock is the file's own, or a playlist, whose clock begins at 0 and goes on where the
item before has ended. Something else can be put in between (`Programme.insert`): the item that plays is interrupted, and goes
on from the key frame before the place where that happened.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from twisted.logger import Logger

from ems.errors import CommandError
from ems.media.frame import MILLISECOND, SECOND, Frame
from ems.media.track import Kind, Track
from ems.vod.items import FileSource, Source, StreamSource
from ems.vod.names import is_recording
from ems.vod.playlist import LIVE, TO_END, Item
from ems.vod.storages import NotFound

if TYPE_CHECKING:
    from ems.server import Server
    from ems.vod.library import Library

NOW: Final = -1
"""An insertion at no certain time: with the next frames."""

USUAL_STEP = 40 * MILLISECOND
"""How long the only frame of a track is shown."""


class Part(NamedTuple):
    """Some frames on the programme's clock, all of the same `tracks`; `begins` is the item that begins with the first."""

    frames: list[Frame]
    tracks: tuple[Track, ...]
    begins: Item | None


@dataclass(slots=True)
class _Playing:
    """An item under way, and its place in the list, None when it has been put in.

    Times of its source plus `shift` are the programme's; at the source's time `end` it is over.
    """

    item: Item
    source: Source
    place: int | None = None
    begun: bool = False
    shift: int | None = None
    end: int | None = None


class Programme:
    """Items, and the frames of them that come next. `name` is the playlist's, empty for a single recording."""

    log = Logger()

    MAX_INSERTIONS = 64
    """Items that wait to be put in, and interrupted ones that wait to go on."""

    def __init__(
        self, server: "Server", library: "Library", items: Sequence[Item], name: str = "", *, repeat: bool = False
    ) -> None:
        self.name = name
        self.closed = False
        self._server = server
        self._library = library
        self._items = items
        self._repeat = repeat
        self._next_item = 0
        self._played_any = False
        self._current: _Playing | None = None
        self._interrupted: list[_Playing] = []
        self._insertions: list[tuple[int, Item]] = []
        self._recording: FileSource | None = None
        self._clock = 0
        self._steps: dict[int, tuple[int, int]] = {}

    @property
    def duration(self) -> int | None:
        """The length of a single recording in nanoseconds; None for a playlist."""
        return self._recording.file.index.duration if self._recording is not None else None

    @property
    def buffer_seconds(self) -> int | None:
        """The buffer that the storage of a single recording takes its viewers to have; None for a playlist, which plays live."""
        return self._recording.file.storage.client_side_buffer if self._recording is not None else None

    def begin_with(self, recording: FileSource) -> None:
        """Be a single recording, on its own clock, whose item is the only one."""
        self._recording = recording
        self._current = _Playing(self._items[0], recording, 0, shift=-recording.first_time)
        self._next_item = 1

    async def next(self) -> Part | None:
        """The next frames; None at the end. Live items are waited for. One call at a time."""
        while not self.closed:
            await self._put_in()
            if self._current is None:
                await self._advance()
            playing = self._current
            if playing is None:
                return None
            frames = await playing.source.next()
            part = self._part(playing, frames) if frames and self._current is playing else None
            if part is not None:
                return part
            if playing.source.over and self._current is playing:
                self._finish()
        return None

    def insert(self, item: Item, at: int = NOW) -> None:
        """Put an item in at this time of the programme (nanoseconds), or `NOW`. Raises `CommandError` when too many wait."""
        if len(self._insertions) >= self.MAX_INSERTIONS:
            raise CommandError(f"{self.MAX_INSERTIONS} items wait to be put into {self.name} already")
        self._insertions.append((at, item))
        self._insertions.sort(key=lambda insertion: insertion[0])
        if self._current is not None:
            self._current.source.interrupt()

    def check_seek(self) -> FileSource:
        """The recording in which one can `seek`. Raises `CommandError` for a playlist."""
        if self._recording is None:
            raise CommandError("a playlist has no other places to go to")
        return self._recording

    def seek(self, time: int) -> None:
        """Have a single recording go on at this time, in nanoseconds on its clock. Raises `CommandError` for a playlist."""
        recording = self.check_seek()
        recording.seek(time)
        item = self._items[0]
        end = None if item.length < 0 else recording.first_time + max(item.start, 0) + item.length
        # What has ended begins anew.
        self._current = _Playing(item, recording, 0, begun=True, shift=-recording.first_time, end=end)

    def close(self) -> None:
        """Let go of everything; a `next` that waits returns."""
        self.closed = True
        playing, self._current = self._current, None
        for one in (playing, *self._interrupted):
            if one is not None:
                one.source.close()
        if self._recording is not None and (playing is None or playing.source is not self._recording):
            self._recording.close()
        self._interrupted.clear()

    async def _advance(self) -> None:
        """Go on with what was interrupted, or with the next item that can be played."""
        if self._interrupted:
            self._current = self._interrupted.pop()
            self._current.shift = None
            self._current.source.resume()
            return
        while self._current is None and not self.closed:
            if self._next_item == len(self._items):
                if not self._repeat or not self._played_any:
                    return
                self._next_item, self._played_any = 0, False
            place = self._next_item
            self._next_item += 1
            await self._open(self._items[place], place)

    async def _open(self, item: Item, place: int | None) -> None:
        """Begin an item; one whose file is missing is left out, and the log says so."""
        try:
            source = await self._source(item)
        except NotFound as error:
            self.log.info("{name}: {item} is left out: {reason}", name=self.name, item=item.name, reason=error)
            return
        if self.closed:
            source.close()
        else:
            self._current = _Playing(item, source, place)

    async def _source(self, item: Item) -> Source:
        live = self._server.streams.by_name(item.name) is not None
        if item.start < 0 and (live or item.start == LIVE):
            return self._stream(item)
        try:
            file = await self._library.open(item.name)
        except NotFound:
            if item.start < 0 and not is_recording(item.name):
                return self._stream(item)
            raise
        return FileSource(file, max(item.start, 0), self._library.in_thread)

    def _stream(self, item: Item) -> StreamSource:
        patience = None if item.length == TO_END else max(item.length, 0) / SECOND
        holds = item.length == TO_END
        return StreamSource(self._server.streams, self._server.clock, item.name, patience, holds=holds)

    async def _put_in(self) -> None:
        """Interrupt what plays for an insertion whose time has come."""
        if not self._insertions or self._insertions[0][0] > self._clock or len(self._interrupted) >= self.MAX_INSERTIONS:
            return
        _, item = self._insertions.pop(0)
        before, self._current = self._current, None
        await self._open(item, None)
        if before is None:
            return
        if self.closed:
            before.source.close()
        elif self._current is None:
            self._current = before
        else:
            self._interrupted.append(before)

    def _part(self, playing: _Playing, frames: list[Frame]) -> Part | None:
        """The frames on the programme's clock, those that insertions and the item's length allow; None when none is left."""
        shift = playing.shift if playing.shift is not None else self._clock - frames[0].dts
        frames = self._within(playing, self._before_insertion(playing, frames, shift))
        if not frames:
            return None
        playing.shift = shift
        placed = [Frame(track, dts + shift, pts + shift, keyframe, data) for track, dts, pts, keyframe, data in frames]
        self._count(placed)
        begins = None
        if not playing.begun:
            playing.begun = self._played_any = True
            begins = playing.item
            self._tell(playing.place)
        return Part(placed, playing.source.tracks, begins)

    def _tell(self, place: int | None) -> None:
        """Emit the event of an item's start: the last of a list, the first of several, or any."""
        if not self.name:
            return
        if place == len(self._items) - 1:
            event = "lastPlaylistItemStart"
        else:
            event = "firstPlaylistItemStart" if place == 0 else "playlistItemStart"
        self._server.events.emit(event, {"playlistName": self.name})

    def _before_insertion(self, playing: _Playing, frames: list[Frame], shift: int) -> list[Frame]:
        """The frames that come before the next insertion; the others are given back for later."""
        if not self._insertions:
            return frames
        at = self._insertions[0][0]
        if at <= self._clock or frames[-1].dts + shift < at:
            return frames
        stop = next(position for position, frame in enumerate(frames) if frame.dts + shift >= at)
        playing.source.unread(frames[stop:])
        self._clock = max(self._clock, at)
        return frames[:stop]

    def _within(self, playing: _Playing, frames: list[Frame]) -> list[Frame]:
        item = playing.item
        if item.length == 0:
            return self._one(playing, frames)
        if item.length > 0 and playing.end is None:
            playing.end = frames[0].dts + item.length
        if playing.end is not None and frames[-1].dts >= playing.end:
            frames = [frame for frame in frames if frame.dts < playing.end]
            self._finish()
        return frames

    def _one(self, playing: _Playing, frames: list[Frame]) -> list[Frame]:
        """The one frame of an item without length: the first picture, or the first frame where there are none."""
        pictures = any(track.kind is Kind.VIDEO for track in playing.source.tracks)
        found = next((frame for frame in frames if not pictures or frame.track.kind is Kind.VIDEO), None)
        if found is None:
            return []
        self._finish()
        return [found]

    def _finish(self) -> None:
        """The item that plays is over."""
        playing, self._current = self._current, None
        if playing is not None and playing.source is not self._recording:
            playing.source.close()

    def _count(self, frames: list[Frame]) -> None:
        """Move the clock to where each track's last frame ends, if it is shown as long as the one before."""
        for frame in frames:
            last, step = self._steps.get(frame.track.id, (None, USUAL_STEP))
            if last is not None and 0 < frame.dts - last < SECOND:
                step = frame.dts - last
            self._steps[frame.track.id] = (frame.dts, step)
        self._clock = max(self._clock, *(last + step for last, step in self._steps.values()))
