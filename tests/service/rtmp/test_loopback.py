"""The same over real sockets: the way out that sends straight to the kernel, and TCP's own back-pressure."""

from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
import pytest_twisted
from twisted.logger import LogEvent

from tests.conversation import AUDIO, AVC_HEADER, VIDEO, LoopbackWorld, avc, group, sleep, video

Test = Callable[[LoopbackWorld], Awaitable[None]]


@pytest.fixture
def reactor() -> Any:
    """The reactor of the tests."""
    from twisted.internet import reactor

    return reactor


@pytest_twisted.async_yield_fixture
async def world(reactor: Any, log_events: list[LogEvent]) -> AsyncIterator[LoopbackWorld]:
    """A server on a free port. Fails the test when the log has a traceback or the server keeps anything."""
    made = LoopbackWorld(reactor)
    yield made
    await made.close()
    assert [event for event in log_events if "log_failure" in event] == []


@pytest_twisted.ensureDeferred
async def test_what_is_published_is_what_many_play(world: LoopbackWorld) -> None:
    """Twenty players get every frame of a stream in order, each from a key frame on."""
    publisher = await world.client()
    await publisher.publish("cam")
    publisher >> video(0, AVC_HEADER)
    for message in group(0):
        publisher >> message
    players = [await world.client() for _ in range(20)]
    for player in players:
        await player.play("cam")
        await player.heard("video 160 inter")
    for start in range(200, 2000, 200):
        for message in group(start):
            publisher >> message
        await sleep(world.reactor, 0.002)
    for player in players:
        await player.heard("video 1960 inter")
        received = [m for m in player.messages if m.type_id == VIDEO][1:]
        assert received == [m for start in range(0, 2000, 200) for m in group(start) if m.type_id == VIDEO]


@pytest_twisted.ensureDeferred
async def test_large_frames_and_control_messages_never_mix(world: LoopbackWorld) -> None:
    """While megabytes are on their way to a player, the answers to its calls come between messages, not inside them."""
    publisher = await world.client()
    publisher.set_chunk_size(60_000)
    await publisher.publish("cam")
    player = await world.client()
    await player.play("cam")
    publisher >> video(0, AVC_HEADER)
    for index in range(40):
        publisher >> video(40 * index, avc(bytes((index,)) * 300_000, key=True))
        await player.call("getStreamLength", None, "cam")
    await player.heard("video 1560 key")
    for body in player.payloads(VIDEO)[1:]:
        assert body[9:] == b"\x65" + body[10:11] * 300_000


@pytest_twisted.ensureDeferred
async def test_a_stopped_player_goes_on_with_a_key_frame(world: LoopbackWorld) -> None:
    """A player that stops reading while 60 MB pass costs the server no memory to speak of, and goes on with a key frame."""
    publisher = await world.client()
    publisher.set_chunk_size(60_000)
    await publisher.publish("cam")
    publisher >> video(0, AVC_HEADER)
    stuck, well = await world.client(), await world.client()
    for player in (stuck, well):
        await player.play("cam")
    world.transport(stuck).stopReading()  # type: ignore[attr-defined]
    bodies = [avc(index.to_bytes(4, "big") + bytes(200_000), key=index % 10 == 0) for index in range(300)]
    for index, body in enumerate(bodies):
        publisher >> video(40 * index, body)
        await well.until(lambda index=index: len(well.payloads(VIDEO)) == index + 2)
    connection = world.server_end(stuck)
    buffered = len(connection.transport.dataBuffer) + sum(map(len, connection.transport._tempDataBuffer))
    assert buffered < 1 << 20
    world.transport(stuck).startReading()  # type: ignore[attr-defined]
    await stuck.until(lambda: stuck.payloads(VIDEO)[-1:] == bodies[-1:])
    numbers = [int.from_bytes(body[10:14], "big") for body in stuck.payloads(VIDEO)[1:]]
    assert len(numbers) < len(bodies)
    for before, after in pairwise(numbers):
        assert after == before + 1 or (after > before and after % 10 == 0)
    assert all(body == bodies[number] for number, body in zip(numbers, stuck.payloads(VIDEO)[1:], strict=True))
    played = next(o for o in world.server.streams.outbound.values() if o.connection is connection).statistics.video
    assert (played.packets, played.packets + played.dropped_packets) == (len(numbers), len(bodies))


@pytest_twisted.ensureDeferred
async def test_a_player_that_vanishes_in_mid_frame(world: LoopbackWorld) -> None:
    """Players that hang up while frames are on their way disturb neither publisher nor other players."""
    publisher = await world.client()
    publisher.set_chunk_size(60_000)
    await publisher.publish("cam")
    publisher >> video(0, AVC_HEADER)
    well = await world.client()
    await well.play("cam")
    for index in range(30):
        leaving = await world.client()
        await leaving.play("cam")
        publisher >> video(40 * index, avc(bytes(500_000), key=True))
        world.transport(leaving).abortConnection()  # type: ignore[attr-defined]
        await well.until(lambda index=index: len(well.payloads(VIDEO)) == index + 2)
    await well.heard("video 1160 key")
    assert well.payloads(AUDIO) == []
    assert not publisher.closed
