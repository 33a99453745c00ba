"""Commands by way of every door: what clients of the original expect, byte for byte where they compare."""

import re
from typing import Any

import pytest
from pytest_twisted import ensureDeferred

from ems.api.command import UINT64_MAX
from ems.api.objects import OBJECTS
from tests.service.api.conftest import Ask
from tests.service.api.doors import AnyData, Bench, call, until


def failed(description: str) -> dict[str, Any]:
    """The reply to a request that cannot be carried out."""
    return {"data": None, "description": description, "status": "FAIL"}


@ensureDeferred
async def test_version(ask: Ask) -> None:
    """I can see what server answers, whatever capitals I use."""
    for name in ("version", "VERSION", "Version"):
        reply = await ask(name)
        assert (reply["status"], reply["description"]) == ("SUCCESS", "Version")
        if not isinstance(reply["data"], AnyData):
            keys = {"banner", "branchName", "buildDate", "buildNumber", "codeName", "hash", "releaseNumber"}
            assert set(reply["data"]) == keys
            assert all(isinstance(value, str) for value in reply["data"].values())


@ensureDeferred
async def test_an_unknown_command(ask: Ask) -> None:
    """A typing error is told with a hint where to look."""
    assert await ask("noSuchThing a=1") == failed("command nosuchthing not known. Type help for list of commands")


@ensureDeferred
async def test_the_command_id_comes_back(tell: Ask) -> None:
    """I can tell replies apart, also those of failures, and also when I use an id twice."""
    for _ in range(2):
        assert (await tell("version commandId=k17"))["responseId"] == "k17"
    assert (await tell("removeConfig commandId=x\\ y"))["responseId"] == "x y"
    assert "responseId" not in await tell("version commandId=")


@pytest.mark.parametrize(
    ("line", "description"),
    [
        ("removeConfig", "Syntax error. No parameters provided"),
        ("getStreamInfo", "Syntax error. No parameters provided"),
        ("removeTimer id=07", "Syntax error. Parameter id is invalid"),
        ("pushStream uri=rtmp://a/b", "Syntax error. Parameter localStreamName is invalid"),
        (
            "pushStream uri=rtmp://198.51.100.9/live localStreamName=g targetStreamType=loud",
            "Syntax error for targetStreamType parameter. Type help for details",
        ),
        (
            "createHLSStream localStreamNames=hi targetFolder=/data/out playlistType=endless",
            "Syntax error for appending parameter. Type help for details",
        ),
        (
            "record localStreamName=lobby pathToFile=/data/out/a type=avi",
            "Syntax error for type parameter. Type help for details",
        ),
        (
            "addStreamAlias localStreamName=a aliasName=b expirePeriod=90000",
            "Syntax error. Parameter expirePeriod is invalid. Range: -86401 - 86401",
        ),
        ("setLogLevel level=7", "Syntax error. Parameter level is invalid. Range: -1 - 6"),
        ("getStreamInfo id=99", "Stream 0:99 not found"),
        (f"getStreamInfo id={7 << 32 | 5}", "Stream 7:5 not found"),
        (f"getStreamInfo id={UINT64_MAX + 1}", f"Syntax error. Parameter id is invalid. Range: 0 - {UINT64_MAX}"),
        ("getStreamInfo localStreamName=x", "Stream x not found"),
        ("getStreamInfo bogus=1", "id or localStreamName parameters needs to be supplied"),
        ("getStreamInfo id=5 localStreamName=lobby", "id and localStreamName must not go together, choose only 1"),
        ("isStreamRunning id=5 localStreamName=lobby", "id and localStreamName must not go together, choose only 1"),
        ("shutdownStream id=5", "Stream no longer available"),
        ("shutdownStream permanently=0", "id or localStreamName parameters needs to be supplied"),
        ("getConnectionInfo id=3", "Connection 0:3 not found"),
        ("enableService id=3 enable=0", "Service with id 3 not found"),
        ("shutdownService id=3", "Service with id 3 not found"),
        ("createService ip=localhost port=19351 protocol=inboundRtmp", "Invalid ip"),
        ("createService ip=127.0.0.1 port=19351 protocol=inboundUdpTs", "Invalid protocol"),
        ("createService ip=127.0.0.1 port=19351 protocol=foo", "Invalid protocol"),
        ("createService ip=127.0.0.1 port=0 protocol=inboundRtmp", "Syntax error. Parameter port is invalid. Range: 1 - 65535"),
        ("shutdownServer other=1", "Syntax error. Parameter key is invalid"),
        (
            "pullStream uri=rtsp://192.0.2.40/cam/7",
            "Unable to pull requested stream: the scheme rtsp is not known here; these are: none",
        ),
        ("uploadMedia port=1", "Syntax error. Parameter targetFolder is invalid"),
    ],
)
@ensureDeferred
async def test_mistakes_are_told(ask: Ask, line: str, description: str) -> None:
    """What I did wrong is said in words that clients know."""
    assert await ask(line) == failed(description)


@ensureDeferred
async def test_a_comma_makes_a_list(tell: Ask) -> None:
    """An address with a comma needs an escape on a request line."""
    assert await tell("pullStream uri=rtsp://192.0.2.40/a,b") == failed("Syntax error. Parameter uri is invalid")
    assert (await tell("pullStream uri=rtsp://192.0.2.40/a\\,b"))["description"].startswith("Unable to pull requested stream")


@ensureDeferred
async def test_an_unknown_parameter_is_ignored(ask: Ask, log_events: list[dict[str, Any]]) -> None:
    """Clients may send more than this server knows; its log tells which."""
    assert (await ask("listStreams disableInternalStream=1"))["description"] == "Available streams"
    remarks = [event["remark"] for event in log_events if "remark" in event]
    assert remarks == ["listStreams: unknown parameter 'disableInternalStream' ignored; did you mean disableInternalStreams?"]


@pytest.mark.parametrize(
    ("line", "description", "data"),
    [
        ("listStreams", "Available streams", []),
        ("listStreamsIds", "Available stream IDs", []),
        ("listInboundStreams", "Available inbound streams", []),
        ("listInboundStreamNames", "Inbound local stream names", []),
        ("getStreamsCount", "Active streams count", {"streamCount": 0}),
        ("getInboundStreamsCount", "Active inbound streams", {"inboundStreamsCount": 0}),
        ("isStreamRunning localStreamName=lobby", "Stream status:", {"Running": False}),
        ("isStreamRunning id=5", "Stream status:", {"Running": False}),
        ("clientsConnected", "EMS outbound client connections count", {"outboundCount": 0}),
        ("listConnections", "Available connections", []),
        ("listConnectionsIds", "Available connection IDs", []),
        ("getConnectionsCount", "Active connections count", {"count": 0}),
        ("resetMaxFdCounters", "Max counters are cleared", None),
        ("resetTotalFdCounters", "Total counters are cleared", None),
        ("setLogLevel level=2", "Log level is set", None),
        ("quit", "Bye!", None),
    ],
)
@ensureDeferred
async def test_an_idle_server(ask: Ask, line: str, description: str, data: Any) -> None:
    """On a fresh server everything is empty, and lists are lists."""
    assert await ask(line) == {"data": data, "description": description, "status": "SUCCESS"}


@ensureDeferred
async def test_set_log_level(bench: Bench, tell: Ask) -> None:
    """I can have the log tell more, or nothing."""
    await tell("setLogLevel level=6")
    await tell("setLogLevel level=-1")
    assert bench.log_levels == [6, -1]


@ensureDeferred
async def test_looking_at_a_stream(bench: Bench, tell: Ask) -> None:
    """A published stream is listed, counted and described."""
    stream, _ = bench.publish("lobby")
    viewer = bench.play("lobby")
    assert (await tell("listStreamsIds"))["data"] == sorted([stream.id, viewer.id])
    assert (await tell("getStreamsCount"))["data"] == {"streamCount": 2}
    assert (await tell("getInboundStreamsCount"))["data"] == {"inboundStreamsCount": 1}
    assert (await tell("listInboundStreamNames"))["data"] == [{"name": "lobby"}]
    assert (await tell("isStreamRunning localStreamName=lobby"))["data"] == {"Running": True}
    assert (await tell(f"isStreamRunning id={viewer.id}"))["data"] == {"Running": True}
    by_id = (await tell(f"getStreamInfo id={stream.id}"))["data"]
    by_name = (await tell("getStreamInfo LOCALSTREAMNAME=lobby"))["data"]
    for described in (by_id, by_name):
        assert described.pop("queryTimestamp") > described["creationTimestamp"] > 1e12
        described.pop("upTime")
    assert by_id == by_name
    audio = {"codec": "AAAC", "codecNumeric": 4702111241970122752}
    video = {"codec": "VH264", "codecNumeric": 6217274493967007744, "width": 1280, "height": 720, "profile": 66, "level": 31}
    counters = dict.fromkeys(("packetsCount", "bytesCount", "droppedPacketsCount", "droppedBytesCount"), 0)
    by_id.pop("creationTimestamp")
    assert by_id.pop("processId") > 0
    assert by_id == {
        "appName": "evostreamms",
        "audio": audio | counters,
        "bandwidth": 612,
        "connectionType": 0,
        "farIp": "203.0.113.8",
        "farPort": 50110,
        "ip": "198.51.100.2",
        "name": "lobby",
        "nearIp": "198.51.100.2",
        "nearPort": 1935,
        "outStreamsUniqueIds": [viewer.id],
        "port": 1935,
        "processType": "origin",
        "type": "INR",
        "typeNumeric": 5282249572905648128,
        "uniqueId": stream.id,
        "video": video | counters,
    }


@ensureDeferred
async def test_every_key_is_in_the_reference(bench: Bench, tell: Ask) -> None:
    """docs/api/objects.md explains whatever key a reply has."""
    bench.publish("lobby")[0].details["userAgent"] = "probe/1"
    bench.play("lobby")
    for stream in (await tell("listStreams"))["data"]:
        assert set(stream) <= set(OBJECTS["stream"])
        assert set(stream["audio"]) < set(stream["video"]) == set(OBJECTS["track"])
    [connection] = (await tell("listConnections"))["data"]
    assert set(connection) <= set(OBJECTS["connection"])
    assert set(connection["carrier"]) == set(OBJECTS["carrier"])
    assert all(set(layer) <= set(OBJECTS["layer"]) for layer in connection["stack"])
    assert all(set(service) <= set(OBJECTS["service"]) for service in (await tell("listServices"))["data"])


@ensureDeferred
async def test_listing_streams(bench: Bench, tell: Ask) -> None:
    """Lists have what getStreamInfo has, for streams in and out; internal ones can be left out."""
    stream, _ = bench.publish("lobby")
    bench.play("lobby")
    bench.publish("hidden")[0].internal = True
    listed = (await tell("listStreams"))["data"]
    assert [(one["name"], one["type"], one["edgePid"]) for one in listed] == [("lobby", "INR", 0), ("lobby", "ONR", 0)]
    assert listed[1]["inStreamUniqueId"] == stream.id
    assert len((await tell("listStreams disableInternalStreams=0"))["data"]) == 3
    assert [one["name"] for one in (await tell("listInboundStreams"))["data"]] == ["lobby"]


@ensureDeferred
async def test_counting_clients(bench: Bench, tell: Ask) -> None:
    """Viewers are counted, all or those of one stream."""
    for name in ("lobby", "lobby", "gate"):
        bench.play(name)
    assert (await tell("clientsConnected"))["data"] == {"outboundCount": 3}
    reply = await tell("clientsConnected localStreamName=lobby")
    assert reply["data"] == {"outboundCount": 2}
    assert reply["description"] == "EMS outbound client connections count for the corresponding localstreamname: lobby"


@ensureDeferred
async def test_shutting_a_stream_down(bench: Bench, tell: Ask) -> None:
    """A stream ends, its connection closes, and the reply has the last of both."""
    _, publisher = bench.publish("lobby")
    reply = await tell("shutdownStream localStreamName=lobby permanently=0")
    assert reply["description"] == "Stream closed"
    assert reply["data"]["streamInfo"]["name"] == "lobby"
    assert reply["data"]["protocolStackInfo"]["carrier"]["type"] == "IOHT_TCP_CARRIER"
    assert [layer["type"] for layer in reply["data"]["protocolStackInfo"]["stack"]] == ["TCP", "IR"]
    assert publisher.closed_because == "shutdownStream"
    assert (await tell("listStreams"))["data"] == []


@ensureDeferred
async def test_looking_at_connections(bench: Bench, tell: Ask) -> None:
    """A connection is described with its socket, its layers, its streams and its counters; control doors are left out."""
    stream, publisher = bench.publish("lobby")
    publisher.bytes_received, publisher.bytes_sent = 3512, 884210
    assert (await tell("listConnectionsIds"))["data"] == [publisher.id]
    assert (await tell("getConnectionsCount"))["data"] == {"count": 1}
    for layer_id in publisher.layer_ids:
        described = (await tell(f"getConnectionInfo id={layer_id}"))["data"]
        assert described["carrier"] == {
            "farIP": "203.0.113.8",
            "farPort": 50110,
            "id": publisher.carrier_id,
            "nearIP": "198.51.100.2",
            "nearPort": 1935,
            "rx": 3512,
            "tx": 884210,
            "type": "IOHT_TCP_CARRIER",
        }
        carrier, own = described["stack"]
        assert (carrier["type"], carrier["applicationId"], own["type"], own["applicationId"]) == ("TCP", 0, "IR", 1)
        assert (own["id"], own["rxInvokes"], own["txInvokes"], own["userAgent"]) == (publisher.id, 5, 4, "probe/1")
        assert [one["uniqueId"] for one in own["streams"]] == [stream.id]
    assert len((await tell("listConnections excludeNonNetworkProtocols=1"))["data"]) == 1


@ensureDeferred
async def test_socket_counters(bench: Bench, tell: Ask) -> None:
    """The counters of all kinds of sockets are there, this very connection among them, and can be set back."""
    counters = (await tell("getExtendedConnectionCounters"))["data"]
    assert counters["origin"]["managedTcp"]["current"] == 1
    assert counters["origin"]["managedTcpAcceptors"]["current"] == 1
    assert counters["total"] == counters["origin"]["grandTotal"]["current"] == 2
    await tell("resetTotalFdCounters")
    await tell("resetMaxFdCounters")
    assert (await tell("getExtendedConnectionCounters"))["data"]["origin"]["managedTcpAcceptors"]["total"] == 0


@ensureDeferred
async def test_services(bench: Bench, tell: Ask) -> None:
    """I can open a port, turn it off and on, and close it."""
    port = bench.open("inboundRtmp")
    [_, opened] = (await tell("listServices"))["data"]
    assert (opened["port"], opened["protocol"], opened["enabled"]) == (port, "inboundRtmp", True)
    service = opened["id"]
    assert (await tell(f"createService ip=127.0.0.1 port={port} protocol=inboundRtmp")) == failed(f"127.0.0.1:{port} is taken")
    disabled = await tell(f"enableService id={service} enable=0")
    assert (disabled["description"], disabled["data"]["enabled"]) == ("Status changed", False)
    await (await call(port)).gone()
    assert (await tell("listServices"))["data"][1]["droppedConnectionsCount"] == 1
    await tell(f"enableService id={service} enable=yes")
    caller = await call(port)
    await until(lambda: bench.server.acceptors.services[service].accepted == 1)
    removed = await tell(f"shutdownService id={service}")
    assert removed["description"] == f"Service {service} removed"
    assert (await tell(f"shutdownService id={service}")) == failed(f"Service with id {service} not found")
    assert not caller.lost
    created = await tell(f"createService ip=127.0.0.1 port={port} protocol=inboundRtmp")
    assert created["description"] == "Service created"
    assert created["data"] == opened | {"id": created["data"]["id"], "acceptedConnectionsCount": 0}
    caller.transport.abortConnection()


@ensureDeferred
async def test_server_info(bench: Bench, tell: Ask) -> None:
    """Version, ports and counters come in one reply."""
    bench.publish("lobby")
    reply = await tell("getServerInfo")
    assert reply["description"] == "Server information:"
    info = reply["data"]
    assert (info["connectionsCount"], info["streamsCount"], info["licenseExpiration"]) == (1, 1, "")
    assert [service["protocol"] for service in info["acceptors"]] == ["inboundJsonCli"]
    assert re.fullmatch(r"[0-9.]+", info["Server IP"])
    assert info["releaseNumber"] == bench.server.version.release_number


@ensureDeferred
async def test_help(tell: Ask) -> None:
    """Every command is described, with its parameters and their defaults."""
    reply = await tell("help")
    assert reply["description"] == "Available commands"
    commands = {command["command"]: command for command in reply["data"]}
    assert len(commands) >= 80
    assert commands["listStreams"]["deprecated"] is True
    assert commands["listStreams"]["parameters"][0]["defaultValue"] == 1
    for command in commands.values():
        assert set(command) == {"command", "deprecated", "description", "parameters"}
        last = command["parameters"][-1]
        assert (last["name"], last["mandatory"], last["defaultValue"]) == ("commandId", False, "-No default value-")
    uri = commands["pullStream"]["parameters"][0]
    assert (uri["name"], uri["mandatory"], uri["defaultValue"]) == ("uri", True, None)


@ensureDeferred
async def test_shutting_the_server_down(bench: Bench, tell: Ask) -> None:
    """It takes two steps, and only the newest key counts."""
    first = await tell("shutdownServer")
    assert first["description"] == "Call shutdownserver again with the provided key"
    assert re.fullmatch(r"[A-Za-z0-9]{16}", first["data"]["key"])
    second = await tell("shutdownServer commandId=x")
    for wrong in ("wrong", first["data"]["key"], "ключ"):
        assert await tell(f"shutdownServer key={wrong}") == failed("Shutdown key provided is invalid")
    assert bench.shut_downs == []
    caller = await call(bench.server.acceptors.services[min(bench.server.acceptors.services)].port)
    caller.send(f"shutdownServer key={second['data']['key']}\n".encode())
    assert await caller.gone() == b""
    assert bench.shut_downs == ["shutdownServer"]
