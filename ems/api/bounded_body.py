"""Requests whose bodies are bounded: what a client sends goes into memory before anybody looks at it."""

from typing import Any

from twisted.web.http import Request

from ems.api.json_body import MAX_BODY

MAX_DISCARDED = 16 * MAX_BODY
"""Bytes of a too large body that are read and dropped so that the client sees why; beyond them the connection is cut."""


class BoundedBody(Request):
    """A request whose body is kept up to `MAX_BODY` bytes, in memory; `body_size` is how many have come."""

    body_size = 0
    channel: Any

    def gotLength(self, length: int | None) -> None:
        super().gotLength(min(length or 0, MAX_BODY))

    def handleContentChunk(self, data: bytes) -> None:
        self.body_size += len(data)
        if self.body_size <= MAX_BODY:
            super().handleContentChunk(data)
        elif self.body_size > MAX_DISCARDED:
            self.channel.transport.abortConnection()
