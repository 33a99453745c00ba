"""RTSP messages and interleaved frames, out of bytes and back (RFC 2326 §4–§7, §10.12), for servers and clients alike.

Either side sends requests, responses, and between them binary frames that begin with a dollar sign::

    PLAY rtsp://example.com/cam RTSP/1.0 CRLF      RTSP/1.0 200 OK CRLF      "$" channel:8 length:16
    CSeq: 4 CRLF                                   CSeq: 4 CRLF              length bytes
    Session: 5d2a CRLF CRLF                        Session: 5d2a CRLF CRLF

`Wire` is given bytes as they come, cut anywhere, and gives these as values. A line may end with LF alone. Messages of HTTP, by
which a tunnel begins, are read as well; what follows them is the tunnel's business, so they have no body here.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from struct import Struct
from typing import NamedTuple

from ems.errors import LocalProtocolError, RemoteProtocolError

VERSION = "RTSP/1.0"

MAX_LINE = 2048
"""Bytes of one line: the longest are addresses and credentials."""

MAX_HEADERS = 255
"""Header lines of one message; clients send ten."""

MAX_HEAD = 64 << 10
"""Bytes of all of them together."""

MAX_BODY = 128 << 10
"""Bytes of a body: the SDP of a presentation with all its parameter sets has some KiB."""

MAX_FRAME = 65_535
"""Bytes of an interleaved frame: its length has 16 bits."""

_FRAME = Struct(">BBH")
_DOLLAR = 0x24
_ESCAPED = {code: f"%{code:02X}" for code in (*range(33), 127)}
_CONTROLS = re.compile(rb"[\0-\x08\x0a-\x1f\x7f]")

REASONS = {
    **{status.value: status.phrase for status in HTTPStatus},
    250: "Low on Storage Space",
    451: "Parameter Not Understood",
    452: "Conference Not Found",
    453: "Not Enough Bandwidth",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    456: "Header Field Not Valid for Resource",
    457: "Invalid Range",
    458: "Parameter Is Read-Only",
    459: "Aggregate Operation Not Allowed",
    460: "Only Aggregate Operation Allowed",
    461: "Unsupported Transport",
    462: "Destination Unreachable",
    505: "RTSP Version Not Supported",
    551: "Option not supported",
}
"""The reason phrase of each status code (RFC 2326 §7.1.1)."""


class Headers:
    """The header lines of a message: names in any case, in the order in which they came, some perhaps more than once."""

    __slots__ = ("lines",)

    def __init__(self, lines: Iterable[tuple[str, str]] = ()) -> None:
        self.lines = tuple(lines)

    def get(self, name: str, default: str = "") -> str:
        """The value of the first line of that name."""
        wanted = name.lower()
        return next((value for key, value in self.lines if key.lower() == wanted), default)

    def all(self, name: str) -> list[str]:
        """The values of all lines of that name."""
        wanted = name.lower()
        return [value for key, value in self.lines if key.lower() == wanted]

    def __contains__(self, name: str) -> bool:
        wanted = name.lower()
        return any(key.lower() == wanted for key, _ in self.lines)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self.lines == other.lines

    def __hash__(self) -> int:
        return hash(self.lines)

    def __repr__(self) -> str:
        return f"Headers({list(self.lines)!r})"


class Request(NamedTuple):
    """A request; `version` tells RTSP from HTTP."""

    method: str
    uri: str
    headers: Headers = Headers()
    body: bytes = b""
    version: str = VERSION


class Response(NamedTuple):
    """A response."""

    status: int
    reason: str
    headers: Headers = Headers()
    body: bytes = b""
    version: str = VERSION


class Interleaved(NamedTuple):
    """A packet of a medium inside the connection; `channel` (0–255) is what SETUP has agreed on."""

    channel: int
    data: bytes


Event = Request | Response | Interleaved


class Wire:
    """One direction of a connection, bytes in and events out. After an error nothing more can be read."""

    def __init__(self) -> None:
        self._buffer = b""
        self._position = 0
        self._lines: list[str] = []
        self._size = 0
        self._waiting: Request | Response | None = None
        self._body_length = 0

    def receive(self, data: bytes) -> Iterator[Event]:
        """What these bytes complete. Ends behind a message of HTTP: `rest` has what follows it.

        Raises `RemoteProtocolError` for what is no RTSP or passes a limit; what came before has been given by then.
        """
        self._buffer = self.rest() + data
        event: Event | None
        while self._position < len(self._buffer):
            if self._waiting is not None:
                event = self._body(self._waiting)
            elif self._buffer[self._position] == _DOLLAR and not self._lines:
                event = self._frame()
            else:
                line = self._next_line()
                if line is None:
                    return
                event = self._line(line)
                if event is None:
                    continue
            if event is None:
                return
            yield event
            if not isinstance(event, Interleaved) and not event.version.startswith("RTSP/"):
                return

    def rest(self) -> bytes:
        """Take what has come and is not read yet."""
        rest = self._buffer[self._position :]
        self._buffer, self._position = b"", 0
        return rest

    def _take(self, start: int, size: int) -> bytes | None:
        """So many bytes from there, once they have come; what is in front of them has been read as well."""
        end = start + size
        if end > len(self._buffer):
            return None
        self._position = end
        return self._buffer[start:end]

    def _frame(self) -> Interleaved | None:
        start = self._position
        if len(self._buffer) - start < _FRAME.size:
            return None
        _, channel, size = _FRAME.unpack_from(self._buffer, start)
        data = self._take(start + _FRAME.size, size)
        return Interleaved(channel, data) if data is not None else None

    def _body(self, message: Request | Response) -> Request | Response | None:
        data = self._take(self._position, self._body_length)
        if data is None:
            return None
        self._waiting = None
        return message._replace(body=data)

    def _next_line(self) -> bytes | None:
        """The next line without its LF; None while it is not complete."""
        start = self._position
        newline = self._buffer.find(b"\n", start, start + MAX_LINE + 1)
        if newline < 0:
            if len(self._buffer) - start > MAX_LINE:
                raise RemoteProtocolError(f"a line of more than {MAX_LINE} bytes")
            return None
        self._position = newline + 1
        return self._buffer[start:newline]

    def _line(self, line: bytes) -> Request | Response | None:
        """Take a line without its LF; gives the message that is complete with it."""
        text = _text(line.removesuffix(b"\r"))
        if text:
            self._size += len(line)
            if self._size > MAX_HEAD or len(self._lines) > MAX_HEADERS:
                raise RemoteProtocolError(f"a message with more than {MAX_HEADERS} headers or {MAX_HEAD} bytes of them")
            if not self._lines:
                _check_start(text)
            self._lines.append(text)
            return None
        if not self._lines:
            # Empty lines between messages are allowed (RFC 2326 §4.1 by way of RFC 2068 §4.1).
            return None
        lines, self._lines, self._size = self._lines, [], 0
        message = _message(lines)
        if not message.version.startswith("RTSP/"):
            return message
        self._body_length = content_length(message.headers)
        if not self._body_length:
            return message
        self._waiting = message
        return None


def request(method: str, uri: str, headers: Mapping[str, str], body: bytes = b"", version: str = VERSION) -> bytes:
    """The bytes of a request; spaces and controls in the address, as there are in some descriptions of media, are escaped.

    Raises `LocalProtocolError` for what would become another message.
    """
    return _joined(f"{method} {uri.translate(_ESCAPED)} {version}", headers, body)


def response(status: int, headers: Mapping[str, str | list[str]], body: bytes = b"", version: str = VERSION) -> bytes:
    """The bytes of a response; a header with several values becomes several lines. Raises `LocalProtocolError`."""
    return _joined(f"{version} {status} {REASONS.get(status, 'Unknown')}", headers, body)


def interleaved(channel: int, data: bytes) -> bytes:
    """The bytes of an interleaved frame (RFC 2326 §10.12)."""
    return _FRAME.pack(_DOLLAR, channel, len(data)) + data


def content_length(headers: Headers) -> int:
    """The length of the body, 0 without one. Raises `RemoteProtocolError` when it is no number, or two, or too large."""
    values = set(headers.all("Content-Length"))
    if not values:
        return 0
    text = values.pop()
    if values or not (text.isascii() and text.isdigit()):
        raise RemoteProtocolError(f"Content-Length is {text[:20]!r}")
    if len(text) > len(str(MAX_BODY)) or int(text) > MAX_BODY:
        raise RemoteProtocolError(f"a body of {text[:20]} bytes, where {MAX_BODY} are possible")
    return int(text)


def _joined(start: str, headers: Mapping[str, str | list[str]], body: bytes) -> bytes:
    lines = [start]
    for name, value in headers.items():
        lines += [f"{name}: {one}" for one in ([value] if isinstance(value, str) else value)]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    if any("\r" in line or "\n" in line for line in lines):
        raise LocalProtocolError(f"a line break in a header of {start!r}")
    return "\r\n".join((*lines, "", "")).encode("utf-8", "replace") + body


def _text(line: bytes) -> str:
    if _CONTROLS.search(line):
        raise RemoteProtocolError("a control character in a header")
    return line.decode("utf-8", "replace")


def _check_start(line: str) -> None:
    """Say at once that this is no message, before megabytes of it have come."""
    words = line.split(" ")
    named = words[0].startswith(("RTSP/", "HTTP/"))
    if (len(words) < 2 or not words[1].isdigit()) if named else (len(words) != 3 or not words[2].startswith(("RTSP/", "HTTP/"))):
        raise RemoteProtocolError(f"neither a request nor a response: {line[:40]!r}")


def _message(lines: list[str]) -> Request | Response:
    first, *others = lines
    headers = Headers(_headers(others))
    words = first.split(" ", 2)
    if words[0].startswith(("RTSP/", "HTTP/")):
        if len(words[1]) != 3 or not words[1].isascii():
            raise RemoteProtocolError(f"the status code {words[1][:20]!r}")
        return Response(int(words[1]), words[2] if len(words) > 2 else "", headers, version=words[0])
    method, uri, version = words
    if not method.isascii() or not method.replace("_", "").replace("-", "").isalnum() or not uri:
        raise RemoteProtocolError(f"the request line {first[:40]!r}")
    return Request(method, uri, headers, version=version)


def _headers(lines: list[str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for line in lines:
        if line[0] in " \t" and found:
            # A line that begins with a space goes on with the one before (RFC 2068 §4.2).
            name, value = found[-1]
            found[-1] = (name, f"{value} {line.strip()}")
            continue
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise RemoteProtocolError(f"a header without a name: {line[:40]!r}")
        found.append((name, value.strip()))
    return found
