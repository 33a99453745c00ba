"""RTMP as a client: pulling streams from other servers and pushing local ones to them.

An `RtmpAttempt` is one pull or push from the first connection to the last; it follows redirects and proves who it is, which
both need a new connection. `PullClient` and `PushClient` are the conversation on one connection. `RtmpPuller` and `RtmpPusher`
are what jobs use.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from ems.errors import CommandError
from ems.formats.enhanced import CODEC
from ems.interfaces import IAttempt, IAttemptObserver, IPuller, IPusher
from ems.protocols.rtmp import commands
from ems.protocols.rtmp.chunks import DEFAULT_CHUNK_SIZE, Message
from ems.protocols.rtmp.commands import Command
from ems.protocols.rtmp.credentials import next_query
from ems.protocols.rtmp.dial import dial
from ems.protocols.rtmp.feed import Selection
from ems.protocols.rtmp.handshake import ClientHandshake
from ems.protocols.rtmp.mapping import fourccs_of
from ems.protocols.rtmp.outbound import BOTH_KINDS, RtmpOutbound
from ems.protocols.rtmp.publish import Publish
from ems.protocols.rtmp.session import COMMAND_TYPES, MEDIA_TYPES, RtmpSession
from ems.protocols.rtmp.wire import OUT_CHUNK_SIZE, WINDOW_SIZE, MessageType, UserControl, Wire
from ems.uri import Uri

if TYPE_CHECKING:
    from ems.server import Server

SCHEMES = ("rtmp", "rtmps", "rtmpt")

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

BUFFER_MS = 3000


class RtmpClient(RtmpSession):
    """One connection to another server, up to the connect call's answer; subclasses go on from there."""

    ANSWER_SECONDS = 20
    """Until the other server has accepted the connect call and started the stream."""

    tags = ("TCP", "OR")

    def __init__(self, server: "Server", attempt: "RtmpAttempt") -> None:
        super().__init__(server, Wire(ClientHandshake()))
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

    def opened(self) -> None:
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
            if command.name == "_error" or self.stream_id <= 0:
                self.close("the other server gives no stream")
            else:
                created()

        self.ask("createStream", answered, None)

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
        info = command.argument(1)
        info = info if isinstance(info, dict) else {}
        if command.name == "_error":
            self.close(self.attempt.refused(info))
        else:
            self.accepted({**info, **(command.argument(0) or {})})

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
            self._started = True
            self.attempt.observer.connected()
        elif code in self._OVER:
            self.close(f"the other server stopped the stream ({code})")

    def message(self, message: Message) -> None:
        if message.type_id not in MEDIA_TYPES:
            super().message(message)
        elif message.stream_id == self.stream_id and (self._publish is not None or self._begin(message)):
            assert self._publish is not None
            self._publish.message(message)

    def end_streams(self, reason: str) -> None:
        publish, self._publish = self._publish, None
        if publish is not None:
            publish.close(reason)

    def _play(self) -> None:
        settings = self.attempt.settings
        name = self.attempt.stream_name
        start, end = float(settings.get("rangeStart", -2)), float(settings.get("rangeEnd", -1))
        self.ask("FCSubscribe", None, None, name)
        self.send(commands.call("play", 0, None, name, start * 1000, end * 1000, stream_id=self.stream_id))
        event = UserControl.SET_BUFFER_LENGTH.to_bytes(2, "big") + self.stream_id.to_bytes(4, "big")
        self.wire.control(MessageType.USER_CONTROL, event + BUFFER_MS.to_bytes(4, "big"))

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
        self._started = True
        self._publish = Publish(stream)
        self.attempt.observer.streaming(stream)
        return True


class PushClient(RtmpClient):
    """Publishes a local stream to the other server, in the order of Flash Media Live Encoder."""

    properties: Mapping[str, Any] = {"type": "nonprivate"}

    def __init__(self, server: "Server", attempt: "RtmpAttempt") -> None:
        super().__init__(server, attempt)
        self.fourccs: frozenset[bytes] = frozenset()
        self._push: Push | None = None

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
            self._started = True
            self.attempt.observer.connected()
            self.outlet()
            self.wire.acknowledge()
            self._push = Push(self, self.stream_id, self.attempt.settings["localStreamName"])
            self._push.subscribe()
            if not self._closing:
                self.attempt.observer.streaming(self._push)

    def end_streams(self, reason: str) -> None:
        push, self._push = self._push, None
        if push is not None:
            push.unsubscribe()
            self.ask("FCUnpublish", None, None, self.attempt.stream_name)
            self.send(commands.call("deleteStream", 0, None, self.stream_id))

    def _ask_to_publish(self) -> None:
        kind = self.attempt.settings.get("targetStreamType", "live")
        self.send(commands.call("publish", 0, None, self.attempt.stream_name, kind, stream_id=self.stream_id))


class Push(RtmpOutbound):
    """The outbound stream of a push: it ends when its source does."""

    __slots__ = ()

    def selection(self) -> Selection:
        session = self._session
        assert isinstance(session, PushClient)
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
        self._session.flush()
        self.join()

    def source_left(self, reason: str) -> None:
        self._session.close(f"the local stream ended: {reason}")


@implementer(IAttempt)
class RtmpAttempt:
    """One pull or push: its connections one after the other, as redirects and authentication ask for them."""

    MAX_CONNECTIONS = 6
    """Of one attempt: three for authentication, and as many redirects as make sense."""

    def __init__(
        self,
        server: "Server",
        uri: Uri,
        settings: Mapping[str, Any],
        observer: IAttemptObserver,
        make_client: "type[PullClient | PushClient]",
    ) -> None:
        self.server = server
        self.settings = settings
        self.observer = observer
        self.stream_name, self._app = make_client.address(uri, settings)
        self._uri = uri
        self._query = ""
        self._make_client = make_client
        self._client: RtmpClient | None = None
        self._dialing: Deferred[Any] | None = None
        self._connections = 0
        self._again = False
        self._ended = False
        self._dial()

    def stop(self, reason: str) -> None:
        """Give up in good order."""
        self._again = False
        if self._client is not None:
            self._client.close(reason)
        elif self._dialing is not None:
            self._dialing.cancel()
            self._end(reason)

    def connect_properties(self) -> dict[str, Any]:
        """The command object of the connect call."""
        settings = self.settings
        query = f"?{self._query}" if self._query else ""
        uri = self._uri
        host = f"[{uri.host}]" if ":" in uri.host else uri.host
        base = f"{uri.scheme}://{host}:{uri.port}/{self._app}"
        properties = {
            "app": self._app + query,
            "flashVer": settings.get("emulateUserAgent", ""),
            "swfUrl": (settings.get("swfUrl") or base) + query,
            "tcUrl": (settings.get("tcUrl") or base) + query,
            **CAPABILITIES,
        }
        if settings.get("pageUrl"):
            properties["pageUrl"] = settings["pageUrl"]
        return {**properties, **self._make_client.properties}

    def refused(self, info: Mapping[str, Any]) -> str:
        """The connect call was refused: plan what to do next, and say why this connection closes."""
        description = str(info.get("description", ""))[:500]
        details = info.get("ex")
        if isinstance(details, dict) and details.get("code") == 302:
            return self.redirected(str(details.get("redirect") or ""))
        query = next_query(description, self._query, self._app, self._uri.user_name, self._uri.password)
        if query is None:
            return f"refused: {description or info.get('code', '')}"
        self._query = query
        self._again = True
        return "the other server asks who we are"

    def redirected(self, text: str) -> str:
        """The other server names another address, or wants us to connect anew: plan that, and say so."""
        try:
            uri = Uri.parse(text) if text else self._uri
        except CommandError as error:
            return f"redirected to nowhere: {error}"
        if uri.scheme not in SCHEMES:
            return f"redirected to {uri.without_credentials}, which is not RTMP"
        if text:
            self._uri = uri
            self._app = uri.path_and_query.strip("/")
        self._again = True
        return f"redirected to {uri.without_credentials}"

    def lost(self, reason: str) -> None:
        """A connection is gone: the next one is made, or the attempt is over."""
        self._client = None
        if self._again and self._connections < self.MAX_CONNECTIONS:
            self._again = False
            self._dial()
        else:
            self._end(reason)

    def _dial(self) -> None:
        self._connections += 1
        client = self._make_client(self.server, self)
        self._dialing = dial(self.server, self._uri, client, self.settings)
        self._dialing.addCallbacks(lambda _: self._connected(client), lambda failure: self._failed(failure.getErrorMessage()))

    def _connected(self, client: RtmpClient) -> None:
        self._dialing = None
        self._client = client

    def _failed(self, reason: str) -> None:
        self._dialing = None
        self._end(f"cannot connect to {self._uri.host}:{self._uri.port}: {reason}")

    def _end(self, reason: str) -> None:
        if not self._ended:
            self._ended = True
            self.observer.ended(reason)


@implementer(IPuller)
class RtmpPuller:
    """Pulls by RTMP, plain, over TLS and through HTTP."""

    schemes = SCHEMES

    def pull(self, server: "Server", uri: Uri, settings: Mapping[str, Any], observer: IAttemptObserver) -> IAttempt:
        return RtmpAttempt(server, uri, settings, observer, PullClient)


@implementer(IPusher)
class RtmpPusher:
    """Pushes by RTMP, plain, over TLS and through HTTP."""

    schemes = SCHEMES

    def push(self, server: "Server", uri: Uri, settings: Mapping[str, Any], observer: IAttemptObserver) -> IAttempt:
        return RtmpAttempt(server, uri, settings, observer, PushClient)
