"""AAC in RTP by RFC 3640: access units behind a table of their sizes.

::

    AU-headers-length:16, in bits | { AU-size:sizeLength AU-Index or AU-Index-delta:indexLength … }* | the access units

What stands in a header and in how many bits each, the SDP says. Mode AAC-hbr has 13 bits of size and 3 of index, AAC-lbr 6 and 2.
An access unit that is too large for a packet is sent in fragments, each behind a header with the size of the whole.

Interleaving (an index other than 0) is refused: it brings nothing but delay, and nobody uses it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from ems.errors import MalformedData
from ems.formats.rtp.fragments import Fragments
from ems.formats.rtp.packet import RtpPacket
from ems.formats.rtp.payload import AccessUnit, Depacketiser, Packetiser, Sending
from ems.media import aac
from ems.media.bits import BitReader
from ems.media.frame import Frame
from ems.media.track import Track

MAX_UNITS = 255
"""Access units in one packet: five seconds of sound."""

MAX_UNIT = 65_535
"""Bytes of an access unit: sixteen bits of size; 6144 bits a channel are the most that AAC has."""

MAX_FIELD_BITS = 32
"""Bits of a field of an AU header: there are no times and sizes beyond."""

_HBR_SIZE = 1 << 13


@dataclass(frozen=True, slots=True)
class AuHeaders:
    """How many bits each field of an AU header has (RFC 3640 §4.1), 0 where there is none; `constant_size` is in bytes."""

    size: int = 13
    index: int = 3
    index_delta: int = 3
    constant_size: int = 0
    cts_delta: int = 0
    dts_delta: int = 0
    random_access: int = 0
    stream_state: int = 0
    auxiliary: int = 0

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Self:
        """What an ``a=fmtp`` line says; the fields that its mode implies where it does not. Raises `MalformedData`."""
        implied = {"aac-hbr": (13, 3, 3), "aac-lbr": (6, 2, 2)}.get(parameters.get("mode", "").lower(), (0, 0, 0))

        def bits(name: str, default: int = 0, limit: int = MAX_FIELD_BITS) -> int:
            text = parameters.get(name, "").strip()
            if not text:
                return default
            if not (text.isascii() and text.isdigit() and len(text) < 8 and int(text) <= limit):
                raise MalformedData(f"{name}={text[:20]!r} where 0 to {limit} is possible")
            return int(text)

        return cls(
            bits("sizelength", implied[0]),
            bits("indexlength", implied[1]),
            bits("indexdeltalength", implied[2]),
            bits("constantsize", 0, MAX_UNIT),
            bits("ctsdeltalength"),
            bits("dtsdeltalength"),
            bits("randomaccessindication", 0, 1),
            bits("streamstateindication"),
            bits("auxiliarydatasizelength"),
        )

    @property
    def present(self) -> bool:
        """True when there are AU headers at all (RFC 3640 §3.2.1)."""
        return any(
            (self.size, self.index, self.index_delta, self.cts_delta, self.dts_delta, self.random_access, self.stream_state)
        )


AAC_HBR = AuHeaders()
"""What everybody sends."""


class AacPacketiser(Packetiser):
    """Mode AAC-hbr, one access unit in a packet, or in several when it is too large. Raises `MalformedData`."""

    def __init__(self, track: Track, sending: Sending) -> None:
        if not track.sample_rate:
            raise MalformedData("AAC without a sample rate has no clock")
        super().__init__(track.sample_rate, sending)

    def _packets(self, frame: Frame, timestamp: int) -> list[bytes]:
        data = frame.data
        if len(data) >= _HBR_SIZE:
            self.left_out += 1
            return []
        header = b"\0\x10" + (len(data) << 3).to_bytes(2, "big")
        step = self.max_payload - len(header)
        return self._numbered([header + data[start : start + step] for start in range(0, len(data), step)], timestamp)


class AacDepacketiser(Depacketiser):
    """Any mode of RFC 3640 without interleaving."""

    def __init__(self, track: Track, clock_rate: int, headers: AuHeaders = AAC_HBR) -> None:
        super().__init__(clock_rate)
        self.track: Track = track
        self._headers = headers
        config = aac.AudioSpecificConfig.parse(track.config)
        # The clock of high-efficiency AAC may be that of its output, twice the rate of its core.
        self._unit_ticks = config.frame_length * clock_rate // (track.sample_rate or clock_rate)
        self._fragments = Fragments(MAX_UNIT)
        self._missing = 0
        self._time = 0
        self._given_up: int | None = None

    def _receive(self, packet: RtpPacket, found: list[AccessUnit]) -> None:
        sizes, at = self._sizes(packet.payload) if self._headers.present else (None, 0)
        data = packet.payload[at:]
        if sizes is None:
            self._headless(packet, data, found)
            return
        if len(sizes) == 1 and (sizes[0] > len(data) or self._fragments):
            self._fragment(packet, sizes[0], data, found)
            return
        if self._fragments:
            self._drop()
        if sum(sizes) > len(data):
            raise MalformedData(f"access units of {sum(sizes)} bytes in a packet with {len(data)}")
        start = 0
        for number, size in enumerate(sizes):
            if size:
                timestamp = packet.timestamp + number * self._unit_ticks & 0xFFFFFFFF
                found.append(AccessUnit(timestamp, data[start : start + size], True, self.track))
            start += size

    def _drop(self) -> None:
        if self._fragments:
            self.dropped += 1
            self._given_up = self._time
        self._fragments.clear()

    def _sizes(self, payload: bytes) -> tuple[list[int], int]:
        """The sizes of the access units in a payload, and where the first of them begins."""
        headers = self._headers
        bits = int.from_bytes(payload[:2], "big")
        end = 2 + (bits + 7) // 8
        if len(payload) < end:
            raise MalformedData(f"AU headers of {bits} bits in a payload of {len(payload)} bytes")
        if bits == 16 and headers == AAC_HBR and payload[3] & 7 == 0 and (size := int.from_bytes(payload[2:4], "big") >> 3):
            return [size], end
        reader = BitReader(payload[2:end])
        sizes: list[int] = []
        while reader.position < bits:
            sizes.append(self._header(reader, first=not sizes))
            if len(sizes) > MAX_UNITS:
                raise MalformedData(f"more than {MAX_UNITS} access units in one packet")
        if headers.auxiliary:
            auxiliary = BitReader(payload[end : end + 8])
            size = auxiliary.u(headers.auxiliary)
            end += (headers.auxiliary + size + 7) // 8
        return sizes, end

    def _header(self, reader: BitReader, *, first: bool) -> int:
        """One AU header (RFC 3640 §3.2.1.1): the size of its access unit."""
        headers = self._headers
        size = reader.u(headers.size) if headers.size else headers.constant_size
        if reader.u(headers.index if first else headers.index_delta):
            raise MalformedData("interleaved AAC is not read")
        if headers.cts_delta and reader.flag():
            reader.skip(headers.cts_delta)
        if headers.dts_delta and reader.flag():
            reader.skip(headers.dts_delta)
        reader.skip(headers.random_access + headers.stream_state)
        if not size or size > MAX_UNIT:
            raise MalformedData(f"an AAC access unit of {size} bytes")
        return size

    def _headless(self, packet: RtpPacket, data: bytes, found: list[AccessUnit]) -> None:
        """A payload without AU headers: access units of one constant size, or one that ends with the marker."""
        size = self._headers.constant_size
        if size:
            if len(data) // size > MAX_UNITS:
                raise MalformedData(f"{len(data) // size} access units in one packet, where {MAX_UNITS} are possible")
            for number, start in enumerate(range(0, len(data) - size + 1, size)):
                timestamp = packet.timestamp + number * self._unit_ticks & 0xFFFFFFFF
                found.append(AccessUnit(timestamp, data[start : start + size], True, self.track))
            return
        if self._fragments and packet.timestamp != self._time:
            self._drop()
        self._time = packet.timestamp
        self._fragments.add(data)
        if packet.marker:
            self._complete(found)

    def _fragment(self, packet: RtpPacket, size: int, data: bytes, found: list[AccessUnit]) -> None:
        """A fragment of an access unit of `size` bytes, or the first unit behind fragments whose end is missing."""
        if self._fragments and packet.timestamp != self._time:
            self._drop()
        if packet.timestamp == self._given_up:
            return
        if not self._fragments:
            self._missing = size
        self._time = packet.timestamp
        self._fragments.add(data)
        self._missing -= len(data)
        if self._missing < 0:
            raise MalformedData(f"fragments of an access unit of {size} bytes are longer than it")
        if not self._missing:
            self._complete(found)

    def _complete(self, found: list[AccessUnit]) -> None:
        data = self._fragments.take()
        if data:
            found.append(AccessUnit(self._time, data, True, self.track))
