"""A stream on its way out of a push: a cursor in the feed of its packets."""

from typing import TYPE_CHECKING, Any

from ems.media.track import Codec, Kind, Track
from ems.protocols.mpegts.feed import TsFeed
from ems.streams.fed import FedOutbound

if TYPE_CHECKING:
    from ems.protocols.mpegts.client import PushConnection
    from ems.streams.inbound import InboundStream


class TsOutbound(FedOutbound):
    """A subscription that is sent as transport packets, through `way_out`. It ends with its source.

    It begins with everything since the newest key frame, or with `at_next` with the next one, as receivers do that need it at the
    speed of the stream; when it cannot be sent fast enough it goes on from a later one.
    """

    __slots__ = ("_at_next", "_way_out", "type_tag")

    def __init__(self, connection: "PushConnection", name: str, way_out: Any, *, at_next: bool = False) -> None:
        super().__init__(connection.server.streams, name, connection)
        self.type_tag = "ONTS"
        self._way_out = way_out
        self._at_next = at_next

    @property
    def unfit(self) -> bool:
        """Whether there is a source, but nothing in it that a transport stream can carry."""
        cursor = self._cursor
        return self.inbound is not None and bool(self.inbound.tracks) and cursor is not None and not cursor.feed.tracks

    def feed(self, stream: "InboundStream") -> TsFeed:
        fan_out = self._manager.fan_out
        feed = stream.feed(TsFeed, lambda: TsFeed(fan_out))
        assert isinstance(feed, TsFeed)
        return feed

    def outlet(self) -> Any:
        return self._way_out

    def left_out(self, tracks: tuple[Track, ...], fed: tuple[Track, ...]) -> str:
        if any(track.codec is Codec.TS for track in fed):
            return ""
        lost = [one for one in tracks if one.kind is not Kind.DATA and one not in fed]
        return "; ".join(f"{one.kind.value} track {one.id} ({one.codec.value}): MPEG-TS cannot carry it" for one in lost)

    def source_came(self) -> None:
        assert self.inbound is not None
        self.type_tag = "ONS" if self.inbound.type_tag.startswith("INS") else "ONTS"
        self.join(at_next=self._at_next)

    def source_left(self, reason: str) -> None:
        assert self.connection is not None
        self.connection.close(f"the local stream ended: {reason}")
