"""Bad input that a public server meets sooner or later: each costs at most the connection it comes by.

While each attack runs, somebody else publishes and somebody plays, and for them nothing may happen. That the log stays without
a traceback and that nothing is left behind is checked after every test by the fixture `world`.
"""

import struct

import pytest

from ems.formats import amf0
from ems.protocols.rtmp.chunks import Message, chunked
from ems.testing import MemoryPeer
from tests.conversation import (
    AAC_HEADER,
    AGGREGATE,
    AUDIO,
    AVC_HEADER,
    DATA,
    VIDEO,
    MemoryWorld,
    RtmpClient,
    aac,
    audio,
    avc,
    call,
    connect,
    group,
    in_memory,
    publish,
    video,
)
from tests.unit.media.vectors import AVCC_HIGH


class Bystanders:
    """A publisher and a player of their own stream, who want to notice nothing."""

    def __init__(self, world: MemoryWorld, publisher: RtmpClient, player: RtmpClient) -> None:
        self._world = world
        self._publisher = publisher
        self._player = player
        self._sent = 0

    @classmethod
    async def begin(cls, world: MemoryWorld) -> "Bystanders":
        """Let them begin."""
        publisher, player = await world.client(), await world.client()
        await publisher.publish("bystander")
        publisher >> video(0, AVC_HEADER) >> audio(0, AAC_HEADER)
        await player.play("bystander")
        return cls(world, publisher, player)

    async def are_well(self) -> None:
        """The next group of pictures gets through whole, and new clients are let in."""
        sent = group(self._sent)
        self._sent += 200
        for message in sent:
            self._publisher >> message
        await self._player.until(lambda: self._player.messages[-len(sent) :] == sent)
        await self._world.client()


async def published(world: MemoryWorld) -> RtmpClient:
    """An attacker that publishes on message stream 1."""
    client = await world.client()
    await client.publish("evil")
    client.set_chunk_size(60_000)
    return client


@pytest.mark.parametrize("first", [0, 1, 2, 4, 6, 0x16, ord("G"), 0xFF])
@in_memory
async def test_c0_not_3(world: MemoryWorld, first: int) -> None:
    """C0 ≠ 3: another protocol on the port is turned away at once."""
    bystanders = await Bystanders.begin(world)
    client = world.stranger()
    client.send_raw(bytes((first,)) + bytes(5000))
    await client.hung_up()
    await bystanders.are_well()


@in_memory
async def test_c1_all_ff(world: MemoryWorld) -> None:
    """C1 all FF: served plainly where digests need not be true, otherwise closed."""
    peer = MemoryPeer(world.server, "inboundRtmp")
    peer.send(b"\3" + b"\xff" * 1536)
    world.pass_time(0.1)
    assert not peer.connected
    assert bytes(peer.received) == b""


@in_memory
async def test_never_sends_c2(world: MemoryWorld) -> None:
    """Never sends C2: closed after the time for the handshake, with all that it has sent instead."""
    peer = MemoryPeer(world.server, "inboundRtmp")
    peer.send(b"\3" + bytes(1536))
    for _ in range(100):
        peer.send(bytes(10))
        world.pass_time(0.1)
    assert not peer.connected


@in_memory
async def test_chunk_format_3_first(world: MemoryWorld) -> None:
    """Chunk fmt 3 first: there is no header to go on from."""
    client = await world.client()
    client.send_raw(b"\xc9xyz")
    await client.hung_up()


@pytest.mark.parametrize("chunk_stream", [b"\2", b"\x3f", b"\0\0", b"\0\xff", b"\1\0\0", b"\1\xff\xff"])
@in_memory
async def test_chunk_stream_ids_at_the_edges(world: MemoryWorld, chunk_stream: bytes) -> None:
    """csid 2/63/64/319/65599: every one that can be written is read."""
    client = await world.client()
    body = call("createStream", None, transaction=9).payload
    client.send_raw(chunk_stream + bytes(3) + len(body).to_bytes(3, "big") + b"\x14" + bytes(4) + body)
    await client.heard("_result")


@in_memory
async def test_message_length_0xffffff_on_64_chunk_streams_unfinished(world: MemoryWorld) -> None:
    """Message length 0xFFFFFF × 64 csids unfinished: at most 32 MiB are held, then the connection closes."""
    bystanders = await Bystanders.begin(world)
    client = await world.client()
    client.set_chunk_size(1 << 20)
    for chunk_stream_id in range(3, 64):
        client.send_raw(bytes((chunk_stream_id,)) + bytes(3) + b"\xff\xff\xff\x09" + bytes(4) + bytes(1 << 20))
    await client.hung_up()
    assert world.peer(client).protocol.bytes_received < 34 << 20
    await bystanders.are_well()


@pytest.mark.parametrize(("size", "closes"), [(0, True), (1, False), (1 << 31, True), (0xFFFFFFFF, False), (0x7FFFFFFF, False)])
@in_memory
async def test_set_chunk_size(world: MemoryWorld, size: int, closes: bool) -> None:
    """Set chunk size 0, 1, 2³¹, 2³²−1: no size is an error, any other is used."""
    client = await world.client()
    client.set_chunk_size(size)
    client.chunk_size = min(size, 1 << 20) or 128
    if not closes:
        assert await client.call("createStream", None) == [None, 1.0]
    else:
        await client.hung_up()


@in_memory
async def test_set_chunk_size_mid_message(world: MemoryWorld) -> None:
    """Set chunk size mid-message: it holds from the next chunk on."""
    client = await world.client()
    body = call("createStream", None, "x" * 1000, transaction=9).payload
    head = b"\3" + bytes(3) + len(body).to_bytes(3, "big") + b"\x14" + bytes(4)
    change = chunked(2, Message(1, 0, 0, struct.pack(">I", 600)), 128)
    client.send_raw(head + body[:128] + change + b"\xc3" + body[128:728] + b"\xc3" + body[728:])
    await client.heard("_result")


@in_memory
async def test_abort_for_unknown_chunk_stream(world: MemoryWorld) -> None:
    """Abort for unknown csid: nothing happens."""
    client = await world.client()
    client >> Message(2, 0, 0, struct.pack(">I", 77)) >> Message(2, 0, 0, b"\xff\xff\xff\xff")
    assert await client.call("createStream", None) == [None, 1.0]


@pytest.mark.parametrize("repeats", [True, False])
@in_memory
async def test_type_3_with_and_without_extended_timestamp(world: MemoryWorld, repeats: bool) -> None:
    """Type-3 with/without extended timestamp: both habits of senders are understood."""
    client = await published(world)
    client >> video(0x01000000, AVC_HEADER)
    body = avc(bytes(range(256)) * 1000, key=True)
    extended = b"\1\0\0\0"
    separator = b"\xc6" + (extended if repeats else b"")
    pieces = [body[at : at + 60_000] for at in range(0, len(body), 60_000)]
    header = b"\x06\xff\xff\xff" + len(body).to_bytes(3, "big") + b"\x09\1\0\0\0" + extended
    client.send_raw(header + separator.join(pieces))
    (frame,) = world.server.streams.inbound["evil"]._gop.frames
    assert frame.data == body[5:]


def tag(kind: int, body: bytes, size: int | None = None) -> bytes:
    """An FLV tag inside an aggregate, with the size it claims."""
    return bytes((kind,)) + (len(body) if size is None else size).to_bytes(3, "big") + bytes(7) + body + bytes(4)


@pytest.mark.parametrize(
    "body",
    [tag(22, tag(9, b"\x17")), tag(9, b"\x17")[:8], tag(9, b"\x17", 0xFFFFFF), tag(8, b"") * 5000, b"\x09"],
    ids=["nested", "cut in the header", "size lie", "5000 messages", "one byte"],
)
@in_memory
async def test_aggregate_nested_or_truncated(world: MemoryWorld, body: bytes) -> None:
    """Aggregate (22) nested or truncated: the connection closes, the stream ends."""
    bystanders = await Bystanders.begin(world)
    client = await published(world)
    client >> Message(AGGREGATE, 1, 0, body)
    await client.hung_up()
    assert "evil" not in world.server.streams.inbound
    await bystanders.are_well()


@in_memory
async def test_window_acknowledgement_size_0(world: MemoryWorld) -> None:
    """Window ack 0: it is passed over, and does not make the server acknowledge every byte."""
    client = await world.client()
    client >> Message(5, 0, 0, bytes(4)) >> Message(5, 0, 0, b"")
    before = len(client.messages)
    for index in range(50):
        await client.call("getStreamLength", None, index)
    assert len(client.messages) == before + 50


@pytest.mark.parametrize("body", [b"", b"\0", b"\0\6", b"\0\6\1", b"\xff\xff" + bytes(4), bytes(60_000)])
@in_memory
async def test_user_control_0_bytes(world: MemoryWorld, body: bytes) -> None:
    """User control 0 bytes: events that are cut off, unknown or far too long are passed over."""
    client = await world.client()
    client.set_chunk_size(60_000)
    client >> Message(4, 0, 0, body)
    assert await client.call("createStream", None) == [None, 1.0]


NESTED_OBJECTS = b"\3\0\1a" * 1_000_000
NESTED_ARRAYS = b"\x0a\0\0\0\1" * 1_000_000
DAMAGED_VALUES = {
    "depth 10^6 of objects": NESTED_OBJECTS,
    "depth 10^6 of arrays": NESTED_ARRAYS,
    "circular reference": b"\3\0\1a\7\0\0\0\0\x09",
    "reference to nothing": b"\7\xff\xff",
    "ECMA array of 2^32-1": b"\x08\xff\xff\xff\xff\0\0\x09",
    "strict array of 2^32-1": b"\x0a\xff\xff\xff\xff",
    "string of 65535": b"\2\xff\xff" + b"x" * 65535,
    "long string lie": b"\x0c\xff\xff\xff\xffabc",
    "date that is none": b"\x0b" + struct.pack(">d", float("nan")) + b"\x80\0",
    "invalid UTF-8": b"\2\0\4\xff\xfe\xc0\x80",
    "unknown marker": b"\x42",
    "movie clip": b"\4",
    "AMF3 traits bomb": b"\x11\x0a" + b"\xff\xff\xff\xff" + b"\1",
    "AMF3 vector of 2^28": b"\x11\x0d\xff\xff\xff\xff\0",
    "AMF3 dictionary in itself": b"\x11\x11\3\0\x11\0\x11\0",
}


@pytest.mark.parametrize("name", DAMAGED_VALUES)
@in_memory
async def test_amf_values_that_cannot_be(world: MemoryWorld, name: str) -> None:
    """AMF0 depth 10⁶, circular references, lies about lengths, strict arrays, dates, invalid UTF-8, AMF3 bombs: in a command as
    in metadata, they are read as far as they make sense, or end the connection."""
    bystanders = await Bystanders.begin(world)
    bomb = DAMAGED_VALUES[name]
    client = await published(world)
    player = await world.client()
    await player.play("evil")
    client >> Message(DATA, 1, 0, amf0.encode("@setDataFrame", "onMetaData") + bomb)
    client >> video(0, AVC_HEADER) >> video(0, avc(b"1", key=True))
    world.pass_time(0.2)
    client >> Message(20, 1, 0, amf0.encode("publish", 0) + bomb) >> Message(20, 0, 0, bomb)
    client >> Message(20, 0, 0, amf0.encode("createStream") + bomb)
    client >> Message(17, 0, 0, b"\0" + bomb)
    world.pass_time(0.2)
    await bystanders.are_well()


@in_memory
async def test_amf3_classes_with_long_names(world: MemoryWorld) -> None:
    """AMF3 traits bombs: 64 KiB that would be 100 MB as AMF0 are not written out for players."""
    bystanders = await Bystanders.begin(world)
    name = b"n" * 30_000
    traits = b"\x13\1" + _u29(len(name) << 1 | 1) + name
    instances = [b"\x0a" + traits + b"\4\1"] + [b"\x0a\1\4\1"] * 3000
    array = b"\x09" + _u29(len(instances) << 1 | 1) + b"\1" + b"".join(instances)
    client = await published(world)
    player = await world.client()
    await player.play("evil")
    client >> Message(DATA, 1, 0, amf0.encode("onMetaData") + b"\x08\0\0\0\1\0\1a\x11" + array + b"\0\0\x09")
    client >> video(0, AVC_HEADER) >> video(0, avc(b"1", key=True))
    world.pass_time(0.5)
    assert player.received_bytes < 2 << 20
    await bystanders.are_well()


def _u29(value: int) -> bytes:
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.insert(0, value & 0x7F | 0x80)
    return bytes(groups)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1.0, 0.0, 1e300, 0.5, 2.0**32])
@in_memory
async def test_stream_ids_that_are_no_ids(world: MemoryWorld, number: float) -> None:
    """NaN/Inf stream ids, negative ones and fractions: deleteStream of them does nothing bad."""
    client = await published(world)
    client >> call("deleteStream", None, number) >> call("createStream", None, transaction=float("nan"))
    client >> call("play", None, "x", number, number, stream_id=1) >> call("seek", None, number, stream_id=1)
    client >> call("pause", None, number, number, stream_id=1)
    assert (await client.call("createStream", None))[1] in (2.0, 3.0)


@in_memory
async def test_publish_twice(world: MemoryWorld) -> None:
    """Publish twice: the same name again on one message stream takes the place of the first; on another it is BadName."""
    client = await published(world)
    client >> publish("evil", 1)
    await client.status("NetStream.Publish.Start")
    await client.call("createStream", None)
    client >> publish("evil", 2)
    await client.status("NetStream.Publish.BadName")
    assert list(world.server.streams.inbound) == ["evil"]


@in_memory
async def test_play_and_publish_on_the_same_message_stream(world: MemoryWorld) -> None:
    """Play+publish same connection: on one message stream the later takes the place of the earlier."""
    client = await published(world)
    client >> call("play", None, "evil", stream_id=1)
    await client.status("NetStream.Play.Start")
    assert world.server.streams.inbound == {}
    client >> publish("evil", 1)
    await client.status("NetStream.Publish.Start")
    assert world.server.streams.outbound == {}


@in_memory
async def test_release_stream_unknown(world: MemoryWorld) -> None:
    """releaseStream unknown: answered without an error, and nobody else's stream is released."""
    bystanders = await Bystanders.begin(world)
    client = await world.client()
    assert (await client.call("releaseStream", None, "nobody"))[0] is None
    assert (await client.call("releaseStream", None, "bystander"))[0] is None
    await bystanders.are_well()


@in_memory
async def test_1_mb_stream_key(world: MemoryWorld) -> None:
    """1 MB stream key: a command of that size ends the connection."""
    bystanders = await Bystanders.begin(world)
    client = await published(world)
    client >> publish("x" * 1_000_000, 1)
    await client.hung_up()
    await bystanders.are_well()


NAMES = {
    "../../x": False,
    "a/b": True,
    "%2e%2e": True,
    "a/%2e%2e/b": True,
    "a\0b": False,
    "\u202egpj.mac": False,
    "x" * 300: False,
    "x" * 60_000: False,
    "?x": None,
    "\udcff": False,
}


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
@in_memory
async def test_publish_names(world: MemoryWorld, name: str) -> None:
    """Publish name `../../x`, `a/b`, `%2e%2e`, NUL, RTL override, 300 chars: only what can be a path below the root is taken,
    and escapes are taken literally."""
    client = await world.client()
    await client.call("createStream", None)
    client >> publish(name, 1)
    if NAMES[name] is not None:
        await client.status("NetStream.Publish.Start" if NAMES[name] else "NetStream.Publish.BadName")
    assert list(world.server.streams.inbound) == ([name] if NAMES[name] else [])


@in_memory
async def test_metadata_15_mib(world: MemoryWorld) -> None:
    """Metadata 15 MiB: no player gets it, and the stream goes on."""
    client = await published(world)
    player = await world.client()
    await player.play("evil")
    values = {f"key{index}": "x" * 60_000 for index in range(260)}
    client >> Message(DATA, 1, 0, amf0.encode("@setDataFrame", "onMetaData", values))
    client >> video(0, AVC_HEADER) >> video(0, avc(b"1", key=True))
    await player.heard("video 0 key")
    assert player.received_bytes < 20_000


@pytest.mark.parametrize("record", [b"", b"\1", AVCC_HIGH[:6], AVCC_HIGH[:20], b"\xff" * 50, AVCC_HIGH[:5] + b"\xff" * 60])
@in_memory
async def test_avc_sequence_header_empty_or_damaged(world: MemoryWorld, record: bytes) -> None:
    """AVC sequence header empty: it changes nothing; a damaged one ends the connection or is passed over."""
    bystanders = await Bystanders.begin(world)
    client = await published(world)
    client >> video(0, b"\x17\0\0\0\0" + record)
    client >> video(0, avc(b"1", key=True))
    world.pass_time(0.1)
    assert not record or client.closed or world.server.streams.inbound["evil"].tracks == ()
    await bystanders.are_well()


@in_memory
async def test_avc_sequence_header_changing_every_second(world: MemoryWorld) -> None:
    """AVC sequence header changing every second: each player gets each header, and always a key frame behind it."""
    client = await published(world)
    player = await world.client()
    await player.play("evil")
    headers = [b"\x17\0\0\0\0" + AVCC_HIGH, b"\x17\0\0\0\0" + AVCC_HIGH[:-5] + b"\x01" + AVCC_HIGH[-4:]]
    for second in range(60):
        client >> video(second * 1000, headers[second % 2])
        for message in group(second * 1000):
            if message.type_id == VIDEO:
                client >> message
        world.pass_time(1)
    bodies = player.payloads(VIDEO)
    assert [bodies[at] for at in range(0, len(bodies), 6)] == headers * 30
    assert all(bodies[at][0] == 0x17 for at in range(1, len(bodies), 6))


@in_memory
async def test_sps_with_huge_vui_and_num_ref(world: MemoryWorld) -> None:
    """SPS with huge VUI/num_ref: exp-Golomb codes of any size do not hang the server."""
    client = await published(world)
    for sps in (
        b"\x67\x64\0\x1e" + bytes(60_000),
        b"\x67\x64\0\x1e\xac" + b"\0\0\0\x7f" * 1000,
        b"\x67\x42\0\x1e" + b"\x01" * 500,
    ):
        record = b"\1\x64\0\x1e\xff\xe1" + len(sps).to_bytes(2, "big") + sps + b"\1\0\4\x68\xeb\xe3\xcb"
        other = await published_as(world, f"sps{len(sps)}")
        other >> video(0, b"\x17\0\0\0\0" + record)
        world.pass_time(0.1)
    assert not client.closed


async def published_as(world: MemoryWorld, name: str) -> RtmpClient:
    """An attacker that publishes under this name."""
    client = await world.client()
    await client.publish(name)
    client.set_chunk_size(60_000)
    return client


@in_memory
async def test_composition_time_negative(world: MemoryWorld) -> None:
    """Composition time negative: passed on as it is."""
    client = await published(world)
    player = await world.client()
    await player.play("evil")
    body = avc(b"1", key=True, composition_ms=-8_388_608)
    client >> video(0, AVC_HEADER) >> video(0, body)
    await player.heard("video 0 key")
    assert player.payloads(VIDEO)[-1] == body


@in_memory
async def test_video_before_header(world: MemoryWorld) -> None:
    """Video before header: such frames are left out, and the stream begins with the first key frame behind the header."""
    client = await published(world)
    player = await world.client()
    await player.play("evil")
    for index in range(10):
        client >> video(40 * index, avc(b"lost", key=index % 5 == 0))
    client >> video(400, AVC_HEADER) >> video(400, avc(b"lost", key=False)) >> video(440, avc(b"first", key=True))
    world.pass_time(0.2)
    assert player.payloads(VIDEO) == [AVC_HEADER, avc(b"first", key=True)]


@in_memory
async def test_only_audio(world: MemoryWorld) -> None:
    """Only audio: played."""
    client = await published(world)
    client >> audio(0, AAC_HEADER)
    player = await world.client()
    await player.play("evil")
    client >> audio(0, aac(b"1"))
    await player.heard("audio 0 frame")


@in_memory
async def test_only_data(world: MemoryWorld) -> None:
    """Only data: played, empty and senseless messages included."""
    client = await published(world)
    player = await world.client()
    await player.play("evil")
    for body in (b"", b"\0", b"\2", amf0.encode("onMetaData"), amf0.encode("onMetaData", 7.0), amf0.encode("onText", {"a": "b"})):
        client >> Message(DATA, 1, 0, body) >> Message(15, 1, 0, body)
        world.pass_time(0.1)
    assert amf0.encode("onText", {"a": "b"}) in player.payloads(DATA)


@pytest.mark.parametrize("body", [b"\x90zzzz" + bytes(50), b"\x91zzzz" + bytes(50), b"\x96\x01zzzz\5abc", b"\xf7", b"\x98avc1"])
@in_memory
async def test_fourcc_unknown(world: MemoryWorld, body: bytes) -> None:
    """FourCC unknown: such a track is left out, or a tag that is cut off ends the connection."""
    bystanders = await Bystanders.begin(world)
    client = await published(world)
    client >> video(0, body) >> audio(0, b"\x90zzzz" + bytes(50))
    world.pass_time(0.1)
    assert client.closed or world.server.streams.inbound["evil"].tracks == ()
    await bystanders.are_well()


@in_memory
async def test_multitrack_ids_255(world: MemoryWorld) -> None:
    """Multitrack ids 255: the last track is as good as the first; hundreds of tracks are refused."""
    client = await published(world)
    client >> video(0, b"\x96\0avc1\xff" + AVCC_HIGH)
    assert [track.id for track in world.server.streams.inbound["evil"].tracks] == [255]
    size = len(AVCC_HIGH).to_bytes(3, "big")
    client >> video(0, b"\x96\x10avc1" + b"".join(bytes((i,)) + size + AVCC_HIGH for i in range(256)))
    await client.hung_up()


@in_memory
async def test_timestamp_back_10_minutes(world: MemoryWorld) -> None:
    """Timestamp back 10 min: players' time goes on."""
    client = await published(world)
    client >> video(1_000_000, AVC_HEADER)
    player = await world.client()
    await player.play("evil")
    for start in (1_000_000, 400_000, 0, 0xFFFFFFFF, 5):
        client >> video(start, avc(str(start).encode(), key=True))
        world.pass_time(0.2)
    times = [m.timestamp for m in player.messages if m.type_id == VIDEO][1:]
    assert times == sorted(times)
    assert times[-1] < 1000
    assert len(times) == 5


@in_memory
async def test_media_without_publishing(world: MemoryWorld) -> None:
    """Media for message streams that do not publish, or play, is passed over."""
    client = await world.client()
    await client.play("cam")
    for stream_id in (0, 1, 2, 0xFFFFFFFF):
        client >> video(0, AVC_HEADER, stream_id) >> audio(0, AAC_HEADER, stream_id) >> Message(DATA, stream_id, 0, b"\2")
    assert world.server.streams.inbound == {}
    assert await client.call("createStream", None) == [None, 2.0]


@in_memory
async def test_connect_with_senseless_properties(world: MemoryWorld) -> None:
    """A connect call whose command object is none, or whose properties have wrong types, is refused or let in, not crashed."""
    for arguments in ((), (None,), (7.0,), ("live",), ({"app": 7.0},), ([1.0],)):
        client = world.stranger()
        await client.shake()
        client >> call("connect", *arguments, transaction=1)
        await client.status("NetConnection.Connect.InvalidApp")
        await client.hung_up()
    await world.client(capsEx="x", fourCcList={"a": 1.0}, videoFourCcInfoMap=[1.0], objectEncoding="3", flashVer=None)


@in_memory
async def test_a_flood_of_calls(world: MemoryWorld) -> None:
    """A client that asks without end and never reads is cut off from more, not collected for."""
    bystanders = await Bystanders.begin(world)
    client = await world.client()
    client.set_chunk_size(60_000)
    world.peer(client).transport.hold()
    flood = chunked(3, call("x" * 1000, None, transaction=2), 60_000) * 50
    for _ in range(2000):
        client.send_raw(flood)
        if world.peer(client).transport.disconnecting:
            break
    assert world.peer(client).transport.held_bytes < 4 << 20
    await bystanders.are_well()


@in_memory
async def test_audio_of_every_first_byte(world: MemoryWorld) -> None:
    """All 256 kinds of audio and of video tags, each cut off after one, two and five bytes, do no harm."""
    for kind in (AUDIO, VIDEO):
        for first in range(256):
            client = await published_as(world, "each")
            for size in (0, 1, 4):
                client >> Message(kind, 1, 0, bytes((first,)) + bytes(size))
            world.peer(client).hang_up()
            world.pass_time(0.05)
    client = world.stranger()
    await client.shake()
    client >> connect()
    await client.status("NetConnection.Connect.Success")
