"""The text of a request."""

import pytest

from ems.api.request import Request, parse_parameters, parse_request, split_unescaped


def test_words_are_separated_by_spaces_only() -> None:
    """I can write as many spaces as I like, and a tab does not begin a new parameter."""
    assert parse_request("  pullStream   uri=rtsp://a/b  x=1\t2 ") == Request("pullStream", {"uri": "rtsp://a/b", "x": "1\t2"})


@pytest.mark.parametrize("line", ["", "   ", "\t", " \t "])
def test_a_line_without_a_word_is_no_request(line: str) -> None:
    """An empty line is not answered."""
    assert parse_request(line) is None


def test_the_first_equals_sign_ends_the_name() -> None:
    """An address with a query needs no escape."""
    assert parse_request("c uri=http://a/?x=1&y=2") == Request("c", {"uri": "http://a/?x=1&y=2"})


def test_a_word_without_equals_sign_is_an_empty_parameter() -> None:
    """A bare name is a parameter with an empty value."""
    assert parse_request("c flag other=") == Request("c", {"flag": "", "other": ""})


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"a\ b", "a b"),
        (r"a\\b", "a\\b"),
        (r"a\,b", "a,b"),
        (r"a\=b", "a=b"),
        (r"a\nb", r"a\nb"),
        (r"C:\dir", r"C:\dir"),
        (r"-i\ a.ts\ -f\ null", "-i a.ts -f null"),
        (r"end\ ", "end"),
        (r"\\\\", "\\\\"),
        ("tail\\", "tail\\"),
    ],
)
def test_four_escapes(written: str, meant: str) -> None:
    """Spaces, commas, equals signs and backslashes can be part of a value; any other backslash is itself."""
    assert parse_request(f"c v={written}") == Request("c", {"v": meant})


def test_an_escaped_equals_sign_belongs_to_the_name() -> None:
    """A name can have an equals sign."""
    assert parse_request(r"c a\=b=c") == Request("c", {"a=b": "c"})


def test_an_unescaped_comma_makes_a_list() -> None:
    """Several values are separated by commas, and may have commas themselves."""
    assert parse_request(r"c v=a,\ b\ ,c\,d,,e") == Request("c", {"v": ["a", "b", "c,d", "", "e"]})


def test_the_last_of_a_repeated_name_counts() -> None:
    """I can append a correction to a line."""
    assert parse_request("c a=1 b=2 a=3") == Request("c", {"b": "2", "a": "3"})


def test_the_command_id_is_no_parameter() -> None:
    """commandId, in any case, comes back with exactly its text."""
    assert parse_request("c COMMANDID=k,17 a=1") == Request("c", {"a": "1"}, "k,17")


def test_parameters_alone() -> None:
    """The HTTP door has the command elsewhere."""
    assert parse_parameters("c", "id=7 commandId=x") == Request("c", {"id": "7"}, "x")


def test_splitting_stops_at_the_maximum() -> None:
    """Only as many separators count as were asked for."""
    assert split_unescaped(r"a\=b=c=d", "=", 1) == [r"a\=b", "c=d"]


def test_a_long_line_of_backslashes_is_read_at_once() -> None:
    """Nobody can keep the server busy with a line."""
    request = parse_request("c v=" + "\\" * 16001)
    assert request is not None
    assert request.parameters["v"] == "\\" * 8001
