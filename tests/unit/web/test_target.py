"""An address means one file, however it is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.security.paths import UnsafePath
from ems.web.target import parse_target, questions


@pytest.mark.parametrize(
    ("uri", "parts", "folder"),
    [
        (b"/", (), True),
        (b"/show/playlist.m3u8?x=/../", ("show", "playlist.m3u8"), False),
        (b"/a%20b/%C3%BC.ts", ("a b", "ü.ts"), False),
        (b"//a///b/", ("a", "b"), True),
        (b"http://host:8888/a/b", ("a", "b"), False),
        (b"/a%252fb", ("a%2fb",), False),
        (b"/a%2fb", ("a", "b"), False),
    ],
)
def test_the_parts_of_a_path(uri: bytes, parts: tuple[str, ...], folder: bool) -> None:
    """Percent-encoding is undone once; the query is no part of the path."""
    target = parse_target(uri)
    assert (target.parts, target.folder) == (parts, folder)


@pytest.mark.parametrize(
    "uri",
    [
        *(
            b"/../etc/passwd",
            b"/a/..%2f..%2fetc",
            b"/%2e%2e/x",
            b"/a/%2E./x",
            b"/..%5c..%5cx",
            b"/a%00.ts",
            b"/%ff%fe",
            b"/.git/config",
        ),
        *(b"a/b", b"ftp://host/a", b"/a\\b", b"/%0d%0aSet-Cookie:x"),
    ],
)
def test_attack_paths_that_lead_out(uri: bytes) -> None:
    """Dots, encoded or not, backslashes, NUL, line breaks and hidden files get nobody anywhere."""
    with pytest.raises(UnsafePath):
        parse_target(uri)


@given(st.binary(max_size=60))
def test_no_bytes_at_all_lead_out(uri: bytes) -> None:
    """Whatever a client sends as an address."""
    try:
        target = parse_target(uri)
    except UnsafePath:
        return
    assert not any(part in ("", ".", "..") or "/" in part or "\0" in part for part in target.parts)


def test_questions_of_low_latency_players() -> None:
    """Only the standard's parameters are passed on, once each and of sensible length."""
    assert questions(b"_HLS_msn=7&_HLS_part=1&x=2") == {"_HLS_msn": "7", "_HLS_part": "1"}
    assert questions(b"x=2") == {}
    assert questions(b"_HLS_msn=7&_HLS_msn=8") is None
    assert questions(b"_HLS_msn=" + b"9" * 21) is None
