"""A name from outside never becomes a file outside of its folder."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.errors import CommandError
from ems.security.paths import UnsafePath, file_path, safe_path, split_path


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "show/../../secret",
        "..",
        ".",
        "show/.hidden",
        "/etc/passwd",
        "show\\..\\secret",
        "show\0.ts",
        "line\nbreak",
        "a" * 256,
        "ä" * 128,
        "/".join(["folder"] * 200),
        "half\ud800",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    """Whoever names a file gets one in the folder, or is told that the name will not do."""
    with pytest.raises(UnsafePath):
        safe_path(tmp_path, name)


def test_the_refusal_is_the_answer_of_a_command() -> None:
    """A command with such a name fails in words."""
    assert issubclass(UnsafePath, CommandError)


def test_an_ordinary_name_is_a_file_in_the_folder(tmp_path: Path) -> None:
    """Folders, blanks, other scripts, and files that are not there yet are fine."""
    assert safe_path(tmp_path, "show/Übung 1.mp4") == tmp_path / "show" / "Übung 1.mp4"
    assert safe_path(tmp_path, "a//b/") == tmp_path / "a" / "b"
    assert safe_path(tmp_path, "") == tmp_path


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    """Somebody who can make links in the folder cannot publish the rest of the disk; links within it are fine."""
    root = tmp_path / "root"
    (root / "real").mkdir(parents=True)
    (root / "out").symlink_to(tmp_path)
    (root / "in").symlink_to(root / "real")
    with pytest.raises(UnsafePath):
        safe_path(root, "out/secret")
    assert safe_path(root, "in/file") == root / "in/file"


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    """A web root on another disk is reached by a link."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "disk")
    assert safe_path(tmp_path / "root", "a.ts") == tmp_path / "root/a.ts"


@given(st.text(max_size=40))
def test_no_text_at_all_leads_out(name: str) -> None:
    """Whatever the name is."""
    root = Path("/srv/root")
    try:
        path = file_path(root, name)
    except UnsafePath:
        return
    assert path.is_relative_to(root)
    assert ".." not in path.parts
    assert split_path(name) == path.relative_to(root).parts
