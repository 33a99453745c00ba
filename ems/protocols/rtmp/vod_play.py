"""A client that plays what lies in files: a recording, in which it can seek and pause, or a server-side playlist.

Unlike a live stream this is sent to one client alone, and ahead of time: how far, `server.vod` says (`ems.vod.playback`). Frames
go straight to the connection's outlet, and while that is closed, nothing is read from the disk.
"""

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ems.errors import CommandError
from ems.media.frame import MILLISECOND, SECOND, Frame
from ems.media.track import Kind, Track
from ems.protocols.rtmp import commands
from ems.protocols.rtmp.commands import LEVEL_ERROR, LEVEL_STATUS, Command
from ems.protocols.rtmp.mapping import playable
from ems.protocols.rtmp.outbound import BOTH_KINDS
from ems.protocols.rtmp.packets import Packets, track_metadata
from ems.protocols.rtmp.play import Play
from ems.protocols.rtmp.wire import UserControl
from ems.streams.outbound import OutboundStream
from ems.streams.outlet import Outlet
from ems.streams.statistics import NOTHING, StreamStatistics

if TYPE_CHECKING:
    from ems.protocols.rtmp.server import RtmpConnection
    from ems.vod.playback import Playback
    from ems.vod.playlist import Item
    from ems.vod.programme import Programme

TO_END = -1
"""The length of a recording that is played whole."""


class VodPlay(OutboundStream):
    """One message stream that plays a recording or a playlist. At the end it stays, for the client may seek back.

    `shown` is what the client calls it: its alias, where `name` is the real name.
    """

    __slots__ = ("_begun", "_ended", "_kinds", "_outlet", "_packets", "_playback", "_sent", "_tracks", "shown", "stream_id")

    log = Logger()
    type_tag = "ONR"
    connection: "RtmpConnection"

    def __init__(self, client: "RtmpConnection", stream_id: int, name: str, shown: str) -> None:
        super().__init__(client.server.streams, name, client)
        self.stream_id = stream_id
        self.shown = shown
        self._packets = Packets(stream_id)
        self._tracks: tuple[Track, ...] = ()
        self._kinds = BOTH_KINDS
        self._playback: Playback | None = None
        self._outlet: Outlet | None = None
        self._begun = False
        self._ended = False
        self._sent = NOTHING

    @property
    def statistics(self) -> StreamStatistics:
        return StreamStatistics.of(self._sent, NOTHING)

    @property
    def ready(self) -> bool:
        """True when the connection takes more (`ems.vod.playback.Viewer`)."""
        return self._outlet is not None and self._outlet.open

    @property
    def buffer_seconds(self) -> float:
        """What the client has said with SetBufferLength."""
        return self.connection.wire.buffer_length / 1000

    def begin(self, *, start_ms: float, duration_ms: float, reset: bool) -> None:
        """Look for the file, and then answer the play command: with what is in the file, or that there is none.

        A client that has not asked for a certain place, by a name that may be that of a live stream, then waits for that.
        """
        self._manager.enlist(self)
        Deferred.fromCoroutine(self._open(max(start_ms, 0), duration_ms, reset)).addErrback(self._failed)

    def unsubscribe(self) -> None:
        playback, self._playback = self._playback, None
        if playback is not None:
            playback.stop()
        outlet, self._outlet = self._outlet, None
        if outlet is not None:
            outlet.discard(self)
        super().unsubscribe()

    def pause(self, paused: bool) -> None:
        """Stop for a while, or go on where it was."""
        if self._playback is None:
            return
        code = "NetStream.Pause.Notify" if paused else "NetStream.Unpause.Notify"
        self._status(code, f"{'Paused' if paused else 'Unpaused'} {self.shown}.")
        if paused:
            self._playback.pause()
        else:
            self._playback.resume()

    def seek(self, milliseconds: float) -> None:
        """Go on at another place of the recording."""
        playback = self._playback
        if playback is None:
            return
        try:
            playback.programme.check_seek()
        except CommandError as error:
            self._status("NetStream.Seek.Failed", str(error), LEVEL_ERROR)
            return
        if not self._ended:
            self.connection.wire.user_control(UserControl.STREAM_EOF, self.stream_id)
        self._ended = False
        self.connection.wire.user_control(UserControl.STREAM_BEGIN, self.stream_id)
        self._status("NetStream.Seek.Notify", f"Seeking {milliseconds:.0f} ms in {self.shown}.")
        self._status("NetStream.Play.Start", f"Started playing {self.shown}.")
        self.connection.flush()
        self._tracks = ()
        playback.seek(int(max(milliseconds, 0)) * MILLISECOND)

    def receive(self, kind: Kind, wanted: bool) -> None:
        """Switch one kind of track on or off."""
        self._kinds = self._kinds | {kind} if wanted else self._kinds - {kind}
        self._tracks = ()

    def opened(self) -> None:
        """The connection takes more."""
        if self._playback is not None:
            self._playback.wake()

    def closed(self) -> None:
        """The connection takes nothing for now: `ready` tells."""

    def flush(self) -> None:
        """Nothing waits here."""

    def item_begins(self, item: "Item") -> None:
        """Another item of the playlist, or the recording, begins (`ems.vod.playback.Viewer`)."""
        if self._begun:
            description = f"{item.name} is next in {self.shown}."
            info = commands.info(LEVEL_STATUS, "NetStream.Play.Switch", description, details=item.name)
            self.connection.send(commands.data(self.stream_id, "onPlayStatus", info))
            self._status("NetStream.Play.Switch", description)
        self._begun = True
        self._tracks = ()

    def send(self, frames: list[Frame], tracks: tuple[Track, ...]) -> None:
        """Send frames, and what configures their tracks when that is new (`ems.vod.playback.Viewer`)."""
        assert self._outlet is not None
        # What was said since goes out with them: sent by itself it would close the outlet.
        messages = [self.connection.wire.take_output()]
        if tracks != self._tracks:
            self._tracks = tracks
            messages.append(self._headers(_timestamp(frames[0])))
        for frame in frames:
            message = self._packets.frame(frame, _timestamp(frame))
            if message:
                messages.append(message)
                self._sent = self._sent.counting(frame)
        data = b"".join(messages)
        if data:
            self._outlet.send(data)

    def over(self) -> None:
        """Everything has been sent (`ems.vod.playback.Viewer`)."""
        if self._playback is None:
            return
        self._ended = True
        duration = self._playback.programme.duration or 0
        sent = self._sent.audio_bytes + self._sent.video_bytes
        end = {"duration": duration / SECOND, "bytes": sent}
        info = commands.info(LEVEL_STATUS, "NetStream.Play.Complete", f"{self.shown} is complete.", **end)
        self.connection.send(commands.data(self.stream_id, "onPlayStatus", info))
        self.connection.wire.user_control(UserControl.STREAM_EOF, self.stream_id)
        self._status("NetStream.Play.Stop", f"Stopped playing {self.shown}.")
        self.connection.flush()

    async def _open(self, start_ms: float, duration_ms: float, reset: bool) -> None:
        vod = self.connection.server.vod
        assert vod is not None
        length = int(duration_ms) * MILLISECOND if duration_ms > 0 else TO_END
        try:
            programme = await vod.open(self.name, int(start_ms) * MILLISECOND, length)
        except CommandError as error:
            if self._plays:
                self._not_found(error, waits=not start_ms and not vod.is_recording(self.name), reset=reset, duration=duration_ms)
            return
        if not self._plays:
            programme.close()
            return
        self._answer(programme, reset)
        self._playback = vod.play(programme, self)
        self._outlet = self.connection.outlet()
        self._outlet.add(self)
        self._playback.start()

    @property
    def _plays(self) -> bool:
        """False when the client has turned to something else while the file was opened."""
        return self.connection.net_streams.get(self.stream_id) is self

    def _not_found(self, error: CommandError, *, waits: bool, reset: bool, duration: float) -> None:
        client = self.connection
        client.release(self.stream_id, str(error))
        if waits:
            playing = Play(client, self.stream_id, self.name, self.shown)
            client.use(self.stream_id, playing)
            playing.begin(reset=reset, duration_ms=duration)
            return
        self.log.info("{peer} asks for a recording: {reason}", peer=client.peer_name, reason=error)
        self._status("NetStream.Play.StreamNotFound", str(error), LEVEL_ERROR)
        client.flush()

    def _answer(self, programme: "Programme", reset: bool) -> None:
        """What goes before a recording."""
        client = self.connection
        if programme.duration is not None:
            client.wire.user_control(UserControl.STREAM_IS_RECORDED, self.stream_id)
        if reset:
            self._status("NetStream.Play.Reset", f"Playing and resetting {self.shown}.")
        client.wire.user_control(UserControl.STREAM_BEGIN, self.stream_id)
        self._status("NetStream.Play.Start", f"Started playing {self.shown}.")
        client.send(commands.data(self.stream_id, "|RtmpSampleAccess", False, False))
        client.send(commands.data(self.stream_id, "onStatus", {"code": "NetStream.Data.Start"}))
        client.flush()

    def _headers(self, timestamp: int) -> bytes:
        client = self.connection
        chosen = playable(self._tracks, self._kinds, client.fourccs, client.multitrack)
        self._packets.set_tracks(chosen)
        metadata = {**track_metadata(chosen), "Server": "EMS"}
        duration = self._playback.programme.duration if self._playback is not None else None
        if duration is not None:
            metadata["duration"] = duration / SECOND
        return self._packets.headers(timestamp, metadata)

    def _status(self, code: str, description: str, level: str = LEVEL_STATUS) -> None:
        client = self.connection
        client.send(commands.on_status(self.stream_id, level, code, description, details=self.shown, clientid=client.client_id))

    def _failed(self, failure: Failure) -> None:
        self.log.failure("{name} cannot be played", failure=failure, name=self.name)
        self.connection.close("a recording cannot be played")


def _timestamp(frame: Frame) -> int:
    return frame.dts // MILLISECOND & 0xFFFFFFFF


def answer_length(session: "RtmpConnection", command: Command, name: str) -> None:
    """Answer ``getStreamLength`` with the seconds of the recording of that name, 0 when there is none."""
    Deferred.fromCoroutine(_answer_length(session, command, name))


async def _answer_length(session: "RtmpConnection", command: Command, name: str) -> None:
    vod = session.server.vod
    assert vod is not None
    try:
        seconds = await vod.seconds(name)
    except CommandError:
        seconds = 0.0
    if not session.closing:
        session.send(commands.result(command, None, seconds))
        session.flush()
