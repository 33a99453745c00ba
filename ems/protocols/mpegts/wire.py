"""Transport packets out of what comes over the network, for streams that nobody looks into.

`PacketReader` finds the packets in bytes that are cut anywhere, brings those of 192, 204 and 208 bytes to the usual 188, and
counts what is missing by the continuity counters (ISO/IEC 13818-1 §2.4.3.3). It looks at three bytes of each packet, those of all
packets in strided slices.
"""

from ems.formats.mpegts.packets import ADAPTATION, DISCONTINUITY, PACKET_SIZE, PAYLOAD, Pid
from ems.formats.mpegts.sync import PacketRun, PacketSync

_LAST_COUNTER = 15
_ABSENT = -1


class PacketReader:
    """Reads whole packets of 188 bytes. `packets` counts them, `continuity_errors` the gaps in what they belong to."""

    def __init__(self) -> None:
        self.packets = 0
        self.continuity_errors = 0
        self.duplicates = 0
        self.transport_errors = 0
        self.scrambled = 0
        self._sync = PacketSync()
        self._counters: dict[int, int] = {}

    @property
    def lost_syncs(self) -> int:
        """How often the packets were not where they should be."""
        return self._sync.losses

    def receive(self, data: bytes) -> bytes:
        """The packets that these bytes complete, back to back. Raises `MalformedData` when there have been none for long
        (`ems.formats.mpegts.sync`)."""
        return b"".join([self._take(run) for run in self._sync.receive(data)])

    def _take(self, run: PacketRun) -> bytes:
        size = run.distance
        data = bytes(run.data)
        if size != PACKET_SIZE:
            data = b"".join([data[start : start + PACKET_SIZE] for start in range(0, len(data), size)])
        self._count(data)
        return data

    def _count(self, data: bytes) -> None:
        counters = self._counters
        self.packets += len(data) // PACKET_SIZE
        heads = zip(data[1::PACKET_SIZE], data[2::PACKET_SIZE], data[3::PACKET_SIZE], strict=True)
        for index, (high, low, flags) in enumerate(heads):
            pid = (high & 0x1F) << 8 | low
            if not flags & PAYLOAD or pid == Pid.NULL:
                continue
            if high & 0x80:
                self.transport_errors += 1
                continue
            if flags & 0xC0:
                self.scrambled += 1
            counter = flags & _LAST_COUNTER
            expected = counters.get(pid, _ABSENT)
            if counter != expected and expected != _ABSENT:
                self._explain(data[index * PACKET_SIZE : index * PACKET_SIZE + 6], counter, expected)
            counters[pid] = counter + 1 & _LAST_COUNTER

    def _explain(self, head: bytes, counter: int, expected: int) -> None:
        """Why a counter is another than expected: a packet that comes twice, a source that says so, or a loss."""
        if counter == (expected - 1) & _LAST_COUNTER:
            self.duplicates += 1
        elif not (head[3] & ADAPTATION and head[4] and head[5] & DISCONTINUITY):
            self.continuity_errors += 1
