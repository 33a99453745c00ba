"""Live frames become runs: when they are sent, and how long they are said to last."""

from itertools import pairwise

import pytest

from ems.errors import LocalProtocolError
from ems.formats.fmp4 import Run
from ems.formats.fmp4.blocks import BlockType, block, metadata_block
from ems.formats.fmp4.live import LONGEST_STEP, MAX_AUDIO, LiveRuns, sound_duration
from ems.media import aac, h264, opus
from ems.media.frame import MILLISECOND, SECOND, Frame
from ems.media.track import Codec, Kind, Track
from tests.unit.media import vectors

VIDEO = h264.make_track(0, vectors.AVCC_HIGH)
AAC = aac.make_track(256, vectors.ASC_STEREO)
OPUS = opus.make_track(256, vectors.OPUS_STEREO)


def added(runs: LiveRuns, track: Track, *times: int) -> list[list[Run]]:
    """What comes of frames at these times."""
    return [runs.add(Frame(track, time, time, True, b"x")) for time in times]


def test_a_picture_is_sent_when_it_comes() -> None:
    """No picture waits, and it is said to last as long as the one before it did."""
    runs = LiveRuns([VIDEO])
    ((first,), (second,), (third,)) = added(runs, VIDEO, 0, 40 * MILLISECOND, 80 * MILLISECOND)
    assert first.end - first.frames[0].dts == SECOND // 30, "as the track says"
    assert [run.end - run.frames[0].dts for run in (second, third)] == [40 * MILLISECOND] * 2


def test_a_changing_rate_is_not_said_to_be_faster_than_it_is() -> None:
    """With pictures at uneven times a duration is rather too long, so that browsers see no jump of more than twice of it."""
    runs = LiveRuns([VIDEO])
    times = [0, 33, 66, 200, 233, 266, 400, 433]
    sent = [run for (run,) in added(runs, VIDEO, *(time * MILLISECOND for time in times))]
    for run, after in pairwise(sent[3:]):
        assert after.frames[0].dts - run.frames[0].dts <= 2 * (run.end - run.frames[0].dts)
    added(runs, VIDEO, 10 * SECOND)
    ((last,),) = added(runs, VIDEO, 10 * SECOND + 33 * MILLISECOND)
    assert last.end - last.frames[0].dts < LONGEST_STEP


def test_sound_goes_with_the_next_picture() -> None:
    """What sound has come goes out with a picture, behind it."""
    runs = LiveRuns([VIDEO, AAC])
    assert added(runs, AAC, 0, 23 * MILLISECOND) == [[], []]
    ((video, audio),) = added(runs, VIDEO, 40 * MILLISECOND)
    assert (video.track, audio.track, len(audio.frames)) == (VIDEO, AAC, 2)
    assert audio.end - audio.frames[1].dts == 1024 * SECOND // 44100
    assert runs.take() == []


@pytest.mark.parametrize("track", [AAC, OPUS])
def test_sound_waits_no_longer_than_it_may(track: Track) -> None:
    """Without pictures there are runs of up to a tenth of a second, which end where the next begins."""
    runs = LiveRuns([track])
    step = sound_duration(track) or 20 * MILLISECOND
    sent = [run for some in added(runs, track, *range(0, 100 * step, step)) for run in some]
    assert all(run.end - run.frames[0].dts <= MAX_AUDIO for run in sent)
    assert all(run.end - run.frames[0].dts > MAX_AUDIO - 2 * step for run in sent)
    assert [run.end for run in sent[:-1]] == [run.frames[0].dts for run in sent[1:]]


@pytest.mark.parametrize(
    ("codec", "string", "samples"), [(Codec.MP3, "mp4a.6B", 1152), (Codec.MP3, "mp4a.69", 576), (Codec.AC3, "", 1536)]
)
def test_sound_that_says_how_long_it_lasts(codec: Codec, string: str, samples: int) -> None:
    """Codecs with frames of one size need no guess."""
    track = Track(1, Kind.AUDIO, codec, codec_string=string, sample_rate=48_000)
    assert sound_duration(track) == samples * SECOND // 48_000


def test_blocks() -> None:
    """A block has its type in 8 bits and its length in 24; metadata is JSON with a time."""
    assert block(BlockType.END) == b"\xff\0\0\0"
    assert block(BlockType.VIDEO, bytes(70_000))[:4] == b"\xfc\x01\x11\x70"
    text = b'{"timestamp": 7, "data": "sync"}'
    assert metadata_block(7, "sync") == b"\xee\0\0" + bytes((len(text),)) + text
    with pytest.raises(LocalProtocolError):
        block(BlockType.VIDEO, bytes(1 << 24))
