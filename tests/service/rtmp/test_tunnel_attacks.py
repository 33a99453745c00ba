"""Bad input to the HTTP side of RTMPT: it costs at most the connection it comes by, never somebody else's session."""

import secrets
from collections.abc import Iterator

import pytest

from ems.net.acceptor import MAX_PER_ADDRESS
from ems.protocols.rtmp import tunnel_http
from ems.protocols.rtmp.tunnel import Tunnel as ServerTunnel
from tests.conversation import AVC_HEADER, MemoryWorld, avc, call, in_memory, video
from tests.service.rtmp.tunnels import HttpPeer, OneAcceptor, Tunnel, leave, request, waiting_bytes

MEBIBYTE = 1 << 20


@pytest.fixture(autouse=True)
def bystander(world: MemoryWorld) -> Iterator[None]:
    """Somebody publishes through HTTP all the while, and still does at the end."""
    OneAcceptor(world, "inboundRtmpt")
    tunnel = Tunnel(world, HttpPeer(world))

    async def begin() -> None:
        await tunnel.client.open()
        await tunnel.client.publish("bystander")

    world.run(begin())
    yield
    assert tunnel.idle().status == 200
    assert "bystander" in world.server.streams.inbound
    leave(world)


@in_memory
async def test_guessed_ids_find_nothing(world: MemoryWorld) -> None:
    """Ids of the right form, prefixes of real ones, and odd ones are all unknown, and none of them ends a session."""
    http = HttpPeer(world)
    real = http.open()
    guesses = [secrets.token_hex(16) for _ in range(1000)]
    odd = ["", real[:-1], real.upper() + "0", "%2e%2e", "..", "0", "a" * 4000]
    for guess in guesses + odd:
        for command in ("send", "idle", "close"):
            assert http.post(f"/{command}/{guess}/1").status == 404
    assert http.post(f"/idle/{real}/1").status == 200


@pytest.mark.parametrize("path", ["/", "//", "/send", "/idle/", "/open2", "/fly/{id}/1", "*", "http://other/idle", "/../open/1"])
@in_memory
async def test_other_paths_are_not_found(world: MemoryWorld, path: str) -> None:
    """Whatever is not one of the five requests is answered with 404."""
    http = HttpPeer(world)
    assert http.post(path.format(id=http.open())).status == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE", "CONNECT", "post"])
@in_memory
async def test_only_post_is_understood(world: MemoryWorld, method: str) -> None:
    """Every other method, even on a real session, is refused and changes nothing."""
    http = HttpPeer(world)
    session_id = http.open()
    reply = http.post(f"/close/{session_id}/1", method=method)
    assert (reply.status, reply.headers["allow"]) == (405, "post")
    assert http.post(f"/idle/{session_id}/1").status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"POST\r\n\r\n",
        b"POST /open/1\r\n\r\n",
        b"POST /open/1 HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /open/1 HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"POST /open/1 HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
        b"POST /open/1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n",
        b"POST /open/1 HTTP/1.1\r\nno colon\r\n\r\n",
        b"P" * 100_000,
        b"POST /open/1 HTTP/1.1\r\n" + b"X-Header: y\r\n" * 100_000,
        b"POST /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /open/1 HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"\0" * 5000,
    ],
    ids=range(12),
)
@in_memory
async def test_what_is_not_http_ends_its_connection(world: MemoryWorld, data: bytes) -> None:
    """Broken and oversized requests are refused with 400 or nothing, and their connection is closed."""
    http = HttpPeer(world)
    http.peer.send(data)
    world.pass_time(21)
    assert [reply.status for reply in http.replies() if reply.status != 400] == []
    assert not http.peer.connected


@in_memory
async def test_a_body_longer_than_it_says_ends_its_connection_only(world: MemoryWorld) -> None:
    """Bytes behind a request are taken for the next one, which is none; the session can go on elsewhere."""
    http, other = HttpPeer(world), HttpPeer(world)
    session_id = http.open()
    http.peer.send(request(f"/idle/{session_id}/1", b"\0") + b"smuggled\r\n\r\n")
    world.pass_time(1)
    assert [reply.status for reply in http.replies()] == [200, 400]
    world.clock.advance(0)
    assert not http.peer.connected
    assert other.post(f"/idle/{session_id}/2").status == 200


@in_memory
async def test_a_body_may_have_sixteen_mebibytes(world: MemoryWorld) -> None:
    """A request that announces more is cut off at once, one that sends more without announcing it as soon as it does."""
    http = HttpPeer(world)
    http.peer.send(request("/open/1", b"")[:-4].replace(b"Length: 0", b"Length: %d" % (16 * MEBIBYTE + 1)) + b"\r\n\r\n")
    world.clock.advance(0)
    assert not http.peer.connected
    http = HttpPeer(world)
    http.peer.send(b"POST /open/1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(17):
        assert http.peer.connected
        http.peer.send(b"100000\r\n" + bytes(MEBIBYTE) + b"\r\n")
        world.clock.advance(0)
    assert not http.peer.connected


@in_memory
async def test_a_few_cannot_fill_the_memory(world: MemoryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """When all bodies together are too much, the largest is cut off, and small requests go through."""
    monkeypatch.setattr(tunnel_http, "MAX_BODIES", 4 * MEBIBYTE)
    bodies = world.server.acceptor_protocols["inboundRtmpt"].factory.bodies  # type: ignore[attr-defined]
    greedy = [HttpPeer(world) for _ in range(6)]
    modest = HttpPeer(world)
    session_id = modest.open()
    for number, http in enumerate(greedy):
        begun = request("/open/1", bytes(2 * MEBIBYTE))
        http.peer.send(begun[: MEBIBYTE + number])
        assert bodies.size <= 4 * MEBIBYTE
        assert modest.post(f"/send/{session_id}/1", b"\3" + bytes(1536)).status == 200
        session_id = modest.open()
    world.clock.advance(0)
    assert [http.peer.connected for http in greedy] == [True, True, True, False, False, False]
    for http in greedy:
        http.peer.hang_up()
    world.clock.advance(0)
    assert bodies.size == 0


@pytest.mark.parametrize("pieces", [[b"POST /o"], [b"POST /open/1 HTTP/1.1\r\n"], [request("/open/1", bytes(100))[:-1]]])
@in_memory
async def test_slow_requests_are_cut_off(world: MemoryWorld, pieces: list[bytes]) -> None:
    """A request that is not complete after 20 s ends its connection, however busily it trickles."""
    http = HttpPeer(world)
    http.peer.send(pieces[0])
    for _ in range(18):
        assert http.peer.connected
        http.peer.send(b"")
        world.pass_time(1)
    world.pass_time(3)
    assert not http.peer.connected


@in_memory
async def test_one_address_gets_so_many_sessions(world: MemoryWorld) -> None:
    """A hundred thousand opens by one address leave a bounded number of sessions, and after a few seconds none.

    Who is refused loses the connection, so that refusals cost no more than connections do.
    """
    for _ in range(100):
        http = HttpPeer(world, host="203.0.113.9")
        http.peer.send(request("/open/1") * 1000)
        assert http.replies()[-1].status == 503
        world.clock.advance(0)
        assert not http.peer.connected
    assert world.server.connections.from_host("203.0.113.9") == MAX_PER_ADDRESS - 1
    assert HttpPeer(world, host="203.0.113.10").post("/open/1").status == 200
    world.pass_time(7)
    assert world.server.connections.from_host("203.0.113.9") == 0


@in_memory
async def test_a_flood_of_questions_cannot_pile_up_answers(world: MemoryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client whose one request asks for more than may wait for it loses its session before it all waits."""
    monkeypatch.setattr(ServerTunnel, "MAX_CONTROL_BYTES", MEBIBYTE)
    tunnel = Tunnel(world, HttpPeer(world))
    await tunnel.client.open()
    tunnel.polls = False
    (session,) = (connection for connection in world.server.connections if not connection.streams)
    largest = 0

    def watched(data: bytes) -> None:
        nonlocal largest
        write(data)
        largest = max(largest, waiting_bytes(session))

    write, session.transport.write = session.transport.write, watched
    tunnel.client.set_chunk_size(60_000)
    questions: list[bytes] = []
    tunnel.client.connection_made(questions.append)
    for _ in range(100):
        tunnel.client >> call("FCPublish", None, "x" * 50_000, transaction=9)
    tunnel.send(b"".join(questions))
    limit = world.server.config.application.max_rtmp_out_buffer + ServerTunnel.MAX_CONTROL_BYTES
    assert MEBIBYTE < largest <= limit + MEBIBYTE // 10
    assert tunnel.idle().status == 404


@in_memory
async def test_a_fat_stream_that_nobody_fetches_is_given_up(world: MemoryWorld) -> None:
    """A player that asks for a stream and then for nothing more holds little, and after ten seconds nothing."""
    publisher = await world.client()
    publisher.set_chunk_size(60_000)
    await publisher.publish("fat")
    publisher >> video(0, AVC_HEADER)
    tunnel = Tunnel(world, HttpPeer(world))
    await tunnel.client.open()
    await tunnel.client.play("fat")
    tunnel.polls = False
    (session,) = (
        connection
        for connection in world.server.connections
        if connection.tags[1] == "IH4R" and connection.streams[0].name == "fat"
    )
    for number in range(300):
        publisher >> video(40 * number, avc(bytes(200_000), key=number % 5 == 0))
        world.clock.advance(0.04)
        assert waiting_bytes(session) < 2 * MEBIBYTE
    assert not any(connection is session for connection in world.server.connections)


@in_memory
async def test_garbage_inside_a_session_ends_it(world: MemoryWorld) -> None:
    """What is not RTMP ends the session; HTTP inside a session is not understood again."""
    for garbage in (b"\xff" * 5000, request("/open/1")):
        http = HttpPeer(world)
        session_id = http.open()
        http.post(f"/send/{session_id}/0", garbage)
        assert http.post(f"/idle/{session_id}/1").status == 404
