"""Which payload format a track is sent in: `make_packetiser`, and `make_ts_packetiser` for transport streams.

A packetiser gives whole packets, ready to be sent to every viewer alike: one SSRC, one sequence, one clock for all of them.
"""

from collections.abc import Callable

from ems.errors import MalformedData
from ems.formats.rtp.aac import AacPacketiser
from ems.formats.rtp.av1 import Av1Packetiser
from ems.formats.rtp.nal_packets import H264Packetiser, H265Packetiser
from ems.formats.rtp.packet import build
from ems.formats.rtp.payload import DEFAULT_MAX_PAYLOAD, VIDEO_CLOCK, Packetiser, Sending
from ems.formats.rtp.sounds import Ac3Packetiser, G711Packetiser, Mp3Packetiser, OpusPacketiser
from ems.formats.rtp.vp8 import Vp8Packetiser
from ems.formats.rtp.vp9 import Vp9Packetiser
from ems.media.track import Codec, Track

__all__ = ["DEFAULT_MAX_PAYLOAD", "Packetiser", "TsPacketiser", "make_packetiser", "make_ts_packetiser"]

TS_PAYLOAD_TYPE = 33
"""MP2T (RFC 3551 §6)."""

TS_PACKET = 188
TS_PACKETS = 7
"""Packets of 188 bytes in one datagram: as many as an Ethernet frame holds."""

_FORMATS: dict[Codec, Callable[[Track, Sending], Packetiser]] = {
    Codec.H264: H264Packetiser,
    Codec.H265: H265Packetiser,
    Codec.AV1: Av1Packetiser,
    Codec.VP8: Vp8Packetiser,
    Codec.VP9: Vp9Packetiser,
    Codec.AAC: AacPacketiser,
    Codec.OPUS: OpusPacketiser,
    Codec.G711A: G711Packetiser,
    Codec.G711U: G711Packetiser,
    Codec.MP3: Mp3Packetiser,
    Codec.AC3: Ac3Packetiser,
    Codec.EAC3: Ac3Packetiser,
}


def make_packetiser(
    track: Track,
    *,
    payload_type: int,
    ssrc: int,
    sequence: int = 0,
    max_payload: int = DEFAULT_MAX_PAYLOAD,
) -> Packetiser | None:
    """What makes packets of this track's frames; None when there is no standard way, or its configuration cannot be said in it.

    `sequence` is the number of the first packet; `max_payload` is in bytes, without the header of 12.
    """
    make = _FORMATS.get(track.codec)
    if make is None:
        return None
    try:
        return make(track, Sending(payload_type, ssrc, sequence, max_payload))
    except MalformedData:
        return None


class TsPacketiser:
    """Puts whole transport packets of 188 bytes into RTP packets (RFC 2250 §2), up to seven in each.

    `clock_rate` is 90 kHz; `sequence`, `packet_count` and `octet_count` are as those of `Packetiser`.
    """

    clock_rate = VIDEO_CLOCK

    def __init__(self, ssrc: int, sequence: int, payload_type: int, per_packet: int) -> None:
        self.payload_type = payload_type
        self.ssrc = ssrc
        self.sequence = sequence & 0xFFFF
        self.packet_count = 0
        self.octet_count = 0
        self._size = per_packet * TS_PACKET

    def packets(self, data: bytes, timestamp: int) -> list[bytes]:
        """RTP packets of `data`, any number of transport packets, sent at `timestamp` (ticks of 90 kHz, wrapped to 32 bits)."""
        size, first = self._size, self.sequence
        packets = [
            build(self.payload_type, first + number, timestamp, self.ssrc, data[start : start + size])
            for number, start in enumerate(range(0, len(data), size))
        ]
        self.sequence = first + len(packets) & 0xFFFF
        self.packet_count += len(packets)
        self.octet_count += len(data)
        return packets


def make_ts_packetiser(
    *,
    ssrc: int,
    sequence: int = 0,
    payload_type: int = TS_PAYLOAD_TYPE,
    max_payload: int = TS_PACKETS * TS_PACKET,
) -> TsPacketiser:
    """What puts transport packets into RTP packets, as many as `max_payload` bytes have room for, but one at least."""
    return TsPacketiser(ssrc, sequence, payload_type, max(max_payload // TS_PACKET, 1))
