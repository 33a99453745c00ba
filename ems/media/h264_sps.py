"""The sequence parameter set of H.264 (ITU-T H.264 §7.3.2.1.1 and Annex E): picture size, profile and timing.

Everything up to the end of the VUI is read, in the order of the syntax tables; fields that nobody needs are passed over
under their names. Every count that steers a loop has the bound that the standard gives it.
"""

from dataclasses import dataclass
from fractions import Fraction

from ems.errors import MalformedData
from ems.media.bits import BitReader, rbsp
from ems.media.nal import MAX_PARAMETER_SET
from ems.media.picture import CROP_UNITS, checked_size, plausible_frame_rate, skip_video_signal

CHROMA_PROFILES = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 144, 244})
"""profile_idc values whose SPS tells chroma format, bit depths and scaling lists (§7.3.2.1.1)."""

MAX_REF_FRAMES_IN_CYCLE = 255
"""num_ref_frames_in_pic_order_cnt_cycle (§7.4.2.1.1)."""

MAX_CPB_COUNT = 32
"""cpb_cnt_minus1 + 1 (§E.2.2)."""

_SPS = 7


@dataclass(frozen=True, slots=True)
class Sps:
    """A sequence parameter set (§7.3.2.1.1). `width` and `height` are pixels after cropping.

    `frame_rate` and `max_num_reorder_frames` (pictures that may precede one in decoding and follow it in output) come from
    the VUI and are None where it does not tell or is damaged.
    """

    profile_idc: int
    constraint_flags: int
    level_idc: int
    seq_parameter_set_id: int
    width: int
    height: int
    chroma_format_idc: int
    bit_depth_luma: int
    bit_depth_chroma: int
    pic_order_cnt_type: int
    max_num_ref_frames: int
    frame_mbs_only: bool
    frame_rate: Fraction | None = None
    max_num_reorder_frames: int | None = None


def parse_sps(nal: bytes) -> Sps:
    """Read a sequence parameter set; `nal` begins with the NAL unit header. Raises `MalformedData`.

    Damage inside the VUI costs only what the VUI tells: cameras exist that get its length wrong, and decoders play them.
    """
    if not nal or nal[0] & 0x1F != _SPS:
        raise MalformedData(f"a NAL unit that begins with {nal[:1].hex() or 'nothing'} where an SPS is wanted")
    if len(nal) > MAX_PARAMETER_SET:
        raise MalformedData(f"an SPS of {len(nal)} bytes passes the limit of {MAX_PARAMETER_SET}")
    reader = BitReader(rbsp(nal))
    reader.skip(8)
    profile_idc, constraint_flags, level_idc = reader.u(8), reader.u(8), reader.u(8)
    seq_parameter_set_id = reader.ue()
    chroma_format_idc, bit_depth_luma, bit_depth_chroma, separate_planes = 1, 8, 8, False
    if profile_idc in CHROMA_PROFILES:
        chroma_format_idc, separate_planes, bit_depth_luma, bit_depth_chroma = _chroma_and_depths(reader)
    reader.ue()  # log2_max_frame_num_minus4
    pic_order_cnt_type = _skip_picture_order(reader)
    max_num_ref_frames = reader.ue()
    reader.skip(1)  # gaps_in_frame_num_value_allowed_flag
    crop_unit = (1, 1) if separate_planes else CROP_UNITS[chroma_format_idc]
    width, height, frame_mbs_only = _picture_size(reader, crop_unit)
    frame_rate, max_num_reorder_frames = _vui(reader)
    return Sps(
        profile_idc=profile_idc,
        constraint_flags=constraint_flags,
        level_idc=level_idc,
        seq_parameter_set_id=seq_parameter_set_id,
        width=width,
        height=height,
        chroma_format_idc=chroma_format_idc,
        bit_depth_luma=bit_depth_luma,
        bit_depth_chroma=bit_depth_chroma,
        pic_order_cnt_type=pic_order_cnt_type,
        max_num_ref_frames=max_num_ref_frames,
        frame_mbs_only=frame_mbs_only,
        frame_rate=frame_rate,
        max_num_reorder_frames=max_num_reorder_frames,
    )


def _chroma_and_depths(reader: BitReader) -> tuple[int, bool, int, int]:
    """chroma_format_idc, separate_colour_plane_flag and the bit depths of a High profile; passes over the scaling lists."""
    chroma_format_idc = reader.ue()
    if chroma_format_idc > 3:
        raise MalformedData(f"chroma_format_idc {chroma_format_idc} does not exist")
    separate_planes = reader.flag() if chroma_format_idc == 3 else False
    bit_depth_luma, bit_depth_chroma = reader.ue() + 8, reader.ue() + 8
    if max(bit_depth_luma, bit_depth_chroma) > 14:
        raise MalformedData(f"bit depths {bit_depth_luma} and {bit_depth_chroma} do not exist")
    reader.skip(1)  # qpprime_y_zero_transform_bypass_flag
    if reader.flag():
        for index in range(8 if chroma_format_idc != 3 else 12):
            if reader.flag():
                _skip_scaling_list(reader, 16 if index < 6 else 64)
    return chroma_format_idc, separate_planes, bit_depth_luma, bit_depth_chroma


def _skip_scaling_list(reader: BitReader, size: int) -> None:
    """scaling_list() (§7.3.2.1.1.1)."""
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + reader.se()) % 256
        last = following or last


def _skip_picture_order(reader: BitReader) -> int:
    """pic_order_cnt_type; passes over the fields that belong to it."""
    pic_order_cnt_type = reader.ue()
    if pic_order_cnt_type > 2:
        raise MalformedData(f"pic_order_cnt_type {pic_order_cnt_type} does not exist")
    if pic_order_cnt_type == 0:
        reader.ue()  # log2_max_pic_order_cnt_lsb_minus4
    elif pic_order_cnt_type == 1:
        reader.skip(1)  # delta_pic_order_always_zero_flag
        reader.se()  # offset_for_non_ref_pic
        reader.se()  # offset_for_top_to_bottom_field
        cycle = reader.ue()
        if cycle > MAX_REF_FRAMES_IN_CYCLE:
            raise MalformedData(f"num_ref_frames_in_pic_order_cnt_cycle {cycle} passes {MAX_REF_FRAMES_IN_CYCLE}")
        for _ in range(cycle):
            reader.se()
    return pic_order_cnt_type


def _picture_size(reader: BitReader, crop_unit: tuple[int, int]) -> tuple[int, int, bool]:
    """Width and height in pixels after cropping (§7.4.2.1.1), and frame_mbs_only_flag."""
    width_in_mbs, height_in_map_units = reader.ue() + 1, reader.ue() + 1
    frame_mbs_only = reader.flag()
    if not frame_mbs_only:
        reader.skip(1)  # mb_adaptive_frame_field_flag
    fields = 1 if frame_mbs_only else 2
    reader.skip(1)  # direct_8x8_inference_flag
    left = right = top = bottom = 0
    if reader.flag():
        left, right, top, bottom = reader.ue(), reader.ue(), reader.ue(), reader.ue()
    width = width_in_mbs * 16 - (left + right) * crop_unit[0]
    height = height_in_map_units * 16 * fields - (top + bottom) * crop_unit[1] * fields
    return *checked_size(width, height), frame_mbs_only


def _vui(reader: BitReader) -> tuple[Fraction | None, int | None]:
    """Frame rate and max_num_reorder_frames of vui_parameters() (§E.1.1), each None when it is absent or out of reach."""
    frame_rate: Fraction | None = None
    try:
        if not reader.flag():
            return None, None
        skip_video_signal(reader)
        frame_rate = _frame_rate(reader)
        if nal_hrd := reader.flag():
            _skip_hrd(reader)
        if vcl_hrd := reader.flag():
            _skip_hrd(reader)
        reader.skip(2 if nal_hrd or vcl_hrd else 1)  # low_delay_hrd_flag, pic_struct_present_flag
        return frame_rate, _reorder_frames(reader)
    except MalformedData:
        return frame_rate, None


def _frame_rate(reader: BitReader) -> Fraction | None:
    """The frame rate of the VUI's timing; a tick is the duration of a field, two make a frame (§E.2.1)."""
    if not reader.flag():
        return None
    num_units_in_tick, time_scale = reader.u(32), reader.u(32)
    reader.skip(1)  # fixed_frame_rate_flag
    return plausible_frame_rate(time_scale, 2 * num_units_in_tick)


def _skip_hrd(reader: BitReader) -> None:
    """hrd_parameters() (§E.1.2)."""
    cpb_count = reader.ue() + 1
    if cpb_count > MAX_CPB_COUNT:
        raise MalformedData(f"cpb_cnt_minus1 {cpb_count - 1} passes {MAX_CPB_COUNT - 1}")
    reader.skip(8)  # bit_rate_scale, cpb_size_scale
    for _ in range(cpb_count):
        reader.ue()  # bit_rate_value_minus1
        reader.ue()  # cpb_size_value_minus1
        reader.skip(1)  # cbr_flag
    reader.skip(20)  # four lengths of five bits


def _reorder_frames(reader: BitReader) -> int | None:
    """max_num_reorder_frames of the bitstream restriction."""
    if not reader.flag():
        return None
    reader.skip(1)  # motion_vectors_over_pic_boundaries_flag
    for _ in range(4):
        reader.ue()  # max_bytes_per_pic_denom, max_bits_per_mb_denom, log2_max_mv_length_*
    reorder = reader.ue()
    return reorder if reorder <= 16 else None
