"""Passes over viewers: when they come, that they are sliced, and that one viewer cannot stop them."""

from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogEvent

from ems.streams import outlet
from ems.streams.outlet import FanOut, Lane
from tests.unit.streams.frames import VIDEO, frame, group
from tests.unit.streams.transports import PlainTransport, PushTransport, Viewer, feed_of


class Meter:
    """Stands for the processor's clock: each look at it costs so much."""

    def __init__(self, cost: float) -> None:
        self._cost = cost
        self._now = 0.0

    def __call__(self) -> float:
        self._now += self._cost
        return self._now


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes cost nothing."""
    monkeypatch.setattr(outlet, "thread_time", Meter(0))


@pytest.mark.usefixtures("free")
def test_a_small_audience_is_served_at_once() -> None:
    """Passes that cost nothing come with each frame, in the next turn of the reactor."""
    clock, fan_out, feed = feed_of(VIDEO)
    viewer = Viewer(feed, fan_out, PlainTransport())
    for one in group(0):
        feed.frame(one)
        clock.advance(0)
        clock.advance(0)
        assert viewer.tokens[-1] == f"<video {one.dts // 1_000_000}>"


def test_a_large_audience_shares_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes that cost much come rarer, up to the limit that the configuration sets, and cheaper ones bring it down again."""
    clock = Clock()
    lane = Lane(clock, max_interval=0.1)
    monkeypatch.setattr(outlet, "thread_time", Meter(0.01))
    for _ in range(100):
        lane._begin()
    assert lane.interval == pytest.approx(0.01 * Lane.SHARE, rel=0.01)
    monkeypatch.setattr(outlet, "thread_time", Meter(5))
    for _ in range(100):
        lane._begin()
    assert lane.interval == pytest.approx(0.1, rel=0.01)
    monkeypatch.setattr(outlet, "thread_time", Meter(0))
    for _ in range(100):
        lane._begin()
    assert lane.interval < 0.001


def test_tls_waits_a_little() -> None:
    """Encrypted connections get their frames in batches of 100 ms, plain ones at once."""
    fan_out = FanOut(Clock(), max_interval=0.02)
    assert fan_out.plain.interval == 0
    assert fan_out.batched.interval == FanOut.TLS_INTERVAL == 0.1
    clock, fan_out, feed = feed_of(VIDEO)
    viewer = Viewer(feed, fan_out, PushTransport())
    feed.frame(group(0)[0])
    clock.advance(0.09)
    assert viewer.tokens == ["{hello}"]
    clock.advance(0.02)
    assert viewer.tokens[-1] == "<video 0>"


@pytest.mark.usefixtures("free")
def test_a_pass_is_sliced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A big audience is served in slices, between which the reactor gets its turn; frames that come meanwhile are not lost."""
    monkeypatch.setattr(Lane, "SLICE", 2)
    clock, fan_out, feed = feed_of(VIDEO)
    viewers = [Viewer(feed, fan_out, PlainTransport()) for _ in range(5)]
    feed.frame(group(0)[0])
    clock.pump([0.01] * 5)
    slices: list[int] = []
    slice_ = Lane._slice

    def counted(lane: Lane, todo: list[Any], start: int) -> None:
        if not slices:
            feed.frame(frame(VIDEO, 80))
        slices.append(start)
        slice_(lane, todo, start)

    monkeypatch.setattr(Lane, "_slice", counted)
    feed.frame(frame(VIDEO, 40))
    clock.pump([0.01] * 5)
    assert slices[:3] == [0, 2, 4]
    assert [viewer.tokens[-2:] for viewer in viewers] == [["<video 40>", "<video 80>"]] * 5


def test_one_viewer_that_cannot_be_served_stops_nobody(log_events: list[LogEvent]) -> None:
    """When sending to one viewer fails inside the server, that viewer is given up and the passes go on."""
    clock, fan_out, feed = feed_of(VIDEO)
    viewers = [Viewer(feed, fan_out, PlainTransport()) for _ in range(3)]
    feed.frame(group(0)[0])
    clock.advance(0.1)

    def fail(data: bytes) -> int:
        raise ValueError("a bug")

    broken: Any = viewers[0].transport
    broken.kernel_takes = fail
    for ms in (40, 80):
        feed.frame(frame(VIDEO, ms))
        clock.advance(0.1)
    assert broken.aborted
    assert [viewer.tokens[-1] for viewer in viewers[1:]] == ["<video 80>"] * 2
    assert len([event for event in log_events if "log_failure" in event]) == 1


def test_without_viewers_there_are_no_passes() -> None:
    """A feed that nobody is ready for costs no timer."""
    _, fan_out, feed = feed_of(VIDEO)
    feed.frame(group(0)[0])
    assert fan_out.plain._call is None
    viewer = Viewer(feed, fan_out, PlainTransport(room=0))
    viewer.outlet.write(b"{busy}")
    feed.frame(frame(VIDEO, 40))
    assert fan_out.plain._call is None


def test_answers_that_nobody_reads_are_counted() -> None:
    """An outlet knows how many control bytes wait for a peer that does not read."""
    clock, fan_out, feed = feed_of(VIDEO)
    for transport in (PlainTransport(), PushTransport()):
        viewer = Viewer(feed, fan_out, transport)
        clock.advance(0)
        assert viewer.outlet.unsent == 0
        transport.room = 0
        for _ in range(1000):
            viewer.outlet.write(bytes(1000))
        assert viewer.outlet.unsent > 900_000
        transport.read()
        assert viewer.outlet.unsent == 0


def test_players_with_a_buffer_wait_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Players with a jitter buffer, when there are many, and browsers even more, get more at once and less often than others."""
    fan_out = FanOut(Clock())
    monkeypatch.setattr(outlet, "thread_time", Meter(0.002))
    for lane in (fan_out.plain, fan_out.jitter_buffered, fan_out.buffered):
        for _ in range(100):
            lane._begin()
    assert fan_out.plain.interval == pytest.approx(0.002 * Lane.SHARE, rel=0.01)
    assert fan_out.jitter_buffered.interval == pytest.approx(0.002 * FanOut.JITTER_BUFFERED_SHARE, rel=0.01)
    assert fan_out.buffered.interval == pytest.approx(0.002 * FanOut.BUFFERED_SHARE, rel=0.01)
    assert Lane.SHARE < FanOut.JITTER_BUFFERED_SHARE < FanOut.BUFFERED_SHARE


def test_datagrams_wait_hardly(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many get datagrams, nobody waits longer than for a picture and its sound, and never longer than configured."""
    monkeypatch.setattr(outlet, "thread_time", Meter(5))
    for configured, longest in ((0.1, FanOut.DATAGRAM_INTERVAL), (0.005, 0.005)):
        lane = FanOut(Clock(), max_interval=configured).datagrams
        for _ in range(100):
            lane._begin()
        assert lane.interval == pytest.approx(longest, rel=0.01)
