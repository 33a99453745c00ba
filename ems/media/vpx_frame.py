"""The size of VP8 and VP9 pictures, which stands in their key frames and nowhere else."""

from ems.errors import MalformedData
from ems.media.bits import BitReader
from ems.media.picture import checked_size
from ems.media.track import Codec

_VP8_START_CODE = b"\x9d\x01\x2a"
_VP9_SYNC_CODE = 0x498342
_RGB = 7


def picture_size(codec: Codec, key_frame: bytes) -> tuple[int, int]:
    """Width and height in pixels of a key frame of VP8 (RFC 6386 §9.1) or VP9 (VP9 Bitstream Specification §6.2).

    Raises `MalformedData` for what is no key frame, is cut off, or has a size that cannot be.
    """
    return checked_size(*(_vp8(key_frame) if codec is Codec.VP8 else _vp9(key_frame)))


def _vp8(frame: bytes) -> tuple[int, int]:
    """After a tag of 3 bytes and the start code, each side in 14 bits, little-endian, below 2 bits of scaling."""
    if len(frame) < 10 or frame[0] & 1 or frame[3:6] != _VP8_START_CODE:
        raise MalformedData("no VP8 key frame")
    return int.from_bytes(frame[6:8], "little") & 0x3FFF, int.from_bytes(frame[8:10], "little") & 0x3FFF


def _vp9(frame: bytes) -> tuple[int, int]:
    """uncompressed_header() up to frame_size()."""
    reader = BitReader(frame[:16])
    marker, low, high = reader.u(2), reader.u(1), reader.u(1)
    profile = high << 1 | low
    if profile == 3:
        reader.skip(1)
    show_existing_frame, not_key_frame = reader.flag(), reader.flag()
    reader.skip(2)  # show_frame, error_resilient_mode
    if marker != 2 or show_existing_frame or not_key_frame or reader.u(24) != _VP9_SYNC_CODE:
        raise MalformedData("no VP9 key frame")
    if profile >= 2:
        reader.skip(1)  # ten_or_twelve_bit
    if reader.u(3) != _RGB:
        reader.skip(1 if profile in (0, 2) else 4)  # color_range, and subsampling
    elif profile in (1, 3):
        reader.skip(1)
    return reader.u(16) + 1, reader.u(16) + 1
