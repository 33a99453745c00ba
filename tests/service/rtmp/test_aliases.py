"""With hasStreamAliases only aliases can be played."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ems.testing import APPLICATION
from tests.conversation import MemoryWorld, in_memory, play, publish

BAD_NAME = "NetStream.Publish.BadName"
NOT_FOUND = "NetStream.Play.StreamNotFound"


@pytest.fixture
def world() -> Iterator[MemoryWorld]:
    """A server with aliases."""
    made = MemoryWorld(replace(APPLICATION, has_stream_aliases=True))
    yield made
    made.close()


async def watches(world: MemoryWorld, name: str) -> bool:
    """Whether a new viewer that plays this name is let in."""
    client = await world.client()
    stream_id = int((await client.call("createStream", None))[1])
    client >> play(name, stream_id)
    await client.heard(lambda text: text.startswith("onStatus"))
    return not client.transcript[-1].endswith(NOT_FOUND)


@in_memory
async def test_a_ticket_is_for_one_viewer(world: MemoryWorld) -> None:
    """The first viewer with a one-shot alias sees the stream, the second does not, and the real name is of no use."""
    encoder = await world.client()
    await encoder.publish("lobby")
    world.server.aliases.add("t1", "lobby", -300)
    viewer = await world.client()
    await viewer.play("t1?session=4")
    stream = world.server.streams.by_name("lobby")
    assert stream is not None
    assert len(stream.outbound) == 1
    assert "lobby" not in str(viewer.messages)
    for name in ("t1", "lobby", "lobby?t1", "t1/../lobby"):
        assert not await watches(world, name)


@in_memory
async def test_time_and_use(world: MemoryWorld) -> None:
    """A timed alias serves everybody until it is over; an unused ticket expires; a lasting one stays."""
    world.server.aliases.add("hour", "lobby", 3600)
    world.server.aliases.add("ticket", "lobby", -60)
    world.server.aliases.add("always", "lobby", 0)
    for name in ("hour", "hour", "always", "always"):
        assert await watches(world, name)
    world.pass_time(61)
    assert not await watches(world, "ticket")
    assert [alias.name for alias in world.server.aliases] == ["hour", "always"]
    world.clock.advance(3600)
    assert not await watches(world, "hour")
    assert await watches(world, "always")


@in_memory
async def test_no_stream_takes_an_alias(world: MemoryWorld) -> None:
    """A publisher cannot put itself in the place of what an alias stands for."""
    world.server.aliases.add("t1", "lobby", 0)
    client = await world.client()
    stream_id = int((await client.call("createStream", None))[1])
    client >> publish("t1", stream_id)
    await client.status(BAD_NAME)
