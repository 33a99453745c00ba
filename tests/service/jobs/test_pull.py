"""A pull from the command to the end of its source, and on."""

import pytest
from twisted.logger import LogLevel

from ems.errors import CommandError
from ems.jobs.pauses import LONGEST
from tests.service.jobs.fakes import EPOCH, FakeAttempt, World, result_of


@pytest.fixture
def world() -> World:
    return World()


def test_the_life_of_a_pull(world: World) -> None:
    """I see what a pull is doing: connecting, connected, streaming, lost, and connecting again a second later."""
    job = world.add_pull()
    assert world.states(job.id) == ("Connecting", "Disconnected")
    world.pull.observer.connected()
    assert world.states(job.id) == ("Connected", "Connecting")
    stream = world.pull.bring()
    world.clock.advance(2)
    assert world.states(job.id)[0] == "Streaming"
    current = job.described["status"]["current"]
    assert current == {"code": 0, "description": "Streaming", "timestamp": EPOCH, "uniqueStreamId": stream.id, "reason": ""}
    world.pull.end("the connection is lost")
    assert world.states(job.id) == ("Disconnected", "Streaming")
    current = job.described["status"]["current"]
    assert (current["reason"], current["timestamp"], current["uniqueStreamId"]) == ("the connection is lost", EPOCH + 2, 0)
    assert job.described["status"]["previous"]["uniqueStreamId"] == stream.id
    assert world.wait_for_attempt(world.plugin.pulls) == pytest.approx(1)
    assert world.states(job.id) == ("Connecting", "Disconnected")


def test_an_attempt_that_reaches_nobody(world: World) -> None:
    """A source that does not answer is told as such, with the reason."""
    job = world.add_pull()
    world.pull.end("connection refused")
    assert world.states(job.id) == ("Connection failed", "Connecting")
    assert job.status.current.reason == "connection refused"


def test_a_source_that_returns_is_the_same_job(world: World) -> None:
    """Name, id and settings stay; the stream's own id is new; attempts are counted."""
    job = world.add_pull()
    first = world.pull.bring()
    assert first.job == job
    world.pull.end("lost")
    assert first.job is None
    for _ in range(2):
        world.wait_for_attempt(world.plugin.pulls)
        world.pull.end("connection refused")
    world.wait_for_attempt(world.plugin.pulls)
    second = world.pull.bring()
    assert second.id != first.id
    assert world.server.streams.inbound == {"lobby": second}
    assert (job.attempts, job.successes) == (4, 2)
    assert [attempt.settings for attempt in world.plugin.pulls] == [job.settings] * 4
    assert [*world.jobs] == [job]


def _stay_away(world: World, attempts: int) -> list[float]:
    """Refuse so many attempts; returns the pauses."""
    pauses = []
    for _ in range(attempts):
        world.pull.end("connection refused")
        pauses.append(world.wait_for_attempt(world.plugin.pulls))
    return pauses


def test_pauses_grow_while_the_source_is_away(world: World) -> None:
    """A source that is gone for a day is not asked 86400 times, but is back within ten seconds of its return."""
    world.add_pull()
    pauses = _stay_away(world, 200)
    assert pauses[0] == pytest.approx(1)
    assert max(pauses[:30]) <= 1
    assert max(pauses) <= LONGEST
    assert min(pauses[150:]) >= 0.75 * LONGEST


def test_streaming_makes_the_pauses_short_again(world: World) -> None:
    """After a second of pictures the next loss is answered within a second; after a moment of them it is not."""
    world.add_pull()
    _stay_away(world, 150)
    world.pull.bring()
    world.clock.advance(0.5)
    world.pull.end("lost")
    assert world.wait_for_attempt(world.plugin.pulls) > 5
    world.pull.bring()
    world.clock.advance(1)
    world.pull.end("lost")
    assert world.wait_for_attempt(world.plugin.pulls) == pytest.approx(1)


def test_a_source_that_flaps_fifty_times(world: World) -> None:
    """A bad line costs nothing but its gaps: one job, one stream, one attempt at a time, no timer left behind."""
    job = world.add_pull()
    for count in range(1, 51):
        stream = world.pull.bring()
        assert (world.server.streams.inbound, job.stream) == ({"lobby": stream}, stream)
        world.clock.advance(0.5)
        world.pull.end("lost")
        assert (world.server.streams.inbound, job.stream) == ({}, None)
        world.wait_for_attempt(world.plugin.pulls)
        assert (job.attempts, job.successes) == (count + 1, count)
        assert sum(not attempt.over for attempt in world.plugin.pulls) == 1
    idle = len(World().clock.getDelayedCalls())
    assert len(world.clock.getDelayedCalls()) == idle
    assert [*world.jobs] == [job]


def test_without_keep_alive_there_is_one_attempt(world: World) -> None:
    """A pull that I asked to try once is gone from the list when it has ended."""
    job = world.add_pull(keepAlive=False)
    assert world.jobs.by_id(job.id) == job
    world.pull.bring()
    world.pull.end("over")
    assert [*world.jobs] == []
    world.clock.advance(60)
    assert len(world.plugin.pulls) == 1
    assert world.add_pull().id > job.id


def test_a_name_belongs_to_one(world: World) -> None:
    """Two sources cannot have one name, whether the first is a publisher, a live pull, or a pull that waits for its source."""
    world.publish("stage")
    world.add_pull("lobby")
    for name in ("stage", "lobby"):
        with pytest.raises(CommandError, match=f"Stream name {name} already taken"):
            world.add_pull(name)
    world.pull.end("connection refused")
    with pytest.raises(CommandError, match="Stream name lobby already taken"):
        world.add_pull("lobby", "rtmp://192.0.2.41/other")
    assert len([*world.jobs]) == 1


def test_a_publisher_who_takes_the_name_meanwhile_is_let_alone(world: World) -> None:
    """A pull does not push a publisher out, and takes its name back when he has gone."""
    job = world.add_pull()
    world.pull.end("connection refused")
    stream = world.publish("lobby")
    world.clock.advance(30)
    assert len(world.plugin.pulls) == 1
    assert (world.states(job.id)[0], job.status.current.reason) == ("Connection failed", "Stream name lobby already taken")
    stream.end("gone")
    world.wait_for_attempt(world.plugin.pulls)
    world.pull.bring()
    assert world.states(job.id)[0] == "Streaming"


def test_removing_ends_the_stream(world: World) -> None:
    """A pull that I remove takes its stream along and does not come back."""
    job = world.add_pull()
    world.pull.bring()
    result_of(world.jobs.remove([job], "removeConfig"))
    assert world.pull.stopped == ["removeConfig"]
    assert world.server.streams.inbound == {}
    assert [*world.jobs] == []
    world.clock.advance(60)
    assert len(world.plugin.pulls) == 1


@pytest.mark.parametrize("when", ["connecting", "pausing"])
def test_removing_at_any_moment(world: World, when: str) -> None:
    """It does not matter what a pull is doing when I remove it."""
    job = world.add_pull()
    if when == "pausing":
        world.pull.end("connection refused")
    result_of(world.jobs.remove([job], "removeConfig"))
    world.clock.advance(60)
    assert len(world.plugin.pulls) == 1
    assert len(world.clock.getDelayedCalls()) == len(World().clock.getDelayedCalls())


def test_an_attempt_may_fail_at_once(world: World) -> None:
    """A puller may say that it is over before it has returned."""
    world.plugin.on_begin = lambda attempt: attempt.end("no route to host")
    job = world.add_pull()
    assert world.states(job.id)[0] == "Connection failed"
    assert world.wait_for_attempt(world.plugin.pulls) == pytest.approx(1)


def test_an_attempt_that_is_removed_while_it_begins_is_stopped(world: World) -> None:
    """A pull that is removed in the very moment of its attempt leaves no connection behind."""

    def remove(attempt: FakeAttempt) -> None:
        result_of(world.jobs.remove([*world.jobs], "removeConfig"))

    world.plugin.on_begin = remove
    world.add_pull()
    assert world.pull.stopped == ["removeConfig"]


def test_what_an_attempt_says_after_its_end_is_not_heard(world: World) -> None:
    """A puller that talks too much confuses nobody."""
    job = world.add_pull()
    old = world.pull
    old.end("connection refused")
    world.wait_for_attempt(world.plugin.pulls)
    world.pull.bring()
    old.observer.connected()
    old.observer.ended("again")
    assert world.states(job.id) == ("Streaming", "Connected")


def test_a_plugin_that_fails_is_told_and_tried_again(world: World, log_events: list[dict[str, object]]) -> None:
    """A mistake in a plugin is a failed attempt and a traceback in the log; the server goes on."""

    def fail(attempt: FakeAttempt) -> None:
        raise RuntimeError("out of paper")

    world.plugin.on_begin = fail
    job = world.add_pull()
    assert job.status.current.reason == "the plugin for rtmp failed: out of paper"
    assert [event for event in log_events if "log_failure" in event]
    log_events.clear()
    world.plugin.on_begin = lambda attempt: None
    world.wait_for_attempt(world.plugin.pulls)
    assert world.states(job.id)[0] == "Connecting"


def test_a_dead_source_does_not_fill_the_log(world: World, log_events: list[dict[str, object]]) -> None:
    """That a source is dead is said once, not every ten seconds; that it is back is said, too."""
    world.add_pull()
    for _ in range(20):
        world.pull.end("connection refused")
        world.wait_for_attempt(world.plugin.pulls)
    said = [event for event in log_events if "state" in event and event["log_level"] is LogLevel.info]
    assert [(event["state"], event["reason"]) for event in said] == [("Connection failed", "connection refused")]
    world.pull.bring()
    said = [event for event in log_events if event.get("state") == "Streaming"]
    assert len(said) == 1


def test_stopping_the_server_ends_all(world: World) -> None:
    """When the server stops no attempt is left, and none begins."""
    world.add_pull("a")
    world.add_pull("b")
    world.pull.bring()
    world.plugin.pulls[0].end("connection refused")
    world.jobs.stopService()
    world.clock.advance(60)
    assert len(world.plugin.pulls) == 2
    assert world.pull.stopped == ["the server stops"]
