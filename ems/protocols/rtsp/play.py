"""A client that plays: a subscription to a stream, and the cursor in one of its feeds."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ems.protocols.rtsp.description import left_out
from ems.protocols.rtsp.feed import DatagramFeed, Form, InterleavedFeed, RtspFeed
from ems.streams.feed import Cursor
from ems.streams.outbound import OutboundStream
from ems.streams.statistics import NOTHING, StreamStatistics

if TYPE_CHECKING:
    from ems.protocols.rtsp.multicast import Broadcast
    from ems.protocols.rtsp.server import RtspConnection

NEVER = -1
"""Before any time on the stream's clock."""


class RtspPlay(OutboundStream):
    """One viewer. It begins with the newest key frame, or with `at_next` with the next one, and ends with the stream.

    `open_outlet` makes the way out; what comes back is closed with the viewer, unless it is the connection's own.
    """

    __slots__ = ("_at_next", "_cursor", "_delivered", "_dropped", "_feed", "_left_at", "_open_outlet", "form", "type_tag")

    connection: "RtspConnection"

    def __init__(
        self, client: "RtspConnection", name: str, form: Form, open_outlet: Callable[[], Any], *, at_next: bool = False
    ) -> None:
        super().__init__(client.server.streams, name, client)
        self.type_tag = "ONTS" if form.media[0].track is None else "ONP"
        self.form = form
        self._open_outlet = open_outlet
        self._at_next = at_next
        self._feed: RtspFeed | None = None
        self._cursor: Cursor | None = None
        self._left_at = NEVER
        self._delivered = self._dropped = NOTHING

    @property
    def statistics(self) -> StreamStatistics:
        cursor = self._cursor
        if cursor is None:
            return StreamStatistics.of(self._delivered, self._dropped)
        return StreamStatistics.of(self._delivered.plus(cursor.delivered), self._dropped.plus(cursor.dropped))

    @property
    def details(self) -> dict[str, Any]:
        missing = left_out(self.inbound.tracks, self.form.media) if self.inbound is not None else ""
        return {**super().details, "leftOut": missing} if missing else super().details

    @property
    def playing(self) -> bool:
        """True when it is being fed."""
        return self._cursor is not None

    def prepare(self) -> RtspFeed | None:
        """The feed that it will get its packets from; None when there is no stream. `start` or `leave` has to follow."""
        stream = self.inbound
        if stream is None:
            return None
        fan_out, form = self.connection.server.streams.fan_out, self.form
        make = InterleavedFeed if form.channels else DatagramFeed
        feed = stream.feed(form, lambda: make(stream, fan_out, form))
        assert isinstance(feed, RtspFeed)
        self._feed = feed
        return feed

    @property
    def begins_at_once(self) -> bool:
        """Whether the newest key frame of the feed is what it begins with."""
        return self._feed is not None and not self._at_next and not self._feed.joins_before(self._left_at)

    def start(self) -> None:
        """Be fed, from now on."""
        if self._feed is not None and self._cursor is None and self.inbound is not None:
            self._cursor = Cursor(self._feed, self._open_outlet(), at_next=not self.begins_at_once)

    def leave(self) -> None:
        """Be fed no more for now."""
        feed, self._feed = self._feed, None
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            self._left_at = cursor.feed.newest
            self._delivered = self._delivered.plus(cursor.delivered)
            self._dropped = self._dropped.plus(cursor.dropped)
            cursor.close()
        if self.inbound is not None and feed is not None:
            self.inbound.release(feed)

    def source_left(self, reason: str) -> None:
        self.say_goodbye()
        self.connection.stream_ended(f"the stream has ended: {reason}")

    def say_goodbye(self) -> None:
        """Tell the client that its media have ended, behind everything that came of them."""
        cursor = self._cursor
        if cursor is not None and isinstance(cursor.feed, RtspFeed):
            cursor.flush()
            farewell = cursor.feed.goodbye()
            if farewell:
                cursor.outlet.write(farewell)

    def unsubscribe(self) -> None:
        self.leave()
        super().unsubscribe()

    def fits(self) -> bool:
        """Whether the stream still has the tracks that the client was told of."""
        return self.inbound is None or not self.inbound.tracks or self._feed is None or self._feed.fits(self.inbound.tracks)


class MulticastPlay(RtspPlay):
    """A client that listens to a group: nothing is sent for it alone, and its counters are those of the group."""

    __slots__ = ("_broadcast", "_listening")

    def __init__(self, client: "RtspConnection", name: str, broadcast: "Broadcast") -> None:
        super().__init__(client, name, broadcast.form, lambda: None)
        self._broadcast = broadcast
        self._listening = False

    @property
    def statistics(self) -> StreamStatistics:
        return StreamStatistics.of(self._broadcast.delivered, NOTHING)

    @property
    def playing(self) -> bool:
        return self._listening

    def prepare(self) -> RtspFeed | None:
        """Nothing is known of what comes first."""
        return None

    def start(self) -> None:
        self._listening = True
        self._broadcast.start()

    def leave(self) -> None:
        self._listening = False


class RtpInfo(NamedTuple):
    """One entry of the header RTP-Info (RFC 2326 §12.33)."""

    url: str
    sequence: int
    timestamp: int

    def __str__(self) -> str:
        return f"url={self.url};seq={self.sequence};rtptime={self.timestamp}"
