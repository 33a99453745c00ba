"""What players call recordings."""

import pytest

from ems.vod.names import file_name, is_playlist, is_recording


@pytest.mark.parametrize(
    ("asked", "file"),
    [
        ("x", "x.flv"),
        ("flv:x", "x.flv"),
        ("mp4:x", "x.mp4"),
        ("MP4:x", "x.mp4"),
        ("mp4:x.mov", "x.mov"),
        ("mp3:d/x", "d/x.mp3"),
        ("d.1/x", "d.1/x.flv"),
        ("mp4:x.mp4?token=a.b", "x.mp4"),
        ("x.lst", "x.lst"),
        ("other:x", "other:x.flv"),
    ],
)
def test_the_file_that_is_meant(asked: str, file: str) -> None:
    """The type before the colon is the extension of a name that has none; without either it is FLV."""
    assert file_name(asked) == file


def test_names_that_are_no_live_streams() -> None:
    """A type or a known extension says that a file is meant."""
    assert all(map(is_recording, ("mp4:x", "flv:x", "x.mp4", "x.MOV", "d/x.lst?a")))
    assert not any(map(is_recording, ("x", "cam.1", "room/cam", "a:b")))
    assert is_playlist("D/X.LST")
    assert not is_playlist("x.lst.mp4")
