"""A stream and its sinks: who joins late, who fails, and what the end looks like."""

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogEvent
from zope.interface import implementer

from ems.interfaces import IFrameSink
from ems.media.frame import Frame
from ems.media.track import Track
from ems.streams.inbound import InboundStream
from ems.streams.manager import StreamManager
from ems.testing import RecordingSink, stream_of
from tests.unit.streams.frames import AUDIO, DATA, NEW_VIDEO, VIDEO, frame, group


@pytest.fixture
def streams() -> StreamManager:
    """A stream manager whose clock stands still."""
    return StreamManager(Clock())


@pytest.fixture
def stream(streams: StreamManager) -> Iterator[InboundStream]:
    """A stream of pictures and sound without frames."""
    made = streams.register("cam", type_tag="INEXT", source=None)
    made.set_tracks((VIDEO, AUDIO))
    yield made


@implementer(IFrameSink)
class FailingSink:
    """Fails in one of its three methods."""

    def __init__(self, method: str) -> None:
        self._method = method
        self.calls = 0

    def _called(self, method: str) -> None:
        self.calls += 1
        if method == self._method:
            raise RuntimeError(f"{method} fails")

    def tracks_changed(self, tracks: tuple[Track, ...]) -> None:
        self._called("tracks_changed")

    def frame(self, frame: Frame) -> None:
        self._called("frame")

    def ended(self, reason: str) -> None:
        self._called("ended")


def test_a_sink_gets_everything_in_order(stream: InboundStream) -> None:
    """Tracks first, then every frame, then the end."""
    sink = RecordingSink()
    stream.add_sink(sink)
    for one in group(0):
        stream.push(one)
    stream.set_tracks((NEW_VIDEO, AUDIO))
    stream.end("over")
    assert [name for name, _ in sink.calls] == ["tracks_changed", *["frame"] * 5, "tracks_changed", "ended"]
    assert sink.frames == group(0)
    assert (sink.tracks, sink.reason) == ((NEW_VIDEO, AUDIO), "over")


def test_a_late_sink_is_primed(stream: InboundStream) -> None:
    """Who comes late gets the tracks and everything since the last key frame, then every frame once."""
    for one in [*group(0), *group(200)]:
        stream.push(one)
    sink = RecordingSink()
    stream.add_sink(sink)
    stream.push(frame(AUDIO, 401))
    assert sink.calls[0] == ("tracks_changed", (VIDEO, AUDIO))
    assert sink.frames == [*group(200), frame(AUDIO, 401)]


def test_the_same_tracks_again_are_no_change(stream: InboundStream) -> None:
    """A source that repeats its configuration disturbs nobody."""
    sink = RecordingSink()
    stream.add_sink(sink)
    stream.set_tracks((VIDEO, AUDIO))
    assert len(sink.calls) == 1


@pytest.mark.parametrize("method", ["tracks_changed", "frame", "ended"])
def test_a_failing_sink_is_dropped_and_the_source_goes_on(
    streams: StreamManager, stream: InboundStream, method: str, log_events: list[LogEvent]
) -> None:
    """A sink that raises gets nothing any more; the others miss nothing, and the log has the reason."""
    bad, good = FailingSink(method), RecordingSink()
    stream.add_sink(bad)
    stream.add_sink(good)
    for one in group(0):
        stream.push(one)
    stream.set_tracks((NEW_VIDEO, AUDIO))
    stream.end("over")
    assert good.frames == group(0)
    assert good.reason == "over"
    assert bad.calls == {"tracks_changed": 1, "frame": 2, "ended": 8}[method]
    assert len([event for event in log_events if "log_failure" in event]) == 1
    assert streams.inbound == {}


def test_a_sink_that_fails_while_it_is_primed_is_not_added(stream: InboundStream, log_events: list[LogEvent]) -> None:
    """Who adds a sink is not troubled by its failure, and the sink is not fed."""
    for one in group(0):
        stream.push(one)
    bad = FailingSink("frame")
    stream.add_sink(bad)
    stream.push(frame(AUDIO, 300))
    assert bad.calls == 2
    assert len([event for event in log_events if "log_failure" in event]) == 1


def test_a_sink_may_leave_while_it_is_fed(stream: InboundStream) -> None:
    """A sink that removes itself, or another, in the midst of a frame does not disturb the others."""
    others = [RecordingSink(), RecordingSink()]

    @implementer(IFrameSink)
    class Leaving(RecordingSink):
        def frame(self, frame: Frame) -> None:
            super().frame(frame)
            stream.remove_sink(self)

    leaving = Leaving()
    for sink in (others[0], leaving, others[1]):
        stream.add_sink(sink)
    for one in group(0):
        stream.push(one)
    assert [len(sink.frames) for sink in (others[0], leaving, others[1])] == [5, 1, 5]


def test_what_passes_is_counted(stream: InboundStream) -> None:
    """Packets and bytes by kind; data counts as a sign of life only."""
    for one in [*group(0, size=100), frame(AUDIO, 5, size=30), frame(DATA, 6)]:
        stream.push(one)
    assert (stream.statistics.video.packets, stream.statistics.video.bytes) == (5, 500)
    assert (stream.statistics.audio.packets, stream.statistics.audio.bytes) == (1, 30)
    assert stream.frame_count == 7


def test_an_end_is_told_once(stream: InboundStream) -> None:
    """However often a stream is ended, sinks hear it once."""
    sink = RecordingSink()
    stream.add_sink(sink)
    for reason in ("first", "second"):
        stream.end(reason)
    assert [value for name, value in sink.calls if name == "ended"] == ["first"]


def test_a_closed_stream_takes_its_source_along(streams: StreamManager) -> None:
    """Closing a stream closes the connection that brings it."""
    closed: list[str] = []

    class Source:
        peer_name = "somewhere"

        def close(self, reason: str) -> None:
            closed.append(reason)

    source: Any = Source()
    streams.register("cam", type_tag="INR", source=source).close("shut down")
    assert closed == ["shut down"]
    assert streams.inbound == {}


def test_a_stream_made_of_frames(streams: StreamManager) -> None:
    """The fake for plugin authors: tracks come from the frames, and late sinks begin with the last key frame."""
    stream = stream_of([frame(AUDIO, 0), *group(0), *group(200)], streams, "fake")
    assert streams.by_name("fake") is stream
    assert stream.tracks == (VIDEO, AUDIO)
    sink = RecordingSink()
    stream.add_sink(sink)
    assert sink.frames == group(200)
