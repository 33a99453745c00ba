"""Aliases, ingest points, limits and authentication by command: what clients of the original expect, and what is stored."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred

from ems.access import guard
from ems.config import Authentication, RtmpAuthentication
from ems.config.store import Store
from tests.service.api.conftest import Ask
from tests.service.api.doors import Bench, call, make_bench
from tests.service.api.test_commands import failed

Configure = Callable[..., None]


@pytest.fixture
def configure(bench: Bench, tmp_path: Path) -> Configure:
    """Starts the guards anew with other settings; what they store goes into the test's folder."""

    def change(**settings: Any) -> None:
        server = bench.server
        server.config = replace(server.config, application=replace(server.config.application, **settings))
        server.runtime = type("Folder", (), {"directory": tmp_path, "resolve": tmp_path.joinpath})  # type: ignore[assignment]
        for part in guard(server, lambda path: Store(tmp_path / path)):
            part.startService()

    return change


@pytest_twisted.async_yield_fixture
async def bench() -> AsyncIterator[Bench]:
    """A server whose guards stop with it."""
    made = make_bench()
    yield made
    await made.server.acceptors.stopService()
    made.server.aliases.stopService()


@ensureDeferred
async def test_aliases(tell: Ask, configure: Configure) -> None:
    """Compatibility cases 53 to 55, decision 12."""
    configure(has_stream_aliases=True)
    assert await tell("addStreamAlias localStreamName=lobby aliasName=t1 expirePeriod=-300") == {
        "data": {"aliasName": "t1", "expirePeriod": -300, "localStreamName": "lobby"},
        "description": "Alias applied",
        "status": "SUCCESS",
    }
    listed = await tell("listStreamAliases")
    assert listed["description"] == "Currently available aliases"
    (alias,) = listed["data"]
    assert alias.pop("creationTime") > 1_600_000_000
    assert alias == {"aliasName": "t1", "expirePeriod": 300, "localStreamName": "lobby", "oneShot": True, "permanent": False}
    assert (await tell("addStreamAlias localStreamName=lobby aliasName=t2"))["data"]["expirePeriod"] == -600
    assert (await tell("removeStreamAlias aliasName=t2"))["data"] == {"aliasName": "t2"}
    assert await tell("removeStreamAlias aliasName=t2") == failed("Unable to remove stream alias: there is no alias t2")
    flushed = await tell("flushStreamAliases")
    assert (flushed["data"], flushed["description"]) == (None, "All aliases are flushed")
    assert (await tell("listStreamAliases"))["data"] == []


@ensureDeferred
async def test_an_alias_does_not_hide_a_stream(tell: Ask, configure: Configure, bench: Bench) -> None:
    """The name of a live stream is refused, and a stream cannot take an alias."""
    configure(has_stream_aliases=True)
    bench.publish("lobby")
    reply = await tell("addStreamAlias localStreamName=other aliasName=lobby")
    assert reply == failed("Unable to set stream alias: lobby is the name of a stream")


@ensureDeferred
async def test_aliases_off(tell: Ask) -> None:
    """Compatibility case 56: without hasStreamAliases nothing can be set or removed."""
    assert await tell("addStreamAlias localStreamName=a aliasName=b") == failed("Unable to set stream alias")
    assert await tell("removeStreamAlias aliasName=b") == failed("Unable to remove stream alias")


@ensureDeferred
async def test_ingest_points(tell: Ask, configure: Configure, tmp_path: Path) -> None:
    """R-035, R-039, R-040, compatibility cases 58 and 59: created, listed, stored, removed."""
    configure(has_ingest_points=True)
    names = {"privateStreamName": "k9", "publicStreamName": "stage"}
    created = await tell("createIngestPoint privateStreamName=k9 publicStreamName=stage")
    assert created == {"data": names, "description": "Ingest point created", "status": "SUCCESS"}
    assert '<STR name="k9">stage</STR>' in (tmp_path / "ingestpoints.xml").read_text()
    for private, public in (("x", "x"), ("k9", "y"), ("x", "stage")):
        reply = await tell(f"createIngestPoint privateStreamName={private} publicStreamName={public}")
        assert reply == failed(f"Unable to create ingest point `{private}` -> `{public}`")
    assert (await tell("listIngestPoints"))["data"] == [names]
    removed = await tell("removeIngestPoint privateStreamName=k9")
    assert removed == {"data": names, "description": "Ingest point removed", "status": "SUCCESS"}
    assert "k9" not in (tmp_path / "ingestpoints.xml").read_text()
    assert await tell("removeIngestPoint privateStreamName=k9") == failed("there is no ingest point k9")
    assert (await tell("listIngestPoints"))["data"] == []


@ensureDeferred
async def test_ingest_points_off(tell: Ask) -> None:
    """Without hasIngestPoints none can be created."""
    reply = await tell("createIngestPoint privateStreamName=k9 publicStreamName=stage")
    assert reply == failed("Unable to create ingest point `k9` -> `stage`")


@ensureDeferred
async def test_the_limit_of_connections(tell: Ask, configure: Configure, bench: Bench, tmp_path: Path) -> None:
    """Compatibility case 64: set, stored, and in force for whoever comes next; control doors are never closed."""
    configure()
    port = bench.open("inboundRtmp")
    reply = await tell("setConnectionsCountLimit count=1")
    assert reply == {"data": {"current": 0, "limit": 1}, "description": "Connection counters", "status": "SUCCESS"}
    assert '<UINT32 name="">1</UINT32>' in (tmp_path / "connlimits.xml").read_text()
    first = await call(port)
    assert (await tell("getConnectionsCountLimit"))["data"] == {"current": 1, "limit": 1}
    second = await call(port)
    await second.gone()
    assert not first.lost
    (service,) = [service for service in (await tell("listServices"))["data"] if service["port"] == port]
    assert (service["acceptedConnectionsCount"], service["droppedConnectionsCount"]) == (1, 1)
    await tell("setConnectionsCountLimit count=0")
    third = await call(port)
    assert (await tell("getConnectionsCountLimit"))["data"] == {"current": 2, "limit": 0}
    for caller in (first, third):
        caller.transport.abortConnection()


@ensureDeferred
async def test_the_limit_of_bandwidth(tell: Ask, configure: Configure, bench: Bench, tmp_path: Path) -> None:
    """Compatibility case 65: numbers in bytes a second, stored; who comes while it is passed is turned away."""
    configure()
    reply = await tell("setBandwidthLimit in=0 out=2000000")
    assert reply["description"] == "Bandwidth in B/s"
    assert reply["data"]["max"] == {"in": 0.0, "out": 2000000.0}
    assert set(reply["data"]["current"]) == {"in", "out"}
    assert await tell("getBandwidth") == reply
    assert '<DOUBLE name="out">2000000.000</DOUBLE>' in (tmp_path / "bandwidthlimits.xml").read_text()
    port = bench.open("inboundRtmp")
    bench.server.connections.counters.speed = (0.0, 2000001.0)
    refused = await call(port)
    await refused.gone()


@ensureDeferred
async def test_the_switch_of_authentication(tell: Ask, configure: Configure, tmp_path: Path) -> None:
    """R-015: the switch answers its state and is stored; without users in the configuration nobody is locked out."""
    assert (await tell("setAuthentication enabled=1"))["status"] == "FAIL"
    (tmp_path / "users.lua").write_text('users = { alice = "x" }')
    configure(authentication=Authentication(rtmp=RtmpAuthentication(users_file="users.lua")))
    for word, state in (("1", True), ("false", False), ("on", True)):
        reply = await tell(f"setAuthentication enabled={word}")
        assert reply == {"data": {"enabled": state}, "description": "Authentication mode updated", "status": "SUCCESS"}
        assert f">{str(state).lower()}</BOOL>" in (tmp_path / "auth.xml").read_text()
    assert (await tell("setAuthentication enabled=maybe"))["description"].startswith("Syntax error. Parameter enabled is invalid")


@ensureDeferred
async def test_a_disk_that_fails_stops_no_command(tell: Ask, configure: Configure, tmp_path: Path) -> None:
    """In a folder that cannot be written the settings hold until the server ends."""
    configure(connections_limit_persistence_file="blocked/connlimits.xml")
    (tmp_path / "blocked").write_text("not a folder")
    assert (await tell("setConnectionsCountLimit count=7"))["data"]["limit"] == 7


@ensureDeferred
async def test_an_acceptor_goes_by_its_lists(tell: Ask, configure: Configure, bench: Bench, tmp_path: Path) -> None:
    """An address that is put on the blacklist is turned away from then on."""
    configure()
    black = tmp_path / "black.txt"
    black.write_text("# nobody yet\n")
    bench.server.runtime = type("Folder", (), {"directory": tmp_path})  # type: ignore[assignment]
    port = bench.open("inboundRtmp", blacklist="black.txt")
    friend = await call(port)
    black.write_text("127.0.0.0/8\n")
    stranger = await call(port)
    await stranger.gone()
    assert not friend.lost
    friend.transport.abortConnection()
