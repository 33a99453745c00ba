"""Tracks and frames for tests: small, numbered, no two alike."""

from ems.media.frame import MILLISECOND, Frame
from ems.media.track import Codec, Kind, Track

VIDEO = Track(0, Kind.VIDEO, Codec.H264, config=b"video 1")
NEW_VIDEO = Track(0, Kind.VIDEO, Codec.H264, config=b"video 2")
AUDIO = Track(256, Kind.AUDIO, Codec.AAC, config=b"audio 1")
NEW_AUDIO = Track(256, Kind.AUDIO, Codec.AAC, config=b"audio 2")
DATA = Track(512, Kind.DATA, Codec.AMF0)


def frame(track: Track, ms: int, *, key: bool = False, size: int = 0) -> Frame:
    """A frame at that time; its data names track and time, and is padded to `size` bytes."""
    data = f"<{track.kind.value} {ms}>".encode().ljust(size, b".")
    return Frame(track, ms * MILLISECOND, ms * MILLISECOND, key or track.kind is Kind.AUDIO, data)


def group(start: int, pictures: int = 5, *, track: Track = VIDEO, size: int = 0) -> list[Frame]:
    """A key frame and inter frames, 40 ms apart."""
    return [frame(track, start + 40 * index, key=index == 0, size=size) for index in range(pictures)]
