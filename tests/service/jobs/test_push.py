"""A push, while its local stream and the other server come and go."""

import pytest

from tests.service.jobs.fakes import World, result_of


@pytest.fixture
def world() -> World:
    return World()


def test_a_push_waits_for_its_stream(world: World) -> None:
    """I can ask for a push before its stream is there: it waits without asking again, and starts when the stream comes."""
    job = world.add_push("ghost")
    assert world.states(job.id) == ("Waiting for stream", "Disconnected")
    assert len(world.clock.getDelayedCalls()) == len(World().clock.getDelayedCalls())
    world.clock.advance(3600)
    world.publish("other")
    assert (world.plugin.pushes, job.attempts) == ([], 0)
    world.publish("ghost")
    world.clock.advance(0)
    assert (len(world.plugin.pushes), world.states(job.id)[0]) == (1, "Connecting")
    stream = world.push.take()
    assert (stream.job, job.stream, world.states(job.id)[0]) == (job, stream, "Streaming")


@pytest.mark.parametrize("keep_alive", [True, False])
def test_a_push_starts_at_once_when_its_stream_is_there(world: World, keep_alive: bool) -> None:
    """Nothing is waited for that is there already."""
    world.publish("lobby")
    world.add_push("lobby", keepAlive=keep_alive)
    assert len(world.plugin.pushes) == 1


def test_a_stream_with_a_query_is_found(world: World) -> None:
    """A push of cam?quality=high sends cam when there is no such stream of the whole name."""
    world.add_push("cam?quality=high")
    world.publish("cam")
    world.clock.advance(0)
    assert len(world.plugin.pushes) == 1


def test_a_push_that_is_lost_comes_back(world: World) -> None:
    """When the other server drops us the push connects again, after a second, then more rarely."""
    world.publish()
    job = world.add_push()
    world.push.take()
    world.push.end("the connection is lost")
    assert world.states(job.id) == ("Disconnected", "Streaming")
    assert world.wait_for_attempt(world.plugin.pushes) == pytest.approx(1)
    world.push.end("connection refused")
    assert world.states(job.id)[0] == "Connection failed"
    assert 0.75 <= world.wait_for_attempt(world.plugin.pushes) <= 1


def test_a_push_waits_again_when_its_stream_has_ended(world: World) -> None:
    """A publisher who leaves and returns finds his push going again, with no attempt in between."""
    stream = world.publish()
    job = world.add_push()
    world.push.take()
    world.clock.advance(5)
    stream.end("unpublished")
    assert world.states(job.id)[0] == "Waiting for stream"
    world.clock.advance(3600)
    assert len(world.plugin.pushes) == 1
    world.publish()
    world.clock.advance(0)
    assert len(world.plugin.pushes) == 2
    world.push.take()
    assert (job.attempts, job.successes) == (2, 2)


def test_a_stream_that_ends_during_a_pause_ends_the_pause(world: World) -> None:
    """While there is nothing to send the other server is not bothered."""
    stream = world.publish()
    job = world.add_push()
    world.push.end("connection refused")
    stream.end("unpublished")
    assert world.states(job.id)[0] == "Waiting for stream"
    world.clock.advance(3600)
    assert len(world.plugin.pushes) == 1


def test_a_stream_that_flickers_does_not_storm_the_other_server(world: World) -> None:
    """However often a publisher comes and goes, there is at most one attempt a second."""
    world.add_push()
    for _ in range(50):
        stream = world.publish()
        world.clock.advance(0.05)
        if world.plugin.pushes and not world.push.over:
            world.push.take()
        stream.end("gone")
        world.clock.advance(0.05)
    assert 4 <= len(world.plugin.pushes) <= 6


def test_without_keep_alive_a_push_has_one_attempt(world: World) -> None:
    """A push that I asked for once waits for its stream, tries, and is forgotten."""
    job = world.add_push(keepAlive=False)
    assert world.states(job.id)[0] == "Waiting for stream"
    world.publish()
    world.clock.advance(0)
    world.push.end("connection refused")
    assert [*world.jobs] == []
    world.clock.advance(60)
    assert len(world.plugin.pushes) == 1


def test_the_same_stream_goes_to_many(world: World) -> None:
    """One stream can be pushed to several servers, and to one of them under several names."""
    world.publish()
    for number in range(3):
        world.add_push("lobby", targetStreamName=f"copy{number}")
    assert [attempt.settings["targetStreamName"] for attempt in world.plugin.pushes] == ["copy0", "copy1", "copy2"]


def test_removing_a_push_leaves_its_stream(world: World) -> None:
    """A push that I remove ends; the stream that it sent goes on."""
    stream = world.publish()
    job = world.add_push()
    world.push.take()
    result_of(world.jobs.remove([job], "removeConfig"))
    assert (world.push.over, stream.outbound, world.server.streams.outbound) == (True, {}, {})
    assert world.server.streams.inbound == {"lobby": stream}
