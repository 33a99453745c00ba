"""Metadata and RTMP: what encoders say is metadata, and what comes as metadata reaches players."""

import json
from typing import Any

from ems.formats import amf0
from ems.media.track import Kind
from ems.metadata.service import ALL
from ems.protocols.rtmp.chunks import Message
from tests.conversation import AVC_HEADER, DATA, VIDEO, MemoryWorld, RtmpClient, avc, group, in_memory, metadata, video


async def publisher(world: MemoryWorld, name: str = "cam") -> RtmpClient:
    """An encoder that has sent a group of pictures."""
    client = await world.client()
    await client.publish(name)
    client >> metadata(width=1280.0, height=720.0, when=amf0.AmfDate(0), level=float("nan")) >> video(0, AVC_HEADER)
    for message in group(0):
        client >> message
    return client


def newest(world: MemoryWorld, name: str = "cam") -> dict[str, Any]:
    """The envelope that is kept of a stream."""
    kept = world.server.metadata.newest(name)
    assert kept is not None
    envelope: dict[str, Any] = json.loads(kept.text)
    return envelope


def data_messages(client: RtmpClient) -> list[list[Any]]:
    """The data messages that a player has got since it plays."""
    return [amf0.decode_all(payload) for payload in client.payloads(DATA)]


@in_memory
async def test_onmetadata_is_metadata(world: MemoryWorld) -> None:
    """What an encoder says of its stream can be asked for, dates and NaN included."""
    await publisher(world)
    assert newest(world)["data"] == {
        "onMetaData": {"width": 1280, "height": 720, "when": "1970-01-01T00:00:00.000Z", "level": None}
    }


@in_memory
async def test_other_data_messages_are_metadata(world: MemoryWorld) -> None:
    """Captions and cue points come with the stream's time, and listeners hear of them."""
    encoder = await publisher(world)
    told: list[str] = []
    world.server.metadata.listen("cam", lambda one: told.append(one.text))
    encoder >> Message(DATA, 1, 160, amf0.encode("onTextData", {"text": "hello"}))
    assert newest(world) == {"EMS": {"type": "json", "timestamp": 160}, "data": {"onTextData": {"text": "hello"}}}
    assert [json.loads(text) for text in told] == [newest(world)]


@in_memory
async def test_players_get_metadata_that_came_another_way(world: MemoryWorld) -> None:
    """A player hears onEMSMetaData with the envelope; its onMetaData still describes the codecs."""
    await publisher(world)
    player = await world.client()
    await player.play("cam")
    world.server.metadata.publish("cam", '{"lat":32.8,"tags":["a",null]}')
    await player.until(lambda: any(values[0] == "onEMSMetaData" for values in data_messages(player)))
    (sent,) = [values[1] for values in data_messages(player) if values[0] == "onEMSMetaData"]
    assert sent["data"] == {"lat": 32.8, "tags": ["a", None]}
    assert sent["EMS"]["timestamp"] == 160
    described = [values[1] for values in data_messages(player) if values[0] == "onMetaData"]
    assert {(values["width"], values["height"], values["videocodecid"]) for values in described} == {(1280.0, 720.0, 7.0)}
    assert newest(world)["data"] == {"lat": 32.8, "tags": ["a", None]}


@in_memory
async def test_what_is_for_all_reaches_every_stream(world: MemoryWorld) -> None:
    """Metadata without a stream goes to the players of all."""
    await publisher(world, "one")
    await publisher(world, "two")
    players = [await world.client(), await world.client()]
    for player, name in zip(players, ("one", "two"), strict=True):
        await player.play(name)
    world.server.metadata.publish(ALL, '"hello"')
    for player in players:
        await player.until(lambda player=player: any(values[0] == "onEMSMetaData" for values in data_messages(player)))


@in_memory
async def test_the_pictures_go_on(world: MemoryWorld) -> None:
    """A player loses nothing when the first metadata comes in the middle of its stream, nor when the encoder's tracks change."""
    encoder = await publisher(world)
    player = await world.client()
    await player.play("cam")
    for time in (200, 240, 280):
        world.server.metadata.publish("cam", str(time))
        encoder >> video(time, avc(b"more %d" % time, key=False))
    (
        encoder
        >> Message(DATA, 1, 300, amf0.encode("onCuePoint", 1))
        >> video(320, AVC_HEADER + b"")
        >> video(320, avc(b"more 320", key=False))
    )
    await player.until(lambda: any(b"more 320" in payload for payload in player.payloads(VIDEO)))
    pictures = [payload for payload in player.payloads(VIDEO) if b"more" in payload]
    assert [payload[-3:] for payload in pictures] == [b"200", b"240", b"280", b"320"]
    stream = world.server.streams.inbound["cam"]
    assert len([track for track in stream.tracks if track.kind is Kind.DATA]) == 2


@in_memory
async def test_a_stream_without_pictures_yet_is_let_alone(world: MemoryWorld) -> None:
    """Metadata that is there before the first picture is kept; the stream has no track of it."""
    client = await world.client()
    await client.publish("cam")
    world.server.metadata.publish("cam", "1")
    assert world.server.streams.inbound["cam"].tracks == ()
    assert newest(world)["data"] == 1


@in_memory
async def test_metadata_does_not_keep_a_dead_source_alive(world: MemoryWorld) -> None:
    """The time-out of a source goes by what the source sends."""
    await publisher(world)
    before = world.server.streams.inbound["cam"].frame_count
    world.server.metadata.publish("cam", "1")
    assert world.server.streams.inbound["cam"].frame_count == before


@in_memory
async def test_metadata_of_a_server_of_our_kind_stays_the_same(world: MemoryWorld) -> None:
    """A relay hands on what the origin has wrapped."""
    encoder = await publisher(world)
    envelope = {"EMS": {"type": "json", "timestamp": 5}, "data": {"a": 1}}
    encoder >> Message(DATA, 1, 200, amf0.encode("onEMSMetaData", envelope))
    assert newest(world) == envelope
