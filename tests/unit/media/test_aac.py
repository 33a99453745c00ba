"""AAC configurations and ADTS headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.errors import MalformedData
from ems.media import aac
from ems.media.aac import AudioSpecificConfig, adts_header, parse_adts_header
from ems.media.track import Codec, Kind
from tests.unit.media import vectors
from tests.unit.media.bit_writer import BitWriter
from tests.unit.media.mutation import mutated, prefixes, refusals

LC_STEREO = bytes.fromhex("1210")
HE_HIERARCHICAL = bytes.fromhex("2b920800")
HE_COMPATIBLE = bytes.fromhex("139056e5a0")
HE_V2_HIERARCHICAL = bytes.fromhex("eb8a0800")
HE_V2_COMPATIBLE = bytes.fromhex("138856e5a54880")
ESCAPE_RATE = bytes.fromhex("1780271010")


def _program_config(front: str, side: str = "", back: str = "", lfe: int = 0) -> BitWriter:
    """AAC-LC at 48 kHz with a program config element; each element is 1 for a pair, 0 for a single channel; tag 0."""
    bits = BitWriter().u(5, 2).u(4, 3).u(4, 0).u(3, 0).u(10, 3)
    bits.u(4, len(front)).u(4, len(side)).u(4, len(back)).u(2, lfe).u(3, 0).u(4, 0).u(3, 0)
    for pair in front + side + back:
        bits.u(1, int(pair)).u(4, 0)
    bits.u(4 * lfe, 0)
    return bits.u(-len(bits.bits) % 8, 0).u(8, 2).u(16, 0x4142)


QUAD = bytes(_program_config("1", back="1"))

CONFIGS = [LC_STEREO, vectors.ASC_STEREO, vectors.ASC_5_1, HE_HIERARCHICAL, HE_COMPATIBLE, HE_V2_COMPATIBLE, ESCAPE_RATE, QUAD]


@pytest.mark.parametrize(
    ("config", "object_type", "rate", "channels", "codec_string", "output_rate"),
    [
        (LC_STEREO, 2, 44100, 2, "mp4a.40.2", 0),
        (vectors.ASC_STEREO, 2, 44100, 2, "mp4a.40.2", 0),
        (vectors.ASC_5_1, 2, 48000, 6, "mp4a.40.2", 0),
        (HE_HIERARCHICAL, 2, 22050, 2, "mp4a.40.5", 44100),
        (HE_COMPATIBLE, 2, 22050, 2, "mp4a.40.5", 44100),
        (HE_V2_HIERARCHICAL, 2, 22050, 1, "mp4a.40.29", 44100),
        (HE_V2_COMPATIBLE, 2, 22050, 1, "mp4a.40.29", 44100),
        (ESCAPE_RATE, 2, 20000, 2, "mp4a.40.2", 0),
        (bytes.fromhex("f9484000"), 42, 44100, 2, "mp4a.40.42", 0),
        (bytes.fromhex("11bc"), 2, 48000, 8, "mp4a.40.2", 0),
    ],
)
def test_a_track_tells_what_the_configuration_says(
    config: bytes, object_type: int, rate: int, channels: int, codec_string: str, output_rate: int
) -> None:
    """Rate and channels are the core's, however HE-AAC is announced; the codec string names the whole."""
    track = aac.make_track(3, config)
    assert (track.id, track.kind, track.codec, track.config) == (3, Kind.AUDIO, Codec.AAC, config)
    assert (track.profile, track.sample_rate, track.channels, track.codec_string) == (object_type, rate, channels, codec_string)
    assert AudioSpecificConfig.parse(config).extension_sample_rate == output_rate


@pytest.mark.parametrize(
    ("config", "frame_length"),
    [("1210", 1024), ("1214", 960), ("f8ea2000", 512), ("f8ea3000", 480), ("ba10", 512)],
)
def test_frames_have_the_length_that_the_configuration_says(config: str, frame_length: int) -> None:
    """1024 samples, 960 with the flag, half of it for the low-delay types."""
    assert AudioSpecificConfig.parse(bytes.fromhex(config)).frame_length == frame_length


@pytest.mark.parametrize(
    ("config", "channels"),
    [
        (_program_config("1", back="1"), 4),
        (_program_config("0"), 1),
        (_program_config("01", side="1", back="1", lfe=1), 8),
        (_program_config("1" * 15, "1" * 15, "1" * 15, 3), 93),
    ],
)
def test_channels_of_a_program_config_element_are_counted(config: BitWriter, channels: int) -> None:
    """channelConfiguration 0: the layout is spelt out, and SBR may still be announced behind it."""
    assert AudioSpecificConfig.parse(bytes(config)).channels == channels
    extended = BitWriter(config.bits).u(11, 0x2B7).u(5, 5).u(1, 1).u(4, 3)
    assert AudioSpecificConfig.parse(int(extended.bits + "000", 2).to_bytes(len(extended.bits + "000") // 8, "big")).sbr


@given(
    st.sampled_from([1, 2, 3, 4]),
    st.one_of(st.sampled_from(aac.SAMPLE_RATES), st.integers(1, 2**24 - 1)),
    st.sampled_from(sorted(aac.CHANNELS)),
    st.sampled_from([1024, 960]),
)
def test_the_plain_form_comes_back(object_type: int, rate: int, layout: int, frame_length: int) -> None:
    """A configuration that is written and read is the same, odd rates included."""
    config = AudioSpecificConfig(object_type, rate, layout, aac.CHANNELS[layout], frame_length)
    assert AudioSpecificConfig.parse(bytes(config)) == config
    assert len(bytes(config)) == (2 if rate in aac.SAMPLE_RATES else 5)


def test_the_plain_form_of_he_aac_is_its_core() -> None:
    """Every decoder plays the core."""
    assert bytes(AudioSpecificConfig.parse(HE_V2_COMPATIBLE)).hex() == "1388"


@pytest.mark.parametrize("config", [QUAD, bytes.fromhex("f9484000")])
def test_what_has_no_plain_form_is_not_written(config: bytes) -> None:
    """Spelt-out layouts and other object types have no two-byte form."""
    with pytest.raises(MalformedData):
        bytes(AudioSpecificConfig.parse(config))


@pytest.mark.parametrize("config", ["", "12", "1690", "1780000010", "1240", "1278", "17", "1200", "10000000000000000000"])
def test_broken_configurations_are_refused(config: str) -> None:
    """Cut off, reserved rate, rate 0, reserved layout, a layout of no channels: malformed."""
    with pytest.raises(MalformedData):
        AudioSpecificConfig.parse(bytes.fromhex(config))


def test_adts_is_read() -> None:
    """The first header of ffmpeg's .aac file tells format and size."""
    header = parse_adts_header(b"xx" + vectors.ADTS, 2)
    assert header.config == AudioSpecificConfig.parse(LC_STEREO)
    assert (header.header_length, header.frame_length, header.raw_data_blocks) == (7, 345, 1)


def test_adts_is_written_like_ffmpeg_writes_it() -> None:
    """From the configuration as bytes or as value, the same seven bytes."""
    assert adts_header(LC_STEREO, 345 - 7) == vectors.ADTS[:7]
    assert adts_header(AudioSpecificConfig.parse(LC_STEREO), 345 - 7) == vectors.ADTS[:7]


@given(st.sampled_from(aac.SAMPLE_RATES), st.integers(1, 7), st.integers(0, 8184), st.integers(1, 4))
def test_adts_comes_back(rate: int, layout: int, size: int, object_type: int) -> None:
    """Every format and size that ADTS can say survives."""
    config = AudioSpecificConfig(object_type, rate, layout, aac.CHANNELS[layout])
    header = parse_adts_header(adts_header(bytes(config), size))
    assert (header.config, header.frame_length - header.header_length) == (config, size)


def test_adts_with_a_crc_has_nine_bytes() -> None:
    """The access unit begins behind the CRC."""
    assert parse_adts_header(b"\xff\xf0" + vectors.ADTS[2:]).header_length == 9


def test_adts_may_leave_the_layout_to_the_frames() -> None:
    """channel_configuration 0 is read; the number of channels is then unknown."""
    assert parse_adts_header(b"\xff\xf1\x50\x00" + vectors.ADTS[4:]).config.channels == 0


@pytest.mark.parametrize(
    "header",
    [
        "",
        "fff150802b3f",
        "fff250802b3ffc",
        "fee150802b3ffc",
        "fff174802b3ffc",
        "fff1508000dffc",
        "fff05080011ffc",
    ],
)
def test_broken_adts_is_refused(header: str) -> None:
    """Cut off, a layer, no sync, a reserved rate, a size below the header's own: malformed."""
    with pytest.raises(MalformedData):
        parse_adts_header(bytes.fromhex(header))


@pytest.mark.parametrize("config", [ESCAPE_RATE, bytes.fromhex("f9484000"), bytes.fromhex("11d8")])
def test_what_adts_cannot_say_is_refused(config: bytes) -> None:
    """Odd rates, other object types and layouts above 7 have no ADTS header."""
    with pytest.raises(MalformedData):
        adts_header(config, 100)


def test_a_frame_too_long_for_adts_is_refused() -> None:
    """13 bits count header and frame."""
    assert parse_adts_header(adts_header(LC_STEREO, 8184)).frame_length == 8191
    with pytest.raises(MalformedData):
        adts_header(LC_STEREO, 8185)


@pytest.mark.parametrize("config", CONFIGS)
def test_every_prefix_is_read_or_refused(config: bytes) -> None:
    """A configuration that is cut off anywhere never does more than raise `MalformedData`."""
    assert refusals(AudioSpecificConfig.parse, prefixes(config))[1] > 0


def test_damaged_configurations_only_raise_malformed_data() -> None:
    """20,000 mutations of configurations and ADTS headers: each is read or refused."""
    assert min(refusals(lambda data: aac.make_track(0, data), mutated(CONFIGS))) > 0
    assert min(refusals(parse_adts_header, mutated([vectors.ADTS]))) > 0
