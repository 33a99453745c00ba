"""Objects one behind the other over TCP: each is found, wherever the bytes are cut."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.errors import RemoteProtocolError
from ems.protocols.jsonmeta.wire import ObjectSplitter

OBJECTS = st.dictionaries(
    st.text(max_size=5), st.text(alphabet='{}"\\[a\n') | st.dictionaries(st.text('{"\\'), st.integers()), max_size=4
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(OBJECTS, st.sampled_from([b"", b"\n", b" ,;]"])), max_size=5), st.integers(1, 40))
def test_every_object_is_found(objects: list[tuple[dict[str, object], bytes]], size: int) -> None:
    """Braces and quotes in strings, bytes in between and the size of the pieces make no difference."""
    data = b"".join(json.dumps(one).encode() + between for one, between in objects)
    splitter = ObjectSplitter()
    found = [one for start in range(0, len(data), size) for one in splitter.receive(data[start : start + size])]
    assert [json.loads(one) for one in found] == [one for one, _ in objects]


def test_an_unfinished_object_waits() -> None:
    """Half an object is nothing yet."""
    splitter = ObjectSplitter()
    assert splitter.receive(b'noise}{"a":"}') == []
    assert splitter.receive(b'"') == []
    assert splitter.receive(b"}tail{") == [b'{"a":"}"}']


@pytest.mark.parametrize("piece", [1 << 20, 1000])
def test_an_endless_object_is_cut_off(piece: int) -> None:
    """Who never closes the brace is told, and does not fill the memory."""
    splitter = ObjectSplitter()
    with pytest.raises(RemoteProtocolError, match="64 KiB"):
        for _ in range(2 << 20):
            splitter.receive(b'{"a":' + b"[" * piece)


def test_noise_is_not_kept() -> None:
    """Bytes outside objects take no memory."""
    splitter = ObjectSplitter()
    for _ in range(100):
        assert splitter.receive(b"}]" * 10_000) == []
    assert len(splitter._buffer) == 0
