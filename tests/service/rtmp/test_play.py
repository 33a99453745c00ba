"""Playing: what a player is told and given, in which order, whatever the publisher does meanwhile."""

from itertools import pairwise
from typing import Any

import pytest

from ems.config import Application
from ems.formats import amf0
from tests.conversation import (
    AAC_HEADER,
    AUDIO,
    AVC_HEADER,
    DATA,
    VIDEO,
    MemoryWorld,
    Message,
    RtmpClient,
    aac,
    audio,
    avc,
    call,
    group,
    in_memory,
    metadata,
    play,
    video,
)


async def publishing(world: MemoryWorld, name: str = "cam", groups: int = 1) -> RtmpClient:
    """A publisher that has sent its headers and some groups of pictures of 200 ms."""
    client = await world.client()
    await client.publish(name)
    client >> video(0, AVC_HEADER) >> audio(0, AAC_HEADER)
    for index in range(groups):
        send(client, group(200 * index))
    return client


def send(client: RtmpClient, messages: list[Message]) -> None:
    """Send one after the other."""
    for message in messages:
        client >> message


def media(client: RtmpClient, stream_id: int = 1) -> list[Message]:
    """The audio and video messages that a player has got, without headers."""
    found = [m for m in client.messages if m.type_id in (AUDIO, VIDEO) and m.stream_id == stream_id]
    return [m for m in found if m.payload not in (AVC_HEADER, AAC_HEADER)]


def metadata_of(client: RtmpClient) -> dict[str, Any]:
    """The newest onMetaData."""
    name = amf0.encode("onMetaData")
    return next(amf0.decode_all(body)[1] for body in reversed(client.payloads(DATA)) if body.startswith(name))


OPENING = [
    "StreamBegin 1",
    "onStatus NetStream.Play.Reset",
    "onStatus NetStream.Play.Start",
    "|RtmpSampleAccess",
    "onStatus NetStream.Data.Start",
]


@in_memory
async def test_a_player_is_answered_in_the_documented_order(world: MemoryWorld) -> None:
    """StreamBegin, Reset, Start, access, Data.Start, onMetaData, codec headers, then media from a key frame on."""
    publisher = await publishing(world)
    player = await world.client()
    before = len(player.messages) + 1
    await player.play("cam")
    send(publisher, [video(240, avc(b"x", key=False))])
    await player.heard("video 240 inter")
    assert player.transcript[before:][:9] == [
        *OPENING,
        "onMetaData",
        "video 0 header",
        "audio 0 header",
        "video 0 key",
    ]


@in_memory
async def test_what_is_published_is_what_is_played(world: MemoryWorld) -> None:
    """Every byte, time and the order of pictures and sound arrive as they were sent."""
    publisher = await publishing(world, groups=0)
    player = await world.client()
    await player.play("cam")
    sent = [message for start in range(0, 2000, 200) for message in group(start, label="a")]
    for message in sent:
        publisher >> message
        world.pass_time(0.1)
    assert media(player) == sent


@in_memory
async def test_who_joins_in_mid_group_begins_with_its_key_frame(world: MemoryWorld) -> None:
    """A late player gets the headers and everything since the last key frame at once, without waiting for the next."""
    publisher = await publishing(world, groups=3)
    player = await world.client()
    await player.play("cam")
    await player.until(lambda: len(media(player)) == 10)
    assert media(player) == group(400)
    assert player.payloads(VIDEO)[0] == AVC_HEADER
    send(publisher, group(600))
    await player.until(lambda: len(media(player)) == 20)
    assert media(player) == group(400) + group(600)


@in_memory
async def test_a_player_may_come_first(world: MemoryWorld) -> None:
    """Who plays a name that nobody publishes yet waits, and gets the stream from its very first frame."""
    player = await world.client()
    await player.play("cam")
    publisher = await publishing(world, groups=1)
    await player.status("NetStream.Play.PublishNotify")
    await player.until(lambda: len(media(player)) == 10)
    send(publisher, group(200))
    await player.until(lambda: len(media(player)) == 20)
    assert media(player) == group(0) + group(200)
    assert not publisher.closed


@in_memory
async def test_a_player_survives_its_publisher(world: MemoryWorld) -> None:
    """When the source goes, the player is told and stays; when it comes back, it goes on with headers and a key frame."""
    publisher = await publishing(world)
    player = await world.client()
    await player.play("cam")
    await player.until(lambda: len(media(player)) == 10)
    publisher >> call("FCUnpublish", None, "cam")
    await player.status("NetStream.Play.UnpublishNotify")
    assert "StreamEOF 1" in player.transcript
    again = await publishing(world)
    await player.status("NetStream.Play.PublishNotify")
    await player.heard("video 0 header")
    await player.heard("video 0 key")
    assert media(player) == group(0) * 2
    assert not again.closed


@in_memory
async def test_the_last_frames_before_the_end_are_played(world: MemoryWorld) -> None:
    """What a publisher sends right before it stops reaches players before they are told that it has stopped."""
    publisher = await publishing(world)
    player = await world.client()
    await player.play("cam")
    await player.until(lambda: len(media(player)) == 10)
    send(publisher, [*group(200), call("FCUnpublish", None, "cam")])
    await player.status("NetStream.Play.UnpublishNotify")
    assert media(player) == group(0) + group(200)


@pytest.mark.parametrize("name", ["cam", "flv:cam", "FLV:cam", "x;*cam", "cam?token=1"])
@in_memory
async def test_names_as_clients_write_them(world: MemoryWorld, name: str) -> None:
    """Prefixes and queries of players lead to the stream that is meant."""
    await publishing(world)
    player = await world.client()
    await player.play(name)
    await player.heard("video 0 key")


@pytest.mark.parametrize("start", [-2000.0, -1000.0, -2.0, -1.0, 0.0, -5.0])
@in_memory
async def test_every_start_that_is_not_positive_means_live(world: MemoryWorld, start: float) -> None:
    """Special values in seconds or milliseconds, 0 and other negative numbers play the live stream."""
    await publishing(world)
    player = await world.client()
    await player.play("cam", start)
    await player.heard("video 0 key")


@pytest.mark.parametrize(("name", "start"), [("cam", 5000.0), ("cam", 1.0), ("", -2000.0)])
@in_memory
async def test_recordings_are_not_found(world: MemoryWorld, name: str, start: float) -> None:
    """A start inside a recording, or no name at all, is answered with StreamNotFound, and nothing is played."""
    await publishing(world)
    player = await world.client()
    await player.call("createStream", None)
    player >> play(name, 1, start)
    assert (await player.status("NetStream.Play.StreamNotFound"))["level"] == "error"
    assert world.server.streams.outbound == {}


@in_memory
async def test_a_name_that_no_stream_can_have_is_not_found(world: MemoryWorld) -> None:
    """Nobody waits for a name that can never be published, such as one of 60,000 characters."""
    player = await world.client()
    await player.call("createStream", None)
    player >> play("x" * 60_000, 1)
    await player.status("NetStream.Play.StreamNotFound")
    assert world.server.streams.outbound == {}


@in_memory
async def test_playing_without_reset_and_without_a_stream(world: MemoryWorld) -> None:
    """`reset` false leaves out Play.Reset; a message stream that does not exist is an error."""
    player = await world.client()
    await player.play("cam", -2000.0, -1000.0, False)
    assert "onStatus NetStream.Play.Reset" not in player.transcript
    player >> play("cam", 9)
    await player.status("NetStream.Play.Failed")


@in_memory
async def test_a_duration_ends_the_playing(world: MemoryWorld) -> None:
    """A player that asks for half a second is told that it is complete after half a second, and gets no more."""
    publisher = await publishing(world)
    player = await world.client()
    await player.play("cam", -2000.0, 500.0)
    began = world.clock.seconds()
    await player.status("NetStream.Play.Complete")
    await player.heard("StreamEOF 1")
    await player.status("NetStream.Play.Stop")
    assert 0.45 <= world.clock.seconds() - began <= 0.6
    assert world.server.streams.outbound == {}
    heard = len(media(player))
    send(publisher, group(200))
    world.pass_time(1)
    assert len(media(player)) == heard
    assert await player.call("createStream", None) == [None, 2.0]


@in_memory
async def test_pause_and_unpause(world: MemoryWorld) -> None:
    """A paused player gets nothing; afterwards it goes on with a key frame, and its clock never goes back."""
    publisher = await publishing(world)
    player = await world.client()
    await player.play("cam")
    await player.until(lambda: len(media(player)) == 10)
    player >> call("pause", None, True, 0.0, stream_id=1)
    await player.status("NetStream.Pause.Notify")
    send(publisher, group(200))
    send(publisher, group(400))
    world.pass_time(0.5)
    assert len(media(player)) == 10
    player >> call("pause", None, False, 0.0, stream_id=1)
    await player.status("NetStream.Unpause.Notify")
    send(publisher, group(600))
    await player.heard("video 600 key")
    received = media(player)
    assert [m.timestamp for m in received] == sorted(m.timestamp for m in received)
    assert received[10] == group(400)[0]


@in_memory
async def test_a_short_pause_repeats_nothing(world: MemoryWorld) -> None:
    """A player that pauses and goes on within one group of pictures is not sent the group again."""
    publisher = await publishing(world)
    player = await world.client()
    await player.play("cam")
    await player.until(lambda: len(media(player)) == 10)
    player >> call("pause", None, True, 0.0, stream_id=1) >> call("pause", None, False, 0.0, stream_id=1)
    await player.status("NetStream.Unpause.Notify")
    send(publisher, group(200))
    await player.heard("video 360 inter")
    times = [m.timestamp for m in media(player) if m.type_id == VIDEO]
    assert times == sorted(set(times))


@in_memory
async def test_sound_or_picture_can_be_switched_off_and_on(world: MemoryWorld) -> None:
    """receiveVideo and receiveAudio take effect from the next key frame on."""
    publisher = await publishing(world)
    player = await world.client()
    await player.play("cam")
    await player.until(lambda: len(media(player)) == 10)
    player >> call("receiveVideo", None, False, stream_id=1)
    for message in group(200):
        publisher >> message
        world.pass_time(0.1)
    assert [m.type_id for m in media(player)[10:]] == [AUDIO] * 5
    player >> call("receiveVideo", None, True, stream_id=1) >> call("receiveAudio", None, False, stream_id=1)
    send(publisher, group(400))
    await player.heard("video 560 inter")
    assert {m.type_id for m in media(player) if m.timestamp >= 400} == {VIDEO}


@in_memory
async def test_the_length_of_a_live_stream_is_0(world: MemoryWorld) -> None:
    """getStreamLength answers 0 for what is live."""
    player = await world.client()
    assert await player.call("getStreamLength", None, "cam") == [None, 0.0]


@in_memory
async def test_seeking_in_a_live_stream_fails(world: MemoryWorld) -> None:
    """A player that seeks is told that there is nowhere to go, and one whose time is no number that it is none."""
    player = await world.client()
    await player.play("cam")
    player >> call("seek", None, 5000.0, stream_id=1) >> call("seek", None, "x", stream_id=1)
    await player.status("NetStream.Seek.Failed")
    await player.status("NetStream.Seek.InvalidTime")


@pytest.mark.parametrize("ending", ["closeStream", "deleteStream", "hang up"])
@in_memory
async def test_every_way_to_leave_ends_the_subscription(world: MemoryWorld, ending: str) -> None:
    """A player that leaves costs nothing any more, and the publisher does not notice."""
    publisher = await publishing(world)
    player = await world.client()
    await player.play("cam")
    await player.heard("video 0 key")
    if ending == "hang up":
        world.peer(player).hang_up()
        world.pass_time(0.1)
    else:
        player >> call(ending, None, 1.0, stream_id=1)
    assert world.server.streams.outbound == {}
    assert world.server.streams.inbound["cam"].outbound == {}
    send(publisher, group(200))
    assert not publisher.closed


@in_memory
async def test_several_streams_on_one_connection(world: MemoryWorld) -> None:
    """One connection may play several streams, and one stream twice, each on its own message stream."""
    one, two = await publishing(world, "one"), await publishing(world, "two")
    player = await world.client()
    assert [await player.play(name) for name in ("one", "two", "one")] == [1, 2, 3]
    send(one, group(200, label="one"))
    send(two, group(200, label="two"))
    await player.until(lambda: all(len(media(player, i)) == 20 for i in (1, 2, 3)))
    for stream_id, label in ((1, "one"), (2, "two"), (3, "one")):
        expected = [m._replace(stream_id=stream_id) for m in group(0) + group(200, label=label)]
        assert media(player, stream_id) == expected
    player >> call("closeStream", None, stream_id=2)
    send(two, group(400))
    send(one, group(400))
    await player.until(lambda: len(media(player, 3)) == 30)
    assert len(media(player, 2)) == 20


@in_memory
async def test_playing_something_else_on_the_same_stream(world: MemoryWorld) -> None:
    """A second play on a message stream replaces the first."""
    one, two = await publishing(world, "one"), await publishing(world, "two")
    player = await world.client()
    await player.play("one")
    player >> play("two", 1)
    send(one, group(200, label="one"))
    send(two, group(200, label="two"))
    await player.heard("video 200 key")
    assert group(200, label="two")[0] in media(player)
    assert group(200, label="one")[0] not in media(player)


@in_memory
async def test_metadata_is_passed_on_and_made_true(world: MemoryWorld) -> None:
    """Players see what the publisher says of its stream, without what is true of files only, and the server's name."""
    publisher = await publishing(world, groups=0)
    publisher >> metadata(encoder="x", width=1.0, duration=99.0, filesize=5.0)
    send(publisher, group(0))
    player = await world.client()
    await player.play("cam")
    await player.heard("video 0 key")
    seen = metadata_of(player)
    assert (seen["encoder"], seen["width"], seen["Server"]) == ("x", 1.0, "EMS")
    assert (seen["videocodecid"], seen["audiocodecid"], seen["audiosamplerate"]) == (7, 10, 44100)
    assert "duration" not in seen
    assert "filesize" not in seen
    publisher >> metadata(encoder="y")
    await player.until(lambda: metadata_of(player)["encoder"] == "y")


@in_memory
async def test_data_messages_reach_players(world: MemoryWorld) -> None:
    """Cue points and texts come through in their place, byte for byte."""
    publisher = await publishing(world)
    player = await world.client()
    await player.play("cam")
    cue = amf0.encode("onCuePoint", {"name": "ad", "time": 7.0})
    publisher >> Message(DATA, 1, 160, cue) >> Message(15, 1, 160, b"\0" + cue)
    await player.until(lambda: player.payloads(DATA).count(cue) == 2)


@in_memory
async def test_a_stream_of_data_only_is_played(world: MemoryWorld) -> None:
    """A publisher may send nothing but data messages, and its players get them."""
    publisher = await world.client()
    await publisher.publish("cam")
    player = await world.client()
    await player.play("cam")
    for index in range(3):
        publisher >> Message(DATA, 1, index, amf0.encode("onCuePoint", float(index)))
        world.pass_time(0.1)
    await player.until(lambda: player.payloads(DATA)[-3:] == [amf0.encode("onCuePoint", float(i)) for i in range(3)])


@in_memory
async def test_new_headers_come_in_their_place(world: MemoryWorld) -> None:
    """When the publisher changes its configuration, players get the new header before the first frame it is for."""
    publisher = await publishing(world)
    player = await world.client()
    await player.play("cam")
    await player.until(lambda: len(media(player)) == 10)
    changed = AAC_HEADER[:2] + bytes.fromhex("1210")
    publisher >> audio(200, changed) >> audio(200, aac(b"new"))
    await player.until(lambda: aac(b"new") in player.payloads(AUDIO))
    bodies = player.payloads(AUDIO)
    assert bodies.index(changed) < bodies.index(aac(b"new"))


@in_memory
async def test_sound_alone_is_played_at_once(world: MemoryWorld) -> None:
    """A stream without pictures begins with any frame of sound."""
    publisher = await world.client()
    await publisher.publish("cam")
    publisher >> audio(0, AAC_HEADER) >> audio(0, aac(b"1")) >> audio(23, aac(b"2"))
    player = await world.client()
    await player.play("cam")
    await player.heard("audio 23 frame")
    assert player.payloads(AUDIO) == [AAC_HEADER, aac(b"2")]


@in_memory
async def test_pictures_that_come_after_the_sound_are_shown(world: MemoryWorld) -> None:
    """A player of a stream that began with sound alone gets the pictures when they come."""
    publisher = await world.client()
    await publisher.publish("cam")
    publisher >> audio(0, AAC_HEADER) >> audio(0, aac(b"1"))
    player = await world.client()
    await player.play("cam")
    await player.heard("audio 0 frame")
    publisher >> video(20, AVC_HEADER) >> video(20, avc(b"1", key=True))
    await player.heard("video 0 header")
    await player.heard("video 20 key")


@in_memory
async def test_a_player_that_does_not_read_hurts_nobody(world: MemoryWorld) -> None:
    """Beside a player that reads nothing, another gets every frame; the stuck one goes on later with a key frame."""
    publisher = await publishing(world)
    publisher.set_chunk_size(60_000)
    stuck, well = await world.client(), await world.client()
    for player in (stuck, well):
        await player.play("cam")
        await player.until(lambda player=player: len(media(player)) == 10)
    world.peer(stuck).transport.hold()
    start, pictures = 200, 0
    for _ in range(60):
        publisher >> video(start, avc(bytes(200_000), key=pictures % 5 == 0))
        start, pictures = start + 40, pictures + 1
        world.pass_time(0.1)
    assert len(media(well)) == 10 + pictures
    assert world.peer(stuck).transport.held_bytes < 1 << 20
    statistics = next(o for o in world.server.streams.outbound.values() if o.connection is world.peer(stuck).protocol).statistics
    world.peer(stuck).transport.release()
    world.pass_time(0.5)
    received = [m for m in media(stuck) if m.type_id == VIDEO]
    after_gap = next(b for a, b in pairwise(received) if b.timestamp - a.timestamp > 40)
    assert after_gap.payload[0] == 0x17
    assert statistics.video.dropped_packets == 0
    statistics = next(o for o in world.server.streams.outbound.values() if o.connection is world.peer(stuck).protocol).statistics
    assert statistics.video.packets + statistics.video.dropped_packets == 5 + pictures
    assert statistics.video.packets == len(received)


def test_source_timestamps_are_kept_on_request() -> None:
    """`useSourcePts` gives players the publisher's own times."""
    world = MemoryWorld(Application(name="ems", aliases=("live",), use_source_pts=True))

    async def script() -> None:
        publisher = await world.client()
        await publisher.publish("cam")
        publisher >> video(70_000, AVC_HEADER) >> video(70_000, avc(b"1", key=True))
        player = await world.client()
        await player.play("cam")
        await player.heard("video 70000 key")

    world.run(script())
    world.close()
