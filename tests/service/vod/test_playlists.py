"""Server-side playlists: what plays after what, on one clock, and what can be put in between."""

from itertools import pairwise
from typing import Any

from ems.formats import amf0
from ems.media.frame import SECOND
from ems.vod.playlist import Item
from tests.conversation import (
    AAC_HEADER,
    AVC_HEADER,
    DATA,
    VIDEO,
    RtmpClient,
    audio,
    group,
    in_memory,
    video,
)
from tests.service.vod.conftest import VodWorld


def pictures(client: RtmpClient) -> list[tuple[int, bytes]]:
    """Timestamp and body of each picture that has come."""
    return [(m.timestamp, m.payload) for m in client.messages if m.type_id == VIDEO and m.payload[1] == 1]


def switches(client: RtmpClient) -> list[str]:
    """The items that were announced."""
    values = [amf0.decode_all(body) for body in client.payloads(DATA)]
    return [v[1]["details"] for v in values if v[0] == "onPlayStatus" and v[1]["code"] == "NetStream.Play.Switch"]


async def live(world: VodWorld, name: str) -> Any:
    """Somebody publishes: a function that sends a group of pictures whose first has this time, named `name`."""
    publisher = await world.client()
    await publisher.publish(name)
    publisher >> video(0, AVC_HEADER) >> audio(0, AAC_HEADER)

    def send(start: int) -> None:
        for message in group(start, pictures=25, label=name):
            publisher >> message

    return publisher, send


@in_memory
async def test_items_follow_each_other_on_one_clock(world: VodWorld) -> None:
    """Parts of films come in their order, in real time, without a gap and without a step back; what is missing is left out."""
    world.write_list("x.lst", "0,2,film.mp4", "6,2,odd.mp4", "0,5,none.mp4", "nonsense", "99,1,odd.mp4", "10,1,film.mp4")
    client = await world.client("vod")
    await client.play("x.lst")
    world.pass_time(1)
    assert 0.9 < pictures(client)[-1][0] / 1000 < 1.3
    await client.status("NetStream.Play.Stop")
    times = [time for time, _ in pictures(client)]
    assert len(times) == 125
    assert all(0 < after - before <= 70 for before, after in pairwise(times))
    assert switches(client) == ["odd.mp4", "film.mp4"]
    assert [text for text in client.transcript if text == "onMetaData"] == ["onMetaData"] * 3
    assert not any(text.startswith("StreamIsRecorded") for text in client.transcript)
    starts = [event for event in world.events if event.endswith("PlaylistItemStart") or event == "playlistItemStart"]
    assert starts == ["firstPlaylistItemStart", "playlistItemStart", "lastPlaylistItemStart"]


@in_memory
async def test_a_length_of_nothing_is_one_picture(world: VodWorld) -> None:
    """As generateServerPlaylist writes it when no durations are given."""
    world.write_list("x.lst", "0,0,film.mp4", "5,0,film.mp4")
    client = await world.client("vod")
    await client.play("x.lst")
    await client.status("NetStream.Play.Stop")
    assert len(pictures(client)) == 2


@in_memory
async def test_a_list_may_name_lists_but_not_without_end(world: VodWorld) -> None:
    """A list in a list is played in its place; one that names itself ends."""
    world.write_list("x.lst", "0,1,film.mp4", "0,-1,y.lst", "0,-1,x.lst", "2,1,film.mp4")
    world.write_list("y.lst", "4,1,odd.mp4")
    client = await world.client("vod")
    await client.play("x.lst")
    world.pass_time(20)
    assert switches(client)[:4] == ["odd.mp4", "film.mp4", "odd.mp4", "film.mp4"]


@in_memory
async def test_a_list_repeats(world: VodWorld) -> None:
    """With ``# repeat=1`` it begins again; a list of which nothing can be played does not."""
    world.write_list("x.lst", "# repeat=1", "0,1,film.mp4", "0,1,none.mp4")
    world.write_list("nothing.lst", "# repeat=1", "0,1,none.mp4")
    client = await world.client("vod")
    await client.play("x.lst")
    world.pass_time(5)
    assert len(pictures(client)) >= 5 * 25
    assert all(0 < after - before <= 70 for (before, _), (after, _) in pairwise(pictures(client)))
    other = await world.client("vod")
    await other.play("nothing.lst")
    await other.status("NetStream.Play.Stop")


@in_memory
async def test_a_live_stream_holds_its_place(world: VodWorld) -> None:
    """An item of -1,-1 waits for its stream, and again when that is lost; the clock goes on."""
    world.write_list("x.lst", "0,1,film.mp4", "-1,-1,cam", "0,1,film.mp4")
    client = await world.client("vod")
    await client.play("x.lst")
    world.pass_time(5)
    assert len(pictures(client)) == 25
    publisher, send = await live(world, "cam")
    send(0)
    world.pass_time(2)
    assert len(pictures(client)) == 50
    publisher.send_raw(b"")
    world.peer(publisher).hang_up()
    world.pass_time(2)
    assert len(pictures(client)) == 50
    _, send = await live(world, "cam")
    send(500_000)
    world.pass_time(2)
    assert len(pictures(client)) == 75
    assert all(0 < after - before <= 70 for (before, _), (after, _) in pairwise(pictures(client)))
    assert switches(client) == ["cam"]


@in_memory
async def test_a_live_stream_that_is_lost_makes_way(world: VodWorld) -> None:
    """-1,-2 goes on with the next item when the stream is lost; -1 with a length waits so long for it."""
    world.write_list("x.lst", "-1,-2,cam", "-1,3,door", "0,1,film.mp4")
    publisher, send = await live(world, "cam")
    client = await world.client("vod")
    await client.play("x.lst")
    send(0)
    world.pass_time(2)
    assert len(pictures(client)) == 25
    world.peer(publisher).hang_up()
    world.pass_time(2)
    assert len(pictures(client)) == 25
    world.pass_time(2.5)
    assert len(pictures(client)) == 50
    await client.status("NetStream.Play.Stop")


@in_memory
async def test_live_or_file(world: VodWorld) -> None:
    """-2 is the live stream when it is there, else the file of that name."""
    (world.folder / "cam.flv").write_bytes((world.folder / "film.mp4").read_bytes())
    world.write_list("x.lst", "-2,1,cam")
    client = await world.client("vod")
    await client.play("x.lst")
    await client.status("NetStream.Play.Stop")
    assert b"picture cam" not in pictures(client)[0][1]
    _, send = await live(world, "cam")
    send(0)
    client = await world.client("vod")
    await client.play("x.lst")
    world.pass_time(1)
    assert b"picture cam" in pictures(client)[0][1]


@in_memory
async def test_something_is_put_in_between(world: VodWorld) -> None:
    """insertPlaylistItem interrupts what plays, now or at a time of the programme; afterwards that goes on."""
    world.write_list("x.lst", "0,6,film.mp4")
    client = await world.client("vod")
    await client.play("x.lst")
    assert world.server.vod is not None
    world.pass_time(1.5)
    assert world.server.vod.insert("x.lst", Item("odd.mp4", 4 * SECOND, 1 * SECOND)) == 1
    assert world.server.vod.insert("x.lst", Item("none.mp4", 0, SECOND)) == 1
    assert world.server.vod.insert("other.lst", Item("odd.mp4")) == 0
    world.pass_time(0.5)
    assert switches(client) == ["odd.mp4"]
    world.server.vod.insert("x.lst", Item("odd.mp4", 10 * SECOND, 1 * SECOND), 4 * SECOND)
    await client.status("NetStream.Play.Stop")
    times = [time for time, _ in pictures(client)]
    assert all(0 < after - before <= 70 for before, after in pairwise(times))
    film = [body for _, body in pictures(client)]
    # The film goes on with the key frame before the place where it was interrupted: up to a second twice each time.
    assert 150 + 50 < len(film) <= 150 + 50 + 2 * 26
    assert switches(client) == ["odd.mp4", "odd.mp4"]


@in_memory
async def test_who_leaves_during_a_live_item(world: VodWorld) -> None:
    """Nobody waits for a stream for a viewer who is gone."""
    world.write_list("x.lst", "-1,-1,cam")
    observers = len(world.server.streams.observers)
    client = await world.client("vod")
    await client.play("x.lst")
    world.pass_time(1)
    assert len(world.server.streams.observers) == observers + 1
    world.peer(client).hang_up()
    world.pass_time(1)
    assert len(world.server.streams.observers) == observers
