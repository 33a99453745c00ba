"""The commands about metadata, as a client gives them."""

import json
from collections.abc import AsyncIterator

import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet.protocol import Factory

from ems.config import AcceptorConfig
from tests.service.api.doors import ask_http, ask_json, call
from tests.service.metadata.test_push import Near


@pytest_twisted.async_yield_fixture
async def near() -> AsyncIterator[Near]:
    """A server on real sockets."""
    from twisted.internet import reactor

    made = Near(reactor)
    yield made
    await made.close()


def door(near: Near, protocol: str = "inboundJsonCli") -> int:
    """The port of a door of the runtime API."""
    config = AcceptorConfig(ip="127.0.0.1", protocol=protocol, use_length_padding=True)
    return near.server.acceptors.create(config).port


@ensureDeferred
async def test_get_metadata(near: Near) -> None:
    """By name, by id, or whatever came last; the data is a string that holds the envelope."""
    port = door(near)
    nothing = {"data": "", "description": "No Metadata", "status": "SUCCESS"}
    for line in ("getMetadata localStreamName=none", "getMetadata", "getMetadata streamId=77", "getMetadata noWrap=1"):
        assert await ask_json(port, line) == nothing
    stream = near.server.streams.register("lobby", type_tag="INR", source=None)
    text = near.server.metadata.publish("lobby", '{"temp":"21"}').text
    near.server.metadata.publish("yard", "2")
    found = {"data": text, "description": "Metadata", "status": "SUCCESS"}
    for line in ("localStreamName=lobby", "streamName=lobby", f"streamId={stream.id}"):
        assert await ask_json(port, f"getMetadata {line}") == found
    assert json.loads((await ask_json(port, "getMetadata"))["data"])["data"] == 2
    stream.end("the test is over")


@ensureDeferred
async def test_without_a_wrapper(near: Near) -> None:
    """noWrap=1 sends the stored text alone, without length, object and blank lines; the connection lives on."""
    text = near.server.metadata.publish("lobby", '{"temp":"21"}').text.encode()
    for protocol in ("inboundJsonCli", "inboundAsciiCli"):
        caller = await call(door(near, protocol))
        caller.send(b"getMetadata localStreamName=lobby noWrap=1\r\n" * 2)
        assert await caller.comes(text + text) == text + text
        caller.transport.abortConnection()


@ensureDeferred
async def test_metadata_over_http(near: Near) -> None:
    """The HTTP door answers the same."""
    text = near.server.metadata.publish("lobby", "1").text
    assert (await ask_http(door(near, "inboundHttpJsonCli"), "getMetadata localStreamName=lobby"))["data"] == text


@ensureDeferred
async def test_metadata_listeners(near: Near) -> None:
    """A port that I open takes metadata for its stream, is listed, and can be shut down like any service."""
    port = door(near)
    reserved = near.reactor.listenTCP(0, Factory(), interface="127.0.0.1")
    free = reserved.getHost().port
    await reserved.stopListening()
    reply = await ask_json(port, f"addMetadataListener port={free} ip=127.0.0.1 localStreamName=lobby")
    assert reply["description"] == "Metadata listener created"
    service = reply["data"]
    assert (service["protocol"], service["port"], service["localStreamName"]) == ("inboundJsonMeta", free, "lobby")
    sensor = await call(free)
    sensor.send(b'{"a":1}')
    await near.until(lambda: near.server.metadata.newest("lobby"))
    sensor.transport.abortConnection()
    listed = await ask_json(port, "listMetadataListeners")
    assert listed["description"] == "Listing all the metadata listeners"
    assert [one["id"] for one in listed["data"]["listeners"]] == [service["id"]]
    taken = await ask_json(port, f"addMetadataListener port={free} ip=127.0.0.1")
    assert taken["status"] == "FAIL"
    await ask_json(port, f"shutdownService id={service['id']}")
    assert (await ask_json(port, "listMetadataListeners"))["data"] == {"listeners": []}


@ensureDeferred
async def test_mistakes(near: Near) -> None:
    """What is wrong is said in words that clients know."""
    port = door(near)
    for line, description in (
        ("addMetadataListener port=8110 ip=localhost", "Invalid ip"),
        ("addMetadataListener", "Syntax error. No parameters provided"),
        ("pushMetadata localStreamName=x type=foo", "type must be 'vmf' (only option at this time)"),
        ("shutdownMetadata localStreamName=x", "Unable to shutdown metadata: nothing is pushed of x"),
    ):
        assert await ask_json(port, line) == {"data": None, "description": description, "status": "FAIL"}
