"""Finding packets in bytes that begin anywhere and may be damaged.

Nothing but their distance tells packets: the sync byte 0x47 comes each 188 bytes, or each 192 (a time code of 4 bytes before
each packet, as camcorders and Blu-ray write), 204 (16 bytes of Reed-Solomon code behind each, as DVB modulators send) or 208
(20 bytes, ATSC). The distance is found anew whenever a sync byte is missing.
"""

import re
from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from ems.errors import MalformedData
from ems.formats.mpegts.packets import PACKET_SIZE, PAYLOAD_SIZE, SYNC_BYTE

DISTANCES = (188, 192, 204, 208)
"""Bytes from one packet to the next."""

LOCK = 4
"""Sync bytes at one distance that make packets of it: in anything else they are there once in four thousand million bytes."""

MAX_GARBAGE = 1024 * 1024
"""Bytes without packets after which this is no transport stream."""

_SYNC = bytes((SYNC_BYTE,))
_READERS = {distance: Struct(f">xHB{PAYLOAD_SIZE}s{distance - PACKET_SIZE}x") for distance in DISTANCES}
_REACH = (LOCK - 1) * max(DISTANCES) + 1
_LOCKED = re.compile(
    _SYNC + b"(?:" + b"|".join(b"(?=(?:.{%d}%s){%d}())" % (distance - 1, _SYNC, LOCK - 1) for distance in DISTANCES) + b")",
    re.DOTALL,
)


class PacketRun(NamedTuple):
    """Whole packets, one behind the other, with `distance` bytes from one sync byte to the next."""

    distance: int
    data: memoryview

    def packets(self) -> Iterator[tuple[int, int, bytes]]:
        """Second and third byte of each packet as a number, its fourth byte, and what is behind."""
        return _READERS[self.distance].iter_unpack(self.data)


class PacketSync:
    """Cuts bytes into runs of whole packets. `distance` is 0 while it is being looked for; `losses` counts lost syncs."""

    def __init__(self) -> None:
        self.distance = 0
        self.losses = 0
        self._rest = b""
        self._garbage = 0

    def receive(self, data: bytes) -> list[PacketRun]:
        """The packets that these bytes complete.

        Raises `MalformedData` after `MAX_GARBAGE` bytes in which there are none; what follows is looked at anew.
        """
        if self._rest:
            data = self._rest + data
        runs: list[PacketRun] = []
        offset = 0
        while self.distance or (offset := self._lock(data, offset)) >= 0:
            count = (len(data) - offset) // self.distance
            end = offset + count * self.distance
            syncs = data[offset : end : self.distance]
            if good := count - len(syncs.lstrip(_SYNC)):
                runs.append(PacketRun(self.distance, memoryview(data)[offset : offset + good * self.distance]))
                offset += good * self.distance
            if good == count:
                self._rest = data[offset:]
                break
            self.distance = 0
            self.losses += 1
        return runs

    def flush(self) -> list[PacketRun]:
        """The last packet, when nothing but the bytes behind it are missing; all of a stream of fewer than `LOCK` packets."""
        rest, self._rest = self._rest, b""
        if not self.distance and len(rest) % PACKET_SIZE == 0 and not rest[::PACKET_SIZE].strip(_SYNC):
            return [PacketRun(PACKET_SIZE, memoryview(rest))]
        if not self.distance or len(rest) < PACKET_SIZE or not rest.startswith(_SYNC):
            return []
        return [PacketRun(self.distance, memoryview(rest.ljust(self.distance, b"\0")))]

    def _lock(self, data: bytes, offset: int) -> int:
        """Where the first of `LOCK` packets is; -1 when more bytes are needed, of which those are kept that may yet be one."""
        found = _LOCKED.search(data, offset)
        if found is not None and found.start() + _REACH <= len(data):
            self.distance = DISTANCES[(found.lastindex or 1) - 1]
            self._garbage = 0
            return found.start()
        # The first byte of which not all distances have been tried yet; all before it belong to no packet.
        kept = min(max(offset, len(data) - _REACH + 1), found.start() if found else len(data))
        self._garbage += kept - offset
        self._rest = data[kept:]
        if self._garbage > MAX_GARBAGE:
            self._garbage, self._rest = 0, b""
            raise MalformedData(f"no transport packets in {MAX_GARBAGE} bytes")
        return -1
