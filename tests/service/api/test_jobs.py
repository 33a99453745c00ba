"""Pulls, pushes and their configurations by way of the doors: what clients of the original expect."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred

from ems.api.objects import OBJECTS
from ems.config.store import Store
from ems.jobs.service import JobService
from tests.service.api.conftest import Ask
from tests.service.api.doors import Bench, until
from tests.service.jobs.fakes import FakePlugin


@pytest.fixture
def plugin(bench: Bench, tmp_path: Path) -> Iterator[FakePlugin]:
    """The server of the test gets jobs whose other ends the test plays."""
    made = FakePlugin()
    plugins = dict.fromkeys(FakePlugin.schemes, made)
    bench.server.jobs.stopService()
    bench.server.jobs = JobService(bench.server, pullers=plugins, pushers=plugins, store=Store(tmp_path / "pushPullSetup.xml"))
    bench.server.jobs.startService()
    yield made
    bench.server.jobs.stopService()


def failed(description: str) -> dict[str, Any]:
    """The reply to a request that cannot be carried out."""
    return {"data": None, "description": description, "status": "FAIL"}


CAMERA = {
    "document": "7",
    "documentPath": "/cam/",
    "documentWithFullParameters": "7",
    "fullDocumentPath": "/cam/7",
    "fullDocumentPathWithParameters": "/cam/7",
    "fullParameters": "",
    "fullUri": "rtsp://192.0.2.40/cam/7",
    "fullUriWithAuth": "rtsp://192.0.2.40/cam/7",
    "host": "192.0.2.40",
    "ip": "192.0.2.40",
    "originalUri": "rtsp://192.0.2.40/cam/7",
    "parameters": {},
    "password": "",
    "port": 554,
    "portSpecified": False,
    "scheme": "rtsp",
    "userName": "",
}

PULL = {
    "audioCodecBytes": "",
    "configId": 1,
    "forceTcp": False,
    "httpProxy": "",
    "isAudio": True,
    "keepAlive": True,
    "localStreamName": "lobby",
    "operationType": 1,
    "pageUrl": "",
    "ppsBytes": "",
    "rangeEnd": -1,
    "rangeStart": -2,
    "rtcpDetectionInterval": 10,
    "sendRenewStream": False,
    "spsBytes": "",
    "ssmIp": "",
    "swfUrl": "",
    "tcUrl": "",
    "tos": 256,
    "ttl": 256,
}


@ensureDeferred
async def test_a_pull_is_answered_with_its_configuration(bench: Bench, plugin: FakePlugin, ask: Ask) -> None:
    """The reply has every setting, the defaults among them, and the address taken apart; through every door."""
    reply = await ask("pullStream uri=rtsp://192.0.2.40/cam/7 localStreamName=lobby")
    assert (reply["status"], reply["description"]) == ("SUCCESS", "Stream rtsp://192.0.2.40/cam/7 enqueued for pulling")
    expected = PULL | {"uri": CAMERA, "emulateUserAgent": bench.server.version.user_agent}
    assert reply["data"] == expected
    assert plugin.pulls[0].settings["uri"] == "rtsp://192.0.2.40/cam/7"


@ensureDeferred
async def test_how_long_reports_are_waited_for(bench: Bench, plugin: FakePlugin, tell: Ask) -> None:
    """config.lua says how long RTCP of a source is waited for, unless the command does."""
    application = replace(bench.server.config.application, rtcp_detection_interval=5)
    bench.server.config = replace(bench.server.config, application=application)
    await tell("pullStream uri=rtsp://192.0.2.40/a localStreamName=a")
    await tell("pullStream uri=rtsp://192.0.2.40/b localStreamName=b rtcpDetectionInterval=20")
    assert [pull.settings["rtcpDetectionInterval"] for pull in plugin.pulls] == [5, 20]


@ensureDeferred
async def test_names_in_capitals(plugin: FakePlugin, tell: Ask) -> None:
    """It does not matter how I write a command and its parameters."""
    reply = await tell("PULLSTREAM URI=rtsp://192.0.2.40/c LOCALSTREAMNAME=x")
    assert (reply["data"]["localStreamName"], reply["data"]["uri"]["document"]) == ("x", "c")


@ensureDeferred
async def test_a_pull_without_a_name_gets_one(plugin: FakePlugin, tell: Ask) -> None:
    """A stream that I give no name gets one that is free."""
    names = {(await tell("pullStream uri=rtsp://192.0.2.40/c"))["data"]["localStreamName"] for _ in range(3)}
    assert len(names) == 3
    assert all(re.fullmatch("stream_[A-Za-z0-9]{8}", name) for name in names)


@ensureDeferred
async def test_a_taken_name(bench: Bench, plugin: FakePlugin, tell: Ask) -> None:
    """A name that a stream or another pull has is refused."""
    bench.publish("stage")
    await tell("pullStream uri=rtsp://192.0.2.40/cam/7 localStreamName=lobby")
    for name in ("stage", "lobby"):
        reply = await tell(f"pullStream uri=rtsp://192.0.2.41/z localStreamName={name}")
        assert reply == failed(f"Stream name {name} already taken")


@pytest.mark.parametrize(
    ("line", "description"),
    [
        ("pullStream", "Syntax error. No parameters provided"),
        ("pullStream localStreamName=x", "Syntax error. Parameter uri is invalid"),
        ("pullStream uri=rtsp://192.0.2.40/a,b", "Syntax error. Parameter uri is invalid"),
        ("pullStream uri=nonsense", "Invalid URI: nonsense"),
        ("pullStream uri=mpegtsudp://192.0.2.1/a", "Invalid URI: mpegtsudp://192.0.2.1/a"),
        ("pullStream uri=rtmp://a..b/live/x", "Invalid URI: rtmp://a..b/live/x"),
        ("pullStream uri=rtsp://192.0.2.1/a ttl=257", "Syntax error. Parameter ttl is invalid. Range: 0 - 256"),
        (
            "pullStream uri=rtp://192.0.2.9:5004 isAudio=1",
            "Unable to pull RTP AUDIO stream without codec setup. Please include 'audioCodecBytes' parameter.",
        ),
        (
            "pullStream uri=rtp://192.0.2.9:5004 isAudio=0 spsBytes=Z0IAHg",
            "Unable to pull RTP VIDEO stream without SPS/PPS bytes. Please include 'spsBytes' AND 'ppsBytes' parameter.",
        ),
        (
            "pullStream uri=rtsp://192.0.2.1/a rangeStart=0 rangeTimeStart=10:00",
            "Must only fill either rangeStart/End or rangeTimeStart/End, not both",
        ),
        (
            "pullStream uri=rtsp://192.0.2.1/a rangeStart=30 rangeEnd=30",
            "rangeEnd has to be later than rangeStart, or -1, got 30",
        ),
        ("pullStream uri=rtsp://192.0.2.1/a rangeEnd=0", "rangeEnd has to be later than rangeStart, or -1, got 0"),
        ("pullStream uri=rtsp://192.0.2.1/a sourceType=tape", "sourceType can only have values of live or vod"),
        ("pullStream uri=rtsp://192.0.2.1/a httpProxy=192.0.2.1/path", "Unable to parse httpProxy: 192.0.2.1/path"),
        ("pullStream uri=rtsp://192.0.2.1/a httpProxy=192.0.2.1:99999", "Unable to parse httpProxy: 192.0.2.1:99999"),
        ("pullStream uri=rtsp://192.0.2.1/a httpProxy=me@192.0.2.1", "Unable to parse httpProxy: me@192.0.2.1"),
        (
            "pullStream uri=http://192.0.2.1/a",
            "Unable to pull requested stream: the scheme http is not known here; these are: rtmp, rtp, rtsp",
        ),
        (
            "pushStream uri=http://192.0.2.1/a localStreamName=x",
            "Unable to push requested stream: the scheme http is not known here; these are: rtmp, rtp, rtsp",
        ),
        ("pushStream uri=nonsense localStreamName=x", "Invalid URI: nonsense"),
        ("pushStream uri=rtmp://192.0.2.1/a", "Syntax error. Parameter localStreamName is invalid"),
        ("pushStream localStreamName=x", "Syntax error. Parameter uri is invalid"),
        (
            "pushStream uri=rtmp://198.51.100.9/live localStreamName=g targetStreamType=loud",
            "Syntax error for targetStreamType parameter. Type help for details",
        ),
        ("getConfigInfo id=7", "Config ID not found"),
        ("removeConfig id=4242", "Config ID not found"),
        ("removeConfig groupName=nobody", "Group nobody not found"),
        ("removeConfig removeHlsHdsFiles=1", "No id nor group name provided"),
        ("removeConfig id=0", "No id nor group name provided"),
        ("shutdownStream id=5", "Stream no longer available"),
    ],
)
@ensureDeferred
async def test_mistakes_are_told(plugin: FakePlugin, tell: Ask, line: str, description: str) -> None:
    """What I did wrong is said in words that clients know, and nothing is left of it."""
    assert await tell(line) == failed(description)
    assert all(not jobs for jobs in (await tell("listConfig"))["data"].values())


@pytest.mark.parametrize("address", ["169.254.169.254", "[fe80::1%25eth0]", "224.0.0.5"])
@ensureDeferred
async def test_addresses_that_are_out_of_bounds(plugin: FakePlugin, tell: Ask, address: str) -> None:
    """Nobody can have the server look into the services that a cloud offers to its machines."""
    for line in (f"pullStream uri=rtmp://{address}/a/b", f"pushStream uri=rtmp://{address}/a localStreamName=b"):
        reply = await tell(line)
        assert (reply["status"], plugin.pulls, plugin.pushes) == ("FAIL", [], [])


@ensureDeferred
async def test_a_loop_is_refused(bench: Bench, plugin: FakePlugin, tell: Ask) -> None:
    """A stream that would feed itself is refused, whatever this machine is called; another name is no loop."""
    port = bench.open("inboundRtmp")
    for host in ("127.0.0.1", "localhost", "0.0.0.0"):
        reply = await tell(f"pullStream uri=rtmp://{host}:{port}/live/lobby localStreamName=lobby")
        assert reply == failed(
            f"Unable to pull requested stream: lobby at rtmp://{host}:{port}/live/lobby is the very same stream"
        )
        reply = await tell(f"pushStream uri=rtmp://{host}:{port}/live localStreamName=lobby")
        assert reply == failed(f"Unable to push requested stream: lobby at rtmp://{host}:{port}/live is the very same stream")
    assert (await tell(f"pullStream uri=rtmp://127.0.0.1:{port}/live/lobby localStreamName=copy"))["status"] == "SUCCESS"
    push = await tell(f"pushStream uri=rtmp://127.0.0.1:{port}/live localStreamName=lobby targetStreamName=twin")
    assert push["status"] == "SUCCESS"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("evo", "EvoStream Media Server (www.evostream.com) player"),
        ("FMLE", "FMLE/3.0 (compatible; FMSc/1.0)"),
        ("wirecast", "Wirecast/FM 1.0 (compatible; FMSc/1.0)"),
        ("Flash", "MAC 11,3,300,265"),
        ("Mine/2", "Mine/2"),
    ],
)
@ensureDeferred
async def test_user_agents(plugin: FakePlugin, tell: Ask, given: str, told: str) -> None:
    """I can have the server call itself something else; four words stand for well-known programs."""
    pull = await tell(f"pullStream uri=rtmp://192.0.2.1/a/b emulateUserAgent={given}")
    push = await tell(f"pushStream uri=rtmp://192.0.2.1/a localStreamName=b emulateUserAgent={given}")
    assert [reply["data"]["emulateUserAgent"] for reply in (pull, push)] == [told, told]


@pytest.mark.parametrize(
    ("given", "kept", "ip"),
    [
        ("self", "self", "192.0.2.40"),
        ("SELF", "self", "192.0.2.40"),
        ("192.0.2.8", "192.0.2.8:80", ""),
        ("192.0.2.8:3128", "192.0.2.8:3128", ""),
        ("[2001:db8::8]:3128", "[2001:db8::8]:3128", ""),
    ],
)
@ensureDeferred
async def test_proxies(plugin: FakePlugin, tell: Ask, given: str, kept: str, ip: str) -> None:
    """A proxy is kept as address and port; the source's name is then the proxy's matter, and not resolved here."""
    reply = await tell(f"pullStream uri=rtsp://192.0.2.40/cam/7 httpProxy={given}")
    assert (reply["data"]["httpProxy"], reply["data"]["uri"]["ip"]) == (kept, ip)


@ensureDeferred
async def test_listing_configurations(plugin: FakePlugin, tell: Ask) -> None:
    """Every kind has its list; a job is there with its address as text, my own variables and its state."""
    empty = await tell("listConfig")
    kinds = ("dash", "hds", "hls", "mss", "process", "pull", "push", "record", "webrtc")
    assert (empty["description"], empty["data"]) == ("Run-time configuration", {kind: [] for kind in kinds})
    await tell("pullStream uri=rtmp://192.0.2.9/live/a localStreamName=n2 keepAlive=TRUE _crew=red")
    await tell("pullStream uri=rtmp://192.0.2.9/live/b localStreamName=n3 keepAlive=0")
    await tell("pushStream uri=rtmp://me:secret@198.51.100.9/live localStreamName=ghost")
    data = (await tell("listPullPushConfig"))["data"]
    (first, second), [push] = data["pull"], data["push"]
    assert (first["uri"], first["_crew"], first["keepAlive"]) == ("rtmp://192.0.2.9/live/a", "red", True)
    assert (second["localStreamName"], second["keepAlive"]) == ("n3", False)
    assert (push["targetUri"], push["status"]["current"]["description"]) == (
        "rtmp://me:secret@198.51.100.9/live",
        "Waiting for stream",
    )


@ensureDeferred
async def test_a_push_waits(bench: Bench, plugin: FakePlugin, tell: Ask) -> None:
    """A push of a stream that is not there yet is a success, and says so."""
    reply = await tell("pushStream uri=rtmp://198.51.100.9/live localStreamName=ghost")
    assert reply["description"] == "Local stream ghost enqueued for pushing to rtmp://198.51.100.9/live as ghost"
    data = reply["data"]
    assert data.pop("targetUri")["fullUri"] == "rtmp://198.51.100.9/live"
    assert data == {
        "configId": 1,
        "emulateUserAgent": bench.server.version.user_agent,
        "forceTcp": False,
        "httpProxy": "",
        "keepAlive": True,
        "localStreamName": "ghost",
        "operationType": 2,
        "pageUrl": "",
        "rtmpAbsoluteTimestamps": False,
        "sendChunkSizeRequest": True,
        "swfUrl": "",
        "targetStreamName": "ghost",
        "targetStreamType": "live",
        "tcUrl": "",
        "tos": 256,
        "ttl": 256,
        "useSourcePts": False,
    }
    bench.publish("ghost")
    await until(lambda: plugin.pushes, "the push")


@ensureDeferred
async def test_looking_at_a_running_pull(bench: Bench, plugin: FakePlugin, tell: Ask) -> None:
    """A pulled stream tells which pull it comes from, and the pull tells its stream."""
    config_id = (await tell("pullStream uri=rtsp://192.0.2.40/cam/7 localStreamName=lobby"))["data"]["configId"]
    stream = plugin.pulls[0].bring()
    info = (await tell(f"getStreamInfo id={stream.id}"))["data"]
    assert (info["connectionType"], info["pullSettings"]["configId"]) == (1, config_id)
    assert info["pullSettings"]["uri"] == "rtsp://192.0.2.40/cam/7"
    assert "status" not in info["pullSettings"]
    assert set(info) <= set(OBJECTS["stream"])
    config = await tell(f"getConfigInfo id={config_id}")
    assert (config["description"], config["data"]["configId"]) == ("Configuration Info", config_id)
    current, previous = (config["data"]["status"][key] for key in ("current", "previous"))
    assert (current["code"], current["description"], current["uniqueStreamId"]) == (0, "Streaming", stream.id)
    assert (previous["code"], previous["description"]) == (3, "Connected")


@ensureDeferred
async def test_looking_at_a_running_push(bench: Bench, plugin: FakePlugin, tell: Ask) -> None:
    """A stream that is pushed tells which push it belongs to."""
    bench.publish("lobby")
    await tell("pushStream uri=rtmp://198.51.100.9/live localStreamName=lobby")
    stream = plugin.pushes[0].take()
    info = (await tell(f"getStreamInfo id={stream.id}"))["data"]
    assert (info["connectionType"], info["pushSettings"]["targetUri"]) == (2, "rtmp://198.51.100.9/live")
    assert set(info) <= set(OBJECTS["stream"])


@ensureDeferred
async def test_removing_a_running_pull(bench: Bench, plugin: FakePlugin, tell: Ask, tmp_path: Path) -> None:
    """The reply has what has ended; stream, configuration and its entry in the file are gone."""
    await tell("pullStream uri=rtsp://192.0.2.40/cam/7 localStreamName=lobby")
    plugin.pulls[0].bring()
    assert "lobby" in (tmp_path / "pushPullSetup.xml").read_text()
    reply = await tell("removePullPushConfig id=1")
    assert (reply["description"], reply["data"]["localStreamName"]) == ("Configuration terminated", "lobby")
    assert (await tell("listStreamsIds"))["data"] == []
    assert (await tell("listConfig"))["data"]["pull"] == []
    assert "lobby" not in (tmp_path / "pushPullSetup.xml").read_text()


@ensureDeferred
async def test_removing_a_pull_that_does_not_run(bench: Bench, plugin: FakePlugin, tell: Ask) -> None:
    """A pull without a stream is removed as well, and the reply has no data."""
    await tell("pullStream uri=rtsp://192.0.2.40/cam/7")
    reply = await tell("removeConfig id=1")
    assert (reply["status"], reply["data"]) == ("SUCCESS", None)
    assert (await tell("listConfig"))["data"]["pull"] == []


@ensureDeferred
async def test_shutting_a_pulled_stream_down_for_now(bench: Bench, plugin: FakePlugin, tell: Ask) -> None:
    """With permanently=0 the stream comes back as another one of the same configuration."""
    await tell("pullStream uri=rtsp://192.0.2.40/cam/7 localStreamName=lobby")
    stream = plugin.pulls[0].bring()
    stream.close = plugin.pulls[0].end  # type: ignore[method-assign]
    reply = await tell(f"shutdownStream id={stream.id} permanently=0")
    assert (reply["description"], reply["data"]["streamInfo"]["name"]) == ("Stream closed", "lobby")
    assert reply["data"]["streamInfo"]["pullSettings"]["configId"] == 1
    await until(lambda: len(plugin.pulls) == 2, "the second attempt")
    assert plugin.pulls[1].bring().id != stream.id
    assert [job["configId"] for job in (await tell("listConfig"))["data"]["pull"]] == [1]


@ensureDeferred
async def test_shutting_a_pulled_stream_down_for_good(bench: Bench, plugin: FakePlugin, tell: Ask, tmp_path: Path) -> None:
    """Without permanently=0 the configuration is gone, too, from memory and from the file."""
    await tell("pullStream uri=rtsp://192.0.2.40/cam/7 localStreamName=lobby")
    await tell("pushStream uri=rtmp://198.51.100.9/live localStreamName=lobby")
    stream = plugin.pulls[0].bring()
    stream.close = plugin.pulls[0].end  # type: ignore[method-assign]
    assert (await tell("shutdownStream localStreamName=lobby"))["description"] == "Stream closed"
    data = (await tell("listConfig"))["data"]
    assert (data["pull"], [job["localStreamName"] for job in data["push"]]) == ([], ["lobby"])
    assert "rtsp://192.0.2.40/cam/7" not in (tmp_path / "pushPullSetup.xml").read_text()


@ensureDeferred
async def test_a_value_that_cannot_be_kept(bench: Bench, plugin: FakePlugin, tell: Ask) -> None:
    """A control character in a variable is refused in words."""
    reply = await tell("pullStream uri=rtmp://192.0.2.9/live/a _note=\x01")
    assert (reply["status"], "U+0001" in reply["description"]) == ("FAIL", True)
