"""What all payload formats share: how access units become packets, and how packets become access units."""

from typing import NamedTuple

from ems.errors import MalformedData
from ems.formats.rtp.packet import HEADER_SIZE, RtpPacket, build
from ems.media.frame import Frame
from ems.media.track import Track

VIDEO_CLOCK = 90_000
"""Hz of the clock of all video formats, and of MP3 and MPEG-TS."""

MIN_PAYLOAD = 64
"""Bytes of payload that a packetiser needs: below, headers would outweigh media, and no format could make progress."""

MAX_PAYLOAD = 65_535 - HEADER_SIZE
"""Bytes of payload that a UDP datagram or an interleaved frame has room for."""

DEFAULT_MAX_PAYLOAD = 1350 - HEADER_SIZE
"""Payloads that pass through tunnels and PPPoE unfragmented."""


class Sending(NamedTuple):
    """What the packets of a packetiser have in common. `sequence` is the number of the first, `max_payload` in bytes."""

    payload_type: int
    ssrc: int
    sequence: int = 0
    max_payload: int = DEFAULT_MAX_PAYLOAD


class Packetiser:
    """Makes packets of the frames of one track, in one payload format. Made by `ems.formats.rtp.packetise`.

    `clock_rate` is that of the timestamps in Hz; `sequence` is the number of the next packet, 0 to 65535. `packet_count` and
    `octet_count` (payloads only) are what sender reports tell. `left_out` counts frames that the format cannot say.
    """

    def __init__(self, clock_rate: int, sending: Sending) -> None:
        self.clock_rate = clock_rate
        self.payload_type = sending.payload_type
        self.ssrc = sending.ssrc
        self.sequence = sending.sequence & 0xFFFF
        self.max_payload = min(max(sending.max_payload, MIN_PAYLOAD), MAX_PAYLOAD)
        self.packet_count = 0
        self.octet_count = 0
        self.left_out = 0

    def packets(self, frame: Frame, timestamp: int) -> list[bytes]:
        """Whole packets of one frame; `timestamp` is its presentation time in ticks of `clock_rate`, wrapped here to 32 bits.

        Fragments of a unit are as long as `max_payload` allows, but for the last one, as UDP segmentation offload wants it.
        """
        packets = self._packets(frame, timestamp & 0xFFFFFFFF)
        self.sequence = self.sequence + len(packets) & 0xFFFF
        self.packet_count += len(packets)
        self.octet_count += sum(map(len, packets)) - HEADER_SIZE * len(packets)
        return packets

    def _packets(self, frame: Frame, timestamp: int) -> list[bytes]:
        """The packets of a frame, numbered from `sequence` on."""
        raise NotImplementedError

    def _numbered(self, payloads: list[bytes], timestamp: int, *, marked: bool = True) -> list[bytes]:
        """These payloads in packets, the last one with the marker when `marked`."""
        last = len(payloads) - 1 if marked else -1
        return [
            build(self.payload_type, self.sequence + index, timestamp, self.ssrc, payload, index == last)
            for index, payload in enumerate(payloads)
        ]


class AccessUnit(NamedTuple):
    """One access unit: `timestamp` is its presentation time as its packets have it, 32 bits; `data` has the form of `Frame.data`.

    `track` is another object from the first unit on that a changed configuration holds for.
    """

    timestamp: int
    data: bytes
    keyframe: bool
    track: Track


class Depacketiser:
    """Makes access units of the packets of one medium. Made by `ems.formats.rtp.depacketise`.

    `track` is None until its configuration is known, from the SDP or from the stream. Nothing that a stream says raises: what
    makes no sense is counted in `malformed` and treated as lost. `losses` counts gaps in the sequence, `dropped` the access
    units that came in part or could not be decoded because of them.
    """

    def __init__(self, clock_rate: int, track: Track | None = None) -> None:
        self.clock_rate = clock_rate
        self.track = track
        self.losses = 0
        self.dropped = 0
        self.malformed = 0
        self._expected: int | None = None

    def receive(self, packet: RtpPacket) -> list[AccessUnit]:
        """The access units that this packet completes. Packets are taken in the order of their numbers; a gap is a loss."""
        sequence = packet.sequence
        if sequence != self._expected and self._expected is not None:
            self.lost()
        self._expected = sequence + 1 & 0xFFFF
        found: list[AccessUnit] = []
        try:
            self._receive(packet, found)
        except MalformedData:
            self.malformed += 1
            self._drop()
        return found

    def skip(self, sequence: int) -> None:
        """The packet of this number is none of this medium: where it follows the one before, nothing is missing."""
        if sequence == self._expected:
            self._expected = sequence + 1 & 0xFFFF

    def lost(self) -> None:
        """Packets are missing in front of what comes next: what is incomplete is dropped, and pictures wait for a key frame."""
        self.losses += 1
        self._drop()

    def await_keyframe(self) -> None:
        """Give no pictures before the next key frame: those before it have not been passed on. Nothing happens to sound."""

    def flush(self) -> list[AccessUnit]:
        """What is complete when nothing more comes."""
        return []

    def _receive(self, packet: RtpPacket, found: list[AccessUnit]) -> None:
        """Add to `found` what a packet completes, which follows the one before. Raises `MalformedData`."""
        raise NotImplementedError

    def _drop(self) -> None:
        """Forget what is incomplete."""
