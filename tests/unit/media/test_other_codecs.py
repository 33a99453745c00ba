"""AV1, VP8, VP9, Opus, FLAC, AC-3 and MP3: what their headers tell, and what is done with lies."""

from collections.abc import Callable
from fractions import Fraction

import pytest

from ems.errors import MalformedData
from ems.media import ac3, av1, flac, mp3, opus, vpx
from ems.media.track import Codec, Kind, Track
from tests.unit.media import vectors
from tests.unit.media.bit_writer import BitWriter
from tests.unit.media.mutation import mutated, prefixes, refusals

PARSERS: list[tuple[Callable[[int, bytes], Track], list[bytes]]] = [
    (av1.make_track, [vectors.AV1C]),
    (vpx.make_track, [vectors.VPCC_BOX, vectors.VPCC_BOX[4:]]),
    (opus.make_track, [vectors.OPUS_STEREO, vectors.OPUS_5_1]),
    (flac.make_track, [vectors.STREAMINFO, b"fLaC\x80\0\0\x22" + vectors.STREAMINFO]),
    (ac3.make_track, [vectors.AC3_5_1, vectors.AC3_STEREO, vectors.EAC3_STEREO]),
    (mp3.make_track, [vectors.MP3_STEREO, vectors.MP3_LOW_MONO]),
]


def test_av1() -> None:
    """The size comes from the sequence header, the codec string from the record."""
    track = av1.make_track(4, vectors.AV1C)
    assert (track.id, track.kind, track.codec, track.config) == (4, Kind.VIDEO, Codec.AV1, vectors.AV1C)
    assert (track.codec_string, track.width, track.height, track.frame_rate) == ("av01.0.01M.08", 640, 360, None)


@pytest.mark.parametrize(
    ("record", "codec_string"),
    [("8108 4c00", "av01.0.08M.10"), ("8153fc00", "av01.2.19H.12"), ("8100 1c00", "av01.0.00M.08")],
)
def test_av1_without_sequence_header(record: str, codec_string: str) -> None:
    """Four bytes tell profile, level, tier and depth; the size is then unknown."""
    track = av1.make_track(0, bytes.fromhex(record))
    assert (track.codec_string, track.width, track.height) == (codec_string, 0, 0)


def test_av1_frame_rate() -> None:
    """Timing with equal intervals gives a frame rate; decoder model and operating points before the size are passed over."""
    bits = BitWriter().u(5, 0).u(1, 1).u(32, 1001).u(32, 60000).u(1, 1).ue(1)
    bits.u(1, 1).u(5, 9).u(32, 1).u(5, 1).u(5, 1)
    bits.u(1, 1).u(5, 1)
    bits.u(12, 0).u(5, 8).u(1, 0).u(1, 1).u(10, 1).u(10, 1).u(1, 0).u(1, 1).u(4, 3)
    bits.u(12, 0).u(5, 4).u(1, 0).u(1, 0)
    bits.u(4, 10).u(4, 10).u(11, 1919).u(11, 1079).u(7, 0)
    payload = int(bits.bits[: len(bits.bits) // 8 * 8], 2).to_bytes(len(bits.bits) // 8, "big")
    assert av1.parse_sequence_header(payload) == av1.SequenceHeader(0, 1920, 1080, Fraction(30000, 1001))


@pytest.mark.parametrize(
    "record", ["", "81", "0108 0c00", "8108 0c00 0a", "8108 0c00 0aff", "8108 0c00 08 00", "8108 0c00 0a ffffffffffffffffff01"]
)
def test_broken_av1_records_are_refused(record: str) -> None:
    """Cut off, another version, an OBU without size, sizes that lie: malformed."""
    with pytest.raises(MalformedData):
        av1.make_track(0, bytes.fromhex(record))


@pytest.mark.parametrize("record", [vectors.VPCC_BOX, vectors.VPCC_BOX[4:]])
def test_vp9(record: bytes) -> None:
    """With or without the box's version and flags, the record is the same eight bytes."""
    track = vpx.make_track(4, record)
    assert (track.kind, track.codec, track.config) == (Kind.VIDEO, Codec.VP9, vectors.VPCC_BOX[4:])
    assert (track.codec_string, track.profile, track.level) == ("vp09.00.21.08", 0, 21)
    assert vpx.make_track(4, record, Codec.VP8).codec_string == "vp08.00.21.08"


def test_vp9_with_initialisation_data_is_refused() -> None:
    """The codec has none."""
    with pytest.raises(MalformedData):
        vpx.make_track(0, bytes.fromhex("00158202020200010a"))


@pytest.mark.parametrize(("header", "channels", "mapping"), [(vectors.OPUS_STEREO, 2, ""), (vectors.OPUS_5_1, 6, "000401020305")])
def test_opus(header: bytes, channels: int, mapping: str) -> None:
    """Channels and mapping are read; the clock is 48 kHz, whatever the input was."""
    track = opus.make_track(4, header)
    assert (track.kind, track.codec, track.config, track.codec_string) == (Kind.AUDIO, Codec.OPUS, header, "opus")
    assert (track.sample_rate, track.channels) == (48000, channels)
    head = opus.OpusHead.parse(header)
    assert (head.pre_skip, head.mapping.hex(), bytes(head)) == (312, mapping, header)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"OpusTags" + vectors.OPUS_STEREO[8:],
        vectors.OPUS_STEREO[:8] + b"\x10" + vectors.OPUS_STEREO[9:],
        vectors.OPUS_STEREO[:9] + b"\0" + vectors.OPUS_STEREO[10:],
        vectors.OPUS_STEREO[:9] + b"\3" + vectors.OPUS_STEREO[10:],
        vectors.OPUS_5_1[:-1],
        vectors.OPUS_5_1[:19] + b"\2\3" + vectors.OPUS_5_1[21:],
    ],
)
def test_broken_opus_headers_are_refused(header: bytes) -> None:
    """Nothing, another magic or version, no or too many channels, a mapping that is cut off or impossible."""
    with pytest.raises(MalformedData):
        opus.make_track(0, header)


@pytest.mark.parametrize("before", ["", "80000022", "00000022", "664c614380000022", "664c6143"])
def test_flac(before: str) -> None:
    """STREAMINFO is found behind magic and block header, and kept without them."""
    track = flac.make_track(4, bytes.fromhex(before) + vectors.STREAMINFO)
    assert (track.kind, track.codec, track.config, track.codec_string) == (Kind.AUDIO, Codec.FLAC, vectors.STREAMINFO, "flac")
    assert (track.sample_rate, track.channels) == (44100, 2)
    info = flac.StreamInfo.parse(track.config)
    assert (info.min_block_size, info.max_block_size, info.bits_per_sample, info.total_samples) == (4608, 4608, 16, 8820)


@pytest.mark.parametrize("config", [b"", b"fLaC", vectors.STREAMINFO[:33], b"\x80\0\0\x22" + vectors.STREAMINFO[:33], bytes(34)])
def test_broken_flac_configurations_are_refused(config: bytes) -> None:
    """Cut off, or a rate of 0."""
    with pytest.raises(MalformedData):
        flac.make_track(0, config)


@pytest.mark.parametrize(
    ("frame", "codec", "codec_string", "rate", "channels", "size"),
    [
        (vectors.AC3_5_1, Codec.AC3, "ac-3", 48000, 6, 1792),
        (vectors.AC3_STEREO, Codec.AC3, "ac-3", 44100, 2, 834),
        (vectors.EAC3_STEREO, Codec.EAC3, "ec-3", 44100, 2, 834),
    ],
)
def test_ac3(frame: bytes, codec: Codec, codec_string: str, rate: int, channels: int, size: int) -> None:
    """AC-3 and E-AC-3 are told apart, and rate, channels and frame size are read."""
    track = ac3.make_track(4, frame)
    assert (track.codec, track.codec_string, track.sample_rate, track.channels) == (codec, codec_string, rate, channels)
    header = ac3.parse_sync_frame(frame)
    assert (header.frame_size, header.samples) == (size, 1536)


@pytest.mark.parametrize("frame", ["", "0b77", "770b000000000000", "0b770000c0400000", "0b77000026400000", "0b77000000880000"])
def test_broken_ac3_is_refused(frame: str) -> None:
    """Cut off, no sync word, reserved rates and sizes, an unknown version: malformed."""
    with pytest.raises(MalformedData):
        ac3.parse_sync_frame(bytes.fromhex(frame))


@pytest.mark.parametrize(
    ("frame", "codec_string", "rate", "channels", "samples", "size"),
    [
        (vectors.MP3_STEREO, "mp4a.6B", 44100, 2, 1152, 417),
        (vectors.MP3_LOW_MONO, "mp4a.69", 22050, 1, 576, 104),
        (bytes.fromhex("fffd9404"), "mp4a.6B", 48000, 2, 1152, 480),
        (bytes.fromhex("ffff9004"), "mp4a.6B", 44100, 2, 384, 312),
        (bytes.fromhex("ffe318c4"), "mp4a.69", 8000, 1, 576, 72),
        (bytes.fromhex("fffb0004"), "mp4a.6B", 44100, 2, 1152, 0),
    ],
)
def test_mp3(frame: bytes, codec_string: str, rate: int, channels: int, samples: int, size: int) -> None:
    """Layers I to III of MPEG-1, 2 and 2.5 tell rate, channels, samples and size; the free format has no size."""
    track = mp3.make_track(4, frame)
    assert (track.codec, track.codec_string, track.sample_rate, track.channels) == (Codec.MP3, codec_string, rate, channels)
    header = mp3.parse_frame_header(frame)
    assert (header.samples, header.frame_size) == (samples, size)


@pytest.mark.parametrize("frame", ["", "fffb90", "ffeb9064", "fff99064", "fffbf064", "fffb9c64", "00000000"])
def test_broken_mp3_is_refused(frame: str) -> None:
    """Cut off, reserved version, layer, bit rate or sampling frequency, no sync: malformed."""
    with pytest.raises(MalformedData):
        mp3.parse_frame_header(bytes.fromhex(frame))


@pytest.mark.parametrize(("make_track", "originals"), PARSERS, ids=lambda value: getattr(value, "__module__", ""))
def test_damage_only_raises_malformed_data(make_track: Callable[[int, bytes], Track], originals: list[bytes]) -> None:
    """Every prefix and 20,000 mutations of each codec's header are read or refused."""
    for original in originals:
        assert refusals(lambda data: make_track(0, data), prefixes(original))[1] > 0
    assert min(refusals(lambda data: make_track(0, data), mutated(originals))) > 0
