"""What is in the segments: every access unit, once, in order, and decodable."""

from pathlib import Path

import pytest

from ems.media.frame import SECOND
from tests.service.hls.world import (
    World,
    assert_every_unit_once,
    decode,
    media_playlist,
    seconds_of,
    segment_data,
    source,
    units,
)

MODES = {
    "ts": "",
    "ts, rolling": "playlistType=rolling playlistLength=999",
    "fmp4": "segmentType=fmp4",
    "byte ranges": "useByteRange=1 fileLength=5",
    "cut at any frame": "chunkOnIDR=0",
    "forced": "chunkLength=3 maxChunkLength=3",
}


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_every_access_unit_is_in_exactly_one_segment(world: World, mode: str) -> None:
    """Nothing of the source is lost, doubled or out of order, whatever the segments are like; their durations add up."""
    world.create(f"localStreamNames=cam targetFolder=out chunkLength=2 {mode}")
    stream = world.publish()
    pushed = world.push(stream, seconds_of(source(), 0, 13))
    stream.end("the test is over")
    path = world.folder / "out/cam/cam/playlist.m3u8"
    playlist = media_playlist(path)
    assert_every_unit_once(units(path), pushed)
    assert abs(sum(segment.duration for segment in playlist.segments) - 13_000) <= 50
    assert playlist.ended is ("rolling" not in mode)


@pytest.mark.parametrize("mode", ["", "segmentType=fmp4", "useByteRange=1", "audioOnly=1"])
@pytest.mark.parametrize("kind", ["h264_aac", "h264_bframes_aac"])
def test_each_segment_decodes_alone(world: World, mode: str, kind: str) -> None:
    """A player can begin with any segment."""
    world.create(f"localStreamNames=cam targetFolder=out chunkLength=2 {mode}")
    clip = source(kind)
    stream = world.publish(tracks=clip.tracks)
    world.push(stream, seconds_of(clip, 0, 7))
    stream.end("the test is over")
    path = world.folder / "out/cam/cam/playlist.m3u8"
    segments = media_playlist(path).segments
    assert len(segments) >= 3
    for segment in segments:
        decode(segment_data(segment, path.parent))


def test_durations_are_exact(world: World) -> None:
    """EXTINF is the distance to the first frame of the next segment."""
    world.create("localStreamNames=cam targetFolder=out chunkLength=2")
    stream = world.publish()
    world.push(stream, seconds_of(source(), 0, 9))
    segments = media_playlist(world.folder / "out/cam/cam/playlist.m3u8").segments
    assert [segment.duration for segment in segments] == [2000, 2000, 2000, 2000]
    assert SECOND  # the clip has a key frame each second


def test_sound_alone(world: World) -> None:
    """audioOnly gives AAC files with the time stamp that players need, and no picture."""
    world.create("localStreamNames=cam targetFolder=out chunkLength=2 audioOnly=1")
    stream = world.publish()
    pushed = world.push(stream, seconds_of(source(), 0, 7))
    stream.end("the test is over")
    folder = world.folder / "out/cam/cam"
    playlist = media_playlist(folder / "playlist.m3u8")
    assert all(segment.uri.endswith(".aac") for segment in playlist.segments)
    first = segment_data(playlist.segments[0], folder)
    assert first.startswith(b"ID3\4\0") and b"com.apple.streaming.transportStreamTimestamp\0" in first
    assert_every_unit_once(units(folder / "playlist.m3u8"), pushed, kinds=("audio",))
    assert all(unit.kind == "audio" for unit in units(folder / "playlist.m3u8"))
    assert 'CODECS="mp4a.40.2"' in Path(world.folder / "out/cam/playlist.m3u8").read_text()
