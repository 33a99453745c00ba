"""With hasIngestPoints only secret names can be published, and nobody sees them."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from twisted.internet.defer import ensureDeferred
from twisted.logger import LogEvent, formatEvent

from ems.events import Event
from ems.testing import APPLICATION
from tests.conversation import MemoryWorld, call, connect, create_stream, in_memory, play, publish

BAD_NAME = "NetStream.Publish.BadName"
NOT_FOUND = "NetStream.Play.StreamNotFound"


@pytest.fixture
def world(log_events: list[LogEvent]) -> Iterator[MemoryWorld]:
    """A server with one ingest point, whose secret name may not come into the log."""
    made = MemoryWorld(replace(APPLICATION, has_ingest_points=True))
    ensureDeferred(made.server.ingest_points.create("k9-secret", "stage"))
    yield made
    made.close()
    assert not [event for event in log_events if "k9-secret" in formatEvent(event)]


@in_memory
async def test_a_stream_appears_under_its_public_name(world: MemoryWorld) -> None:
    """R-036, R-037: published by the private name, known to everybody by the public one."""
    encoder = await world.client()
    encoder >> call("FCPublish", None, "k9-secret", transaction=7)
    await encoder.publish("k9-secret?token=x")
    stream = world.server.streams.by_name("stage")
    assert stream is not None
    assert stream.details["ingestPoint"] == "k9-secret"
    viewer = await world.client()
    await viewer.play("stage")
    assert "k9-secret" not in str(viewer.messages)
    encoder >> call("FCUnpublish", None, "k9-secret", transaction=9)
    await encoder.status("NetStream.Unpublish.Success")
    assert world.server.streams.inbound == {}


@in_memory
async def test_the_private_name_does_not_get_out_with_events(world: MemoryWorld) -> None:
    """Whoever listens to events learns that a stream came through an ingest point, and not through which."""
    events: list[Event] = []
    world.server.events.subscribe(events.append)
    encoder = await world.client()
    await encoder.publish("k9-secret")
    encoder >> call("deleteStream", None, 1.0)
    assert [event.payload["ingestPoint"] for event in events if event.type == "inStreamClosed"] == ["***"]
    assert "k9-secret" not in str(events)


@pytest.mark.parametrize("name", ["stage", "other", "K9-secret", "../k9-secret", "k9-secret/", "", "x" * 1_000_000])
@in_memory
async def test_another_name_is_refused_and_the_connection_closed(world: MemoryWorld, name: str) -> None:
    """R-034: the public name, or any other, is a BadName, and who guesses has to connect anew."""
    client = world.stranger()
    await client.shake()
    client >> connect()
    client >> create_stream(2)
    await client.heard("_result")
    client >> publish(name, 1)
    if len(name) < 1000 and name:
        await client.status(BAD_NAME)
    if name:
        await client.hung_up()
    assert world.server.streams.inbound == {}


@in_memory
async def test_the_private_name_cannot_be_played(world: MemoryWorld) -> None:
    """R-037: a player that knows the private name gets StreamNotFound."""
    client = await world.client()
    stream_id = int((await client.call("createStream", None))[1])
    for name in ("k9-secret", "k9-secret?x", "flv:k9-secret"):
        client >> play(name, stream_id)
        await client.status(NOT_FOUND)
