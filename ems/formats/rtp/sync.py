"""The timestamps of several media on one clock.

Every medium counts from a number of its own; what relates them comes in one of these ways, the best first:

* RTSP's ``RTP-Info`` tells which timestamp each medium begins with, all at the same instant (RFC 2326 §12.33);
* the sender reports of RTCP relate each medium's timestamps to the wall clock of the sender (RFC 3550 §6.4.1);
* otherwise there is the time at which packets arrive. Of all packets of a medium the one with the least delay tells most.

A source is listened to until all its media have sent a report, no longer than an interval, and nothing is passed on meanwhile.
One medium alone, and a source with a believable RTP-Info, begin at once. Reports that come later, or that tell of clocks that
drift, move the media towards each other so slowly that nobody notices.
"""

from collections.abc import Mapping, Sequence
from enum import Enum

from ems.errors import MalformedData
from ems.formats.rtp.packet import TIMESTAMP_RANGE
from ems.media.frame import MILLISECOND, SECOND

DEFAULT_INTERVAL = 15 * SECOND
"""rtcpDetectionInterval of the shipped configuration."""

MAX_TCP_INTERVAL = 2 * SECOND
"""What an interleaved source is waited for at most: it sends its reports with the first packets or not at all."""

MAX_DISAGREEMENT = 10 * SECOND
"""Between what reports say and when packets came: reports that differ more do not tell the same clock, and are not believed."""

MAX_ORIGIN_DISTANCE = 10 * SECOND
"""Between the timestamp in RTP-Info and the first that comes; many devices send a number that means nothing."""

MAX_STEP = 500 * MILLISECOND
"""A sender's wall clock that moves by more between two reports has been set: the reports of before are worth nothing."""

SLEW = 100
"""A medium is moved by one part in so many of the time that passes: 100 ms take ten seconds."""

MAX_MEDIAS = 64

NTP_UNIX = 2_208_988_800
"""Seconds from 1900, where NTP begins, to 1970."""


class SyncMode(str, Enum):
    """What the clock is made of. `WAITING` while nothing is passed on."""

    WAITING = "waiting"
    SINGLE = "single"
    RTP_INFO = "rtpInfo"
    RTCP = "rtcp"
    ARRIVAL = "noRtcp"


class _Medium:
    """What is known of one medium; all offsets in nanoseconds, to be added to its unwrapped time."""

    __slots__ = ("arrival", "clock_rate", "last", "ntp", "offset", "origin", "shortest", "target", "ticks")

    def __init__(self, clock_rate: int, origin: int | None = None) -> None:
        self.clock_rate = clock_rate
        self.origin = origin
        self.ticks: int | None = None
        self.shortest: int | None = None
        self.ntp: int | None = None
        self.offset: int | None = None
        self.target: int | None = None
        self.last = 0
        self.arrival: int | None = None

    def time(self, timestamp: int) -> int:
        """The medium's own time of a timestamp, past the wraps; the nearest one to where its packets have got to."""
        ticks = self.unwrapped(timestamp)
        return ticks * SECOND // self.clock_rate

    def unwrapped(self, timestamp: int) -> int:
        """The whole count for a timestamp. Reports only look; packets move on (`ticks`), as what reports say may be nonsense."""
        if self.ticks is None:
            self.ticks = timestamp
        half = TIMESTAMP_RANGE // 2
        return self.ticks + (timestamp - self.ticks + half) % TIMESTAMP_RANGE - half


class Synchroniser:
    """Places access units of all media of one source. Media are told by their index in `clock_rates` (Hz).

    `interval` is how many nanoseconds reports are waited for, 0 for not at all. `origins` are the timestamps of RTP-Info by
    index. Times of arrival are nanoseconds of a monotonic clock. `mode` says what has been found, `held_back` how many timestamps
    came before that.
    """

    def __init__(
        self,
        clock_rates: Sequence[int],
        interval: int = DEFAULT_INTERVAL,
        origins: Mapping[int, int] | None = None,
    ) -> None:
        if len(clock_rates) > MAX_MEDIAS or any(rate <= 0 for rate in clock_rates):
            raise MalformedData(f"{len(clock_rates)} media with clocks of {min(clock_rates, default=0)} Hz and more")
        origins = origins or {}
        self._medias = [_Medium(rate, origins.get(index)) for index, rate in enumerate(clock_rates)]
        self._interval = interval
        self._deadline: int | None = None
        self.mode = SyncMode.WAITING
        self.held_back = 0
        self._shift: int | None = None

    def place(self, index: int, timestamp: int, arrival: int) -> int | None:
        """The source's time of a timestamp (32 bits), in nanoseconds; None while reports are waited for.

        Where that time begins means nothing; with `SyncMode.RTCP` it is the sender's wall clock since 1970.
        """
        medium = self._medias[index]
        time = medium.time(timestamp)
        if medium.arrival is not None and abs(time - medium.last - arrival + medium.arrival) > MAX_DISAGREEMENT:
            medium = self._restarted(index)
            time = medium.time(timestamp)
        medium.ticks = medium.unwrapped(timestamp)
        before, medium.last, medium.arrival = medium.last, time, arrival
        if self.mode is SyncMode.WAITING or medium.offset is None:
            delay = arrival - time
            if medium.shortest is None or delay < medium.shortest:
                medium.shortest = delay
            if self._deadline is None:
                self._deadline = arrival + self._interval
            self._decide(medium, time, arrival)
            if self.mode is SyncMode.WAITING:
                self.held_back += 1
                return None
            if medium.offset is None:
                medium.offset = self._first_offset(medium, time)
        elif medium.target is not None:
            self._slew(medium, time - before)
        if self._shift is None and medium.shortest is not None:
            self._shift = (medium.offset or 0) - medium.shortest
        return time + (medium.offset or 0)

    def restart(self, index: int) -> None:
        """The medium's timestamps begin anew, as those of another source do: the time of arrival says where."""
        self._restarted(index)

    def _restarted(self, index: int) -> _Medium:
        self._medias[index] = _Medium(self._medias[index].clock_rate)
        return self._medias[index]

    def sender_report(self, index: int, ntp_timestamp: int, rtp_timestamp: int, arrival: int) -> None:
        """A sender report: `ntp_timestamp` (64 bits, RFC 3550 §4), unless it is 0, is the wall clock at `rtp_timestamp`."""
        if not ntp_timestamp:
            return
        medium = self._medias[index]
        time = medium.time(rtp_timestamp)
        offset = ntp_nanoseconds(ntp_timestamp) - time
        if medium.ntp is not None and abs(offset - medium.ntp) > MAX_STEP:
            for other in self._medias:
                other.ntp = None
        medium.ntp = offset
        if medium.shortest is None:
            medium.shortest = arrival - time
        if self._reports_agree():
            if self.mode is SyncMode.WAITING:
                self._start(SyncMode.RTCP, [other.ntp for other in self._medias])
            else:
                self._correct()

    def _decide(self, medium: _Medium, time: int, arrival: int) -> None:
        """End the waiting, when there is nothing to wait for."""
        if self.mode is not SyncMode.WAITING:
            return
        if len(self._medias) == 1:
            self._start(SyncMode.SINGLE, [medium.shortest])
        elif all(other.origin is not None for other in self._medias) and self._near_origin(medium, time):
            self._start(SyncMode.RTP_INFO, [None] * len(self._medias))
        elif self._deadline is not None and arrival >= self._deadline:
            self._start(SyncMode.ARRIVAL, [other.shortest for other in self._medias])

    def _start(self, mode: SyncMode, offsets: Sequence[int | None]) -> None:
        self.mode = mode
        for medium, offset in zip(self._medias, offsets, strict=True):
            medium.offset = offset

    def _first_offset(self, medium: _Medium, time: int) -> int:
        """The offset of a medium that had none when the others began."""
        if self.mode is SyncMode.RTP_INFO and medium.origin is not None and self._near_origin(medium, time):
            return -self._origin_time(medium)
        return (medium.shortest or 0) + (self._shift or 0)

    def _origin_time(self, medium: _Medium) -> int:
        """The time of the timestamp in RTP-Info."""
        return medium.time(medium.origin or 0)

    def _near_origin(self, medium: _Medium, time: int) -> bool:
        return medium.origin is not None and abs(time - self._origin_time(medium)) <= MAX_ORIGIN_DISTANCE

    def _reports_agree(self) -> bool:
        """True when all media have sent a report, and the clocks in them are one."""
        differences = [m.ntp - m.shortest for m in self._medias if m.ntp is not None and m.shortest is not None]
        return len(differences) == len(self._medias) and max(differences) - min(differences) <= MAX_DISAGREEMENT

    def _correct(self) -> None:
        """Aim at what the reports say now: the first medium stays, and the others move to where they belong beside it."""
        first = self._medias[0]
        if first.offset is None or first.ntp is None:
            return
        for medium in self._medias[1:]:
            if medium.offset is not None and medium.ntp is not None:
                medium.target = first.offset + medium.ntp - first.ntp

    def _slew(self, medium: _Medium, passed: int) -> None:
        """Move a medium a little towards its target, by how much time has passed."""
        if medium.target is None or medium.offset is None:
            return
        most = abs(passed) // SLEW
        distance = medium.target - medium.offset
        medium.offset += max(-most, min(distance, most))
        if medium.offset == medium.target:
            medium.target = None


def ntp_nanoseconds(timestamp: int) -> int:
    """An NTP timestamp (32 bits of seconds since 1900, 32 of fractions) in nanoseconds since 1970; from 2036 on they wrap."""
    seconds = timestamp >> 32
    if seconds < 0x8000_0000:
        seconds += 1 << 32
    return (seconds - NTP_UNIX) * SECOND + ((timestamp & 0xFFFFFFFF) * SECOND >> 32)


def ntp_timestamp(unix_ns: int) -> int:
    """The NTP timestamp (64 bits) of a time in nanoseconds since 1970."""
    seconds, rest = divmod(unix_ns, SECOND)
    return (seconds + NTP_UNIX & 0xFFFFFFFF) << 32 | (rest << 32) // SECOND
