"""Transport packets out of what comes over the network, for streams that nobody looks into.

`PacketReader` finds the packets in bytes that are cut anywhere, brings those of 192, 204 and 208 bytes to the usual 188, and
counts what is missing by the continuity counters (ISO/IEC 13818-1 §2.4.3.3). It looks at three bytes of each packet, those of all
packets in strided slices. `without_rtp` takes the RTP header off datagrams that have one (RFC 2250).
"""

from ems.formats.mpegts.packets import ADAPTATION, DISCONTINUITY, PACKET_SIZE, PAYLOAD, SYNC_BYTE, Pid
from ems.formats.mpegts.sync import PacketRun, PacketSync

RTP_HEADER_SIZE = 12
RTP_MP2T = 33
"""The payload type of transport streams (RFC 3551 table 5)."""

_RTP_VERSION = 0x80
_EXTENSION = 0x10
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


def without_rtp(datagram: bytes) -> bytes:
    """The transport packets in a datagram, whether or not there is an RTP header before them (RFC 3550 §5.1)."""
    if datagram[:1] == _SYNC or len(datagram) <= RTP_HEADER_SIZE:
        return datagram
    first = datagram[0]
    if first & 0xC0 != _RTP_VERSION or datagram[1] & 0x7F != RTP_MP2T:
        return datagram
    start = RTP_HEADER_SIZE + 4 * (first & 15)
    if first & _EXTENSION:
        start += 4 + 4 * int.from_bytes(datagram[start + 2 : start + 4], "big")
    return datagram[start:]


_SYNC = bytes((SYNC_BYTE,))
