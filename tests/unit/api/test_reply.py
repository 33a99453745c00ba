"""Replies on the wire."""

import json
from http import HTTPStatus

from hypothesis import given
from hypothesis import strategies as st

from ems.api.reply import Reply, Status, failure, to_ascii, to_json, to_json_line

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def test_json_is_compact_and_sorted() -> None:
    """Any JSON parser reads it, and byte-wise comparison of replies is possible."""
    reply = Reply(Status.SUCCESS, "a/b", {"b": [], "A": 1, "_c": True}, "k17")
    assert to_json(reply) == b'{"data":{"A":1,"_c":true,"b":[]},"description":"a/b","responseId":"k17","status":"SUCCESS"}'


def test_no_command_id_no_response_id() -> None:
    """responseId is only there when I asked for it."""
    assert to_json(failure("no")) == b'{"data":null,"description":"no","status":"FAIL"}'


def test_the_length_counts_the_blank_line() -> None:
    """The prefix is the length of JSON and CR LF CR LF, big-endian, itself not counted."""
    line = to_json_line(Reply(Status.SUCCESS, "Version"), length_prefix=True)
    assert int.from_bytes(line[:4], "big") == len(line) - 4
    assert line[4:] == to_json_line(Reply(Status.SUCCESS, "Version"), length_prefix=False)
    assert line.endswith(b"}\r\n\r\n")


@given(values)
def test_whatever_a_command_answers_is_json(data: object) -> None:
    """Names with quotes, control characters or halves of surrogate pairs do not break a reply."""
    loaded = json.loads(to_json(Reply(Status.SUCCESS, "d", data)))  # type: ignore[arg-type]
    assert loaded["status"] == "SUCCESS"
    to_ascii(Reply(Status.SUCCESS, "d", data)).decode("utf-8")  # type: ignore[arg-type]


def test_ascii_success() -> None:
    """Data is indented: objects by their keys, lists by dashes."""
    data = {"b": 1, "a": {"x": True, "y": None}, "list": [1, {"k": "v"}], "none": []}
    assert to_ascii(Reply(Status.SUCCESS, "Done", data)) == (
        b"Command entered successfully!\n\rDone\n\r\n\r"
        b"    a: \n\r      x: true\n\r      y: \n\r"
        b"    b: 1\n\r"
        b"    list: \n\r      -- 1\n\r      -- \n\r        k: v\n\r"
        b"    none: []\n\r\n\r\n"
    )


def test_ascii_failure() -> None:
    """A failure is two lines."""
    assert to_ascii(failure("why")) == b"Command failed!\n\rwhy\n\r\n\r"


def test_ascii_shows_selected_keys_only() -> None:
    """Long objects are cut to the keys that people look for, at every depth and in any case."""
    reply = Reply(
        Status.SUCCESS,
        "d",
        {"Name": "x", "secret": 1, "audio": {"codec": "AAAC", "z": 1}},
        ascii_fields=("name", "AUDIO", "codec"),
    )
    assert b"secret" not in to_ascii(reply)
    assert b"z:" not in to_ascii(reply)
    assert b"    Name: x\n\r" in to_ascii(reply)
    assert b"      codec: AAAC\n\r" in to_ascii(reply)


def test_ascii_does_not_command_the_terminal() -> None:
    """A stream cannot be named so that it clears my screen."""
    assert b"\x1b" not in to_ascii(Reply(Status.SUCCESS, "\x1b[2J", {"\x1b": ["\x9b2J\x07"]}))


def test_a_failure_says_how_http_would_put_it() -> None:
    """The caller's mistakes are told from ours."""
    assert failure("x").http_status == HTTPStatus.BAD_REQUEST
