"""Looks a transport stream over as ETSI TR 101 290 does, without anything of the server's: packets, tables, counters, clocks."""

from dataclasses import dataclass, field

MAX_PCR_GAP = 27_000_000 // 10
"""100 ms (ISO/IEC 13818-1 §2.7.2)."""


@dataclass
class Analysis:
    """What was found. `stream_types` by PID, `pcr` in 27 MHz, `units` is (PTS, DTS, PES packet) by PID; `errors` in words."""

    stream_types: dict[int, int] = field(default_factory=dict)
    descriptors: dict[int, bytes] = field(default_factory=dict)
    program_descriptors: bytes = b""
    pcr_pid: int = -1
    pcr: list[int] = field(default_factory=list)
    units: dict[int, list[tuple[int, int, bytes]]] = field(default_factory=dict)
    random_access: dict[int, list[int]] = field(default_factory=dict)
    packets: int = 0
    errors: list[str] = field(default_factory=list)


def crc(data: bytes) -> int:
    """CRC-32 of MPEG-2, bit by bit as in Annex A."""
    register = 0xFFFFFFFF
    for byte in data:
        for bit in range(7, -1, -1):
            feedback = register >> 31 ^ byte >> bit & 1
            register = register << 1 & 0xFFFFFFFF ^ (0x04C11DB7 if feedback else 0)
    return register


def analyse(data: bytes) -> Analysis:
    """Read whole packets of 188 bytes; every complaint is in `errors` of what comes back."""
    found = Analysis()
    if len(data) % 188:
        found.errors.append(f"{len(data)} bytes are not whole packets")
    counters: dict[int, int] = {}
    pending: dict[int, tuple[int | None, bytearray]] = {}
    for start in range(0, len(data) - 187, 188):
        packet = data[start : start + 188]
        found.packets += 1
        pid = (packet[1] & 0x1F) << 8 | packet[2]
        content, counter, offset = packet[3] >> 4 & 3, packet[3] & 15, 4
        if packet[0] != 0x47 or packet[1] & 0x80 or packet[3] & 0xC0 or not content:
            found.errors.append(f"packet {found.packets} has the header {packet[:4].hex()}")
            continue
        if content & 2:
            offset += 1 + packet[4]
            _adaptation(found, pid, packet)
        if pid in counters and counter != (counters[pid] + (content & 1) & 15):
            found.errors.append(f"counter {counter} of PID {pid} follows {counters[pid]}")
        counters[pid] = counter
        if not content & 1:
            if offset != 188:
                found.errors.append(f"a packet of PID {pid} without payload is not full")
            continue
        if packet[1] & 0x40:
            if pid in pending:
                _finish(found, pid, *pending[pid])
            pending[pid] = found.pcr[-1] if found.pcr else None, bytearray(packet[offset:])
        elif pid in pending:
            pending[pid][1].extend(packet[offset:])
        else:
            found.errors.append(f"PID {pid} goes on with what never began")
    for pid, (pcr, rest) in pending.items():
        _finish(found, pid, pcr, rest)
    for pid in counters:
        if pid not in (0, 0x1000) and pid not in found.descriptors:
            found.errors.append(f"PID {pid} is in no map")
    return found


def _adaptation(found: Analysis, pid: int, packet: bytes) -> None:
    if packet[4] > 183:
        found.errors.append(f"an adaptation field of {packet[4]} bytes")
    if packet[4] and packet[5] & 0x40:
        found.random_access.setdefault(pid, []).append(found.packets)
    if packet[4] >= 7 and packet[5] & 0x10:
        if found.pcr_pid not in (-1, pid):
            found.errors.append(f"PCR on PID {pid}")
        bits = int.from_bytes(packet[6:12], "big")
        pcr = (bits >> 15) * 300 + (bits & 0x1FF)
        if found.pcr and not 0 <= (pcr - found.pcr[-1]) % (300 << 33) <= MAX_PCR_GAP:
            found.errors.append(f"PCR {pcr} follows {found.pcr[-1]}")
        found.pcr.append(pcr)


def _finish(found: Analysis, pid: int, pcr: int | None, data: bytearray) -> None:
    """A section or a PES packet is whole; `pcr` is the clock that it began with."""
    if pid in (0, 0x1000):
        _section(found, pid, bytes(data[1 + data[0] :]))
        return
    if data[:3] != b"\0\0\1" or data[6] >> 6 != 2:
        found.errors.append(f"no PES packet on PID {pid} but {bytes(data[:7]).hex()}")
        return
    length = int.from_bytes(data[4:6], "big")
    if length != len(data) - 6 and (length or data[3] >> 4 != 14):
        found.errors.append(f"PES_packet_length {length} of {len(data) - 6}")
    pts = _time(data, 9)
    dts = _time(data, 14) if data[7] & 0x40 else pts
    if pcr is not None and (dts - pcr // 300) % (1 << 33) > 10 * 90_000:
        found.errors.append(f"DTS {dts} comes after its clock {pcr // 300}")
    found.units.setdefault(pid, []).append((pts, dts, bytes(data)))


def _time(data: bytearray, offset: int) -> int:
    bits = int.from_bytes(data[offset : offset + 5], "big")
    return (bits >> 33 & 7) << 30 | (bits >> 17 & 0x7FFF) << 15 | bits >> 1 & 0x7FFF


def _section(found: Analysis, pid: int, data: bytes) -> None:
    size = 3 + (int.from_bytes(data[1:3], "big") & 0xFFF)
    section = data[:size]
    if crc(section) or data[size:].strip(b"\xff"):
        found.errors.append(f"a damaged table on PID {pid}")
    if pid == 0:
        if int.from_bytes(section[10:12], "big") != 0xF000:
            found.errors.append("the map is not on PID 0x1000")
        return
    found.stream_types, found.pcr_pid = {}, int.from_bytes(section[8:10], "big") & 0x1FFF
    offset = 12 + (int.from_bytes(section[10:12], "big") & 0xFFF)
    found.program_descriptors = section[12:offset]
    while offset < size - 4:
        stream = int.from_bytes(section[offset + 1 : offset + 3], "big") & 0x1FFF
        end = offset + 5 + (int.from_bytes(section[offset + 3 : offset + 5], "big") & 0xFFF)
        found.stream_types[stream], found.descriptors[stream] = section[offset], section[offset + 5 : end]
        offset = end
