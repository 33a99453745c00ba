"""H.264 and H.265 into packets (RFC 6184, RFC 7798): small NAL units as they are, large ones in fragmentation units.

A fragmentation unit has the NAL unit's header with another type in it, and a byte that says where the fragment belongs::

    H.264 FU-A   F:1 NRI:2 28:5            | S:1 E:1 R:1 type:5 | the next bytes of the NAL unit
    H.265 FU     F:1 49:6 LayerId:6 TID:3  | S:1 E:1 type:6     | the next bytes of the NAL unit

The header of the NAL unit itself is not sent: it can be made of these. Parameter sets go before every key frame, in band, so that
a player may begin at any of them. There is no aggregation: every receiver reads single units, and they cost twelve bytes each.
"""

from abc import abstractmethod
from collections.abc import Callable
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from ems.errors import MalformedData
from ems.formats.mpegts.nal_rules import AVC, HEVC, NalRules
from ems.formats.rtp.payload import VIDEO_CLOCK, Packetiser, Sending
from ems.media.frame import Frame
from ems.media.h264 import AvcConfiguration
from ems.media.h265 import HevcConfiguration
from ems.media.nal import split_lengths
from ems.media.track import Track

FU_A = 28
"""nal_unit_type of H.264's fragmentation units (RFC 6184 table 1)."""

HEVC_FU = 49
"""nal_unit_type of H.265's fragmentation units (RFC 7798 §4.4.3)."""

_START, _END = 0x80, 0x40
_MARKER = 0x80
_SINGLE = Struct(">BBHII").pack


class Fragmentation(NamedTuple):
    """What makes fragments of a NAL unit.

    `pack` makes the RTP header and what stands in front of a fragment, `skipped` is the size of the unit's header, which is not
    sent, and `first`, `middle` and `last` are what stands in front of these fragments.
    """

    pack: Callable[[int, int, int, int, int, bytes], bytes]
    skipped: int
    first: bytes
    middle: bytes
    last: bytes


def _units(data: bytes) -> list[bytes]:
    """The NAL units of an access unit; most pictures are one, which needs no looking for more."""
    return [data[4:]] if int.from_bytes(data[:4], "big") == len(data) - 4 > 0 else split_lengths(data)


class NalPacketiser(Packetiser):
    """What both codecs share. `rules` tell their NAL units apart."""

    rules: NalRules

    def __init__(self, track: Track, sending: Sending) -> None:
        super().__init__(VIDEO_CLOCK, sending)
        self._track = track
        self._parameter_sets = self._sets_of(track)
        self._begun = False

    @abstractmethod
    def _sets_of(self, track: Track) -> list[bytes]:
        """The parameter sets in a track's configuration, in the order in which they are sent."""

    @staticmethod
    @abstractmethod
    def _fragmentation(header: bytes) -> Fragmentation:
        """How a NAL unit that begins with these two bytes is fragmented."""

    def _packets(self, frame: Frame, timestamp: int) -> list[bytes]:
        try:
            if frame.track is not self._track:
                self._parameter_sets, self._track, self._begun = self._sets_of(frame.track), frame.track, False
            nals = self._wanted(frame)
        except MalformedData:
            self.left_out += 1
            return []
        packets: list[bytes] = []
        kind, ssrc, size, sequence = self.payload_type, self.ssrc, self.max_payload, self.sequence
        last_of_all = len(nals) - 1
        for index, nal in enumerate(nals):
            final_kind = kind | _MARKER if index == last_of_all else kind
            if len(nal) <= size:
                packets.append(_SINGLE(0x80, final_kind, sequence & 0xFFFF, timestamp, ssrc) + nal)
                sequence += 1
                continue
            pack, skipped, first, middle, last = self._fragmentation(nal[:2])
            step = size - len(middle)
            begin, *begins = range(skipped, len(nal), step)
            packets.append(pack(0x80, kind, sequence & 0xFFFF, timestamp, ssrc, first) + nal[begin : begin + step])
            end = begins.pop()
            packets += [
                pack(0x80, kind, number & 0xFFFF, timestamp, ssrc, middle) + nal[begin : begin + step]
                for number, begin in enumerate(begins, sequence + 1)
            ]
            sequence += len(begins) + 2
            packets.append(pack(0x80, final_kind, sequence - 1 & 0xFFFF, timestamp, ssrc, last) + nal[end:])
        return packets

    def _wanted(self, frame: Frame) -> list[bytes]:
        """The NAL units to send: those of the frame but delimiters and filler, behind the parameter sets where they belong."""
        dropped, types, sets = self.rules.dropped, self.rules.types, self.rules.parameter_sets
        nals = [nal for nal in _units(frame.data) if types[nal[0]] not in dropped]
        if (frame.keyframe or not self._begun) and nals:
            self._begun = True
            if not any(types[nal[0]] in sets for nal in nals):
                return [*self._parameter_sets, *nals]
        return nals


class H264Packetiser(NalPacketiser):
    """H.264 in packetization-mode 1 (RFC 6184 §6.3): single NAL units and FU-A. Raises `MalformedData` for a damaged ``avcC``."""

    rules = AVC

    def _sets_of(self, track: Track) -> list[bytes]:
        record = AvcConfiguration.parse(track.config)
        return [*record.sps, *record.sps_extensions, *record.pps]

    @staticmethod
    @lru_cache(maxsize=256)
    def _fragmentation(header: bytes) -> Fragmentation:
        indicator, kind = header[0] & 0xE0 | FU_A, header[0] & 0x1F
        flags = (_START | kind, kind, _END | kind)
        return Fragmentation(Struct(">BBHII2s").pack, 1, *(bytes((indicator, flag)) for flag in flags))


class H265Packetiser(NalPacketiser):
    """H.265 without interleaving (RFC 7798 §4.4.1, §4.4.3). Raises `MalformedData` for a damaged ``hvcC``."""

    rules = HEVC

    def _sets_of(self, track: Track) -> list[bytes]:
        record = HevcConfiguration.parse(track.config)
        return [*record.vps, *record.sps, *record.pps]

    @staticmethod
    @lru_cache(maxsize=256)
    def _fragmentation(header: bytes) -> Fragmentation:
        head, layer, kind = header[0] & 0x81 | HEVC_FU << 1, header[1], header[0] >> 1 & 0x3F
        flags = (_START | kind, kind, _END | kind)
        return Fragmentation(Struct(">BBHII3s").pack, 2, *(bytes((head, layer, flag)) for flag in flags))
