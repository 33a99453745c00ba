"""Opus in MPEG-TS (the ETSI draft "Opus in MPEG-TS", §3 and §4): its channel layouts, and packets between control headers.

A PMT has no room for an OpusHead: one byte, channel_config_code, says how many channels there are, and that their layout is the
usual one of that number (RFC 7845 §5.1.1.2, mapping family 1, or family 0 for one and two). In the PES packets each Opus packet
is behind a header that tells its size and how many of its samples are to be cut off::

    01111111111 start_trim:1 end_trim:1 extension:1 00 | { 255 }* rest:8 | { start_trim:16 } { end_trim:16 } { size:8 … }
"""

from ems.errors import MalformedData
from ems.media.opus import OpusHead

CONTROL_PREFIX = 0x7FE0
"""control_header_prefix 0x3FF, nothing trimmed, no extension."""

MAX_PACKET = 48 * 1275 + 48 * 4
"""Bytes of one packet at most: 48 frames of 1275 bytes (RFC 6716 §3.2), far beyond what any encoder makes of 120 ms."""

_START_TRIM, _END_TRIM, _EXTENSION = 0x10, 0x08, 0x04

# Streams, coupled streams and mapping of family 1 by the number of channels (RFC 7845 §5.1.1.2 in the form of libopus).
_LAYOUTS = {
    1: (1, 0, bytes((0,))),
    2: (1, 1, bytes((0, 1))),
    3: (2, 1, bytes((0, 2, 1))),
    4: (2, 2, bytes((0, 1, 2, 3))),
    5: (3, 2, bytes((0, 4, 1, 2, 3))),
    6: (4, 2, bytes((0, 4, 1, 2, 3, 5))),
    7: (4, 3, bytes((0, 4, 1, 2, 3, 5, 6))),
    8: (5, 3, bytes((0, 6, 1, 2, 3, 4, 5, 7))),
}


def channel_config_code(config: bytes) -> int | None:
    """The code for the layout of an OpusHead, or None when it has none. Raises `MalformedData`."""
    head = OpusHead.parse(config)
    if head.mapping_family == 0:
        return head.channels
    if head.mapping_family == 1 and _LAYOUTS.get(head.channels) == (head.stream_count, head.coupled_count, head.mapping):
        return head.channels
    return None


def opus_head(channel_config_code: int) -> OpusHead:
    """The OpusHead for a code of 1 to 8. Nothing is skipped: who tunes in is never at the start. Raises `MalformedData`."""
    if channel_config_code not in _LAYOUTS:
        raise MalformedData(f"Opus with the channel_config_code {channel_config_code}")
    if channel_config_code <= 2:
        return OpusHead(channel_config_code, pre_skip=0)
    streams, coupled, mapping = _LAYOUTS[channel_config_code]
    return OpusHead(
        channel_config_code, pre_skip=0, mapping_family=1, stream_count=streams, coupled_count=coupled, mapping=mapping
    )


def with_control_header(packet: bytes) -> bytes:
    """An Opus packet behind its control header: au_size counts in bytes of 255 and one that is less."""
    size = len(packet)
    return CONTROL_PREFIX.to_bytes(2, "big") + b"\xff" * (size // 255) + bytes((size % 255,)) + packet


def packet_extent(data: bytes, offset: int) -> tuple[int, int]:
    """Where the packet behind the control header at `offset` begins and ends; the end may be past that of `data`.

    Raises `MalformedData` when there is no control header or it is cut off.
    """
    start = offset + 2
    if int.from_bytes(data[offset:start], "big") & 0xFFE0 != CONTROL_PREFIX or len(data) < start:
        raise MalformedData("no control header where an Opus packet should begin")
    flags, size = data[offset + 1], 0
    while data[start : start + 1] == b"\xff" and size <= MAX_PACKET:
        size += 255
        start += 1
    size += int.from_bytes(data[start : start + 1], "big")
    if start >= len(data) or size > MAX_PACKET:
        raise MalformedData(f"an Opus packet of {size} bytes or more")
    start += 1 + 2 * bool(flags & _START_TRIM) + 2 * bool(flags & _END_TRIM)
    if flags & _EXTENSION:
        start += 1 + int.from_bytes(data[start : start + 1], "big")
    return start, start + size


def duration(packet: bytes) -> int:
    """Samples at 48 kHz that an Opus packet lasts (RFC 6716 §3.1 and §3.2). Raises `MalformedData`."""
    if not packet:
        raise MalformedData("an empty Opus packet")
    mode, code = packet[0] >> 3, packet[0] & 3
    if mode >= 16:  # CELT
        samples = 120 << (mode & 3)
    elif mode >= 12:  # hybrid
        samples = 480 << (mode & 1)
    else:  # SILK
        samples = (480, 960, 1920, 2880)[mode & 3]
    frames = 1 if code == 0 else 2
    if code == 3:
        frames = packet[1] & 0x3F if len(packet) > 1 else 0
    if not 0 < frames * samples <= 5760:
        raise MalformedData(f"an Opus packet of {frames} frames of {samples} samples")
    return frames * samples
