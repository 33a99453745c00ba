"""From the first byte to the answer to connect: who gets in, and what they are told."""

import pytest

from ems.config import Application
from ems.formats import amf0
from tests.conversation import MemoryWorld, call, connect, create_stream, in_amf3, in_memory

CONNECT_ANSWERS = [
    "WindowAckSize 1048576",
    "SetPeerBandwidth 2500000",
    "StreamBegin 0",
    "SetChunkSize 60000",
    "_result NetConnection.Connect.Success",
    "onBWDone",
]


@in_memory
async def test_connect_is_answered_in_the_documented_order(world: MemoryWorld) -> None:
    """A client is told windows, bandwidth and chunk size before its call is answered, as Flash's server does it."""
    client = await world.client()
    assert client.transcript == CONNECT_ANSWERS


@in_memory
async def test_the_answer_says_what_the_server_can(world: MemoryWorld) -> None:
    """The result has the server's version and capabilities, and for Enhanced RTMP its FourCCs."""
    client = await world.client()
    _, transaction, properties, info = amf0.decode_all(client.messages[4].payload)
    assert transaction == 1
    assert properties == {"fmsVer": "FMS/3,0,1,123", "capabilities": 31.0}
    assert info["level"] == "status"
    assert info["objectEncoding"] == 0
    assert {"hvc1", "av01", "vp09", "Opus"} <= set(info["fourCcList"])


@pytest.mark.parametrize("scheme", [None, 0, 1])
@in_memory
async def test_plain_and_digest_clients_get_in(world: MemoryWorld, scheme: int | None) -> None:
    """A client of either form of the handshake connects."""
    client = world.stranger()
    await client.shake(scheme)
    client >> connect()
    await client.status("NetConnection.Connect.Success")


@in_memory
async def test_flash_may_speak_amf3(world: MemoryWorld) -> None:
    """A client with objectEncoding 3 is told that it has it, and its AMF3 command messages are understood."""
    client = world.stranger()
    await client.shake()
    client >> in_amf3(connect(objectEncoding=3))
    assert (await client.status("NetConnection.Connect.Success"))["objectEncoding"] == 3
    client >> in_amf3(create_stream(2))
    await client.heard("_result")


@pytest.mark.parametrize("app", ["ems", "live", "vod", "live/", "live?user=x", "live/_definst_"])
@in_memory
async def test_every_name_of_the_application_lets_in(world: MemoryWorld, app: str) -> None:
    """Name and aliases, with a query, a trailing slash or Flash's instance name, mean the same application."""
    client = await world.client(app)
    assert client.transcript == CONNECT_ANSWERS


@pytest.mark.parametrize("app", ["", "Live", "other", "live2", "../live"])
@in_memory
async def test_another_application_is_refused_in_words(world: MemoryWorld, app: str) -> None:
    """A client with a wrong application learns so before the connection closes."""
    client = world.stranger()
    await client.shake()
    client >> connect(app)
    assert (await client.status("NetConnection.Connect.InvalidApp"))["level"] == "error"
    await client.hung_up()


@in_memory
async def test_a_second_connect_is_an_error(world: MemoryWorld) -> None:
    """Connecting again on one connection fails and changes nothing."""
    client = await world.client()
    client >> connect("other", transaction=5)
    await client.status("NetConnection.Connect.Failed")
    assert not client.closed


@in_memory
async def test_commands_before_connect_end_the_connection(world: MemoryWorld) -> None:
    """Who does not connect first is no RTMP client."""
    client = world.stranger()
    await client.shake()
    client >> create_stream(1)
    await client.hung_up()


@in_memory
async def test_unknown_calls_fail_only_when_an_answer_is_wanted(world: MemoryWorld) -> None:
    """A call that the server does not know is answered with an error, or, without transaction id, passed over."""
    client = await world.client()
    client >> call("fly", None, transaction=0) >> call("fly", None, transaction=9)
    await client.status("NetConnection.Call.Failed")
    assert client.transcript[len(CONNECT_ANSWERS) :] == ["_error NetConnection.Call.Failed"]


@in_memory
async def test_what_the_client_says_of_itself_is_kept(world: MemoryWorld) -> None:
    """The operator sees the client's program and addresses, cut to a length that cannot hurt."""
    await world.client(flashVer="FMLE/3.0", swfUrl="s" * 5000, pageUrl=7.0)
    connection = next(iter(world.server.connections))
    details = connection.details
    assert details["userAgent"] == "FMLE/3.0"
    assert len(details["swfUrl"]) == 2048
    assert "pageUrl" not in details


@in_memory
async def test_a_ping_is_answered_and_received_bytes_are_acknowledged(world: MemoryWorld) -> None:
    """The client's ping comes back with its time, and after a window's worth of bytes the server says how many it has."""
    client = await world.client()
    client.send_raw(b"\2\0\0\0\0\0\6\4\0\0\0\0\0\6\0\0\x12\x34")
    await client.heard(f"PingResponse {0x1234}")
    client.set_chunk_size(60_000)
    client >> call("nothing", "x" * 50_000) >> call("nothing", "x" * 50_000) >> call("nothing", "x" * 50_000)
    await client.heard(lambda text: text.startswith("Acknowledgement"))


@in_memory
async def test_bandwidth_checks_can_be_off(world: MemoryWorld) -> None:
    """`_checkbw` of FMLE is answered without noise when bandwidth checks are off."""
    client = await world.client()
    assert len(await client.call("_checkbw", None)) == 2
    assert client.received_bytes < 10_000


def test_bandwidth_is_measured_once() -> None:
    """With bandwidth checks on, a client gets 32 KiB of noise and a report, and no more however often it asks."""
    world = MemoryWorld(Application(name="ems", aliases=("live",), enable_check_bandwidth=True))

    async def script() -> None:
        client = await world.client()
        client >> call("_checkbw", None, transaction=2)
        await client.heard("onBWCheck")
        client >> call("_result", None, transaction=2)
        await client.heard("onBWDone")
        for _ in range(10):
            await client.call("_checkbw", None)
        assert 32_767 < client.received_bytes < 45_000

    world.run(script())
    world.close()
