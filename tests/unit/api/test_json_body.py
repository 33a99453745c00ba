"""JSON bodies of the HTTP door."""

import pytest

from ems.api.json_body import parse_json_request
from ems.api.request import Request
from ems.errors import CommandError


def test_a_flat_object() -> None:
    """Strings, numbers, booleans, null and lists are parameters; commandId is not."""
    body = b'{"uri":"a,b","id":5,"on":true,"n":null,"l":["x",1,null],"commandID":7}'
    parameters = {"uri": "a,b", "id": 5, "on": True, "n": None, "l": ["x", 1]}
    assert parse_json_request("c", body) == Request("c", parameters, "7", typed=True)


@pytest.mark.parametrize("body", [b"", b"  ", b"{}"])
def test_no_parameters(body: bytes) -> None:
    """A command without parameters needs no body."""
    assert parse_json_request("c", body) == Request("c", {}, "", typed=True)


@pytest.mark.parametrize(
    "body",
    [
        b"[",
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[]",
        b"5",
        b'"x"',
        b"null",
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":{"b":1}}',
        b'{"a":{}}',
        b'{"a":[[1]]}',
        b'{"a":[{"b":1}]}',
        b'{"a":1,"a":2}',
        b'{"a":1,"A":2}',
        b'{"a":"\\ud800"}',
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b"id=5",
    ],
    ids=lambda body: body[:12].decode("latin-1"),
)
def test_anything_else_is_told(body: bytes) -> None:
    """Nesting, infinities, repetitions and plain rubbish end in words, never in a traceback."""
    with pytest.raises(CommandError):
        parse_json_request("c", body)


def test_a_number_of_any_size_that_json_can_hold() -> None:
    """A 64-bit id arrives as it was sent."""
    assert parse_json_request("c", b'{"id":18446744073709551615}').parameters == {"id": 2**64 - 1}
