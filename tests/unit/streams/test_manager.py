"""Names in use, and those who wait for a name."""

from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogEvent

from ems.errors import CommandError
from ems.streams.manager import StreamManager
from ems.streams.outbound import OutboundStream
from tests.unit.streams.frames import VIDEO, group


class Waiting(OutboundStream):
    """A consumer that remembers what happened to it."""

    __slots__ = ("events",)

    def __init__(self, streams: StreamManager, name: str) -> None:
        super().__init__(streams, name, None)
        self.events: list[str] = []

    def source_came(self) -> None:
        assert self.inbound is not None
        self.events.append(f"came {self.inbound.name}")

    def source_left(self, reason: str) -> None:
        self.events.append(f"left {reason}")


@pytest.fixture
def streams() -> StreamManager:
    """A stream manager whose clock stands still."""
    return StreamManager(Clock())


def register(streams: StreamManager, name: str) -> Any:
    """A stream without a connection."""
    return streams.register(name, type_tag="INEXT", source=None)


def waiting(streams: StreamManager, name: str) -> Waiting:
    """A subscription."""
    made = Waiting(streams, name)
    made.subscribe()
    return made


def test_a_name_has_one_stream(streams: StreamManager) -> None:
    """A taken name is refused, and free again when its stream has ended."""
    first = register(streams, "cam")
    with pytest.raises(CommandError, match="cam already taken"):
        register(streams, "cam")
    first.end("over")
    second = register(streams, "cam")
    first.end("again")
    assert streams.inbound == {"cam": second}


def test_no_bad_name_gets_in(streams: StreamManager) -> None:
    """Names are checked whoever registers them."""
    with pytest.raises(CommandError):
        register(streams, "../x")
    assert streams.inbound == {}


def test_who_comes_before_and_who_comes_after(streams: StreamManager) -> None:
    """Consumers may come before the source or after it, and stay when it goes and comes again."""
    before = waiting(streams, "cam")
    stream = register(streams, "cam")
    after = waiting(streams, "cam")
    stream.end("over")
    register(streams, "cam")
    assert before.events == after.events == ["came cam", "left over", "came cam"]


def test_queries_lead_to_the_short_name(streams: StreamManager) -> None:
    """A consumer of cam?token=1 gets cam, before or after; a stream with that very query is preferred."""
    early = waiting(streams, "cam?token=1")
    register(streams, "cam")
    exact = register(streams, "cam?token=2")
    late = waiting(streams, "cam?token=1")
    assert early.events == late.events == ["came cam"]
    assert streams.by_name("cam?token=2") is exact
    assert waiting(streams, "cam?token=2").events == ["came cam?token=2"]


def test_a_consumer_is_joined_to_one_stream_only(streams: StreamManager) -> None:
    """Who waits under two names and is served by one is not served by the other as well."""
    consumer = waiting(streams, "cam?x")
    short = register(streams, "cam")
    register(streams, "cam?x")
    assert consumer.events == ["came cam"]
    short.end("over")
    assert consumer.events == ["came cam", "left over"]
    consumer.unsubscribe()
    assert streams._waiting == {}


def test_who_leaves_leaves_nothing(streams: StreamManager) -> None:
    """Unsubscribing while waiting, while served, and twice."""
    stream = register(streams, "cam")
    consumers = [waiting(streams, "cam"), waiting(streams, "other"), waiting(streams, "other?x")]
    for consumer in (*consumers, *consumers):
        consumer.unsubscribe()
    assert streams.outbound == {}
    assert stream.outbound == {}
    assert streams._waiting == {}
    register(streams, "other")
    assert consumers[1].events == []


def test_ids_are_unique_in_both_directions(streams: StreamManager) -> None:
    """Inbound and outbound streams share one number space, and each is found by its number."""
    stream, consumer = register(streams, "cam"), waiting(streams, "cam")
    assert stream.id != consumer.id
    assert streams.by_id(stream.id) is stream
    assert streams.by_id(consumer.id) is consumer
    assert streams.by_id(999) is None


def test_a_consumer_may_leave_when_its_source_comes_or_goes(streams: StreamManager) -> None:
    """A consumer that unsubscribes itself, or another, in the midst of it is no trouble."""

    class Leaving(Waiting):
        __slots__ = ("other",)

        def source_came(self) -> None:
            super().source_came()
            self.unsubscribe()
            self.other.unsubscribe()

    leaving = Leaving(streams, "cam")
    leaving.other = Waiting(streams, "cam")
    leaving.subscribe()
    leaving.other.subscribe()
    last = waiting(streams, "cam")
    register(streams, "cam")
    assert (leaving.events, leaving.other.events, last.events) == (["came cam"], [], ["came cam"])
    assert list(streams.outbound.values()) == [last]


def test_who_leaves_because_another_is_told_waits_no_more(streams: StreamManager) -> None:
    """A consumer that has another unsubscribe when their source leaves: the other is not told, and waits for nothing."""

    class Taking(Waiting):
        __slots__ = ("other",)

        def source_left(self, reason: str) -> None:
            super().source_left(reason)
            self.other.unsubscribe()

    stream = register(streams, "cam")
    taking = Taking(streams, "cam")
    taking.subscribe()
    taking.other = waiting(streams, "cam")
    stream.end("over")
    assert (taking.events, taking.other.events) == (["came cam", "left over"], ["came cam"])
    taking.unsubscribe()
    assert streams._waiting == {}


class Failing:
    """An observer, reporter or consumer whose every method raises."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("broken on purpose")


class FailingConsumer(OutboundStream):
    """A consumer that fails when its source comes, and when it goes."""

    __slots__ = ()

    def source_came(self) -> None:
        raise RuntimeError("broken on purpose")

    def source_left(self, reason: str) -> None:
        raise RuntimeError("broken on purpose")


def test_nobody_who_fails_holds_a_name(streams: StreamManager, log_events: list[LogEvent]) -> None:
    """Whoever fails to take note of a stream is in the log; the stream comes and goes for all others, and its name is free."""
    FailingConsumer(streams, "cam", None).subscribe()
    after = waiting(streams, "cam")
    streams.reporters.append(Failing())
    streams.observers.append(Failing())
    for _ in range(2):
        register(streams, "cam").end("over")
    assert after.events == ["came cam", "left over"] * 2
    assert streams.inbound == {}
    assert {event["log_failure"].type for event in log_events if "log_failure" in event} == {RuntimeError}


def test_a_stream_that_cannot_be_closed_does_not_stop_the_clock() -> None:
    """Streams without frames are closed even when the source of one fails in closing."""
    clock = Clock()
    streams = StreamManager(clock, expire_after=10)
    streams.startService()
    source: Any = Failing()
    source.peer_name = "192.0.2.1"
    streams.register("broken", type_tag="INEXT", source=source)
    register(streams, "first")
    for _ in range(2):
        clock.advance(10)
    register(streams, "second")
    for _ in range(2):
        clock.advance(10)
    assert streams.inbound == {}
    streams.stopService()


def test_streams_without_frames_expire() -> None:
    """A stream that has had no frame for the time set is closed; one with frames lives."""
    clock = Clock()
    streams = StreamManager(clock, expire_after=10)
    streams.startService()
    silent, lively = register(streams, "silent"), register(streams, "lively")
    lively.set_tracks((VIDEO,))
    for second in range(25):
        lively.push(group(second * 1000)[0])
        clock.advance(1)
    assert list(streams.inbound.values()) == [lively]
    assert silent.tracks == ()
    streams.stopService()


def test_stopping_ends_all_streams() -> None:
    """When the server stops, consumers are told."""
    clock = Clock()
    streams = StreamManager(clock, expire_after=10)
    streams.startService()
    consumer = waiting(streams, "cam")
    register(streams, "cam")
    streams.stopService()
    assert consumer.events == ["came cam", "left the server stops"]
    assert clock.getDelayedCalls() == []
