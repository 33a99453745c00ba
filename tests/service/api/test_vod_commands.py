"""Storages and playlists by command: what clients of the original expect."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_twisted
from pytest_twisted import ensureDeferred

from ems.config.store import Store
from ems.vod.service import VodService
from tests.service.api.conftest import Ask
from tests.service.api.doors import Bench, make_bench
from tests.service.api.test_commands import failed


@pytest_twisted.async_yield_fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """A server whose files lie in the test's folder."""
    made = make_bench()
    server = made.server
    server.runtime = type("Folder", (), {"directory": tmp_path, "resolve": tmp_path.joinpath})  # type: ignore[assignment]
    server.vod = VodService(server, Store(tmp_path / "storages.xml"))
    server.vod.startService()
    yield made
    await made.server.acceptors.stopService()


@ensureDeferred
async def test_storages(tell: Ask, tmp_path: Path) -> None:
    """Compatibility case 71; a storage is added, listed, kept and removed."""
    folder = tmp_path / "films"
    refused = failed("Failed to initialize storage. See the logs for more details")
    assert await tell("addStorage mediaFolder=/no/such/dir") == refused
    folder.mkdir()
    added = {
        "clientSideBuffer": 15,
        "description": "",
        "enableStats": False,
        "externalSeekGenerator": False,
        "keyframeSeek": False,
        "maxPlaylistFileSize": 4096,
        "mediaFolder": f"{folder}/",
        "metaFolder": f"{folder}/",
        "name": "films",
        "seekGranularity": 1000,
    }
    reply = await tell(f"addStorage mediaFolder={folder} name=films")
    assert reply == {"data": added, "description": "Storage created", "status": "SUCCESS"}
    assert await tell(f"addStorage mediaFolder={folder}") == refused
    assert await tell("listStorage") == {"data": [added], "description": "Available storages", "status": "SUCCESS"}
    assert str(folder) in (tmp_path / "storages.xml").read_text()
    reply = await tell(f"removeStorage mediaFolder={folder}/")
    assert reply == {"data": added, "description": "Storage removed", "status": "SUCCESS"}
    assert str(folder) not in (tmp_path / "storages.xml").read_text()
    refused = failed("Unable to remove storage. Check storage path or storage permission.")
    assert await tell(f"removeStorage mediaFolder={folder}") == refused
    assert (await tell("listStorage"))["data"] == []


@ensureDeferred
async def test_a_playlist_is_written(tell: Ask, tmp_path: Path) -> None:
    """Compatibility case 73, and what is wrong with lists of different lengths."""
    reply = await tell(f"generateServerPlaylist sources=a.mp4,lobby pathToFile={tmp_path}/p")
    assert reply["description"] == f"Server playlist written to {tmp_path}/p.lst"
    assert reply["data"]["pathToFile"] == f"{tmp_path}/p"
    assert (tmp_path / "p.lst").read_bytes() == b"# sourceOfset,duration,localStreamName\r\n0,0,a.mp4\r\n0,0,lobby\r\n"
    await tell("generateServerPlaylist sources=a.mp4,lobby sourceOffsets=5,-2 durations=30,-1 repeat=1 pathToFile=q.lst")
    assert (tmp_path / "q.lst").read_text().splitlines()[1:] == ["# repeat=1", "5,30,a.mp4", "-2,-1,lobby"]
    reply = await tell("generateServerPlaylist sources=a,b durations=1 pathToFile=r")
    assert reply == failed("Syntax error. Parameters sources and durations have different number of elements")
    reply = await tell("generateServerPlaylist sources=a pathToFile=no/such/r")
    assert reply == failed("Unable to create server playlist 'no/such/r.lst'")


@ensureDeferred
async def test_an_item_is_put_in(tell: Ask) -> None:
    """A playlist that nobody plays is taken, too; other negative times become the special ones."""
    reply = await tell("insertPlaylistItem playlistName=x.lst localStreamName=a.mp4 insertPoint=-5 sourceOffset=-7 duration=-3")
    assert reply == {
        "data": {
            "duration": -1000,
            "insertPoint": -1000,
            "localStreamName": "a.mp4",
            "playlistName": "x.lst",
            "sourceOffset": -2000,
        },
        "description": "Playlist item inserted",
        "status": "SUCCESS",
    }
