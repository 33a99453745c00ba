"""A client gets the bytes of a file that it asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.web.ranges import Span, content_range, parse_ranges


@pytest.mark.parametrize(
    ("header", "spans"),
    [
        ("bytes=0-499", [Span(0, 500)]),
        ("bytes=500-", [Span(500, 1000)]),
        ("bytes=-1", [Span(999, 1000)]),
        ("bytes=-5000", [Span(0, 1000)]),
        ("bytes=990-2000", [Span(990, 1000)]),
        ("Bytes = 1-2 , 5-6", [Span(1, 3), Span(5, 7)]),
        ("bytes=5-6,2000-", [Span(5, 7)]),
    ],
)
def test_the_bytes_that_are_asked_for(header: str, spans: list[Span]) -> None:
    """From, to, and the last ones, one part or a few."""
    assert parse_ranges(header, 1000) == spans


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=2000-3000", "bytes=-0", "bytes=5000-,6000-"])
def test_bytes_that_do_not_exist(header: str) -> None:
    """They are told apart from a whole file."""
    assert parse_ranges(header, 1000) == []


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=5-2",
        "bytes=a-b",
        "bytes=1-2-3",
        "bytes=0x1-",
        "bytes=¹-",
        "items=0-5",
        "bytes=99999999999999999999-",
        "bytes=" + ",".join(["0-0"] * 9),
        "bytes=0-,0-",
        "bytes=0-0," * 1000,
    ],
)
def test_what_makes_no_sense_is_the_whole_file(header: str | None) -> None:
    """Malformed, reversed, overlapping or a thousand parts: RFC 9110 §14.2 lets a server send everything, once."""
    assert parse_ranges(header, 1000) is None


def test_content_range_names_the_last_byte() -> None:
    """As clients expect it: both ends are included."""
    assert content_range(Span(0, 500), 1000) == "bytes 0-499/1000"


@given(st.text(alphabet="bytes=0123456789-, ", max_size=60), st.integers(0, 2000))
def test_no_header_asks_for_more_than_there_is(header: str, size: int) -> None:
    """Whatever a client sends, every span is within the file, and all together are not longer than it."""
    spans = parse_ranges(header, size) or []
    assert all(0 <= span.start < span.stop <= size for span in spans)
    assert sum(span.stop - span.start for span in spans) <= size
