"""RTMP through HTTP as its clients see it: sessions, their requests, and the stream inside."""

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest

from ems.protocols.rtmp.tunnel import POLLING
from ems.testing import MemoryPeer
from tests.conversation import AVC_HEADER, VIDEO, MemoryWorld, RtmpClient, avc, call, connect, group, in_memory, video
from tests.service.rtmp.tunnels import HttpPeer, OneAcceptor, Tunnel, leave, request, waiting_bytes


@pytest.fixture(autouse=True)
def all_leave(world: MemoryWorld) -> Iterator[None]:
    """Sessions outlive the connections of their clients; after every test time passes until they are given up."""
    yield
    leave(world)


@in_memory
async def test_what_is_published_through_http_is_played_through_http(world: MemoryWorld) -> None:
    """Every message of a publisher behind one proxy reaches a player behind another, and one without."""
    publisher = Tunnel(world, HttpPeer(world)).client
    await publisher.open()
    await publisher.publish("cam")
    publisher >> video(0, AVC_HEADER)
    players = [Tunnel(world, HttpPeer(world)).client, world.stranger()]
    for player in players:
        await player.open()
        await player.play("cam")
    sent = group(0)
    for message in sent:
        publisher >> message
    for player in players:
        await player.heard("video 160 inter")
    for message in [message for start in range(200, 2000, 200) for message in group(start)]:
        sent.append(message)
        publisher >> message
    for player in players:
        await player.heard("video 1960 inter")
        pictures = [message for message in player.messages if message.type_id == VIDEO][1:]
        assert pictures == [message for message in sent if message.type_id == VIDEO]


@in_memory
async def test_a_connection_is_listed_with_its_layers(world: MemoryWorld) -> None:
    """The operator sees one RTMP connection inside HTTP, with the client's address, and not the requests that carry it."""
    tunnel = Tunnel(world, HttpPeer(world, host="192.0.2.7"))
    await tunnel.client.open(flashVer="Flash")
    (connection,) = world.server.connections
    assert connection.tags == ("TCP", "IH4R", "IR")
    assert connection.far == ("192.0.2.7", 40_000)
    assert connection.details["userAgent"] == "Flash"
    assert connection.bytes_received > 3073
    assert connection.bytes_sent == tunnel.client.received_bytes


@in_memory
async def test_flash_asks_for_the_address_first(world: MemoryWorld) -> None:
    """``/fcs/ident2`` is answered with the address that the client has reached."""
    for path in ("/fcs/ident2", "/fcs/ident"):
        reply = HttpPeer(world).post(path)
        assert (reply.status, reply.body) == (200, b"127.0.0.1")


@in_memory
async def test_session_ids_cannot_be_guessed(world: MemoryWorld) -> None:
    """Each session has an id of 128 random bits, in 32 characters that every client takes, and a line feed behind it."""
    bodies = [HttpPeer(world).post("/open/1").body for _ in range(20)]
    assert len(set(bodies)) == 20
    assert all(re.fullmatch(rb"[0-9a-f]{32}\n", body) for body in bodies)


@in_memory
async def test_replies_are_never_cached(world: MemoryWorld) -> None:
    """A proxy learns of every reply what it is, how long, and that it must not keep it."""
    http = HttpPeer(world)
    for path in ("/open/1", f"/idle/{http.open()}/0", "/nowhere"):
        headers = http.post(path).headers
        assert headers["content-type"] == "application/x-fcs"
        assert headers["cache-control"] == "no-cache"
        assert headers["server"].startswith("ems/")


@in_memory
async def test_the_polling_byte_follows_the_stream(world: MemoryWorld) -> None:
    """A client is told to come at once while something flows, and less and less often while nothing does."""
    tunnel = Tunnel(world, HttpPeer(world))
    await tunnel.client.open()
    tunnel.polls = False
    bytes_seen = [tunnel.idle().body[0] for _ in range(30)]
    assert bytes_seen == sorted(bytes_seen)
    assert sorted(set(bytes_seen)) == list(POLLING)
    tunnel.client >> call("fly", transaction=9)
    await tunnel.client.status("NetConnection.Call.Failed")
    assert tunnel.idle().body[0] == 1


@in_memory
async def test_news_are_fetched_at_once(world: MemoryWorld) -> None:
    """A client that asks too early gets what comes in the next moment without asking again, and soon nothing if nothing does."""
    tunnel = Tunnel(world, HttpPeer(world))
    await tunnel.client.open()
    tunnel.polls = False
    tunnel.idle()
    (session,) = world.server.connections
    before = world.clock.seconds()
    assert tunnel.idle().body[1:] == b""
    assert 0.1 < world.clock.seconds() - before < 0.3
    world.clock.callLater(0.05, session.transport.write, b"news ")
    world.clock.callLater(0.05, session.transport.write, b"of today")
    tunnel.client.connection_lost()
    http = tunnel.http
    http.on_data = lambda: None
    before = world.clock.seconds()
    assert http.post(f"/idle/{tunnel.session_id}/9").body == b"\1news of today"
    assert world.clock.seconds() - before < 0.1


@in_memory
async def test_a_request_that_waits_gives_way_to_the_next(world: MemoryWorld) -> None:
    """When a client asks over another connection, or its connection breaks, nothing is lost with the request that waited."""
    OneAcceptor(world, "inboundRtmpt")
    first, second, third = HttpPeer(world), HttpPeer(world), HttpPeer(world)
    session_id = first.open()
    (session,) = world.server.connections
    first.peer.send(request(f"/idle/{session_id}/1"))
    second.peer.send(request(f"/idle/{session_id}/2"))
    assert [reply.body for reply in first.replies()] == [b"\1"]
    second.peer.hang_up()
    world.clock.advance(0)
    session.transport.write(b"news")
    world.clock.advance(1)
    assert third.post(f"/idle/{session_id}/3").body == b"\1news"


@in_memory
async def test_a_session_may_change_its_connection(world: MemoryWorld) -> None:
    """A proxy may carry each request over another connection, even while the first is in the middle of a request."""
    OneAcceptor(world, "inboundRtmpt")
    first, second = HttpPeer(world), HttpPeer(world, host="192.0.2.8")
    tunnel = Tunnel(world, first)
    await tunnel.client.shake()
    first.peer.send(request(f"/idle/{tunnel.session_id}/7")[:40])
    tunnel.use(second)
    tunnel.client >> connect()
    await tunnel.client.status("NetConnection.Connect.Success")
    first.peer.hang_up()
    await tunnel.client.publish("cam")


@in_memory
async def test_numbers_of_requests_need_no_order(world: MemoryWorld) -> None:
    """Clients that count otherwise, not at all, or leave the number out are served."""
    http = HttpPeer(world)
    session_id = http.open()
    for tail in ("/5", "/5", "/1", "/", "", "/x/y"):
        assert http.post(f"/idle/{session_id}{tail}").status == 200


@pytest.mark.parametrize("size", [1, 7, 1000])
@in_memory
async def test_requests_may_come_in_pieces(world: MemoryWorld, size: int) -> None:
    """However the network cuts the requests, the session hears the same."""
    http = HttpPeer(world)
    session_id = http.open()
    client = RtmpClient()
    client.connection_made(lambda data: None)
    c0c1 = b"\3" + bytes(1536)
    data = request(f"/send/{session_id}/0", c0c1) + request(f"/send/{session_id}/1", bytes(1536))
    for start in range(0, len(data), size):
        http.peer.send(data[start : start + size])
    replies = http.replies()
    assert [reply.status for reply in replies] == [200, 200]
    assert len(replies[0].body) == 1 + 1 + 2 * 1536


@in_memory
async def test_pipelined_requests_are_answered_in_order(world: MemoryWorld) -> None:
    """A thousand requests in one piece get a thousand replies."""
    http = HttpPeer(world)
    session_id = http.open()
    http.peer.send(b"".join(request(f"/send/{session_id}/{number}", b"") for number in range(1000)))
    assert [reply.body for reply in http.replies()] == [b"\1"] * 1000
    http.peer.send(request(f"/idle/{session_id}/1000") + request("/fcs/ident2"))
    assert http.replies() == []
    world.pass_time(1)
    assert [reply.body for reply in http.replies()] == [b"\1", b"127.0.0.1"]


@in_memory
async def test_close_ends_the_stream(world: MemoryWorld) -> None:
    """When a client closes, its stream ends at once; closing again, or going on, finds no session."""
    tunnel = Tunnel(world, HttpPeer(world))
    await tunnel.client.open()
    await tunnel.client.publish("cam")
    tunnel.polls = False
    assert tunnel.exchange("close").body == b"\0"
    world.clock.advance(0)
    assert "cam" not in world.server.streams.inbound
    for command in ("close", "send", "idle"):
        assert tunnel.exchange(command).status == 404


@in_memory
async def test_last_words_are_fetched(world: MemoryWorld) -> None:
    """A client that is refused still gets the reason, although the server has closed the session before it asks."""
    tunnel = Tunnel(world, HttpPeer(world))
    await tunnel.client.shake()
    tunnel.client >> connect("other")
    assert (await tunnel.client.status("NetConnection.Connect.InvalidApp"))["level"] == "error"
    await tunnel.client.hung_up()
    assert tunnel.statuses[-2:] == [200, 404]


@in_memory
async def test_a_client_that_stays_away_is_given_up(world: MemoryWorld) -> None:
    """Without a request for 10 s the session and its stream are gone; one request in that time keeps them."""
    tunnel = Tunnel(world, HttpPeer(world))
    await tunnel.client.open()
    await tunnel.client.publish("cam")
    tunnel.polls = False
    for _ in range(3):
        world.pass_time(8)
        assert tunnel.idle().status == 200
    world.pass_time(12)
    assert world.server.streams.inbound == {}
    assert list(world.server.connections) == []


@in_memory
async def test_a_player_that_comes_back_goes_on_with_a_key_frame(world: MemoryWorld) -> None:
    """What waits for a player that does not ask is bounded; when it asks again it gets the newest group of pictures."""
    publisher = await world.client()
    publisher.set_chunk_size(60_000)
    await publisher.publish("cam")
    publisher >> video(0, AVC_HEADER)
    tunnel = Tunnel(world, HttpPeer(world))
    await tunnel.client.open()
    await tunnel.client.play("cam")
    tunnel.polls = False
    session = next(connection for connection in world.server.connections if "IH4R" in connection.tags)
    limit = world.server.config.application.max_rtmp_out_buffer
    for number in range(200):
        publisher >> video(40 * number, avc(bytes(50_000), key=number % 25 == 0))
        world.clock.advance(0.04)
        assert waiting_bytes(session) < limit + 256 * 1024
    tunnel.idle()
    heard = len(tunnel.client.messages)
    tunnel.polls = True
    await tunnel.client.until(lambda: len(tunnel.client.messages) > heard)
    timestamps = [
        message.timestamp for message in tunnel.client.messages if message.type_id == VIDEO and len(message.payload) > 50_000
    ]
    jump = next(after for before, after in pairwise(timestamps) if after - before > 40)
    assert jump % 1000 == 0
    assert jump >= 40 * 150


@pytest.mark.parametrize("cut", [0, 1, 5, 30])
@in_memory
async def test_the_rtmp_port_understands_http(world: MemoryWorld, cut: int) -> None:
    """A client that tries RTMPT on the RTMP port is served there, in however many pieces its first request comes."""
    http = HttpPeer(world, "inboundRtmp")
    data = request("/open/1")
    for piece in filter(None, (data[:cut], data[cut:])):
        http.peer.send(piece)
    (reply,) = http.replies()
    assert reply.status == 200
    tunnel = Tunnel(world, http)
    await tunnel.client.open()
    await tunnel.client.publish("cam")
    assert {connection.tags for connection in world.server.connections} == {("TCP", "IH4R", "IR")}


@in_memory
async def test_a_silent_client_of_the_rtmp_port_is_hung_up(world: MemoryWorld) -> None:
    """Whoever says nothing, neither RTMP nor HTTP, does not stay."""
    peer = MemoryPeer(world.server, "inboundRtmp")
    world.peers.append(peer)
    world.pass_time(7)
    assert not peer.connected
