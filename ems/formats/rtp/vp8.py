"""VP8 in RTP (RFC 7741): a frame in as many packets as it takes, each behind a payload descriptor.

::

    X:1 R:1 N:1 S:1 R:1 PID:3 | with X: I:1 L:1 T:1 K:1 0:4 | with I: M:1 PictureID:7 or 15
    with L: TL0PICIDX:8 | with T or K: TID:2 Y:1 KEYIDX:5

S marks the first packet of a partition, and with PID 0 that of a frame; the marker is on the last one.
"""

from dataclasses import replace

from ems.errors import MalformedData
from ems.formats.rtp.fragments import Fragments, KeyframeGate
from ems.formats.rtp.packet import RtpPacket
from ems.formats.rtp.payload import VIDEO_CLOCK, AccessUnit, Depacketiser, Packetiser, Sending
from ems.media import vpx
from ems.media.frame import Frame
from ems.media.track import Codec, Track
from ems.media.vpx_frame import picture_size

_EXTENDED, _START = 0x80, 0x10
_PICTURE_ID, _TL0PICIDX, _LAYER_OR_KEY = 0x80, 0x40, 0x30


class Vp8Packetiser(Packetiser):
    """With the descriptor of one byte: no layers, no picture numbers."""

    def __init__(self, track: Track, sending: Sending) -> None:
        super().__init__(VIDEO_CLOCK, sending)

    def _packets(self, frame: Frame, timestamp: int) -> list[bytes]:
        data, step = frame.data, self.max_payload - 1
        payloads = [b"\0" + data[start : start + step] for start in range(0, len(data), step)]
        payloads[:1] = [b"\x10" + payload[1:] for payload in payloads[:1]]
        return self._numbered(payloads, timestamp)


class VpDepacketiser(Depacketiser):
    """What VP8 and VP9 share: frames that begin with a flag and end with the marker, and key frames that tell their size."""

    codec: Codec

    def __init__(self, track_id: int) -> None:
        super().__init__(VIDEO_CLOCK)
        self._track_id = track_id
        self._fragments = Fragments()
        self._gate = KeyframeGate()
        self._time = 0

    def await_keyframe(self) -> None:
        self._gate.close()

    def _receive(self, packet: RtpPacket, found: list[AccessUnit]) -> None:
        start, begins = self._descriptor(packet.payload)
        if begins or (self._fragments and packet.timestamp != self._time):
            if self._fragments:
                self._drop()  # its marker did not come
            if not begins:
                return
            self._time = packet.timestamp
        elif not self._fragments:
            self._gate.close()
            return
        self._fragments.add(packet.payload[start:])
        if packet.marker:
            self._finish(self._fragments.take(), found)

    def _descriptor(self, payload: bytes) -> tuple[int, bool]:
        """The size of the payload descriptor, and whether a frame begins behind it. Raises `MalformedData`."""
        raise NotImplementedError

    def _is_keyframe(self, frame: bytes) -> bool:
        raise NotImplementedError

    def _finish(self, frame: bytes, found: list[AccessUnit]) -> None:
        if not frame:
            return
        keyframe = self._is_keyframe(frame)
        if keyframe:
            self._configure(frame)
        if self.track is None or not self._gate.admits(self._time, keyframe):
            self.dropped += 1
        else:
            found.append(AccessUnit(self._time, frame, keyframe, self.track))

    def _configure(self, frame: bytes) -> None:
        """Make the track that a key frame describes. Raises `MalformedData`."""
        width, height = picture_size(self.codec, frame)
        record = vpx.VpConfiguration(self._profile(frame), 10, 8, 1, False, 2, 2, 2)
        track = replace(vpx.make_track(self._track_id, bytes(record), self.codec), width=width, height=height)
        if track != self.track:
            self.track = track

    def _profile(self, frame: bytes) -> int:
        return 0

    def _drop(self) -> None:
        if self._fragments:
            self.dropped += 1
        self._fragments.clear()
        self._gate.close()


class Vp8Depacketiser(VpDepacketiser):
    """Any descriptor of RFC 7741 §4.2; temporal layers are passed on together."""

    codec = Codec.VP8

    def _descriptor(self, payload: bytes) -> tuple[int, bool]:
        if not payload:
            raise MalformedData("a payload of VP8 without a descriptor")
        first, size = payload[0], 1
        if first & _EXTENDED:
            extension = payload[1] if len(payload) > 1 else 0
            size = 2
            if extension & _PICTURE_ID:
                size += 2 if payload[size : size + 1] >= b"\x80" else 1
            size += bool(extension & _TL0PICIDX) + bool(extension & _LAYER_OR_KEY)
        if size >= len(payload):
            raise MalformedData(f"a VP8 payload descriptor of {size} bytes in a payload of {len(payload)}")
        return size, bool(first & _START) and not first & 0x07

    def _is_keyframe(self, frame: bytes) -> bool:
        return not frame[0] & 1
