"""A publisher with a habit of real encoders: ``python -m tests.browser.odd_source PORT NAME HABIT``.

It sends the frames of a clip as FLV to `inboundLiveFlv`, each when it is due. What is odd comes `CHANGE` seconds after the
beginning: see `HABITS`.
"""

import heapq
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator

from ems.demo_clip import Clip, read_clip
from ems.formats import amf0, flv
from ems.formats.amf0 import EcmaArray
from ems.media.frame import MILLISECOND, SECOND, Frame
from ems.media.track import Kind, Track
from tests.clips import clip, demo_clip
from tests.flv import HEADER, tag

CHANGE = 4
"""Seconds: late enough for a player to be playing."""

HOUR = 3600 * SECOND

Stamped = tuple[int, Frame]
"""The time in nanoseconds that a frame is sent with, and the frame, whose decoding time tells when it is due."""


def pictures_only() -> Iterator[Stamped]:
    """There is never any sound."""
    yield from _as_they_are(_of(_usual(), Kind.VIDEO))


def sound_only() -> Iterator[Stamped]:
    """There is never any picture."""
    yield from _as_they_are(_of(_usual(), Kind.AUDIO))


def late_sound() -> Iterator[Stamped]:
    """Sound begins after the change."""
    yield from _as_they_are(frame for frame in _usual().frames if frame.track.kind is Kind.VIDEO or frame.dts >= CHANGE * SECOND)


def new_size() -> Iterator[Stamped]:
    """Pictures of 640x360, then of 1280x720; the sound runs through."""
    before = (frame for frame in _of(_usual(), Kind.VIDEO) if frame.dts < CHANGE * SECOND)
    after = (
        frame._replace(dts=frame.dts + CHANGE * SECOND, pts=frame.pts + CHANGE * SECOND)
        for frame in _of(read_clip(demo_clip()), Kind.VIDEO)
    )
    pictures = (frame for part in (before, after) for frame in part)
    yield from _as_they_are(heapq.merge(pictures, _of(_usual(), Kind.AUDIO), key=lambda frame: frame.dts))


def jump() -> Iterator[Stamped]:
    """The clock jumps by an hour; the frames come as before."""
    for frame in _usual().frames:
        yield frame.dts + (HOUR if frame.dts >= CHANGE * SECOND else 0), frame


HABITS: dict[str, Callable[[], Iterator[Stamped]]] = {
    "pictures-only": pictures_only,
    "sound-only": sound_only,
    "late-sound": late_sound,
    "new-size": new_size,
    "jump": jump,
}


def publish(port: int, name: str, frames: Iterable[Stamped]) -> None:
    """Send a stream to its end. Raises OSError when the server ends it before."""
    configured: dict[Kind, Track] = {}
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(HEADER + tag(flv.TAG_SCRIPT, 0, amf0.encode("onMetaData", EcmaArray({"streamName": name}))))
        began = time.monotonic()
        for stamp, frame in frames:
            time.sleep(max(0, began + frame.dts / SECOND - time.monotonic()))
            track = frame.track
            if configured.get(track.kind) is not track:
                configured[track.kind] = track
                connection.sendall(_tag(track, stamp, flv.sequence_header(track)))
            offset = (frame.pts - frame.dts) // MILLISECOND if track.kind is Kind.VIDEO else 0
            connection.sendall(_tag(track, stamp, flv.frame_header(track, frame.keyframe, offset) + frame.data))


def _tag(track: Track, stamp: int, body: bytes) -> bytes:
    return tag(flv.TAG_VIDEO if track.kind is Kind.VIDEO else flv.TAG_AUDIO, stamp // MILLISECOND, body)


def _usual() -> Clip:
    return read_clip(clip("h264_aac"))


def _of(source: Clip, kind: Kind) -> Iterator[Frame]:
    return (frame for frame in source.frames if frame.track.kind is kind)


def _as_they_are(frames: Iterable[Frame]) -> Iterator[Stamped]:
    return ((frame.dts, frame) for frame in frames)


if __name__ == "__main__":
    publish(int(sys.argv[1]), sys.argv[2], HABITS[sys.argv[3]]())
