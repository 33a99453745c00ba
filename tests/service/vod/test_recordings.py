"""Recordings over RTMP: what comes when, and what a player can do with it."""

import pytest
from twisted.internet.defer import Deferred

from ems.formats import amf0
from ems.protocols.rtmp.chunks import Message
from tests.conversation import (
    AAC_HEADER,
    AVC_HEADER,
    DATA,
    VIDEO,
    RtmpClient,
    audio,
    call,
    describe,
    group,
    in_memory,
    play,
    video,
)
from tests.service.vod.conftest import BUFFER, VodWorld


def frames(client: RtmpClient) -> list[int]:
    """The timestamps of the pictures that have come."""
    return [m.timestamp for m in client.messages if m.type_id == VIDEO and m.payload[1] == 1]


def buffer_length(stream_id: int, milliseconds: int) -> Message:
    """SetBufferLength."""
    return Message(4, 0, 0, b"\0\3" + stream_id.to_bytes(4, "big") + milliseconds.to_bytes(4, "big"))


@in_memory
async def test_a_film_begins_as_players_expect(world: VodWorld) -> None:
    """Who plays a film hears that it is recorded, how long it is, and then its frames."""
    client = await world.client("vod")
    stream_id = await client.play("mp4:film.mp4")
    said = client.transcript[client.transcript.index(f"StreamIsRecorded {stream_id}") :]
    assert said[:8] == [
        f"StreamIsRecorded {stream_id}",
        "onStatus NetStream.Play.Reset",
        f"StreamBegin {stream_id}",
        "onStatus NetStream.Play.Start",
        "|RtmpSampleAccess",
        "onStatus NetStream.Data.Start",
        "onMetaData",
        "video 0 header",
    ]
    metadata = amf0.decode_all(client.payloads(DATA, stream_id)[-1])[1]
    assert metadata["duration"] == 30.0
    assert (metadata["width"], metadata["height"]) == (640, 360)
    assert metadata["audiosamplerate"] == 48000


@pytest.mark.parametrize("name", ["film.mp4", "mp4:film", "mp4:film.mp4", "MP4:film.mp4?token=x", "mp4:films/film.mp4"])
def test_a_film_has_several_names(world: VodWorld, name: str) -> None:
    """With or without its type, with a query, in a folder of the folder."""
    (world.folder / "films").mkdir()
    (world.folder / "films/film.mp4").write_bytes((world.folder / "film.mp4").read_bytes())

    async def script() -> None:
        client = await world.client("vod")
        await client.play(name)
        await client.heard("video 21 key")

    world.run(script())


@in_memory
async def test_twice_the_buffer_comes_at_once_and_then_one_buffer_at_a_time(world: VodWorld) -> None:
    """R-155: the player's buffer is filled at once and kept full, without sending the whole film."""
    client = await world.client("vod")
    await client.play("mp4:film.mp4")
    await client.until(lambda: frames(client)[-1:] >= [2 * BUFFER * 1000 - 40])
    world.pass_time(BUFFER - 0.5)
    assert frames(client)[-1] <= 2 * BUFFER * 1000 + 40
    world.pass_time(1)
    assert 3 * BUFFER * 1000 - 40 <= frames(client)[-1] <= 3 * BUFFER * 1000 + 40
    assert frames(client) == [*range(21, frames(client)[-1] + 1, 40)]


@in_memory
async def test_a_player_says_how_much_it_buffers(world: VodWorld) -> None:
    """SetBufferLength overrides the storage's buffer."""
    client = await world.client("vod")
    client >> buffer_length(1, 1000)
    await client.play("mp4:film.mp4")
    world.pass_time(0.5)
    assert 1900 <= frames(client)[-1] <= 2100
    world.pass_time(3)
    assert 4900 <= frames(client)[-1] <= 5100


@in_memory
async def test_a_film_ends(world: VodWorld) -> None:
    """At its end the player is told, and can still go back."""
    client = await world.client("vod")
    client >> buffer_length(1, 3_600_000)
    stream_id = await client.play("mp4:film.mp4")
    complete = await client.heard("onPlayStatus NetStream.Play.Complete")
    assert amf0.decode_all(complete.payload)[1]["duration"] == 30.0
    await client.heard(f"StreamEOF {stream_id}")
    await client.status("NetStream.Play.Stop")
    assert len(frames(client)) == 750
    client >> call("seek", None, 29_000.0, stream_id=stream_id)
    await client.status("NetStream.Seek.Notify")
    await client.status("NetStream.Play.Stop")
    assert len(frames(client)) == 775


@in_memory
async def test_seeking_lands_on_the_key_frame_before(world: VodWorld) -> None:
    """R-156: 12.3 s is the picture of 12 s, or with key frames each 2 s that of 12 s, too; headers come again."""
    for name, place, landed in (("film", 12_300.0, 12_000), ("odd", 13_900.0, 12_000)):
        client = await world.client("vod")
        stream_id = await client.play(f"mp4:{name}.mp4")
        await client.heard(lambda text: text.startswith("video"))
        client >> call("seek", None, place, stream_id=stream_id)
        await client.heard(f"StreamEOF {stream_id}")
        await client.heard(f"StreamBegin {stream_id}")
        await client.status("NetStream.Seek.Notify")
        await client.heard("onMetaData")
        await client.heard(lambda text: text.startswith("video") and text.endswith("header"))
        first = await client.heard(lambda text: text.startswith("video"))
        assert describe(first).endswith("key")
        assert abs(first.timestamp - landed) <= 100


@in_memory
async def test_a_pause_freezes_the_film(world: VodWorld) -> None:
    """Nothing comes during a pause, and afterwards everything in its place; seeking meanwhile shows one picture."""
    client = await world.client("vod")
    client >> buffer_length(1, 500)
    stream_id = await client.play("mp4:film.mp4")
    world.pass_time(2)
    client >> call("pause", None, True, 2000.0, stream_id=stream_id)
    await client.status("NetStream.Pause.Notify")
    before = frames(client)
    world.pass_time(10)
    assert frames(client) == before
    client >> call("pause", None, False, 2000.0, stream_id=stream_id)
    await client.status("NetStream.Unpause.Notify")
    world.pass_time(1)
    assert 800 <= frames(client)[-1] - before[-1] <= 1600
    assert {b - a for a, b in zip(frames(client), frames(client)[1:], strict=False)} == {40}
    client >> call("pause", None, True, 3000.0, stream_id=stream_id)
    count = len(frames(client))
    client >> call("seek", None, 20_000.0, stream_id=stream_id)
    world.pass_time(5)
    assert len(frames(client)) == count + 1
    assert abs(frames(client)[-1] - 20_000) <= 40


@in_memory
async def test_a_part_of_a_film(world: VodWorld) -> None:
    """play with a start and a length sends just that part."""
    client = await world.client("vod")
    await client.play("mp4:film.mp4", 10_000.0, 2000.0)
    await client.status("NetStream.Play.Stop")
    assert len(frames(client)) == 50
    assert abs(frames(client)[0] - 10_000) <= 40


@in_memory
async def test_behind_the_end_there_is_nothing(world: VodWorld) -> None:
    """Who begins there is told at once that it is over, and so is who seeks there."""
    client = await world.client("vod")
    stream_id = await client.play("mp4:film.mp4", 40_000.0)
    await client.status("NetStream.Play.Stop")
    assert frames(client) == []
    client >> call("seek", None, 10_000.0, stream_id=stream_id)
    world.pass_time(1)
    assert frames(client)
    client >> call("seek", None, 50_000.0, stream_id=stream_id)
    await client.status("NetStream.Play.Stop")


@in_memory
async def test_how_long_is_it(world: VodWorld) -> None:
    """getStreamLength tells the seconds of a film, and 0 for anything else."""
    client = await world.client("vod")
    assert (await client.call("getStreamLength", None, "mp4:film.mp4"))[1] == 30.0
    assert (await client.call("getStreamLength", None, "mp4:none.mp4"))[1] == 0
    assert (await client.call("getStreamLength", None, ""))[1] == 0


@pytest.mark.parametrize(
    "name",
    [
        "mp4:none.mp4",
        "none.flv",
        "mp4:../secret.mp4",
        "mp4:/etc/passwd",
        "mp4:out/secret.mp4",
        "mp4:damaged.mp4",
        "none.lst",
        "mp4:films",
    ],
)
def test_what_is_not_there_is_not_found(world: VodWorld, tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    """A missing or damaged film, and one outside of the folder, is not found; and no file stays open."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.mp4").write_bytes((world.folder / "film.mp4").read_bytes())
    (world.folder / "out").symlink_to(outside)
    (world.folder / "damaged.mp4").write_bytes(b"\0\0\0\x10ftypisom" + bytes(400))

    async def script() -> None:
        client = await world.client("vod")
        await client.call("createStream", None)
        client >> play(name, 1)
        await client.status("NetStream.Play.StreamNotFound")

    world.run(script())


@in_memory
async def test_a_live_stream_comes_first_and_is_waited_for(world: VodWorld) -> None:
    """A bare name is the live stream, else the file, else the live stream to come."""
    (world.folder / "cam.flv").write_bytes((world.folder / "film.mp4").read_bytes())
    viewer = await world.client()
    await viewer.play("cam")
    assert "StreamIsRecorded 1" in viewer.transcript
    publisher = await world.client()
    await publisher.publish("cam")
    publisher >> video(0, AVC_HEADER) >> audio(0, AAC_HEADER)
    viewer = await world.client()
    await viewer.play("cam")
    await viewer.heard("onStatus NetStream.Data.Start")
    assert not any(text.startswith("StreamIsRecorded") for text in viewer.transcript)
    waiting = await world.client()
    await waiting.play("door")
    await publisher.publish("door")
    for message in (video(0, AVC_HEADER, 2), *(m._replace(stream_id=2) for m in group(0))):
        publisher >> message
    await waiting.heard(lambda text: text.startswith("video") and text.endswith("key"))


@in_memory
async def test_a_player_that_stands_still_costs_little(world: VodWorld) -> None:
    """However long it does not read, what waits for it is a part of a second of film; then it goes on without a gap."""
    client = await world.client("vod")
    client >> buffer_length(1, 3_600_000)
    peer = world.peer(client)
    peer.transport.hold()
    client >> call("createStream", None, transaction=9) >> play("mp4:film.mp4", 1)
    world.pass_time(5)
    assert peer.transport.held_bytes < 200_000
    peer.transport.release()
    await client.status("NetStream.Play.Stop")
    assert len(frames(client)) == 750


@in_memory
async def test_only_one_kind(world: VodWorld) -> None:
    """receiveVideo and receiveAudio switch a kind off and on."""
    client = await world.client("vod")
    client >> buffer_length(1, 200)
    stream_id = await client.play("mp4:film.mp4")
    world.pass_time(1)
    client >> call("receiveVideo", None, False, stream_id=stream_id)
    world.pass_time(0.2)
    count, sounds = len(frames(client)), len(client.payloads(8, stream_id))
    world.pass_time(2)
    assert len(frames(client)) == count
    assert len(client.payloads(8, stream_id)) > sounds + 50


@in_memory
async def test_a_player_is_listed(world: VodWorld) -> None:
    """The operator sees who plays what, and how much of it."""
    client = await world.client("vod")
    await client.play("mp4:film.mp4")
    world.pass_time(0.5)
    (playing,) = world.server.streams.outbound.values()
    assert (playing.type_tag, playing.name) == ("ONR", "mp4:film.mp4")
    assert playing.statistics.video.packets == len(frames(client))
    client >> call("closeStream", None, stream_id=1)
    world.pass_time(0.1)
    assert world.server.streams.outbound == {}


@in_memory
async def test_one_connection_cannot_have_all_files(world: VodWorld) -> None:
    """When as many files are open as may be, the next film is refused with the reason; one that ends makes room."""
    assert world.server.vod is not None
    world.server.vod.library.MAX_OPEN = 2
    client = await world.client("vod")
    for _ in range(2):
        await client.play("mp4:film.mp4")
    await client.call("createStream", None)
    client >> play("mp4:odd.mp4", 3)
    refusal = await client.status("NetStream.Play.StreamNotFound")
    assert refusal["description"] == "2 files are open already"
    client >> call("closeStream", None, stream_id=1) >> play("mp4:odd.mp4", 3)
    await client.heard("StreamIsRecorded 3")


@in_memory
async def test_who_leaves_while_the_film_is_opened(world: VodWorld) -> None:
    """Nobody is served, and nothing stays open."""
    assert world.server.vod is not None
    slow: list[Deferred[None]] = []

    def later(function: object, *arguments: object) -> "Deferred[object]":
        waiting: Deferred[None] = Deferred()
        slow.append(waiting)
        return waiting.addCallback(lambda _: function(*arguments))  # type: ignore[operator]

    world.server.vod.library.in_thread = later
    client = await world.client("vod")
    await client.call("createStream", None)
    client >> play("mp4:film.mp4", 1) >> call("closeStream", None, stream_id=1)
    while slow:
        slow.pop().callback(None)
    world.pass_time(0.5)
    assert frames(client) == []
