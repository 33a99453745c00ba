"""The state of a job, as listConfig and getConfigInfo tell it."""

from enum import IntEnum
from typing import Any, NamedTuple


class State(IntEnum):
    """What a job is doing; the numbers are those of the runtime API."""

    STREAMING = 0
    CONNECTING = 1
    WAITING = 2
    CONNECTED = 3
    DISCONNECTED = 4
    CONNECTION_FAILED = 5

    @property
    def description(self) -> str:
        """The state in the runtime API's words."""
        return _DESCRIPTIONS[self]


_DESCRIPTIONS = {
    State.STREAMING: "Streaming",
    State.CONNECTING: "Connecting",
    State.WAITING: "Waiting for stream",
    State.CONNECTED: "Connected",
    State.DISCONNECTED: "Disconnected",
    State.CONNECTION_FAILED: "Connection failed",
}


class StatusEntry(NamedTuple):
    """A state, when it began (seconds since 1970), the unique id of its stream (0 is none), and why it came about."""

    state: State
    since: float
    stream_id: int = 0
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The object of the runtime API; ``reason`` is our own key."""
        return {
            "code": int(self.state),
            "description": self.state.description,
            "timestamp": int(self.since),
            "uniqueStreamId": self.stream_id,
            "reason": self.reason,
        }


class Status:
    """The present state of a job and the one before it."""

    __slots__ = ("current", "previous")

    def __init__(self, now: float, reason: str = "not started yet") -> None:
        self.current = self.previous = StatusEntry(State.DISCONNECTED, now, 0, reason)

    def change(self, state: State, now: float, *, stream_id: int = 0, reason: str = "") -> None:
        """Enter a state."""
        self.previous, self.current = self.current, StatusEntry(state, now, stream_id, reason)
