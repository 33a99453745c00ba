"""A stream on its way out of a push: over TCP a cursor in its feed, over UDP datagrams at their own pace."""

from abc import abstractmethod
from time import monotonic
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from ems.media.track import Kind
from ems.net.udp import UdpSocket, gathered
from ems.protocols.mpegts.feed import TsFeed
from ems.protocols.mpegts.pacing import Pacer
from ems.streams.feed import Cursor
from ems.streams.outbound import OutboundStream
from ems.streams.outlet import Outlet
from ems.streams.statistics import NOTHING, StreamStatistics, Totals

if TYPE_CHECKING:
    from ems.protocols.mpegts.client import PushConnection


class TsOutbound(OutboundStream):
    """A subscription that is sent as transport packets. It ends with its source."""

    __slots__ = ("_delivered", "_dropped", "feed", "type_tag")

    def __init__(self, connection: "PushConnection", name: str) -> None:
        super().__init__(connection.server.streams, name, connection)
        self.type_tag = "ONTS"
        self.feed: TsFeed | None = None
        self._delivered = self._dropped = NOTHING

    @abstractmethod
    def begin(self, feed: TsFeed) -> None:
        """Be fed."""

    @abstractmethod
    def stop(self, feed: TsFeed) -> None:
        """Be fed no more."""

    @abstractmethod
    def count(self) -> tuple[Totals, Totals]:
        """What was delivered and what was dropped."""

    @property
    def statistics(self) -> StreamStatistics:
        return StreamStatistics.of(*self.count())

    @property
    def details(self) -> dict[str, Any]:
        missing = self._left_out()
        return {**super().details, "leftOut": missing} if missing else super().details

    @property
    def unfit(self) -> bool:
        """Whether there is a source, but nothing in it that a transport stream can carry."""
        return self.inbound is not None and bool(self.inbound.tracks) and self.feed is not None and not self.feed.tracks

    def source_came(self) -> None:
        stream = self.inbound
        assert stream is not None
        self.type_tag = "ONS" if stream.type_tag.startswith("INS") else "ONTS"
        fan_out = self._manager.fan_out
        feed = stream.feed(TsFeed, lambda: TsFeed(fan_out))
        assert isinstance(feed, TsFeed)
        self.feed = feed
        self.begin(feed)

    def source_left(self, reason: str) -> None:
        assert self.connection is not None
        self.connection.close(f"the local stream ended: {reason}")

    def unsubscribe(self) -> None:
        feed, self.feed = self.feed, None
        if feed is not None:
            self._delivered, self._dropped = self.count()
            self.stop(feed)
            if self.inbound is not None:
                self.inbound.release(feed)
        super().unsubscribe()

    def _left_out(self) -> str:
        if self.inbound is None or self.feed is None or self.feed.untouched:
            return ""
        lost = [one for one in self.inbound.tracks if one.kind is not Kind.DATA and one not in self.feed.tracks]
        return "; ".join(f"{one.kind.value} track {one.id} ({one.codec.value}): MPEG-TS cannot carry it" for one in lost)


class TcpOutbound(TsOutbound):
    """Over TCP: everything since the newest key frame, then each frame; a slow peer goes on from a later key frame."""

    __slots__ = ("_cursor", "_outlet")

    def __init__(self, connection: "PushConnection", name: str, outlet: Outlet) -> None:
        super().__init__(connection, name)
        self._outlet = outlet
        self._cursor: Cursor | None = None

    def begin(self, feed: TsFeed) -> None:
        self._cursor = Cursor(feed, self._outlet)

    def stop(self, feed: TsFeed) -> None:
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            cursor.flush()
            cursor.close()

    def count(self) -> tuple[Totals, Totals]:
        cursor = self._cursor
        return (cursor.delivered, cursor.dropped) if cursor is not None else (self._delivered, self._dropped)


class UdpOutbound(TsOutbound):
    """Over UDP: from the next key frame on, as a receiver needs it at the speed of the stream, at the pace of `pacer`."""

    log = Logger()

    TICK_SECONDS = 0.005
    """Between two looks at what is due: a seventh of the time between two pictures."""

    __slots__ = ("_base", "_call", "_clock", "_complained", "_hungry", "_pacer", "_seen", "_socket")

    def __init__(self, connection: "PushConnection", name: str, socket: UdpSocket, pacer: Pacer) -> None:
        super().__init__(connection, name)
        self._clock = connection.server.clock
        self._socket = socket
        self._pacer = pacer
        self._call: IDelayedCall | None = None
        self._hungry = True
        self._complained = False
        self._base = NOTHING
        self._seen = NOTHING

    def begin(self, feed: TsFeed) -> None:
        self._base = self._seen = feed.totals_at(feed.end)
        feed.listen(self)

    def stop(self, feed: TsFeed) -> None:
        feed.unlisten(self)
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        for run in gathered(self._pacer.rest()):
            self._socket.send_run(run)

    def count(self) -> tuple[Totals, Totals]:
        return (self._seen.minus(self._base), NOTHING) if self.feed is not None else (self._delivered, self._dropped)

    def packets_came(self, packets: bytes, *, joins: bool) -> None:
        """What the feed has made (`PacketListener`)."""
        feed = self.feed
        assert feed is not None
        if self._hungry:
            if not joins:
                return
            self._hungry = False
            self._base = feed.totals_at(feed.end - 1)
        self._seen = feed.totals_at(feed.end)
        self._pacer.put(packets, monotonic())
        if self._call is None:
            self._send()

    def _send(self) -> None:
        """Send what is due, and look again soon if more will be."""
        self._call = None
        assert self.connection is not None
        for run in gathered(self._pacer.take(monotonic())):
            if self._socket.send_run(run):
                self.connection.bytes_sent += len(run.data)
            else:
                self._complain("does not leave")
        if self._pacer.dropped:
            self._complain("is more than its bit rate, and is sent in part only")
        if self._pacer.busy:
            self._call = self._clock.callLater(self.TICK_SECONDS, self._send)

    def _complain(self, what: str) -> None:
        """Say so, once."""
        if not self._complained:
            self._complained = True
            target = self._socket.target
            assert target is not None
            self.log.warn("what goes from {name!r} to {address} {what}", name=self.name, address=target[0], what=what)
