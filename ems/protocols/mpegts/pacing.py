"""When which datagram leaves: packets come a frame at a time, and a key frame at once would overrun the buffers on its way.

`Spread` sends what comes within `Spread.SECONDS`, evenly: the first datagram at once, so that clock references are not late, and
the last before the next picture. `ConstantRate` sends so many bits a second, as modulators and old receivers want it, by putting
null packets between (ISO/IEC 13818-1 §2.4.1); clock references then say when they really leave.

Both are sans-io: `put` takes packets, `take` gives the datagrams that are due. Times are monotonic seconds.
"""

from abc import ABC, abstractmethod
from collections import deque

from ems.formats.mpegts.packets import ADAPTATION, DISCONTINUITY, PACKET_SIZE, PAYLOAD, PCR_FLAG, SYNC_BYTE, Pid

PACKETS = 7
"""As many as fit into an Ethernet frame (ETSI TS 102 034 §7.1.1)."""

DATAGRAM_SIZE = PACKETS * PACKET_SIZE

NULL_PACKET = bytes((SYNC_BYTE, Pid.NULL >> 8, Pid.NULL & 0xFF, PAYLOAD)).ljust(PACKET_SIZE, b"\xff")

CLOCK_HZ = 27_000_000
CLOCK_RANGE = 300 << 33
"""Values of a PCR, after which it begins anew (§2.4.3.5)."""


class Pacer(ABC):
    """Packets in, datagrams out. `dropped` counts the packets that found no place."""

    def __init__(self) -> None:
        self.dropped = 0
        self._waiting = b""

    @abstractmethod
    def put(self, packets: bytes, now: float) -> None:
        """More packets, back to back."""

    @abstractmethod
    def take(self, now: float) -> list[bytes]:
        """The datagrams that are due."""

    def rest(self) -> list[bytes]:
        """Everything that has not left yet, when nothing more comes."""
        taken, self._waiting = self._waiting, b""
        return [taken[start : start + DATAGRAM_SIZE] for start in range(0, len(taken), DATAGRAM_SIZE)]

    @property
    @abstractmethod
    def busy(self) -> bool:
        """Whether something will be due later without anything being put."""


class Spread(Pacer):
    """Spreads each burst. Datagrams are full, but for the last one when nothing follows it within the time."""

    SECONDS = 0.030
    """Less than the distance of two pictures at 30 a second."""

    def __init__(self) -> None:
        super().__init__()
        self._bursts: deque[tuple[float, int]] = deque()
        self._over = 0
        self._sent = 0

    def put(self, packets: bytes, now: float) -> None:
        self._waiting += packets
        self._bursts.append((now, len(packets)))

    def take(self, now: float) -> list[bytes]:
        bursts = self._bursts
        while bursts and now - bursts[0][0] >= self.SECONDS:
            self._over += bursts.popleft()[1]
        if bursts:
            due = self._over - self._sent + sum(self._part(began, size, now) for began, size in bursts)
            count = min(max(due, 0), len(self._waiting)) // DATAGRAM_SIZE * DATAGRAM_SIZE
            self._sent += count
        else:
            count, self._over, self._sent = len(self._waiting), 0, 0
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return [taken[start : start + DATAGRAM_SIZE] for start in range(0, count, DATAGRAM_SIZE)]

    @property
    def busy(self) -> bool:
        return bool(self._bursts)

    def _part(self, began: float, size: int, now: float) -> int:
        """How much of a burst may have left by now."""
        return min(size, DATAGRAM_SIZE + int(size * max(0.0, now - began) / self.SECONDS))


class ConstantRate(Pacer):
    """Sends `bitrate` bits a second from the first packet on, whatever comes."""

    MAX_DELAY = 0.6
    """Seconds that packets may wait; what comes then finds no place. Receivers decode 0.7 s behind the clock references."""

    MAX_LATENESS = 0.2
    """Seconds of silence of our own, as of a stopped process, that are not made up for."""

    MAX_SLEW = 13
    """Ticks by which the sent clock is corrected at each reference, to follow the source's: within 500 ns (§2.4.2.2)."""

    MAX_ERROR = 3 * CLOCK_HZ // 10
    """Ticks of difference that mean that the source's clock has jumped."""

    def __init__(self, bitrate: int) -> None:
        super().__init__()
        self._bytes_per_second = bitrate / 8
        self._max_waiting = int(self._bytes_per_second * self.MAX_DELAY)
        self._next: float | None = None
        self._packets_sent = 0
        self._offsets: dict[int, int] = {}

    def put(self, packets: bytes, now: float) -> None:
        if self._next is None:
            self._next = now
        if len(self._waiting) + len(packets) > max(self._max_waiting, len(packets)):
            self.dropped += len(packets) // PACKET_SIZE
        else:
            self._waiting += packets

    def take(self, now: float) -> list[bytes]:
        if self._next is None:
            return []
        if now - self._next > self.MAX_LATENESS:
            self._next = now
        interval = DATAGRAM_SIZE / self._bytes_per_second
        count = max(0, int((now - self._next) / interval) + 1)
        self._next += count * interval
        size = count * DATAGRAM_SIZE
        taken, self._waiting = self._waiting[:size], self._waiting[size:]
        return [self._datagram(taken[start : start + DATAGRAM_SIZE]) for start in range(0, size, DATAGRAM_SIZE)]

    @property
    def busy(self) -> bool:
        return self._next is not None

    def _datagram(self, content: bytes) -> bytes:
        """A datagram of this content, as much of it as there is, and of null packets."""
        packets = [content[start : start + PACKET_SIZE] for start in range(0, len(content), PACKET_SIZE)]
        sent = [self._stamped(packet, self._packets_sent + index) for index, packet in enumerate(packets)]
        self._packets_sent += PACKETS
        return b"".join([*sent, *[NULL_PACKET] * (PACKETS - len(sent))])

    def _stamped(self, packet: bytes, position: int) -> bytes:
        """The packet with the clock reference, if it has one, of the moment that it leaves."""
        if not packet[3] & ADAPTATION or packet[4] < 7 or not packet[5] & PCR_FLAG:
            return packet
        pid = int.from_bytes(packet[1:3], "big") & 0x1FFF
        bits = int.from_bytes(packet[6:12], "big")
        told = (bits >> 15) * 300 + (bits & 0x1FF)
        leaves = int(position * PACKET_SIZE * CLOCK_HZ / self._bytes_per_second)
        flags = packet[5]
        offset = self._offsets.get(pid, told - leaves)
        error = (told - leaves - offset + CLOCK_RANGE // 2) % CLOCK_RANGE - CLOCK_RANGE // 2
        if abs(error) > self.MAX_ERROR:
            offset += error
            flags |= DISCONTINUITY
        else:
            offset += max(-self.MAX_SLEW, min(error, self.MAX_SLEW))
        self._offsets[pid] = offset
        base, extension = divmod((leaves + offset) % CLOCK_RANGE, 300)
        reference = (base << 15 | 0x7E00 | extension).to_bytes(6, "big")
        return packet[:5] + bytes((flags,)) + reference + packet[12:]
