"""The files that survive a restart are read and written in the original's form, and a damaged one does no harm."""

import hashlib
import random
from datetime import UTC, date, datetime, time

import pytest

from ems.config.variant import (
    Array,
    Int8,
    Int16,
    Int64,
    TypedMap,
    UInt8,
    UInt32,
    UInt64,
    Variant,
    VariantError,
    checksum,
    to_binary,
)
from ems.config.variant_xml import MAX_FILE, MAX_VALUES, read_variant, write_variant

PULL = """<?xml version="1.0" ?>
<MAP isArray="false" name="">
    <STR name="checksum">0</STR>
    <MAP isArray="true" name="dash" />
    <MAP isArray="true" name="pull">
        <MAP isArray="false" name="0x00000007">
            <UINT32 name="configId">7</UINT32>
            <BOOL name="keepAlive">true</BOOL>
            <STR name="localStreamName"></STR>
            <UINT8 name="operationType">1</UINT8>
            <INT64 name="rangeEnd">-1</INT64>
            <DOUBLE name="timestamp">1.500</DOUBLE>
            <STR name="uri">rtsp://192.0.2.40/cam?a=1&amp;b=2</STR>
        </MAP>
    </MAP>
    <UINT32 name="version">26</UINT32>
</MAP>
"""

JOB = {
    "version": UInt32(26),
    "checksum": "0",
    "dash": Array(),
    "pull": Array(
        {
            "0x00000007": {
                "uri": "rtsp://192.0.2.40/cam?a=1&b=2",
                "operationType": UInt8(1),
                "timestamp": 1.5,
                "configId": UInt32(7),
                "localStreamName": "",
                "rangeEnd": Int64(-1),
                "keepAlive": True,
            }
        }
    ),
}


def test_a_file_of_the_original_is_written_byte_for_byte() -> None:
    """Names in byte order, four blanks a level, empty maps closed at once, empty texts not."""
    assert write_variant(JOB).decode() == PULL


def test_and_read_again() -> None:
    """What was read is what was written, widths included."""
    assert to_binary(read_variant(PULL.encode())) == to_binary(JOB)
    read = read_variant(PULL.encode())
    assert isinstance(read, dict)
    assert isinstance(read["version"], UInt32)
    assert isinstance(read["pull"], Array)


@pytest.mark.parametrize(
    ("value", "binary"),
    [
        (None, "01"),
        (True, "0301"),
        (Int8(-1), "04ff"),
        (Int16(-2), "05fffe"),
        (UInt8(1), "0801"),
        (UInt32(26), "0a0000001a"),
        (UInt64(2**64 - 1), "0bffffffffffffffff"),
        (1.0005, "0c3ff0000000000000"),
        (datetime(1970, 1, 2, tzinfo=UTC), "0e0000000000015180"),
        (date(1970, 1, 2), "0f0000000000015180"),
        (time(0, 1, 1), "10000000000000003d"),
        ("ä", "1100000002c3a4"),
        (b"\0", "140000000100"),
        ({}, "130000000000"),
        ({"b": None, "a": True}, "130000000002" + "0000000161" + "0301" + "0000000162" + "01"),
        ([True], "130100000001" + "0000000a" + b"0x00000000".hex() + "0301"),
        (TypedMap("T", {}), "1200" + "0000000154" + "00000000"),
    ],
)
def test_the_binary_form(value: Variant, binary: str) -> None:
    """The bytes under a checksum are those that the documents name: a type byte, then the value, big-endian."""
    assert to_binary(value).hex() == binary


def test_the_checksum_leaves_itself_out() -> None:
    """The checksum is the MD5 of everything but itself, and a change of a number's width changes it."""
    without = {name: value for name, value in JOB.items() if name != "checksum"}
    assert checksum(JOB) == checksum(without) == hashlib.md5(to_binary(without)).hexdigest()
    assert checksum(JOB) != checksum(JOB | {"version": UInt64(26)})


@pytest.mark.parametrize(
    "value",
    [
        *("", "a&b<c>\"d'", "line\r\nline\ttab", "  blanks  ", "\U0001f600 ümlaut", "]]>", "<![CDATA["),
        *(0.0, -0.001, 123456789.125, b"", bytes(range(256)), None, True, False),
        *(Int64(-(2**63)), UInt64(2**64 - 1), date(1, 1, 1), time(23, 59, 59)),
        datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC),
        {"": "", "a\nb\"c'": {"x": ["y", ["z"]]}},
        TypedMap("a&b", {"k": Array({"0x0000000a": "v"})}),
    ],
)
def test_every_value_comes_back(value: Variant) -> None:
    """No text, number or time is changed by storing it."""
    back = read_variant(write_variant({"value": value}))
    assert isinstance(back, dict)
    assert to_binary(back["value"]) == to_binary(value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (7, "type int"),
        ("bell \a", "U.0007"),
        ("\ud800", "UTF-8"),
        ({"a\0": ""}, "U.0000"),
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        ({"a": object()}, "type object"),
    ],
)
def test_what_cannot_be_stored_is_refused(value: Variant, reason: str) -> None:
    """A value that could not be read again is refused before anything is written."""
    with pytest.raises(VariantError, match=reason):
        write_variant(value)


def test_integers_keep_to_their_width() -> None:
    """A number that does not fit is an error, not another number."""
    for width, value in ((UInt8, 256), (UInt8, -1), (Int8, 128), (UInt32, 2**32), (Int64, 2**63)):
        with pytest.raises(VariantError, match=f"{value} is not in"):
            width(value)


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><STR name="">&c;</STR>'
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not well-formed"),
        (PULL.encode()[:300], "not well-formed"),
        (BOMB.encode(), "document type"),
        (b'<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd"><STR name=""></STR>', "document type"),
        (b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><STR name="">&e;</STR>', "document type"),
        (b'<STR name="">&undeclared;</STR>', "not well-formed"),
        ('<STR name="">ä</STR>'.encode("latin-1"), "not UTF-8"),
        ('<STR name=""></STR>'.encode("utf-16"), "not UTF-8"),
        (b"<MAP><WORD name='a' /></MAP>", "<WORD> is not a type"),
        (b"<MAP><STR>a</STR></MAP>", "without a name"),
        (b'<MAP><STR name="a">x</STR><STR name="a">y</STR></MAP>', "two elements"),
        (b'<MAP><STR name="a"><STR name="b" /></STR></MAP>', "a: a <STR> inside a value"),
        (b'<MAP name="">text</MAP>', "text between"),
        (b'<MAP><MAP name="pull"><UINT8 name="op">256</UINT8></MAP></MAP>', r"pull\.op: 256 is not in"),
        (b'<MAP><INT32 name="n">1.5</INT32></MAP>', "n: '1.5' is not a INT32"),
        (b'<MAP><INT32 name="n">' + b"9" * 5000 + b"</INT32></MAP>", "n: '9{40}' is not"),
        ('<MAP><INT32 name="n">٣</INT32></MAP>'.encode(), "is not a INT32"),
        (b'<MAP><BOOL name="b">1</BOOL></MAP>', "b: '1' is not a BOOL"),
        (b'<MAP><DOUBLE name="d">inf</DOUBLE></MAP>', "d: 'inf'"),
        (b'<MAP><DOUBLE name="d">1e999</DOUBLE></MAP>', "not a finite number"),
        (b'<MAP><TIMESTAMP name="t">yesterday</TIMESTAMP></MAP>', "t: 'yesterday'"),
        (b'<MAP><BYTEARRAY name="y">%%%</BYTEARRAY></MAP>', "y: '%%%'"),
        (b'<MAP><NULL name="z">x</NULL></MAP>', "z: 'x'"),
        (b'<MAP name="a">' * 100_000, "deep"),
        (b"<MAP>" + b'<NULL name="a"/>' * 2, "two elements"),
        (b" " * (MAX_FILE + 1), "larger than 4 MiB"),
    ],
)
def test_a_damaged_or_hostile_file_is_an_error_with_a_place(content: bytes, reason: str) -> None:
    """Half a file, an entity bomb, an external DTD, a wrong type: one error that says what and where, and nothing is fetched."""
    with pytest.raises(VariantError, match=reason):
        read_variant(content)


def test_a_declared_encoding_changes_nothing() -> None:
    """A file cannot hide markup by calling itself UTF-7: it is read as the UTF-8 it was checked as."""
    assert read_variant(b'<?xml version="1.0" encoding="utf-7"?><STR name="">+ADw-MAP/+AD4-</STR>') == "+ADw-MAP/+AD4-"


def test_a_file_has_a_bounded_number_of_elements() -> None:
    """A file of nothing but tiny elements does not fill the memory."""
    many = "".join(f'<NULL name="{index}"/>' for index in range(MAX_VALUES))
    with pytest.raises(VariantError, match="more than"):
        read_variant(f"<MAP>{many}</MAP>".encode())


def test_any_damage_is_told_in_words() -> None:
    """Whatever bytes are changed, the answer is a value or a `VariantError`."""
    chance = random.Random(5)
    for _ in range(2000):
        damaged = bytearray(PULL.encode())
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            value = read_variant(bytes(damaged))
        except VariantError:
            continue
        to_binary(value)
