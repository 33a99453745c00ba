"""FLV tag bodies: what encoders send becomes tracks and frames, and these become the tags that players know."""

from collections.abc import Callable

import pytest

from ems.errors import MalformedData
from ems.formats import enhanced, flv
from ems.formats.flv import AUDIO_TRACK, Sample, TagReader
from ems.media.frame import MILLISECOND
from ems.media.track import Codec, Kind, Track
from tests.unit.media import vectors
from tests.unit.media.mutation import mutated, prefixes

AVC = b"\x17\0\0\0\0" + vectors.AVCC_HIGH
AAC = b"\xaf\0" + vectors.ASC_STEREO
NALS = b"\0\0\0\3\x65ab\0\0\0\1\x41"

RECORDS = {
    Codec.H264: vectors.AVCC_HIGH,
    Codec.H265: vectors.HVCC_MAIN,
    Codec.AV1: vectors.AV1C,
    Codec.VP8: vectors.VPCC_BOX[4:],
    Codec.VP9: vectors.VPCC_BOX[4:],
    Codec.AAC: vectors.ASC_STEREO,
    Codec.OPUS: vectors.OPUS_STEREO,
    Codec.FLAC: vectors.STREAMINFO,
}
FIRST_FRAMES = {Codec.MP3: vectors.MP3_STEREO, Codec.AC3: vectors.AC3_STEREO, Codec.EAC3: vectors.EAC3_STEREO}


def read(kind: Kind, *bodies: bytes) -> tuple[TagReader, list[Sample]]:
    """A reader that has read these tags, and all their frames."""
    reader = TagReader()
    tag = reader.video if kind is Kind.VIDEO else reader.audio
    return reader, [sample for body in bodies for sample in tag(body)]


def test_h264_and_aac() -> None:
    """The everyday stream: a configuration each, then frames with composition time and key frame flag."""
    reader = TagReader()
    assert reader.video(AVC) == reader.audio(AAC) == []
    assert [(track.id, track.codec, track.config) for track in reader.tracks] == [
        (0, Codec.H264, vectors.AVCC_HIGH),
        (AUDIO_TRACK, Codec.AAC, vectors.ASC_STEREO),
    ]
    video, audio = reader.tracks
    assert (video.width, video.height) == (640, 360)
    assert (audio.sample_rate, audio.channels) == (44100, 2)
    assert reader.video(b"\x17\1\0\0\x50" + NALS) == [Sample(video, True, 80 * MILLISECOND, NALS)]
    assert reader.video(b"\x27\1\xff\xff\xd8" + NALS) == [Sample(video, False, -40 * MILLISECOND, NALS)]
    assert reader.audio(b"\xaf\1raw") == [Sample(audio, True, 0, b"raw")]
    assert reader.skipped == 0


@pytest.mark.parametrize("track_number", [0, 1, 255])
@pytest.mark.parametrize("codec", [*RECORDS, *FIRST_FRAMES])
def test_every_codec_there_and_back(codec: Codec, track_number: int) -> None:
    """The tags that are written for a track and its frames are read as the same track and frames."""
    kind = Kind.VIDEO if codec in enhanced.VIDEO_CODECS else Kind.AUDIO
    data = NALS if codec in flv.NAL_CODECS else FIRST_FRAMES.get(codec, b"frame")
    fourcc = enhanced.FOURCC[codec]
    bodies = [enhanced.header(kind, 1, enhanced.PacketType.CODED_FRAMES, fourcc, track_number)]
    bodies[0] += (b"\0\0\0" if fourcc in enhanced.COMPOSED else b"") + data
    if codec in RECORDS:
        bodies.insert(0, enhanced.header(kind, 1, enhanced.PacketType.SEQUENCE_START, fourcc, track_number) + RECORDS[codec])
    reader, (sample,) = read(kind, *bodies)
    (track,) = reader.tracks
    assert (track.codec, track.kind, track.config, track.id % AUDIO_TRACK) == (codec, kind, RECORDS.get(codec, b""), track_number)
    composed = 40 if fourcc in enhanced.COMPOSED else 0
    header = flv.sequence_header(track, track_number)
    frames = [flv.frame_header(track, key, ms, track_number) + data for key, ms in ((True, 0), (kind is Kind.AUDIO, composed))]
    again, samples = read(kind, *([header] if header else []), *frames)
    if codec is not Codec.MP3 or track_number:
        assert again.tracks == reader.tracks
    assert [(s.keyframe, s.composition_offset, s.data) for s in samples] == [
        (True, 0, data),
        (kind is Kind.AUDIO, composed * MILLISECOND, data),
    ]
    assert sample.data == data


@pytest.mark.parametrize("number", [n for n, codec in flv.VIDEO_CODECS.items() if codec.opaque])
def test_old_pictures_stay_whole_tags(number: int) -> None:
    """Codecs that only Flash knew are not looked into: the frame is the tag body, and goes out as such."""
    bodies = [bytes((1 << 4 | number,)) + b"key", bytes((2 << 4 | number,)) + b"inter", bytes((3 << 4 | number,)) + b"disposable"]
    reader, samples = read(Kind.VIDEO, *bodies)
    assert [(s.keyframe, s.data) for s in samples] == [(True, bodies[0]), (False, bodies[1]), (False, bodies[2])]
    assert flv.frame_header(samples[0].track, True, 0) == flv.sequence_header(samples[0].track) == b""
    assert flv.fourcc_needed(reader.tracks[0]) is None


@pytest.mark.parametrize("number", [n for n, codec in flv.AUDIO_CODECS.items() if codec.opaque])
def test_old_sound_stays_whole_tags(number: int) -> None:
    """Nellymoser, Speex and the like pass untouched."""
    body = bytes((number << 4 | 6,)) + b"sound"
    reader, (sample,) = read(Kind.AUDIO, body)
    assert (sample.data, sample.keyframe) == (body, True)
    assert flv.frame_header(reader.tracks[0], True, 0) == b""


@pytest.mark.parametrize(
    ("first", "codec", "rate", "channels"),
    [
        (0x2F, Codec.MP3, 44100, 2),
        (0x2A, Codec.MP3, 22050, 1),
        (0xE2, Codec.MP3, 8000, 1),
        (0x72, Codec.G711A, 8000, 1),
        (0x83, Codec.G711U, 8000, 2),
    ],
)
def test_sound_that_its_tag_describes(first: int, codec: Codec, rate: int, channels: int) -> None:
    """MP3 and G.711 say in the first byte what they are, and the same byte is written again."""
    reader, (sample,) = read(Kind.AUDIO, bytes((first,)) + b"sound")
    (track,) = reader.tracks
    assert (track.codec, track.sample_rate, track.channels) == (codec, rate, channels)
    assert sample.data == b"sound"
    assert flv.frame_header(track, True, 0) == bytes((first,))


def test_hevc_by_its_unofficial_number() -> None:
    """Codec id 12 is read as HEVC, and written as Enhanced RTMP."""
    reader, (sample,) = read(Kind.VIDEO, b"\x1c\0\0\0\0" + vectors.HVCC_MAIN, b"\x1c\1\0\0\0" + NALS)
    assert sample.track.codec is Codec.H265
    assert flv.sequence_header(reader.tracks[0]).startswith(b"\x90hvc1")
    assert flv.fourcc_needed(reader.tracks[0]) == b"hvc1"


@pytest.mark.parametrize("size", [1, 2])
def test_short_nal_lengths_become_4_bytes(size: int) -> None:
    """An encoder with lengths of 1 or 2 bytes gives the same frames as any other."""
    record = bytearray(vectors.AVCC_HIGH)
    record[4] = 0xFC | size - 1
    body = b"\x17\1\0\0\0" + (3).to_bytes(size, "big") + b"\x65ab" + (1).to_bytes(size, "big") + b"\x41"
    reader, (sample,) = read(Kind.VIDEO, b"\x17\0\0\0\0" + bytes(record), body)
    assert sample.data == NALS
    assert reader.tracks[0].config[4] & 3 == 3


def test_frames_that_cannot_be_used_are_skipped() -> None:
    """Frames before their configuration, empty ones, info frames, unknown codecs and lying lengths are left out and counted."""
    reader = TagReader()
    for skipped, body in enumerate(
        (b"\x17\1\0\0\0" + NALS, b"\x57\0", b"\x1f\1\0\0\0", AVC, b"\x17\1\0\0\0\0\0\0\5\x65", b"\x17\1\0\0\0"), start=1
    ):
        assert reader.video(body) == []
        assert reader.skipped == skipped - (skipped > 3)
    assert reader.audio(b"\xd0xx") == []
    assert reader.skipped == 6


@pytest.mark.parametrize("body", [b"", b"\x17", b"\x17\1\0", b"\x17\2\0\0\0", b"\x17\0\0\0\0", b"\x90avc1", b"\xd0hvc1"])
def test_tags_that_say_nothing(body: bytes) -> None:
    """Empty tags, end of sequence and empty configurations change nothing."""
    reader = TagReader()
    reader.video(AVC)
    tracks = reader.tracks
    assert reader.video(body) == []
    assert reader.tracks is tracks


def test_the_same_configuration_again_is_no_change() -> None:
    """`tracks` stays the same object until something is new."""
    reader = TagReader()
    reader.video(AVC)
    reader.audio(AAC)
    tracks = reader.tracks
    reader.video(AVC)
    reader.audio(AAC)
    assert reader.tracks is tracks


def test_a_change_of_codec_does_not_mix_frames() -> None:
    """Frames of the codec before a change are not passed off as the new one's."""
    reader = TagReader()
    reader.video(AVC)
    reader.video(b"\x12sorenson")
    assert reader.video(b"\x17\1\0\0\0" + NALS) == []
    reader.audio(AAC)
    reader.audio(b"\xb2speex")
    assert reader.audio(b"\xaf\1raw") == []
    assert reader.skipped == 2
    reader.audio(AAC)
    assert len(reader.audio(b"\xaf\1raw")) == 1


def test_codecs_in_tags_of_the_other_kind_are_skipped() -> None:
    """H.264 in an audio tag, or Opus in a video tag, is nothing."""
    reader = TagReader()
    reader.audio(b"\x90avc1" + vectors.AVCC_HIGH)
    reader.video(b"\x90Opus" + vectors.OPUS_STEREO)
    assert reader.tracks == ()
    assert reader.skipped == 2


def test_a_new_codec_on_a_track_known_by_its_frames() -> None:
    """AC-3 behind AAC on the same track is recognised by its first frame."""
    reader = TagReader()
    reader.audio(AAC)
    (sample,) = reader.audio(b"\x91ac-3" + vectors.AC3_STEREO)
    assert sample.track.codec is Codec.AC3


def test_all_tracks_of_multitrack() -> None:
    """Tracks 0 to 255 of both kinds have ids of their own; more than 16 are refused."""
    reader = TagReader()
    reader.video(b"\x96\0avc1\xff" + vectors.AVCC_HIGH)
    reader.audio(b"\x95\0mp4a\xff" + vectors.ASC_STEREO)
    assert [track.id for track in reader.tracks] == [255, AUDIO_TRACK + 255]
    for number in range(14):
        reader.video(b"\x96\0avc1" + bytes((number,)) + vectors.AVCC_HIGH)
    with pytest.raises(MalformedData, match="16 tracks"):
        reader.audio(b"\x95\0mp4a\1" + vectors.ASC_STEREO)


@pytest.mark.parametrize("composition_ms", [-(1 << 30), -0x800000, -1, 0, 1, 0x7FFFFF, 1 << 30])
def test_composition_times_fit_their_field(composition_ms: int) -> None:
    """Composition times of any size are written in 24 bits, the nearest that can be."""
    track = Track(0, Kind.VIDEO, Codec.H264)
    header = flv.frame_header(track, True, composition_ms)
    assert int.from_bytes(header[2:], "big", signed=True) == max(-0x800000, min(composition_ms, 0x7FFFFF))


SAMPLES = [
    AVC,
    b"\x17\1\0\0\x28" + NALS,
    b"\x1c\0\0\0\0" + vectors.HVCC_MAIN,
    b"\x90hvc1" + vectors.HVCC_MAIN,
    b"\x91hvc1\0\0\x28" + NALS,
    b"\x90av01" + vectors.AV1C,
    b"\x90vp09" + vectors.VPCC_BOX[4:],
    b"\x96\x10avc1\1" + len(vectors.AVCC_HIGH).to_bytes(3, "big") + vectors.AVCC_HIGH,
    AAC,
    b"\xaf\1raw",
    b"\x90Opus" + vectors.OPUS_5_1,
    b"\x90fLaC" + vectors.STREAMINFO,
    b"\x91ac-3" + vectors.AC3_5_1,
    b"\x91ec-3" + vectors.EAC3_STEREO,
    b"\x91.mp3" + vectors.MP3_STEREO,
    b"\x2f" + vectors.MP3_STEREO,
    b"\xb2speex",
]


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_cut_off_and_damaged_tags(kind: str) -> None:
    """A tag cut off anywhere, and 20,000 damaged ones in a row, are read, left out, or refused as malformed."""
    inputs = [cut for sample in SAMPLES for cut in prefixes(sample)] + [*mutated(SAMPLES)]
    frames = refused = 0
    reader = TagReader()
    for number, data in enumerate(inputs):
        if number % 20 == 0:
            reader = TagReader()
            getattr(reader, kind)(AVC if kind == "video" else AAC)
        tag: Callable[[bytes], list[Sample]] = getattr(reader, kind)
        try:
            samples = tag(data)
        except MalformedData:
            refused += 1
            continue
        frames += len(samples)
        for sample in samples:
            assert sample.track in reader.tracks
            assert abs(sample.composition_offset) <= 0x800000 * MILLISECOND
            flv.frame_header(sample.track, sample.keyframe, 0)
            flv.sequence_header(sample.track)
    assert frames > 300
    assert refused > 500
