"""``GET /api/events``: everything that happens, as it happens, as Server-Sent Events (HTML Living Standard §9.2).

::

    id: 17
    data: {"id":17,"payload":{…},"timestamp":1715000000,"type":"inStreamCreated"}

A browser reads it with ``new EventSource("/api/events")``. A client that does not keep up misses events, and is told how many.
"""

import json

from ems.events.bus import EventBus
from ems.events.event import Event
from ems.web.request import WebRequest

MAX_CLIENTS = 100
"""Dashboards that are open at a time."""

MAX_EVENT = 65_536
"""Bytes of one event: with the transport's buffer, all that a client can pin."""

SILENCE = 15
"""Seconds after which a comment is sent, so that proxies do not take the connection for dead."""


class EventStreams:
    """The clients that follow the events."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._followers: set[_Follower] = set()
        self._ticks = 0

    def __len__(self) -> int:
        return len(self._followers)

    def follow(self, request: WebRequest) -> bool:
        """Send events to this client from now on; false when there are too many."""
        if len(self._followers) >= MAX_CLIENTS:
            return False
        follower = _Follower(request)
        unsubscribe = self._bus.subscribe(follower.tell)
        self._followers.add(follower)

        def end(complete: bool) -> None:
            unsubscribe()
            self._followers.discard(follower)

        request.on_end = end
        follower.start()
        return True

    def tick(self) -> None:
        """Called about once a second."""
        self._ticks += 1
        if self._ticks % SILENCE == 0:
            for follower in [*self._followers]:
                follower.write(b":\n\n")


class _Follower:
    """One client, as the push producer of its connection."""

    def __init__(self, request: WebRequest) -> None:
        self._request = request
        self._paused = False
        self._missed = 0

    def start(self) -> None:
        headers = self._request.responseHeaders
        headers.setRawHeaders(b"Content-Type", [b"text/event-stream"])
        headers.setRawHeaders(b"Cache-Control", [b"no-store"])
        headers.setRawHeaders(b"X-Accel-Buffering", [b"no"])
        self._request.registerProducer(self, True)
        self.write(b"retry: 2000\n\n")

    def tell(self, event: Event) -> None:
        if self._paused:
            self._missed += 1
            return
        fields = {"id": event.id, "type": event.type, "timestamp": event.timestamp, "payload": dict(event.payload)}
        source = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode("utf-8", "replace")
        if len(source) > MAX_EVENT:
            self._missed += 1
            return
        self.write(b"id: %d\ndata: %s\n\n" % (event.id, source))

    def write(self, text: bytes) -> None:
        if not self._paused and not self._request.is_gone:
            self._request.write(text)

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        if self._missed:
            missed, self._missed = self._missed, 0
            self.write(b": %d events are left out\n\n" % missed)

    def stopProducing(self) -> None:
        self._paused = True
