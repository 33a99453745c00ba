"""A viewer of fragmented MP4, whatever carries it."""

from typing import TYPE_CHECKING, Any, Protocol

from ems.media.track import Kind, Track
from ems.protocols.websocket.fmp4_feed import Fmp4Feed, left_out, playable
from ems.streams.fed import FedOutbound
from ems.streams.feed import Feed
from ems.streams.inbound import InboundStream

if TYPE_CHECKING:
    from ems.net.connection import Connection
    from ems.server import Server
    from ems.streams.outlet import Outlet


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


class Fmp4Viewer(FedOutbound):
    """One viewer. It begins with the newest key frame, and ends with the stream."""

    __slots__ = ("_patience", "_paused", "_started", "_viewer", "form")

    type_tag = "ONFMP4"

    PATIENCE = 3
    """Seconds for which a stream may have only tracks that MP4 cannot carry: others may be about to come."""

    def __init__(self, viewer: Any, name: str, form: type[Fmp4Feed]) -> None:
        """`viewer` is a `ViewerConnection`; `form` is how it gets the stream."""
        connection: Connection = viewer
        super().__init__(viewer.server.streams, name, connection)
        self._viewer: ViewerConnection = viewer
        self.form = form
        self._paused = self._started = False
        self._patience = self.PATIENCE

    def feed(self, stream: InboundStream) -> Feed:
        form, fan_out = self.form, self._viewer.server.streams.fan_out
        return stream.feed(form, lambda: form(fan_out))

    def outlet(self) -> "Outlet":
        return self._viewer.outlet()

    def left_out(self, tracks: tuple[Track, ...], fed: tuple[Track, ...]) -> str:
        return left_out(tracks, fed)

    def source_came(self) -> None:
        if not self._started:
            self._started = True
            self._viewer.stream_came()
        if not self._paused:
            self.join()

    def source_left(self, reason: str) -> None:
        self._viewer.stream_ended(f"the stream has ended: {reason}")

    def pause(self, paused: bool) -> None:
        """Send nothing for a while, or go on with a key frame that has not been seen yet."""
        self._paused = paused
        if paused:
            self.leave()
        else:
            self.join()

    def tick(self) -> None:
        """A second has passed: a stream of which nothing can be shown is not waited for."""
        tracks = self.inbound.tracks if self.inbound is not None else ()
        if playable(tracks) or all(track.kind is Kind.DATA for track in tracks):
            self._patience = self.PATIENCE
            return
        self._patience -= 1
        if not self._patience:
            self._viewer.stream_unfit(f"MP4 cannot carry it: {left_out(tracks, ())}")
