"""H.264 configuration: what is read from it, and what is done with lies."""

from dataclasses import replace
from fractions import Fraction

import pytest

from ems.errors import MalformedData
from ems.media import h264
from ems.media.h264 import AvcConfiguration, NalType, parse_sps
from ems.media.nal import join_lengths
from ems.media.track import Codec, Kind
from tests.unit.media import vectors
from tests.unit.media.bit_writer import BitWriter
from tests.unit.media.mutation import mutated, prefixes, refusals

RECORDS = [vectors.AVCC_HIGH, vectors.AVCC_BASELINE, vectors.AVCC_HIGH_422, vectors.AVCC_INTERLACED]


@pytest.mark.parametrize(
    ("record", "codec_string", "size", "frame_rate"),
    [
        (vectors.AVCC_HIGH, "avc1.64001E", (640, 360), Fraction(30)),
        (vectors.AVCC_BASELINE, "avc1.42C028", (1920, 1080), Fraction(30000, 1001)),
        (vectors.AVCC_HIGH_422, "avc1.7A000C", (320, 180), Fraction(25)),
        (vectors.AVCC_INTERLACED, "avc1.64001E", (720, 576), Fraction(25)),
    ],
)
def test_a_track_tells_what_the_encoder_was_told(
    record: bytes, codec_string: str, size: tuple[int, int], frame_rate: Fraction
) -> None:
    """Size, frame rate and profile of an x264 stream are those it was made with."""
    track = h264.make_track(7, record)
    assert (track.id, track.kind, track.codec, track.config) == (7, Kind.VIDEO, Codec.H264, record)
    assert (track.codec_string, (track.width, track.height), track.frame_rate) == (codec_string, size, frame_rate)
    assert (track.profile, track.level) == (record[1], record[3])


def test_the_sps_tells_the_rest() -> None:
    """Bit depths, chroma format, interlacing and reordering are read too."""
    high_422 = parse_sps(AvcConfiguration.parse(vectors.AVCC_HIGH_422).sps[0])
    assert (high_422.chroma_format_idc, high_422.bit_depth_luma, high_422.bit_depth_chroma) == (2, 10, 10)
    interlaced = parse_sps(AvcConfiguration.parse(vectors.AVCC_INTERLACED).sps[0])
    assert (interlaced.frame_mbs_only, interlaced.max_num_reorder_frames) == (False, 2)
    baseline = parse_sps(AvcConfiguration.parse(vectors.AVCC_BASELINE).sps[0])
    assert (baseline.constraint_flags, baseline.pic_order_cnt_type, baseline.max_num_reorder_frames) == (0xC0, 2, 0)


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_is_written_as_it_was_read(record: bytes) -> None:
    """Reading and writing a record, or making it from its parameter sets, gives x264's bytes."""
    parsed = AvcConfiguration.parse(record)
    assert bytes(parsed) == record
    assert bytes(h264.make_configuration(parsed.sps, parsed.pps)) == record


def test_short_lengths_become_four_bytes() -> None:
    """A source with 2-byte NAL unit lengths gives a record for 4-byte ones, and says what its frames have."""
    record = vectors.AVCC_HIGH[:4] + b"\xfd" + vectors.AVCC_HIGH[5:]
    assert AvcConfiguration.parse(record).length_size == 2
    assert h264.make_track(0, record).config == vectors.AVCC_HIGH


def test_a_high_profile_record_may_end_behind_the_pps() -> None:
    """Old encoders leave chroma format and bit depths out: they come from the SPS."""
    assert h264.make_track(0, vectors.AVCC_HIGH_422[:-4]).config == vectors.AVCC_HIGH_422


def test_a_record_without_parameter_sets_is_a_track_of_unknown_size() -> None:
    """Encoders that send SPS and PPS only in the stream (avc3) are not refused."""
    track = h264.make_track(0, bytes.fromhex("0164001effe000"))
    assert (track.codec_string, track.width, track.height, track.frame_rate) == ("avc1.64001E", 0, 0, None)
    assert h264.make_track(0, bytes.fromhex("0142001effe000")).config == bytes.fromhex("0142001effe000")


@pytest.mark.parametrize(
    "record", ["", "01", "0164001e", "0164001effe1", "0064001effe000", "0164001efee000", "0164001effe100020000"]
)
def test_broken_records_are_refused(record: str) -> None:
    """Empty, cut off, another version, 3-byte lengths, a size that lies: malformed."""
    with pytest.raises(MalformedData):
        h264.make_track(0, bytes.fromhex(record))


def test_extension_parameter_sets_are_kept() -> None:
    """An SPS extension in the record (alpha planes) survives."""
    record = replace(AvcConfiguration.parse(vectors.AVCC_HIGH), sps_extensions=(b"\x6d\x80",))
    assert AvcConfiguration.parse(bytes(record)) == record


def test_doubled_parameter_sets_are_one() -> None:
    """A source that repeats its SPS with each key frame has one SPS in the record."""
    parsed = AvcConfiguration.parse(vectors.AVCC_HIGH)
    assert bytes(h264.make_configuration(parsed.sps * 3, parsed.pps * 2)) == vectors.AVCC_HIGH


@pytest.mark.parametrize(
    ("sps", "pps"),
    [
        ([], [b"\x68"]),
        ([b"\x67\x64\x00\x1e"], []),
        ([b"\x67" + bytes([n]) for n in range(32)], [b"\x68"]),
        ([b"\x67" * 65536], [b"\x68"]),
    ],
)
def test_parameter_sets_that_make_no_record_are_refused(sps: list[bytes], pps: list[bytes]) -> None:
    """None, too many or too long."""
    with pytest.raises(MalformedData):
        h264.make_configuration(sps, pps)


@pytest.mark.parametrize(
    ("nals", "keyframe"),
    [
        (["0910", "6764", "68eb", "0605", "6588"], True),
        (["0910", "0605", "419a"], False),
        (["6588", "6588"], True),
        (["419a", "6588"], False),
        (["0605"], False),
        ([], False),
        (["7565", "2588"], True),
    ],
)
def test_key_frames_are_idr_pictures(nals: list[str], keyframe: bool) -> None:
    """The first slice decides, whatever stands before it."""
    assert h264.is_keyframe(join_lengths(bytes.fromhex(unit) for unit in nals)) is keyframe


def test_nal_unit_types_have_names() -> None:
    """The low five bits are the type; nothing has none."""
    assert h264.nal_type(b"\x67") == NalType.SPS
    assert h264.nal_type(b"\x65\x88") == NalType.IDR
    with pytest.raises(MalformedData):
        h264.nal_type(b"")


def _sps(
    profile: int = 66, width_in_mbs: int = 40, height_in_mbs: int = 23, crop: tuple[int, ...] = (), vui: BitWriter | None = None
) -> bytes:
    """A progressive SPS with pic_order_cnt_type 2."""
    bits = BitWriter().u(8, 0x67).u(8, profile).u(8, 0).u(8, 30).ue(0, 0, 2, 1).u(1, 0)
    bits.ue(width_in_mbs - 1, height_in_mbs - 1).u(2, 3).u(1, bool(crop)).ue(*crop).u(1, vui is not None)
    return bytes(bits if vui is None else BitWriter(bits.bits + vui.bits))


def test_cropping_is_in_chroma_samples() -> None:
    """4:2:0 pictures are cropped in steps of two pixels."""
    sps = parse_sps(_sps(crop=(1, 2, 3, 4)))
    assert (sps.width, sps.height) == (640 - 6, 368 - 14)


@pytest.mark.parametrize(
    "sps",
    [
        _sps(width_in_mbs=1025),
        _sps(height_in_mbs=1025),
        _sps(width_in_mbs=2**32 - 1, height_in_mbs=2**32 - 1),
        _sps(crop=(0, 320, 0, 0)),
        _sps(crop=(0, 0, 100, 84)),
        _sps(crop=(2**32 - 2, 2**32 - 2, 0, 0)),
    ],
)
def test_impossible_sizes_are_refused(sps: bytes) -> None:
    """A picture of no pixels, or of more than 16384 a side, is malformed."""
    with pytest.raises(MalformedData):
        parse_sps(sps)


def test_the_largest_size_is_allowed() -> None:
    """16384 pixels a side are a picture."""
    sps = parse_sps(_sps(width_in_mbs=1024, height_in_mbs=1024))
    assert (sps.width, sps.height) == (16384, 16384)


@pytest.mark.parametrize("cycle", [256, 2**31, 2**32 - 2])
def test_huge_reference_cycles_are_refused(cycle: int) -> None:
    """num_ref_frames_in_pic_order_cnt_cycle steers a loop: 255 at most."""
    bits = BitWriter().u(8, 0x67).u(8, 66).u(8, 0).u(8, 30).ue(0, 0, 1).u(1, 0).ue(0, 0, cycle)
    with pytest.raises(MalformedData):
        parse_sps(bytes(bits) + b"\xff" * 5000)


@pytest.mark.parametrize("values", [(4,), (1, 7, 0), (1, 0, 7), (2**32 - 2,)])
def test_impossible_chroma_formats_and_depths_are_refused(values: tuple[int, ...]) -> None:
    """A High profile with chroma format 4 or 15 bits a sample is malformed."""
    with pytest.raises(MalformedData):
        parse_sps(bytes(BitWriter().u(8, 0x67).u(8, 100).u(8, 0).u(8, 30).ue(0, *values)) + b"\xff" * 100)


def _timing(units: int, scale: int) -> BitWriter:
    """A VUI with nothing before the timing."""
    return BitWriter().u(4, 0).u(1, 1).u(32, units).u(32, scale).u(1, 1)


@pytest.mark.parametrize(
    ("units", "scale", "frame_rate"),
    [
        (1, 50, Fraction(25)),
        (1001, 60000, Fraction(30000, 1001)),
        (0, 50, None),
        (1, 0, None),
        (1, 2000, None),
        (1, 2**32 - 1, None),
        (2**32 - 1, 1, None),
        (1, 1000, Fraction(500)),
    ],
)
def test_only_frame_rates_are_frame_rates(units: int, scale: int, frame_rate: Fraction | None) -> None:
    """A millisecond clock, or nonsense, in the timing is not taken for the frame rate."""
    assert parse_sps(_sps(vui=_timing(units, scale).u(4, 0))).frame_rate == frame_rate


@pytest.mark.parametrize("cpb_count", [33, 2**32 - 1])
def test_a_damaged_vui_does_not_cost_the_picture(cpb_count: int) -> None:
    """Size and frame rate stand although the HRD behind them claims thousands of buffers."""
    sps = parse_sps(_sps(vui=_timing(1, 50).u(1, 1).ue(cpb_count - 1)))
    assert (sps.width, sps.frame_rate, sps.max_num_reorder_frames) == (640, Fraction(25), None)


@pytest.mark.parametrize("nal", [b"", b"\x68\xeb", b"\x67", b"\x67" + bytes(70000)])
def test_what_is_no_sps_is_refused(nal: bytes) -> None:
    """Nothing, a PPS, a header alone, zeros without end."""
    with pytest.raises(MalformedData):
        parse_sps(nal)


@pytest.mark.parametrize("record", RECORDS)
def test_every_prefix_is_read_or_refused(record: bytes) -> None:
    """A record or SPS that is cut off anywhere never does more than raise `MalformedData`."""
    assert refusals(lambda data: h264.make_track(0, data), prefixes(record))[1] >= len(record) - 5
    read, refused = refusals(parse_sps, prefixes(AvcConfiguration.parse(record).sps[0]))
    assert min(read, refused) > 0


def test_damaged_records_only_raise_malformed_data() -> None:
    """20,000 mutations of real records and parameter sets: each is read or refused, and what is read can be written."""

    def read_and_write(data: bytes) -> None:
        config = h264.make_track(0, data).config
        assert bytes(AvcConfiguration.parse(config)) == config

    assert min(refusals(read_and_write, mutated(RECORDS))) > 0
    assert min(refusals(parse_sps, mutated([AvcConfiguration.parse(record).sps[0] for record in RECORDS]))) > 0
