"""H.265 configuration: what is read from it, and what is done with lies."""

from dataclasses import replace
from fractions import Fraction

import pytest

from ems.errors import MalformedData
from ems.media import h265
from ems.media.h265 import HevcConfiguration, NalType, ProfileTierLevel, parse_sps
from ems.media.nal import join_lengths
from ems.media.track import Codec, Kind
from tests.unit.media import vectors
from tests.unit.media.bit_writer import BitWriter
from tests.unit.media.mutation import mutated, prefixes, refusals

RECORDS = [vectors.HVCC_MAIN, vectors.HVCC_MAIN_10]


@pytest.mark.parametrize(
    ("record", "codec_string", "size", "frame_rate"),
    [
        (vectors.HVCC_MAIN, "hvc1.1.6.L123.90", (1920, 1080), Fraction(50)),
        (vectors.HVCC_MAIN_10, "hvc1.2.4.L63.90", (640, 360), Fraction(24000, 1001)),
    ],
)
def test_a_track_tells_what_the_encoder_was_told(
    record: bytes, codec_string: str, size: tuple[int, int], frame_rate: Fraction
) -> None:
    """Size, frame rate and profile of an x265 stream are those it was made with."""
    track = h265.make_track(7, record)
    assert (track.id, track.kind, track.codec, track.config) == (7, Kind.VIDEO, Codec.H265, record)
    assert (track.codec_string, (track.width, track.height), track.frame_rate) == (codec_string, size, frame_rate)


def test_the_sps_tells_the_rest() -> None:
    """Bit depths, sub-layers and reordering are read too."""
    sps = parse_sps(HevcConfiguration.parse(vectors.HVCC_MAIN_10).sps[0])
    assert (sps.bit_depth_luma, sps.bit_depth_chroma, sps.chroma_format_idc) == (10, 10, 1)
    assert (sps.max_sub_layers, sps.max_num_reorder_pics) == (2, 2)


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_is_written_as_it_was_read(record: bytes) -> None:
    """A record that is read and written is the same, and one made from its parameter sets tells the same."""
    parsed = HevcConfiguration.parse(record)
    assert bytes(parsed) == record
    made = HevcConfiguration.parse(bytes(h265.make_configuration(parsed.vps * 2, parsed.sps, parsed.pps)))
    assert (made.vps, made.sps, made.pps, made.profile) == (parsed.vps, parsed.sps, parsed.pps, parsed.profile)
    assert (made.bit_depth_luma, made.num_temporal_layers) == (parsed.bit_depth_luma, parsed.num_temporal_layers)


def test_stream_wide_sei_is_kept_and_other_nal_units_are_not() -> None:
    """HDR messages in the record survive; an access unit delimiter there does not."""
    record = replace(HevcConfiguration.parse(vectors.HVCC_MAIN), sei=(b"\x4e\x01\x89\x80", b"\x50\x01\x80"))
    with_delimiter = bytes(record)[:22] + b"\x06" + bytes(record)[23:] + bytes.fromhex("23 0001 0003 460150")
    assert HevcConfiguration.parse(with_delimiter) == record


@pytest.mark.parametrize(
    ("levels", "codec_string"),
    [
        (ProfileTierLevel(0, False, 1, 0x60000000, 0xB00000000000, 93), "hvc1.1.6.L93.B0"),
        (ProfileTierLevel(1, True, 2, 0x20000000, 0, 120), "hvc1.A2.4.H120"),
        (ProfileTierLevel(0, False, 4, 0x08000000, 0x9E0800000000, 150), "hvc1.4.10.L150.9E.8"),
        (ProfileTierLevel(3, False, 1, 1, 1, 30), "hvc1.C1.80000000.L30.0.0.0.0.0.1"),
    ],
)
def test_codec_strings_follow_annex_e(levels: ProfileTierLevel, codec_string: str) -> None:
    """Profile space, reversed compatibility, tier, and constraint bytes without trailing zeros."""
    assert levels.codec_string == codec_string


def test_short_lengths_and_draft_version() -> None:
    """A version 0 record for 2-byte lengths gives a version 1 record for 4-byte ones."""
    record = b"\0" + vectors.HVCC_MAIN[1:21] + b"\x0d" + vectors.HVCC_MAIN[22:]
    assert HevcConfiguration.parse(record).length_size == 2
    assert h265.make_track(0, record).config == vectors.HVCC_MAIN


def test_a_record_without_parameter_sets_is_a_track_of_unknown_size() -> None:
    """Encoders that send parameter sets only in the stream (hev1) are not refused."""
    track = h265.make_track(0, vectors.HVCC_MAIN[:22] + b"\0")
    assert (track.codec_string, track.width, track.frame_rate) == ("hvc1.1.6.L123.90", 0, None)


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"\2" + vectors.HVCC_MAIN[1:],
        vectors.HVCC_MAIN[:22],
        vectors.HVCC_MAIN[:21] + b"\x0e" + vectors.HVCC_MAIN[22:],
        vectors.HVCC_MAIN[:22] + bytes.fromhex("01 a1 ffff") + bytes(200_000),
        vectors.HVCC_MAIN[:22] + bytes.fromhex("ff") + bytes.fromhex("a1 00ff") * 255 + bytes(200_000),
    ],
)
def test_broken_records_are_refused(record: bytes) -> None:
    """Empty, another version, cut off, 3-byte lengths, thousands of parameter sets: malformed."""
    with pytest.raises(MalformedData):
        h265.make_track(0, record)


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_configuration_needs_all_parameter_sets(missing: int) -> None:
    """Without VPS, SPS or PPS no decoder starts."""
    parsed = HevcConfiguration.parse(vectors.HVCC_MAIN)
    sets = [parsed.vps, parsed.sps, parsed.pps]
    sets[missing] = ()
    with pytest.raises(MalformedData):
        h265.make_configuration(*sets)


@pytest.mark.parametrize(
    ("nals", "keyframe"),
    [
        (["460150", "4001", "4201", "4401", "2601af"], True),
        (["2801af"], True),
        (["2a01af"], True),
        (["2001af"], True),
        (["2c01af"], False),
        (["0201d0"], False),
        (["4e0105", "0201d0", "2601af"], False),
        ([], False),
    ],
)
def test_key_frames_are_irap_pictures(nals: list[str], keyframe: bool) -> None:
    """IDR, CRA and BLA pictures begin a stream, trailing pictures do not."""
    assert h265.is_keyframe(join_lengths(bytes.fromhex(unit) for unit in nals)) is keyframe


def test_nal_unit_types_have_names() -> None:
    """Six bits behind the first are the type; nothing has none."""
    assert h265.nal_type(b"\x42\x01") == NalType.SPS
    with pytest.raises(MalformedData):
        h265.nal_type(b"")


def _sps_start(max_sub_layers: int = 1) -> BitWriter:
    """An SPS of Main profile up to its id."""
    bits = BitWriter().u(16, 0x4201).u(4, 0).u(3, max_sub_layers - 1).u(1, 1)
    return bits.u(8, 1).u(32, 0x60000000).u(48, 0).u(8, 93)


def _sps(width: int, height: int, window: tuple[int, ...] = ()) -> BitWriter:
    """An SPS up to the bit depths, 4:2:0."""
    return _sps_start().ue(0, 1, width, height).u(1, bool(window)).ue(*window)


def _rest(bits: BitWriter) -> BitWriter:
    """The bit depths and the sub-layer ordering behind them."""
    return bits.ue(0, 0, 4).u(1, 1).ue(4, 2, 0)


def test_the_conformance_window_is_in_chroma_samples() -> None:
    """4:2:0 pictures are cropped in steps of two pixels."""
    sps = parse_sps(bytes(_rest(_sps(1920, 1088, (0, 1, 0, 4)))))
    assert (sps.width, sps.height, sps.frame_rate) == (1918, 1080, None)


@pytest.mark.parametrize(
    "sps",
    [
        _sps(0, 1080),
        _sps(1920, 0),
        _sps(16385, 16),
        _sps(2**32 - 2, 2**32 - 2),
        _sps(640, 360, (160, 160, 0, 0)),
        _sps(640, 360, (0, 0, 2**32 - 2, 0)),
        _sps_start(8),
        _sps_start().ue(0, 4),
    ],
)
def test_impossible_pictures_are_refused(sps: BitWriter) -> None:
    """No pixels, more than 16384 a side, eight sub-layers, chroma format 4: malformed."""
    with pytest.raises(MalformedData):
        parse_sps(bytes(_rest(sps)))


@pytest.mark.parametrize(
    "tools",
    [
        BitWriter().ue(65),  # num_short_term_ref_pic_sets
        BitWriter().ue(2**32 - 2),
        BitWriter().ue(1, 2**32 - 2, 2**32 - 2),  # num_negative_pics, num_positive_pics
        BitWriter().ue(0).u(1, 1).ue(2**32 - 2),  # num_long_term_ref_pics_sps
    ],
)
def test_huge_reference_sets_cost_only_the_frame_rate(tools: BitWriter) -> None:
    """Counts that no decoder has are not looped over; the size stands."""
    bits = _rest(_sps(640, 360)).ue(0, 0, 0, 0, 0, 0).u(4, 0)
    sps = parse_sps(bytes(BitWriter(bits.bits + tools.bits + "1" * 30000)))
    assert (sps.width, sps.height, sps.frame_rate) == (640, 360, None)


@pytest.mark.parametrize("nal", [b"", b"\x42", b"\x44\x01\xc1", b"\x42\x01" + bytes(70000)])
def test_what_is_no_sps_is_refused(nal: bytes) -> None:
    """Nothing, half a header, a PPS, zeros without end."""
    with pytest.raises(MalformedData):
        parse_sps(nal)


@pytest.mark.parametrize("record", RECORDS)
def test_every_prefix_is_read_or_refused(record: bytes) -> None:
    """A record or SPS that is cut off anywhere never does more than raise `MalformedData`."""
    assert refusals(lambda data: h265.make_track(0, data), prefixes(record))[0] == 0
    assert min(refusals(parse_sps, prefixes(HevcConfiguration.parse(record).sps[0]))) > 0


def test_damaged_records_only_raise_malformed_data() -> None:
    """20,000 mutations of real records and parameter sets: each is read or refused, and what is read can be written."""

    def read_and_write(data: bytes) -> None:
        config = h265.make_track(0, data).config
        assert bytes(HevcConfiguration.parse(config)) == config

    assert min(refusals(read_and_write, mutated(RECORDS))) > 0
    assert min(refusals(parse_sps, mutated([HevcConfiguration.parse(record).sps[0] for record in RECORDS]))) > 0
