"""What the server says it is."""

from pathlib import Path

import pytest

from ems import __version__
from ems.version import read_version


def test_a_checkout_has_its_version() -> None:
    """Name and version are there without any build."""
    version = read_version()
    assert version.release_number == __version__
    assert version.banner.startswith(f"EMS {__version__}")


@pytest.mark.parametrize(
    ("left", "build_number", "revision"),
    [('{"buildNumber": 77, "hash": "0f0f"}', "77", "0f0f"), ("[]", "", ""), ("{", "", "")],
)
def test_what_a_build_leaves_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str, build_number: str, revision: str
) -> None:
    """A release tells its build and its source revision; a broken file does no harm."""
    (tmp_path / "build.json").write_text(left)
    monkeypatch.setattr("ems.version.resources.files", lambda package: tmp_path)
    version = read_version()
    assert (version.build_number, version.hash) == (build_number, revision)
