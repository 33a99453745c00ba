"""The frames since the last key frame, kept so that a late joiner starts with a clean picture at once."""

from ems.media.frame import SECOND, Frame
from ems.media.track import Kind, Track

_DATA = Kind.DATA


class GopCache:
    """Frames from the newest join point on: a key frame of the first video track; without video any frame of audio, or of data.

    Bounded by duration, bytes and count, whichever comes first: a group of pictures larger than that is not kept, and who
    joins during it waits for the next key frame.
    """

    MAX_DURATION = 8 * SECOND
    MAX_BYTES = 16 << 20
    MAX_FRAMES = 2500

    __slots__ = ("_bytes", "_frames", "_lead")

    def __init__(self) -> None:
        self._frames: list[Frame] = []
        self._bytes = 0
        self._lead: Track | None = None

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The frames to prime a new sink with, in the order they came; empty when there is no join point to begin with."""
        return tuple(self._frames)

    def tracks_changed(self, tracks: tuple[Track, ...]) -> None:
        """Forget frames whose track has another configuration now; without the leading track's frames nothing can start."""
        lead = lead_track(tracks)
        if lead != self._lead:
            self._lead = lead
            self._clear()
        elif any(frame.track not in tracks for frame in self._frames):
            self._frames = [frame for frame in self._frames if frame.track in tracks]
            self._bytes = sum(len(frame.data) for frame in self._frames)

    def push(self, frame: Frame) -> None:
        """Take one frame in; a join point begins anew."""
        if is_join_point(frame, self._lead):
            self._frames = [frame]
            self._bytes = len(frame.data)
            return
        frames = self._frames
        if not frames:
            return
        frames.append(frame)
        self._bytes += len(frame.data)
        if self._bytes > self.MAX_BYTES or len(frames) > self.MAX_FRAMES or frame.dts - frames[0].dts > self.MAX_DURATION:
            self._clear()

    def _clear(self) -> None:
        self._frames = []
        self._bytes = 0


def lead_track(tracks: tuple[Track, ...]) -> Track | None:
    """The track whose key frames are the stream's join points: the first video track, else the first audio or data track."""
    for kind in (Kind.VIDEO, Kind.AUDIO, Kind.DATA):
        for track in tracks:
            if track.kind is kind:
                return track
    return None


def is_join_point(frame: Frame, lead: Track | None) -> bool:
    """True when a viewer can begin with this frame."""
    return lead is not None and frame.track.id == lead.id and (frame.keyframe or lead.kind is _DATA)
