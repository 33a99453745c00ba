"""Files that appear whole, in order, and under names that lead nowhere else."""

from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, ensureDeferred

from ems.config import Runtime
from ems.errors import CommandError
from ems.segmenters.files import TEMPORARY, InOrder, extend_file, remove_matching, write_file
from ems.segmenters.folders import file_name, group_folder, stream_folder_name, target_folder


def test_steps_follow_each_other() -> None:
    """A playlist is not written before the segments that it names, even if one of them fails."""
    order, told, first = InOrder(), [], Deferred[None]()

    async def one() -> None:
        await first
        told.append("one")

    async def two() -> None:
        told.append("two")

    order.put(one)
    order.put(two)
    done = ensureDeferred(order.done())
    assert told == []
    first.callback(None)
    assert told == ["one", "two"] and done.called


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """Neither a reader nor a crash sees half of a file."""
    write_file(tmp_path / "a", b"one")
    write_file(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"two"
    (tmp_path / ".b.tmp").write_bytes(b"half")
    remove_matching(tmp_path, TEMPORARY)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_of_many_pieces(tmp_path: Path) -> None:
    """However many pieces a file comes in, they are all there, in order."""
    pieces = [bytes((number & 0xFF,)) * (number % 5) for number in range(5000)]
    write_file(tmp_path / "a", *pieces)
    assert (tmp_path / "a").read_bytes() == b"".join(pieces)


def test_ranges_follow_each_other(tmp_path: Path) -> None:
    """What a failed write has left behind a range is cut off by the next."""
    path = tmp_path / "a"
    extend_file(path, 0, b"one")
    with path.open("ab") as file:
        file.write(b"litter")
    extend_file(path, 3, b"two")
    assert path.read_bytes() == b"onetwo"


@pytest.mark.parametrize(
    ("stream", "folder"),
    [("cam", "cam"), ("a?b=c", "a_b_c"), ("x/y?k=v&l=w", "y_k_v_l_w"), ("a\\b", "a_b"), ("a?b=../../c", "a_b_.._.._c")],
)
def test_folder_of_a_stream(stream: str, folder: str) -> None:
    """The query of a stream's name becomes part of a folder's name."""
    assert stream_folder_name(stream) == folder


@pytest.mark.parametrize("name", ["../x", "/etc", "a/../../b", ".hidden", "a\0b", "", "."])
def test_names_that_lead_elsewhere(tmp_path: Path, name: str) -> None:
    """A group cannot leave the target folder."""
    with pytest.raises(CommandError):
        group_folder(tmp_path, name)
    with pytest.raises(CommandError):
        file_name("playlistName", name)


def test_the_web_root_of_the_original(tmp_path: Path) -> None:
    """../evo-webroot is the web root, unless there is such a folder."""
    runtime = Runtime(tmp_path / "run", tmp_path / "run/config.lua")
    assert target_folder(runtime, "../evo-webroot") == tmp_path / "run/webroot"
    (tmp_path / "evo-webroot").mkdir()
    assert target_folder(runtime, "../evo-webroot") == tmp_path / "evo-webroot"
