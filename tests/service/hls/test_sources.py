"""Sources as they really are: late, broken, changing, coming and going."""

import io
from dataclasses import replace
from itertools import pairwise

import av
import pytest

from ems.media.aac import make_track
from ems.media.frame import MILLISECOND, SECOND, Frame
from ems.media.track import Kind, Track
from ems.segmenters.hls.containers import TIMESTAMP_OWNER
from tests.service.hls.playlist_rules import Watcher
from tests.service.hls.world import (
    World,
    assert_every_unit_once,
    decode,
    looped,
    media_playlist,
    renamed,
    seconds_of,
    segment_data,
    source,
    units,
    units_of,
)

TYPES = pytest.mark.parametrize("segment_type", ["ts", "fmp4"])


def track(kind: Kind) -> Track:
    """The track of a kind of the usual clip."""
    return next(track for track in source().tracks if track.kind is kind)


def of_kind(frames: list[Frame], kind: Kind) -> list[Frame]:
    """The frames of one kind."""
    return [frame for frame in frames if frame.track.kind is kind]


def create(world: World, segment_type: str, parameters: str = "") -> None:
    """Have the stream ``cam`` written in segments of 2 s."""
    world.create(f"localStreamNames=cam targetFolder=out groupName=g chunkLength=2 segmentType={segment_type} {parameters}")


def all_decode(world: World) -> int:
    """How many segments there are, all of which ffmpeg has decoded alone."""
    folder = world.folder / "out/g/cam"
    segments = media_playlist(folder / "playlist.m3u8").segments
    for segment in segments:
        decode(segment_data(segment, folder))
    return len(segments)


@TYPES
def test_sound_that_comes_late(world: World, segment_type: str) -> None:
    """Sound that begins 20 s after the picture is there from its first frame on; players are told to begin anew."""
    create(world, segment_type)
    stream = world.publish(tracks=(track(Kind.VIDEO),))
    frames = seconds_of(source(), 0, 28)
    silent = [frame for frame in frames if frame.dts < 20.5 * SECOND and frame.track.kind is Kind.VIDEO]
    pushed = world.push(stream, silent)
    stream.set_tracks(source().tracks)
    pushed += world.push(stream, [frame for frame in frames if frame.dts >= 20.5 * SECOND])
    stream.end("over")
    path = world.folder / "out/g/cam/playlist.m3u8"
    assert_every_unit_once(units(path), pushed)
    segments = media_playlist(path).segments
    assert [index for index, segment in enumerate(segments) if segment.discontinuity] == [10]
    assert all_decode(world) == 14


@TYPES
def test_sound_that_ends(world: World, segment_type: str) -> None:
    """A track that is taken away makes a new beginning at the next key frame; the picture is whole."""
    create(world, segment_type)
    stream = world.publish()
    frames = seconds_of(source(), 0, 12)
    pushed = world.push(stream, [frame for frame in frames if frame.dts < 5.5 * SECOND])
    stream.set_tracks((track(Kind.VIDEO),))
    pushed += world.push(stream, of_kind([frame for frame in frames if frame.dts >= 5.5 * SECOND], Kind.VIDEO))
    stream.end("over")
    path = world.folder / "out/g/cam/playlist.m3u8"
    assert_every_unit_once(units(path), pushed)
    assert sum(segment.discontinuity for segment in media_playlist(path).segments) == 1
    all_decode(world)


@TYPES
@pytest.mark.parametrize("kind", [Kind.VIDEO, Kind.AUDIO])
def test_one_kind_alone(world: World, segment_type: str, kind: Kind) -> None:
    """Sources of only pictures, or of only sound, are written whole."""
    create(world, segment_type)
    stream = world.publish(tracks=(track(kind),))
    pushed = world.push(stream, of_kind(seconds_of(source(), 0, 9), kind))
    stream.end("over")
    assert_every_unit_once(units(world.folder / "out/g/cam/playlist.m3u8"), pushed)
    assert all_decode(world) == 5


@TYPES
def test_change_of_picture(world: World, segment_type: str) -> None:
    """Another resolution begins a new segment with its first key frame, and everything is decodable."""
    create(world, segment_type)
    other = source("h264_bframes_aac")
    video = next(one for one in other.tracks if one.kind is Kind.VIDEO)
    new = replace(video, id=track(Kind.VIDEO).id, width=video.width + 2)
    stream = world.publish()
    pushed = world.push(stream, seconds_of(source(), 0, 5))
    stream.set_tracks(tuple(new if one.kind is Kind.VIDEO else one for one in source().tracks))
    later = [frame._replace(track=new) for frame in of_kind(seconds_of(other, 0, 5), Kind.VIDEO)]
    later += of_kind(seconds_of(source(), 0, 5), Kind.AUDIO)
    pushed += world.push(stream, sorted(looped(later, after=5 * SECOND), key=lambda frame: frame.dts))
    stream.end("over")
    path = world.folder / "out/g/cam/playlist.m3u8"
    assert_every_unit_once(units(path), pushed, kinds=("video",))
    assert sum(segment.discontinuity for segment in media_playlist(path).segments) == 1
    all_decode(world)


def test_parameter_sets_change(world: World) -> None:
    """New parameter sets for the same picture cut nothing in MPEG-TS; fragmented MP4 gets a new initialisation segment."""
    other = source("h264_bframes_aac")
    video = next(one for one in other.tracks if one.kind is Kind.VIDEO)
    new = replace(track(Kind.VIDEO), config=video.config)
    for segment_type, breaks in (("ts", 0), ("fmp4", 1)):
        world.create(f"localStreamNames={segment_type} targetFolder=out groupName=g chunkLength=2 segmentType={segment_type}")
        stream = world.publish(segment_type)
        pushed = world.push(stream, seconds_of(source(), 0, 4))
        stream.set_tracks(tuple(new if one.kind is Kind.VIDEO else one for one in source().tracks))
        later = renamed(seconds_of(source(), 4, 8), new)
        pushed += world.push(stream, later)
        stream.end("over")
        path = world.folder / f"out/g/{segment_type}/playlist.m3u8"
        assert_every_unit_once(units(path), pushed, kinds=("video",))
        assert sum(segment.discontinuity for segment in media_playlist(path).segments) == breaks


@TYPES
def test_jump_of_the_clock(world: World, segment_type: str) -> None:
    """A jump of an hour is a discontinuity, not a segment of an hour."""
    create(world, segment_type)
    stream = world.publish()
    pushed = world.push(stream, seconds_of(source(), 0, 5))
    pushed += world.push(stream, looped(seconds_of(source(), 5, 10), after=3600 * SECOND))
    stream.end("over")
    path = world.folder / "out/g/cam/playlist.m3u8"
    playlist = media_playlist(path)
    assert_every_unit_once(units(path), pushed)
    assert playlist.target_duration <= 3
    assert sum(segment.discontinuity for segment in playlist.segments) == 1
    dates = [segment.date for segment in playlist.segments if segment.discontinuity]
    assert dates[0] is not None and f"{dates[0].isoformat(timespec='milliseconds')}" in path.read_text()


def test_a_frozen_camera_does_not_stop_the_sound(world: World) -> None:
    """When pictures stop and sound goes on, segments go on."""
    create(world, "ts")
    stream = world.publish()
    frames = seconds_of(source(), 0, 20)
    world.push(stream, [frame for frame in frames if frame.dts < 4 * SECOND or frame.track.kind is Kind.AUDIO])
    assert len(media_playlist(world.folder / "out/g/cam/playlist.m3u8").segments) >= 6


def test_interleaving_does_not_matter(world: World) -> None:
    """Sound that comes half a second before its pictures is cut where they are."""
    create(world, "ts")
    stream = world.publish()
    frames = seconds_of(source(), 0, 9)
    ahead = sorted(frames, key=lambda frame: frame.dts - (SECOND // 2 if frame.track.kind is Kind.AUDIO else 0))
    world.push(stream, ahead)
    folder = world.folder / "out/g/cam"
    for number, segment in enumerate(media_playlist(folder / "playlist.m3u8").segments[1:], 1):
        sounds = [frame for frame in of_kind(frames, Kind.AUDIO) if 2 * number * SECOND <= frame.dts - frames[0].dts - 21_000_000]
        first = units_first_audio(segment_data(segment, folder))
        assert first in {bytes(frame.data) for frame in sounds[:2]}


def units_first_audio(data: bytes) -> bytes:
    """The first frame of sound in a segment."""
    return next(unit.data for unit in units_of(data) if unit.kind == "audio")


@pytest.mark.parametrize(
    "parameters", ["", "hlsResume=1", "playlistType=rolling playlistLength=5", "hlsResume=1 playlistType=rolling"]
)
def test_a_source_that_flaps(world: World, parameters: str) -> None:
    """A source that comes and goes a hundred times leaves a playlist that is right at every moment, and no litter."""
    world.create(f"localStreamNames=cam targetFolder=out groupName=g chunkLength=1 {parameters}")
    frames = seconds_of(source(), 0, 2.5)
    path = world.folder / "out/g/cam/playlist.m3u8"
    for number in range(100):
        stream = world.publish()
        world.push(stream, frames[: 20 + number * len(frames) // 100])
        stream.end("gone")
        if path.exists():
            media_playlist(path)
    names = {file.name for file in path.parent.glob("*.ts")}
    listed = {segment.uri for segment in media_playlist(path).segments}
    assert listed <= names
    if "rolling" in parameters:
        assert len(names) <= 50
    playlist = media_playlist(path)
    assert playlist.ended is (not parameters)
    assert not parameters or playlist.media_sequence + len(playlist.segments) > 100


@TYPES
@pytest.mark.parametrize("parameters", ["", "hlsResume=1", "overwriteDestination=0", "cleanupDestination=1", "drmType=evo"])
def test_players_stay_with_a_rolling_playlist(world: World, parameters: str, segment_type: str) -> None:
    """While the source of a rolling playlist is away, the list stays open; when it is back, the list goes on after a
    discontinuity. Numbers never go back, and no segment changes its number or its place in time."""
    if segment_type == "fmp4" and "drm" in parameters:
        pytest.skip("fragmented MP4 is not encrypted")
    create(world, segment_type, f"playlistType=rolling playlistLength=5 {parameters}")
    path = world.folder / "out/g/cam/playlist.m3u8"
    watcher: Watcher | None = None
    for number in range(6):
        stream = world.publish()
        for frame in seconds_of(source(), 0, 5 + number % 2):
            world.push(stream, [frame])
            if path.exists():
                watcher = watcher or Watcher(path)
                assert not watcher.look().ended
        stream.end("gone")
        assert watcher is not None and not watcher.look().ended
        world.clock.advance(30)
    newest = media_playlist(path)
    assert newest.media_sequence + len(newest.segments) == 6 * 3 + 1
    assert newest.discontinuity_sequence + sum(segment.discontinuity for segment in newest.segments) == 5
    world.server.jobs.stopService()
    assert media_playlist(path).ended is ("hlsResume" not in parameters)


def test_sound_changes_its_codec(world: World) -> None:
    """When only the sound changes, it goes on in a new segment at once: nothing of it is lost, nor of the picture."""
    create(world, "ts")
    stream = world.publish()
    sound = track(Kind.AUDIO)
    new = make_track(sound.id, b"\x11\x88")
    pushed = world.push(stream, seconds_of(source(), 0, 4.6))
    stream.set_tracks((track(Kind.VIDEO), new))
    pushed += world.push(stream, renamed(seconds_of(source(), 4.6, 8), new))
    stream.end("over")
    path = world.folder / "out/g/cam/playlist.m3u8"
    assert_every_unit_once(units(path), pushed)
    playlist = media_playlist(path)
    assert [index for index, segment in enumerate(playlist.segments) if segment.discontinuity] == [3]


@TYPES
def test_sound_is_evenly_spaced(world: World, segment_type: str) -> None:
    """The frames of AAC follow each other without gaps although RTMP tells times in milliseconds, and stay with the picture."""
    create(world, segment_type)
    stream = world.publish()
    rounded = [frame._replace(dts=whole(frame.dts), pts=whole(frame.pts)) for frame in seconds_of(source(), 0, 12)]
    world.push(stream, rounded)
    stream.end("over")
    folder = world.folder / "out/g/cam"
    times: list[float] = []
    for segment in media_playlist(folder / "playlist.m3u8").segments:
        with av.open(io.BytesIO(segment_data(segment, folder)), mode="r") as container:
            times += [float(packet.pts * packet.time_base) for packet in container.demux(audio=0) if packet.pts is not None]
    given = [frame.dts / SECOND for frame in of_kind(rounded, Kind.AUDIO)]
    length = 1024 / track(Kind.AUDIO).sample_rate
    assert len(times) == len(given)
    assert all(abs(later - earlier - length) < 0.0001 for earlier, later in pairwise(times))
    assert all(abs((time - times[0]) - (other - given[0])) < 0.002 for time, other in zip(times, given, strict=True))


def test_segments_of_sound_alone_tell_when_they_begin(world: World) -> None:
    """The time in the tag of each .aac file is that of its first frame by the count of samples."""
    create(world, "ts", "audioOnly=1")
    stream = world.publish()
    world.push(stream, [frame._replace(dts=whole(frame.dts), pts=whole(frame.pts)) for frame in seconds_of(source(), 0, 12)])
    stream.end("over")
    folder = world.folder / "out/g/cam"
    times, frames, count = [], [], 0
    for segment in media_playlist(folder / "playlist.m3u8").segments:
        data = segment_data(segment, folder)
        end_of_tag = data.index(TIMESTAMP_OWNER) + len(TIMESTAMP_OWNER) + 8
        times.append(int.from_bytes(data[end_of_tag - 8 : end_of_tag], "big"))
        frames.append(count)
        count += len(units_of(data))
    rate = track(Kind.AUDIO).sample_rate
    assert all(abs(time - times[0] - number * 1024 * 90_000 / rate) <= 1 for time, number in zip(times, frames, strict=True))


def whole(time: int) -> int:
    """A time in whole milliseconds, as RTMP has it."""
    return time // MILLISECOND * MILLISECOND


def test_several_qualities(world: World) -> None:
    """Streams of one group are in one master playlist, with what was measured of them."""
    world.create("localStreamNames=hi,lo targetFolder=out groupName=g chunkLength=2 bandwidths=0,300000")
    path = world.folder / "out/g/playlist.m3u8"
    for name in ("lo", "hi"):
        stream = world.publish(name)
        world.push(stream, seconds_of(source(), 0, 5))
    lines = path.read_text().splitlines()
    assert lines[:2] == ["#EXTM3U", "#EXT-X-VERSION:6"]
    assert lines[3] == "hi/playlist.m3u8" and lines[5] == "lo/playlist.m3u8"
    assert "RESOLUTION=640x360" in lines[2] and "FRAME-RATE=25.000" in lines[2] and "AVERAGE-BANDWIDTH=" in lines[2]
    assert f'CODECS="{track(Kind.VIDEO).codec_string},mp4a.40.2"' in lines[2]
    assert "BANDWIDTH=300000" in lines[4]
    size = max(
        (world.folder / "out/g/hi" / segment.uri).stat().st_size * 4
        for segment in media_playlist(path.parent / "hi/playlist.m3u8").segments
    )
    bandwidth = int(lines[2].split("BANDWIDTH=")[1].split(",")[0])
    assert size <= bandwidth <= 1.2 * size
