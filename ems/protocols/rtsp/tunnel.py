"""RTSP through HTTP, as QuickTime began it: for networks that let nothing else out.

::

    GET  /cam HTTP/1.0, x-sessioncookie: c, Accept: application/x-rtsp-tunnelled     ◄── everything from us, as it is
    POST /cam HTTP/1.0, x-sessioncookie: c, Content-Type: the same                   ──► everything from the client, in base64

The cookie joins the two; both come to the RTSP port. The connection of the GET request is the RTSP connection; that of the POST
request only delivers, and may be closed and opened anew. Base64 may be cut anywhere, and each request may end with padding.
"""

from binascii import Error as NoBase64
from binascii import a2b_base64
from typing import TYPE_CHECKING

from ems.errors import RemoteProtocolError

if TYPE_CHECKING:
    from ems.protocols.rtsp.server import RtspConnection

CONTENT_TYPE = "application/x-rtsp-tunnelled"

COOKIE = "x-sessioncookie"

MAX_COOKIE = 128
"""Characters; clients send 22."""

MAX_TUNNELS = 1000
"""GET connections of one acceptor that wait for, or have, their POST."""

_SPACES = b" \t\r\n"

GET_ANSWER = (
    b"HTTP/1.0 200 OK\r\n"
    b"Server: EMS\r\n"
    b"Connection: close\r\n"
    b"Cache-Control: no-store\r\n"
    b"Pragma: no-cache\r\n"
    b"Content-Type: application/x-rtsp-tunnelled\r\n\r\n"
)


def refusal(status: str) -> bytes:
    """The answer to an HTTP request that opens no tunnel."""
    return f"HTTP/1.0 {status}\r\nServer: EMS\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()


class Base64Reader:
    """Decodes base64 that comes in pieces, with padding and line breaks anywhere between its groups of four characters."""

    def __init__(self) -> None:
        self._pending = b""

    def receive(self, data: bytes) -> bytes:
        """The bytes that are complete with this piece. Raises `RemoteProtocolError` for what is no base64."""
        text = self._pending + data.translate(None, _SPACES)
        whole = len(text) & ~3
        self._pending = text[whole:]
        decoded = []
        start = 0
        while start < whole:
            padding = text.find(b"=", start, whole)
            # A group with padding in it ends what a2b_base64 reads in one call.
            end = whole if padding < 0 else (padding & ~3) + 4
            try:
                decoded.append(a2b_base64(text[start:end], strict_mode=True))
            except NoBase64:
                raise RemoteProtocolError("the tunnel brings something that is no base64") from None
            start = end
        return b"".join(decoded)


class Tunnels:
    """The tunnels of one acceptor by their cookies."""

    def __init__(self) -> None:
        self._by_cookie: dict[str, RtspConnection] = {}

    def open(self, cookie: str, connection: "RtspConnection") -> bool:
        """The connection of a GET request waits for its POST. False when the cookie is none, or taken, or there are too many."""
        if not 0 < len(cookie) <= MAX_COOKIE or cookie in self._by_cookie or len(self._by_cookie) >= MAX_TUNNELS:
            return False
        self._by_cookie[cookie] = connection
        return True

    def find(self, cookie: str, host: str) -> "RtspConnection | None":
        """The connection that a POST request from this address belongs to."""
        found = self._by_cookie.get(cookie)
        return found if found is not None and found.far[0] == host else None

    def has(self, connection: "RtspConnection") -> bool:
        """Whether it is the GET leg of a tunnel already."""
        return connection in self._by_cookie.values()

    def close(self, connection: "RtspConnection") -> None:
        """The connection is gone."""
        self._by_cookie = {cookie: other for cookie, other in self._by_cookie.items() if other is not connection}
