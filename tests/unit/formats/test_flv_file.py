"""FLV files: every tag of picture and sound is found where and when it is, as ffmpeg writes them and as others do."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ems.errors import MalformedData
from ems.formats import enhanced, flv, flv_file
from ems.formats.enhanced import PacketType
from ems.formats.flv import AUDIO_TRACK
from ems.formats.index import MediaIndex
from ems.media import aac, av1, h264, h265, opus
from ems.media.frame import MILLISECOND
from ems.media.track import Codec, Kind, Track
from tests.flv import HEADER, tag
from tests.media_files import index_of, indexed, packets, probed, remuxed, shown, stored
from tests.unit.media import vectors
from tests.unit.media.mutation import mutated, prefixes, refusals

MUTATIONS = int(os.environ.get("EMS_MUTATIONS", "3000"))

AUDIO, VIDEO, SCRIPT = flv.TAG_AUDIO, flv.TAG_VIDEO, flv.TAG_SCRIPT
TAG_HEAD = 11

H264 = h264.make_track(0, vectors.AVCC_HIGH)
AAC = aac.make_track(AUDIO_TRACK, vectors.ASC_STEREO)
CONFIGURED = HEADER + tag(VIDEO, 0, flv.sequence_header(H264)) + tag(AUDIO, 0, flv.sequence_header(AAC))

UNIT = b"\0\0\0\3\x65ab"


def picture(time: int, data: bytes = UNIT, *, key: bool = True, later: int = 0, track: Track = H264) -> bytes:
    """A tag with a picture that is shown `later` (milliseconds) than it is decoded."""
    return tag(VIDEO, time, flv.frame_header(track, key, later) + data)


def sound(time: int, data: bytes = b"\x21sound", track: Track = AAC) -> bytes:
    """A tag with a frame of sound."""
    return tag(AUDIO, time, flv.frame_header(track, True, 0) + data)


def milliseconds(index: MediaIndex) -> list[float]:
    """When the samples of all tracks are decoded."""
    return [sample.dts / MILLISECOND for sample in index.samples]


@pytest.mark.parametrize(("kind", "heads"), [("h264_bframes_aac", (5, 2)), ("h264_mp3", (5, 1))])
def test_as_ffmpeg_writes_them(kind: str, heads: tuple[int, int], clip: Callable[[str], Path], tmp_path: Path) -> None:
    """Every sample is what ffprobe finds, behind the heads of its tag, with the first one at 0."""
    path = remuxed(clip(kind), tmp_path / "film.flv", "-t", "4")
    index, streams = indexed(path), probed(path)
    begin = min(stream[0].dts for stream in streams)
    assert not index.left_out
    assert [track.kind for track in index.tracks] == [Kind.VIDEO, Kind.AUDIO]
    for track, head, stream in zip(index.tracks, heads, streams, strict=True):
        assert packets(index, track.id) == [
            (dts - begin, pts - begin, key, offset + TAG_HEAD + head, size) for dts, pts, key, offset, size in stream
        ]
    assert 4000 <= index.duration / MILLISECOND <= 4300


def test_pictures_and_sound() -> None:
    """Samples come in the order of their times, with the bytes behind the heads of their tags; the last one lasts as the one
    before."""
    data = CONFIGURED + picture(40, later=80) + sound(45) + picture(80, b"\0\0\0\2\x41x", key=False) + sound(68)
    index = index_of(data)
    assert index.tracks == (H264, AAC)
    assert milliseconds(index) == [0, 5, 28, 40]
    assert shown(index, 0) == [80, 40]
    assert [sample.keyframe for sample in index.samples] == [True, True, True, False]
    assert stored(index, data, 0) == [UNIT, b"\0\0\0\2\x41x"]
    assert stored(index, data, AUDIO_TRACK) == [b"\x21sound"] * 2
    assert index.duration == 120 * MILLISECOND


def test_short_nal_unit_lengths() -> None:
    """NAL unit lengths of 2 bytes become 4."""
    config = vectors.AVCC_HIGH[:4] + b"\xfd" + vectors.AVCC_HIGH[5:]
    data = HEADER + tag(VIDEO, 0, b"\x17\0\0\0\0" + config) + picture(0, b"\0\3\x65ab")
    assert stored(index_of(data), data, 0) == [UNIT]


HEVC = h265.make_track(0, vectors.HVCC_MAIN)
AV1 = av1.make_track(0, vectors.AV1C)
OPUS = opus.make_track(AUDIO_TRACK, vectors.OPUS_STEREO)


@pytest.mark.parametrize(("track", "data"), [(HEVC, UNIT), (AV1, b"\x12\0obu"), (OPUS, b"\xf8packet")])
def test_enhanced_tags(track: Track, data: bytes) -> None:
    """Codecs that Enhanced RTMP brought are found behind their longer heads, with and without composition times."""
    write, times = (sound, (0, 20)) if track is OPUS else (picture, (0, 40))
    kind = AUDIO if track is OPUS else VIDEO
    file = HEADER + tag(kind, 0, flv.sequence_header(track)) + b"".join(write(time, data, track=track) for time in times)
    later = picture(80, data, key=False, later=120, track=track) if track is HEVC else b""
    index = index_of(file + later)
    assert index.tracks == (track,)
    assert stored(index, file + later, track.id) == [data] * (3 if later else 2)
    assert shown(index, track.id) == [*times, *([200] if later else [])]


def test_hevc_by_its_number() -> None:
    """The number 12 for HEVC, which many cameras write, is read as H.264's 7 is."""
    data = HEADER + tag(VIDEO, 0, b"\x1c\0\0\0\0" + vectors.HVCC_MAIN) + tag(VIDEO, 40, b"\x1c\1\0\0\x50" + UNIT)
    index = index_of(data)
    assert index.tracks == (HEVC,)
    assert (shown(index, 0), stored(index, data, 0)) == ([80], [UNIT])


def test_commands_and_several_tracks_in_enhanced_tags() -> None:
    """Seek commands are no pictures; tags of several tracks at once are left out, and that is said."""
    head = enhanced.header(Kind.VIDEO, flv.INFO_FRAME, PacketType.CODED_FRAMES, b"hvc1", 0)
    several = bytes((0x96, enhanced.MANY_TRACKS << 4 | 1)) + b"hvc1" + (b"\0\0\0\1x" + b"\1\0\0\1y")
    data = HEADER + tag(VIDEO, 0, flv.sequence_header(HEVC)) + tag(VIDEO, 0, head + b"\0") + tag(VIDEO, 0, several)
    index = index_of(data + picture(40, track=HEVC))
    assert len(index.samples) == 1
    assert "tags of several tracks at once" in index.left_out[0]


def test_codecs_of_flv_alone() -> None:
    """Frames of codecs that only FLV has are whole tag bodies; those that RTMP can name otherwise are without heads."""
    data = HEADER + tag(VIDEO, 0, b"\x12sorenson") + tag(VIDEO, 40, b"\x22more") + tag(AUDIO, 0, b"\x2f" + vectors.MP3_STEREO)
    index = index_of(data)
    assert [track.codec for track in index.tracks] == [Codec.FLV_SORENSON, Codec.MP3]
    assert stored(index, data, 0) == [b"\x12sorenson", b"\x22more"]
    assert stored(index, data, AUDIO_TRACK) == [vectors.MP3_STEREO]
    assert [sample.keyframe for sample in index.samples if sample.track_id == 0] == [True, False]


def test_tags_without_samples() -> None:
    """Metadata, aggregates, empty tags, info frames, and the end of a sequence are passed over; encrypted tags are told."""
    others = tag(SCRIPT, 0, b"onMetaData") + tag(15, 0, b"aggregate") + tag(VIDEO, 0, b"") + tag(AUDIO, 0, b"\xaf")
    others += tag(VIDEO, 0, b"\x57\0\0\0\0\0") + tag(VIDEO, 0, b"\x17\2\0\0\0") + tag(VIDEO | 0x20, 0, UNIT)
    index = index_of(CONFIGURED + others + picture(0))
    assert len(index.samples) == 1
    assert len(index.left_out) == 1
    assert index.left_out[0].startswith("encrypted tags, the first at byte")


def test_long_recordings() -> None:
    """Times beyond 24 bits, four and a half hours, go on."""
    times = [(1 << 24) - 40, 1 << 24, (1 << 24) + 40]
    assert milliseconds(index_of(CONFIGURED + b"".join(map(picture, times)))) == [0, 40, 80]


@pytest.mark.parametrize("first", [-40, 1_000_000])
def test_a_clock_that_does_not_begin_at_0(first: int) -> None:
    """A recording begins at 0, be its first time negative or that of a stream which ran for long."""
    data = CONFIGURED + picture(first) + picture(first + 40) + picture(first + 80)
    assert milliseconds(index_of(data))[:1] == [0]
    assert milliseconds(index_of(data))[-1] <= 80


def test_recordings_behind_each_other() -> None:
    """Where the clock is set back, time goes on a frame later; small steps back within a track are made none."""
    times = [0, 10_000, 10_040, 0, 40, 20]
    assert milliseconds(index_of(CONFIGURED + b"".join(map(picture, times)))) == [0, 10_000, 10_040, 10_060, 10_100, 10_100]


def test_sound_that_comes_before_its_tag() -> None:
    """Sound that lies behind a picture but is older keeps its time."""
    assert milliseconds(index_of(CONFIGURED + picture(0) + picture(400) + sound(380))) == [0, 380, 400]


def test_a_change_of_configuration() -> None:
    """A track ends where its configuration changes, and that is said; the same configuration again changes nothing."""
    other = h264.make_track(0, vectors.AVCC_BASELINE)
    again = CONFIGURED + picture(0) + tag(VIDEO, 40, flv.sequence_header(H264)) + picture(40)
    index = index_of(again + tag(VIDEO, 80, flv.sequence_header(other)) + picture(80) + sound(80))
    assert milliseconds(index) == [0, 40, 80]
    assert index.left_out == ("track 0: what follows the change of its configuration",)


def test_cut_off_recordings() -> None:
    """A recording cut off anywhere plays up to its last whole tag."""
    data = CONFIGURED + b"".join(picture(at * 40, UNIT + bytes((0, 0, 0, at)) + bytes(at)) for at in range(6))
    whole = list(index_of(data).samples)
    for end in range(whole[0].offset + whole[0].size, len(data)):
        index = index_of(data[:end])
        assert list(index.samples) == [sample for sample in whole if sample.offset + sample.size <= end]
        assert stored(index, data[:end], 0)
    last = whole[-1].offset - len(flv.frame_header(H264, True, 0)) - TAG_HEAD
    assert index_of(data[:-5]).left_out == (f"the file is cut off in the tag at byte {last}",)


def test_what_is_no_tag() -> None:
    """A file that stops being FLV is read up to there; one that never was is refused."""
    place = len(CONFIGURED + picture(0))
    index = index_of(CONFIGURED + picture(0) + b"\x47\0\0\1" + bytes(20) + picture(40))
    assert len(index.samples) == 1
    assert index.left_out == (f"what stands at byte {place} is no FLV tag; the rest is not read",)
    for data, reason in (
        (b"FLV", "does not begin with an FLV header"),
        (b"FLV\1\5\0\0\0\x08" + bytes(4), "fewer than its own fields"),
        (b"FLV\1\5\xff\xff\xff\xff" + bytes(4), "no sample"),
        (CONFIGURED, "no sample"),
        (HEADER + picture(0), "no sample"),
    ):
        with pytest.raises(MalformedData, match=reason):
            index_of(data)


def test_damaged_configuration() -> None:
    """Damaged headers are told once, and the other track is read."""
    broken = tag(VIDEO, 0, b"\x17\0\0\0\0\1\2")
    index = index_of(HEADER + broken + broken + tag(AUDIO, 0, flv.sequence_header(AAC)) + picture(0) + sound(0))
    assert index.tracks == (AAC,)
    assert len(index.left_out) == 1
    assert index.left_out[0].startswith("damaged video tags, the first at byte 24")


def test_a_large_file_is_not_read_whole() -> None:
    """Of large tags only the beginnings are read."""
    data = CONFIGURED + b"".join(picture(at * 40, (1_000_000).to_bytes(4, "big") + bytes(1_000_000)) for at in range(8))
    asked: list[int] = []

    def read(offset: int, length: int) -> bytes:
        asked.append(min(length, len(data) - offset))
        return data[offset : offset + length]

    assert len(flv_file.read_index(read, len(data)).samples) == 8
    assert sum(asked) < len(data) // 8


def test_too_many_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """More samples than a file may have are refused before they fill the memory; more tags are read no further."""
    data = CONFIGURED + b"".join(picture(at) for at in range(12))
    monkeypatch.setattr(flv_file, "MAX_TAGS", 10)
    index = index_of(data)
    assert len(index.samples) == 8
    assert index.left_out == ("it has more than 10 tags",)
    monkeypatch.setattr(flv_file, "MAX_SAMPLES", 7)
    with pytest.raises(MalformedData, match="more than 7 samples"):
        index_of(data)


def test_a_clock_that_is_set_back_again_and_again() -> None:
    """A clock that jumps through its whole range two thousand times leads beyond all times, and is refused."""
    data = CONFIGURED + (picture(0) + picture(0xFFFFFFFF)) * 2200
    with pytest.raises(MalformedData, match="63 bits"):
        index_of(data)


def test_damaged_files() -> None:
    """Files damaged or cut off anywhere are read as far as they can be, or refused, without any other exception."""
    originals = [
        CONFIGURED + b"".join(picture(at * 40, later=40) + sound(at * 40) for at in range(6)),
        HEADER + tag(VIDEO, 0, flv.sequence_header(HEVC)) + b"".join(picture(at * 40, track=HEVC, later=9) for at in range(6)),
        HEADER + tag(AUDIO, 0, flv.sequence_header(OPUS)) + sound(0, track=OPUS) + tag(VIDEO, 0, b"\x12sorenson"),
    ]

    def look_through(data: bytes) -> None:
        index = flv_file.read_index(lambda offset, length: data[offset : offset + length], len(data))
        for sample in index.samples:
            assert sample.offset + sample.size <= len(data)
        for track in index.tracks:
            refusals(lambda file, track_id=track.id: stored(index, file, track_id), [data])

    read, refused = refusals(look_through, mutated(originals, MUTATIONS))
    assert read > MUTATIONS // 3
    assert refused > 0
    for original in originals:
        refusals(look_through, prefixes(original))
