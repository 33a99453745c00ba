"""AAC in RTP by RFC 6416 §6: LATM's AudioMuxElement, in one packet or in several of which the last has the marker.

With ``cpresent=0``, as nearly everybody has it, the StreamMuxConfig is in the SDP (``config=``) and the elements are without it;
else it is in front of the access units. Either way it is what broadcasters send in transport streams behind a sync word, and is
read by what reads that.
"""

from collections.abc import Mapping

from ems.errors import MalformedData
from ems.formats.mpegts.latm import HEADER_SIZE, Loas
from ems.formats.rtp.fragments import Fragments
from ems.formats.rtp.packet import RtpPacket
from ems.formats.rtp.payload import AccessUnit, Depacketiser

MAX_ELEMENT = 8191 - 1
"""Bytes of an AudioMuxElement: its length has 13 bits where it is behind a sync word, and a bit may come in front of it."""

MAX_CONFIG = 512
"""Bytes of a StreamMuxConfig in an SDP: usual ones have 6."""

_SYNC_WORD = 0x2B7
_MOST_UNITS = 64


class LatmDepacketiser(Depacketiser):
    """Reads MP4A-LATM. `parameters` are those of ``a=fmtp``; raises `MalformedData` when they have no configuration."""

    def __init__(self, track_id: int, clock_rate: int, parameters: Mapping[str, str]) -> None:
        super().__init__(clock_rate)
        self._reader = Loas(track_id)
        self._in_band = parameters.get("cpresent", "1").strip() != "0"
        self._fragments = Fragments(MAX_ELEMENT)
        self._time: int | None = None
        text = parameters.get("config", "")
        if text:
            self._configure(text)
        if self.track is None and not self._in_band:
            raise MalformedData("MP4A-LATM with neither a configuration nor the promise of one")

    def _configure(self, text: str) -> None:
        """Let the reader have the StreamMuxConfig of the SDP: in an element with nothing but empty access units behind it."""
        try:
            config = bytes.fromhex(text)
        except ValueError:
            raise MalformedData(f"the StreamMuxConfig {text[:20]!r} is not hexadecimal") from None
        if len(config) > MAX_CONFIG:
            raise MalformedData(f"a StreamMuxConfig of {len(config)} bytes")
        self._read(_behind_bit(0, config + bytes(_MOST_UNITS)))

    def _receive(self, packet: RtpPacket, found: list[AccessUnit]) -> None:
        if self._fragments and packet.timestamp != self._time:
            self._drop()
        self._time = packet.timestamp
        self._fragments.add(packet.payload)
        if not packet.marker:
            return
        element = self._fragments.take()
        units, samples = self._read(element if self._in_band else _behind_bit(1, element))
        if self.track is None:
            return
        ticks = samples * self.clock_rate // (self.track.sample_rate or self.clock_rate)
        for number, unit in enumerate(units):
            if unit:
                found.append(AccessUnit(packet.timestamp + number * ticks & 0xFFFFFFFF, unit, True, self.track))

    def _drop(self) -> None:
        if self._fragments:
            self.dropped += 1
        self._fragments.clear()

    def _read(self, element: bytes) -> tuple[list[bytes], int]:
        """The access units of an element, and how many samples each has."""
        frame = self._reader.frame((_SYNC_WORD << 13 | len(element)).to_bytes(HEADER_SIZE, "big") + element, 0)
        if frame is None:
            raise MalformedData("an AudioMuxElement is cut off")
        self.track = frame.track
        return list(frame.units), frame.samples


def _behind_bit(bit: int, data: bytes) -> bytes:
    """These bytes one bit later, with this bit, useSameStreamMux, in front of them."""
    shifted = (bit << 8 * len(data) | int.from_bytes(data, "big")) << 7
    return shifted.to_bytes(len(data) + 1, "big")
