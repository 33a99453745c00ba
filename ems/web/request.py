"""Requests: Twisted's, with a limit for their bodies, and answers that leave as far as the client takes them.

A body is for the API only and has its limit (`ems.api.bounded_body`).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.web.http_headers import Headers

from ems.api.bounded_body import BoundedBody
from ems.version import NAME

if TYPE_CHECKING:
    from ems.web.channel import WebChannel

SPARE = 64 << 10
"""Bytes of a body that are kept for a client who does not take them at once, unless more are to be."""

STANDING = b"Server: " + NAME.encode("ascii") + b"\r\nDate: %b\r\nX-Content-Type-Options: nosniff\r\n"
"""The header lines of every answer, with room for the time (RFC 9110 §6.6.1)."""

STANDING_NAMES = frozenset((b"server", b"date", b"x-content-type-options"))


class WebRequest(BoundedBody):
    """One request, from the address `peer`. `on_end` is called once when its answer is complete (true) or its client is gone
    (false)."""

    on_end: Callable[[bool], None] | None = None

    def __init__(self, channel: "WebChannel", queued: object = False) -> None:
        super().__init__(channel, parsePOSTFormSubmission=False)
        self.peer = channel.peer

    def gotLength(self, length: int | None) -> None:
        # Most requests have no body, and need nothing to keep it in.
        if length != 0:
            super().gotLength(length)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """All of the request is there. Twisted's own takes the query apart into fields that nobody here asks for."""
        self.method, self.uri, self.clientproto = command, path, version
        self.path = path.partition(b"?")[0]
        if self.content is not None:
            self.content.seek(0)
        self.process()

    def head(self, status: bytes, lines: bytes) -> bytes:
        """The head of an answer whose header lines are made already, all but the standing ones and Connection."""
        channel = self.channel
        connection = b"" if channel.persistent else b"Connection: close\r\n"
        return b"%b %b\r\n%b%b%b\r\n" % (self.clientproto, status, channel.factory.standing, connection, lines)

    def head_as_set(self) -> bytes:
        """The head of an answer by the status and the headers that have been set."""
        return head_of(
            self.clientproto, b"%d" % self.code, self.code_message, self.responseHeaders, self.channel.factory.standing
        )

    def answer(self, head: bytes, body: bytes | memoryview = b"", spare: int = SPARE) -> int:
        """Send a head and as much of a body as the client takes at once. How many bytes of the body are done with.

        When no more than `spare` bytes are left over, the transport keeps them; otherwise only what is left of the head.
        """
        channel = self.channel
        self.startedWriting = 1
        sent: int = channel.send(head, body)
        if len(head) + len(body) - sent <= spare:
            if sent < len(head):
                channel.leave(b"".join((head, body))[sent:])
            elif sent < len(head) + len(body):
                channel.leave(bytes(body[sent - len(head) :]))
            done = len(body)
        else:
            channel.leave(head[sent:])
            done = max(0, sent - len(head))
        self.sentLength += done
        return done

    def getHeader(self, key: Any) -> Any:
        """The last value of a header. Text is read as Latin-1, which has all bytes: a header may have any (RFC 9110 §5.5)."""
        if isinstance(key, bytes):
            return super().getHeader(key)
        value = super().getHeader(key.encode("ascii"))
        return value if value is None else value.decode("latin-1")

    @property
    def is_gone(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return bool(self._disconnected or self.finished)

    def process(self) -> None:
        self.channel.begin(self)

    def finish(self) -> None:
        super().finish()
        self._end(True)

    def connectionLost(self, reason: Any) -> None:
        super().connectionLost(reason)
        self._end(False)

    def _end(self, complete: bool) -> None:
        on_end, self.on_end = self.on_end, None
        if on_end is not None:
            on_end(complete)


def head_of(version: bytes, code: bytes, reason: bytes, headers: Headers, standing: bytes) -> bytes:
    """The head of an answer; `headers` go before the standing ones of the same name."""
    names = {name.lower() for name, _ in headers.getAllRawHeaders()}
    if not names.isdisjoint(STANDING_NAMES):
        lines = standing.splitlines(keepends=True)
        standing = b"".join(line for line in lines if line.partition(b":")[0].lower() not in names)
    own = b"".join([b"%b: %b\r\n" % (name, value) for name, values in headers.getAllRawHeaders() for value in values])
    return b"%b %b %b\r\n%b%b\r\n" % (version, code, reason, standing, own)
