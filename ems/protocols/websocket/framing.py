"""The server's side of RFC 6455 by Autobahn: the opening handshake and the frames of one connection.

Autobahn is used as a machine that is fed with bytes: its transport is the `ems.protocols.websocket.connection` around it, which
has the socket, the outlet, the time-outs and the log. So none of Autobahn's timers runs, and what it would log is dropped: the
connection says in one line why it ended. No extension is agreed to, compression among them: media does not compress, and a
compressed bomb cannot be sent to us.
"""

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny
from twisted.internet.interfaces import IAddress

from ems.errors import RemoteProtocolError
from ems.protocols.websocket.wire import CloseCode

if TYPE_CHECKING:
    from autobahn.websocket.types import ConnectionRequest

    from ems.protocols.websocket.connection import WebSocketConnection
    from ems.server import Server

ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}
"""Pages of any site may connect: players stand on other sites than their server."""

_OF_THE_HANDSHAKE = (
    "_transport_details",
    "_wskey",
    "http_headers",
    "http_request_data",
    "http_request_host",
    "http_request_params",
    "http_request_path",
    "http_request_uri",
    "http_response_data",
    "http_status_line",
    "websocket_extensions",
    "websocket_extensions_in_use",
    "websocket_origin",
    "websocket_protocols",
)
"""What Autobahn keeps of the request and nobody reads any more: a third of what a connection costs."""

_NOTHING_QUEUED: Any = ()
"""Autobahn's queue for sends in small pieces, which are never asked for; a deque for each connection would be 0.7 KiB."""


class Refused(Exception):
    """A handshake that is not accepted: `status` is the HTTP status of the answer, the text is for the log."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _Silence:
    """A logger that says nothing."""

    def _nothing(self, *args: object, **values: object) -> None:
        pass

    trace = debug = info = warn = error = critical = failure = _nothing


class _Way:
    """What Autobahn takes for its transport: bytes go out by the connection, and so does the end."""

    __slots__ = ("_connection",)

    def __init__(self, connection: "WebSocketConnection") -> None:
        self._connection = connection

    def write(self, data: bytes) -> None:
        self._connection.write(data)

    def loseConnection(self) -> None:
        self._connection.finish()

    def abortConnection(self) -> None:
        self._connection.finish()

    def unregisterProducer(self) -> None:
        """The outlet is the producer, and the connection's own business."""

    def getPeer(self) -> IAddress:
        peer: IAddress = _transport(self._connection).getPeer()
        return peer

    def getHost(self) -> IAddress:
        host: IAddress = _transport(self._connection).getHost()
        return host


class Framing(WebSocketServerProtocol):
    """One connection as Autobahn sees it. Its options are class attributes, so that no connection carries copies of them."""

    MAX_FRAME = 64 << 10
    """Bytes of one frame: as much as a metadata object may have."""

    MAX_MESSAGE = 256 << 10
    """Bytes of one message in all its frames."""

    CONFIG_ATTRS = []  # noqa: RUF012
    logOctets = logFrames = trackTimings = False
    versions = (13,)
    webStatus = serveFlashSocketPolicy = False
    requireMaskedClientFrames = applyMask = utf8validateIncoming = True
    maskServerFrames = failByDrop = echoCloseCodeReason = False
    maxFramePayloadSize = MAX_FRAME
    maxMessagePayloadSize = MAX_MESSAGE
    autoFragmentSize = maxConnections = trustXForwardedFor = 0
    openHandshakeTimeout = closeHandshakeTimeout = autoPingInterval = autoPingTimeout = 0
    autoPingRestartOnAnyTraffic = False
    allowedOriginsPatterns = (re.compile(""),)
    tcpNoDelay = True

    log = _Silence()

    def __init__(self, factory: WebSocketServerFactory, connection: "WebSocketConnection") -> None:
        super().__init__()
        self.factory = factory
        self._connection = connection
        self.makeConnection(_Way(connection))

    @staticmethod
    def perMessageCompressionAccept(offers: object) -> None:
        """No compression."""

    @property
    def opening(self) -> bool:
        """True until the handshake has been answered."""
        return bool(self.state == self.STATE_CONNECTING)

    def onConnect(self, request: "ConnectionRequest") -> None:
        try:
            self._connection.requested_uri(self.http_request_uri)
        except Refused as refusal:
            raise ConnectionDeny(refusal.status.value, str(refusal)) from None
        except Exception:
            self._connection.log.failure("a WebSocket request could not be answered")
            raise ConnectionDeny(HTTPStatus.INTERNAL_SERVER_ERROR.value, "internal error") from None

    def onOpen(self) -> None:
        for name in _OF_THE_HANDSHAKE:
            self.__dict__.pop(name, None)
        self.send_queue = _NOTHING_QUEUED
        self._connection.opened_websocket()

    def onFrameBegin(self) -> None:
        if not self._connection.takes_frame():
            self.failedByMe = True
            self.sendCloseFrame(CloseCode.POLICY_VIOLATION, b"too many frames")
            self._connection.finish()
        super().onFrameBegin()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self.state != self.STATE_OPEN:
            return
        try:
            if isBinary:
                self._connection.binary(payload)
            else:
                self._connection.text(payload.decode())
        except RemoteProtocolError as error:
            self._connection.close_websocket(CloseCode.INVALID_PAYLOAD, str(error))

    def sendCloseFrame(self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False) -> None:
        """Send a close frame, once; the connection learns of it first, as nothing may follow it (RFC 6455 §5.5.1)."""
        if self.state == self.STATE_OPEN:
            if isReply:
                code_of_peer = self.remoteCloseCode or "no code"
                self._connection.ending(f"the client has closed it ({code_of_peer} {self.remoteCloseReason or ''}".rstrip() + ")")
            else:
                self._connection.ending((reasonUtf8 or b"").decode("utf-8", "replace"))
        super().sendCloseFrame(code, reasonUtf8, isReply)

    def sendHttpErrorResponse(self, code: int, reason: str, responseHeaders: "list[tuple[str, str]] | None" = None) -> None:
        """Refuse the handshake, without a body. The reason is for the log: it quotes what the client has sent."""
        self._connection.ending(f"refused with {code}: {reason}")
        headers: dict[str, object] = {**ANY_ORIGIN, **dict(responseHeaders or ())}
        if code == HTTPStatus.UPGRADE_REQUIRED:
            headers |= {"Upgrade": "websocket", "Sec-WebSocket-Version": 13}
        headers |= {"Connection": "close", "Content-Length": 0}
        lines = [f"HTTP/1.1 {code} {HTTPStatus(code).phrase}", *(f"{name}: {value}" for name, value in headers.items())]
        self.sendData("\r\n".join((*lines, "", "")).encode("ascii"))


def make_framing_factory(server: "Server") -> Callable[["WebSocketConnection"], Framing]:
    """What makes the `Framing` of each connection of one acceptor."""
    headers: Mapping[str, str] = ANY_ORIGIN
    shared = WebSocketServerFactory(server=server.version.user_agent, headers=headers, reactor=server.clock)
    shared.noisy = False
    return lambda connection: Framing(shared, connection)


def _transport(connection: "WebSocketConnection") -> Any:
    return connection.transport
