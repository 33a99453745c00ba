"""The bus: whoever sees something happen says so here, and every sink that wants to know is told."""

import os
from collections.abc import Callable, Mapping
from itertools import count
from time import time
from types import MappingProxyType
from typing import Any, NamedTuple

from twisted.logger import Logger

from ems.events.event import Event, plain

Payload = Mapping[str, Any] | Callable[[], Mapping[str, Any]]
"""What is told of an event, in the runtime API's words, or a function that makes it for those who want to know."""

Sink = Callable[[Event], None]
"""Is told of an event, at once, on the reactor's thread: it must not block."""


class _Subscription(NamedTuple):
    sink: Sink
    wants: Callable[[str], bool] | None


class EventBus:
    """Passes events on, each to all its sinks before the next. `emit` costs next to nothing for an event that nobody wants.

    Belongs to the reactor's thread. `now` tells seconds since 1970.
    """

    log = Logger()

    def __init__(self, now: Callable[[], float] = time) -> None:
        self._now = now
        self._ids = count(1)
        self._process_id = os.getpid()
        self._subscriptions: list[_Subscription] = []
        self._sinks_by_type: dict[str, tuple[Sink, ...]] = {}
        self._failing: set[Sink] = set()

    def emit(self, event_type: str, payload: Payload) -> None:
        """Something has happened: `event_type` is its name as the sinks spell it (``inStreamCreated``). Never raises."""
        sinks = self._sinks_by_type.get(event_type)
        if sinks is None:
            sinks = self._choose(event_type)
        if not sinks:
            return
        try:
            told = plain(payload() if callable(payload) else payload)
        except Exception:
            self.log.failure("the payload of {type} cannot be made", type=event_type)
            return
        assert isinstance(told, dict)
        event = Event(next(self._ids), event_type, int(self._now()), self._process_id, MappingProxyType(told))
        for sink in sinks:
            self._tell(sink, event)

    def wants(self, event_type: str) -> bool:
        """Whether anybody is told of such events: for those to whom even calling `emit`, many times, is too much."""
        sinks = self._sinks_by_type.get(event_type)
        return bool(self._choose(event_type) if sinks is None else sinks)

    def subscribe(self, sink: Sink, wants: Callable[[str], bool] | None = None) -> Callable[[], None]:
        """Tell `sink` of every event, or of those whose type `wants` is true for; what is returned ends that.

        A sink that raises is logged, once until it works again, and goes on being told.
        """
        subscription = _Subscription(sink, wants)
        self._subscriptions.append(subscription)
        self._sinks_by_type.clear()

        def unsubscribe() -> None:
            self._subscriptions = [other for other in self._subscriptions if other is not subscription]
            self._sinks_by_type.clear()
            self._failing.discard(sink)

        return unsubscribe

    def _choose(self, event_type: str) -> tuple[Sink, ...]:
        chosen = tuple(sink for sink, wants in self._subscriptions if wants is None or wants(event_type))
        self._sinks_by_type[event_type] = chosen
        return chosen

    def _tell(self, sink: Sink, event: Event) -> None:
        try:
            sink(event)
        except Exception:
            if sink not in self._failing:
                self._failing.add(sink)
                self.log.failure("{sink} failed with {type}", sink=sink, type=event.type)
        else:
            self._failing.discard(sink)
