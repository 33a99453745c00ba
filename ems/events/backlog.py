"""What waits for a receiver that is slower than the events."""

from collections import deque

from ems.events.event import Event


class Backlog:
    """Events in their order, at most `limit` of them: beyond it the oldest go, and are counted as `dropped`."""

    def __init__(self, limit: int) -> None:
        self.dropped = 0
        self._limit = limit
        self._events: deque[Event] = deque()

    def __len__(self) -> int:
        return len(self._events)

    def put(self, event: Event) -> None:
        """Add an event."""
        if len(self._events) >= self._limit:
            self._events.popleft()
            self.dropped += 1
        self._events.append(event)

    def take(self, most: int = 1) -> list[Event]:
        """Take out the oldest events, as many as there are up to `most`."""
        return [self._events.popleft() for _ in range(min(most, len(self._events)))]

    def take_dropped(self) -> int:
        """How many have been dropped since this was asked last."""
        dropped, self.dropped = self.dropped, 0
        return dropped
