"""FLV as a stream of bytes."""

import os
import random

import pytest

from ems.errors import MalformedData
from ems.protocols.liveflv.wire import MAX_TAG, Tag, TagSplitter
from tests.flv import HEADER, tag
from tests.unit.media.mutation import mutated

MUTATIONS = int(os.environ.get("EMS_MUTATIONS", "3000"))

TAGS = [tag(9, 0, b"picture"), tag(8, 23, b"sound"), tag(18, 0x1234567, b"words"), tag(9, 0xFFFFFFFF, b"x" * 70_000)]
READ = [Tag(9, 0, b"picture"), Tag(8, 23, b"sound"), Tag(18, 0x1234567, b"words"), Tag(9, 0xFFFFFFFF, b"x" * 70_000)]


@pytest.mark.parametrize("piece", [1, 2, 11, 1000, 1 << 20])
def test_tags_come_out_as_they_went_in(piece: int) -> None:
    """However the bytes are cut, the tags are the same."""
    data, splitter = HEADER + b"".join(TAGS), TagSplitter()
    assert [one for start in range(0, len(data), piece) for one in splitter.receive(data[start : start + piece])] == READ


def test_a_longer_header_is_skipped() -> None:
    """What a later version adds to the header does no harm."""
    header = b"FLV\1\5" + (20).to_bytes(4, "big") + bytes(11) + bytes(4)
    assert TagSplitter().receive(header + TAGS[0]) == READ[:1]


def test_encrypted_tags_are_left_out() -> None:
    """What nobody could play is not passed on."""
    encrypted = bytes((0x29,)) + TAGS[0][1:]
    assert TagSplitter().receive(HEADER + encrypted + TAGS[1]) == READ[1:2]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\n", "no FLV"),
        (b"FLX", "no FLV"),
        (b"FLV\1\5\0\0\0\1" + bytes(4), "header of 1 bytes"),
        (b"FLV\1\5\xff\xff\xff\xff", "header of 4294967295 bytes"),
        (HEADER + b"\x09" + (MAX_TAG + 1).to_bytes(3, "big") + bytes(7), "an FLV tag of"),
    ],
)
def test_what_is_no_flv_is_refused(data: bytes, reason: str) -> None:
    """Whoever sends something else, or more than a picture can have, is told so at once."""
    with pytest.raises(MalformedData, match=reason):
        TagSplitter().receive(data)


def test_mutations_never_raise_anything_else() -> None:
    """Damaged bytes give tags or the one error, and never more memory than a tag may take."""
    chance, found = random.Random(11), 0
    for damaged in mutated([HEADER + b"".join(TAGS[:3]) * 20, HEADER + TAGS[0]], MUTATIONS):
        splitter, cut = TagSplitter(), chance.randrange(len(damaged) + 1)
        try:
            found += len(splitter.receive(damaged[:cut])) + len(splitter.receive(damaged[cut:]))
        except MalformedData:
            continue
    assert found > MUTATIONS
