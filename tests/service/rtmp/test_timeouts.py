"""Nobody waits for ever: how long the server bears with a client that does not go on."""

import pytest

from ems.config import Application
from ems.testing import MemoryPeer
from tests.conversation import AVC_HEADER, MemoryWorld, RtmpClient, avc, call, in_memory, video


def seconds_until_closed(world: MemoryWorld, client: RtmpClient, at_most: int) -> int:
    """How many seconds pass until the server closes the connection."""
    for second in range(at_most):
        if client.closed:
            return second
        world.pass_time(1)
    raise AssertionError(f"still open after {at_most} s")


@pytest.mark.parametrize("sent", [b"", b"\3", b"\3" + bytes(1536), b"\3" + bytes(1536 + 1000)])
def test_the_handshake_has_5_seconds(world: MemoryWorld, sent: bytes) -> None:
    """Silence, and a client that never sends C2, end after 5 s."""
    peer = MemoryPeer(world.server, "inboundRtmp")
    peer.send(sent)
    world.pass_time(4)
    assert peer.connected
    world.pass_time(2)
    assert not peer.connected


@in_memory
async def test_connect_has_20_seconds(world: MemoryWorld) -> None:
    """Who shakes hands and does not connect is gone after 20 s."""
    client = world.stranger()
    await client.shake()
    assert seconds_until_closed(world, client, 30) in (20, 21)


@in_memory
async def test_a_client_that_does_nothing_goes_after_a_minute(world: MemoryWorld) -> None:
    """Who connects and neither publishes nor plays is gone after 60 s, also after it has played."""
    idle, stopped, playing = await world.client(), await world.client(), await world.client()
    await stopped.play("cam")
    await playing.play("cam")
    world.pass_time(10)
    stopped >> call("deleteStream", None, 1.0)
    assert seconds_until_closed(world, idle, 70) in (49, 50, 51)
    assert seconds_until_closed(world, stopped, 70) in (9, 10, 11)
    assert not playing.closed


@in_memory
async def test_a_completed_play_is_no_play(world: MemoryWorld) -> None:
    """Who has played for its duration and then does nothing is gone after a minute, too."""
    client = await world.client()
    await client.play("cam", -2000.0, 1000.0)
    assert seconds_until_closed(world, client, 70) in (60, 61, 62)


@in_memory
async def test_a_silent_player_is_asked_for_a_sign_of_life(world: MemoryWorld) -> None:
    """A player that says nothing is pinged, lives on as long as it answers, and is given up after 75 s when it does not."""
    client = await world.client()
    await client.play("cam")
    for _ in range(10):
        world.pass_time(21)
        assert client.transcript[-1].startswith("PingRequest")
        client.send_raw(b"\2\0\0\0\0\0\6\4\0\0\0\0\0\7" + client.messages[-1].payload[2:])
    assert not client.closed
    assert seconds_until_closed(world, client, 90) in (75, 76)


@in_memory
async def test_a_client_that_reads_nothing_cannot_stay(world: MemoryWorld) -> None:
    """A connection that the server has closed and whose peer does not read what is left is cut off within seconds."""
    client = await world.client()
    await client.play("cam")
    world.peer(client).transport.hold()
    client >> call("connect", {"app": "live"}, transaction=2)
    world.peer(client).protocol.close("the operator wants it")
    assert not client.closed
    assert seconds_until_closed(world, client, 10) in (5, 6)


def test_a_stream_without_frames_expires() -> None:
    """`streamsExpireTimer` ends a stream whose publisher sends nothing, and not one whose publisher sends on."""
    world = MemoryWorld(Application(name="ems", aliases=("live",), streams_expire_timer=10))

    async def script() -> None:
        silent, lively = await world.client(), await world.client()
        await silent.publish("silent")
        await lively.publish("lively")
        lively >> video(0, AVC_HEADER)
        for second in range(25):
            lively >> video(second * 1000, avc(b"x", key=True))
            world.pass_time(1)
        assert silent.closed
        assert list(world.server.streams.inbound) == ["lively"]

    world.run(script())
    world.close()
