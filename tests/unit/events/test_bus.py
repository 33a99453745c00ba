"""The bus: everybody hears what they want to hear, in order, whatever the others do."""

import os
from collections import Counter
from dataclasses import FrozenInstanceError
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import LogEvent

from ems.config.variant import UInt16
from ems.events import Event, EventBus
from ems.events.event import MAX_DEPTH, plain


class Colour(str, Enum):
    RED = "red"


class Number(IntEnum):
    ONE = 1


def test_an_event_reaches_everybody_who_has_subscribed() -> None:
    """Each sink gets every event, numbered from 1 in the order in which things happened, until it has had enough."""
    bus, first, second = EventBus(now=lambda: 1_715_000_024.9), list[Event](), list[Event]()
    stop = bus.subscribe(first.append)
    bus.subscribe(second.append)
    bus.emit("inStreamCreated", {"name": "cam"})
    stop()
    bus.emit("inStreamClosed", lambda: {"name": "cam"})
    assert [event.type for event in first] == ["inStreamCreated"]
    assert [(event.id, event.type) for event in second] == [(1, "inStreamCreated"), (2, "inStreamClosed")]
    (event,) = first
    assert (event.timestamp, event.process_id, dict(event.payload)) == (1_715_000_024, os.getpid(), {"name": "cam"})


def test_a_payload_that_nobody_wants_is_never_made() -> None:
    """An event costs nothing worth mentioning unless somebody wants that very type."""
    bus, made, heard = EventBus(), Counter[str](), list[Event]()

    def payload() -> dict[str, Any]:
        made["payload"] += 1
        return {}

    bus.emit("timerCreated", payload)
    assert not bus.wants("timerCreated")
    stop = bus.subscribe(heard.append, {"timerClosed"}.__contains__)
    bus.emit("timerCreated", payload)
    assert not made
    assert bus.wants("timerClosed")
    assert not bus.wants("timerCreated")
    bus.emit("timerClosed", payload)
    stop()
    bus.emit("timerClosed", payload)
    assert made["payload"] == len(heard) == 1


def test_a_sink_that_raises_disturbs_nobody(log_events: list[LogEvent]) -> None:
    """Whoever emits does not notice, other sinks get the event, and the log has one traceback until the sink works again."""
    bus, heard = EventBus(), list[Event]()
    broken = True

    def sink(event: Event) -> None:
        if broken:
            raise RuntimeError("no")

    bus.subscribe(sink)
    bus.subscribe(heard.append)
    for _ in range(3):
        bus.emit("timerCreated", {})
    assert len(heard) == 3
    assert len([event for event in log_events if "log_failure" in event]) == 1
    broken = False
    bus.emit("timerCreated", {})
    broken = True
    bus.emit("timerCreated", {})
    assert len([event for event in log_events if "log_failure" in event]) == 2


def test_a_payload_that_cannot_be_made_is_logged(log_events: list[LogEvent]) -> None:
    """A mistake in describing something costs that event only."""
    bus, heard = EventBus(), list[Event]()
    bus.subscribe(heard.append)
    nothing: dict[str, dict[str, Any]] = {}
    bus.emit("timerCreated", lambda: nothing["missing"])
    bus.emit("timerClosed", {})
    assert [event.type for event in heard] == ["timerClosed"]
    assert [event["type"] for event in log_events if "log_failure" in event] == ["timerCreated"]


def test_an_event_does_not_change() -> None:
    """What a sink holds stays as it was when it happened, and cannot be changed."""
    bus, heard, payload = EventBus(), list[Event](), {"stream": {"name": "cam"}}
    bus.subscribe(heard.append)
    bus.emit("inStreamCreated", payload)
    payload["stream"]["name"] = "other"
    (event,) = heard
    assert event.payload == {"stream": {"name": "cam"}}
    with pytest.raises(FrozenInstanceError):
        event.id = 2  # type: ignore[misc]
    with pytest.raises(TypeError):
        event.payload["name"] = "other"  # type: ignore[index]


def test_the_envelope_says_where_an_event_comes_from() -> None:
    """Receivers get id, time, process and type, and in the payload the process once more and what the operator has attached."""
    event = Event(3, "timerClosed", 5, 77, {"timerId": 1})
    assert event.envelope({"site": "lab"}) == {
        "id": 3,
        "type": "timerClosed",
        "timestamp": 5,
        "processId": 77,
        "payload": {"timerId": 1, "PID": 77, "customData": {"site": "lab"}},
    }


def test_every_value_becomes_a_plain_one() -> None:
    """Whatever a payload is made of, sinks see what JSON knows."""
    assert plain({"a": (1, 2.5, True, None), 5: Path("/x"), "e": Colour.RED, "n": Number.ONE, "b": b"\0"}) == {
        "a": [1, 2.5, True, None],
        "5": "/x",
        "e": "red",
        "n": 1,
        "b": "AA==",
    }
    assert plain([float("nan"), float("inf")]) == [None, None]
    width = plain(UInt16(5))
    assert isinstance(width, UInt16)
    assert type(plain(Number.ONE)) is int


def test_a_bottomless_payload_is_cut() -> None:
    """A value that contains itself ends somewhere."""
    endless: list[Any] = []
    endless.append(endless)
    depth, level = 0, plain(endless)
    while isinstance(level, list):
        depth, level = depth + 1, level[0]
    assert depth == MAX_DEPTH
