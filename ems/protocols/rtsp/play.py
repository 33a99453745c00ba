"""A client that plays: a subscription to a stream, and the cursor in one of its feeds."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ems.media.track import Track
from ems.protocols.rtsp.description import left_out
from ems.protocols.rtsp.feed import Form, RtspFeed, feed_class
from ems.streams.fed import FedOutbound
from ems.streams.statistics import NOTHING, StreamStatistics

if TYPE_CHECKING:
    from ems.protocols.rtsp.multicast import Broadcast
    from ems.protocols.rtsp.push import PushClient
    from ems.protocols.rtsp.server import RtspConnection
    from ems.streams.inbound import InboundStream


class RtspPlay(FedOutbound):
    """One viewer. It begins with the newest key frame, or with `at_next` with the next one, and ends with the stream.

    `open_outlet` makes the way out; what comes back is closed with the viewer, unless it is the connection's own.
    """

    __slots__ = ("_at_next", "_open_outlet", "_prepared", "form", "type_tag")

    connection: Any
    """A client's `RtspConnection`, or the `PushClient` of a push, which has another `source_left`."""

    def __init__(
        self,
        client: "RtspConnection | PushClient",
        name: str,
        form: Form,
        open_outlet: Callable[[], Any],
        *,
        at_next: bool = False,
    ) -> None:
        super().__init__(client.server.streams, name, client)
        self.type_tag = "ONTS" if form.media[0].track is None else "ONP"
        self.form = form
        self._open_outlet = open_outlet
        self._at_next = at_next
        self._prepared: RtspFeed | None = None

    def feed(self, stream: "InboundStream") -> RtspFeed:
        fan_out, form = self._manager.fan_out, self.form
        feed = stream.feed(form, lambda: feed_class(form)(stream, fan_out, form))
        assert isinstance(feed, RtspFeed)
        return feed

    def outlet(self) -> Any:
        return self._open_outlet()

    def left_out(self, tracks: tuple[Track, ...], fed: tuple[Track, ...]) -> str:
        return left_out(tracks, self.form.media)

    @property
    def details(self) -> dict[str, Any]:
        """What it does not get is known from SETUP on, whether it is fed or not."""
        missing = self.left_out(self.inbound.tracks, ()) if self.inbound is not None else ""
        return {**super().details, "leftOut": missing} if missing else super().details

    @property
    def playing(self) -> bool:
        """True when it is being fed."""
        return self._cursor is not None

    def prepare(self) -> RtspFeed | None:
        """The feed that it will get its packets from; None when there is no stream. `start` or `leave` has to follow."""
        if self.inbound is not None:
            self._prepared = self.feed(self.inbound)
        return self._prepared

    @property
    def begins_at_once(self) -> bool:
        """Whether the newest key frame of the feed is what it begins with."""
        return self._prepared is not None and not self._at_next and not self._prepared.joins_before(self.left_at)

    def start(self) -> None:
        """Be fed, from now on."""
        if self._prepared is not None:
            self.join(at_next=self._at_next)

    def leave(self) -> None:
        """Be fed no more for now, and at once: behind the answer to PAUSE or TEARDOWN nothing comes."""
        self.cut()
        feed, self._prepared = self._prepared, None
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

    def fits(self) -> bool:
        """Whether the stream still has the tracks that the client was told of."""
        stream, feed = self.inbound, self._prepared
        return stream is None or not stream.tracks or feed is None or feed.fits(stream.tracks)


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
