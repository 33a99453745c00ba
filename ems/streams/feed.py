"""A stream in one wire format, serialised once for all its viewers: a bounded ring of packets, and cursors into it.

A `Feed` turns frames into packets and keeps the newest of them. Each viewer is a `Cursor` into the ring, sent through its
connection's `Outlet`; a pass over the ready cursors (`Lane`) gives each socket everything from its cursor to the head. A
viewer too slow for the ring jumps to the newest key frame, and what it missed is counted: it costs a cursor, not a queue,
and cannot hurt another.
"""

import sys
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from zope.interface import implementer

from ems.interfaces import IFrameSink
from ems.media.frame import SECOND, Frame
from ems.media.track import Track
from ems.streams.gop import is_join_point, lead_track
from ems.streams.outlet import FanOut, Lane, Outlet
from ems.streams.statistics import NOTHING, Totals


class _Entry(NamedTuple):
    """One packet of the ring, its time in nanoseconds, and the running totals after it."""

    packet: bytes
    dts: int
    totals: Totals


@implementer(IFrameSink)
class Feed(ABC):
    """The packets of one stream in one wire format; subclasses say how frames and headers are written.

    A packet is never sent in part from the middle: viewers join at the newest join point (`ems.streams.gop`), after the
    current headers, and from there on get every packet in order. `viewers` counts them.
    """

    MAX_BYTES = 4 << 20
    """What the ring holds: 2 s of 16 Mbit/s."""

    MAX_DURATION = 4 * SECOND
    """A viewer further behind than this goes on from a key frame, however little there is to send."""

    MAX_GOP_BYTES = 16 << 20
    """The newest join point is kept beyond both bounds up to this size of the ring: late joiners need not wait for the next."""

    BATCH_BYTES = 64 << 10
    """One send: 100 ms of 5 Mbit/s, and at most this much user memory for a viewer whose socket is full."""

    def __init__(self, fan_out: FanOut) -> None:
        self.tracks: tuple[Track, ...] = ()
        self.start = self.end = 0
        self.ready: dict[Lane, dict[Cursor, None]] = {lane: {} for lane in fan_out.lanes}
        self._lanes = tuple(self.ready)
        self.viewers = 0
        self._ring: deque[_Entry] = deque()
        self._before_ring = self._totals = NOTHING
        self._bytes = 0
        self._newest = 0
        self._join: int | None = None
        self._headers_at = 0
        self._headers: tuple[int, bytes] | None = None
        self._lead: Track | None = None
        self._batches: dict[int, tuple[bytes, int, Totals]] = {}

    @abstractmethod
    def packet(self, frame: Frame) -> bytes:
        """The wire form of one frame; empty when this format leaves the frame out."""

    @abstractmethod
    def header_packet(self, dts: int) -> bytes:
        """What opens the stream of the present `tracks` on the wire at this time, so that a join point can follow."""

    @property
    def newest(self) -> int:
        """The time of the newest packet, in nanoseconds on the stream's clock."""
        return self._newest

    def tracks_changed(self, tracks: tuple[Track, ...]) -> None:
        """Announce new headers to everybody; who joins now waits for the next join point when the leading track is new."""
        self.tracks = tracks
        lead = lead_track(tracks)
        if lead != self._lead:
            self._lead = lead
            self._join = None
        self.announce()

    def announce(self) -> None:
        """The headers are new: viewers get them in their place in the stream, later ones before all else."""
        self._headers = None
        packet = self.header_packet(self._newest)
        if packet:
            self._headers_at = self.end
            self._append(packet, self._newest)

    def frame(self, frame: Frame) -> None:
        """Serialise one frame for all viewers."""
        packet = self.packet(frame)
        if packet:
            self.put(packet, (frame,))

    def put(self, packet: bytes, frames: Sequence[Frame]) -> None:
        """Send a packet with these frames, the newest last; who can begin with the first of them can begin with the packet.

        For subclasses that have frames wait; `frame` does it with what `packet` returns.
        """
        if self.begins(frames[0]):
            self._join = self.end
        self.count(frames)
        self._append(packet, frames[-1].dts)

    def begins(self, frame: Frame) -> bool:
        """True when viewers can begin with this frame."""
        return is_join_point(frame, self._lead)

    def count(self, frames: Iterable[Frame]) -> None:
        """The next packet carries these frames, too: viewers who get it get them."""
        for frame in frames:
            self._totals = self._totals.counting(frame)

    def ended(self, reason: str) -> None:
        """The stream is over: nothing more comes. What viewers are told is their own protocol's business."""

    def _append(self, packet: bytes, dts: int) -> None:
        self._ring.append(_Entry(packet, dts, self._totals))
        self._newest = dts
        self.end += 1
        self._bytes += len(packet)
        self._batches.clear()
        if self._bytes > self.MAX_BYTES or dts - self._ring[0].dts > self.MAX_DURATION:
            self._evict()
        for lane in self._lanes:
            if self.ready[lane]:
                lane.mark(self)

    def _evict(self) -> None:
        ring = self._ring
        oldest = self._newest - self.MAX_DURATION
        keep = self.end if self._join is None or self._bytes > self.MAX_GOP_BYTES else self._join
        while self.start < keep and (self._bytes > self.MAX_BYTES or ring[0].dts < oldest):
            packet, _, self._before_ring = ring.popleft()
            self._bytes -= len(packet)
            self.start += 1
        if self._join is not None and self._join < self.start:
            self._join = None

    def batch(self, position: int) -> tuple[bytes, int, Totals]:
        """Whole packets from `position` on, where they end, and the totals there: the same object for all at one position."""
        found = self._batches.get(position)
        if found is None:
            found = self._batches[position] = self.gather(position)
        return found

    def gather(self, position: int) -> tuple[bytes, int, Totals]:
        """What `batch` gives: as many packets as one send may have."""
        packets: list[bytes] = []
        size = 0
        for entry in reversed(list(islice(reversed(self._ring), self.end - position))):
            size += len(entry.packet)
            if packets and size > self.BATCH_BYTES:
                break
            packets.append(entry.packet)
        data = packets[0] if len(packets) == 1 else self.joined(packets)
        after = position + len(packets)
        return data, after, self.totals_at(after)

    def joined(self, packets: Sequence[bytes]) -> bytes:
        """Several packets as one, for one send."""
        return b"".join(packets)

    def totals_at(self, position: int) -> Totals:
        """The running totals before the packet at `position`, which is in the ring or the next to come."""
        return self._ring[position - self.start - 1].totals if position > self.start else self._before_ring

    def join_position(self, after: int) -> int | None:
        """Where a viewer that has seen everything before `after` can begin: the newest join point, if it is not behind."""
        return self._join if self._join is not None and self._join >= after else None

    def joins_before(self, dts: int) -> bool:
        """True when the newest join point is not later than this time."""
        return self._join is not None and self._ring[self._join - self.start].dts <= dts

    def headers_before(self, position: int) -> bytes:
        """The headers for viewers that begin with the packet at `position`."""
        if self._headers is None or self._headers[0] != position:
            self._headers = (position, self.header_packet(self._ring[position - self.start].dts))
        return self._headers[1]

    def headers_changed(self, since: int) -> bool:
        """True when headers were announced at or behind the position `since`."""
        return self._headers_at >= since


class Cursor:
    """One viewer's place in a feed.

    It begins at the feed's newest join point, behind the current headers; when there is none yet it is *hungry* and begins
    with the next one. It counts what was delivered and what was missed.
    """

    __slots__ = ("_base", "_fresh", "_hungry", "_ready", "_seen", "dropped", "feed", "outlet", "position")

    def __init__(self, feed: Feed, outlet: Outlet, *, at_next: bool = False) -> None:
        """Begin; with `at_next` not before the next join point, for a viewer that has been here already."""
        self.feed = feed
        self.outlet = outlet
        self.position = feed.end if at_next else feed.start
        self.dropped = NOTHING
        self._hungry = self._fresh = True
        self._seen = self._base = feed.totals_at(feed.end)
        self._ready = feed.ready[outlet.lane]
        feed.viewers += 1
        outlet.add(self)

    @property
    def delivered(self) -> Totals:
        """What was sent to this viewer."""
        return self._seen.minus(self._base)

    def close(self) -> None:
        """Leave feed and outlet, also for a pass that is under way; the connection lives on."""
        if self.position == sys.maxsize:
            return
        self.outlet.discard(self)
        self.feed.viewers -= 1
        self._hungry = False
        self.position = sys.maxsize

    def opened(self) -> None:
        """The outlet can take bytes again: catch up at once, and be part of every pass from now on."""
        self._ready[self] = None
        self.flush()

    def closed(self) -> None:
        """The outlet is busy: out of the passes until it calls `opened`."""
        self._ready.pop(self, None)

    def flush(self) -> None:
        """Send everything from here to the feed's head, as far as the socket takes it."""
        feed = self.feed
        outlet = self.outlet
        if (self._hungry or self.position < feed.start) and outlet.open:
            self._jump()
            if self._hungry:
                return
        while outlet.open and self.position < feed.end:
            data, self.position, self._seen = feed.batch(self.position)
            outlet.send(data)

    def _jump(self) -> None:
        """Go on from the newest join point; when none is left, skip to the head and wait for the next."""
        feed = self.feed
        join = feed.join_position(self.position)
        self._hungry = join is None
        if join is None:
            return
        totals = feed.totals_at(join)
        if self._fresh:
            self._base = totals
        else:
            missed = totals.minus(self._seen)
            self._base = self._base.plus(missed)
            self.dropped = self.dropped.plus(missed)
        need_headers = self._fresh or feed.headers_changed(self.position)
        self.position = join
        self._seen = totals
        self._fresh = False
        headers = feed.headers_before(join) if need_headers else b""
        if headers:
            self.outlet.write(headers)
