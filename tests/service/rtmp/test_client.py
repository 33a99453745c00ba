"""Pulls and pushes against servers that behave in every possible way."""

import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from hashlib import md5
from urllib.parse import parse_qsl

import pytest
from twisted.logger import LogEvent, LogLevel

from ems.formats import amf0
from ems.protocols.rtmp import handshake
from ems.protocols.rtmp.attempt import RtmpAttempt
from ems.protocols.rtmp.wire import MessageType
from tests.conversation import AUDIO, AVC_HEADER, DATA, VIDEO, MemoryWorld, RtmpClient, call, group, in_memory, video
from tests.service.rtmp.far import FarServer, FarWorld, media_of


@pytest.fixture
def world(log_events: list[LogEvent]) -> Iterator[FarWorld]:
    """Our server, and a network of scripted ones. Fails the test when the log has a traceback or anything is left."""
    made = FarWorld()
    yield made
    made.close()
    assert [event for event in log_events if "log_failure" in event] == []


async def published(world: MemoryWorld, name: str = "mine") -> RtmpClient:
    """A publisher of a local stream, after its first group of pictures."""
    client = await world.client()
    await client.publish(name)
    client >> video(0, AVC_HEADER)
    for message in group(0):
        client >> message
    return client


def send_group(far: FarServer, start: int = 0) -> None:
    """Send the header of a stream and a group of pictures."""
    far >> video(start, AVC_HEADER)
    for message in group(start):
        far >> message


async def play_begun(world: FarWorld) -> FarServer:
    """The far end of a pull that streams."""
    far = await world.far()
    await far.accept()
    send_group(far)
    return far


async def push_begun(world: FarWorld, **settings: object) -> FarServer:
    """The far end of a push that streams."""
    await published(world)
    world.push(**settings)
    far = await world.far()
    await far.accept("NetStream.Publish.Start")
    await far.heard("video 160 inter")
    return far


FORMS = [
    (user, password, port)
    for user, password in (("", None), ("alice", None), ("alice", ""), ("alice", "p%40ss%3Aw%20rd"))
    for port in (None, 1936)
]


@pytest.mark.parametrize(("user", "password", "port"), FORMS)
@in_memory
async def test_the_forms_of_an_address(world: FarWorld, user: str, password: str | None, port: int | None) -> None:
    """R-011: with and without user, password and port, application, stream and credentials arrive exactly; 1935 is understood."""
    login = f"{user}:{password}@" if password is not None else f"{user}@" if user else ""
    world.pull(f"rtmp://{login}192.0.2.1{f':{port}' if port else ''}/app/stream")
    plain = await (await world.far()).refuse_connect("[ code=403 need auth; authmod=adobe ]")
    assert plain["app"] == "app"
    assert world.network.dialed == [("192.0.2.1", port or 1935)]
    if not user:
        assert (await world.ended()).startswith("refused: [ code=403")
        return
    challenge = f"?reason=needauth&user={user}&salt=SA==&challenge=CH&opaque=OP"
    named = await (await world.far()).refuse_connect(f"[ authmod=adobe ] : {challenge}")
    assert query_of(named["app"]) == {"authmod": "adobe", "user": "alice"}
    far = await world.far()
    proof = query_of((await far.accept_connect())["app"])
    assert proof["response"] == adobe("alice", "p@ss:w rd" if password else "", "SA==", "OP", proof["challenge"])
    await far.give_stream()
    assert (await far.asked("play"))[2] == "stream"
    assert len(world.network.dialed) == 3


def query_of(text: str) -> dict[str, str]:
    """The fields behind the question mark; base64 keeps its plus signs."""
    return dict(parse_qsl(text.partition("?")[2].replace("+", "%2B")))


def adobe(user: str, password: str, salt: str, opaque: str, challenge: str) -> str:
    """The response of the Adobe scheme, made here once more."""

    def digest(text: str) -> str:
        return b64encode(md5(text.encode()).digest()).decode()

    return digest(digest(user + salt + password) + opaque + challenge)


@pytest.mark.parametrize(("scheme", "port"), [("rtmp", 1935), ("rtmps", 443), ("rtmpt", 80)])
@in_memory
async def test_ports_that_go_without_saying(world: FarWorld, scheme: str, port: int) -> None:
    """Without a port the one of the scheme is meant."""
    world.network.mute = True
    attempt = world.pull(f"{scheme}://192.0.2.1/live/cam")
    await world.far()
    assert world.network.dialed == [("192.0.2.1", port)]
    attempt.stop("enough")


@pytest.mark.parametrize(
    ("path", "app", "name"),
    [
        ("live/cam", "live", "cam"),
        ("live/room/cam", "live/room", "cam"),
        ("live/cam?token=1&b=/2", "live", "cam?token=1&b=/2"),
        ("live/flv:cam", "live", "cam"),
        ("live/:cam", "live", "cam"),
        ("vod/mp4:films/one.mp4", "vod", "mp4:films/one.mp4"),
    ],
)
@in_memory
async def test_what_is_pulled(world: FarWorld, path: str, app: str, name: str) -> None:
    """The path of an address is cut into application and stream as other clients cut it."""
    world.pull(f"rtmp://192.0.2.1/{path}")
    far = await world.far()
    properties = await far.accept_connect()
    await far.give_stream()
    asked = await far.asked("play")
    assert (properties["app"], properties["tcUrl"]) == (app, f"rtmp://192.0.2.1:1935/{app}")
    assert asked[2:] == [name, -2000, -1000]
    assert "SetBufferLength" not in far.transcript


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"rangeStart": -1}, [-1000, -1000]),
        ({"rangeStart": 30}, [30_000, -1000]),
        ({"rangeStart": 30, "rangeEnd": 60}, [30_000, 30_000]),
        ({"rangeEnd": 60}, [-2000, 60_000]),
        ({"rangeStart": 30, "rangeEnd": 30}, [30_000, -1000]),
    ],
)
@in_memory
async def test_a_part_of_a_recording_is_pulled(world: FarWorld, settings: dict[str, int], expected: list[int]) -> None:
    """rangeStart and rangeEnd are places; play is called with a start and a duration (Adobe RTMP 1.0 §7.2.2.1)."""
    world.pull(**settings)
    far = await world.far()
    await far.accept_connect()
    await far.give_stream()
    assert (await far.asked("play"))[3:] == expected


@pytest.mark.parametrize("path", ["live", "live/instance", "live?key=1&b=2"])
@in_memory
async def test_where_to_push(world: FarWorld, path: str) -> None:
    """All of the address is the application; the stream's name is a parameter of its own."""
    await published(world)
    world.push(f"rtmp://192.0.2.1/{path}", targetStreamType="record")
    far = await world.far()
    properties = await far.accept_connect()
    await far.give_stream()
    asked = await far.asked("publish")
    assert (properties["app"], properties["type"], asked[2:]) == (path, "nonprivate", ["theirs", "record"])


@in_memory
async def test_what_a_client_says_of_itself(world: FarWorld) -> None:
    """What I give is sent as it is; IPv6 addresses get their brackets."""
    given = {"emulateUserAgent": "X/1", "tcUrl": "rtmp://a/b", "swfUrl": "http://a/c.swf", "pageUrl": "http://a/d"}
    world.pull("rtmp://[2001:db8::1]/live/cam", **given)
    properties = await (await world.far()).accept_connect()
    assert [properties[key] for key in ("flashVer", "tcUrl", "swfUrl", "pageUrl")] == [*given.values()]
    world.pull("rtmp://[2001:db8::1]/live/cam")
    properties = await (await world.far()).accept_connect()
    assert properties["tcUrl"] == properties["swfUrl"] == "rtmp://[2001:db8::1]:1935/live"
    assert "pageUrl" not in properties


@in_memory
async def test_the_order_of_a_push(world: FarWorld) -> None:
    """A target hears what an encoder would tell it, in that order; then metadata, headers and pictures from a key frame on."""
    far = await push_begun(world)
    heard = [text for text in far.transcript if not text.startswith(("WindowAckSize", "Acknowledgement"))]
    calls = ["connect", "SetChunkSize 60000", "releaseStream", "FCPublish", "createStream", "publish", "@setDataFrame"]
    assert heard[:9] == [*calls, "video 0 header", "video 0 key"]
    assert world.observer.told == ["connected", "streaming"]


@in_memory
async def test_small_chunks(world: FarWorld) -> None:
    """With sendChunkSizeRequest=0 nothing is said about chunks, and none is larger than 128 bytes."""
    far = await push_begun(world, sendChunkSizeRequest=False)
    assert not [text for text in far.transcript if text.startswith("SetChunkSize")]
    assert [m.payload for m in media_of(far) if m.type_id == VIDEO][1:] == [m.payload for m in group(0) if m.type_id == VIDEO]


@pytest.mark.parametrize("size", [1, 128, 129, 4096, 65_536, 0x7FFFFFFF])
@in_memory
async def test_chunks_of_every_legal_size(world: FarWorld, size: int) -> None:
    """A source may cut its messages as it likes."""
    world.pull()
    far = await world.far()
    far.set_chunk_size(size)
    await far.accept()
    send_group(far)
    player = await world.client()
    await player.play("mine")
    await player.heard("video 160 inter")
    assert player.payloads(VIDEO)[1:] == [m.payload for m in group(0) if m.type_id == VIDEO]
    assert player.payloads(AUDIO) == []


@in_memory
async def test_a_stream_on_another_number(world: FarWorld) -> None:
    """ffmpeg as a server sends media on another message stream than it has given: it is taken."""
    world.pull()
    far = await world.far()
    await far.accept()
    far >> video(0, AVC_HEADER, 0) >> group(0)[0]._replace(stream_id=0)
    await world.until(lambda: world.observer.stream is not None)
    assert world.observer.told == ["connected", "streaming"]


@in_memory
async def test_media_before_the_answer(world: FarWorld) -> None:
    """A source that sends at once, and says only then that it begins, or says it twice, has begun once."""
    world.pull()
    far = await world.far()
    await far.accept_connect()
    await far.give_stream()
    send_group(far)
    for _ in range(2):
        far.status_of_stream("NetStream.Play.Start")
    await world.seconds(1)
    assert world.observer.told == ["connected", "streaming"]


@in_memory
async def test_a_name_that_is_taken(world: FarWorld) -> None:
    """A pull whose name somebody has taken meanwhile ends, and says so."""
    await published(world)
    world.pull()
    far = await world.far()
    await far.accept()
    send_group(far)
    assert await world.ended() == "Stream name mine already taken"


REDIRECTS = {
    "rtmp://192.0.2.9:1936/other": ("192.0.2.9", 1936, "other"),
    "rtmp://192.0.2.1/live": ("192.0.2.1", 1935, "live"),
}


@pytest.mark.parametrize("address", REDIRECTS)
@in_memory
async def test_a_redirect(world: FarWorld, address: str) -> None:
    """A server that sends us elsewhere is obeyed: the same stream is played there."""
    world.pull("rtmp://192.0.2.1/live/cam?x=1")
    await (await world.far()).refuse_connect("moved", ex={"code": 302, "redirect": address})
    far = await world.far()
    properties = await far.accept_connect()
    await far.give_stream()
    host, port, app = REDIRECTS[address]
    assert world.network.dialed[1] == (host, port)
    assert properties["app"] == app
    assert (await far.asked("play"))[2] == "cam?x=1"


@in_memory
async def test_a_redirect_and_our_password(world: FarWorld) -> None:
    """Another host is not told who we are; the same one is."""
    world.pull("rtmp://alice:secret@192.0.2.1/live/cam")
    for address in ("rtmp://192.0.2.1/second", "rtmp://192.0.2.9/third"):
        await (await world.far()).refuse_connect("[ code=403 need auth; authmod=adobe ]")
        properties = await (await world.far()).refuse_connect("moved", ex={"code": 302, "redirect": address})
        assert query_of(properties["app"])["user"] == "alice"
    properties = await (await world.far()).refuse_connect("[ code=403 need auth; authmod=adobe ]")
    assert properties["app"] == "third"
    assert "need auth" in await world.ended()


@in_memory
async def test_redirects_for_ever(world: FarWorld) -> None:
    """Two servers that send us to and fro are left after some rounds."""
    world.pull()
    for _ in range(RtmpAttempt.MAX_CONNECTIONS):
        await (await world.far()).refuse_connect("moved", ex={"code": 302, "redirect": "rtmp://192.0.2.9/live"})
    assert await world.ended() == "redirected to rtmp://192.0.2.9/live"
    assert len(world.network.dialed) == RtmpAttempt.MAX_CONNECTIONS


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://192.0.2.9/", "redirected to http://192.0.2.9/, which is not RTMP"),
        ("rtmp://", "redirected to nowhere: Invalid URI: rtmp://"),
        (f"rtmp://{'x' * 64}/live", f"cannot connect to {'x' * 64}:1935: "),
        ("rtmp://169.254.169.254/live", "the server does not connect to 169.254.169.254"),
    ],
)
@in_memory
async def test_redirects_to_nowhere(world: FarWorld, address: str, reason: str) -> None:
    """An address that is none, or that we must not go to, ends the attempt; nothing is sent there."""
    world.pull()
    await (await world.far()).refuse_connect("moved", ex={"code": 302, "redirect": address})
    assert (await world.ended()).startswith(reason)
    assert [far.received_bytes for far in world.network.servers[1:]] in ([], [0])


@pytest.mark.parametrize(
    ("reference", "app"),
    [(None, "live"), ("", "live"), ("other", "other"), ("/a/b", "a/b"), ("rtmp://192.0.2.1:1935/new", "new")],
)
@in_memory
async def test_a_request_to_reconnect(world: FarWorld, reference: str | None, app: str) -> None:
    """Enhanced RTMP: a server that is about to close sends its clients to another address, which may be a relative one."""
    world.pull()
    far = await play_begun(world)
    more = {} if reference is None else {"tcUrl": reference}
    far.status_of_stream("NetConnection.Connect.ReconnectRequest", **more)
    second = await world.far()
    assert (await second.accept_connect())["app"] == app
    assert world.observer.reason is None


@in_memory
async def test_limelight(world: FarWorld) -> None:
    """The Limelight scheme: a nonce is answered with the response of HTTP Digest."""
    world.pull("rtmp://alice:secret@192.0.2.1/app/cam")
    await (await world.far()).refuse_connect("[ code=403 need auth; authmod=llnw ]")
    await (await world.far()).refuse_connect("[ authmod=llnw ] : ?reason=needauth&user=alice&nonce=N7")
    proof = query_of((await (await world.far()).accept_connect())["app"])

    def hexdigest(text: str) -> str:
        return md5(text.encode()).hexdigest()

    who, what = hexdigest("alice:live:secret"), hexdigest("publish:/app/_definst_")
    assert proof["response"] == hexdigest(f"{who}:N7:{proof['nc']}:{proof['cnonce']}:auth:{what}")


@pytest.mark.parametrize("last", ["authfailed", "nosuchuser", "needauth&user=alice&salt=S&challenge=C"])
@in_memory
async def test_a_wrong_password(world: FarWorld, last: str) -> None:
    """A refusal for good is not argued with, however it is put."""
    world.pull("rtmp://alice:wrong@192.0.2.1/live/cam")
    await (await world.far()).refuse_connect("[ code=403 need auth; authmod=adobe ]")
    await (await world.far()).refuse_connect("[ authmod=adobe ] : ?reason=needauth&user=alice&salt=S&challenge=C")
    await (await world.far()).refuse_connect(f"[ authmod=adobe ] : ?reason={last}")
    assert "reason=" in await world.ended()
    assert len(world.network.dialed) == 3


async def _nothing(far: FarServer) -> None:
    pass


async def _connected(far: FarServer) -> None:
    await far.accept_connect()


async def _stream_given(far: FarServer) -> None:
    await far.accept_connect()
    await far.give_stream()


async def _playing(far: FarServer) -> None:
    await far.accept()


async def _streaming(far: FarServer) -> None:
    await far.accept()
    send_group(far)


STAGES: dict[str, Callable[[FarServer], Awaitable[None]]] = {
    "shaken": _nothing,
    "connected": _connected,
    "stream given": _stream_given,
    "playing": _playing,
    "streaming": _streaming,
}


@pytest.mark.parametrize("stage", STAGES)
@in_memory
async def test_a_server_that_hangs_up(world: FarWorld, stage: str) -> None:
    """At whatever stage a server closes, the attempt ends once, with a reason, and its stream with it."""
    world.pull()
    far = await world.far()
    await STAGES[stage](far)
    far.hang_up()
    assert (await world.ended()).startswith("the connection is lost")
    await world.seconds(5)
    assert world.observer.told.count("ended") == 1
    assert world.server.streams.inbound == {}
    assert len(world.network.dialed) == 1


@pytest.mark.parametrize("stage", ["mute", "shaken", "connected", "stream given"])
@in_memory
async def test_a_server_that_answers_nothing(world: FarWorld, stage: str) -> None:
    """A server that does not go on is waited for 20 s."""
    world.network.mute = stage == "mute"
    world.pull()
    far = await world.far()
    if not world.network.mute:
        await STAGES[stage](far)
    await world.seconds(18)
    assert world.observer.reason is None
    assert await world.ended() == "no answer within 20 s"


@pytest.mark.parametrize("stage", ["playing", "streaming"])
@in_memory
async def test_a_source_that_falls_silent(world: FarWorld, stage: str) -> None:
    """A source that neither sends nor answers pings is given up after 25 s, so that a frozen one is replaced soon."""
    world.pull()
    far = await world.far()
    await STAGES[stage](far)
    await world.seconds(24)
    assert world.observer.reason is None
    assert sum(text.startswith("PingRequest") for text in far.transcript) == 2
    assert await world.ended() == "not a byte for 25 s"


def test_a_source_without_a_publisher(world: FarWorld) -> None:
    """A source that has nothing to send but answers pings is not connected to anew: the stream comes when it comes."""

    async def script() -> FarServer:
        world.pull()
        far = await world.far()
        await far.accept()
        return far

    far = world.run(script())
    for _ in range(60):
        world.pass_time(10)
        far >> pong()
    assert (world.observer.told, len(world.network.dialed)) == (["connected"], 1)
    send_group(far)
    assert world.observer.told == ["connected", "streaming"]


def pong() -> object:
    """A sign of life."""
    return call("onBWDone", None)._replace(type_id=MessageType.USER_CONTROL, payload=b"\0\7\0\0\0\0")


async def _pushing(world: FarWorld) -> tuple[RtmpClient, FarServer]:
    """The publisher of a local stream, and the far end of its push."""
    publisher = await published(world)
    world.push()
    far = await world.far()
    await far.accept("NetStream.Publish.Start")
    return publisher, far


def test_a_target_that_never_says_anything(world: FarWorld) -> None:
    """A target that takes everything and neither acknowledges nor answers pings keeps its stream."""
    publisher, far = world.run(_pushing(world))
    for second in range(1, 120):
        publisher >> group(1000 * second)[0]
        world.pass_time(1)
    assert world.observer.reason is None
    assert far.transcript[-1] == "video 119000 key"


def test_a_target_that_stalls(world: FarWorld) -> None:
    """A target that takes nothing of what waits for it is given up after 20 s, and the reason says so."""
    publisher, far = world.run(_pushing(world))
    far.transport.hold()
    for second in range(1, 31):
        for message in group(1000 * second):
            publisher >> message
        world.pass_time(1)
        if world.observer.reason:
            break
    assert 20 <= second < 30
    assert world.observer.reason == "the other server has taken nothing for 20 s"


@in_memory
async def test_the_source_of_a_push_leaves(world: FarWorld) -> None:
    """When the local stream ends, the target is told in good order."""
    publisher = await published(world)
    world.push()
    far = await world.far()
    await far.accept("NetStream.Publish.Start")
    await far.heard("video 160 inter")
    publisher >> call("deleteStream", None, 1.0)
    await far.heard("FCUnpublish")
    await far.heard("deleteStream")
    assert (await world.ended()).startswith("the local stream ended")


@pytest.mark.parametrize("stage", ["shaken", "connected", "stream given", "playing", "streaming"])
@in_memory
async def test_stopping(world: FarWorld, stage: str) -> None:
    """A pull that I remove ends at once, at whatever stage it is, and is not heard of again."""
    attempt = world.pull()
    far = await world.far()
    await STAGES[stage](far)
    attempt.stop("removed")
    assert await world.ended() == "removed"
    await world.seconds(5)
    assert world.observer.told.count("ended") == 1
    assert far.closed


@in_memory
async def test_stopping_while_it_connects(world: FarWorld) -> None:
    """A pull that has not even reached its server can be removed."""
    world.pull().stop("removed")
    assert world.observer.told == ["ended"]
    assert world.observer.reason == "removed"


@pytest.mark.parametrize("code", ["NetStream.Play.UnpublishNotify", "NetStream.Play.Stop", "NetStream.Play.Complete"])
@in_memory
async def test_the_source_ends_the_stream(world: FarWorld, code: str) -> None:
    """When the source says that the stream is over, so is the local one."""
    world.pull()
    far = await play_begun(world)
    far.status_of_stream(code)
    assert await world.ended() == f"the other server stopped the stream ({code})"


@pytest.mark.parametrize("stream_id", [0, -1, 2.0**40, float("nan"), float("inf"), "one", None, True])
@in_memory
async def test_no_stream_is_given(world: FarWorld, stream_id: object) -> None:
    """What cannot be the number of a message stream is none."""
    world.pull()
    far = await world.far()
    await far.accept_connect()
    await far.give_stream(stream_id)
    assert await world.ended() == "the other server gives no stream"


@pytest.mark.parametrize("values", [("text", 7), (None, None), ([1], "x"), (), ({}, {"code": 1, "description": []})])
@in_memory
async def test_strange_answers(world: FarWorld, values: tuple[object, ...]) -> None:
    """Answers and states whose values are of the wrong kind do no harm."""
    world.pull()
    far = await world.far()
    transaction, *_ = await far.asked("connect")
    far >> call("_result", *values, transaction=transaction) >> call("_result", transaction=99) >> call("_error")
    await far.give_stream()
    await far.asked("play")
    far >> call("onStatus", *values) >> call("onStatus", None, {"code": 7, "level": []}) >> call("close", None)
    far.status_of_stream("NetStream.Play.Start")
    await world.until(lambda: "connected" in world.observer.told)


@in_memory
async def test_a_refusal_without_words(world: FarWorld) -> None:
    """A server that refuses without an information object is taken at its word."""
    world.pull()
    far = await world.far()
    transaction, *_ = await far.asked("connect")
    far >> call("_error", transaction=transaction)
    assert (await world.ended()).startswith("refused")


GARBAGE = {
    "a web server": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    "ones": b"\xff" * 5000,
    "zeros": bytes(5000),
    "a window of nothing": b"\x02\0\0\0\0\0\4\5\0\0\0\0\0\0\0\0",
    "chunks of nothing": b"\x02\0\0\0\0\0\4\1\0\0\0\0\0\0\0\0",
}


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("stage", ["mute", *STAGES])
@in_memory
async def test_garbage(world: FarWorld, stage: str, garbage: str) -> None:
    """Whatever a server sends instead of RTMP, at whatever stage, the attempt ends with a reason, or goes on."""
    world.network.mute = stage == "mute"
    world.pull()
    far = await world.far()
    if not world.network.mute:
        await STAGES[stage](far)
    far.send_raw(GARBAGE[garbage])
    await world.seconds(1)
    far.hang_up()
    assert re.match("protocol error: |the connection is lost: ", await world.ended())


def server_side(world: FarWorld) -> bytes:
    """All that a server sends from its first byte to the end of a group of pictures."""
    sent = bytearray(b"\3" + bytes(2 * handshake.PACKET_SIZE))

    async def script() -> None:
        world.pull()
        far = await world.far()
        deliver = far._send

        def record(data: bytes) -> None:
            sent.extend(data)
            deliver(data)

        far.connection_made(record)
        await STAGES["streaming"](far)
        far.hang_up()
        await world.ended()

    world.run(script())
    return bytes(sent)


def test_half_messages(world: FarWorld) -> None:
    """A session that is cut off at any byte ends with a reason; one that comes byte by byte is as good as any."""
    session = server_side(world)
    packets = 1 + 2 * handshake.PACKET_SIZE
    world.network.mute = True
    cuts = (0, 1, 2, 1536, packets - 1, *range(packets, len(session), 7))
    for piece, cut in [*((1000, cut) for cut in cuts), (1, len(session))]:
        world.pull()
        far = world.run(world.far())
        for at in range(0, cut, piece):
            far.send_raw(session[at : min(cut, at + piece)])
        far.hang_up()
        world.run(world.ended())
    assert world.observer.told == ["connected", "streaming", "ended"]


def test_a_target_that_refuses_for_hours(world: FarWorld, log_events: list[LogEvent]) -> None:
    """A push whose name is taken there says why, in the list of jobs and in one line of the log, and asks ever more rarely."""
    world.server.streams.register("mine", type_tag="INR", source=None)
    settings = {"targetUri": "rtmp://192.0.2.1/live", "localStreamName": "mine", "targetStreamName": "theirs"}
    job = world.run(world.server.jobs.push(settings))

    async def refuse() -> None:
        far = await world.far()
        await far.accept("NetStream.Publish.BadName", "error")

    log_events.clear()
    for _ in range(150):
        world.run(refuse())
    assert job.described["status"]["current"]["reason"] in ("", "NetStream.Publish.BadName: so it is")
    assert job.described["status"]["previous"]["description"] in ("Connection failed", "Connecting")
    assert world.clock.seconds() > 300
    lines = [event for event in log_events if event["log_level"] >= LogLevel.info]
    assert [event["reason"] for event in lines] == ["NetStream.Publish.BadName: so it is"]
    world.run(world.server.jobs.remove([job], "enough"))


def test_a_source_that_is_not_there_for_hours(world: FarWorld, log_events: list[LogEvent]) -> None:
    """A pull from a dead address says so once, and does not storm it."""
    world.network.refusing = True
    job = world.run(world.server.jobs.pull({"uri": "rtmp://192.0.2.1/live/cam", "localStreamName": "mine"}))
    world.pass_time(3600)
    assert job.attempts < 500
    lines = [event["reason"] for event in log_events if event["log_level"] >= LogLevel.info]
    assert lines == ["cannot connect to 192.0.2.1:1935: Connection was refused by other side."]
    assert {job.status.current.state.name, job.status.previous.state.name} == {"CONNECTION_FAILED", "CONNECTING"}
    world.run(world.server.jobs.remove([job], "enough"))


def test_nothing_is_kept_of_fifty_losses(world: FarWorld) -> None:
    """A source that goes and comes fifty times leaves one job, one stream and one connection, and its player stays."""
    job = world.run(world.server.jobs.pull({"uri": "rtmp://192.0.2.1/live/cam", "localStreamName": "mine"}))
    player = world.run(world.client())
    world.run(player.call("createStream", None))
    player >> call("play", None, "mine", stream_id=1)
    for flap in range(1, 51):
        far = world.run(play_begun(world))
        world.run(player.heard("video 0 key"))
        assert (job.successes, list(world.server.streams.inbound), len(world.server.connections)) == (flap, ["mine"], 2)
        far.hang_up()
        world.pass_time(0.1)
    assert not player.closed
    assert player.payloads(DATA) != []
    assert amf0.decode_prefix(player.payloads(DATA)[-1])
    world.run(world.server.jobs.remove([job], "enough"))
