"""AMF3: what ActionScript 3 encoders say, and what hostile ones cannot do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.errors import LocalProtocolError, MalformedData
from ems.formats import amf0, amf3
from ems.formats.amf3 import decode, decode_all, encode
from ems.formats.amf_nesting import MAX_DEPTH, MAX_ITEMS, MAX_KEY
from ems.formats.amf_values import UNDEFINED, AmfDate, Dictionary, EcmaArray, TypedObject, Vector, VectorType, XmlDocument
from tests.unit.media.mutation import mutated, prefixes, refusals

TRAITS = bytes.fromhex("0905 01 0a23 0353 0378 0379 0401 0402 0a01 0403 0404")
EVERYTHING = encode(
    "status",
    1,
    -1,
    2.5,
    None,
    UNDEFINED,
    True,
    XmlDocument("<a/>"),
    AmfDate(1.5e12),
    {"a": [1, {"b": "c"}], "d": b"\0\xff"},
    EcmaArray({"0": "zero", "k": EcmaArray(x=1)}),
    TypedObject("a.B", {"c": 1, "d": [2]}),
    Vector(VectorType.INT, [-1, 2], fixed=True),
    Vector(VectorType.UINT, [2**32 - 1]),
    Vector(VectorType.DOUBLE, [0.5]),
    Vector(VectorType.OBJECT, ["x", {"y": 1}], class_name="C"),
    Dictionary([("k", 1), ({"o": 1}, [2])], weak=True),
)

values = st.recursive(
    st.one_of(
        st.none(),
        st.just(UNDEFINED),
        st.booleans(),
        st.integers(-(2**28), 2**28 - 1),
        st.floats(allow_nan=False),
        st.text(),
        st.binary(max_size=20),
        st.text().map(XmlDocument),
        st.builds(AmfDate, st.floats(allow_nan=False)),
        st.lists(st.integers(-(2**31), 2**31 - 1), max_size=4).map(lambda items: Vector(VectorType.INT, items)),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=4),
        st.dictionaries(st.text(min_size=1, max_size=8), inner, min_size=1, max_size=4).map(EcmaArray),
        st.builds(
            TypedObject, st.text(min_size=1, max_size=8), st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=4)
        ),
        st.lists(inner, max_size=4).map(lambda items: Vector(VectorType.OBJECT, items, True, "C")),
        st.lists(st.tuples(inner, inner), max_size=3).map(Dictionary),
    ),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("data", "number"),
    [
        ("0400", 0),
        ("047f", 127),
        ("048100", 128),
        ("04ff7f", 16383),
        ("04818000", 16384),
        ("04ffff7f", 2097151),
        ("0480c08000", 2097152),
        ("04bfffffff", 268435455),
        ("04c0808000", -268435456),
        ("04ffffffff", -1),
    ],
)
def test_integers_have_one_to_four_bytes(data: str, number: int) -> None:
    """The boundaries of U29, both ways."""
    assert decode(bytes.fromhex(data)) == (number, len(data) // 2)
    assert encode(number).hex() == data


@pytest.mark.parametrize("number", [2**28, -(2**28) - 1, 2**40])
def test_larger_integers_are_doubles(number: int) -> None:
    """What does not fit into 29 bits keeps its value."""
    assert encode(number)[0] == amf3.Marker.DOUBLE
    assert decode_all(encode(number)) == [float(number)]


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("00", UNDEFINED),
        ("01", None),
        ("02", False),
        ("03", True),
        ("05c000000000000000", -2.0),
        ("060761c3a4", "aä"),
        ("0601", ""),
        ("07093c612f3e", XmlDocument("<a/>")),
        ("08014000000000000000", AmfDate(2.0)),
        ("090501" + "0102", [None, False]),
        ("0901036101" + "01", EcmaArray(a=None)),
        ("0a0b01" + "03610301", {"a": True}),
        ("0a1303430361" + "03", TypedObject("C", {"a": True})),
        ("0c050102", b"\1\2"),
        ("0d0500" + "ffffffff00000001", Vector(VectorType.INT, [-1, 1])),
        ("0e0301" + "ffffffff", Vector(VectorType.UINT, [2**32 - 1], True)),
        ("0f0300" + "4000000000000000", Vector(VectorType.DOUBLE, [2.0])),
        ("10030003430601", Vector(VectorType.OBJECT, [""], False, "C")),
        ("110300" + "06036b03", Dictionary([("k", True)])),
    ],
)
def test_each_type_has_its_form(data: str, value: object) -> None:
    """The markers of the specification, read and written alike."""
    read, offset = decode(bytes.fromhex(data))
    assert (read, type(read), vars(read) if hasattr(read, "__dict__") else None, offset) == (
        value,
        type(value),
        vars(value) if hasattr(value, "__dict__") else None,
        len(data) // 2,
    )
    assert encode(value).hex() == data


def test_both_kinds_of_xml_are_read() -> None:
    """XML (0B) and XML documents (07) are the same here."""
    assert decode_all(bytes.fromhex("0b093c612f3e")) == decode_all(bytes.fromhex("07093c612f3e"))


def test_an_array_may_have_both_parts() -> None:
    """Dense items come first, under their numbers."""
    assert decode_all(bytes.fromhex("0905 0361 03 01 04 07 0408")) == [EcmaArray({"0": 7, "1": 8, "a": True})]


def test_sealed_and_dynamic_members() -> None:
    """Members of the traits come in their order, dynamic ones behind them."""
    value = decode_all(bytes.fromhex("0a1b 0343 0378 0401 0379 0402 01"))[0]
    assert (value, value.class_name) == (TypedObject("C", {"x": 1, "y": 2}), "C")  # type: ignore[union-attr]


def test_traits_are_sent_once() -> None:
    """The second object of a class refers to the first one's traits."""
    assert decode_all(TRAITS) == [[{"x": 1, "y": 2}, {"x": 3, "y": 4}]]


def test_strings_and_objects_are_sent_once() -> None:
    """References to strings and objects name what was read before; an object is then the same object."""
    text, again, first, second = decode_all(bytes.fromhex("0909 01 060361 0600 0a0b01 0003 01 0a02"))[0]  # type: ignore[misc]
    assert (text, again, first) == ("a", "a", {"a": True})
    assert first is second


def test_flex_wrappers_stand_for_their_content() -> None:
    """An ArrayCollection is its array, an ObjectProxy its object."""
    name = b"flex.messaging.io.ArrayCollection"
    collection = b"\x0a\x07" + bytes((len(name) << 1 | 1,)) + name + bytes.fromhex("09030103")
    assert decode_all(collection + bytes.fromhex("0a01") + bytes.fromhex("0400")) == [[True], 0]


@pytest.mark.parametrize(
    "data",
    [
        "0a07 0743 4343 01",
        "0602",
        "0a02",
        "0901" + "02",
        "090301 0900",
        "0a05",
        "0a0b01 0361 0a00 01",
        "0a13 01 01 03",
        "12",
        "ff",
        "0d ffffffff 00",
        "0c ffffffff",
        "09 ffffffff 01",
        "0a f3ffffff 01",
        "11 ffffffff 00",
        "10 ffffffff 00 01",
    ],
)
def test_lies_are_refused(data: str) -> None:
    """Unknown classes and markers, references to nothing or to oneself, members without name, sizes beyond the data."""
    with pytest.raises(MalformedData):
        decode_all(bytes.fromhex(data))


@given(st.lists(values, max_size=4))
def test_values_come_back(message: list[object]) -> None:
    """Whatever is written is read as the same values of the same types."""
    assert repr(decode_all(encode(*message))) == repr(message)


@given(st.lists(values, max_size=4))
def test_values_come_back_through_amf0(message: list[object]) -> None:
    """Inside an AMF0 message all of them can be said too; integers are numbers there."""
    assert amf0.decode_all(amf0.encode(*message)) == message


def test_everything_survives_reading_and_writing() -> None:
    """A message with every type is written as it was read."""
    assert encode(*decode_all(EVERYTHING)) == EVERYTHING
    assert amf0.decode_all(b"\x11" + EVERYTHING[:8]) == ["status"]


def test_tables_live_as_long_as_the_message() -> None:
    """A second AMF3 value in an AMF0 message may refer to the first one's strings."""
    assert amf0.decode_all(bytes.fromhex("11 060361 05 11 0600")) == ["a", None, "a"]


@pytest.mark.parametrize("level", [b"\x09\x03\x01", b"\x0a\x0b\x01\x03a", b"\x10\x03\x00\x01", b"\x11\x03\x00"])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 70_000])
def test_deep_nesting_is_refused(level: bytes, depth: int) -> None:
    """70,000 containers inside one another are malformed data, not a crash."""
    with pytest.raises(MalformedData, match="deep"):
        decode_all(level * depth + b"\x01")


@pytest.mark.parametrize(
    "data",
    [
        b"\x01" * (MAX_ITEMS + 1),
        encode([None] * MAX_ITEMS),
        encode(Vector(VectorType.INT, [0] * MAX_ITEMS)),
        encode(TypedObject("C", {f"m{n}": None for n in range(MAX_ITEMS + 1)})),
        encode(*[TypedObject("C", {f"m{n}": None for n in range(1500)})] * 2),
        b"\x0a\x0b\x01" + encode("x" * (MAX_KEY + 1))[1:] + b"\x01\x01",
    ],
)
def test_too_many_or_too_long_values_are_refused(data: bytes) -> None:
    """Vectors, traits and names count as well."""
    with pytest.raises(MalformedData):
        decode_all(data)


def test_string_references_do_not_multiply() -> None:
    """A long string that is referred to a thousand times is counted a thousand times."""
    with pytest.raises(MalformedData, match="repeat"):
        decode_all(encode("x" * 60_000) + b"\x06\x00" * 1000)


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1: 2},
        {"": 1},
        TypedObject("C", {"": 1}),
        EcmaArray({"": 1}),
        Vector(VectorType.INT, ["x"]),
        Vector(VectorType.UINT, [-1]),
    ],
)
def test_what_amf3_cannot_say_is_our_mistake(value: object) -> None:
    """Names that are empty or no strings, vectors of something else: a bug of the caller."""
    with pytest.raises(LocalProtocolError):
        encode(value)


def test_every_prefix_is_read_or_refused() -> None:
    """A message that is cut off anywhere never does more than raise `MalformedData`."""
    assert min(refusals(decode_all, prefixes(EVERYTHING))) > 0


def test_damaged_messages_only_raise_malformed_data() -> None:
    """20,000 mutations: each is read or refused, and what is read can be written and read again, as AMF0 too."""

    def read_and_write(data: bytes) -> None:
        message = decode_all(data)
        assert repr(decode_all(encode(*message))) == repr(message)
        amf0.decode_all(amf0.encode(*message))

    assert min(refusals(read_and_write, mutated([EVERYTHING, EVERYTHING[:60], TRAITS]))) > 0
