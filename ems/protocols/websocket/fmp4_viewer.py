"""A viewer of fragmented MP4, whatever carries it: the subscription to a name, and the cursor in its stream's feed."""

from typing import TYPE_CHECKING, Any, Protocol

from ems.media.track import Kind
from ems.protocols.websocket.fmp4_feed import Fmp4Feed, left_out, playable
from ems.streams.feed import Cursor
from ems.streams.outbound import OutboundStream
from ems.streams.statistics import NOTHING, StreamStatistics

if TYPE_CHECKING:
    from ems.net.connection import Connection
    from ems.server import Server
    from ems.streams.outlet import Outlet

NEVER = -1
"""Before any time on the stream's clock."""


class ViewerConnection(Protocol):
    """What a viewer needs of its connection."""

    server: "Server"

    def outlet(self) -> "Outlet":
        """The way out; the preamble has been written."""

    def stream_came(self) -> None:
        """There is something to see, for the first time."""

    def stream_ended(self, reason: str) -> None:
        """There is nothing more to see."""

    def stream_unfit(self, reason: str) -> None:
        """There is a stream, but nothing that this viewer could see."""


class Fmp4Viewer(OutboundStream):
    """One viewer. It begins with the newest key frame, and ends with the stream."""

    __slots__ = ("_cursor", "_delivered", "_dropped", "_patience", "_paused", "_started", "_viewer", "form", "left_at")

    type_tag = "ONFMP4"

    PATIENCE = 3
    """Seconds for which a stream may have only tracks that MP4 cannot carry: others may be about to come."""

    def __init__(self, viewer: Any, name: str, form: type[Fmp4Feed]) -> None:
        """`viewer` is a `ViewerConnection`; `form` is how it gets the stream."""
        connection: Connection = viewer
        super().__init__(viewer.server.streams, name, connection)
        self._viewer: ViewerConnection = viewer
        self.form = form
        self._cursor: Cursor | None = None
        self._paused = self._started = False
        self._patience = self.PATIENCE
        self.left_at = NEVER
        self._delivered = self._dropped = NOTHING

    @property
    def statistics(self) -> StreamStatistics:
        cursor = self._cursor
        if cursor is None:
            return StreamStatistics.of(self._delivered, self._dropped)
        return StreamStatistics.of(self._delivered.plus(cursor.delivered), self._dropped.plus(cursor.dropped))

    @property
    def details(self) -> dict[str, Any]:
        if self._cursor is None or self.inbound is None:
            return super().details
        missing = left_out(self.inbound.tracks, self._cursor.feed.tracks)
        return {**super().details, "leftOut": missing} if missing else super().details

    def source_came(self) -> None:
        if not self._started:
            self._started = True
            self._viewer.stream_came()
        self._join()

    def source_left(self, reason: str) -> None:
        self._viewer.stream_ended(f"the stream has ended: {reason}")

    def unsubscribe(self) -> None:
        self._leave()
        super().unsubscribe()

    def pause(self, paused: bool) -> None:
        """Send nothing for a while, or go on with a key frame that has not been seen yet."""
        self._paused = paused
        if paused:
            self._leave()
        else:
            self._join()

    def tick(self) -> None:
        """A second has passed: a stream of which nothing can be shown is not waited for."""
        tracks = self.inbound.tracks if self.inbound is not None else ()
        if playable(tracks) or all(track.kind is Kind.DATA for track in tracks):
            self._patience = self.PATIENCE
            return
        self._patience -= 1
        if not self._patience:
            self._viewer.stream_unfit(f"MP4 cannot carry it: {left_out(tracks, ())}")

    def _join(self) -> None:
        stream = self.inbound
        if stream is None or self._cursor is not None or self._paused:
            return
        form, fan_out = self.form, self._viewer.server.streams.fan_out
        feed = stream.feed(form, lambda: form(fan_out))
        self._cursor = Cursor(feed, self._viewer.outlet(), at_next=feed.joins_before(self.left_at))

    def _leave(self) -> None:
        """Be fed no more for now; what came until now goes out first, as far as the socket takes it."""
        cursor, self._cursor = self._cursor, None
        if cursor is None:
            return
        cursor.flush()
        self.left_at = cursor.feed.newest
        self._delivered = self._delivered.plus(cursor.delivered)
        self._dropped = self._dropped.plus(cursor.dropped)
        cursor.close()
        if self.inbound is not None:
            self.inbound.release(cursor.feed)
