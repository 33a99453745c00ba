"""Consumers that live on a feed, whatever protocol they speak: what they see when they come, pause and leave."""

from typing import Any

import pytest
from twisted.internet.task import Clock

from ems.media.track import Track
from ems.streams.fed import NEVER, FedOutbound
from ems.streams.feed import Feed
from ems.streams.inbound import InboundStream
from ems.streams.manager import StreamManager
from ems.streams.outlet import Outlet
from tests.unit.streams.frames import AUDIO, VIDEO, group
from tests.unit.streams.transports import PlainTransport, TextFeed


class Consumer(FedOutbound):
    """A player of the tests' wire format; the `Outlet` takes it for a connection."""

    __slots__ = ("_way", "bytes_sent", "transport")

    def __init__(self, streams: StreamManager, clock: Clock) -> None:
        connection: Any = self
        super().__init__(streams, "cam", None)
        self.bytes_sent = 0
        self.transport: Any = PlainTransport()
        self.transport.clock = clock
        self._way = Outlet(connection, streams.fan_out)
        self._way.write(b"{}")

    def feed(self, stream: InboundStream) -> Feed:
        return stream.feed("text", lambda: TextFeed(self._manager.fan_out))

    def outlet(self) -> Outlet:
        return self._way

    def left_out(self, tracks: tuple[Track, ...], fed: tuple[Track, ...]) -> str:
        return ",".join(track.codec.value for track in tracks if track is AUDIO)

    def source_came(self) -> None:
        self.join()

    def source_left(self, reason: str) -> None:
        self.leave()
        self.left_at = NEVER

    @property
    def pictures(self) -> int:
        """How many have arrived."""
        return int(self.transport.received.count(b"<video"))


@pytest.fixture
def clock() -> Clock:
    """The time of the streams."""
    return Clock()


@pytest.fixture
def streams(clock: Clock) -> StreamManager:
    """Nothing is published."""
    return StreamManager(clock)


def publish(streams: StreamManager) -> InboundStream:
    """The stream that consumers wait for."""
    stream = streams.register("cam", type_tag="INEXT", source=None)
    stream.set_tracks((VIDEO, AUDIO))
    return stream


def push(clock: Clock, stream: InboundStream, start: int) -> None:
    """A group of five pictures, and time for it to arrive."""
    for frame in group(start):
        stream.push(frame)
    clock.advance(0.2)


def test_who_comes_back_sees_no_picture_twice(streams: StreamManager, clock: Clock) -> None:
    """A consumer that leaves and joins goes on with the next key frame; what it was sent is counted over both times."""
    stream = publish(streams)
    consumer = Consumer(streams, clock)
    consumer.subscribe()
    push(clock, stream, 0)
    consumer.leave()
    push(clock, stream, 200)
    assert (consumer.pictures, consumer.statistics.video.packets) == (5, 5)
    consumer.join()
    push(clock, stream, 400)
    assert (consumer.pictures, consumer.statistics.video.packets) == (15, 15)
    consumer.leave()
    consumer.join()
    assert consumer.pictures == 15
    push(clock, stream, 600)
    assert (consumer.pictures, consumer.statistics.video.packets) == (20, 20)


def test_a_new_source_begins_anew(streams: StreamManager, clock: Clock) -> None:
    """When the stream goes and comes, its new clock has nothing to do with the old one."""
    stream = publish(streams)
    consumer = Consumer(streams, clock)
    consumer.subscribe()
    push(clock, stream, 10_000)
    stream.end("over")
    again = publish(streams)
    push(clock, again, 0)
    assert consumer.pictures == 10


def test_nobody_left_means_nothing_is_made(streams: StreamManager, clock: Clock) -> None:
    """The feed of a form is made while somebody gets it, and no longer."""
    stream = publish(streams)
    first, second = Consumer(streams, clock), Consumer(streams, clock)
    first.subscribe()
    second.subscribe()
    assert first.feed(stream) is second.feed(stream)
    first.unsubscribe()
    assert len(stream._feeds) == 1
    second.unsubscribe()
    assert len(stream._feeds) == 0
    assert stream.outbound == {}


def test_what_a_consumer_does_not_get_is_told(streams: StreamManager, clock: Clock) -> None:
    """While it is fed, what it cannot be sent can be read in its description."""
    consumer = Consumer(streams, clock)
    consumer.subscribe()
    assert consumer.details == {}
    publish(streams)
    assert consumer.details == {"leftOut": "aac"}
    consumer.leave()
    assert consumer.details == {}
