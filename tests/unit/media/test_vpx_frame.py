"""How large VP8 and VP9 pictures are."""

import contextlib

import pytest

from ems.errors import MalformedData
from ems.media.track import Codec
from ems.media.vpx_frame import picture_size
from tests.unit.media.mutation import mutated, prefixes

VP9 = bytes.fromhex("824983424013f00b30") + bytes(20)
VP9_PROFILE_1 = bytes.fromhex("a2498342 4002 7e01 66") + bytes(20)
VP8 = bytes.fromhex("1000009d012a4001b440") + bytes(20)


@pytest.mark.parametrize(
    ("codec", "frame", "size"),
    [(Codec.VP9, VP9, (320, 180)), (Codec.VP9, VP9_PROFILE_1, (320, 180)), (Codec.VP8, VP8, (320, 180))],
)
def test_key_frames_tell(codec: Codec, frame: bytes, size: tuple[int, int]) -> None:
    """Width and height are those of the key frame, whatever stands before them."""
    assert picture_size(codec, frame) == size


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.VP9])
def test_damaged_frames(codec: Codec) -> None:
    """A frame cut off anywhere or damaged has a possible size or is refused."""
    for data in [*prefixes(VP9), *prefixes(VP8), *mutated([VP9, VP8, VP9_PROFILE_1])]:
        with contextlib.suppress(MalformedData):
            width, height = picture_size(codec, data)
            assert 0 < width <= 16384
            assert 0 < height <= 16384
