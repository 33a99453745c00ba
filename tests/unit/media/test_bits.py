"""Reading headers bit by bit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.errors import MalformedData
from ems.media.bits import BitReader, rbsp
from tests.unit.media.bit_writer import BitWriter


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2**40 - 1)), max_size=20))
def test_fixed_width_fields_come_back(fields: list[tuple[int, int]]) -> None:
    """What was written in n bits is read in n bits, wherever it stands."""
    values = [(width, value % (1 << width)) for width, value in fields]
    writer = BitWriter()
    for width, value in values:
        writer.u(width, value)
    reader = BitReader(rbsp(bytes(writer)))
    assert [reader.u(width) for width, _ in values] == [value for _, value in values]
    assert reader.flag() and reader.bits_left < 8


@given(st.lists(st.integers(0, 2**32 - 2), max_size=20))
def test_exp_golomb_codes_come_back(values: list[int]) -> None:
    """Every number that H.264 allows in ue(v) is read."""
    reader = BitReader(rbsp(bytes(BitWriter().ue(*values))))
    assert [reader.ue() for _ in values] == values


def test_signed_codes_alternate() -> None:
    """se(v) counts 0, 1, -1, 2, -2."""
    reader = BitReader(bytes.fromhex("a6428f"))  # 1 010 011 00100 00101 and stop bits
    assert [reader.se() for _ in range(5)] == [0, 1, -1, 2, -2]


@pytest.mark.parametrize("data", [b"", b"\0", bytes(3), bytes(4), bytes(100), b"\0\0\0\1"])
def test_a_code_without_end_is_refused(data: bytes) -> None:
    """Zeros for ever, or a code that the data cuts off, are malformed."""
    with pytest.raises(MalformedData):
        BitReader(data).ue()


@pytest.mark.parametrize("read", [lambda r: r.u(9), lambda r: r.skip(9), lambda r: (r.skip(8), r.flag())])
def test_nothing_is_read_past_the_end(read) -> None:  # type: ignore[no-untyped-def]
    """Asking for more bits than there are is malformed data, whichever way one asks."""
    with pytest.raises(MalformedData):
        read(BitReader(b"\xff"))


def test_align_goes_to_the_next_byte() -> None:
    """A byte that has been begun is passed over; a whole one is not."""
    reader = BitReader(b"\xff\x01\x02")
    reader.align()
    assert reader.position == 0
    reader.skip(3)
    reader.align()
    assert (reader.position, reader.u(8)) == (8, 1)


@pytest.mark.parametrize(
    ("coded", "plain"),
    [
        ("6764001e", "6764001e"),
        ("000003", "0000"),
        ("0000030000030000", "000000000000"),
        ("00000301", "000001"),
        ("0000000300", "00000000"),
        ("000301", "000301"),
    ],
)
def test_emulation_prevention_is_removed(coded: str, plain: str) -> None:
    """Each 03 behind two zeros goes, no other."""
    assert rbsp(bytes.fromhex(coded)).hex() == plain
