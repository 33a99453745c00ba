"""HLS on a disk that is full, and after kill -9 in the middle of a segment: the real server, a real small disk."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop.clients import publish_with_ffmpeg
from tests.processes import Children, wait_until
from tests.server import EmsServer
from tests.service.hls.playlist_rules import Playlist, Watcher, read

DISK = "4m"
"""Room for some segments of the usual clip."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk in memory that is soon full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.getuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "ems", folder], check=False).returncode:
        pytest.skip("only root may mount a disk in memory")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def write(server: EmsServer, folder: Path, **parameters: str) -> Path:
    """Have the stream ``cam`` written; gives the path of its playlist."""
    server.api("createHLSStream", localStreamNames="cam", targetFolder=str(folder), groupName="g", chunkLength="1", **parameters)
    return folder / "g/cam/playlist.m3u8"


def listed(path: Path) -> Playlist:
    """The playlist; an empty one before there is one."""
    return read(path) if path.exists() else Playlist()


def test_a_full_disk(children: Children, ems_server: EmsServer, clip: Callable[[str], Path], small_disk: Path) -> None:
    """While the disk is full the stream goes on and the log says why segments are missing; with room they come again."""
    path = write(ems_server, small_disk, playlistType="rolling", playlistLength="5", staleRetentionCount="1")
    publish_with_ffmpeg(children, clip("h264_aac"), ems_server.rtmp("cam"))
    wait_until(lambda: len(listed(path).entries) >= 2, "segments", 20)
    watcher = Watcher(path)
    watcher.look()
    ballast = small_disk / "ballast"
    with ballast.open("wb") as file, pytest.raises(OSError):
        for _ in range(64):
            file.write(bytes(1 << 16))
            file.flush()
    wait_until(lambda: "a segment is lost" in ems_server.output, "the log to say so", 20)
    read(path)
    assert "cam" in ems_server.stream_names()
    ballast.unlink()
    newest = watcher.look().entries[-1].number
    wait_until(lambda: watcher.look().entries[-1].number > newest + 6, "new segments", 20)
    assert not [entry for entry in listed(path).entries if "#EXT-X-GAP" in entry.tags]
    assert ems_server.output.count("a segment is lost") == 1


@pytest.mark.parametrize("resume", ["0", "1"])
def test_kill_in_the_middle_of_a_segment(children: Children, tmp_path: Path, clip: Callable[[str], Path], resume: str) -> None:
    """After kill -9 the playlist on the disk is whole, and the server goes on by itself when it is started again."""
    folder = tmp_path / "server"
    folder.mkdir()
    server = EmsServer(children, folder)
    path = write(server, folder / "webroot", playlistType="rolling", playlistLength="20", hlsResume=resume)
    publish_with_ffmpeg(children, clip("h264_aac"), server.rtmp("cam"))
    wait_until(lambda: len(listed(path).entries) >= 3, "segments", 20)
    server.kill()
    before = read(path)
    assert not before.ended
    server = EmsServer(children, folder)
    publish_with_ffmpeg(children, clip("h264_aac"), server.rtmp("cam"))
    went_on = before.entries[-1].number + 2 if resume == "1" else 2
    wait_until(lambda: (now := listed(path)).entries != before.entries and now.first + len(now.entries) > went_on, "it", 20)
    kept = [entry.uri for entry in read(path).entries[: len(before.entries)]] == [entry.uri for entry in before.entries]
    assert kept is (resume == "1")
    assert not list(folder.rglob("*.tmp"))
    server.stop()
