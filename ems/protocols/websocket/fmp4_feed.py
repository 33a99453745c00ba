"""A stream as fragmented MP4 in small pieces, made once for all viewers who get it in the same form.

`MessageFeed`
    WebSocket messages: the initialisation segment, then whole fragments
`BlockFeed`
    WebSocket messages in the progressive form of `ems.formats.fmp4.blocks`
`ChunkFeed`, `PlainFeed`
    the body of an HTTP answer, in chunks (RFC 9112 §7.1) or as it is
"""

from abc import abstractmethod
from collections.abc import Sequence

from ems.errors import MalformedData
from ems.formats.fmp4 import FragmentWriter, Run, carried, init_segment, needs_first_frame
from ems.formats.fmp4.blocks import fragment_blocks, header_block
from ems.formats.fmp4.live import LiveRuns
from ems.media.frame import Frame
from ems.media.track import Codec, Kind, Track
from ems.protocols.websocket.wire import Opcode, frame_header
from ems.streams.feed import Feed
from ems.streams.outlet import FanOut

_VIDEO = Kind.VIDEO
_DESCRIBED_BY_FRAMES = frozenset((Codec.AC3, Codec.EAC3))
"""Their first frame makes an exact configuration of a likely one."""


class Fmp4Feed(Feed):
    """One video and one audio track of a stream. A fragment goes out with every picture, and sound after at most 100 ms.

    Subclasses say how the initialisation segment and fragments are put on the wire.
    """

    def __init__(self, fan_out: FanOut) -> None:
        super().__init__(fan_out)
        self._set_up(())

    @abstractmethod
    def opening(self, initialisation: bytes) -> bytes:
        """The wire form of the initialisation segment of the present `tracks`."""

    @abstractmethod
    def piece(self, head: bytes, runs: Sequence[Run]) -> bytes:
        """The wire form of a fragment; `head` is that of `FragmentWriter.head` for these runs."""

    def tracks_changed(self, tracks: tuple[Track, ...]) -> None:
        chosen = playable(tracks)
        if chosen == self.tracks:
            return
        self._send_waiting()
        self._set_up(chosen)
        super().tracks_changed(chosen)

    def packet(self, frame: Frame) -> bytes:
        track_id = frame.track.id
        if track_id not in self._ids:
            return b""
        if track_id in self._unseen and not self._describes(frame):
            return b""
        if frame.keyframe and frame.track.kind is _VIDEO:
            # Who joins with the key frame begins with it, not with the sound before it.
            self._send_waiting()
        runs = self._runs.add(frame)
        if not runs:
            return b""
        # The frame itself is counted with the packet that it makes.
        self.count(other for other in _frames(runs) if other is not frame)
        return self.piece(self._writer.head(runs), runs)

    def header_packet(self, dts: int) -> bytes:
        if not self.tracks or any(needs_first_frame(track) and track.id in self._unseen for track in self.tracks):
            return b""
        return self.opening(init_segment(self.tracks, first_frames=self._first_frames))

    def ended(self, reason: str) -> None:
        self._send_waiting()

    def _set_up(self, tracks: tuple[Track, ...]) -> None:
        self._runs = LiveRuns(tracks)
        self._writer = FragmentWriter(tracks)
        # Fragments are numbered on over a change of tracks.
        self._writer.sequence = self.end
        self._ids = frozenset(track.id for track in tracks)
        self._unseen = {track.id for track in tracks if track.codec in _DESCRIBED_BY_FRAMES or needs_first_frame(track)}
        self._first_frames: dict[int, bytes] = {}

    def _describes(self, frame: Frame) -> bool:
        """Take what a track's first frame tells of it; headers that wait for that are sent. False while they have to wait on."""
        track = frame.track
        waits = needs_first_frame(track)
        try:
            told = frame.keyframe and bool(frame.data and init_segment((track,), first_frames={track.id: frame.data}))
        except MalformedData:
            told = False
        if not told:
            return not waits
        self._unseen.discard(track.id)
        self._first_frames[track.id] = frame.data
        if waits:
            self.announce()
        return True

    def _send_waiting(self) -> None:
        """Send the sound that waits for a picture."""
        runs = self._runs.take()
        if runs:
            self.put(self.piece(self._writer.head(runs), runs), _frames(runs))


class MessageFeed(Fmp4Feed):
    """WebSocket messages: one with ``ftyp`` and ``moov``, then one for each fragment."""

    def opening(self, initialisation: bytes) -> bytes:
        return message(initialisation)

    def piece(self, head: bytes, runs: Sequence[Run]) -> bytes:
        samples = [frame.data for frame in _frames(runs)]
        size = len(head) + sum(map(len, samples))
        return b"".join((frame_header(Opcode.BINARY, size), head, *samples))


class BlockFeed(Fmp4Feed):
    """WebSocket messages of one block each."""

    def opening(self, initialisation: bytes) -> bytes:
        return message(header_block(self.tracks, initialisation))

    def piece(self, head: bytes, runs: Sequence[Run]) -> bytes:
        return b"".join([part for block in fragment_blocks(head, runs) for part in (_binary(len(block)), block)])


class PlainFeed(Fmp4Feed):
    """The bytes of a file without an end, for HTTP/1.0."""

    def opening(self, initialisation: bytes) -> bytes:
        return initialisation

    def piece(self, head: bytes, runs: Sequence[Run]) -> bytes:
        return b"".join((head, *(frame.data for frame in _frames(runs))))


class ChunkFeed(PlainFeed):
    """The same in chunks, for HTTP/1.1."""

    LAST = b"0\r\n\r\n"
    """The chunk that ends the body."""

    def opening(self, initialisation: bytes) -> bytes:
        return self._chunk(super().opening(initialisation))

    def piece(self, head: bytes, runs: Sequence[Run]) -> bytes:
        return self._chunk(super().piece(head, runs))

    @staticmethod
    def _chunk(data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data)


def playable(tracks: Sequence[Track]) -> tuple[Track, ...]:
    """The tracks that viewers get: the first of each kind that MP4 can carry, video first."""
    first: dict[Kind, Track] = {}
    for track in carried(tracks):
        first.setdefault(track.kind, track)
    return tuple(first.values())


def left_out(tracks: Sequence[Track], chosen: Sequence[Track]) -> str:
    """Why viewers do not get the other tracks, in words; empty when they get all."""
    able = carried(tracks)
    return "; ".join(
        f"{track.kind.value} track {track.id} ({track.codec.value}): "
        + ("the player reads one track of a kind" if track in able else "MP4 cannot carry it")
        for track in tracks
        if track.kind is not Kind.DATA and track not in chosen
    )


def message(payload: bytes) -> bytes:
    """A binary WebSocket message."""
    return _binary(len(payload)) + payload


def _frames(runs: Sequence[Run]) -> list[Frame]:
    """The frames of a fragment in the order of its bytes."""
    return [frame for run in runs for frame in run.frames]


def _binary(size: int) -> bytes:
    return frame_header(Opcode.BINARY, size)
