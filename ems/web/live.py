"""Files that answer questions (low-latency HLS, RFC 8216bis §6.2.5): a request may wait until what it asks for exists.

How long an answer takes is up to the stream. How many may wait is bounded here: players reload one playlist at a time, so a
thousand waiting requests of one address are an attack, or a network that should have a cache.
"""

from collections import Counter
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IReactorTime

from ems.published import LiveFile, PublishedFile, Unavailable
from ems.web.request import WebRequest

MAX_WAITING = 5000
"""As many as there are connections by default."""

MAX_WAITING_OF_ONE = 500
"""Of one address, behind which a house or a company may be."""

MAX_SECONDS = 60.0
"""A stream gives up earlier, after three segments; this is for one that does not."""


class LiveAnswers:
    """The requests that wait."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: Counter[str] = Counter()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    async def ask(self, request: WebRequest, live: LiveFile, query: dict[str, str]) -> PublishedFile | None:
        """The file's answer; None when the client has gone. Raises `Unavailable`."""
        peer = request.peer
        if self._count >= MAX_WAITING or self._waiting[peer] >= MAX_WAITING_OF_ONE:
            raise Unavailable(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests are waiting")
        self._count += 1
        self._waiting[peer] += 1
        answer: Deferred[Any] = Deferred.fromCoroutine(_result(live.answer(query)))
        request.on_end = lambda complete: answer.cancel()
        answer.addTimeout(MAX_SECONDS, self._clock)
        try:
            published: PublishedFile = await answer
            return published
        except DeferredTimeout as error:
            raise Unavailable(HTTPStatus.SERVICE_UNAVAILABLE, "the stream does not go on") from error
        except CancelledError:
            return None
        finally:
            request.on_end = None
            self._count -= 1
            self._waiting[peer] -= 1
            if not self._waiting[peer]:
                del self._waiting[peer]


async def _result(awaitable: Awaitable[PublishedFile]) -> PublishedFile:
    return await awaitable
