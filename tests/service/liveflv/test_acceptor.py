"""FLV that is sent to the liveFLV port of the server."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogEvent

from ems.config import AcceptorConfig
from ems.formats import amf0
from ems.formats.amf0 import EcmaArray
from ems.media.frame import MILLISECOND
from ems.media.track import Codec, Kind
from ems.protocols.liveflv.wire import MAX_TAG
from ems.testing import MemoryPeer, RecordingSink, testing_server
from tests.conversation import AAC_HEADER, AVC_HEADER, aac, assert_nothing_left, avc
from tests.flv import HEADER, tag
from tests.unit.media.vectors import HVCC_MAIN

VIDEO, AUDIO, SCRIPT = 9, 8, 18


def metadata(**values: Any) -> bytes:
    """The tag of an onMetaData."""
    return tag(SCRIPT, 0, amf0.encode("onMetaData", EcmaArray(values)))


def clip(pictures: int = 5, start: int = 0) -> bytes:
    """Configuration, then pictures and sounds 40 ms apart; the times are in milliseconds."""
    parts = [tag(VIDEO, start, AVC_HEADER), tag(AUDIO, start, AAC_HEADER)]
    for number in range(pictures):
        time = start + 40 * number
        parts.append(tag(VIDEO, time, avc(b"picture %d" % number, key=number == 0, composition_ms=40)))
        parts.append(tag(AUDIO, time, aac(b"sound %d" % number)))
    return b"".join(parts)


class World:
    """A server on a clock, and those who send to it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.server = testing_server(self.clock)
        self.peers: list[MemoryPeer] = []
        self.sink = RecordingSink()
        self.server.streams.observers.append(self)

    def stream_came(self, stream: Any) -> None:
        stream.add_sink(self.sink)

    def stream_left(self, stream: Any, reason: str) -> None:
        """The sink has been told."""

    def peer(self, **config: Any) -> MemoryPeer:
        """Somebody who is connected to an acceptor with this configuration."""
        acceptor = AcceptorConfig(ip="127.0.0.1", protocol="inboundLiveFlv", **config)
        self.peers.append(MemoryPeer(self.server, "inboundLiveFlv", acceptor))
        return self.peers[-1]

    @property
    def names(self) -> set[str]:
        """The streams there are."""
        return set(self.server.streams.inbound)

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(int(seconds * 10)):
            self.clock.advance(0.1)


@pytest.fixture
def world(log_events: list[LogEvent]) -> Iterator[World]:
    """A server; fails the test when its log has a traceback, or when anything is left."""
    made = World()
    yield made
    for peer in made.peers:
        peer.hang_up()
    made.pass_time(0.3)
    assert_nothing_left(made.server)
    assert [event for event in log_events if "log_failure" in event] == []


@pytest.mark.parametrize("piece", [1, 13, 1000])
def test_what_is_sent_becomes_a_stream(world: World, piece: int) -> None:
    """Pictures and sounds come out as they went in, at their times, however the network has cut them."""
    data, peer = HEADER + clip(), world.peer(local_stream_name="cam")
    for start in range(0, len(data), piece):
        peer.send(data[start : start + piece])
    assert world.server.streams.inbound["cam"].type_tag == "INLFLV"
    assert [track.codec for track in world.sink.tracks] == [Codec.H264, Codec.AAC]
    assert [frame.dts // MILLISECOND for frame in world.sink.frames] == [0, 0, 40, 40, 80, 80, 120, 120, 160, 160]
    assert [frame.pts - frame.dts for frame in world.sink.frames[:2]] == [40 * MILLISECOND, 0]
    assert world.sink.frames[1].data == b"sound 0"
    peer.hang_up()
    world.pass_time(0.2)
    assert world.sink.reason is not None


def test_a_stream_without_a_name_is_called_after_its_sender(world: World) -> None:
    """Without a name it is `<ip>_<port>`."""
    world.peer().send(HEADER + clip())
    assert world.names == {"127.0.0.1_40000"}


def test_the_name_can_come_with_the_metadata(world: World) -> None:
    """With waitForMetadata the stream is called as its sender says, and everybody is told what else that has said."""
    peer = world.peer(wait_for_metadata=True, local_stream_name="other")
    peer.send(HEADER + clip(1))
    assert not world.names, "pictures before the name are lost"
    peer.send(metadata(streamName="mine", title="a title") + clip(2, start=40))
    assert world.names == {"mine"}
    assert world.server.streams.inbound["mine"].metadata["title"] == "a title"
    assert [frame.data for frame in world.sink.frames if frame.track.kind is Kind.AUDIO] == [b"sound 0", b"sound 1"]


def test_configuration_before_the_metadata_is_kept(world: World) -> None:
    """An encoder that sends its configuration first and its metadata then is played all the same."""
    peer = world.peer(wait_for_metadata=True)
    peer.send(HEADER + tag(VIDEO, 0, AVC_HEADER) + metadata(streamName="mine") + tag(VIDEO, 0, avc(b"first", key=True)))
    assert [frame.track.codec for frame in world.sink.frames] == [Codec.AMF0, Codec.H264]


def test_metadata_without_a_name(world: World) -> None:
    """Then the acceptor's name counts, or the sender's address."""
    world.peer(wait_for_metadata=True, local_stream_name="cam").send(HEADER + metadata(streamName=7) + clip(1))
    world.peer(wait_for_metadata=True).send(HEADER + metadata() + clip(1))
    assert world.names == {"cam", "127.0.0.1_40000"}


@pytest.mark.parametrize("name", ["../etc/passwd", "", "a\0b", "x" * 5000])
def test_names_that_are_none_are_refused(world: World, name: str) -> None:
    """A sender cannot choose a name that leads out of a folder or breaks a line; an empty one is none."""
    peer = world.peer(wait_for_metadata=True, local_stream_name="cam")
    peer.send(HEADER + metadata(streamName=name) + clip(1))
    world.pass_time(0.2)
    assert world.names == ({"cam"} if not name else set())
    assert peer.connected is (not name)


def test_a_taken_name_closes_the_connection(world: World) -> None:
    """Who comes second is turned away."""
    first, second = world.peer(local_stream_name="cam"), world.peer(local_stream_name="cam")
    first.send(HEADER + clip(1))
    second.send(HEADER + clip(1))
    world.pass_time(0.2)
    assert (first.connected, second.connected) == (True, False)


def test_ingest_points_hide_the_name(world: World) -> None:
    """With ingest points on, what the sender says is the private name."""
    points = world.server.ingest_points
    points.enabled = True
    points._add("secret", "public")
    world.peer(wait_for_metadata=True).send(HEADER + metadata(streamName="secret") + clip(1))
    intruder = world.peer(wait_for_metadata=True)
    intruder.send(HEADER + metadata(streamName="public") + clip(1))
    world.pass_time(0.2)
    assert world.names == {"public"}
    assert world.server.streams.inbound["public"].details["ingestPoint"] == "secret"
    assert not intruder.connected


def test_enhanced_flv_is_read(world: World) -> None:
    """HEVC comes in by its FourCC."""
    sequence = tag(VIDEO, 0, b"\x90hvc1" + HVCC_MAIN)
    picture = tag(VIDEO, 0, b"\x93hvc1" + (6).to_bytes(4, "big") + b"\x26\1\xafabc")
    world.peer(local_stream_name="cam").send(HEADER + sequence + picture)
    assert [frame.track.codec for frame in world.sink.frames] == [Codec.H265]


def test_the_clock_may_wrap(world: World) -> None:
    """After 49 days the 32-bit times begin anew; viewers see nothing of it."""
    world.peer(local_stream_name="cam").send(HEADER + clip(20, start=(1 << 32) - 400))
    times = [frame.dts // MILLISECOND for frame in world.sink.frames if frame.track.kind is Kind.VIDEO]
    assert times == [40 * number for number in range(20)]


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n\r\n", HEADER + bytes((VIDEO,)) + (MAX_TAG + 1).to_bytes(3, "big") + bytes(7)],
    ids=["no FLV", "a tag that is too large"],
)
def test_what_is_no_flv_is_cut_off(world: World, data: bytes) -> None:
    """Whoever sends something else is closed at once."""
    peer = world.peer()
    peer.send(data)
    world.pass_time(0.2)
    assert not peer.connected


def test_who_says_nothing_is_cut_off(world: World) -> None:
    """A connection that brings no stream does not stay."""
    peer = world.peer()
    peer.send(HEADER)
    world.pass_time(21)
    assert not peer.connected


@pytest.mark.parametrize("seed", range(5))
def test_damaged_streams_do_no_harm(world: World, seed: int) -> None:
    """Whatever is damaged on the way, the connection lives on or ends in order; the log has no traceback."""
    chance, whole = random.Random(seed), HEADER + metadata(streamName="cam") + clip(20)
    for number in range(20):
        damaged = bytearray(whole)
        for _ in range(chance.randrange(1, 60)):
            damaged[chance.randrange(13, len(damaged))] = chance.randrange(256)
        world.peer(local_stream_name=f"cam{number}").send(bytes(damaged))
    world.pass_time(0.2)
