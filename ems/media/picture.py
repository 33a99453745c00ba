"""What parameter sets say of pictures in the same way: bounds that H.264, H.265 and AV1 share, syntax that two of them do."""

from fractions import Fraction

from ems.errors import MalformedData
from ems.media.bits import BitReader

MAX_PICTURE_SIDE = 16384
"""Pixels of width or height: twice 8K. A parameter set that says more is damaged or hostile."""

SLOWEST_FRAME_RATE = Fraction(1, 10)
FASTEST_FRAME_RATE = Fraction(500)
"""What outlies these is a tick of the encoder's clock (1/1000 s is usual for variable rates), not a frame rate."""


CROP_UNITS = {0: (1, 1), 1: (2, 2), 2: (2, 1), 3: (1, 1)}
"""Pixels across and down by which a picture is cropped at least, by chroma_format_idc (SubWidthC, SubHeightC, H.264 §6.2)."""

_EXTENDED_SAR = 255


def checked_size(width: int, height: int) -> tuple[int, int]:
    """`width` and `height` in pixels as they are; raises `MalformedData` unless both are 1 to `MAX_PICTURE_SIDE`."""
    if not (0 < width <= MAX_PICTURE_SIDE and 0 < height <= MAX_PICTURE_SIDE):
        raise MalformedData(f"a picture of {width}x{height} pixels, where sides of 1 to {MAX_PICTURE_SIDE} are possible")
    return width, height


def plausible_frame_rate(time_scale: int, units: int) -> Fraction | None:
    """`time_scale` / `units` in frames a second when that can be a frame rate, else None."""
    frame_rate = Fraction(time_scale, units) if units else Fraction(0)
    return frame_rate if SLOWEST_FRAME_RATE <= frame_rate <= FASTEST_FRAME_RATE else None


def skip_video_signal(reader: BitReader) -> None:
    """Pass over vui_parameters() from the aspect ratio to the chroma location (H.264 §E.1.1, H.265 §E.2.1)."""
    if reader.flag() and reader.u(8) == _EXTENDED_SAR:
        reader.skip(32)
    if reader.flag():
        reader.skip(1)  # overscan_appropriate_flag
    if reader.flag():
        reader.skip(4)  # video_format, video_full_range_flag
        if reader.flag():
            reader.skip(24)  # colour_primaries, transfer_characteristics, matrix_coefficients
    if reader.flag():
        reader.ue()  # chroma_sample_loc_type_top_field
        reader.ue()  # chroma_sample_loc_type_bottom_field
