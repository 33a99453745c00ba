"""A client that plays: a subscription to a name, and the cursor by which it is fed while the stream is there."""

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall

from ems.media.track import Kind
from ems.protocols.rtmp import commands
from ems.protocols.rtmp.commands import LEVEL_STATUS
from ems.protocols.rtmp.feed import RtmpFeed, Selection
from ems.protocols.rtmp.wire import UserControl
from ems.streams.feed import Cursor
from ems.streams.outbound import OutboundStream
from ems.streams.statistics import StreamStatistics, Totals

if TYPE_CHECKING:
    from ems.protocols.rtmp.server import RtmpConnection


class Play(OutboundStream):
    """One playing message stream. It lives until the client ends it, whether or not there is a source."""

    __slots__ = ("_cursor", "_delivered", "_dropped", "_kinds", "_paused", "_session", "_stop", "_waited", "stream_id")

    type_tag = "ONR"

    def __init__(self, session: "RtmpConnection", stream_id: int, name: str) -> None:
        super().__init__(session.server.streams, name, session)
        self.stream_id = stream_id
        self._session = session
        self._cursor: Cursor | None = None
        self._kinds = _BOTH
        self._paused = False
        self._waited = False
        self._stop: IDelayedCall | None = None
        self._delivered = self._dropped = Totals()

    @property
    def statistics(self) -> StreamStatistics:
        cursor = self._cursor
        if cursor is None:
            return StreamStatistics.of(self._delivered, self._dropped)
        return StreamStatistics.of(self._delivered.plus(cursor.delivered), self._dropped.plus(cursor.dropped))

    def begin(self, *, reset: bool, duration_ms: float) -> None:
        """Answer the play command and subscribe; with a positive duration, stop after that many milliseconds."""
        self._session.wire.user_control(UserControl.STREAM_BEGIN, self.stream_id)
        if reset:
            self._status("NetStream.Play.Reset", f"Playing and resetting {self.name}.")
        self._status("NetStream.Play.Start", f"Started playing {self.name}.")
        self._session.send(commands.data(self.stream_id, "|RtmpSampleAccess", False, False))
        self._session.send(commands.data(self.stream_id, "onStatus", {"code": "NetStream.Data.Start"}))
        self._session.flush()
        if duration_ms > 0:
            self._stop = self._session.server.clock.callLater(duration_ms / 1000, self._complete)
        self.subscribe()
        self._waited = True

    def source_came(self) -> None:
        if self._waited:
            self._session.wire.user_control(UserControl.STREAM_BEGIN, self.stream_id)
            self._status("NetStream.Play.PublishNotify", f"{self.name} is now published.")
            self._session.flush()
        self._join()

    def source_left(self, reason: str) -> None:
        self._leave()
        self._session.wire.user_control(UserControl.STREAM_EOF, self.stream_id)
        self._status("NetStream.Play.UnpublishNotify", f"{self.name} is now unpublished.")
        self._session.flush()

    def unsubscribe(self) -> None:
        if self._stop is not None and self._stop.active():
            self._stop.cancel()
        self._leave()
        super().unsubscribe()

    def pause(self, paused: bool) -> None:
        """Stop for a while, or go on with the newest key frame."""
        if paused:
            self._status("NetStream.Pause.Notify", f"Paused {self.name}.")
            self._leave()
        else:
            self._status("NetStream.Unpause.Notify", f"Unpaused {self.name}.")
        self._session.flush()
        if self._paused and not paused:
            self._paused = False
            self._join()
        self._paused = paused

    def receive(self, kind: Kind, wanted: bool) -> None:
        """Switch one kind of track on or off; the player goes on with the next key frame."""
        kinds = self._kinds | {kind} if wanted else self._kinds - {kind}
        if kinds != self._kinds:
            self._kinds = kinds
            self._leave()
            self._join(at_next=True)

    def _join(self, *, at_next: bool = False) -> None:
        stream = self.inbound
        if stream is None or self._paused or self._cursor is not None:
            return
        session = self._session
        selection = Selection(self.stream_id, self._kinds, session.fourccs, session.multitrack)
        source_pts = session.server.config.application.use_source_pts
        fan_out = session.server.streams.fan_out
        feed = stream.feed(selection, lambda: RtmpFeed(stream, fan_out, selection, source_pts=source_pts))
        self._cursor = Cursor(feed, session.outlet(), at_next=at_next)

    def _leave(self) -> None:
        cursor, self._cursor = self._cursor, None
        if cursor is None:
            return
        self._delivered = self._delivered.plus(cursor.delivered)
        self._dropped = self._dropped.plus(cursor.dropped)
        cursor.close()
        if self.inbound is not None:
            self.inbound.release(cursor.feed)

    def _complete(self) -> None:
        self.unsubscribe()
        end = commands.info(LEVEL_STATUS, "NetStream.Play.Complete", f"{self.name} is complete.")
        self._session.send(commands.data(self.stream_id, "onPlayStatus", end))
        self._session.wire.user_control(UserControl.STREAM_EOF, self.stream_id)
        self._status("NetStream.Play.Stop", f"Stopped playing {self.name}.")
        self._session.flush()

    def _status(self, code: str, description: str) -> None:
        session = self._session
        session.send(
            commands.on_status(self.stream_id, LEVEL_STATUS, code, description, details=self.name, clientid=session.client_id)
        )


_BOTH = frozenset((Kind.AUDIO, Kind.VIDEO))
