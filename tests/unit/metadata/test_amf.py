"""Data messages of RTMP as JSON, and JSON as a data message."""

import json
import math

import pytest

from ems.formats import amf0
from ems.formats.amf_values import (
    UNDEFINED,
    AmfDate,
    AmfValue,
    Dictionary,
    EcmaArray,
    TypedObject,
    Vector,
    VectorType,
    XmlDocument,
)
from ems.metadata.amf import MESSAGE, from_message, to_json, to_message
from ems.metadata.json_text import Json, write_json


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1280.0, 1280),
        (29.97, 29.97),
        (1e300, 1e300),
        (math.nan, None),
        (-math.inf, None),
        (None, None),
        (UNDEFINED, None),
        (True, True),
        ("Grüße", "Grüße"),
        ("\udcff", "\ufffd"),
        (XmlDocument("<a/>"), "<a/>"),
        (b"\x00\xff", "AP8="),
        (AmfDate(0), "1970-01-01T00:00:00.000Z"),
        (AmfDate(1700000000123, 60), "2023-11-14T22:13:20.123Z"),
        (AmfDate(-1), "1969-12-31T23:59:59.999Z"),
        (AmfDate(1e300), None),
        (AmfDate(math.nan), None),
        ([1.0, [2.0, {"a": None}]], [1, [2, {"a": None}]]),
        (EcmaArray({"b": 1.0, "a": 2.0}), {"b": 1, "a": 2}),
        (TypedObject("C", {"x": AmfDate(0)}), {"x": "1970-01-01T00:00:00.000Z"}),
        (Vector(VectorType.INT, [1, 2]), [1, 2]),
        (Dictionary([("k", 1.0), ({"o": 1}, None)]), [["k", 1], [{"o": 1}, None]]),
    ],
)
def test_amf_becomes_json(value: AmfValue, expected: Json) -> None:
    """Every value of AMF has a form in JSON, and the order of names is kept."""
    assert write_json(to_json(value)) == write_json(expected)


def test_a_data_message_is_an_object_of_its_name() -> None:
    """I see which message of the encoder a value comes from."""
    assert from_message(amf0.encode("onMetaData", EcmaArray({"width": 1280.0}))) == {"onMetaData": {"width": 1280}}
    assert from_message(amf0.encode("onCuePoint", 1.0, "x")) == {"onCuePoint": [1, "x"]}


@pytest.mark.parametrize(
    "message", [b"", b"\2", b"\2\0\1x", amf0.encode("onStatus"), amf0.encode(1, 2), b"\xff" * 9, bytes(70_000)]
)
def test_a_message_that_says_nothing_is_no_metadata(message: bytes) -> None:
    """Broken, empty and oversized messages leave no trace."""
    assert from_message(message) is None


@pytest.mark.parametrize("value", [None, True, 1, 2.5, "x", [], {}, {"a": [1, {"b": None}]}, 10**18])
def test_metadata_survives_the_way_over_rtmp(value: Json) -> None:
    """What one server sends as a data message is, for the next one, the same envelope."""
    envelope: Json = {"EMS": {"type": "json", "timestamp": 5}, "data": value}
    assert json.loads(write_json(from_message(to_message(envelope)))) == envelope


def test_players_do_not_take_it_for_codec_metadata() -> None:
    """The message is not called onMetaData, which describes codecs."""
    assert amf0.decode_all(to_message({"EMS": {}, "data": 1}))[0] == MESSAGE == "onEMSMetaData"
