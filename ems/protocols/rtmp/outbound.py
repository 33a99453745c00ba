"""A stream on its way out of an RTMP connection, to a player or to another server: the cursor in its feed."""

from abc import abstractmethod
from typing import Any

from ems.media.track import Kind
from ems.protocols.rtmp.feed import RtmpFeed, Selection
from ems.protocols.rtmp.mapping import left_out
from ems.protocols.rtmp.session import RtmpSession
from ems.streams.feed import Cursor
from ems.streams.outbound import OutboundStream
from ems.streams.statistics import NOTHING, StreamStatistics

NEVER = -1
"""Before any time on the stream's clock."""

BOTH_KINDS = frozenset((Kind.AUDIO, Kind.VIDEO))


class RtmpOutbound(OutboundStream):
    """A subscription that is fed as RTMP messages; subclasses say in which form (`selection`)."""

    __slots__ = ("_cursor", "_delivered", "_dropped", "left_at", "stream_id")

    type_tag = "ONR"
    connection: RtmpSession

    def __init__(self, session: RtmpSession, stream_id: int, name: str) -> None:
        super().__init__(session.server.streams, name, session)
        self.stream_id = stream_id
        self._cursor: Cursor | None = None
        self.left_at = NEVER
        self._delivered = self._dropped = NOTHING

    @abstractmethod
    def selection(self) -> Selection:
        """What this peer gets."""

    @property
    def statistics(self) -> StreamStatistics:
        cursor = self._cursor
        if cursor is None:
            return StreamStatistics.of(self._delivered, self._dropped)
        return StreamStatistics.of(self._delivered.plus(cursor.delivered), self._dropped.plus(cursor.dropped))

    @property
    def details(self) -> dict[str, Any]:
        cursor = self._cursor
        if cursor is None or self.inbound is None:
            return super().details
        selection = self.selection()
        missing = left_out(self.inbound.tracks, cursor.feed.tracks, selection.kinds, selection.fourccs)
        return {**super().details, "leftOut": missing} if missing else super().details

    def unsubscribe(self) -> None:
        self.leave()
        super().unsubscribe()

    def join(self, *, at_next: bool = False) -> None:
        """Be fed from the newest key frame on, unless there is no stream; with `at_next`, or when that has been sent already,
        from the next one."""
        stream = self.inbound
        if stream is None or self._cursor is not None:
            return
        selection = self.selection()
        fan_out = self.connection.server.streams.fan_out
        feed = stream.feed(selection, lambda: RtmpFeed(stream, fan_out, selection))
        at_next = at_next or feed.joins_before(self.left_at)
        self._cursor = Cursor(feed, self.connection.outlet(), at_next=at_next)

    def leave(self) -> None:
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
