"""NAL units in a row."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.errors import MalformedData
from ems.media import nal
from tests.unit.media.mutation import mutated, refusals

# A NAL unit never ends in zero and never holds a start code.
nal_units = st.binary(min_size=1, max_size=40).map(lambda data: re.sub(rb"\x00{2,}", b"\0\xff", data) + b"\x80")
access_units = st.lists(nal_units, max_size=8)


def byte_stream(nals: list[bytes]) -> bytes:
    """The units behind start codes of four bytes."""
    return b"".join(nal.START_CODE + unit for unit in nals)


@given(access_units, st.sampled_from([1, 2, 4]))
def test_lengths_of_any_size_are_read(nals: list[bytes], size: int) -> None:
    """A stream with 1-, 2- or 4-byte lengths gives the same NAL units, and the same frame inside the server."""
    data = b"".join(len(unit).to_bytes(size, "big") + unit for unit in nals)
    assert nal.split_lengths(data, size) == nals
    assert nal.with_four_byte_lengths(data, size) == nal.join_lengths(nals)
    assert nal.lengths_are_true(nal.join_lengths(nals))


@given(access_units, st.integers(0, 3))
def test_a_byte_stream_is_read(nals: list[bytes], zeros: int) -> None:
    """Units are found between start codes of three and four bytes, with any number of zeros around them."""
    assert nal.split_annexb(byte_stream(nals)) == nals
    padded = b"".join(bytes(zeros) + b"\0\0\1" + unit for unit in nals) + bytes(zeros)
    assert nal.split_annexb(padded) == nals


def test_bytes_before_the_first_start_code_are_left_out() -> None:
    """A byte stream that is joined in the middle begins with the first whole NAL unit."""
    assert nal.split_annexb(b"\x41\x9a\0\0\1\x09\x10\0\0\0\1\x65\x88") == [b"\x09\x10", b"\x65\x88"]
    assert nal.split_annexb(b"no start code") == []


def test_four_byte_lengths_are_passed_on_untouched() -> None:
    """The usual frame is not copied."""
    data = b"\0\0\0\1\x65"
    assert nal.with_four_byte_lengths(data, 4) is data


@pytest.mark.parametrize(
    "data", ["00", "000000", "00000001", "ffffffff65", "7fffffff65", "0000000165 00000002 41", "000000026501 0000"]
)
@pytest.mark.parametrize("read", [nal.split_lengths, lambda data: nal.first_header(data, ())])
def test_lengths_that_lie_are_refused(data: str, read) -> None:  # type: ignore[no-untyped-def]
    """A length that reaches past the end, or is itself cut off, is malformed."""
    assert not nal.lengths_are_true(bytes.fromhex(data))
    with pytest.raises(MalformedData):
        read(bytes.fromhex(data))


@pytest.mark.parametrize("size", [0, 3, 5, -1])
def test_other_length_sizes_do_not_exist(size: int) -> None:
    """Only 1, 2 and 4 bytes are lengths."""
    with pytest.raises(MalformedData):
        nal.split_lengths(b"\0\0\0\1\x65", size)


@pytest.mark.parametrize(
    ("read", "data"),
    [
        (nal.split_lengths, bytes(4 * (nal.MAX_NAL_UNITS + 1))),
        (nal.split_annexb, b"\0\0\1\x41" * (nal.MAX_NAL_UNITS + 1)),
        (lambda data: nal.first_header(data, ()), bytes(4 * (nal.MAX_NAL_UNITS + 1))),
        (nal.split_lengths, bytes(nal.MAX_ACCESS_UNIT + 1)),
        (nal.split_annexb, bytes(nal.MAX_ACCESS_UNIT + 1)),
    ],
)
def test_huge_access_units_are_refused(read, data: bytes) -> None:  # type: ignore[no-untyped-def]
    """Neither size nor number of NAL units is without limit."""
    with pytest.raises(MalformedData):
        read(data)


def test_as_many_nal_units_as_allowed() -> None:
    """The limit itself is allowed."""
    data = nal.join_lengths([b"\x41"] * nal.MAX_NAL_UNITS)
    assert nal.lengths_are_true(data)
    assert nal.first_header(data, ()) is None
    assert not nal.lengths_are_true(data + b"\0\0\0\1\x41")
    assert not nal.lengths_are_true(bytes(nal.MAX_ACCESS_UNIT + 4))
    nals = [b"\x41"] * nal.MAX_NAL_UNITS
    assert nal.split_lengths(nal.join_lengths(nals)) == nals
    assert nal.split_annexb(byte_stream(nals)) == nals


def test_damaged_access_units_only_raise_malformed_data() -> None:
    """Whatever is done to a frame, it is read or refused."""
    nals = [b"\x09\x10", b"\x65" + bytes(range(1, 60)), b"\x65\x88"]
    frame = nal.join_lengths(nals)
    for read in (nal.split_lengths, lambda data: nal.with_four_byte_lengths(data, 2)):
        assert min(refusals(read, mutated([frame]))) > 0
    assert refusals(nal.split_annexb, mutated([byte_stream(nals)]))[1] == 0
