"""One WebSocket client (RFC 6455) as a connection of the server: what every WebSocket acceptor is built on.

A subclass says which addresses it answers and what messages mean::

    class Echo(WebSocketConnection):
        tags = ("TCP", "IWS")

        def requested(self, path: str, query: Mapping[str, str]) -> None:
            if path != "echo":
                raise Refused(HTTPStatus.NOT_FOUND, f"there is no {path!r}")

        def text(self, text: str) -> None:
            self.send_text(text)

Every byte leaves through the connection's `outlet`, the answer to the handshake first. So a feed's `Cursor` may be put on the
outlet at any time from `opened_websocket` on, and control frames (ping, pong, close) go between its packets.
"""

import hmac
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_to_bytes, urlsplit

from ems.net.connection import Connection, ConnectionFactory
from ems.protocols.websocket.framing import Framing, Refused, make_framing_factory
from ems.protocols.websocket.wire import CloseCode, text_frame
from ems.streams.outlet import Outlet

if TYPE_CHECKING:
    from ems.server import Server

__all__ = ["CloseCode", "Refused", "WebSocketConnection", "WebSocketFactory"]

MAX_REASON = 123
"""Bytes of the reason in a close frame (RFC 6455 §5.5): what a control frame holds beside the code."""

MAX_SHOWN = 200
"""Characters of a reason that the log shows: it may quote what the client has sent."""

MAX_QUERY_FIELDS = 64
"""Parameters of an address. Ours have three."""


class WebSocketConnection(Connection):
    """One client. Subclasses override `requested`, `opened_websocket`, `text`, `binary`, `end_streams` and `tags`.

    Whatever a client does costs at most its own connection and one log line.
    """

    HANDSHAKE_SECONDS = 5
    """Until the request is complete."""

    MAX_HANDSHAKE = 16 << 10
    """Bytes of the request; browsers with many cookies send 8 KiB."""

    PING_SECONDS = 20
    """Silence after which the client is asked for a sign of life; browsers answer by themselves."""

    SILENCE_SECONDS = 50
    """Silence after which it is given up: two pings unanswered."""

    MAX_AFTER_CLOSE = 64 << 10
    """Bytes that may come in behind our close frame, which the client has not seen yet."""

    MAX_FRAMES = 1000
    """Frames a second, pings among them. Each costs 20 µs, however small, so a flood of tiny ones would keep others waiting."""

    MAX_UNSENT = 1 << 20
    """Bytes of messages that may wait for a client that does not read; media waits in its feed."""

    SLICE = 4 << 10
    """Bytes handed to Autobahn at once, which copies what is left of them with each frame: tiny frames must not cost more."""

    tags: tuple[str, ...] = ("TCP", "IWS")

    __slots__ = (
        "_after_close",
        "_closing",
        "_finished",
        "_frames",
        "_framing",
        "_heard",
        "_outlet",
        "_seconds",
        "_silent",
        "server",
    )

    def __init__(self, server: "Server") -> None:
        super().__init__(server.connections)
        self.server = server
        self._framing: Framing | None = None
        self._outlet: Outlet | None = None
        self._closing = self._finished = False
        self._after_close = self._frames = 0
        self._heard = self._silent = self._seconds = 0

    def requested(self, path: str, query: Mapping[str, str]) -> None:
        """Somebody asks for this address: `path` without its leading slash, both percent-decoded; a bare ``?key`` is empty.

        Returns to accept. Raises `Refused` with the HTTP status to answer, which is 404 for a name that is not known.
        """

    def opened_websocket(self) -> None:
        """The handshake is done; messages may be sent."""

    def text(self, text: str) -> None:
        """A text message. Raises `RemoteProtocolError` for one that ends the connection (1007)."""

    def binary(self, data: bytes) -> None:
        """A binary message. Raises `RemoteProtocolError` for one that ends the connection (1007)."""

    def end_streams(self, reason: str) -> None:
        """The connection ends, for this reason: send nothing more. Called once, before the close frame is sent."""

    @property
    def closing(self) -> bool:
        """True when nothing more may be sent."""
        return self._closing

    def outlet(self) -> Outlet:
        """The way out that cursors share."""
        if self._outlet is None:
            fan_out = self.server.streams.fan_out
            self._outlet = Outlet(self, fan_out, fan_out.buffered)
        return self._outlet

    def send_text(self, text: str) -> None:
        """Send a text message."""
        self.send_frame(text_frame(text))

    def send_frame(self, frame: bytes) -> None:
        """Send a frame that is ready (`ems.protocols.websocket.wire`): the same bytes may go to many."""
        if not self._closing:
            self.write(frame)

    def close_websocket(self, code: int, reason: str = "") -> None:
        """End the connection in good order, with a close frame; its reason is cut to what fits there."""
        framing = self._framing
        if self._closing or framing is None:
            return
        if framing.opening:
            self.ending(reason)
            self.finish()
        else:
            framing.sendCloseFrame(code, reason.encode()[:MAX_REASON].decode(errors="ignore").encode())

    def close(self, reason: str) -> None:
        self.close_websocket(CloseCode.GOING_AWAY, reason)

    def opened(self) -> None:
        factory: Any = self.factory
        self._framing = factory.make_framing(self)

    def dataReceived(self, data: bytes) -> None:
        framing = self._framing
        if framing is None or self._finished:
            return
        self.bytes_received += len(data)
        if self._closing:
            self._after_close += len(data)
            if self._after_close > self.MAX_AFTER_CLOSE:
                self.finish()
                return
        for start in range(0, len(data), self.SLICE):
            framing.dataReceived(data[start : start + self.SLICE])
            if self._finished:
                return
        if framing.opening and self.bytes_received > self.MAX_HANDSHAKE:
            framing.failHandshake(f"more than {self.MAX_HANDSHAKE} bytes", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def closed(self, reason: str) -> None:
        if not self._closing:
            self._closing = True
            self.end_streams("the connection is lost")
        self._finished = True
        self._framing = self._outlet = None

    def tick(self, now: float) -> None:
        self._seconds += 1
        self._frames = 0
        framing = self._framing
        if framing is not None and not framing.opening:
            self._listen(framing)
        elif self._seconds >= self.HANDSHAKE_SECONDS:
            self.close("no handshake")

    def write(self, data: bytes) -> None:
        """Send the bytes of a frame, or of the answer to the handshake."""
        if self._finished or not self.transport:
            return
        outlet = self.outlet()
        outlet.write(data)
        if outlet.unsent > self.MAX_UNSENT:
            self.ending("it does not read what it is sent")
            self.finish()

    def ending(self, reason: str) -> None:
        """The end has begun: log it and let go of the streams. `Framing` calls this before anything is sent for the last time."""
        if self._closing:
            return
        self._closing = True
        self.end_streams(reason)
        self.end_begins("".join(character if character.isprintable() else "?" for character in reason[:MAX_SHOWN]))

    def finish(self) -> None:
        """Close the transport when what is left has been sent; a peer that takes too long is cut off."""
        self.ending("the connection is done")
        self._finished = True
        outlet, self._outlet = self._outlet, None
        if outlet is not None:
            outlet.close()
        if self.transport:
            self.transport.loseConnection()

    def takes_frame(self) -> bool:
        """Count a frame; False when there are too many of them."""
        self._frames += 1
        return self._frames <= self.MAX_FRAMES

    def requested_uri(self, uri: str) -> None:
        """Split the target of the request, check its token, and ask `requested`. Raises `Refused`."""
        try:
            parts = urlsplit(uri.encode("latin-1").decode())
            path = unquote_to_bytes(parts.path).decode()
            query = dict(parse_qsl(parts.query, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS, errors="strict"))
        except ValueError:
            raise Refused(HTTPStatus.BAD_REQUEST, f"not an address: {uri}") from None
        self._check_token(query.pop("token", ""))
        self.requested(path.removeprefix("/"), query)

    def _check_token(self, token: str) -> None:
        authentication = self.server.config.application.authentication
        settings = authentication.ws if authentication is not None else None
        if settings is not None and settings.token and not hmac.compare_digest(token.encode(), settings.token.encode()):
            raise Refused(HTTPStatus.FORBIDDEN, "a wrong token" if token else "no token")

    def _listen(self, framing: Framing) -> None:
        """Ask a silent client for a sign of life, and give it up when there is none."""
        self._silent = 0 if self._heard != self.bytes_received else self._silent + 1
        self._heard = self.bytes_received
        if self._silent >= self.SILENCE_SECONDS:
            self.close(f"not a byte for {self.SILENCE_SECONDS} s")
        elif self._silent and self._silent % self.PING_SECONDS == 0:
            framing.sendPing()


class WebSocketFactory(ConnectionFactory):
    """The connections of one acceptor share what their framing has in common."""

    def __init__(self, server: "Server", make: Callable[[], WebSocketConnection]) -> None:
        super().__init__(make)
        self.make_framing = make_framing_factory(server)
