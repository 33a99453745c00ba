"""A stream on its way out of an RTMP connection, to a player or to another server."""

from abc import abstractmethod

from ems.media.track import Kind, Track
from ems.protocols.rtmp.feed import RtmpFeed, Selection
from ems.protocols.rtmp.mapping import left_out
from ems.protocols.rtmp.session import RtmpSession
from ems.streams.fed import FedOutbound
from ems.streams.feed import Feed
from ems.streams.inbound import InboundStream
from ems.streams.outlet import Outlet

BOTH_KINDS = frozenset((Kind.AUDIO, Kind.VIDEO))


class RtmpOutbound(FedOutbound):
    """A subscription that is fed as RTMP messages; subclasses say in which form (`selection`)."""

    __slots__ = ("stream_id",)

    type_tag = "ONR"
    connection: RtmpSession

    def __init__(self, session: RtmpSession, stream_id: int, name: str) -> None:
        super().__init__(session.server.streams, name, session)
        self.stream_id = stream_id

    @abstractmethod
    def selection(self) -> Selection:
        """What this peer gets."""

    def feed(self, stream: InboundStream) -> Feed:
        selection = self.selection()
        fan_out = self.connection.server.streams.fan_out
        return stream.feed(selection, lambda: RtmpFeed(stream, fan_out, selection))

    def outlet(self) -> Outlet:
        return self.connection.outlet()

    def left_out(self, tracks: tuple[Track, ...], fed: tuple[Track, ...]) -> str:
        selection = self.selection()
        return left_out(tracks, fed, selection.kinds, selection.fourccs)
