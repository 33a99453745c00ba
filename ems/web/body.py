"""The body of an answer, sent piece by piece as the client takes it: no client pins more than a piece or two.

A `Body` is a list of spans of one file and of the texts between them (multipart/byteranges, RFC 9110 §14.6). `send_body` is a
push producer of the connection: it writes until the transport has enough, and goes on when the client has taken that.

Bytes in memory are given straight to the socket where that is plain TCP and the transport holds nothing: the kernel copies them
from where they are, which halves the processor time of a segment.
"""

import secrets
import socket
from collections.abc import Sequence

from twisted.internet.defer import Deferred

from ems.web.channel import WebRequest
from ems.web.files import Files, Found
from ems.web.ranges import Span, content_range

Piece = bytes | Span
"""What is sent: a text, or bytes of the file."""


class Body:
    """The pieces of an answer and their length together."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = pieces
        self.size = sum(len(piece) if isinstance(piece, bytes) else piece.stop - piece.start for piece in pieces)


def multipart(spans: Sequence[Span], size: int, mime: str) -> tuple[Body, str]:
    """Several parts of a file of `size` bytes, and the Content-Type that goes with them."""
    boundary = secrets.token_hex(12)
    pieces: list[Piece] = []
    for span in spans:
        head = f"\r\n--{boundary}\r\nContent-Type: {mime}\r\nContent-Range: {content_range(span, size)}\r\n\r\n"
        pieces += [head.encode("ascii"), span]
    pieces.append(f"\r\n--{boundary}--\r\n".encode("ascii"))
    return Body(pieces), f"multipart/byteranges; boundary={boundary}"


STRAIGHT = 1 << 20
"""Bytes that one client may take in a row before others have their turn."""


class _Sender:
    """The push producer of one answer."""

    def __init__(self, request: WebRequest) -> None:
        self.stopped = False
        self._request = request
        handle = getattr(request.channel.transport, "getHandle", lambda: None)()
        self._socket = handle if isinstance(handle, socket.socket) else None
        self._drained = False
        self._paused = False
        self._waiting: Deferred[None] | None = None

    async def ready(self) -> bool:
        """Return when the transport wants more; false when there is nobody any more."""
        if self._paused and not self.stopped:
            self._waiting = Deferred()
            await self._waiting
        return not self.stopped

    def write(self, data: bytes) -> None:
        """Leave bytes to the transport."""
        self._drained = False
        self._request.write(data)

    def send(self, data: memoryview) -> int:
        """How many of these bytes the socket has taken at once; none while earlier ones wait in the transport."""
        sent = 0
        if not self._drained or self._socket is None:
            return sent
        try:
            while sent < len(data):
                sent += self._socket.send(data[sent:])
        except OSError:
            # Full, or broken: the transport finds out which when it is given the rest.
            pass
        self._request.sentLength += sent
        return sent

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._drained = True
        self._go_on()

    def stopProducing(self) -> None:
        self.stopped = True
        self._go_on()

    def _go_on(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)


async def send_body(request: WebRequest, files: Files, found: Found, body: Body, piece_size: int) -> bool:
    """Write a body whose headers are set; false when the client has gone or the file has become shorter meanwhile."""
    sender = _Sender(request)
    request.registerProducer(sender, True)
    try:
        for piece in body.pieces:
            start, stop = (0, len(piece)) if isinstance(piece, bytes) else piece
            source = piece if isinstance(piece, bytes) else found.data
            while start < stop:
                if not await sender.ready():
                    return False
                if source is not None:
                    start += sender.send(memoryview(source)[start : min(stop, start + STRAIGHT)])
                    data = source[start : min(stop, start + piece_size)]
                else:
                    data = await files.read(found, start, min(piece_size, stop - start))
                    if not data or sender.stopped:
                        return False
                sender.write(data)
                start += len(data)
        return await sender.ready()
    finally:
        if not sender.stopped:
            request.unregisterProducer()
