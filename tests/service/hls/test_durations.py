"""EXTINF over a long time, with the times that sources really have: what players add up must be the time of the media."""

import heapq
import io
from collections.abc import Callable, Iterator
from functools import partial
from itertools import accumulate

import av
import pytest

from ems.formats.m3u8 import Segment
from ems.media import aac, h264
from ems.media.frame import MILLISECOND, SECOND, Frame
from ems.segmenters.hls.containers import TIMESTAMP_OWNER
from tests.service.hls.world import World, media_playlist, segment_data
from tests.unit.media import vectors

MEDIA_SECONDS = 600
FRAME_RATE = 30
KEY_FRAMES_EVERY = 60
SAMPLES = 1024

VIDEO = h264.make_track(1, vectors.AVCC_HIGH)
SOUND = {48_000: aac.make_track(2, b"\x11\x90"), 44_100: aac.make_track(2, b"\x12\x10")}

KEY_PICTURE = b"\0\0\0\x05\x65\x88\x84\0\x10"
PICTURE = b"\0\0\0\x05\x41\x9a\x24\x6c\x41"


def whole(time: int) -> int:
    """A time in whole milliseconds, as RTMP has it."""
    return time // MILLISECOND * MILLISECOND


def pictures() -> Iterator[Frame]:
    """Thirty a second: 0, 33, 66, 100 ms …, a key frame each two seconds."""
    for number in range(MEDIA_SECONDS * FRAME_RATE):
        time, key = whole(number * SECOND // FRAME_RATE), number % KEY_FRAMES_EVERY == 0
        yield Frame(VIDEO, time, time, key, KEY_PICTURE if key else PICTURE)


def sounds(rate: int) -> Iterator[Frame]:
    """Frames of AAC, each a millisecond or less before its true time."""
    for number in range(MEDIA_SECONDS * rate // SAMPLES):
        time = whole(number * SAMPLES * SECOND // rate)
        yield Frame(SOUND[rate], time, time, True, b"\x21\x10\x04\x60\x8c\x1c" + number.to_bytes(4, "big"))


def first_time(kind: str, data: bytes) -> float:
    """When a segment begins, by ffmpeg: the decoding time of its first picture, in seconds."""
    with av.open(io.BytesIO(data)) as container:
        [stream] = [one for one in container.streams if one.type == kind]
        packet = next(container.demux(stream))
        assert packet.dts is not None
        return float(packet.dts * packet.time_base)


def tagged_time(data: bytes) -> float:
    """When a segment of sound alone begins, by its ID3 tag, in seconds (RFC 8216 §3.4)."""
    position = data.index(TIMESTAMP_OWNER) + len(TIMESTAMP_OWNER)
    return int.from_bytes(data[position : position + 8], "big") / 90_000


MODES: dict[str, tuple[str, Callable[[bytes], float]]] = {
    "ts": ("segmentType=ts", partial(first_time, "video")),
    "fmp4": ("segmentType=fmp4", partial(first_time, "video")),
    "sound alone": ("audioOnly=1", tagged_time),
}


@pytest.mark.parametrize("rate", SOUND)
@pytest.mark.parametrize("mode", MODES)
def test_durations_add_up_to_the_time_of_the_media(world: World, mode: str, rate: int) -> None:
    """After any number of segments in ten minutes the sum of EXTINF is where the next begins, to the millisecond."""
    parameters, time_of = MODES[mode]
    world.create(f"localStreamNames=cam targetFolder=out groupName=g chunkLength=2 {parameters}")
    stream = world.publish("cam", (VIDEO, SOUND[rate]))
    world.push(stream, heapq.merge(pictures(), sounds(rate), key=lambda frame: frame.dts))
    folder = world.folder / "out/g/cam"
    segments: list[Segment] = media_playlist(folder / "playlist.m3u8").segments
    assert len(segments) >= MEDIA_SECONDS // 2 - 3
    began = [time_of(segment_data(segment, folder)) * 1000 for segment in segments]
    sums = [*accumulate((segment.duration for segment in segments[:-1]), initial=0)]
    assert max(abs(start - began[0] - total) for start, total in zip(began, sums, strict=True)) <= 1
    if mode != "sound alone":
        stream.end("the test is over")
        total = sum(segment.duration for segment in media_playlist(folder / "playlist.m3u8").segments)
        assert abs(total - MEDIA_SECONDS * 1000) <= 40
