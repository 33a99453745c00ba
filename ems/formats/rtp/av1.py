"""AV1 in RTP ("RTP Payload Format For AV1", AOM): open bitstream units (OBUs) without their sizes, behind one byte.

::

    Z:1 Y:1 W:2 N:1 0:3 | { leb128 size, element }*

Each element is an OBU or a fragment of one. Z says that the first goes on with the last of the packet before, Y that the last
goes on in the next packet, W how many there are, of which the last has no size; with W 0 each has. N marks a new sequence, and
the marker the last packet of a temporal unit, which is what a frame inside the server is: OBUs with their sizes, without the
temporal delimiter.
"""

from ems.errors import MalformedData
from ems.formats.rtp.av1_record import make_record
from ems.formats.rtp.fragments import Fragments, KeyframeGate
from ems.formats.rtp.packet import RtpPacket
from ems.formats.rtp.payload import VIDEO_CLOCK, AccessUnit, Depacketiser, Packetiser, Sending
from ems.media import av1
from ems.media.frame import Frame
from ems.media.nal import MAX_ACCESS_UNIT
from ems.media.track import Track

MAX_OBUS = 4096
"""OBUs in a temporal unit, and elements in a packet: tiles may each be one, of which a frame has up to 4096."""

_CONTINUES, _CONTINUED, _NEW_SEQUENCE = 0x80, 0x40, 0x08
_ONE_ELEMENT = 1 << 4
_EXTENSION, _HAS_SIZE = 0x04, 0x02
_TEMPORAL_DELIMITER, _TILE_LIST, _PADDING = 2, 8, 15
_UNSENT = frozenset({_TEMPORAL_DELIMITER, _TILE_LIST, _PADDING})


class Av1Packetiser(Packetiser):
    """One element in each packet: an OBU, or a fragment of one."""

    def __init__(self, track: Track, sending: Sending) -> None:
        super().__init__(VIDEO_CLOCK, sending)

    def _packets(self, frame: Frame, timestamp: int) -> list[bytes]:
        try:
            elements = _without_sizes(frame.data)
        except MalformedData:
            self.left_out += 1
            return []
        step = self.max_payload - 1
        payloads: list[bytes] = []
        for element in elements:
            for start in range(0, len(element), step):
                flags = _ONE_ELEMENT | (_CONTINUES if start else 0) | (_CONTINUED if start + step < len(element) else 0)
                payloads.append(bytes((flags,)) + element[start : start + step])
        if payloads and frame.keyframe:
            payloads[0] = bytes((payloads[0][0] | _NEW_SEQUENCE,)) + payloads[0][1:]
        return self._numbered(payloads, timestamp)


class Av1Depacketiser(Depacketiser):
    """Reads temporal units; those with a sequence header are key frames, as encoders write it in front of these."""

    def __init__(self, track_id: int) -> None:
        super().__init__(VIDEO_CLOCK)
        self._track_id = track_id
        self._fragments = Fragments()
        self._obus: list[bytes] = []
        self._size = 0
        self._sequence_header = b""
        self._new_sequence = self._damaged = False
        self._time: int | None = None
        self._gate = KeyframeGate()

    def await_keyframe(self) -> None:
        self._gate.close()

    def _receive(self, packet: RtpPacket, found: list[AccessUnit]) -> None:
        if packet.timestamp != self._time:
            if self._obus or self._fragments:
                self._drop()  # its marker did not come
            self._damaged = False
            self._time = packet.timestamp
        if not self._damaged:
            self._elements(packet.payload)
        if packet.marker:
            self._finish(found)

    def _drop(self) -> None:
        if self._obus or self._fragments:
            self.dropped += 1
        self._forget()
        self._damaged = True
        self._gate.close()

    def _forget(self) -> None:
        self._fragments.clear()
        self._obus, self._size, self._new_sequence = [], 0, False

    def _elements(self, payload: bytes) -> None:
        """The elements of one packet."""
        if not payload:
            raise MalformedData("a payload of AV1 without its header")
        flags, count, at = payload[0], payload[0] >> 4 & 3, 1
        if bool(flags & _CONTINUES) != bool(self._fragments):
            raise MalformedData("a fragment of an OBU is missing")
        number = 0
        while at < len(payload):
            number += 1
            if number == count:
                start, end = at, len(payload)
            else:
                size, start = _leb128(payload, at)
                end = start + size
            if end > len(payload) or number > MAX_OBUS:
                raise MalformedData(f"an OBU element ends at byte {end} of {len(payload)}")
            self._fragments.add(payload[start:end])
            at = end
            if at < len(payload) or not flags & _CONTINUED:
                self._obu(self._fragments.take())

    def _obu(self, obu: bytes) -> None:
        """A whole OBU, which gets its size back."""
        if not obu:
            return
        header_size = 2 if obu[0] & _EXTENSION else 1
        kind = obu[0] >> 3 & 15
        if kind in _UNSENT or len(obu) < header_size:
            return
        if obu[0] & _HAS_SIZE:
            sized, payload = obu, obu[_leb128(obu, header_size)[1] :]
        else:
            payload = obu[header_size:]
            sized = b"%c%b%b%b" % (obu[0] | _HAS_SIZE, obu[1:header_size], _to_leb128(len(payload)), payload)
        if kind == av1.OBU_SEQUENCE_HEADER:
            self._new_sequence = True
            self._learn(sized, payload)
        self._size += len(sized)
        self._obus.append(sized)
        if self._size > MAX_ACCESS_UNIT or len(self._obus) > MAX_OBUS:
            raise MalformedData(f"{len(self._obus)} OBUs of {self._size} bytes pass the limits of a temporal unit")

    def _learn(self, sized: bytes, payload: bytes) -> None:
        """A sequence header: the track's configuration."""
        if payload != self._sequence_header:
            self.track = av1.make_track(self._track_id, make_record(payload, sized))
            self._sequence_header = payload

    def _finish(self, found: list[AccessUnit]) -> None:
        """The marker has come."""
        time, self._time = self._time, None
        if self._fragments:
            raise MalformedData("the end of an OBU is missing")
        obus, keyframe, damaged = self._obus, self._new_sequence, self._damaged
        self._forget()
        self._damaged = False
        if not obus or time is None or damaged:
            return
        if self.track is None or not self._gate.admits(time, keyframe):
            self.dropped += 1
        else:
            found.append(AccessUnit(time, b"".join(obus), keyframe, self.track))


def _without_sizes(data: bytes) -> list[bytes]:
    """The OBUs of a temporal unit (AV1 specification §5.3), without their sizes and those that are not sent."""
    elements: list[bytes] = []
    at = 0
    while at < len(data):
        header_size = 2 if data[at] & _EXTENSION else 1
        start, end = at + header_size, len(data)
        if data[at] & _HAS_SIZE:
            size, start = _leb128(data, start)
            end = start + size
        if end > len(data) or len(elements) > MAX_OBUS:
            raise MalformedData(f"an OBU ends at byte {end} of {len(data)}")
        if data[at] >> 3 & 15 not in _UNSENT:
            head = bytes((data[at] & ~_HAS_SIZE,)) + data[at + 1 : at + header_size]
            elements.append(head + data[start:end])
        at = end
    return elements


def _leb128(data: bytes, offset: int) -> tuple[int, int]:
    """A variable-length number (AV1 specification §4.10.5) and the offset behind it."""
    value = 0
    for index, byte in enumerate(data[offset : offset + av1.MAX_LEB128]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, offset + index + 1
    raise MalformedData("the size of an OBU has no end")


def _to_leb128(value: int) -> bytes:
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*groups, value))
