"""The folders of media files: what is found in them, and what outlives a restart."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, maybeDeferred

from ems.config import Storage
from ems.config.store import Store
from ems.errors import CommandError
from ems.vod.storages import NotFound, Storages


def at_once(function: Callable[..., Any], *arguments: Any) -> "Deferred[Any]":
    return maybeDeferred(function, *arguments)


def result_of(work: Awaitable[Any]) -> Any:
    """What a coroutine that waits for nothing returns or raises."""
    results: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(results.append)  # type: ignore[arg-type]
    if hasattr(results[0], "raiseException"):
        results[0].raiseException()
    return results[0]


def folder(path: Path, *files: str) -> str:
    """A folder with files whose content is their path."""
    path.mkdir(exist_ok=True)
    for name in files:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(str(path / name))
    return str(path)


def make(tmp_path: Path, *storages: Storage) -> Storages:
    """The storages of a server that starts."""
    made = Storages(storages, tmp_path, Store(tmp_path / "storages.xml", in_thread=at_once))
    made.startService()
    return made


def test_the_first_storage_by_name_counts(tmp_path: Path) -> None:
    """The same name in two folders is the file of the folder whose storage comes first in the alphabet."""
    one, two = folder(tmp_path / "one", "x.mp4"), folder(tmp_path / "two", "x.mp4", "d/y.mp4")
    storages = make(tmp_path, Storage(media_folder=one, name="b"), Storage(media_folder=two, name="a"))
    assert str(storages.find("x.mp4").path) == f"{two}/x.mp4"
    assert str(storages.find(f"{one}/x.mp4").path) == f"{one}/x.mp4"
    assert storages.find("d/y.mp4").storage.name == "a"


@pytest.mark.parametrize(
    "name", ["../two/x.mp4", "/etc/passwd", "out/x.mp4", "link.mp4", "x\0.mp4", ".hidden", "d", "", "d/../x.mp4"]
)
def test_no_name_leads_out(tmp_path: Path, name: str) -> None:
    """Neither dots nor absolute paths, links or NULs; and only files are files."""
    folder(tmp_path / "two", "x.mp4")
    one = folder(tmp_path / "one", "x.mp4", ".hidden", "d/y.mp4")
    (tmp_path / "one/out").symlink_to(tmp_path / "two")
    (tmp_path / "one/link.mp4").symlink_to("/etc/passwd")
    with pytest.raises(NotFound):
        make(tmp_path, Storage(media_folder=one)).find(name)


def test_what_is_added_is_there_after_a_restart(tmp_path: Path) -> None:
    """With all its settings; what was removed is gone, and the configuration's own storages come back."""
    configured = Storage(media_folder=folder(tmp_path / "own"), name="own")
    storages = make(tmp_path, configured)
    added = Storage(media_folder=folder(tmp_path / "b"), description="<b>", seek_granularity=0.25, keyframe_seek=False)
    kept = result_of(storages.add(added))
    assert kept == replace(added, name="0x00000001")
    result_of(storages.add(Storage(media_folder=folder(tmp_path / "c"), name="c")))
    result_of(storages.remove(f"{tmp_path}/c/"))
    result_of(storages.remove(configured.media_folder))
    assert [storage.name for storage in storages] == ["0x00000001"]
    assert [*make(tmp_path, configured)] == [kept, configured]
    (tmp_path / "b").rmdir()
    assert [*make(tmp_path, configured)] == [configured]


def test_what_cannot_be_added(tmp_path: Path) -> None:
    """A folder that is not there, and one that is a storage already, by whatever path."""
    own = folder(tmp_path / "own")
    (tmp_path / "link").symlink_to(own)
    storages = make(tmp_path, Storage(media_folder=own))
    for path in (f"{own}/", f"{tmp_path}/link", f"{tmp_path}/none", "a\0b"):
        with pytest.raises(CommandError):
            result_of(storages.add(Storage(media_folder=path)))
    with pytest.raises(CommandError):
        result_of(storages.remove(f"{tmp_path}/none"))


@pytest.mark.parametrize("content", ["junk", '<STR name="">x</STR>', '<MAP name=""><STR name="/x">y</STR></MAP>'])
def test_a_damaged_file_of_storages_is_kept_aside(tmp_path: Path, content: str) -> None:
    """The server starts with those of the configuration."""
    (tmp_path / "storages.xml").write_text(f'<?xml version="1.0" ?>{content}')
    assert len(make(tmp_path)) == 0
    assert len([*tmp_path.glob("storages.xml.*")]) == 1
