"""Publishers log in, and nobody else publishes."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import ensureDeferred
from twisted.logger import LogEvent, formatEvent

from ems.config import Authentication, RtmpAuthentication
from ems.security import adobe
from ems.security.users import hashed_password
from ems.testing import APPLICATION
from tests.conversation import MemoryWorld, RtmpClient, call, connect, in_memory, publish

PASSWORD = "hunter3"

ENCODER = {"flashVer": "FMLE/3.0 (compatible; FMSc/1.0)", "type": "nonprivate"}

REJECTED = "NetConnection.Connect.Rejected"
BAD_NAME = "NetStream.Publish.BadName"


@pytest.fixture
def settings() -> dict[str, Any]:
    """What a test changes in ``authentication.rtmp``."""
    return {}


@pytest.fixture
def world(tmp_path: Path, settings: dict[str, Any], log_events: list[LogEvent]) -> Iterator[MemoryWorld]:
    """A server at which publishers have to log in; no password may come into its log."""
    users = tmp_path / "users.lua"
    users.write_text(f'users = {{ alice = "{PASSWORD}", bob = "{hashed_password("bob", PASSWORD)}" }}')
    rtmp = RtmpAuthentication(users_file=str(users), **settings)
    made = MemoryWorld(replace(APPLICATION, authentication=Authentication(rtmp=rtmp)))
    ensureDeferred(made.server.rtmp_gate.switch(True))
    yield made
    made.close()
    assert [event for event in log_events if "log_failure" in event] == []
    assert not [event for event in log_events if PASSWORD in formatEvent(event)]


async def refused(world: MemoryWorld, app: str, **properties: Any) -> str:
    """Connect, and return the description of the refusal after which the server hangs up."""
    client = world.stranger()
    await client.shake()
    client >> connect(app, **(properties or ENCODER))
    description = (await client.status(REJECTED))["description"]
    assert client.transcript[-2:] == [f"_error {REJECTED}", "close"]
    await client.hung_up()
    return str(description)


async def challenge(world: MemoryWorld, user: str) -> dict[str, str]:
    """Ask for a challenge and return its fields."""
    description = await refused(world, f"live?authmod=adobe&user={user}")
    assert description.startswith("[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&")
    return dict(field.split("=", 1) for field in description.partition("?")[2].split("&"))


def answer(user: str, password: str, fields: dict[str, str]) -> str:
    """The application with the response to a challenge."""
    salted = adobe.salted_hash(user, fields["salt"], password)
    response = adobe.expected_response(salted, fields["opaque"], "c1")
    return f"live?authmod=adobe&user={user}&challenge=c1&response={response}&opaque={fields['opaque']}"


async def log_in(world: MemoryWorld, user: str, password: str = PASSWORD) -> RtmpClient:
    """Do all three connections of a login."""
    assert await refused(world, "live") == adobe.NEED_AUTHENTICATION
    return await world.client(answer(user, password, await challenge(world, user)), **ENCODER)


@pytest.mark.parametrize("user", ["alice", "bob"])
@in_memory
async def test_an_encoder_logs_in(world: MemoryWorld, user: str) -> None:
    """Refused, challenged, admitted: then it publishes, and its login is not in what is told of the stream."""
    client = await log_in(world, user)
    await client.publish("cam")
    stream = world.server.streams.by_name("cam")
    assert stream is not None
    assert stream.details["tcUrl"] == "rtmp://127.0.0.1/live"


@pytest.mark.parametrize(("user", "password"), [("alice", "wrong"), ("bob", "wrong"), ("mallory", PASSWORD), ("", PASSWORD)])
@in_memory
async def test_wrong_password_and_unknown_user_are_told_the_same(world: MemoryWorld, user: str, password: str) -> None:
    """Nobody learns by trying which users there are."""
    if not user:
        assert await refused(world, "live?authmod=adobe&user=") == adobe.NEED_AUTHENTICATION
        return
    fields = await challenge(world, user)
    assert len(fields["salt"]) == 22
    assert (await challenge(world, user))["salt"] == fields["salt"]
    assert await refused(world, answer(user, password, fields)) == adobe.FAILED


@in_memory
async def test_a_recorded_login_is_worth_nothing(world: MemoryWorld) -> None:
    """The same response a second time, a challenge that is a minute old, another user's, a guessed one: all fail."""
    fields = await challenge(world, "alice")
    right = answer("alice", PASSWORD, fields)
    await world.client(right, **ENCODER)
    assert await refused(world, right) == adobe.FAILED
    late = await challenge(world, "alice")
    world.pass_time(61)
    assert await refused(world, answer("alice", PASSWORD, late)) == adobe.FAILED
    of_bob = await challenge(world, "bob")
    assert await refused(world, answer("alice", PASSWORD, of_bob)) == adobe.FAILED
    assert await refused(world, answer("alice", PASSWORD, {"salt": fields["salt"], "opaque": "vgoAAA=="})) == adobe.FAILED


@in_memory
async def test_guessing_is_slow(world: MemoryWorld) -> None:
    """After ten wrong passwords the answers take seconds; the right one is still accepted."""
    for _ in range(10):
        await refused(world, answer("alice", "wrong", await challenge(world, "alice")))
    app = answer("alice", PASSWORD, await challenge(world, "alice"))
    client = world.stranger()
    await client.shake()
    before = world.clock.seconds()
    client >> connect(app, **ENCODER)
    await client.status("NetConnection.Connect.Success")
    assert 5 < world.clock.seconds() - before < 8


@in_memory
async def test_players_come_in_but_do_not_publish(world: MemoryWorld) -> None:
    """A player needs no login; when it publishes all the same it is told why it may not."""
    client = await world.client()
    stream_id = await client.play("cam")
    client >> call("releaseStream", None, "cam", transaction=8)
    assert "authentication" in (await client.status(BAD_NAME))["description"]
    client >> call("FCPublish", None, "cam", transaction=9)
    await client.status(BAD_NAME)
    client >> publish("cam", stream_id)
    assert "authentication" in (await client.status(BAD_NAME))["description"]
    assert world.server.streams.inbound == {}


@pytest.mark.parametrize(
    "properties",
    [{"flashVer": "FMLE/3.0"}, {"flashVer": "Wirecast/FM 1.0 (compatible; FMSc/1.0)"}, {"type": "nonprivate"}, ENCODER],
)
@in_memory
async def test_whoever_looks_like_an_encoder_is_asked(world: MemoryWorld, properties: dict[str, Any]) -> None:
    """flashVer or type give an encoder away: it is asked to log in, as it expects."""
    assert await refused(world, "live", **properties) == adobe.NEED_AUTHENTICATION


@pytest.mark.parametrize("settings", [{"authenticate_play": True}])
@in_memory
async def test_players_are_asked_when_the_configuration_says_so(world: MemoryWorld) -> None:
    """With authenticatePlay nobody comes in without a login."""
    assert await refused(world, "live", flashVer="LNX 9,0,124,2") == adobe.NEED_AUTHENTICATION
    client = await log_in(world, "alice")
    await client.play("cam")


@pytest.mark.parametrize("settings", [{"token": "sesame"}])
@in_memory
async def test_a_token_lets_in(world: MemoryWorld) -> None:
    """Who has the shared secret needs no user name."""
    client = await world.client("live?token=sesame", **ENCODER)
    await client.publish("cam")
    assert await refused(world, "live?token=sesam") == adobe.NEED_AUTHENTICATION


@in_memory
async def test_the_switch_works_at_once(world: MemoryWorld) -> None:
    """Off: everybody publishes. On again: who came in meanwhile goes on with what runs and begins nothing new."""
    await world.server.rtmp_gate.switch(False)
    client = await world.client(**ENCODER)
    await client.publish("cam")
    await world.server.rtmp_gate.switch(True)
    stream_id = int((await client.call("createStream", None))[1])
    client >> publish("other", stream_id)
    await client.status(BAD_NAME)
    assert set(world.server.streams.inbound) == {"cam"}


@in_memory
async def test_a_broken_users_file_lets_nobody_in(world: MemoryWorld, tmp_path: Path, log_events: list[LogEvent]) -> None:
    """While users.lua cannot be read logins fail, as for a wrong password, and the log says what is wrong with the file."""
    fields = await challenge(world, "alice")
    (tmp_path / "users.lua").write_text(f'users = {{ alice = "{PASSWORD}')
    assert await refused(world, answer("alice", PASSWORD, fields)) == adobe.FAILED
    assert any("users.lua:1: unfinished string" in formatEvent(event) for event in log_events)


@in_memory
async def test_nonsense_in_the_login_is_survived(world: MemoryWorld) -> None:
    """Endless, empty and odd fields are refused like any other; a second connect while one is judged changes nothing."""
    for query in ("user=" + "x" * 1000, "user=%00&response=%ff", "user=a&response=" + "x" * 20000, "user=ü&opaque=ü&response=ü"):
        assert "AccessManager.Reject" in await refused(world, f"live?authmod=adobe&{query}")
    client = world.stranger()
    await client.shake()
    client >> connect(**ENCODER) >> connect(**ENCODER)
    await client.status(REJECTED)
    await client.hung_up()


def test_many_refusals_cost_little(tmp_path: Path) -> None:
    """Judging a thousand hostile connect calls takes a fraction of a second."""
    users = tmp_path / "users.lua"
    users.write_text('users = { alice = "x" }')
    world = MemoryWorld(replace(APPLICATION, authentication=Authentication(rtmp=RtmpAuthentication(users_file=str(users)))))
    ensureDeferred(world.server.rtmp_gate.switch(True))
    before = time.process_time()
    for number in range(1000):
        app = f"live?authmod=adobe&user=u{number}&response=x&opaque=y"
        world.server.rtmp_gate.judge(app, ENCODER, f"10.0.{number >> 8}.{number & 255}")
    assert time.process_time() - before < 1
    world.close()
