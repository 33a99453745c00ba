"""The configuration record of AV1 out of a sequence header, which is all that RTP has ("AV1 Codec ISO Media File Format Binding"
§2.3.3; the syntax is in "AV1 Bitstream & Decoding Process Specification" §5.5)."""

from ems.errors import MalformedData
from ems.media.bits import BitReader

_SRGB = (1, 13, 0)
"""BT.709 primaries, sRGB transfer and the identity matrix: RGB, which is never subsampled."""

_SELECTED = 2


def make_record(payload: bytes, sized: bytes) -> bytes:
    """The ``av1C`` of a sequence header OBU: `payload` is what is behind its header and size, `sized` is all of it.

    Raises `MalformedData`.
    """
    reader = BitReader(payload)
    profile = reader.u(3)
    reader.skip(1)  # still_picture
    reduced = reader.flag()
    level, tier = (reader.u(5), 0) if reduced else _level_and_tier(reader)
    _skip_to_colours(reader, reduced)
    high_bitdepth = reader.flag()
    twelve_bit = profile == 2 and high_bitdepth and reader.flag()
    monochrome = profile != 1 and reader.flag()
    subsampling = _subsampling(reader, profile, twelve_bit, monochrome)
    third = tier << 7 | high_bitdepth << 6 | twelve_bit << 5 | monochrome << 4 | subsampling
    return bytes((0x81, profile << 5 | level, third, 0)) + sized


def _level_and_tier(reader: BitReader) -> tuple[int, int]:
    """seq_level_idx[0] and seq_tier[0]; reads to the end of the operating points."""
    delay_bits = 0
    if reader.flag():
        reader.skip(64)  # num_units_in_display_tick, time_scale
        if reader.flag():
            reader.ue()  # num_ticks_per_picture_minus_1
        if reader.flag():
            delay_bits = reader.u(5) + 1
            reader.skip(42)  # the rest of decoder_model_info()
    display_delay = reader.flag()
    points: list[tuple[int, int]] = []
    for _ in range(reader.u(5) + 1):
        reader.skip(12)  # operating_point_idc
        level = reader.u(5)
        points.append((level, reader.u(1) if level > 7 else 0))
        if delay_bits and reader.flag():
            reader.skip(2 * delay_bits + 1)
        if display_delay and reader.flag():
            reader.skip(4)
    return points[0]


def _skip_to_colours(reader: BitReader, reduced: bool) -> None:
    """sequence_header_obu() from the picture size to color_config()."""
    width_bits, height_bits = reader.u(4) + 1, reader.u(4) + 1
    reader.skip(width_bits + height_bits)
    if not reduced and reader.flag():
        reader.skip(7)  # lengths of frame ids
    reader.skip(3)  # use_128x128_superblock, enable_filter_intra, enable_intra_edge_filter
    if not reduced:
        reader.skip(4)  # enable_interintra_compound … enable_dual_filter
        order_hint = reader.flag()
        if order_hint:
            reader.skip(2)  # enable_jnt_comp, enable_ref_frame_mvs
        screen_content = _SELECTED if reader.flag() else reader.u(1)
        if screen_content and not reader.flag():
            reader.skip(1)  # seq_force_integer_mv
        if order_hint:
            reader.skip(3)  # order_hint_bits_minus_1
    reader.skip(3)  # enable_superres, enable_cdef, enable_restoration


def _subsampling(reader: BitReader, profile: int, twelve_bit: bool, monochrome: bool) -> int:
    """subsampling_x, subsampling_y and chroma_sample_position as the record has them, in four bits."""
    colours = (reader.u(8), reader.u(8), reader.u(8)) if reader.flag() else (2, 2, 2)
    if monochrome:
        return 0b1100
    if colours == _SRGB:
        return 0
    reader.skip(1)  # color_range
    if profile == 0:
        x = y = 1
    elif profile == 1:
        x = y = 0
    elif twelve_bit:
        x = reader.u(1)
        y = reader.u(1) if x else 0
    else:
        x, y = 1, 0
    position = reader.u(2) if x and y else 0
    if position == 3:
        raise MalformedData("chroma_sample_position 3 is reserved")
    return x << 3 | y << 2 | position
