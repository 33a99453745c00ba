"""Low-latency HLS from the frames of a source to a player that follows the playlist part by part."""

import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from ems.errors import CommandError
from ems.media.frame import SECOND
from ems.segmenters.hls import writer
from ems.segmenters.hls.job import HlsJobs
from tests.service.hls.low_latency_world import AUDIO, VIDEO, Player, Request, World, frames
from tests.service.hls.world import SlowDisk
from tests.unit.segmenters.lowlatency_rules import check, parse

LOW_LATENCY: dict[str, Any] = {"segmentType": "fmp4", "partLength": 200}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def played(world: World, seconds: int = 12, **settings: Any) -> Player:
    """A stream that a player has followed from its beginning."""
    world.write("cam", **LOW_LATENCY | settings)
    stream, player = world.publish("cam"), Player(world, "cam")
    for frame in frames(seconds):
        world.push(stream, frame)
        player.step()
    return player


def test_a_player_gets_every_part_in_order(world: World) -> None:
    """Whoever asks for the next part each time gets all of them, one after the other, and none twice."""
    player = played(world)
    serials = [int(uri.rpartition("part")[2].removesuffix(".m4s")) for uri in player.parts]
    assert serials == list(range(serials[0], serials[0] + len(serials)))
    assert len(serials) >= 11 * 5
    assert [one.following for one in player.playlists] == sorted({one.following for one in player.playlists})


def test_a_part_comes_within_its_own_length(world: World) -> None:
    """While the source is live, each answer comes 200 ms of media after the one before, not a segment later."""
    world.write("cam", **LOW_LATENCY)
    stream, player, times = world.publish("cam"), Player(world, "cam"), []
    for frame in frames(8):
        seen = len(player.playlists)
        world.push(stream, frame)
        player.step()
        times += [frame.dts / SECOND] * (len(player.playlists) > seen)
    steady = times[3:]
    assert max(later - earlier for earlier, later in pairwise(steady)) <= 0.25


def test_parts_joined_are_the_segments(world: World) -> None:
    """The file of a segment is nothing but its parts, so players may change from one to the other."""
    player = played(world)
    newest = player.playlists[-1]
    compared = 0
    for number, (uri, _) in newest.segments.items():
        if newest.parts.get(number):
            joined = b"".join(player.content(part["URI"]) for part in newest.parts[number])
            assert joined == world.path("cam", uri).read_bytes()
            compared += 1
    assert compared >= 3


def test_the_file_on_the_disk_is_an_ordinary_playlist(world: World) -> None:
    """A web server that only reads files serves the same folder, without parts."""
    played(world)
    text = world.path("cam").read_text()
    assert "#EXT-X-PART" not in text
    assert "#EXT-X-SERVER-CONTROL" not in text
    assert parse(text).segments.keys() == parse(world.ask("cam").text).segments.keys()
    assert not list(world.path("cam").parent.glob("*part*"))


def test_parts_stay_for_three_target_durations_and_go(world: World) -> None:
    """A part that is listed can be fetched, and longer; in the end memory has only the newest."""
    player = played(world, 30, playlistLength=20)
    newest = player.playlists[-1]
    listed = [part["URI"] for parts in newest.parts.values() for part in parts]
    assert all(world.ask("cam", uri).data for uri in listed)
    there = [uri for uri in player.parts if world.ask("cam", uri).data]
    assert len(listed) < len(there) <= 5 * 8
    assert there == player.parts[-len(there) :]


def test_delta_updates_are_followed(world: World) -> None:
    """A player that asks for delta updates gets short ones of a long list."""
    played(world, 30, playlistLength=20)
    full, delta = check(world.ask("cam").text), check(world.ask("cam", _HLS_skip="YES").text)
    assert delta.skipped > 5
    assert delta.segments == {number: one for number, one in full.segments.items() if number >= full.first + delta.skipped}


def test_streams_of_a_group_report_on_each_other(world: World) -> None:
    """A player that changes quality learns in advance how far the other playlist is."""
    for name in ("high", "low"):
        world.write(name, **LOW_LATENCY)
    streams = [world.publish(name) for name in ("high", "low")]
    for frame in frames(6):
        for stream in streams:
            world.push(stream, frame)
    high, low = check(world.ask("high").text), check(world.ask("low").text)
    assert [report["URI"] for report in high.reports] == ["../low/playlist.m3u8"]
    msn, part = low.following
    assert abs(int(high.reports[0]["LAST-MSN"]) * 5 + int(high.reports[0]["LAST-PART"]) - (msn * 5 + part - 1)) <= 1


def test_when_the_source_stands_still_players_get_503(world: World) -> None:
    """Nobody waits for more than three target durations, neither for the playlist nor for the hinted part."""
    player = played(world)
    msn, part = player.playlists[-1].following
    reload = world.ask("cam", _HLS_msn=str(msn), _HLS_part=str(part + 1))
    hinted = world.ask("cam", player.playlists[-1].hint)
    world.clock.advance(2.9)
    assert (reload.status, hinted.status) == (0, 0)
    world.clock.advance(0.2)
    assert (reload.status, hinted.status) == (503, 503)


def test_the_end_of_the_stream_wakes_everybody(world: World) -> None:
    """When the source ends for good, whoever waits gets the final playlist at once."""
    world.write("cam", keepAlive=False, playlistType="appending", **LOW_LATENCY)
    stream = world.publish("cam")
    for frame in frames(5):
        world.push(stream, frame)
    msn, _ = check(world.ask("cam").text).following
    last, beyond = world.ask("cam", _HLS_msn=str(msn)), world.ask("cam", _HLS_msn=str(msn + 1), _HLS_part="2")
    assert (last.data, beyond.data) == (None, None)
    stream.end("over")
    assert msn in check(last.text).segments
    assert check(beyond.text).ended
    assert parse(world.path("cam").read_text()).ended
    assert world.server.published.live(world.path("cam")) is None


def test_a_source_that_returns_goes_on_with_parts(world: World) -> None:
    """After a break players find parts again, behind a discontinuity or in a new list."""
    world.write("cam", **LOW_LATENCY)
    for _ in range(3):
        stream = world.publish("cam")
        for frame in frames(4):
            stream.push(frame)
            live = world.server.published.live(world.path("cam"))
            if live is not None and (request := world.ask("cam")).data:
                check(request.text)
        stream.end("gone")
    stream = world.publish("cam")
    for frame in frames(4):
        stream.push(frame)
    assert any(check(world.ask("cam").text).parts.values())


def test_a_new_source_has_parts_at_once(world: World) -> None:
    """When a source returns its first segment is offered part by part: the initialisation segment can be fetched before any
    file of it is on the disk."""
    world.write("cam", **LOW_LATENCY)
    stream = world.publish("cam")
    for frame in frames(4):
        world.push(stream, frame)
    stream.end("gone")
    numbers = check(world.ask("cam").text).following
    stream = world.publish("cam")
    for frame in frames(1, start=60 * SECOND):
        stream.push(frame)
    text = world.ask("cam").text
    again = check(text)
    assert len(again.parts[numbers[0]]) >= 4 and again.last + 1 == numbers[0]
    map_uri = text.rpartition('#EXT-X-MAP:URI="')[2].partition('"')[0]
    assert text.index("#EXT-X-DISCONTINUITY\n") < text.index(map_uri) < text.index(again.parts[numbers[0]][0]["URI"])
    assert world.ask("cam", map_uri).data and not world.path("cam", map_uri).exists()


def test_the_first_segment_of_all_is_offered_in_parts(world: World) -> None:
    """Whoever waits for a new stream has its first part when that is there, not when the first segment is."""
    world.write("cam", **LOW_LATENCY)
    stream = world.publish("cam")
    waiting: list[Request] = []
    for frame in frames(1):
        world.push(stream, frame)
        if not waiting and world.server.published.live(world.path("cam")) is not None:
            waiting.append(world.ask("cam"))
        if waiting and waiting[0].data:
            break
    assert frame.dts < 0.3 * SECOND
    first = check(waiting[0].text)
    assert first.segments == {}
    assert [len(parts) for parts in first.parts.values()] == [1]
    assert "#EXT-X-DISCONTINUITY" not in waiting[0].text
    map_uri = waiting[0].text.rpartition('#EXT-X-MAP:URI="')[2].partition('"')[0]
    assert world.ask("cam", map_uri).data
    msn, part = first.following
    following = world.ask("cam", _HLS_msn=str(msn), _HLS_part=str(part))
    for frame in [frame for frame in frames(1) if frame.dts > stream.newest]:
        world.push(stream, frame)
    assert [len(parts) for parts in check(following.text).parts.values()] == [2]


def test_nothing_that_was_offered_is_taken_back(world: World) -> None:
    """However short a change of the tracks leaves a segment: once a part of it was offered, the segment comes."""
    world.write("cam", **LOW_LATENCY | {"partLength": 100})
    stream = world.publish("cam")
    offered: dict[str, int] = {}
    for number, frame in enumerate(frames(12)):
        if number % 150 == 149:
            changed = replace(VIDEO, width=VIDEO.width + number)
            stream.set_tracks((changed, AUDIO))
        if frame.track.id == VIDEO.id:
            video = next(track for track in stream.tracks if track.id == VIDEO.id)
            frame = frame._replace(track=video, keyframe=frame.keyframe or number % 150 in (149, 150, 151, 152))
        world.push(stream, frame)
        if world.server.published.live(world.path("cam")) is None or not world.ask("cam").data:
            continue
        parsed = check(world.ask("cam").text)
        for msn, parts in parsed.parts.items():
            for part in parts:
                assert offered.setdefault(part["URI"], msn) == msn
    assert len(offered) > 60


def test_a_removed_output_leaves_nothing_in_memory(world: World) -> None:
    """When the output is removed, its parts and its waiting players go, too."""
    player = played(world)
    reload = world.ask("cam", _HLS_msn=str(player.playlists[-1].following[0]))
    job = next(iter(world.server.jobs))
    job.stop("removed")
    assert reload.status or reload.data
    assert world.server.published.live(world.path("cam")) is None
    assert not any(world.ask("cam", uri).data for uri in [*player.parts, player.playlists[-1].hint])


def test_parts_with_odd_names_go_too(world: World) -> None:
    """Parts whose name begins with what has to be quoted in a playlist leave the memory as all others do."""
    player = played(world, 30, playlistLength=20, chunkBaseName="my cam #1")
    assert player.parts[0].startswith("my%20cam%20%231")
    there = [uri for uri in player.parts if world.ask("cam", unquote(uri)).data]
    assert there == player.parts[-len(there) :] and len(there) <= 5 * 8


def test_the_hint_is_what_comes_next(world: World) -> None:
    """While a segment waits for the disk and the next one has parts already, the list hints at the first of those."""
    disk = SlowDisk()
    world.server.jobs.makers["hls"] = HlsJobs(world.server, disk)
    world.write("cam", **LOW_LATENCY)
    stream = world.publish("cam")
    for frame in frames(5):
        disk.busy = disk.busy or frame.dts > 2.5 * SECOND
        world.push(stream, frame)
    waiting = parse(world.ask("cam").text)
    serials = [int(uri.rpartition("part")[2].removesuffix(".m4s")) for uri in (waiting.parts[3][-1]["URI"], waiting.hint)]
    assert serials[1] == serials[0] + 1 and world.ask("cam", waiting.hint).data
    disk.go_on()
    assert world.ask("cam", check(world.ask("cam").text).hint).status == 0


def test_listed_parts_are_there_whatever_others_write(world: World) -> None:
    """However much other streams put into memory, a part that is listed can be fetched."""
    player = played(world)
    world.server.published.put(world.folder / "other.ts", bytes(world.server.published.MAX_BYTES))
    world.server.published.put(world.folder / "another.ts", b"more")
    assert all(world.ask("cam", part["URI"]).data for parts in player.playlists[-1].parts.values() for part in parts)


@pytest.mark.parametrize("hangs", [False, True])
def test_a_disk_that_fails_does_not_fill_the_memory_with_parts(
    world: World, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    """Parts of segments that cannot be written go from memory as well, with a full disk and with one that hangs."""
    disk = SlowDisk()
    monkeypatch.setattr(writer, "MAX_BACKLOG", 50_000)
    world.server.jobs.makers["hls"] = HlsJobs(world.server, disk)
    world.write("cam", **LOW_LATENCY)
    stream = world.publish("cam")
    for frame in frames(60):
        if frame.dts > 4.5 * SECOND and hangs:
            disk.busy = True
        elif frame.dts > 4.5 * SECOND and world.path("cam").parent.is_dir():
            shutil.rmtree(world.path("cam").parent)
            world.path("cam").parent.write_text("in the way")
        world.push(stream, frame)
    prefix = parse(world.ask("cam").text).hint.rpartition("part")[0]
    there = [number for number in range(1, 60 * 5 + 1) if world.ask("cam", f"{prefix}part{number}.m4s").data]
    assert 0 < len(there) <= 5 * 15


def test_a_new_list_is_waited_for(world: World) -> None:
    """When a source returns and its list begins anew, nobody gets the old one, which has ended: players wait for a part."""
    world.write("cam", **LOW_LATENCY | {"playlistType": "appending"})
    stream = world.publish("cam")
    for frame in frames(3):
        world.push(stream, frame)
    stream.end("gone")
    stream = world.publish("cam")
    requests = []
    for frame in frames(2, start=60 * SECOND):
        world.push(stream, frame)
        if world.server.published.live(world.path("cam")) is not None:
            requests.append(world.ask("cam"))
    assert len(requests) > 20
    assert not any(check(request.text).ended for request in requests)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"segmentType": "ts"}, "segmentType=fmp4"),
        ({"drmType": "evo"}, "drmType"),
        ({"drmType": "SAMPLE-AES"}, "drmType"),
        ({"useByteRange": True}, "useByteRange"),
        ({"partLength": 50}, "milliseconds"),
        ({"partLength": 1001}, "milliseconds"),
    ],
)
def test_what_does_not_go_together_is_refused_in_words(world: World, settings: dict[str, Any], words: str) -> None:
    """The command fails, and says which parameters stand against each other."""
    with pytest.raises(CommandError, match=words):
        world.write("cam", **LOW_LATENCY | settings)
