"""Fragmented MP4 over plain HTTP: ``GET /<stream>`` is answered with a video that has no end (acceptor ``inboundHttpFmp4``).

For players that take an address and nothing else: ``<video src>``, ffplay, VLC. The body is that of WebSocket players, in chunks
(RFC 9112 §7.1), or for HTTP/1.0 up to the end of the connection. One request a connection; a stream that is not there is 404.
"""

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

from zope.interface import implementer

from ems.errors import CommandError
from ems.interfaces import IAcceptorProtocol
from ems.net.connection import Connection, ConnectionFactory
from ems.protocols.websocket.fmp4 import real_name
from ems.protocols.websocket.fmp4_feed import ChunkFeed, Fmp4Feed, PlainFeed, left_out, playable
from ems.protocols.websocket.fmp4_viewer import Fmp4Viewer
from ems.streams.outlet import Outlet

if TYPE_CHECKING:
    from ems.config import AcceptorConfig
    from ems.server import Server

MAX_SHOWN = 100
"""Characters of a reason that the log repeats: it may quote what the client has sent."""


class _RefusedRequest(Exception):
    """A request that is answered with `status` and nothing else."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class HttpFmp4Connection(Connection):
    """One request and its endless answer."""

    __slots__ = ("_closing", "_outlet", "_request", "_seconds", "_stuck", "server", "tags", "viewer")

    MAX_REQUEST = 16 << 10
    """Bytes of the request; browsers with many cookies send 8 KiB."""

    REQUEST_SECONDS = 5
    """Until the request is complete."""

    STUCK_SECONDS = 60
    """For which a player may read nothing: one that is paused for longer asks again."""

    def __init__(self, server: "Server", tags: tuple[str, ...]) -> None:
        super().__init__(server.connections)
        self.server = server
        self.tags = tags
        self.viewer: Fmp4Viewer | None = None
        self._request = b""
        self._outlet: Outlet | None = None
        self._closing = False
        self._seconds = self._stuck = 0

    @property
    def streams(self) -> list[Any]:
        return [self.viewer] if self.viewer is not None else []

    def dataReceived(self, data: bytes) -> None:
        self.bytes_received += len(data)
        if self._closing or self.viewer is not None:
            # A second request on this connection would wait for ever: it is not read.
            return
        self._request += data
        head, end, _ = self._request.partition(b"\r\n\r\n")
        try:
            if len(self._request) > self.MAX_REQUEST:
                raise _RefusedRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"more than {self.MAX_REQUEST} bytes")
            if end:
                self._request = b""
                self._answer(*_parse_request_line(head))
        except _RefusedRequest as refusal:
            self._refuse(refusal)

    def outlet(self) -> Outlet:
        """The way out, from the head of the answer on."""
        if self._outlet is None:
            fan_out = self.server.streams.fan_out
            self._outlet = Outlet(self, fan_out, fan_out.buffered)
        return self._outlet

    def stream_came(self) -> None:
        """The viewer's stream is there."""

    def stream_ended(self, reason: str) -> None:
        """The stream is over: end the body."""
        self.close(reason)

    def stream_unfit(self, reason: str) -> None:
        """The stream has nothing for this viewer: end the body."""
        self.close(reason)

    def close(self, reason: str) -> None:
        if self._closing:
            return
        chunked = self._leave()
        self._closing = True
        outlet, self._outlet = self._outlet, None
        if outlet is not None:
            if chunked:
                outlet.write(ChunkFeed.LAST)
            outlet.close()
        super().close("".join(character if character.isprintable() else "?" for character in reason[:MAX_SHOWN]))

    def closed(self, reason: str) -> None:
        self._leave()
        self._closing = True
        self._outlet = None

    def tick(self, now: float) -> None:
        self._seconds += 1
        if self.viewer is not None:
            self.viewer.tick()
            self._stuck = 0 if self.outlet().open else self._stuck + 1
            if self._stuck >= self.STUCK_SECONDS:
                self.close(f"it has read nothing for {self.STUCK_SECONDS} s")
        elif self._seconds >= self.REQUEST_SECONDS:
            self.close("no request")

    def _answer(self, method: str, name: str, version: str) -> None:
        """Find the stream and send it; HEAD gets the head of the answer."""
        if method not in ("GET", "HEAD"):
            raise _RefusedRequest(HTTPStatus.METHOD_NOT_ALLOWED, f"{method} is not understood")
        try:
            name = real_name(self.server, name)
        except CommandError as error:
            raise _RefusedRequest(HTTPStatus.NOT_FOUND, str(error)) from None
        stream = self.server.streams.by_name(name)
        if stream is None:
            raise _RefusedRequest(HTTPStatus.NOT_FOUND, f"there is no stream {name!r}")
        if stream.tracks and not playable(stream.tracks):
            raise _RefusedRequest(HTTPStatus.NOT_ACCEPTABLE, f"MP4 cannot carry it: {left_out(stream.tracks, ())}")
        chunked = version != "HTTP/1.0"
        fields = ["Content-Type: video/mp4", "Cache-Control: no-cache, no-store"]
        self.outlet().write(self._head(HTTPStatus.OK, *fields, *(["Transfer-Encoding: chunked"] if chunked else [])))
        if method == "HEAD":
            self.close("HEAD is answered")
            return
        feed: type[Fmp4Feed] = ChunkFeed if chunked else PlainFeed
        self.viewer = Fmp4Viewer(self, name, feed)
        self.viewer.subscribe()

    def _refuse(self, refusal: _RefusedRequest) -> None:
        fields = ["Content-Length: 0"]
        if refusal.status == HTTPStatus.METHOD_NOT_ALLOWED:
            fields.append("Allow: GET, HEAD")
        self.outlet().write(self._head(refusal.status, *fields))
        self.close(f"refused with {refusal.status.value}: {refusal}")

    def _head(self, status: HTTPStatus, *fields: str) -> bytes:
        common = (f"Server: {self.server.version.user_agent}", "Access-Control-Allow-Origin: *", "Connection: close")
        lines = (f"HTTP/1.1 {status.value} {status.phrase}", *common, *fields, "", "")
        return "\r\n".join(lines).encode("ascii")

    def _leave(self) -> bool:
        """Let go of the stream; True when the body that it was sent in has chunks."""
        viewer, self.viewer = self.viewer, None
        if viewer is None:
            return False
        viewer.unsubscribe()
        return viewer.form is ChunkFeed


@implementer(IAcceptorProtocol)
class InboundHttpFmp4:
    """The acceptor protocol ``inboundHttpFmp4``; with ``sslKey`` and ``sslCert`` it speaks HTTPS."""

    protocol = "inboundHttpFmp4"
    tags = ("TCP", "IHTT2", "IH4F")
    tls_tags = ("TCP", "ISSL", "IHTT2", "IH4F")

    def make_factory(self, server: "Server", config: "AcceptorConfig") -> ConnectionFactory:
        """The factory of one acceptor (`IAcceptorProtocol`)."""
        tags = self.tls_tags if config.tls else self.tags
        return ConnectionFactory(lambda: HttpFmp4Connection(server, tags))


def _parse_request_line(head: bytes) -> tuple[str, str, str]:
    """Method, name of the stream and version of a request (RFC 9112 §3). Raises `_RefusedRequest`."""
    line = head.partition(b"\r\n")[0]
    try:
        method, target, version = line.decode("ascii").split(" ")
        name = unquote_to_bytes(urlsplit(target).path).decode().removeprefix("/")
    except ValueError:
        raise _RefusedRequest(HTTPStatus.BAD_REQUEST, f"not a request: {line!r}") from None
    if not version.startswith("HTTP/1."):
        raise _RefusedRequest(HTTPStatus.BAD_REQUEST, f"not a request: {line!r}")
    return method, name, version
