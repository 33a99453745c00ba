"""JSON from outside: what is taken, and what is refused with a reason."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.errors import MalformedData
from ems.metadata.amf import from_message, to_message
from ems.metadata.envelope import is_wrapped, wrap
from ems.metadata.json_text import MAX_DEPTH, MAX_TEXT, MAX_VALUES, read_json, write_json

NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_every_json_value_is_read(value: object) -> None:
    """Whatever a JSON library writes is taken as it is, in ASCII or not."""
    assert read_json(json.dumps(value)) == value
    assert read_json(json.dumps(value, ensure_ascii=False)) == value
    assert read_json(write_json(read_json(json.dumps(value)))) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("hello", "not JSON"),
        ("{} {}", "not JSON"),
        ('{"a":1,}', "not JSON"),
        ('{"a":NaN}', "NaN is no number"),
        ("[-Infinity]", "-Infinity is no number"),
        ("1e999", "out of range"),
        ("9" * 400, "out of range"),
        ('{"a":1,"a":2}', "a name twice"),
        ('{"x":{"a":1,"a":1}}', "a name twice"),
        ('"\\ud800"', "half a surrogate pair"),
        ('{"\\udfff":1}', "half a surrogate pair"),
        ('{"a":"\x00"}', "not JSON"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "nested more than"),
        ("[" + "0," * (MAX_VALUES - 1) + "0]", "more than 4000 values"),
        ("[" + '{"":[]},' * (MAX_VALUES // 3) + "null,1]", "more than 4000 values"),
        ('"' + "x" * MAX_TEXT + '"', "more than 64 KiB"),
        ('"' + "ä" * (MAX_TEXT // 2) + '"', "more than 64 KiB"),
    ],
)
def test_what_is_no_json_is_refused(text: str, reason: str) -> None:
    """I am told what is wrong with my text."""
    with pytest.raises(MalformedData, match=reason):
        read_json(text)


def test_brackets_inside_strings_do_not_nest() -> None:
    """Depth counts structure only."""
    assert read_json(json.dumps({"a": '"[{' * 100, "b\\": "]}"})) == {"a": '"[{' * 100, "b\\": "]}"}
    assert read_json("[" * MAX_DEPTH + "]" * MAX_DEPTH)


@pytest.mark.parametrize("text", ["[" + "0," * 3998 + "0]", " [ " + '{"a" : [ ]} , ' * 1332 + "true, 1, null ] "])
def test_as_many_values_as_rtmp_players_can_get(text: str) -> None:
    """Containers, names, numbers and words count one each; commas, blanks and the ends of containers do not."""
    envelope = json.loads(wrap(text, read_json(text), 0))
    assert from_message(to_message(envelope)) == envelope
    with pytest.raises(MalformedData):
        read_json(f"[{text}]")


@pytest.mark.parametrize("part", ["[", "0,", '"",', "[],", '{"a":', '"\\', '["', "9", "\\"])
def test_hostile_texts_are_refused_at_once(part: str) -> None:
    """Deep, unfinished or endless texts cost next to nothing."""
    text = part * (MAX_TEXT // len(part))
    began = time.process_time()
    with pytest.raises(MalformedData):
        read_json(text)
    assert time.process_time() - began < 0.1


def test_a_long_number_is_a_number() -> None:
    """More digits than 64 bits hold make a double, as everywhere in JSON."""
    assert read_json("123456789012345678901234567890") == 1.2345678901234568e29


def test_a_text_is_wrapped_once() -> None:
    """The envelope goes around what has none; a text that has one stays as it is."""
    wrapped = wrap(' {"lat": "32.8"}\n', {"lat": "32.8"}, 46125)
    assert wrapped == '{"EMS":{"type":"json","timestamp":46125},"data":{"lat": "32.8"}}'
    assert wrap(wrapped, read_json(wrapped), 99) == wrapped
    assert json.loads(wrap("5", 5, 0)) == {"EMS": {"type": "json", "timestamp": 0}, "data": 5}


def test_only_the_first_name_makes_an_envelope() -> None:
    """An object that happens to have a member EMS is wrapped like any other."""
    assert is_wrapped({"EMS": {}, "data": 1})
    assert not is_wrapped({"data": 1, "EMS": {}})
    assert not is_wrapped(["EMS"])
    assert not is_wrapped({})
