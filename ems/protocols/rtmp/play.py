"""A client that plays: a subscription to a name, which lives on when the stream goes and comes again."""

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall

from ems.media.track import Kind
from ems.protocols.rtmp import commands
from ems.protocols.rtmp.commands import LEVEL_STATUS
from ems.protocols.rtmp.feed import Selection
from ems.protocols.rtmp.outbound import BOTH_KINDS, RtmpOutbound
from ems.protocols.rtmp.wire import UserControl
from ems.streams.fed import NEVER

if TYPE_CHECKING:
    from ems.protocols.rtmp.server import RtmpConnection


class Play(RtmpOutbound):
    """One playing message stream. It lives until the client ends it, whether or not there is a source.

    `shown` is what the client calls the stream: its alias, where `name` is the real one.
    """

    __slots__ = ("_kinds", "_paused", "_stop", "_waited", "shown")

    connection: "RtmpConnection"

    def __init__(self, client: "RtmpConnection", stream_id: int, name: str, shown: str = "") -> None:
        super().__init__(client, stream_id, name)
        self.shown = shown or name
        self._kinds = BOTH_KINDS
        self._paused = False
        self._waited = False
        self._stop: IDelayedCall | None = None

    def selection(self) -> Selection:
        client = self.connection
        source_pts = client.server.config.application.use_source_pts
        return Selection(self.stream_id, self._kinds, client.fourccs, client.multitrack, source_pts)

    def begin(self, *, reset: bool, duration_ms: float) -> None:
        """Answer the play command and subscribe; with a positive duration, stop after that many milliseconds."""
        self.connection.wire.user_control(UserControl.STREAM_BEGIN, self.stream_id)
        if reset:
            self._status("NetStream.Play.Reset", f"Playing and resetting {self.shown}.")
        self._status("NetStream.Play.Start", f"Started playing {self.shown}.")
        self.connection.send(commands.data(self.stream_id, "|RtmpSampleAccess", False, False))
        self.connection.send(commands.data(self.stream_id, "onStatus", {"code": "NetStream.Data.Start"}))
        if duration_ms > 0:
            self._stop = self.connection.server.clock.callLater(duration_ms / 1000, self._complete)
        self.subscribe()
        self.connection.flush()
        self._waited = True

    def source_came(self) -> None:
        if self._waited:
            self.connection.wire.user_control(UserControl.STREAM_BEGIN, self.stream_id)
            self._status("NetStream.Play.PublishNotify", f"{self.shown} is now published.")
        self._resume()

    def source_left(self, reason: str) -> None:
        self.leave()
        self.left_at = NEVER
        self.connection.wire.user_control(UserControl.STREAM_EOF, self.stream_id)
        self._status("NetStream.Play.UnpublishNotify", f"{self.shown} is now unpublished.")
        self.connection.flush()

    def unsubscribe(self) -> None:
        if self._stop is not None and self._stop.active():
            self._stop.cancel()
        super().unsubscribe()

    def pause(self, paused: bool) -> None:
        """Stop for a while, or go on with the newest key frame."""
        if paused:
            self.leave()
            self._status("NetStream.Pause.Notify", f"Paused {self.shown}.")
        else:
            self._status("NetStream.Unpause.Notify", f"Unpaused {self.shown}.")
        self._paused = paused
        self._resume()

    def receive(self, kind: Kind, wanted: bool) -> None:
        """Switch one kind of track on or off; the player goes on with the next key frame."""
        kinds = self._kinds | {kind} if wanted else self._kinds - {kind}
        if kinds != self._kinds:
            self._kinds = kinds
            self.leave()
            self._resume(at_next=True)

    def _resume(self, *, at_next: bool = False) -> None:
        """Send what waits to be said, then the stream."""
        self.connection.outlet()
        self.connection.flush()
        if not self._paused:
            self.join(at_next=at_next)

    def _complete(self) -> None:
        self.connection.release(self.stream_id, "its duration is over")
        end = commands.info(LEVEL_STATUS, "NetStream.Play.Complete", f"{self.shown} is complete.")
        self.connection.send(commands.data(self.stream_id, "onPlayStatus", end))
        self.connection.wire.user_control(UserControl.STREAM_EOF, self.stream_id)
        self._status("NetStream.Play.Stop", f"Stopped playing {self.shown}.")
        self.connection.flush()

    def _status(self, code: str, description: str) -> None:
        client = self.connection
        status = commands.on_status(
            self.stream_id, LEVEL_STATUS, code, description, details=self.shown, clientid=client.client_id
        )
        client.send(status)
