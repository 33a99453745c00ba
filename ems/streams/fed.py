"""An outbound stream that lives on a feed: the same for every protocol that sends frames as they come.

A player, or a push to another server, is a subscription to a name. While there is a stream of that name, and the consumer wants
to see it, a cursor stands in one of the stream's feeds; which one, the protocol says.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from ems.media.track import Track
from ems.streams.feed import Cursor, Feed
from ems.streams.outbound import OutboundStream
from ems.streams.statistics import NOTHING, StreamStatistics

if TYPE_CHECKING:
    from ems.net.connection import Connection
    from ems.streams.inbound import InboundStream
    from ems.streams.manager import StreamManager
    from ems.streams.outlet import Outlet

NEVER = -1
"""Before any time on the stream's clock."""


class FedOutbound(OutboundStream, ABC):
    """A subscription that is fed from a `Feed`. Subclasses say from which, through which outlet, and what it leaves out.

    `left_at` is the newest time, in nanoseconds on the stream's clock, up to which it was fed: what is older is not sent again.
    """

    __slots__ = ("_cursor", "_delivered", "_dropped", "left_at")

    def __init__(self, manager: "StreamManager", name: str, connection: "Connection | None") -> None:
        super().__init__(manager, name, connection)
        self._cursor: Cursor | None = None
        self.left_at = NEVER
        self._delivered = self._dropped = NOTHING

    @abstractmethod
    def feed(self, stream: "InboundStream") -> Feed:
        """The stream's feed in the form that this consumer gets: the same for all who get the same."""

    @abstractmethod
    def outlet(self) -> "Outlet":
        """The way out of the connection; what goes before the stream has been written."""

    @abstractmethod
    def left_out(self, tracks: tuple[Track, ...], fed: tuple[Track, ...]) -> str:
        """Why the consumer, who is fed some of the `tracks` of a stream, does not get the others; empty when it gets all."""

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
        missing = self.left_out(self.inbound.tracks, self._cursor.feed.tracks)
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
        feed = self.feed(stream)
        self._cursor = Cursor(feed, self.outlet(), at_next=at_next or feed.joins_before(self.left_at))

    def leave(self) -> None:
        """Be fed no more for now; what came until now goes out first, as far as the socket takes it."""
        if self._cursor is not None:
            self._cursor.flush()
        self.cut()

    def cut(self) -> None:
        """Be fed no more for now; what has not gone out yet stays behind."""
        cursor, self._cursor = self._cursor, None
        if cursor is None:
            return
        self.left_at = cursor.feed.newest
        self._delivered = self._delivered.plus(cursor.delivered)
        self._dropped = self._dropped.plus(cursor.dropped)
        cursor.close()
        if self.inbound is not None:
            self.inbound.release(cursor.feed)
