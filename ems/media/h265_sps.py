"""The sequence parameter set of H.265 (ITU-T H.265 §7.3.2.2 and Annex E): profile, picture size and timing.

The frame rate stands near the end, behind tools of varying length (scaling lists, reference picture sets), so all of them are
read in the order of the syntax tables. Every count that steers a loop has the bound that the standard gives it.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from ems.errors import MalformedData
from ems.media.bits import BitReader, rbsp
from ems.media.nal import MAX_PARAMETER_SET
from ems.media.picture import CROP_UNITS, checked_size, plausible_frame_rate, skip_video_signal

MAX_SUB_LAYERS = 7
"""sps_max_sub_layers_minus1 + 1 (§7.4.3.2.1)."""

MAX_SHORT_TERM_SETS = 64
"""num_short_term_ref_pic_sets (§7.4.3.2.1)."""

MAX_REFERENCE_PICTURES = 16
"""Pictures in the decoded picture buffer, and so in a reference picture set (§A.4.2)."""

MAX_LONG_TERM_PICTURES = 32
"""num_long_term_ref_pics_sps (§7.4.3.2.1)."""

_SPS = 33


@dataclass(frozen=True, slots=True)
class ProfileTierLevel:
    """The general part of profile_tier_level() (§7.3.3), twelve bytes in the SPS and in ``hvcC``.

    `compatibility_flags` has 32 bits, flag 0 first; `constraint_flags` the 48 bits behind it. `level_idc` is 30 times the level.
    """

    profile_space: int
    tier_flag: bool
    profile_idc: int
    compatibility_flags: int
    constraint_flags: int
    level_idc: int

    @classmethod
    def read(cls, reader: BitReader) -> Self:
        """Read the twelve bytes."""
        return cls(reader.u(2), reader.flag(), reader.u(5), reader.u(32), reader.u(48), reader.u(8))

    @property
    def codec_string(self) -> str:
        """``hvc1.P.C.TL.B…`` (ISO/IEC 14496-15 §E.3): the compatibility flags in reverse, constraint bytes up to the last set."""
        space = ("", "A", "B", "C")[self.profile_space]
        compatibility = int(f"{self.compatibility_flags:032b}"[::-1], 2)
        tier = "H" if self.tier_flag else "L"
        constraints = [f".{byte:X}" for byte in self.constraint_flags.to_bytes(6, "big").rstrip(b"\0")]
        return f"hvc1.{space}{self.profile_idc}.{compatibility:X}.{tier}{self.level_idc}{''.join(constraints)}"

    def __bytes__(self) -> bytes:
        first = self.profile_space << 6 | self.tier_flag << 5 | self.profile_idc
        words = (first << 32 | self.compatibility_flags) << 56 | self.constraint_flags << 8 | self.level_idc
        return words.to_bytes(12, "big")


@dataclass(frozen=True, slots=True)
class Sps:
    """A sequence parameter set (§7.3.2.2.1). `width` and `height` are pixels inside the conformance window.

    `max_num_reorder_pics` are pictures that may precede one in decoding and follow it in output. `frame_rate` comes from the
    VUI and is None where it does not tell or is damaged.
    """

    profile: ProfileTierLevel
    max_sub_layers: int
    temporal_id_nesting: bool
    seq_parameter_set_id: int
    width: int
    height: int
    chroma_format_idc: int
    bit_depth_luma: int
    bit_depth_chroma: int
    max_num_reorder_pics: int
    frame_rate: Fraction | None = None


def parse_sps(nal: bytes) -> Sps:
    """Read a sequence parameter set; `nal` begins with the two bytes of the NAL unit header. Raises `MalformedData`.

    Damage in the coding tools or the VUI costs only the frame rate.
    """
    if len(nal) < 2 or nal[0] >> 1 & 0x3F != _SPS:
        raise MalformedData(f"a NAL unit that begins with {nal[:2].hex() or 'nothing'} where an SPS is wanted")
    if len(nal) > MAX_PARAMETER_SET:
        raise MalformedData(f"an SPS of {len(nal)} bytes passes the limit of {MAX_PARAMETER_SET}")
    reader = BitReader(rbsp(nal))
    reader.skip(20)  # NAL unit header, sps_video_parameter_set_id
    max_sub_layers = reader.u(3) + 1
    if max_sub_layers > MAX_SUB_LAYERS:
        raise MalformedData(f"an SPS of {max_sub_layers} sub-layers, where {MAX_SUB_LAYERS} are possible")
    temporal_id_nesting = reader.flag()
    profile = ProfileTierLevel.read(reader)
    _skip_sub_layer_profiles(reader, max_sub_layers)
    seq_parameter_set_id = reader.ue()
    chroma_format_idc, width, height = _picture_size(reader)
    bit_depth_luma, bit_depth_chroma = reader.ue() + 8, reader.ue() + 8
    if max(bit_depth_luma, bit_depth_chroma) > 16:
        raise MalformedData(f"bit depths {bit_depth_luma} and {bit_depth_chroma} do not exist")
    poc_bits = reader.ue() + 4
    max_num_reorder_pics = _reorder_pics(reader, max_sub_layers)
    return Sps(
        profile=profile,
        max_sub_layers=max_sub_layers,
        temporal_id_nesting=temporal_id_nesting,
        seq_parameter_set_id=seq_parameter_set_id,
        width=width,
        height=height,
        chroma_format_idc=chroma_format_idc,
        bit_depth_luma=bit_depth_luma,
        bit_depth_chroma=bit_depth_chroma,
        max_num_reorder_pics=max_num_reorder_pics,
        frame_rate=_frame_rate(reader, poc_bits),
    )


def _skip_sub_layer_profiles(reader: BitReader, max_sub_layers: int) -> None:
    """The part of profile_tier_level() behind the general one (§7.3.3)."""
    present = [(reader.flag(), reader.flag()) for _ in range(max_sub_layers - 1)]
    if present:
        reader.skip(2 * (9 - max_sub_layers))
    for profile, level in present:
        reader.skip(88 * profile + 8 * level)


def _picture_size(reader: BitReader) -> tuple[int, int, int]:
    """chroma_format_idc, and width and height inside the conformance window."""
    chroma_format_idc = reader.ue()
    if chroma_format_idc > 3:
        raise MalformedData(f"chroma_format_idc {chroma_format_idc} does not exist")
    crop_unit = CROP_UNITS[chroma_format_idc]
    if chroma_format_idc == 3 and reader.flag():
        crop_unit = (1, 1)  # separate_colour_plane_flag
    width, height = reader.ue(), reader.ue()
    left = right = top = bottom = 0
    if reader.flag():
        left, right, top, bottom = reader.ue(), reader.ue(), reader.ue(), reader.ue()
    return chroma_format_idc, *checked_size(width - (left + right) * crop_unit[0], height - (top + bottom) * crop_unit[1])


def _reorder_pics(reader: BitReader, max_sub_layers: int) -> int:
    """sps_max_num_reorder_pics of the highest sub-layer."""
    reorder = 0
    for _ in range(max_sub_layers if reader.flag() else 1):
        reader.ue()  # sps_max_dec_pic_buffering_minus1
        reorder = reader.ue()
        reader.ue()  # sps_max_latency_increase_plus1
    if reorder > MAX_REFERENCE_PICTURES:
        raise MalformedData(f"sps_max_num_reorder_pics {reorder} passes {MAX_REFERENCE_PICTURES}")
    return reorder


def _frame_rate(reader: BitReader, poc_bits: int) -> Fraction | None:
    """The frame rate of the VUI, passing over the coding tools before it; None when it is absent or out of reach."""
    try:
        _skip_coding_tools(reader, poc_bits)
        if not reader.flag():
            return None
        _skip_pictures(reader)
        if not reader.flag():
            return None
        num_units_in_tick, time_scale = reader.u(32), reader.u(32)
    except MalformedData:
        return None
    return plausible_frame_rate(time_scale, num_units_in_tick)


def _skip_coding_tools(reader: BitReader, poc_bits: int) -> None:
    """The SPS between the sub-layer ordering and the VUI."""
    for _ in range(6):
        reader.ue()  # block and transform sizes, transform hierarchy depths
    if reader.flag() and reader.flag():
        _skip_scaling_lists(reader)
    reader.skip(2)  # amp_enabled_flag, sample_adaptive_offset_enabled_flag
    if reader.flag():
        reader.skip(8)  # pcm_sample_bit_depth_luma_minus1 and _chroma_minus1
        reader.ue()  # log2_min_pcm_luma_coding_block_size_minus3
        reader.ue()  # log2_diff_max_min_pcm_luma_coding_block_size
        reader.skip(1)  # pcm_loop_filter_disabled_flag
    _skip_short_term_sets(reader)
    if reader.flag():
        _skip_long_term_pictures(reader, poc_bits)
    reader.skip(2)  # sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag


def _skip_scaling_lists(reader: BitReader) -> None:
    """scaling_list_data() (§7.3.4)."""
    for size_id in range(4):
        for _ in range(2 if size_id == 3 else 6):
            if not reader.flag():
                reader.ue()  # scaling_list_pred_matrix_id_delta
                continue
            if size_id > 1:
                reader.se()  # scaling_list_dc_coef_minus8
            for _ in range(min(64, 1 << (4 + (size_id << 1)))):
                reader.se()


def _skip_short_term_sets(reader: BitReader) -> None:
    """All st_ref_pic_set() (§7.3.7); a set may be told as a change of the one before it."""
    count = reader.ue()
    if count > MAX_SHORT_TERM_SETS:
        raise MalformedData(f"num_short_term_ref_pic_sets {count} passes {MAX_SHORT_TERM_SETS}")
    pictures = 0
    for index in range(count):
        predicted = index > 0 and reader.flag()
        pictures = _predicted_set(reader, pictures) if predicted else _explicit_set(reader)
        if pictures > MAX_REFERENCE_PICTURES:
            raise MalformedData(f"a reference picture set of {pictures} pictures")


def _predicted_set(reader: BitReader, pictures: int) -> int:
    """How many pictures a set has that is told as a change of one with `pictures`."""
    reader.skip(1)  # delta_rps_sign
    reader.ue()  # abs_delta_rps_minus1
    kept = 0
    for _ in range(pictures + 1):
        used = reader.flag()
        kept += used or reader.flag()  # used_by_curr_pic_flag, use_delta_flag
    return kept


def _explicit_set(reader: BitReader) -> int:
    negative, positive = reader.ue(), reader.ue()
    if negative + positive > MAX_REFERENCE_PICTURES:
        raise MalformedData(f"a reference picture set of {negative} and {positive} pictures")
    for _ in range(negative + positive):
        reader.ue()  # delta_poc_s0_minus1 or _s1_
        reader.skip(1)  # used_by_curr_pic_flag
    return negative + positive


def _skip_long_term_pictures(reader: BitReader, poc_bits: int) -> None:
    count = reader.ue()
    if count > MAX_LONG_TERM_PICTURES:
        raise MalformedData(f"num_long_term_ref_pics_sps {count} passes {MAX_LONG_TERM_PICTURES}")
    reader.skip(count * (poc_bits + 1))


def _skip_pictures(reader: BitReader) -> None:
    """The VUI from the aspect ratio to the default display window (§E.2.1)."""
    skip_video_signal(reader)
    reader.skip(3)  # neutral_chroma_indication_flag, field_seq_flag, frame_field_info_present_flag
    if reader.flag():
        for _ in range(4):
            reader.ue()  # default display window offsets
