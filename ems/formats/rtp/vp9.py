"""VP9 in RTP (RFC 9628): a frame in as many packets as it takes, each behind a payload descriptor.

::

    I:1 P:1 L:1 F:1 B:1 E:1 V:1 Z:1 | with I: M:1 picture ID:7 or 15 | with L: TID:3 U:1 SID:3 D:1, and without F: TL0PICIDX:8
    with F and P: one to three { P_DIFF:7 N:1 } | with V: the scalability structure

B marks the first and E the last packet of a frame. Spatial layers, of which a picture has several frames, are not read beyond the
lowest.
"""

from ems.errors import MalformedData
from ems.formats.rtp.payload import VIDEO_CLOCK, Packetiser, Sending
from ems.formats.rtp.vp8 import VpDepacketiser
from ems.media.frame import Frame
from ems.media.track import Codec, Track

MAX_REFERENCES = 3
"""P_DIFF fields of one picture (RFC 9628 §4.2)."""

_ID, _INTER, _LAYERS, _FLEXIBLE, _BEGIN, _END, _STRUCTURE = 0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02


class Vp9Packetiser(Packetiser):
    """With the descriptor of one byte: no layers, no picture numbers."""

    def __init__(self, track: Track, sending: Sending) -> None:
        super().__init__(VIDEO_CLOCK, sending)

    def _packets(self, frame: Frame, timestamp: int) -> list[bytes]:
        data, step = frame.data, self.max_payload - 1
        inter = 0 if frame.keyframe else _INTER
        starts = range(0, len(data), step)
        flags = [inter] * len(starts)
        if flags:
            flags[0] |= _BEGIN
            flags[-1] |= _END
        payloads = [bytes((flag,)) + data[start : start + step] for flag, start in zip(flags, starts, strict=True)]
        return self._numbered(payloads, timestamp)


class Vp9Depacketiser(VpDepacketiser):
    """Any descriptor of RFC 9628 §4.2 without spatial layers; temporal ones are passed on together."""

    codec = Codec.VP9

    def _descriptor(self, payload: bytes) -> tuple[int, bool]:
        if not payload:
            raise MalformedData("a payload of VP9 without a descriptor")
        flags, size = payload[0], 1
        if flags & _ID:
            size += 2 if payload[size : size + 1] >= b"\x80" else 1
        if flags & _LAYERS:
            if payload[size : size + 1] and payload[size] >> 1 & 7:
                raise MalformedData("VP9 with spatial layers is not read")
            size += 1 if flags & _FLEXIBLE else 2
        if flags & _FLEXIBLE and flags & _INTER:
            size += self._references(payload, size)
        if flags & _STRUCTURE:
            size += _structure_size(payload, size)
        if size >= len(payload):
            raise MalformedData(f"a VP9 payload descriptor of {size} bytes in a payload of {len(payload)}")
        return size, bool(flags & _BEGIN)

    def _references(self, payload: bytes, at: int) -> int:
        """The size of the P_DIFF fields, the last of which has N 0."""
        for count in range(1, MAX_REFERENCES + 1):
            if not (payload[at + count - 1 : at + count] or b"\0")[0] & 1:
                return count
        raise MalformedData(f"more than {MAX_REFERENCES} references in a VP9 payload descriptor")

    def _is_keyframe(self, frame: bytes) -> bool:
        """By frame_marker, profile, show_existing_frame and frame_type of uncompressed_header()."""
        return not frame[0] >> (1 if self._profile(frame) == 3 else 2) & 3

    def _profile(self, frame: bytes) -> int:
        return frame[0] >> 5 & 1 | frame[0] >> 3 & 2


def _structure_size(payload: bytes, at: int) -> int:
    """Bytes of the scalability structure (RFC 9628 §4.2.1)."""
    head = payload[at : at + 1]
    if not head:
        return 1
    size = 1 + (4 * ((head[0] >> 5) + 1) if head[0] & 0x10 else 0)
    if head[0] & 0x08:
        groups = payload[at + size : at + size + 1]
        size += 1
        for _ in range(groups[0] if groups else 0):
            group = payload[at + size : at + size + 1]
            size += 1 + ((group[0] >> 2 & 3) if group else 0)
    return size
