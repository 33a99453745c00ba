"""What happens in a server, as events: which, in which order, and what they tell."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock

from ems.api.commands import load_commands
from ems.api.request import parse_request
from ems.config import AcceptorConfig, Application, EventLogger, EventSink
from ems.events import Event
from ems.reporting import Reporting
from ems.server import Server
from ems.service import EmsService
from ems.streams.outbound import OutboundStream
from ems.testing import MemoryPeer, testing_server
from tests.conversation import AAC_HEADER, AVC_HEADER, MemoryWorld, audio, call, group, in_memory, video
from tests.service.jobs.fakes import World


@pytest.fixture
def world() -> Iterator[MemoryWorld]:
    made = MemoryWorld()
    yield made
    made.close()


def heard(server: Server) -> list[Event]:
    """All events from now on."""
    events: list[Event] = []
    server.events.subscribe(events.append)
    return events


def of_streams(events: list[Event]) -> list[tuple[str, str]]:
    """The events about streams, each with the stream's type or kind."""
    return [(event.type, str(event.payload.get("type", ""))) for event in events if "tream" in event.type]


@in_memory
async def test_a_publisher_and_a_player_come_and_go(world: MemoryWorld) -> None:
    """Every step of both is told once, in the order in which it happens; codecs when they become known."""
    events = heard(world.server)
    publisher = await world.client()
    await publisher.publish("cam")
    publisher >> video(0, AVC_HEADER) >> audio(0, AAC_HEADER)
    for message in group(0):
        publisher >> message
    assert [(event.type, event.payload.get("type", "")) for event in events] == [
        ("carrierCreated", "IOHT_TCP_CARRIER"),
        ("protocolRegisteredToApp", ""),
        ("streamCreated", "NR"),
        ("inStreamCreated", "INR"),
        ("streamClosed", "NR"),
        ("inStreamCodecsUpdated", "INR"),
        ("inStreamCodecsUpdated", "INR"),
    ]
    created, codecs = events[3].payload, events[6].payload
    assert (created["name"], created["audio"], codecs["uniqueId"]) == ("cam", created["audio"], created["uniqueId"])
    assert [_codecs(event) for event in (events[3], events[5], events[6])] == [
        ("AUNK", "VUNK"),
        ("AUNK", "VH264"),
        ("AAAC", "VH264"),
    ]
    events.clear()

    player = await world.client()
    await player.play("cam")
    world.pass_time(1)
    player >> call("deleteStream", None, 1.0)
    publisher >> call("deleteStream", None, 1.0)
    world.pass_time(1)
    assert of_streams(events) == [
        ("streamCreated", "NR"),
        ("streamClosed", "NR"),
        ("outStreamCreated", "ONR"),
        ("outStreamCodecsUpdated", "ONR"),
        ("outStreamFirstFrameSent", "ONR"),
        ("outStreamClosed", "ONR"),
        ("inStreamClosed", "INR"),
    ]
    closed = next(event for event in events if event.type == "outStreamClosed")
    assert closed.payload["video"]["packetsCount"] == 5  # type: ignore[index, call-overload]
    assert _codecs(closed) == ("AAAC", "VH264")


def _codecs(event: Event) -> tuple[str, str]:
    payload: Any = event.payload
    return payload["audio"]["codec"], payload["video"]["codec"]


@in_memory
async def test_a_player_who_waits(world: MemoryWorld) -> None:
    """Who waits for a stream is told about when he comes; his codecs when the stream has them."""
    events = heard(world.server)
    player = await world.client()
    await player.play("cam")
    publisher = await world.client()
    await publisher.publish("cam")
    publisher >> video(0, AVC_HEADER)
    out = [event for event in events if event.type.startswith("outStream")]
    assert [event.type for event in out] == ["outStreamCreated", "outStreamCodecsUpdated"]
    assert out[0].payload["inStreamUniqueId"] is None
    inbound = next(event for event in events if event.type == "inStreamCreated")
    assert out[1].payload["inStreamUniqueId"] == inbound.payload["uniqueId"]


@in_memory
async def test_an_audience_costs_nothing_while_nobody_listens(world: MemoryWorld) -> None:
    """500 viewers join and their stream changes its codecs: no stream is described, because nobody wants to know."""
    server = world.server
    described: list[Event] = []
    server.events.subscribe(described.append, {"inStreamCreated"}.__contains__)
    stream = server.streams.register("cam", type_tag="INR", source=None)
    viewers = [CountingStream(server.streams, "cam", None) for _ in range(500)]
    for viewer in viewers:
        viewer.subscribe()
    stream.set_tracks(())
    for viewer in viewers:
        viewer.unsubscribe()
    assert len(described) == 1
    assert CountingStream.asked == 0
    stream.end("the test is over")


class CountingStream(OutboundStream):
    """Counts how often anybody looks at it."""

    asked = 0

    @property
    def details(self) -> dict[str, str]:
        CountingStream.asked += 1
        return {}


def test_a_feed_that_stops() -> None:
    """Pictures that stop while sound goes on are told once, and again after they have come back; then the silence of both."""
    clock = Clock()
    server = testing_server(clock, Application(name="ems", streams_expire_timer=10))
    events = heard(server)
    stream = server.streams.register("cam", type_tag="INR", source=None)
    counters = stream.statistics

    def frames(audio: int, video: int) -> None:
        counters.audio.packets += audio
        counters.video.packets += video
        stream.frame_count += audio + video
        clock.advance(10)

    for step in ((1, 1), (1, 1), (1, 0), (1, 0), (1, 1), (1, 0), (0, 0)):
        frames(*step)
    told = [
        (event.type, event.payload.get("id"), event.payload.get("localStreamName")) for event in events if "Feed" in event.type
    ]
    assert told == [
        ("videoFeedStopped", stream.id, "cam"),
        ("videoFeedStopped", stream.id, "cam"),
        ("audioFeedStopped", stream.id, "cam"),
    ]
    assert events[-1].type == "inStreamClosed"


def test_a_pull_that_fails() -> None:
    """Each attempt that is over is told, with the configuration of the pull."""
    world = World()
    events = heard(world.server)
    world.add_pull("cam")
    world.pull.end("nobody there")
    failed = [event for event in events if event.type == "pullStreamFailed"]
    assert [(event.payload["localStreamName"], event.payload["configId"]) for event in failed] == [("cam", 1)]


def test_connections_and_ports() -> None:
    """Who connects and by what, and which ports open and close."""
    clock = Clock()
    server = testing_server(clock)
    events = heard(server)
    peer = MemoryPeer(server, "inboundRtmp")
    peer.hang_up()
    clock.advance(1)
    assert [event.type for event in events] == [
        "carrierCreated",
        "protocolRegisteredToApp",
        "protocolUnregisteredFromApp",
        "carrierClosed",
    ]
    carrier, registered = events[0].payload, events[1].payload
    assert (carrier["nearPort"], carrier["farPort"]) == (1935, 40000)
    assert (registered["protocolType"], registered["customParameters"]) == ("IR", {})


def test_commands_are_told_without_their_secrets() -> None:
    """The request before it is carried out, the reply as it is sent, both without passwords."""
    server = testing_server(Clock())
    events = heard(server)
    line = parse_request(r"pullStream uri=rtmp://ann:secret@192.0.2.7/live/x keepAlive=maybe commandId=k7")
    assert line is not None
    asked: Deferred[Any] = ensureDeferred(load_commands().execute(server, line))
    assert asked.called
    request, reply = events
    assert (request.type, request.payload["command"]) == ("cliRequest", "pullStream")
    assert request.payload["parameters"] == {"uri": "rtmp://ann:***@192.0.2.7/live/x", "keepAlive": "maybe"}
    assert (reply.type, reply.payload["status"], reply.payload["responseId"]) == ("cliResponse", "FAIL", "k7")
    assert "secret" not in json.dumps([dict(event.payload) for event in events])
    plain = parse_request("version")
    assert plain is not None
    ensureDeferred(load_commands().execute(server, plain))
    assert events[2].payload["parameters"] is None
    assert events[3].payload["data"]["releaseNumber"] == server.version.release_number  # type: ignore[index, call-overload]


def test_the_server_comes_and_goes() -> None:
    """Start and stop are told with the version, and the application's with its configuration, but not the secrets in it."""
    sink = EventSink(type="RPC", url="http://ann:secret@192.0.2.5/hook", secret="secret")
    logger = EventLogger(sinks=(sink,))
    server = testing_server(Clock(), Application(name="ems", event_logger=logger, acceptors=(AcceptorConfig(port=1),)))
    events = heard(server)
    service = EmsService(server)
    Reporting(server).setServiceParent(service)
    service.startService()
    service.stopService()
    assert [event.type for event in events] == ["applicationStart", "serverStarted", "serverStopping", "applicationStop"]
    assert events[1].payload["banner"] == server.version.banner
    told = events[0].payload
    assert (told["id"], told["name"]) == (1, "ems")
    config: Any = told["config"]
    (shown,) = config["eventLogger"]["sinks"]
    assert (shown["url"], shown["secret"]) == ("http://ann:***@192.0.2.5/hook", "***")
    assert config["acceptors"][0]["port"] == 1
