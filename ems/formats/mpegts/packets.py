"""Transport packets (ISO/IEC 13818-1 §2.4.3.2) and the clocks of a transport stream.

::

    0x47 | transport_error:1 payload_unit_start:1 priority:1 PID:13 | scrambling:2 adaptation_field:1 payload:1 counter:4
    and when there is an adaptation field: length:8 | flags:8 | PCR:48 …

A packet is always full: what is missing is stuffed into the adaptation field. Presentation and decoding times count 90 kHz in
33 bits and wrap after 26.5 hours; the program clock reference (PCR) counts 27 MHz as such a time and a remainder of 0 to 299.

Writing is made of few calls, however long the payload: it is cut by one `struct` call for each 64 packets, put between ready
headers by slice assignment, and joined once.
"""

from enum import IntEnum
from struct import Struct

PACKET_SIZE = 188
PAYLOAD_SIZE = 184
SYNC_BYTE = 0x47

CLOCK_RATE = 90_000
"""Hz of presentation and decoding times."""

TICKS_RANGE = 1 << 33
"""Ticks of 90 kHz after which times wrap (§2.4.3.6)."""


class Pid(IntEnum):
    """PIDs with a fixed meaning (table 2-3), and those of the streams that we make."""

    PAT = 0
    VIDEO = 0x100
    AUDIO = 0x101
    METADATA = 0x102
    FURTHER = 0x103
    PMT = 0x1000
    NULL = 0x1FFF


class StreamType(IntEnum):
    """stream_type in a PMT (table 2-34), ATSC's of A/52 Annex A, and Apple's for encrypted samples."""

    MPEG1_AUDIO = 0x03
    MPEG2_AUDIO = 0x04
    PRIVATE_PES = 0x06
    AAC_ADTS = 0x0F
    AAC_LATM = 0x11
    METADATA = 0x15
    H264 = 0x1B
    H265 = 0x24
    AC3 = 0x81
    EAC3 = 0x87
    SAMPLE_AES_AAC = 0xCF
    SAMPLE_AES_H264 = 0xDB


START = 0x4000
"""payload_unit_start_indicator, above the PID."""

PAYLOAD = 0x10
ADAPTATION = 0x20

DISCONTINUITY = 0x80
RANDOM_ACCESS = 0x40
PCR_FLAG = 0x10

RANDOM_ACCESS_FIELD = bytes((RANDOM_ACCESS,))
"""An adaptation field, without its length, that says no more than that decoding can begin here."""

_HEADER = Struct(">BHB")
_PCR = Struct(">BIH")
_BLOCK = 64
_CUTTERS = tuple(Struct(f"{PAYLOAD_SIZE}s" * count) for count in range(_BLOCK + 1))
# An adaptation field of n bytes that does nothing but take room: its length, no flags, stuffing (§2.4.3.5).
_STUFFING = (b"", b"\0", *(bytes((size - 1, 0)) + b"\xff" * (size - 2) for size in range(2, PAYLOAD_SIZE + 1)))


def to_ticks(nanoseconds: int) -> int:
    """The nearest tick of 90 kHz, not wrapped: every tick survives the way to nanoseconds and back."""
    return (nanoseconds * 9 + 50_000) // 100_000


def to_nanoseconds(ticks: int) -> int:
    """The nearest nanosecond to so many ticks of 90 kHz."""
    return (ticks * 200_000 + 9) // 18


def clock_field(pcr: int, random_access: bool = False) -> bytes:
    """An adaptation field with a PCR (§2.4.3.4), without its length; `pcr` is in ticks of 90 kHz, of any size."""
    base = pcr % TICKS_RANGE
    return _PCR.pack(PCR_FLAG | RANDOM_ACCESS if random_access else PCR_FLAG, base >> 1, (base & 1) << 15 | 0x7E00)


class PacketWriter:
    """Cuts what belongs to one PID into packets, and counts them."""

    __slots__ = ("_counter", "_headers", "pid")

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._counter = 0
        self._headers = [_HEADER.pack(SYNC_BYTE, pid, PAYLOAD | counter) for counter in range(16)]

    def section(self, section: bytes) -> bytes:
        """The packets of one PSI section (§2.4.4): a pointer_field of 0 before it, 0xFF behind it."""
        payload = b"\0" + section
        count = -(-len(payload) // PAYLOAD_SIZE)
        first = _HEADER.pack(SYNC_BYTE, START | self.pid, PAYLOAD | self._counter)
        parts = self._packets(payload.ljust(count * PAYLOAD_SIZE, b"\xff"), 0, count)
        return b"".join([first, *parts[1:]])

    def unit(self, field: bytes, head: bytes, payload: bytes) -> bytes:
        """All packets of one PES packet: `head` is its header, `field` an adaptation field without its length, or empty."""
        size = len(payload)
        flags, counter = PAYLOAD, self._counter
        if field:
            flags, field = ADAPTATION | PAYLOAD, bytes((len(field),)) + field
        room = PAYLOAD_SIZE - len(field) - len(head)
        if size < room:
            flags, field = ADAPTATION | PAYLOAD, _stuffed(field, room - size)
        self._counter = counter + 1 & 15
        header = _HEADER.pack(SYNC_BYTE, START | self.pid, flags | counter)
        if size <= room:
            return header + field + head + payload
        count, rest = divmod(size - room, PAYLOAD_SIZE)
        parts = [header, field, head, payload[:room]]
        if count:
            parts += self._packets(payload, room, count)
        if rest:
            last = _HEADER.pack(SYNC_BYTE, self.pid, ADAPTATION | PAYLOAD | self._counter)
            parts += (last, _STUFFING[PAYLOAD_SIZE - rest], payload[size - rest :])
            self._counter = self._counter + 1 & 15
        return b"".join(parts)

    def clock(self, pcr: int) -> bytes:
        """A packet that has nothing but a PCR, in ticks of 90 kHz; the counter stands still (§2.4.3.3)."""
        field = clock_field(pcr)
        stuffed = _stuffed(bytes((len(field),)) + field, PAYLOAD_SIZE - len(field) - 1)
        return _HEADER.pack(SYNC_BYTE, self.pid, ADAPTATION | self._counter - 1 & 15) + stuffed

    def _packets(self, payload: bytes, offset: int, count: int) -> list[bytes]:
        """Header and content in turn of the `count` full packets that `payload` has from `offset` on."""
        contents: list[bytes] = []
        left = count
        while left > _BLOCK:
            contents += _CUTTERS[_BLOCK].unpack_from(payload, offset)
            offset += _BLOCK * PAYLOAD_SIZE
            left -= _BLOCK
        contents += _CUTTERS[left].unpack_from(payload, offset)
        counter = self._counter
        self._counter = counter + count & 15
        parts = contents * 2
        parts[::2] = (self._headers * ((count >> 4) + 2))[counter : counter + count]
        parts[1::2] = contents
        return parts


def _stuffed(field: bytes, missing: int) -> bytes:
    """An adaptation field, length included or empty, that is `missing` bytes longer."""
    if not field or not missing:
        return field or _STUFFING[missing]
    return bytes((field[0] + missing,)) + field[1:] + b"\xff" * missing
