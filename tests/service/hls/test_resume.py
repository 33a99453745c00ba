"""Restarts, crashes and full disks: what players find afterwards."""

import errno
import shutil
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import ensureDeferred, maybeDeferred

from ems.api.arguments import bind
from ems.api.commands.configurations import CONFIGURATIONS
from ems.api.request import parse_request
from ems.formats import m3u8
from ems.jobs.status import State
from ems.media.track import Kind
from ems.segmenters.files import extend_file, write_file
from ems.segmenters.hls import writer
from tests.service.hls.world import SlowDisk, World, assert_every_unit_once, media_playlist, seconds_of, source, units
from tests.service.jobs.fakes import result_of

BASE = "localStreamNames=cam targetFolder=out groupName=g chunkLength=1"
PATH = "out/g/cam/playlist.m3u8"

LISTS = pytest.mark.parametrize(
    "parameters", ["", "playlistType=rolling playlistLength=99", "useByteRange=1", "segmentType=fmp4"]
)


def play(world: World, seconds: float = 4.5) -> Any:
    """A source comes and sends; gives the stream, which is still live."""
    stream = world.publish()
    world.push(stream, seconds_of(source(), 0, seconds))
    return stream


@LISTS
@pytest.mark.parametrize("kill", [False, True])
def test_resume_after_a_restart(world: World, parameters: str, kill: bool) -> None:
    """With hlsResume=1 the old segments are still listed after a restart or a crash, and the new ones follow after a break."""
    world.create(f"{BASE} hlsResume=1 {parameters}")
    play(world)
    world.restart(kill=kill)
    before = media_playlist(world.folder / PATH)
    assert not before.ended
    play(world).end("over")
    after = media_playlist(world.folder / PATH)
    assert after.segments[: len(before.segments)] == before.segments
    breaks = [index for index, segment in enumerate(after.segments) if segment.discontinuity]
    assert breaks == [len(before.segments)]
    assert len(after.segments) == len(before.segments) + 5
    [job] = world.server.jobs
    assert job.id == 1


def test_without_resume_a_restart_begins_anew(world: World) -> None:
    """hlsResume is off by default: the playlist starts afresh."""
    world.create(BASE)
    play(world)
    world.restart()
    stream = world.publish()
    pushed = world.push(stream, seconds_of(source(), 0, 3))
    stream.end("over")
    assert_every_unit_once(units(world.folder / PATH), pushed)


def test_resume_within_a_run(world: World) -> None:
    """A source that comes back goes on with the same playlist; numbers and discontinuities count on as the window moves."""
    world.create(f"{BASE} hlsResume=1 playlistType=rolling playlistLength=5")
    for _ in range(4):
        play(world, 3).end("gone")
    playlist = media_playlist(world.folder / PATH)
    assert (playlist.media_sequence, len(playlist.segments)) == (8, 5)
    listed = sum(segment.discontinuity for segment in playlist.segments)
    assert playlist.discontinuity_sequence + listed == 3
    dated = [line for line in (world.folder / PATH).read_text().splitlines() if "DATE-TIME" in line]
    assert len(dated) == 1 + listed


def test_removal_completes_a_playlist(world: World) -> None:
    """removeConfig ends the list for good; removeHlsHdsFiles=1 deletes the files."""
    remove = next(command for command in CONFIGURATIONS.commands() if command.name == "removeConfig")
    world.create(f"{BASE} hlsResume=1")
    play(world).end("gone")
    assert not media_playlist(world.folder / PATH).ended
    result_of(remove.run(world.server, bind(remove, parse_request("removeConfig id=1"))))
    assert media_playlist(world.folder / PATH).ended
    assert (world.folder / "out/g/playlist.m3u8").exists()

    world.create(BASE)
    (world.folder / "out/g/cam/mine.txt").write_text("stays")
    world.create("localStreamNames=other targetFolder=out groupName=h")
    play(world)
    result_of(remove.run(world.server, bind(remove, parse_request("removeConfig groupName=g removeHlsHdsFiles=1"))))
    assert [path.name for path in (world.folder / "out/g").rglob("*") if path.is_file()] == ["mine.txt"]
    assert [job.group for job in world.server.jobs] == ["h"]


def test_a_source_returns_while_the_folder_is_being_made_ready(world: World) -> None:
    """What two sources have sent before anything could be written comes in their order, each segment under a name of its own."""
    disk = world.disk = SlowDisk()
    world.create(f"{BASE} playlistType=rolling playlistLength=99")
    disk.busy = True
    first = world.publish()
    pushed = world.push(first, seconds_of(source(), 0, 2.5))
    first.end("gone")
    second = world.publish()
    pushed += world.push(second, seconds_of(source(), 5, 7.5))
    disk.go_on()
    second.end("gone")
    playlist = media_playlist(world.folder / PATH)
    assert [segment.discontinuity for segment in playlist.segments] == [False, False, False, True, False, False]
    assert_every_unit_once(units(world.folder / PATH), pushed)


def test_removal_while_the_folder_is_being_made_ready(world: World) -> None:
    """removeConfig with removeHlsHdsFiles=1 leaves nothing behind, even if nothing has been written when it comes."""
    remove = next(command for command in CONFIGURATIONS.commands() if command.name == "removeConfig")
    disk = world.disk = SlowDisk()
    world.create(BASE)
    disk.busy = True
    play(world)
    done = ensureDeferred(remove.run(world.server, bind(remove, parse_request("removeConfig id=1 removeHlsHdsFiles=1"))))
    disk.go_on()
    assert done.called
    assert not (world.folder / "out/g").exists()


def test_a_list_is_ended_although_its_folder_cannot_be_used(world: World) -> None:
    """When the folder was no folder as the last source came, removeConfig still ends the list that is in it again."""
    world.create(f"{BASE} playlistType=rolling")
    play(world).end("gone")
    folder = world.folder / "out/g/cam"
    folder.rename(folder.with_name("away"))
    folder.write_text("in the way")
    play(world)
    folder.unlink()
    folder.with_name("away").rename(folder)
    [job] = world.server.jobs
    job.stop("removed")
    assert media_playlist(folder / "playlist.m3u8").ended


def test_what_is_over_is_read_from_the_disk(world: World) -> None:
    """A list that has ended, and its segments, are on the disk alone: who removes or replaces them there is not contradicted by
    what is in memory, and nobody gets the old list while a new one begins in an emptied folder."""
    world.create(f"{BASE} cleanupDestination=1")
    stream = play(world)
    published, path = world.server.published, world.folder / PATH
    files = [path, *(path.with_name(segment.uri) for segment in media_playlist(path).segments)]
    assert all(published.get(file) for file in files)
    stream.end("gone")
    assert media_playlist(path).ended
    assert not any(published.get(file) for file in files)
    play(world, 0.5)
    assert published.get(path) is None and not path.exists()


def test_playlists_that_cannot_be_continued(world: World) -> None:
    """A damaged or foreign playlist is no obstacle: the list begins anew. Missing segments leave the list."""
    folder = world.folder / "out/g/cam"
    folder.mkdir(parents=True)
    (folder / "playlist.m3u8").write_bytes(b"\xff\xfe nonsense")
    world.create(f"{BASE} hlsResume=1")
    play(world)
    world.restart()
    first = media_playlist(folder / "playlist.m3u8")
    (folder / first.segments[1].uri).unlink()
    play(world)
    playlist = media_playlist(folder / "playlist.m3u8")
    assert playlist.media_sequence == 3 and playlist.segments[0].uri == first.segments[2].uri


def test_what_a_crash_leaves_is_cleaned(world: World) -> None:
    """Files that were never finished are removed, and those of an old rolling list too; others are not touched."""
    folder = world.folder / "out/g/cam"
    folder.mkdir(parents=True)
    for name in (".segment_1_1.ts.tmp", "segment_1_1.ts", "2020-01-01T00-00-00.key", "holiday.ts"):
        (folder / name).write_text("old")
    world.create(f"{BASE} playlistType=rolling")
    play(world)
    assert sorted(path.name for path in folder.iterdir() if "old" in path.read_bytes().decode(errors="ignore")[:3]) == [
        "holiday.ts"
    ]


class FullDisk:
    """Runs what writes, as long as there is room."""

    def __init__(self) -> None:
        self.full = False

    def __call__(self, function: Any, *arguments: Any) -> Any:
        name = getattr(function, "__name__", "")
        if self.full and (function in (write_file, extend_file) or name == "_write_texts"):
            return maybeDeferred(self._fail)
        return maybeDeferred(function, *arguments)

    @staticmethod
    def _fail() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("parameters", ["", "playlistType=rolling playlistLength=5", "useByteRange=1"])
def test_full_disk(world: World, parameters: str, log_events: list[dict[str, Any]]) -> None:
    """A full disk costs the segments of that time, one line in the log and an event for each; then everything goes on."""
    disk = world.disk = FullDisk()
    world.create(f"{BASE} {parameters}")
    stream = world.publish()
    frames = seconds_of(source(), 0, 12)
    for index, frame in enumerate(frames):
        disk.full = len(frames) // 3 < index < len(frames) // 2
        world.push(stream, [frame])
    stream.end("over")
    playlist = m3u8.read_media_playlist((world.folder / PATH).read_bytes())
    assert any(segment.gap for segment in playlist.segments) or parameters.startswith("playlistType")
    media_playlist(world.folder / PATH)
    assert any(event.type == "hlsChunkError" for event in world.events)
    errors = [event for event in log_events if event.get("log_level") and event["log_level"].name == "error"]
    assert len(errors) <= 2


def test_a_disk_that_hangs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing can be written only so much waits in memory; what comes beyond that is lost at once, and the list says so."""
    monkeypatch.setattr(writer, "MAX_BACKLOG", 3 * sum(len(frame.data) for frame in seconds_of(source(), 0, 1)))
    disk = world.disk = SlowDisk()
    world.create(BASE)
    stream = world.publish()
    [outbound] = world.server.streams.outbound.values()
    world.push(stream, seconds_of(source(), 0, 2.5))
    disk.busy = True
    world.push(stream, seconds_of(source(), 2.5, 15))
    assert outbound.statistics.video.dropped_packets > 100
    disk.go_on()
    world.push(stream, seconds_of(source(), 15, 20))
    stream.end("over")
    gaps = [segment.gap for segment in media_playlist(world.folder / PATH).segments]
    assert len(gaps) == 20 and gaps.count(True) >= 6 and not any(gaps[:4] + gaps[15:])


def test_a_slow_disk_moves_nothing(world: World) -> None:
    """Segments that have to wait for the disk are the same as those that need not: no sound gets into another one."""
    disk = world.disk = SlowDisk()
    world.create(BASE)
    stream = world.publish()
    pushed = []
    for second in range(10):
        disk.busy = second % 4 != 3
        if not disk.busy:
            disk.go_on()
        pushed += world.push(stream, seconds_of(source(), second, second + 1))
    disk.go_on()
    stream.end("over")
    assert_every_unit_once(units(world.folder / PATH), pushed)


def test_frames_are_counted_once(world: World) -> None:
    """Every frame is counted as delivered or as dropped: those of a segment that could not be written are dropped."""
    disk = world.disk = FullDisk()
    world.create(BASE)
    stream = world.publish()
    [outbound] = world.server.streams.outbound.values()
    frames = seconds_of(source(), 0, 12)
    for frame in frames:
        disk.full = 3.5 <= frame.dts / 1e9 < 6.5
        world.push(stream, [frame])
    stream.end("over")
    counters = outbound.statistics.video
    pictures = [frame for frame in frames if frame.track.kind is Kind.VIDEO]
    assert (counters.packets, counters.dropped_packets) == (len(pictures) * 9 // 12, len(pictures) * 3 // 12)
    assert counters.bytes + counters.dropped_bytes == sum(len(frame.data) for frame in pictures)


def lines_of(log_events: list[dict[str, Any]]) -> list[str]:
    """What the log says as errors."""
    return [str(event.get("problem")) for event in log_events if event.get("log_level") and event["log_level"].name == "error"]


@pytest.mark.parametrize("parameters", ["", "playlistType=rolling playlistLength=99", "useByteRange=1", "segmentType=fmp4"])
@pytest.mark.parametrize("keep_folder", [False, True])
def test_files_that_somebody_removes(world: World, parameters: str, keep_folder: bool, log_events: list[dict[str, Any]]) -> None:
    """When the folder is removed, or emptied, the log and an event say so, and segments go on in a new one; the playlist names
    only what is there, with numbers that go on, and the master playlist is there again."""
    world.create(f"{BASE} {parameters}")
    stream, folder = world.publish(), world.folder / "out/g"
    world.push(stream, seconds_of(source(), 0, 4.5))
    before = media_playlist(world.folder / PATH)
    shutil.rmtree(folder)
    if keep_folder:
        (folder / "cam").mkdir(parents=True)
    world.push(stream, seconds_of(source(), 4.5, 9.5))
    after = media_playlist(world.folder / PATH)
    assert after.media_sequence >= before.media_sequence + len(before.segments)
    assert after.media_sequence + len(after.segments) == before.media_sequence + len(before.segments) + 5
    assert len(after.segments) >= 4
    assert "cam/playlist.m3u8" in (folder / "playlist.m3u8").read_text()
    assert [event.type for event in world.events].count("hlsChunkError") == 1
    assert len(lines_of(log_events)) == 1 and "removed" in lines_of(log_events)[0]


@pytest.mark.parametrize("parameters", ["", "playlistType=rolling playlistLength=99", "useByteRange=1", "segmentType=fmp4"])
def test_a_folder_that_cannot_be_written(world: World, parameters: str, log_events: list[dict[str, Any]]) -> None:
    """While a file is in the place of the folder the stream goes on; afterwards segments do, by themselves."""
    world.create(f"{BASE} {parameters}")
    stream, folder = world.publish(), world.folder / "out/g/cam"
    world.push(stream, seconds_of(source(), 0, 4.5))
    folder.rename(folder.with_name("away"))
    folder.write_text("in the way")
    world.push(stream, seconds_of(source(), 4.5, 8.5))
    assert [event.type for event in world.events].count("hlsChunkError") >= 4
    assert len(lines_of(log_events)) == 1
    folder.unlink()
    folder.with_name("away").rename(folder)
    world.push(stream, seconds_of(source(), 8.5, 12.5))
    playlist = media_playlist(world.folder / PATH)
    assert [segment.gap for segment in playlist.segments] == [False] * 4 + [True] * 4 + [False] * 4
    assert stream.name in world.server.streams.inbound


def test_a_folder_that_cannot_be_used_at_first(world: World) -> None:
    """A source that comes while the folder cannot be used is written as soon as it can."""
    world.create(f"{BASE} playlistType=rolling")
    folder = world.folder / "out/g/cam"
    folder.rmdir()
    folder.write_text("in the way")
    stream = world.publish()
    world.push(stream, seconds_of(source(), 0, 3))
    [job] = world.server.jobs
    assert job.status.current.state.description == "Connection failed"
    folder.unlink()
    world.push(stream, seconds_of(source(), 3, 16))
    assert media_playlist(world.folder / PATH).segments
    assert job.status.current.state is State.STREAMING


def test_full_disk_is_real(tmp_path: Path) -> None:
    """What cannot be written whole is not there at all, and what was there stays."""
    target = tmp_path / "a.ts"
    write_file(target, b"old")
    with pytest.raises(OSError):
        write_file(tmp_path / "missing" / "a.ts", b"new")
    assert target.read_bytes() == b"old" and [*tmp_path.iterdir()] == [target]
