"""What segments are made of, byte by byte."""

from collections.abc import Sequence

import pytest

from ems.media.frame import Frame
from ems.segmenters.cutting import Segment
from ems.segmenters.hls.containers import AUDIO_FRAMES_TOGETHER, TransportStream
from tests.ts_analyser import analyse
from tests.ts_streams import AAC, H264, picture, sound

SOUND_PID = 257


def frames(pictures: int, sounds: int) -> list[Frame]:
    """That many of each, in the order of decoding."""
    both = [*(picture(at, key=at == 0) for at in range(pictures)), *map(sound, range(sounds))]
    return sorted(both, key=lambda frame: frame.dts)


def made(container: TransportStream, of: Sequence[Frame]) -> bytes:
    """A whole segment of these frames."""
    segment = Segment((H264, AAC), of[0].dts, frames=list(of))
    return container.header(segment) + container.piece(of, 0)


@pytest.mark.parametrize("waiting", range(1, AUDIO_FRAMES_TOGETHER))
def test_a_segment_made_again_has_no_sound_twice(waiting: int) -> None:
    """A segment that is made again from its beginning is what it would have been, though sound was waiting for company."""
    all_of_it = frames(10, 18)
    container = TransportStream((H264, AAC))
    unit = container.unit
    assert unit is not None
    for frame in frames(0, waiting):
        unit(frame)
    assert payloads(made(container, all_of_it)) == payloads(made(TransportStream((H264, AAC)), all_of_it))


def payloads(segment: bytes) -> list[tuple[int | None, bytes]]:
    """The presentation times and bytes of its PES packets of sound."""
    found = analyse(segment)
    assert found.errors == []
    return [(pts, data) for pts, _, data in found.units[SOUND_PID]]
