"""autoHLS: every stream from the network is written without a command."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ems.config import Application, AutoHls
from ems.segmenters.hls.auto import AutoHlsService
from tests.service.hls.world import World, media_playlist, seconds_of, source

CONFIG = AutoHls(target_folder="out", chunk_length=1, playlist_length=5)


@pytest.fixture
def automatic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A server with autoHLS."""
    world = World(tmp_path, monkeypatch, Application(name="ems"))
    service = AutoHlsService(world.server, CONFIG)
    service.startService()
    yield world
    service.stopService()


def test_every_stream_gets_a_playlist(automatic: World) -> None:
    """Two published streams are two playlists, named after them; they are not stored, and end with their streams."""
    streams = [automatic.publish(name) for name in ("one", "two")]
    for stream in streams:
        automatic.push(stream, seconds_of(source(), 0, 4))
    for name in ("one", "two"):
        playlist = media_playlist(automatic.folder / f"out/autoHLS/{name}/{name}.m3u8")
        assert [segment.duration for segment in playlist.segments[:2]] == pytest.approx([1000, 1000], abs=100)
        assert playlist.segments[0].uri.startswith(f"{name}_")
    assert not (automatic.folder / "out/autoHLS/playlist.m3u8").exists()
    assert not any(job.persistent for job in automatic.server.jobs)
    for stream in streams:
        stream.end("over")
    assert [*automatic.server.jobs] == []


def test_streams_of_our_own_are_left_alone(automatic: World) -> None:
    """Files, passthrough and internal streams are not written."""
    automatic.server.streams.register("file", type_tag="IFR", source=None)
    automatic.server.streams.register("raw", type_tag="INS", source=None)
    assert [*automatic.server.jobs] == []
