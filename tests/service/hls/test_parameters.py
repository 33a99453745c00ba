"""Every parameter of createHLSStream, by what it does to the files."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import ensureDeferred

from ems.api.arguments import bind
from ems.api.commands import http_streaming
from ems.api.request import parse_request
from ems.config import Application
from ems.errors import CommandError
from ems.media.frame import SECOND, Frame
from ems.media.track import Kind
from tests.service.hls.world import (
    CREATE,
    EPOCH,
    SlowDisk,
    World,
    assert_every_unit_once,
    looped,
    media_playlist,
    seconds_of,
    source,
    units,
)

BASE = "localStreamNames=cam targetFolder=out groupName=show chunkLength=1"

FILLER = b"\x0c" + b"\xff" * 250_000
"""A NAL unit of filler data (H.264 §7.3.2.7), which makes a picture large."""

OUT_OF_RANGE = (
    "playlistLength=4",
    "playlistLength=1000000",
    "chunkLength=3601",
    "maxChunkLength=3601",
    "AESKeyCount=0",
    "AESKeyCount=21",
    "fileLength=3601 useByteRange=1",
    "offsetTime=-3601",
    "offsetTime=3601",
    "startOffset=3601",
    "drmType=rot13",
)


def long_source(seconds: int, repeats: int) -> Iterator[Frame]:
    """The first seconds of the clip, again and again."""
    for number in range(repeats):
        yield from looped(seconds_of(source(), 0, seconds), after=number * seconds * SECOND)


def written(world: World, parameters: str, seconds: float = 5, *, end: bool = True) -> Path:
    """The folder of the stream after so many seconds of source."""
    world.create(f"{BASE} {parameters}")
    stream = world.publish()
    world.push(stream, seconds_of(source(), 0, seconds))
    if end:
        stream.end("the test is over")
    return world.folder / "out/show/cam"


def files(folder: Path, pattern: str = "*.ts") -> list[str]:
    """File names in the order in which segments count."""
    return sorted((path.name for path in folder.glob(pattern)), key=lambda name: int(re.findall("[0-9]+", name)[-1]))


def test_the_answer_lists_every_value(world: World) -> None:
    """createHLSStream tells what it has understood, and an id for each stream."""
    answer = world.create(
        "localStreamNames=hi,lo bandwidths=900,300 targetFolder=/tmp/out groupName=g1 playlistType=rolling _x=7"
    )
    assert answer.pop("configIds") == [1, 2]
    assert answer["localStreamNames"] == ["hi", "lo"] and answer["bandwidths"] == [900, 300]
    defaults: dict[str, Any] = {
        "chunkLength": 10,
        "playlistLength": 10,
        "staleRetentionCount": 10,
        "playlistName": "playlist.m3u8",
        "chunkBaseName": "segment",
        "drmType": "none",
        "hlsVersion": 6,
        "fileLength": 0,
        "_x": "7",
        "groupName": "g1",
        "targetFolder": "/tmp/out",
    }
    assert {key: answer[key] for key in defaults} == defaults


def test_group_and_names(world: World) -> None:
    """Without groupName one stream's group has its name, several get a random one; queries become underscores."""
    assert world.create("localStreamNames=a/b?c=d targetFolder=out")["groupName"] == "b_c_d"
    assert (world.folder / "out/b_c_d/b_c_d").is_dir()
    assert re.fullmatch("hls_group_[A-Za-z0-9]{8}", world.create("localStreamNames=a,b targetFolder=out")["groupName"])


@pytest.mark.parametrize(
    ("parameters", "description"),
    [
        (
            "localStreamNames=hi,lo bandwidths=900 targetFolder=o",
            "Syntax error. Parameters bandwidths and localStreamNames have different number of elements",
        ),
        ("localStreamNames=hi,hi targetFolder=o", "Stream hi is already written to"),
        ("localStreamNames=hi targetFolder=o groupName=../x", "leads out of its folder"),
        ("localStreamNames=hi targetFolder=o playlistName=../x.m3u8", "playlistName is no file name"),
        ("localStreamNames=hi targetFolder=o chunkBaseName=a/b", "chunkBaseName is no file name"),
        (
            "localStreamNames=hi targetFolder=o playlistType=endless",
            "Syntax error for appending parameter. Type help for details",
        ),
        ("localStreamNames=hi targetFolder=o fileLength=9", "fileLength needs useByteRange"),
        ("localStreamNames=hi targetFolder=o hlsResume=1 cleanupDestination=1", "must not go together"),
        ("localStreamNames=hi targetFolder=o hlsResume=1 cleanupOnClose=1", "must not go together"),
        ("localStreamNames=hi targetFolder=o drmType=verimatrix", "drm"),
        ("localStreamNames=hi targetFolder=o chunkLength=0", "Syntax error. Parameter chunkLength is invalid. Range: 1 - 3600"),
        ("localStreamNames=hi targetFolder=/proc/nowhere", "targetFolder cannot be used"),
        *((f"localStreamNames=hi targetFolder=o {bad}", bad.partition("=")[0]) for bad in OUT_OF_RANGE),
    ],
)
def test_what_cannot_be_is_told(world: World, parameters: str, description: str) -> None:
    """A mistake fails with words, and nothing is begun."""
    with pytest.raises(CommandError) as failure:
        world.create(parameters)
    assert description in str(failure.value)
    assert [*world.server.jobs] == []


@pytest.mark.parametrize("parameter", ["useByteRange=1", "drmType=sample-aes", "startOffset=3"])
def test_old_versions_lack_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parameter: str) -> None:
    """Byte ranges, SAMPLE-AES and start offsets need a high enough hlsVersion."""
    world = World(tmp_path, monkeypatch, Application(name="ems", hls_version=3))
    with pytest.raises(CommandError, match="needs hlsVersion"):
        world.create(f"{BASE} {parameter}")


def test_a_stream_is_written_to_a_folder_once(world: World) -> None:
    """The same stream in the same group is refused, also by a second command."""
    world.create(BASE)
    with pytest.raises(CommandError, match="already written"):
        world.create(BASE)


def test_two_commands_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two equal commands that come together one is refused: a folder never has two writers."""
    disk = SlowDisk()
    disk.busy = True
    monkeypatch.setattr(http_streaming, "deferToThread", disk)
    answers: list[Any] = []
    for _ in range(2):
        arguments = bind(CREATE, parse_request(f"createHLSStream {BASE}"))
        assert CREATE.run is not None
        ensureDeferred(CREATE.run(world.server, arguments)).addBoth(answers.append)
    disk.go_on()
    assert answers[0]["configIds"] == [1]
    assert "already written" in answers[1].getErrorMessage()
    assert len([*world.server.jobs]) == 1


def test_seeds_target_folder(world: World) -> None:
    """targetFolder=../evo-webroot means the web root when there is no such folder."""
    world.create("localStreamNames=cam targetFolder=../evo-webroot groupName=hls")
    assert (world.folder / "webroot/hls/cam").is_dir()


def test_what_is_written_by_default(world: World) -> None:
    """With nothing but a stream and a folder: segments of 10 s in a list that grows, in a group of the stream's name."""
    world.create("localStreamNames=cam targetFolder=out")
    world.push(world.publish(), seconds_of(source(), 0, 25))
    playlist = media_playlist(world.folder / "out/cam/cam/playlist.m3u8")
    assert [segment.duration for segment in playlist.segments] == [10_000, 10_000]
    assert playlist.playlist_type == "EVENT" and all(segment.uri.startswith("segment_") for segment in playlist.segments)
    assert not any(segment.key or segment.byte_range for segment in playlist.segments)
    assert (world.folder / "out/cam/playlist.m3u8").exists()


def test_a_rolling_list_has_ten_segments_by_default(world: World) -> None:
    """playlistType=rolling lists the newest ten."""
    folder = written(world, "playlistType=rolling", 15, end=False)
    playlist = media_playlist(folder / "playlist.m3u8")
    assert (playlist.media_sequence, len(playlist.segments)) == (5, 10)


@pytest.mark.parametrize("version", [2, 3, 4, 6, 7])
def test_the_version_of_the_configuration_is_kept_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    """hlsVersion is what both playlists declare; below 3 durations are whole seconds, as old players want them."""
    folder = written(World(tmp_path, monkeypatch, Application(name="ems", hls_version=version)), "", end=False)
    media_playlist(folder / "playlist.m3u8")
    text = (folder / "playlist.m3u8").read_text()
    assert text.startswith(f"#EXTM3U\n#EXT-X-VERSION:{version}\n")
    assert bool(re.search(r"#EXTINF:\d+\.\d{3},", text)) is (version >= 3)
    assert f"#EXT-X-VERSION:{version}\n" in (folder.parent / "playlist.m3u8").read_text()


@pytest.mark.parametrize(
    ("parameters", "method"), [("drmType=ems", "AES-128"), ("encryptStream=1", "AES-128"), ("drmType=SAMPLE-AES", "SAMPLE-AES")]
)
def test_encryption(world: World, parameters: str, method: str) -> None:
    """drmType encrypts, encryptStream is the old word for it; each AESKeyCount segments there is a new key file of 16 bytes."""
    folder = written(world, f"{parameters} AESKeyCount=2", 6)
    keys = [segment.key for segment in media_playlist(folder / "playlist.m3u8").segments]
    assert [key.method for key in keys if key] == [method] * 6
    assert [keys.index(key) for key in keys] == [0, 0, 2, 2, 4, 4]
    assert {key.uri for key in keys if key} == {*files(folder, "*.key")}
    assert all((folder / name).stat().st_size == 16 for name in files(folder, "*.key"))


def test_chunk_length(world: World) -> None:
    """Segments begin at the first key frame after chunkLength seconds."""
    world.create("localStreamNames=cam targetFolder=out groupName=show chunkLength=3")
    world.push(world.publish(), seconds_of(source(), 0, 10))
    playlist = media_playlist(world.folder / "out/show/cam/playlist.m3u8")
    assert [segment.duration for segment in playlist.segments] == [3000, 3000, 3000]
    assert playlist.target_duration == 3


def test_appending(world: World) -> None:
    """The list grows as an EVENT, and is VOD with an end when the source has gone."""
    folder = written(world, "", 4.5, end=False)
    playlist = media_playlist(folder / "playlist.m3u8")
    assert (playlist.playlist_type, playlist.ended, len(playlist.segments)) == ("EVENT", False, 4)
    world.server.streams.inbound["cam"].end("over")
    playlist = media_playlist(folder / "playlist.m3u8")
    assert (playlist.playlist_type, playlist.ended, playlist.media_sequence) == ("VOD", True, 1)


def test_rolling_and_retention(world: World) -> None:
    """The newest playlistLength segments are listed; older ones stay until no player can need them."""
    world.create(f"{BASE} playlistType=rolling playlistLength=5 staleRetentionCount=8")
    stream = world.publish()
    for _ in world.push(stream, long_source(10, 4)):
        pass
    folder = world.folder / "out/show/cam"
    playlist = media_playlist(folder / "playlist.m3u8")
    assert len(playlist.segments) == 5 and not playlist.playlist_type
    assert playlist.media_sequence == 35
    assert len(files(folder)) == 5 + 8
    assert "#EXT-X-ALLOW-CACHE:NO" in (folder / "playlist.m3u8").read_text()


def test_retention_is_never_less_than_the_standard_wants(world: World) -> None:
    """Even with staleRetentionCount=0 a segment can be fetched for the duration of itself and the list that had it."""
    world.create(f"{BASE} playlistType=rolling playlistLength=5 staleRetentionCount=0")
    world.push(world.publish(), long_source(10, 4))
    assert len(files(world.folder / "out/show/cam")) == 5 + 6


def test_names(world: World) -> None:
    """playlistName and chunkBaseName name the files; the master playlist is always playlist.m3u8."""
    folder = written(world, "playlistName=live.m3u8 chunkBaseName=piece")
    assert all(re.fullmatch(rf"piece_{EPOCH}[0-9]{{3}}_[1-9]\.ts", name) for name in files(folder))
    assert len(media_playlist(folder / "live.m3u8").segments) == 5
    assert "cam/live.m3u8" in (folder.parent / "playlist.m3u8").read_text()


def test_no_master_playlist(world: World) -> None:
    """createMasterPlaylist=0 leaves the group without one."""
    folder = written(world, "createMasterPlaylist=0")
    assert not (folder.parent / "playlist.m3u8").exists()


def test_chunk_on_idr(world: World) -> None:
    """With chunkOnIDR=0 segments are cut in time even where there is no key frame."""
    world.create("localStreamNames=cam targetFolder=out groupName=show chunkLength=1 chunkOnIDR=0")
    clip = source("h264_bframes_aac")  # a key frame each two seconds
    world.push(world.publish(tracks=clip.tracks), seconds_of(clip, 0, 6.5))
    durations = [segment.duration for segment in media_playlist(world.folder / "out/show/cam/playlist.m3u8").segments]
    assert len(durations) >= 5 and all(900 <= duration <= 1100 for duration in durations)


def test_max_chunk_length(world: World) -> None:
    """maxChunkLength cuts without a key frame; below chunkLength it does not count."""
    clip = source("h264_bframes_aac")
    frames = [
        frame._replace(keyframe=frame.keyframe and (frame.dts == 0 or frame.track.kind.value == "audio")) for frame in clip.frames
    ]
    frames = [frame for frame in frames if frame.dts < 9 * SECOND]
    for name, maximum, longest in (("a", 3, 3000), ("b", 1, 9000)):
        world.create(f"localStreamNames={name} targetFolder=out groupName=show chunkLength=2 maxChunkLength={maximum}")
        stream = world.publish(name, clip.tracks)
        world.push(stream, frames)
        stream.end("over")
        durations = [segment.duration for segment in media_playlist(world.folder / f"out/show/{name}/playlist.m3u8").segments]
        assert abs(max(durations) - longest) < 100, name


def test_max_chunk_length_is_a_limit_of_size_too(world: World) -> None:
    """A source of a high rate without key frames fills no segment with more than 1.25 MB for each second of the maximum."""
    world.create(f"{BASE} maxChunkLength=2")
    stream = world.publish()
    filler = len(FILLER).to_bytes(4, "big") + FILLER
    for index, frame in enumerate(one for one in seconds_of(source(), 0, 4) if one.track.kind is Kind.VIDEO):
        world.push(stream, [frame._replace(data=filler + frame.data, keyframe=index == 0)])
    sizes = [(world.folder / "out/show/cam" / name).stat().st_size for name in files(world.folder / "out/show/cam")]
    assert len(sizes) >= 5 and max(sizes) < 1.1 * (2 * 1_250_000 + len(FILLER))


def test_keep_alive(world: World) -> None:
    """The job waits for its stream, and begins a new playlist when it comes back; with keepAlive=0 it is over."""
    world.create(BASE)
    world.create("localStreamNames=cam targetFolder=out groupName=once chunkLength=1 keepAlive=0")
    for _ in range(2):
        stream = world.publish()
        pushed = world.push(stream, seconds_of(source(), 0, 3))
        stream.end("over")
        world.clock.advance(5)
    path = world.folder / "out/show/cam/playlist.m3u8"
    assert_every_unit_once(units(path), pushed)
    assert [job.group for job in world.server.jobs] == ["show"]


def test_overwrite_destination(world: World) -> None:
    """overwriteDestination=0 leaves a playlist that is there alone, and says so."""
    folder = world.folder / "out/show/cam"
    folder.mkdir(parents=True)
    (folder / "playlist.m3u8").write_text("precious")
    with pytest.raises(CommandError, match="overwriteDestination is 0"):
        world.create(f"{BASE} overwriteDestination=0")
    (folder / "playlist.m3u8").unlink()
    world.create(f"{BASE} overwriteDestination=0")
    (folder / "playlist.m3u8").write_text("precious")
    world.push(world.publish(), seconds_of(source(), 0, 3))
    [job] = world.server.jobs
    assert job.status.current.state.description == "Connection failed" and "overwriteDestination" in job.status.current.reason
    assert (folder / "playlist.m3u8").read_text() == "precious"


def test_cleanup_destination(world: World) -> None:
    """cleanupDestination=1 removes old segments, playlists and keys, and nothing else."""
    folder = world.folder / "out/show/cam"
    folder.mkdir(parents=True)
    for name in ("a.ts", "b.m3u8", "c.key", "d.aac", "notes.txt"):
        (folder / name).write_text("old")
    written(world, "cleanupDestination=1")
    assert not [name for name in ("a.ts", "b.m3u8", "c.key", "d.aac") if (folder / name).exists()]
    assert (folder / "notes.txt").exists()


def test_cleanup_on_close(world: World) -> None:
    """cleanupOnClose=1 removes the stream's folder and its entry when the stream ends."""
    world.create("localStreamNames=a,b targetFolder=out groupName=show chunkLength=1 cleanupOnClose=1")
    one, other = world.publish("a"), world.publish("b")
    for stream in (one, other):
        world.push(stream, seconds_of(source(), 0, 3))
    one.end("over")
    assert not (world.folder / "out/show/a").exists()
    master = (world.folder / "out/show/playlist.m3u8").read_text()
    assert "b/playlist.m3u8" in master and "a/playlist.m3u8" not in master


def test_byte_ranges(world: World) -> None:
    """useByteRange puts segments of fileLength seconds into one file, each range a segment of its own."""
    folder = written(world, "useByteRange=1 fileLength=3", 8)
    playlist = media_playlist(folder / "playlist.m3u8")
    assert len(playlist.segments) == 8 and len(files(folder)) == 3
    ranges = [segment.byte_range for segment in playlist.segments[:3]]
    assert [one.offset for one in ranges if one] == [0, ranges[0].length, ranges[0].length + ranges[1].length]  # type: ignore[union-attr]


def test_only_the_newest_file_of_byte_ranges_grows(world: World) -> None:
    """The web server tells caches which file they may keep; when the source has gone, all of them."""
    world.create(f"{BASE} useByteRange=1 fileLength=3")
    stream = world.publish()
    world.push(stream, seconds_of(source(), 0, 5))
    folder = world.folder / "out/show/cam"
    assert [world.server.published.is_growing(folder / name) for name in files(folder)] == [False, True]
    stream.end("the test is over")
    assert not any(world.server.published.is_growing(folder / name) for name in files(folder))


def test_a_file_of_byte_ranges_is_of_two_minutes_by_default(world: World) -> None:
    """useByteRange=1 alone begins a new file each 120 s."""
    world.create("localStreamNames=cam targetFolder=out groupName=show useByteRange=1")
    world.push(world.publish(), long_source(10, 15))
    playlist = media_playlist(world.folder / "out/show/cam/playlist.m3u8")
    names = [segment.uri for segment in playlist.segments]
    assert [names.count(name) for name in dict.fromkeys(names)] == [12, len(names) - 12]


def test_rolling_byte_ranges(world: World) -> None:
    """A file goes when its last range has left the list and the retention."""
    world.create(f"{BASE} playlistType=rolling playlistLength=5 useByteRange=1 fileLength=4 staleRetentionCount=5")
    world.push(world.publish(), long_source(10, 4))
    folder = world.folder / "out/show/cam"
    media_playlist(folder / "playlist.m3u8")
    assert 3 <= len(files(folder)) <= 5


def test_dates(world: World) -> None:
    """useSystemTime writes UTC, without it local time, both with their true offsets; offsetTime is added."""
    for name, parameters, offset in (("a", "useSystemTime=1", 0), ("b", "", 0), ("c", "useSystemTime=1 offsetTime=-90", -90)):
        world.create(f"localStreamNames={name} targetFolder=out groupName=show chunkLength=1 {parameters}")
        began = world.clock.seconds()
        world.push(world.publish(name), seconds_of(source(), 0, 3))
        playlist = media_playlist(world.folder / f"out/show/{name}/playlist.m3u8")
        date = playlist.segments[0].date
        assert date is not None
        assert abs(date - datetime.fromtimestamp(began + offset, tz=UTC)) < timedelta(milliseconds=50)
        expected = timedelta(0) if parameters else datetime.now().astimezone().utcoffset()
        assert date.utcoffset() == expected


def test_dates_of_late_joiners(world: World) -> None:
    """An output that begins with frames of before it came gives them the date at which they were there."""
    stream = world.publish()
    began = world.clock.seconds()
    world.push(stream, seconds_of(source(), 0, 3.8))
    world.create(f"{BASE} useSystemTime=1")
    world.push(stream, seconds_of(source(), 3.8, 6))
    date = media_playlist(world.folder / "out/show/cam/playlist.m3u8").segments[0].date
    assert date is not None and abs(date.timestamp() - began - 3) < 0.1


def test_dates_of_a_stream_that_has_been_silent(world: World) -> None:
    """A stream that has tracks and no frames yet, however long, has the date of its first frame when that comes."""
    stream = world.publish()
    began = world.clock.seconds()
    world.clock.advance(60)
    disk = world.disk = SlowDisk()
    disk.busy = True
    world.create(f"{BASE} useSystemTime=1")
    world.push(stream, looped(seconds_of(source(), 0, 2), after=60 * SECOND))
    disk.go_on()
    world.push(stream, looped(seconds_of(source(), 2, 4), after=60 * SECOND))
    date = media_playlist(world.folder / "out/show/cam/playlist.m3u8").segments[0].date
    assert date is not None and abs(date.timestamp() - began - 60) < 0.1


def test_dates_after_a_jump(world: World) -> None:
    """When the source's clock has jumped by an hour and ours has not, dates go on with ours."""
    world.create(f"{BASE} useSystemTime=1")
    stream = world.publish()
    began = world.clock.seconds()
    world.push(stream, seconds_of(source(), 0, 4))
    for frame in seconds_of(source(), 4, 8):
        world.clock.advance(max(0.0, began + frame.dts / SECOND - world.clock.seconds()))
        stream.push(frame._replace(dts=frame.dts + 3600 * SECOND, pts=frame.pts + 3600 * SECOND))
    segments = media_playlist(world.folder / "out/show/cam/playlist.m3u8").segments
    [jumped] = [segment for segment in segments if segment.discontinuity]
    assert jumped.date is not None and abs(jumped.date.timestamp() - began - 4) < 0.1


def test_start_offset(world: World) -> None:
    """startOffset tells players where to begin."""
    folder = written(world, "startOffset=7")
    assert "#EXT-X-START:TIME-OFFSET=7\n" in (folder / "playlist.m3u8").read_text()


def test_fragmented_mp4(world: World) -> None:
    """segmentType=fmp4 gives an initialisation segment and fragments, at version 7."""
    folder = written(world, "segmentType=fmp4")
    playlist = media_playlist(folder / "playlist.m3u8")
    assert playlist.version == 7
    assert all(segment.uri.endswith(".m4s") for segment in playlist.segments)
    assert (folder / playlist.segments[0].map_uri).read_bytes()[4:8] == b"ftyp"


def test_events(world: World) -> None:
    """Whoever listens is told of segments that begin and are complete, and of playlists."""
    folder = written(world, "", 3.5)
    kinds = {event.type for event in world.events if event.type.startswith("hls")}
    assert kinds == {"hlsChunkCreated", "hlsChunkClosed", "hlsChildPlaylistUpdated", "hlsMasterPlaylistUpdated"}
    closed = [event.payload for event in world.events if event.type == "hlsChunkClosed"]
    assert [payload["segmentDuration"] for payload in closed[:2]] == [1000, 1000]
    assert closed[0]["file"] == str(folder / files(folder)[0])


def test_other_jobs_settings(world: World) -> None:
    """listConfig has the settings; the stream object says that it is HLS."""
    written(world, "_x=7", end=False)
    [job] = world.server.jobs
    described = job.described
    assert described["_x"] == "7" and described["operationType"] == 3 and described["chunkLength"] == 1
    assert described["targetFolder"] == str(world.folder / "out/show/cam")
    assert described["masterPlaylistPath"] == str(world.folder / "out/show/playlist.m3u8")
    [outbound] = world.server.streams.outbound.values()
    assert outbound.type_tag == "OFHLS" and outbound.job is job
    assert outbound.statistics.video.packets >= 100
