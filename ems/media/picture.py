"""What a parameter set may claim about pictures: the bounds that H.264, H.265 and AV1 share."""

from fractions import Fraction

from ems.errors import MalformedData

MAX_PICTURE_SIDE = 16384
"""Pixels of width or height: twice 8K. A parameter set that says more is damaged or hostile."""

SLOWEST_FRAME_RATE = Fraction(1, 10)
FASTEST_FRAME_RATE = Fraction(500)
"""What outlies these is a tick of the encoder's clock (1/1000 s is usual for variable rates), not a frame rate."""


def checked_size(width: int, height: int) -> tuple[int, int]:
    """`width` and `height` in pixels as they are; raises `MalformedData` unless both are 1 to `MAX_PICTURE_SIDE`."""
    if not (0 < width <= MAX_PICTURE_SIDE and 0 < height <= MAX_PICTURE_SIDE):
        raise MalformedData(f"a picture of {width}x{height} pixels, where sides of 1 to {MAX_PICTURE_SIDE} are possible")
    return width, height


def plausible_frame_rate(time_scale: int, units: int) -> Fraction | None:
    """`time_scale` / `units` in frames a second when that can be a frame rate, else None."""
    frame_rate = Fraction(time_scale, units) if units else Fraction(0)
    return frame_rate if SLOWEST_FRAME_RATE <= frame_rate <= FASTEST_FRAME_RATE else None
