"""The index of a media file: samples of all tracks in order, where to begin for a time, and what cannot be read left out."""

from array import array
from dataclasses import replace

import pytest

from ems.errors import MalformedData
from ems.formats import index as index_module
from ems.formats.index import MediaIndex, Sample, SampleTable, TrackSamples
from ems.media import aac, h264
from ems.media.nal import MAX_ACCESS_UNIT
from tests.unit.media import vectors

VIDEO = h264.make_track(7, vectors.AVCC_HIGH)
SOUND = aac.make_track(3, vectors.ASC_STEREO)

PICTURES = TrackSamples(
    VIDEO,
    dts=array("q", [-10, 0, 10, 20, 30, 40]),
    pts=array("q", [0, 30, 10, 20, 45, 55]),
    keyframes=bytearray([1, 0, 0, 0, 1, 0]),
    offsets=array("q", [0, 10, 20, 30, 40, 50]),
    sizes=array("I", [10] * 6),
    end=65,
    length_size=4,
)
FRAMES = TrackSamples(
    SOUND,
    dts=array("q", [0, 15, 30]),
    pts=array("q", [0, 15, 30]),
    keyframes=b"\1\1\1",
    offsets=array("q", [60, 65, 70]),
    sizes=array("I", [5, 5, 5]),
    end=45,
)
SIZE = 75


def test_the_order_of_samples() -> None:
    """Samples come as they are decoded, of equal times the picture first, whatever the order of tracks in the file is."""
    index = MediaIndex.of([FRAMES, PICTURES], SIZE)
    assert index.tracks == (VIDEO, SOUND)
    assert [(sample.track_id, sample.dts) for sample in index.samples] == [
        (7, -10),
        (7, 0),
        (3, 0),
        (7, 10),
        (3, 15),
        (7, 20),
        (7, 30),
        (3, 30),
        (7, 40),
    ]
    assert index.duration == 65
    assert index.length_sizes == {7: 4}


def test_a_table_is_a_sequence() -> None:
    """Samples are had by number, from the end, by slices, and one after the other, all alike."""
    table = SampleTable([PICTURES, FRAMES])
    everything = list(table)
    assert len(table) == len(everything) == 9
    assert table[0] == Sample(7, -10, 0, True, 0, 10)
    assert [table[at] for at in range(9)] == everything
    assert table[-1] == everything[-1]
    assert table[2:8:2] == everything[2:8:2]
    with pytest.raises(IndexError):
        table[9]
    assert list(SampleTable()) == []


@pytest.mark.parametrize(("time", "begins"), [(-50, -10), (0, -10), (44, -10), (45, 30), (1000, 30)])
def test_where_to_begin(time: int, begins: int) -> None:
    """A presentation begins with the newest key frame shown by then, the first one for times before all."""
    index = MediaIndex.of([PICTURES, FRAMES], SIZE)
    sample = index.samples[index.first_at(time)]
    assert (sample.track_id, sample.dts, sample.keyframe) == (7, begins, True)


@pytest.mark.parametrize(("time", "begins"), [(-50, 0), (14, 0), (15, 15), (29, 15), (1000, 30)])
def test_where_to_begin_without_pictures(time: int, begins: int) -> None:
    """Sound begins with the frame that is heard then."""
    index = MediaIndex.of([FRAMES], SIZE)
    assert index.samples[index.first_at(time)].dts == begins


def test_where_samples_are() -> None:
    """The newest sample of all that is decoded by a time, and the key frames of a track, are found by their positions."""
    table = SampleTable([PICTURES, FRAMES])
    assert [table.decoded_at(time) for time in (-11, -10, 0, 5, 40, 99)] == [0, 0, 2, 2, 8, 8]
    keys = table.key_positions(7)
    assert keys.tolist() == [0, 6]
    assert table.presentation_times(keys).tolist() == [0, 45]


def test_samples_that_cannot_be_read() -> None:
    """Samples that are empty, too large for a picture, or behind the end of the file are left out, and that is said."""
    sizes = array("I", [10, 0, MAX_ACCESS_UNIT + 1, 10, 10, 11])
    index = MediaIndex.of([replace(PICTURES, sizes=sizes)], MAX_ACCESS_UNIT * 2)
    assert [sample.dts for sample in index.samples] == [-10, 20, 30, 40]
    assert index.left_out == ("track 7: 2 samples are empty, too large or not wholly in the file",)
    assert index.duration == 65
    index = MediaIndex.of([PICTURES, FRAMES], 60)
    assert index.tracks == (VIDEO,)
    index = MediaIndex.of([PICTURES, FRAMES], 59, ["something else"])
    assert index.left_out[0] == "something else"
    assert len(index.samples) == 5
    assert index.duration == 45, "the end of what is left"


def test_files_without_samples() -> None:
    """A file of which nothing can be read is refused with all reasons."""
    with pytest.raises(MalformedData, match="it has none"):
        MediaIndex.of([], SIZE)
    with pytest.raises(MalformedData, match="a codec; track 3: 3 samples"):
        MediaIndex.of([FRAMES], 1, ["a codec"])


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """More samples than fit into memory, and times that do not fit into 63 bits, are refused."""
    with pytest.raises(MalformedData, match="63 bits"):
        MediaIndex.of([replace(FRAMES, dts=[0, 1, 1 << 63])], SIZE)
    monkeypatch.setattr(index_module, "MAX_SAMPLES", 8)
    with pytest.raises(MalformedData, match="9 samples pass the limit of 8"):
        MediaIndex.of([PICTURES, FRAMES], SIZE)


def test_payloads() -> None:
    """Pictures have true lengths of 4 bytes or are refused; sound is what it is."""
    index = MediaIndex.of([PICTURES, FRAMES], SIZE)
    picture, sound = index.samples[0], index.samples[2]
    assert index.payload(picture, b"\0\0\0\6abcdef") == b"\0\0\0\6abcdef"
    assert index.payload(sound, b"sound") == b"sound"
    for sample, data in ((picture, b"\0\0\0\7abcdef"), (picture, b"\0\0\0\5abcde"), (sound, b"soun")):
        with pytest.raises(MalformedData, match="byte"):
            index.payload(sample, data)
