"""What a request is answered with."""

from collections.abc import Callable, Mapping
from typing import NamedTuple


def _nothing() -> None:
    """Nothing is to be done behind a reply."""


class Reply(NamedTuple):
    """A response in the making: CSeq, Session and the headers that every response has are added to it.

    `then` is done when it has been written: media must not come before the response to PLAY. With `close` the connection ends.
    """

    status: int = 200
    headers: Mapping[str, str | list[str]] = {}
    body: bytes = b""
    then: Callable[[], None] = _nothing
    close: bool = False


class Refused(Exception):
    """A request that is answered with an error. `reason` is for the log."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str | list[str]] | None = None) -> None:
        super().__init__(reason)
        self.reply = Reply(status, headers or {})
