"""Program specific information (ISO/IEC 13818-1 §2.4.4): the tables that say what is on which PID.

A table travels in sections, each with a checksum::

    table_id:8 | 1 0 11 section_length:12 | id:16 | 11 version:5 current:1 | section:8 | last_section:8 | … | CRC_32

A section follows the pointer_field of a packet that says payload_unit_start, and goes on through the next packets of its PID.
`SectionReader` puts it together; `read_pat` and `read_pmt` read it; `write_pat` and `write_pmt` write one.
"""

import zlib
from collections.abc import Iterable
from struct import Struct
from typing import NamedTuple

from ems.errors import MalformedData

PAT_TABLE = 0
PMT_TABLE = 2

MAX_SECTION = 1024
"""Bytes of a section of PAT or PMT: section_length is at most 1021 (§2.4.4.4, §2.4.4.9)."""

MAX_STREAMS = 64
"""Elementary streams of a program that are followed: ten times what broadcasters send; the rest of the map is ignored."""

REGISTRATION = 0x05
LANGUAGE = 0x0A
PRIVATE_DATA_INDICATOR = 0x0F
METADATA_POINTER = 0x25
METADATA = 0x26
DVB_AC3 = 0x6A
DVB_EAC3 = 0x7A
EXTENSION = 0x7F
OPUS_EXTENSION = 0x80

_HEADER_SIZE = 3
_LONG_HEADER_SIZE = 8
_CRC_SIZE = 4
_STREAM = Struct(">BHH")
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Stream(NamedTuple):
    """An elementary stream in a PMT. `descriptors` are the bytes of all its descriptors, in a row."""

    pid: int
    stream_type: int
    descriptors: bytes = b""

    def descriptor(self, tag: int) -> bytes | None:
        """The content of its first descriptor of this tag, or None."""
        return next((content for found, content in split_descriptors(self.descriptors) if found == tag), None)

    @property
    def registration(self) -> bytes:
        """The four letters of its registration descriptor, or nothing (§2.6.8)."""
        return (self.descriptor(REGISTRATION) or b"")[:4]

    @property
    def language(self) -> str:
        """ISO 639-2 code of three letters, or nothing (§2.6.18)."""
        return (self.descriptor(LANGUAGE) or b"")[:3].decode("latin-1")


class ProgramMap(NamedTuple):
    """A PMT: the program's number, the PID of its clock, and its streams in their order."""

    program_number: int
    pcr_pid: int
    streams: tuple[Stream, ...]


class Associations(NamedTuple):
    """One section of a PAT: PID of the PMT by program number. A change of `version` means that older sections are void."""

    version: int
    programs: dict[int, int]


def crc32(data: bytes) -> bytes:
    """CRC_32 of a section (Annex A), as it stands behind it; over a section with its checksum it is four zero bytes.

    The polynomial is that of zlib, which takes the bits of each byte the other way round.
    """
    mirrored = zlib.crc32(data.translate(_REVERSED)) ^ 0xFFFFFFFF
    return mirrored.to_bytes(4, "little").translate(_REVERSED)


def descriptor(tag: int, content: bytes) -> bytes:
    """A descriptor (§2.6); raises `MalformedData` when it is too long for its length of 8 bits."""
    if len(content) > 255:
        raise MalformedData(f"a descriptor of {len(content)} bytes, where 255 are possible")
    return bytes((tag, len(content))) + content


def split_descriptors(data: bytes) -> list[tuple[int, bytes]]:
    """Tag and content of each descriptor in a row of them; one that is cut off is left out."""
    found, offset = [], 0
    while offset + 2 <= len(data):
        end = offset + 2 + data[offset + 1]
        if end > len(data):
            break
        found.append((data[offset], data[offset + 2 : end]))
        offset = end
    return found


def write_pat(programs: dict[int, int], *, transport_stream_id: int = 1, version: int = 0) -> bytes:
    """The section of a PAT with these PMT PIDs by program number (§2.4.4.3)."""
    body = b"".join(number.to_bytes(2, "big") + (0xE000 | pid).to_bytes(2, "big") for number, pid in programs.items())
    return _section(PAT_TABLE, transport_stream_id, version, body)


def write_pmt(program: ProgramMap, *, descriptors: bytes = b"", version: int = 0) -> bytes:
    """The section of a PMT (§2.4.4.8); `descriptors` are those of the program. Raises `MalformedData` when it gets too long."""
    body = [(0xE000 | program.pcr_pid).to_bytes(2, "big"), (0xF000 | len(descriptors)).to_bytes(2, "big"), descriptors]
    for stream in program.streams:
        body += [_STREAM.pack(stream.stream_type, 0xE000 | stream.pid, 0xF000 | len(stream.descriptors)), stream.descriptors]
    return _section(PMT_TABLE, program.program_number, version, b"".join(body))


def read_pat(section: bytes) -> Associations | None:
    """A section of a PAT, checked by `SectionReader`; None when it is another table or not in force yet."""
    if section[0] != PAT_TABLE or not section[5] & 1:
        return None
    programs = {}
    for offset in range(_LONG_HEADER_SIZE, len(section) - _CRC_SIZE - 3, 4):
        number = int.from_bytes(section[offset : offset + 2], "big")
        if number:  # 0 is the network PID
            programs[number] = int.from_bytes(section[offset + 2 : offset + 4], "big") & 0x1FFF
    return Associations(section[5] >> 1 & 0x1F, programs)


def read_pmt(section: bytes) -> ProgramMap | None:
    """A PMT, checked by `SectionReader`; None when it is another table or not in force yet. Raises `MalformedData`."""
    if section[0] != PMT_TABLE or not section[5] & 1:
        return None
    end = len(section) - _CRC_SIZE
    if end < _LONG_HEADER_SIZE + 4:
        raise MalformedData(f"a PMT of {len(section)} bytes")
    offset = _LONG_HEADER_SIZE + 4 + (int.from_bytes(section[10:12], "big") & 0xFFF)
    streams: list[Stream] = []
    while offset + 5 <= end and len(streams) < MAX_STREAMS:
        stream_type, pid, size = _STREAM.unpack_from(section, offset)
        offset += 5 + (size & 0xFFF)
        if offset > end:
            raise MalformedData("the descriptors of a stream reach past the end of the PMT")
        streams.append(Stream(pid & 0x1FFF, stream_type, section[offset - (size & 0xFFF) : offset]))
    if offset > end:
        raise MalformedData("the descriptors of a program reach past the end of the PMT")
    number, pcr_pid = int.from_bytes(section[3:5], "big"), int.from_bytes(section[8:10], "big") & 0x1FFF
    return ProgramMap(number, pcr_pid, tuple(streams))


class SectionReader:
    """Puts together the sections of one PID and gives those that are new: whole, with a good checksum, other than the last.

    `crc_errors` counts those that were damaged.
    """

    def __init__(self) -> None:
        self._pending: bytes | None = None
        self._last: dict[int, bytes] = {}
        self.crc_errors = 0

    def lose(self) -> None:
        """A packet is missing: the section that had begun is dropped."""
        self._pending = None

    def receive(self, payload: bytes, starts: bool) -> list[bytes]:
        """The sections that the payload of the next packet completes; `starts` is its payload_unit_start_indicator."""
        found: list[bytes] = []
        if starts and payload:
            begin = 1 + payload[0]
            if self._pending is not None:
                found += self._take(self._pending + payload[1:begin])
            self._pending = None
            found += self._take(payload[begin:])
        elif self._pending is not None:
            found += self._take(self._pending + payload)
        return found

    def _take(self, data: bytes) -> Iterable[bytes]:
        """The new ones of the sections that `data` begins with; one that is not complete is kept."""
        self._pending = None
        offset, fresh = 0, []
        while offset < len(data) and data[offset] != 0xFF:  # stuffing
            if offset + _HEADER_SIZE > len(data):
                self._pending = data[offset:]
                break
            size = _HEADER_SIZE + (int.from_bytes(data[offset + 1 : offset + 3], "big") & 0xFFF)
            if not _LONG_HEADER_SIZE + _CRC_SIZE <= size <= MAX_SECTION:
                break
            if offset + size > len(data):
                self._pending = data[offset:]
                break
            section = data[offset : offset + size]
            if self._is_new(section):
                fresh.append(section)
            offset += size
        return fresh

    def _is_new(self, section: bytes) -> bool:
        """False for what has been read already, which is the rule: tables are repeated ten times a second."""
        number = section[6]
        if self._last.get(number) == section:
            return False
        if any(crc32(section)):
            self.crc_errors += 1
            return False
        self._last[number] = section
        return True


def _section(table: int, identifier: int, version: int, body: bytes) -> bytes:
    """A section with its checksum; it is the only one of its table."""
    size = len(body) + _LONG_HEADER_SIZE + _CRC_SIZE
    if size > MAX_SECTION:
        raise MalformedData(f"a table of {size} bytes, where {MAX_SECTION} are possible")
    head = bytes((table,)) + (0xB000 | size - _HEADER_SIZE).to_bytes(2, "big") + identifier.to_bytes(2, "big")
    section = head + bytes((0xC1 | version << 1, 0, 0)) + body
    return section + crc32(section)
