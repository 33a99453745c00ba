"""RTMP as a client: pulling streams from other servers and pushing local ones to them.

`PullClient` and `PushClient` are the conversation on one connection (Adobe RTMP 1.0 §7.2, from the client's side). What goes
beyond one connection is in `ems.protocols.rtmp.attempt`.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from twisted.logger import LogLevel

from ems.errors import CommandError
from ems.formats.enhanced import CODEC
from ems.protocols.rtmp import commands
from ems.protocols.rtmp.chunks import DEFAULT_CHUNK_SIZE, Message
from ems.protocols.rtmp.commands import Command
from ems.protocols.rtmp.feed import Selection
from ems.protocols.rtmp.handshake import ClientHandshake
from ems.protocols.rtmp.mapping import fourccs_of
from ems.protocols.rtmp.outbound import BOTH_KINDS, RtmpOutbound
from ems.protocols.rtmp.publish import Publish
from ems.protocols.rtmp.session import COMMAND_TYPES, MEDIA_TYPES, RtmpSession
from ems.protocols.rtmp.wire import OUT_CHUNK_SIZE, WINDOW_SIZE, MessageType, UserControl, Wire
from ems.uri import Uri

if TYPE_CHECKING:
    from ems.protocols.rtmp.attempt import RtmpAttempt
    from ems.server import Server

CAPABILITIES = {
    "fpad": False,
    "capabilities": 239,
    "audioCodecs": 3191,
    "videoCodecs": 252,
    "videoFunction": 1,
    "objectEncoding": 0,
    "fourCcList": [fourcc.decode() for fourcc in CODEC],
}
"""What a client says that it can do."""

LAYERS = {"rtmp": ("TCP", "OR"), "rtmps": ("TCP", "OSSL", "OR"), "rtmpt": ("TCP", "OH4R", "OR")}
"""The layers of a connection by the scheme of its address, as the runtime API names them."""

BUFFER_MS = 100
"""What a pulled stream buffers: nothing. A server that sends a recording then sends it as it were live, not ahead of time."""


class RtmpClient(RtmpSession):
    """One connection to another server, up to the connect call's answer; subclasses go on from there."""

    ANSWER_SECONDS = 20
    """Until the other server has accepted the connect call and started the stream."""

    PING_SECONDS = 10
    SILENCE_SECONDS = 25
    """Viewers wait for a source that has frozen; connecting anew costs little."""

    MAX_STREAM_ID = 0xFFFFFFFF
    """Message stream ids have four bytes (Adobe RTMP 1.0 §5.3.1.2)."""

    # Whoever asked for the pull or push is told, and says it once; here it would be said at every attempt.
    close_level = LogLevel.debug

    def __init__(self, server: "Server", attempt: "RtmpAttempt") -> None:
        super().__init__(server, Wire(ClientHandshake()))
        self.tags = LAYERS[attempt.uri.scheme]
        self.attempt = attempt
        self.stream_id = 0
        self._age = 0
        self._started = False
        self._asked = False
        self._transactions = 0
        self._answers: dict[float, Callable[[Command], None]] = {}
        self._why = ""

    def accepted(self, info: Mapping[str, Any]) -> None:
        """The connect call went well; `info` is what the server told with it."""

    def status(self, code: str, description: str) -> None:
        """The state of our stream has changed."""

    @property
    def details(self) -> dict[str, Any]:
        return {"userAgent": self.attempt.settings.get("emulateUserAgent", ""), **super().details}

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.attempt.settings

    def opened(self) -> None:
        try:
            self.attempt.check_address(self.far[0])
        except CommandError as error:
            self.wire.take_output()
            self.close(str(error))
        else:
            self.flush()

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        if self.wire.shaken and not self._asked and not self._closing:
            self._asked = True
            self.wire.control(MessageType.WINDOW_ACKNOWLEDGEMENT_SIZE, WINDOW_SIZE.to_bytes(4, "big"))
            self.ask("connect", self._connect_answered, self.attempt.connect_properties())
            self.flush()

    def ask(self, name: str, answered: Callable[[Command], None] | None, *arguments: Any) -> None:
        """Make a remote call; `answered` gets the result or the error."""
        self._transactions += 1
        if answered is not None:
            self._answers[self._transactions] = answered
        self.send(commands.call(name, self._transactions, *arguments))

    def message(self, message: Message) -> None:
        if message.type_id in COMMAND_TYPES:
            command = commands.read_command(message)
            if command is not None:
                self._command(command)

    def close(self, reason: str) -> None:
        self._why = self._why or reason
        super().close(reason)

    def closed(self, reason: str) -> None:
        super().closed(reason)
        self.attempt.lost(self._why or f"the connection is lost: {reason}")

    def tick(self, now: float) -> None:
        self._age += 1
        super().tick(now)

    def lateness(self) -> str:
        if not self._started and self._age >= self.ANSWER_SECONDS:
            return f"no answer within {self.ANSWER_SECONDS} s"
        return super().lateness()

    def create_stream(self, created: Callable[[], None]) -> None:
        """Ask for a message stream; `created` is called when `stream_id` is known."""

        def answered(command: Command) -> None:
            self.stream_id = int(command.number(1, 0))
            if command.name == "_error" or not 0 < self.stream_id <= self.MAX_STREAM_ID:
                self.close("the other server gives no stream")
            else:
                created()

        self.ask("createStream", answered, None)

    def _begun(self) -> None:
        """The stream is accepted: tell so, once."""
        if not self._started:
            self._started = True
            self.attempt.observer.connected()

    def _command(self, command: Command) -> None:
        self.calls_received += 1
        if command.name in ("_result", "_error"):
            answered = self._answers.pop(command.transaction_id, None)
            if answered is not None:
                answered(command)
        elif command.name == "onStatus":
            info = command.argument(1)
            if isinstance(info, dict):
                self._status(info)

    def _connect_answered(self, command: Command) -> None:
        properties, info = _object(command.argument(0)), _object(command.argument(1))
        if command.name == "_error":
            self.close(self.attempt.refused(info))
        else:
            self.accepted({**info, **properties})

    def _status(self, info: Mapping[str, Any]) -> None:
        code, description = str(info.get("code", "")), str(info.get("description", ""))[:200]
        if code == "NetConnection.Connect.ReconnectRequest":
            self.close(self.attempt.redirected(str(info.get("tcUrl") or "")))
        elif info.get("level") == "error":
            self.close(f"{code}: {description}" if description else code)
        else:
            self.status(code, description)


class PullClient(RtmpClient):
    """Plays a stream of the other server and makes it a local one."""

    properties: Mapping[str, Any] = {}

    _OVER = ("NetStream.Play.UnpublishNotify", "NetStream.Play.Stop", "NetStream.Play.Complete")

    def __init__(self, server: "Server", attempt: "RtmpAttempt") -> None:
        super().__init__(server, attempt)
        self._publish: Publish | None = None

    @staticmethod
    def address(uri: Uri, settings: Mapping[str, Any]) -> tuple[str, str]:
        """The stream's name at the other server, and the application: the path's last part, and all before it."""
        document = f"{uri.document}?{uri.query}" if uri.query else uri.document
        return document.removeprefix(":").removeprefix("flv:"), uri.directory.strip("/")

    @property
    def streams(self) -> list[Any]:
        return [self._publish.stream] if self._publish is not None else []

    def accepted(self, info: Mapping[str, Any]) -> None:
        self.create_stream(self._play)

    def status(self, code: str, description: str) -> None:
        if code == "NetStream.Play.Start":
            self._begun()
        elif code in self._OVER:
            self.close(f"the other server stopped the stream ({code})")

    def message(self, message: Message) -> None:
        # Some servers, ffmpeg's among them, send media on another message stream than they have given; there is only one play.
        if message.type_id not in MEDIA_TYPES:
            super().message(message)
        elif self._publish is not None or self._begin(message):
            assert self._publish is not None
            self._publish.message(message)

    def end_streams(self, reason: str) -> None:
        publish, self._publish = self._publish, None
        if publish is not None:
            publish.close(reason)
            self.server.intake.discard(self)

    def _play(self) -> None:
        name = self.attempt.stream_name
        self.ask("FCSubscribe", None, None, name)
        self.send(commands.call("play", 0, None, name, *self._range(), stream_id=self.stream_id))
        event = UserControl.SET_BUFFER_LENGTH.to_bytes(2, "big") + self.stream_id.to_bytes(4, "big")
        self.wire.control(MessageType.USER_CONTROL, event + BUFFER_MS.to_bytes(4, "big"))

    def _range(self) -> tuple[float, float]:
        """Start and duration of the play command in milliseconds (Adobe RTMP 1.0 §7.2.2.1); a duration of -1000 is to the end."""
        settings = self.attempt.settings
        start, end = float(settings.get("rangeStart", -2)), float(settings.get("rangeEnd", -1))
        duration = end - max(start, 0)
        return start * 1000, duration * 1000 if duration > 0 else -1000.0

    def _begin(self, message: Message) -> bool:
        """Register the local stream when the first frames come; what only opens a stream, as data does, is not enough."""
        if message.type_id in (MessageType.DATA, MessageType.DATA_AMF3):
            return False
        name = self.attempt.settings["localStreamName"]
        try:
            stream = self.server.streams.register(name, type_tag="INR", source=self)
        except CommandError as error:
            self.close(str(error))
            return False
        self._begun()
        self._publish = Publish(stream)
        self.server.intake.add(self)
        self.attempt.observer.streaming(stream)
        return True


class PushClient(RtmpClient):
    """Publishes a local stream to the other server, in the order of Flash Media Live Encoder."""

    properties: Mapping[str, Any] = {"type": "nonprivate"}

    STALL_SECONDS = 20
    """In which the other server takes nothing of what waits for it."""

    def __init__(self, server: "Server", attempt: "RtmpAttempt") -> None:
        super().__init__(server, attempt)
        self.fourccs: frozenset[bytes] = frozenset()
        self._push: Push | None = None
        self._stalled = 0
        self._passed = 0

    @staticmethod
    def address(uri: Uri, settings: Mapping[str, Any]) -> tuple[str, str]:
        """The stream's name at the other server, and the application: the whole path."""
        return settings["targetStreamName"], uri.path_and_query.strip("/")

    @property
    def streams(self) -> list[Any]:
        return [self._push] if self._push is not None else []

    def accepted(self, info: Mapping[str, Any]) -> None:
        self.fourccs = fourccs_of(dict(info))
        if self.attempt.settings.get("sendChunkSizeRequest", True):
            self.wire.set_chunk_size()
        name = self.attempt.stream_name
        self.ask("releaseStream", None, None, name)
        self.ask("FCPublish", None, None, name)
        self.create_stream(self._ask_to_publish)

    def status(self, code: str, description: str) -> None:
        if code == "NetStream.Publish.Start" and self._push is None:
            self._begun()
            self.outlet()
            self.wire.acknowledge()
            self._push = Push(self, self.stream_id, self.attempt.settings["localStreamName"])
            self._push.subscribe()
            if not self._closing:
                self.attempt.observer.streaming(self._push)

    def lateness(self) -> str:
        if self._push is None:
            return super().lateness()
        # Some servers neither acknowledge nor answer pings: that they take what is sent is sign of life enough.
        outlet = self.outlet()
        passed = self.bytes_received + self.bytes_sent - outlet.unsent
        self._stalled = 0 if passed != self._passed or outlet.open else self._stalled + 1
        self._passed = passed
        return f"the other server has taken nothing for {self.STALL_SECONDS} s" if self._stalled >= self.STALL_SECONDS else ""

    def end_streams(self, reason: str) -> None:
        push, self._push = self._push, None
        if push is not None:
            push.unsubscribe()
            self.ask("FCUnpublish", None, None, self.attempt.stream_name)
            self.send(commands.call("deleteStream", 0, None, self.stream_id))

    def _ask_to_publish(self) -> None:
        kind = self.attempt.settings.get("targetStreamType", "live")
        self.send(commands.call("publish", 0, None, self.attempt.stream_name, kind, stream_id=self.stream_id))


def _object(value: Any) -> Mapping[str, Any]:
    """An argument that should be an object; an empty one when it is something else."""
    return value if isinstance(value, dict) else {}


class Push(RtmpOutbound):
    """The outbound stream of a push: it ends when its source does."""

    __slots__ = ()

    connection: PushClient

    def selection(self) -> Selection:
        session = self.connection
        settings = session.attempt.settings
        source_pts = bool(settings.get("useSourcePts")) or session.server.config.application.use_source_pts
        whole = settings.get("sendChunkSizeRequest", True)
        return Selection(
            self.stream_id,
            BOTH_KINDS,
            session.fourccs,
            multitrack=False,
            source_pts=source_pts,
            publishing=True,
            chunk_size=OUT_CHUNK_SIZE if whole else DEFAULT_CHUNK_SIZE,
        )

    def source_came(self) -> None:
        self.connection.flush()
        self.join()

    def source_left(self, reason: str) -> None:
        self.connection.close(f"the local stream ended: {reason}")
