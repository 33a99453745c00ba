"""Bytes to request lines."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.api.lines import MAX_LINE, LineSplitter, LineTooLong, TelnetFilter

telnetish = st.lists(
    st.sampled_from([b"\xff", b"\xfa", b"\xf0", b"\xfb", b"\xfd", b"\x01", b"a", b"\r", b"\n", b"\0"]), max_size=40
)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The data in pieces, cut at these places."""
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[begin:end] for begin, end in pairwise(bounds)]


def lines_of(pieces: list[bytes]) -> tuple[list[bytes], bool]:
    """The lines of these pieces, and whether the connection would be cut off."""
    splitter, lines = LineSplitter(), []
    for piece in pieces:
        try:
            lines += splitter.receive(piece)
        except LineTooLong as error:
            return lines + error.complete, True
    return lines, False


def test_cr_and_lf_end_lines() -> None:
    """Any terminal's line end will do, and empty lines are nothing."""
    assert LineSplitter().receive(b"a\nb\rc\r\n\n\r\nd\r\n") == [b"a", b"b", b"c", b"d"]


@given(
    st.lists(st.sampled_from([b"version", b"\r", b"\n", b"x" * 9000, b" "]), max_size=12),
    st.lists(st.integers(0, 99999), max_size=6),
)
def test_cuts_do_not_matter_to_lines(parts: list[bytes], places: list[int]) -> None:
    """However my request travels, it is the same request."""
    data = b"".join(parts)
    assert lines_of(cut(data, places)) == lines_of([data])


def test_the_longest_line() -> None:
    """One byte less than the limit is a line; at the limit the connection ends, after the lines before."""
    assert lines_of([b"x" * (MAX_LINE - 1) + b"\n"]) == ([b"x" * (MAX_LINE - 1)], False)
    assert lines_of([b"a\n" + b"x" * MAX_LINE]) == ([b"a"], True)
    assert lines_of([b"a\n" + b"x" * MAX_LINE + b"\nb\n"]) == ([b"a"], True)


def filtered(pieces: list[bytes]) -> bytes:
    """What is left of these pieces."""
    telnet = TelnetFilter()
    return b"".join(telnet.receive(piece) for piece in pieces)


@pytest.mark.parametrize(
    ("sent", "left"),
    [
        (b"ver\xff\xfb\x01sion", b"version"),
        (b"\xff\xf4\xff\xfd\x06version", b"version"),
        (b"a\xff\xffb", b"a\xffb"),
        (b"a\xff\xfa\x18\x00xterm\xff\xff\xf0\xff\xf0b", b"ab"),
        (b"version\r\0", b"version\r"),
        (b"\xff", b""),
    ],
)
def test_telnet_commands_are_taken_out(sent: bytes, left: bytes) -> None:
    """A telnet client that negotiates or interrupts does not spoil my command."""
    assert filtered([sent]) == left


@given(telnetish, st.lists(st.integers(0, 99), max_size=6))
def test_cuts_do_not_matter_to_telnet(parts: list[bytes], places: list[int]) -> None:
    """However telnet's bytes travel, they are taken out."""
    data = b"".join(parts)
    assert filtered(cut(data, places)) == filtered([data])


def test_a_storm_of_telnet_commands_leaves_nothing() -> None:
    """A megabyte of negotiation costs no memory and gets no answer."""
    telnet = TelnetFilter()
    assert telnet.receive(b"\xff\xfb\x01" * 300_000 + b"\xff\xfa" + b"z" * 100_000) == b""
    assert telnet.receive(b"\xff\xf0ok") == b"ok"
