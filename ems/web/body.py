"""The body of an answer, sent piece by piece as the client takes it: no client pins more than a piece.

A `Body` is a list of spans of one file and of the texts between them (multipart/byteranges, RFC 9110 §14.6). `send_body` is a
push producer of the connection: it writes until the client takes no more, and goes on when it has taken what waits.

Bytes in memory are given straight to the socket where that is plain TCP and the transport holds nothing: the kernel copies them
from where they are. The piece that it refuses is left to the transport, which tells when it is gone.
"""

import secrets
from collections.abc import Sequence

from twisted.internet.defer import Deferred

from ems.web.files import Files, Found
from ems.web.ranges import Span, content_range
from ems.web.request import WebRequest

Piece = bytes | Span
"""What is sent: a text, or bytes of the file."""

STRAIGHT = 1 << 20
"""Bytes that one client may take in a row before others have their turn."""


class Body:
    """The pieces of an answer and their length together."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = pieces
        self.size = sum(len(piece) if isinstance(piece, bytes) else piece.stop - piece.start for piece in pieces)

    def beginning(self, found: Found) -> memoryview:
        """What can be sent at once of a file that is in memory; nothing of another, or of several parts."""
        piece = self.pieces[0]
        if found.data is None or isinstance(piece, bytes) or len(self.pieces) > 1:
            return memoryview(b"")
        return memoryview(found.data)[piece.start : min(piece.stop, piece.start + STRAIGHT)]

    def behind(self, done: int) -> "Body":
        """The body without `done` bytes of its `beginning`."""
        piece = self.pieces[0]
        return self if isinstance(piece, bytes) or not done else Body([Span(piece.start + done, piece.stop)])


def multipart(spans: Sequence[Span], size: int, mime: str) -> tuple[Body, str]:
    """Several parts of a file of `size` bytes, and the Content-Type that goes with them."""
    boundary = secrets.token_hex(12)
    pieces: list[Piece] = []
    for span in spans:
        head = f"\r\n--{boundary}\r\nContent-Type: {mime}\r\nContent-Range: {content_range(span, size)}\r\n\r\n"
        pieces += [head.encode("ascii"), span]
    pieces.append(f"\r\n--{boundary}--\r\n".encode("ascii"))
    return Body(pieces), f"multipart/byteranges; boundary={boundary}"


class _Sender:
    """The push producer of one answer."""

    def __init__(self, request: WebRequest) -> None:
        self.stopped = False
        self._paused = request.channel.is_blocked
        self._waiting: Deferred[None] | None = None

    async def ready(self) -> bool:
        """Return when the client takes more; false when there is nobody any more."""
        if self._paused and not self.stopped:
            self._waiting = Deferred()
            await self._waiting
        return not self.stopped

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._go_on()

    def stopProducing(self) -> None:
        self.stopped = True
        self._go_on()

    def _go_on(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)


async def send_body(request: WebRequest, files: Files, found: Found, body: Body, piece_size: int) -> bool:
    """Write a body whose head is sent; false when the client has gone or the file has become shorter meanwhile."""
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
                    start += _send(request, memoryview(source)[start:stop], piece_size)
                    continue
                data = await files.read(found, start, min(piece_size, stop - start))
                if not data or sender.stopped:
                    return False
                request.write(data)
                start += len(data)
        return await sender.ready()
    finally:
        if not sender.stopped:
            request.unregisterProducer()


def _send(request: WebRequest, data: memoryview, piece_size: int) -> int:
    """How many bytes of these are sent, or left to the transport: at least one piece, which ends this client's turn."""
    channel = request.channel
    sent: int = channel.send(data[:STRAIGHT])
    if sent < len(data):
        piece = bytes(data[sent : sent + piece_size])
        channel.leave(piece)
        sent += len(piece)
    request.sentLength += sent
    return sent
