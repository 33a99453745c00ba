"""A jitter buffer: packets in the order of their numbers, from a network that may turn the order around.

A packet that follows the one before passes at once: order costs nothing where there is order. Behind a gap packets wait for what
is missing, no longer than a window of time and no more than a number of them; then the gap is a loss, and those that wait go on.
"""

from ems.formats.rtp.packet import SEQUENCE_RANGE, RtpPacket, sequence_step
from ems.media.frame import MILLISECOND

DEFAULT_WINDOW = 100 * MILLISECOND
"""Nanoseconds that a gap is waited for: more than networks delay one packet behind the next, little for a live stream."""

DEFAULT_MAX_PACKETS = 512
"""Packets that wait: 100 ms of 50 Mbit/s."""

MAX_DROPOUT = 3000
"""A step forward that may be a loss; a larger one is a source that has begun anew (RFC 3550 §A.1)."""

MAX_MISORDER = 100
"""A step back that may be a packet that comes late; a larger one is a source that has begun anew, too."""


class ReorderBuffer:
    """Orders the packets of one source. Times are in nanoseconds of a monotonic clock, passed in.

    `lost` counts numbers that never came, `duplicates` packets that came twice, `late` those that came when they had been given
    up, `restarts` jumps. A depacketiser notices gaps by the numbers of what it is given.
    """

    def __init__(self, window_ns: int = DEFAULT_WINDOW, max_packets: int = DEFAULT_MAX_PACKETS) -> None:
        self.lost = 0
        self.duplicates = 0
        self.late = 0
        self.restarts = 0
        self._window = window_ns
        self._max_packets = max_packets
        self._next: int | None = None
        self._ssrc = 0
        self._waiting: dict[int, tuple[int, RtpPacket]] = {}
        self._jumped: RtpPacket | None = None

    def push(self, packet: RtpPacket, arrival: int) -> list[RtpPacket]:
        """The packets that can go on now that this one has come."""
        if self._next is None or packet.ssrc != self._ssrc:
            return self._restart([packet])
        step = sequence_step(self._next, packet.sequence)
        if not -MAX_MISORDER <= step <= MAX_DROPOUT:
            return self._jump(packet)
        if self._jumped is not None:
            self._jumped = None
        if step < 0:
            self.late += 1
            return []
        if step and packet.sequence in self._waiting:
            self.duplicates += 1
            return []
        if not step and not self._waiting:
            self._next = packet.sequence + 1 & 0xFFFF
            return [packet]
        self._waiting[packet.sequence] = arrival, packet
        return self._in_order() + self.expire(arrival)

    def expire(self, now: int) -> list[RtpPacket]:
        """The packets that have waited long enough, or that are too many: what is missing in front of them is lost."""
        ready: list[RtpPacket] = []
        while self._waiting and (len(self._waiting) > self._max_packets or self.deadline <= now):
            ready += self._skip()
        return ready

    def flush(self) -> list[RtpPacket]:
        """All that waits, in order."""
        ready: list[RtpPacket] = []
        while self._waiting:
            ready += self._skip()
        return ready

    @property
    def deadline(self) -> int:
        """When `expire` has something to do, if nothing comes until then; far in the future while nothing waits."""
        return min((arrival for arrival, _ in self._waiting.values()), default=1 << 63) + self._window

    def _in_order(self) -> list[RtpPacket]:
        """Those that follow, of those that wait."""
        ready: list[RtpPacket] = []
        expected = self._next or 0
        while (entry := self._waiting.pop(expected, None)) is not None:
            ready.append(entry[1])
            expected = expected + 1 & 0xFFFF
        self._next = expected
        return ready

    def _skip(self) -> list[RtpPacket]:
        """Give up what is missing in front of the first that waits."""
        expected = self._next or 0
        gap = min((sequence - expected) % SEQUENCE_RANGE for sequence in self._waiting)
        self.lost += gap
        self._next = expected + gap & 0xFFFF
        return self._in_order()

    def _jump(self, packet: RtpPacket) -> list[RtpPacket]:
        """A number far away: a stray packet, unless the next one follows it (RFC 3550 §A.1)."""
        before, self._jumped = self._jumped, packet
        if before is None or sequence_step(before.sequence, packet.sequence) != 1:
            return []
        return self._restart([before, packet])

    def _restart(self, packets: list[RtpPacket]) -> list[RtpPacket]:
        """Begin anew with these packets, behind all that wait."""
        if self._next is not None:
            self.restarts += 1
        left = self.flush()
        self._jumped = None
        self._ssrc = packets[-1].ssrc
        self._next = packets[-1].sequence + 1 & 0xFFFF
        return left + packets
