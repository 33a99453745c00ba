"""Publishing: the order in which encoders talk, who may have a name, and what becomes of what is sent."""

import pytest

from ems.formats import amf0
from ems.media.frame import MILLISECOND
from ems.media.track import Codec, Kind
from ems.testing import RecordingSink
from tests.conversation import (
    AAC_HEADER,
    AGGREGATE,
    AVC_HEADER,
    DATA,
    MemoryWorld,
    Message,
    aac,
    audio,
    avc,
    call,
    create_stream,
    describe,
    group,
    in_amf3,
    in_memory,
    metadata,
    publish,
    video,
)


def recorded(world: MemoryWorld, name: str) -> RecordingSink:
    """A sink on a stream that is live."""
    sink = RecordingSink()
    world.server.streams.inbound[name].add_sink(sink)
    return sink


@in_memory
async def test_flash_media_live_encoder_is_answered_step_by_step(world: MemoryWorld) -> None:
    """FMLE sends its whole opening before createStream returns, and every step of it is answered in order."""
    client = await world.client()
    before = len(client.messages)
    client >> call("releaseStream", None, "cam", transaction=2) >> call("FCPublish", None, "cam", transaction=3)
    client >> create_stream(4) >> call("_checkbw", None, transaction=5) >> publish("cam", 1, transaction=6)
    client >> metadata(width=640.0) >> video(0, AVC_HEADER) >> video(0, avc(b"1", key=True))
    client >> call("FCUnpublish", None, "cam", transaction=7) >> call("deleteStream", None, 1.0, transaction=8)
    assert [describe(m) for m in client.messages[before:]] == [
        "_result",
        "_result",
        "onFCPublish NetStream.Publish.Start",
        "_result",
        "_result",
        "onStatus NetStream.Publish.Start",
        "_result",
        "onStatus NetStream.Unpublish.Success",
        "onFCUnpublish NetStream.Unpublish.Success",
    ]
    assert world.server.streams.inbound == {}


@in_memory
async def test_publish_start_names_the_stream_and_the_client(world: MemoryWorld) -> None:
    """The status has level, description, the stream's name and the client's id, on the message stream it belongs to."""
    client = await world.client()
    await client.call("createStream", None)
    client >> publish("cam?token=1", 1)
    message = await client.heard("onStatus NetStream.Publish.Start")
    assert message.stream_id == 1
    info = amf0.decode_all(message.payload)[3]
    assert info["level"] == "status"
    assert info["details"] == "cam"
    assert info["clientid"] == str(next(iter(world.server.connections)).id)


@in_memory
async def test_frames_arrive_as_they_were_sent(world: MemoryWorld) -> None:
    """Tracks, times, composition times and every byte of every frame reach a consumer, in the order of the publisher."""
    client = await world.client()
    await client.publish("cam")
    client >> video(1000, AVC_HEADER) >> audio(1000, AAC_HEADER)
    sink = recorded(world, "cam")
    client >> video(1000, avc(b"one", key=True, composition_ms=80)) >> audio(1005, aac(b"sound"))
    client >> video(1040, avc(b"two", key=False, composition_ms=-40))
    assert [track.codec for track in sink.tracks] == [Codec.H264, Codec.AAC]
    assert [(f.track.kind, f.dts // MILLISECOND, (f.pts - f.dts) // MILLISECOND, f.keyframe, f.data) for f in sink.frames] == [
        (Kind.VIDEO, 0, 80, True, b"\0\0\0\4\x65one"),
        (Kind.AUDIO, 5, 0, True, b"sound"),
        (Kind.VIDEO, 40, -40, False, b"\0\0\0\4\x41two"),
    ]


@pytest.mark.parametrize("kind", ["live", "record", "append", "LIVE", "whatever"])
@in_memory
async def test_every_kind_of_publishing_is_live(world: MemoryWorld, kind: str) -> None:
    """live, record, append and unknown kinds all make a live stream."""
    client = await world.client()
    await client.publish("cam", kind)
    assert "cam" in world.server.streams.inbound


@in_memory
async def test_a_second_publisher_gets_bad_name_and_the_first_goes_on(world: MemoryWorld) -> None:
    """A taken name is refused in words; nothing happens to who has it, and the refused one may try another name."""
    first, second = await world.client(), await world.client()
    await first.publish("cam")
    await second.call("createStream", None)
    second >> publish("cam", 1)
    info = await second.status("NetStream.Publish.BadName")
    assert (info["level"], info["details"]) == ("error", "cam")
    first >> video(0, AVC_HEADER) >> video(0, avc(b"1", key=True))
    assert world.server.streams.inbound["cam"].frame_count == 1
    second >> publish("cam2", 1)
    await second.status("NetStream.Publish.Start")


@pytest.mark.parametrize("name", ["../../x", "a/../b", "/x", "a\0b", "\u202egpj.cam", "x" * 300, "a//b", ".hidden", "\\\\x\\y"])
@in_memory
async def test_names_that_could_do_harm_are_refused(world: MemoryWorld, name: str) -> None:
    """A name that leaves its folder, looks like another or is too long is no stream name; the connection stays."""
    client = await world.client()
    await client.call("createStream", None)
    client >> publish(name, 1)
    await client.status("NetStream.Publish.BadName")
    assert world.server.streams.inbound == {}


@in_memory
async def test_publishing_needs_a_message_stream(world: MemoryWorld) -> None:
    """Publishing on a stream that createStream has not made is an error."""
    client = await world.client()
    client >> publish("cam", 7)
    await client.status("NetStream.Publish.BadName")


@in_memory
async def test_at_most_64_streams_of_one_connection(world: MemoryWorld) -> None:
    """A client that asks for streams without end is told the limit."""
    client = await world.client()
    for index in range(64):
        assert (await client.call("createStream", None))[1] == index + 1
    client >> create_stream(999)
    await client.status("NetConnection.Call.Failed")
    client >> call("deleteStream", None, 5.0)
    assert (await client.call("createStream", None))[1] == 5


@pytest.mark.parametrize(("app", "name"), [("live/room", "cam"), ("live", "room/cam"), ("live/_definst_/room", "cam")])
@in_memory
async def test_the_slash_between_application_and_name_may_be_anywhere(world: MemoryWorld, app: str, name: str) -> None:
    """live/room + cam and live + room/cam are one stream, for publishers and for players."""
    client = await world.client(app)
    await client.publish(name)
    assert list(world.server.streams.inbound) == ["room/cam"]
    player = await world.client(app)
    await player.play(name)
    assert world.server.streams.inbound["room/cam"].outbound


@pytest.mark.parametrize("ending", ["closeStream", "deleteStream", "FCUnpublish", "publish false", "publish again"])
@in_memory
async def test_every_way_to_stop_frees_the_name(world: MemoryWorld, ending: str) -> None:
    """However an encoder stops, it is told, its stream ends, and the name can be published again."""
    client = await world.client()
    await client.publish("cam")
    match ending:
        case "closeStream":
            client >> call("closeStream", None, stream_id=1)
        case "deleteStream":
            client >> call("deleteStream", None, 1.0)
        case "FCUnpublish":
            client >> call("FCUnpublish", None, "cam")
        case "publish false":
            client >> call("publish", None, False, stream_id=1)
        case "publish again":
            client >> publish("other", 1)
            await client.status("NetStream.Publish.Start")
    if ending != "publish again":
        await client.status("NetStream.Unpublish.Success")
    assert "cam" not in world.server.streams.inbound
    other = await world.client()
    await other.publish("cam")


@in_memory
async def test_a_publisher_that_hangs_up_ends_its_streams(world: MemoryWorld) -> None:
    """Consumers learn at once that a source is gone when its connection breaks, with all the streams it had."""
    client = await world.client()
    await client.publish("cam1")
    await client.publish("cam2")
    sink = recorded(world, "cam2")
    world.peer(client).hang_up()
    world.pass_time(0.1)
    assert sink.reason == "the connection is lost"
    assert world.server.streams.inbound == {}


@in_memory
async def test_metadata_in_every_form_is_understood(world: MemoryWorld) -> None:
    """onMetaData with or without @setDataFrame, in AMF0 or as an AMF3 data message, is kept for players to come."""
    client = await world.client()
    await client.publish("cam")
    stream = world.server.streams.inbound["cam"]
    client >> metadata(width=640.0, encoder="x")
    assert stream.metadata == {"width": 640.0, "encoder": "x"}
    client >> Message(DATA, 1, 0, amf0.encode("onMetaData", {"width": 320.0}))
    assert stream.metadata == {"width": 320.0}
    behind_zero = b"\0" + amf0.encode("@setDataFrame", "onMetaData", {"width": 160.0})
    client >> Message(15, 1, 0, behind_zero)
    assert stream.metadata == {"width": 160.0}
    client >> Message(DATA, 1, 0, amf0.encode("@clearDataFrame", "onMetaData"))
    assert stream.metadata == {}


@in_memory
async def test_aggregates_are_taken_apart(world: MemoryWorld) -> None:
    """An aggregate's messages are placed by their own times, moved to the time of the aggregate."""
    client = await world.client()
    await client.publish("cam")
    client >> video(5000, AVC_HEADER) >> video(5000, avc(b"0", key=True))
    sink = recorded(world, "cam")
    parts = [(9, 100, avc(b"1", key=False)), (9, 140, avc(b"2", key=False)), (8, 140, AAC_HEADER), (8, 145, aac(b"s"))]
    body = b"".join(
        bytes((kind,)) + len(part).to_bytes(3, "big") + time.to_bytes(4, "big")[1:] + bytes(4) + part + bytes(4)
        for kind, time, part in parts
    )
    client >> Message(AGGREGATE, 1, 5040, body)
    assert [(f.dts // MILLISECOND, f.data[-1:]) for f in sink.frames[1:]] == [(40, b"1"), (80, b"2"), (85, b"s")]


@in_memory
async def test_the_chunk_size_may_change_between_messages(world: MemoryWorld) -> None:
    """A publisher may cut its messages finer or coarser at any time; not a byte is lost."""
    client = await world.client()
    await client.publish("cam")
    client >> video(0, AVC_HEADER)
    sink = recorded(world, "cam")
    payloads = [bytes([size & 255]) * 10_000 for size in (1, 128, 4096, 65_536)]
    for index, (size, payload) in enumerate(zip((1, 128, 4096, 65_536), payloads, strict=True)):
        client.set_chunk_size(size)
        client >> video(40 * index, avc(payload, key=True))
    assert [frame.data[5:] for frame in sink.frames] == payloads


@in_memory
async def test_publishing_and_playing_on_one_connection(world: MemoryWorld) -> None:
    """A client may watch its own stream on the connection it publishes by."""
    client = await world.client()
    await client.publish("cam")
    assert await client.play("cam") == 2
    client >> video(0, AVC_HEADER) >> video(0, avc(b"1", key=True))
    await client.heard("video 0 key")


@in_memory
async def test_commands_in_amf3_messages_publish_too(world: MemoryWorld) -> None:
    """Flash with objectEncoding 3 publishes by AMF3 command messages."""
    client = await world.client(objectEncoding=3)
    client >> in_amf3(create_stream(2)) >> in_amf3(publish("cam", 1))
    await client.status("NetStream.Publish.Start")


@in_memory
async def test_repeated_headers_do_not_disturb(world: MemoryWorld) -> None:
    """An encoder that repeats its configuration with every key frame announces it once only."""
    client = await world.client()
    await client.publish("cam")
    client >> video(0, AVC_HEADER)
    sink = recorded(world, "cam")
    for start in (0, 200, 400):
        client >> video(start, AVC_HEADER)
        for message in group(start):
            client >> message
    assert [call for call, _ in sink.calls].count("tracks_changed") == 1
