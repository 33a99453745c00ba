"""AMF0: what commands and metadata say, and what hostile ones cannot do."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.errors import LocalProtocolError, MalformedData
from ems.formats import amf0
from ems.formats.amf0 import UNDEFINED, AmfDate, EcmaArray, TypedObject, XmlDocument, decode, decode_all, decode_prefix, encode
from ems.formats.amf_nesting import MAX_DEPTH, MAX_ITEMS, MAX_REPEATED_BYTES, MAX_WRITTEN_ITEMS
from ems.formats.amf_values import Dictionary, Vector, VectorType
from tests.unit.media.mutation import mutated, prefixes, refusals

CONNECT = bytes.fromhex(
    "020007636f6e6e656374003ff00000000000000300036170700200046c697665"
    "0008666c61736856657202000d464d4c452f332e3020286565290004667061640100000009"
)
METADATA = encode(
    "@setDataFrame",
    "onMetaData",
    EcmaArray(width=1920.0, encoder="Lavf", stereo=True, keyframes={"times": [0.0, 2.0], "filepositions": [13.0, 99.0]}),
)
EVERYTHING = encode(
    "connect",
    1,
    None,
    UNDEFINED,
    True,
    XmlDocument("<a/>"),
    AmfDate(1.5e12, -60),
    TypedObject("a.B", {"c": [1, [2, {"d": "e"}]]}),
    EcmaArray({"0": "x"}),
    b"\0\1",
    Vector(VectorType.OBJECT, [1, "two", {"three": 3}], class_name="C"),
    Dictionary([({"k": 1}, [2])]),
    "x" * 70_000,
)

values = st.recursive(
    st.one_of(
        st.none(),
        st.just(UNDEFINED),
        st.booleans(),
        st.floats(allow_nan=False),
        st.text(),
        st.binary(max_size=20),
        st.text().map(XmlDocument),
        st.builds(AmfDate, st.floats(allow_nan=False), st.integers(-(2**15), 2**15 - 1)),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(max_size=8), inner, max_size=4),
        st.dictionaries(st.text(max_size=8), inner, max_size=4).map(EcmaArray),
        st.builds(TypedObject, st.text(max_size=8), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    ),
    max_leaves=20,
)


def test_a_connect_command_is_read_and_written() -> None:
    """The bytes that RTMP encoders send are the values one expects, and the other way round."""
    command = ["connect", 1.0, {"app": "live", "flashVer": "FMLE/3.0 (ee)", "fpad": False}]
    assert decode_all(CONNECT) == command
    assert encode("connect", 1, command[2]) == CONNECT


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("00c000000000000000", -2.0),
        ("0100", False),
        ("01ff", True),
        ("02000361c3a4", "aä"),
        ("05", None),
        ("06", UNDEFINED),
        ("0a00000002050100", [None, False]),
        ("0b4000000000000000ffc4", AmfDate(2.0, -60)),
        ("0c00000003616263", "abc"),
        ("0f000000043c612f3e", XmlDocument("<a/>")),
    ],
)
def test_each_type_has_its_form(data: str, value: object) -> None:
    """The markers of the specification."""
    assert decode(bytes.fromhex(data)) == (value, len(data) // 2)


def test_an_object_may_have_a_member_without_a_name() -> None:
    """An empty name ends an object only with the end marker behind it."""
    assert decode_all(bytes.fromhex("03 0000 05 000161 06 000009")) == [{"": None, "a": UNDEFINED}]


@pytest.mark.parametrize("count", ["00000000", "00000001", "ffffffff"])
def test_the_count_of_an_ecma_array_does_not_matter(count: str) -> None:
    """Encoders write anything there: the end marker ends the array."""
    value = decode_all(bytes.fromhex("08" + count + "000161 05 000162 06 000009"))[0]
    assert value == EcmaArray(a=None, b=UNDEFINED)
    assert type(value) is EcmaArray


@given(st.lists(values, max_size=4))
def test_values_come_back(message: list[object]) -> None:
    """Whatever is written is read as the same values of the same types."""
    assert repr(decode_all(encode(*message))) == repr(message)
    assert [getattr(value, "class_name", None) for value in decode_all(encode(*message))] == [
        getattr(value, "class_name", None) for value in message
    ]


def test_everything_survives_reading_and_writing() -> None:
    """A message with every type is written as it was read."""
    assert encode(*decode_all(EVERYTHING)) == EVERYTHING


def test_special_numbers() -> None:
    """Infinities and NaN are numbers; integers become numbers."""
    assert decode_all(encode(math.inf, 5, -0.0))[:2] == [math.inf, 5.0]
    assert math.isnan(decode_all(encode(math.nan))[0])  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["ff", "c3", "eda080", "61ff62", "f8808080"])
def test_text_that_is_not_utf8_survives(text: str) -> None:
    """Names in Latin-1 or with lone surrogates leave as they came."""
    data = bytes.fromhex("02") + (len(text) // 2).to_bytes(2, "big") + bytes.fromhex(text)
    assert encode(*decode_all(data)) == data


def test_a_surrogate_of_ours_is_written_as_a_question_mark() -> None:
    """JSON may hold a lone surrogate; it does not stop a message."""
    assert decode_all(encode("a\ud800b")) == ["a?b"]


def test_references_are_the_same_object() -> None:
    """What is sent once and referred to is there twice."""
    data = bytes.fromhex("0a00000003 03 000161 05 000009 070001 070001")
    first, second, third = decode_all(data)[0]  # type: ignore[misc]
    assert first == {"a": None}
    assert first is second is third


@pytest.mark.parametrize("data", ["070000", "0a00000001 070000", "03000161 070000 000009", "0a00000002 03000009 070009"])
def test_references_to_nothing_or_oneself_are_refused(data: str) -> None:
    """A reference must name an object that is complete: circles and lies are malformed."""
    with pytest.raises(MalformedData):
        decode_all(bytes.fromhex(data))


@pytest.mark.parametrize("marker", ["04", "09", "0d", "0e", "12", "ff"])
def test_markers_without_a_value_are_refused(marker: str) -> None:
    """Movie clips, record sets, unsupported and unknown markers are malformed."""
    with pytest.raises(MalformedData):
        decode_all(bytes.fromhex(marker + "0000000000000000"))


def test_what_precedes_damage_is_read() -> None:
    """A command with stray bytes behind it still says what it says."""
    assert decode_prefix(CONNECT + b"\xff\xff") == decode_all(CONNECT)
    assert decode_prefix(CONNECT[:-1]) == ["connect", 1.0]
    assert decode_prefix(b"\xff") == []


def test_decode_goes_on_at_an_offset() -> None:
    """A name can be read first and its arguments later."""
    name, offset = decode(CONNECT)
    assert (name, decode(CONNECT, offset)) == ("connect", (1.0, offset + 9))
    with pytest.raises(MalformedData):
        decode(CONNECT, len(CONNECT) + 5)


@pytest.mark.parametrize(
    "level", [b"\x03\x00\x01a", b"\x08\xff\xff\xff\xff\x00\x01a", b"\x0a\x00\x00\x00\x01", b"\x10\x00\x01C\x00\x01a"]
)
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 70_000])
def test_deep_nesting_is_refused(level: bytes, depth: int) -> None:
    """70,000 objects inside one another are malformed data, not a crash."""
    with pytest.raises(MalformedData, match="deep"):
        decode_all(level * depth + b"\x05")


def test_nesting_up_to_the_limit_is_read() -> None:
    """The limit itself is allowed, AMF3 inside AMF0 counted together."""
    assert decode_all(b"\x0a\x00\x00\x00\x01" * MAX_DEPTH + b"\x05")
    amf3_arrays = b"\x09\x03\x01"
    assert decode_all(b"\x0a\x00\x00\x00\x01" * 16 + b"\x11" + amf3_arrays * 16 + b"\x01")
    with pytest.raises(MalformedData):
        decode_all(b"\x0a\x00\x00\x00\x01" * 16 + b"\x11" + amf3_arrays * 17 + b"\x01")


@pytest.mark.parametrize(
    "data",
    [
        b"\x05" * (MAX_ITEMS + 1),
        b"\x0a" + (MAX_ITEMS).to_bytes(4, "big") + b"\x05" * MAX_ITEMS,
        b"\x0a\xff\xff\xff\xff" + b"\x05" * 100,
        b"\x11\x01" * (MAX_ITEMS + 1),
    ],
)
def test_too_many_values_are_refused(data: bytes) -> None:
    """A message has 4096 values at most, in whatever form."""
    with pytest.raises(MalformedData):
        decode_all(data)


def test_references_do_not_multiply() -> None:
    """Arrays that refer twice to the one before them double 40 times: refused, as the values they stand for are counted."""
    doubling = b"\x0a\0\0\0\2\5\5" + b"".join(b"\x0a\0\0\0\2" + (b"\x07" + n.to_bytes(2, "big")) * 2 for n in range(40))
    with pytest.raises(MalformedData):
        decode_all(doubling)
    long_text = b"\x0a\0\0\0\1\x0c" + MAX_REPEATED_BYTES.to_bytes(4, "big") + b"x" * MAX_REPEATED_BYTES
    with pytest.raises(MalformedData):
        decode_all(long_text + b"\x07\0\0")


def test_circles_of_our_own_are_refused() -> None:
    """A list that contains itself ends in an error, not in an endless loop."""
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(LocalProtocolError):
        encode(circle)
    with pytest.raises(LocalProtocolError):
        encode([None] * (MAX_WRITTEN_ITEMS + 1))


def test_deep_values_of_our_own_are_written() -> None:
    """Writing costs no Python stack."""
    deep: object = None
    for _ in range(10_000):
        deep = [deep]
    assert encode(deep) == b"\x0a\0\0\0\1" * 10_000 + b"\x05"


@pytest.mark.parametrize("value", [object(), {1: 2}, {"x" * 65536: 1}, 10**400, {"a": {2.5}}, 1j])
def test_what_amf_cannot_say_is_our_mistake(value: object) -> None:
    """Sets, number keys, huge integers are told as a bug of the caller."""
    with pytest.raises(LocalProtocolError):
        encode(value)


def test_only_short_strings_are_short() -> None:
    """65535 bytes are a string, 65536 a long string."""
    assert (encode("x" * 65535)[0], encode("x" * 65536)[0]) == (amf0.Marker.STRING, amf0.Marker.LONG_STRING)


@pytest.mark.parametrize("message", [CONNECT, METADATA, EVERYTHING[:400]])
def test_every_prefix_is_read_or_refused(message: bytes) -> None:
    """A message that is cut off anywhere never does more than raise `MalformedData`."""
    assert min(refusals(decode_all, prefixes(message))) > 0


def test_damaged_messages_only_raise_malformed_data() -> None:
    """20,000 mutations of real messages: each is read or refused, and what is read can be written and read again."""

    def read_and_write(data: bytes) -> None:
        message = decode_all(data)
        assert repr(decode_all(encode(*message))) == repr(message)

    assert min(refusals(read_and_write, mutated([CONNECT, METADATA, EVERYTHING[:300], EVERYTHING[:-70_005]]))) > 0
