"""Tags and their numbers."""

import pytest

from ems.api.tags import CODEC_TAGS, is_kind_of, tag_number
from ems.media.track import Codec


@pytest.mark.parametrize(
    ("tag", "number"),
    [
        ("INR", 5282249572905648128),
        ("INP", 5282247373882392576),
        ("ONR", 5714595137133215744),
        ("TCP", 6071784683555782656),
        ("IJSONCLI", 5281125113125882953),
        ("VH264", 6217274493967007744),
        ("AAAC", 4702111241970122752),
        ("VUNK", 6220964544311721984),
    ],
)
def test_a_tag_is_its_bytes_as_a_number(tag: str, number: int) -> None:
    """typeNumeric and codecNumeric are what clients of the original compare with."""
    assert tag_number(tag) == number


def test_every_codec_has_a_tag() -> None:
    """Whatever a stream carries can be described."""
    assert set(CODEC_TAGS) == set(Codec)
    assert all(tag_number(tag) for tag in CODEC_TAGS.values())


@pytest.mark.parametrize("tag", ["NINELONGS", "ÄÖ"])
def test_no_tag(tag: str) -> None:
    """A plugin's tag that cannot be a number is told."""
    with pytest.raises(ValueError, match="not a tag"):
        tag_number(tag)


def test_tags_are_a_hierarchy() -> None:
    """INR is a kind of IN."""
    assert is_kind_of("INR", "IN")
    assert not is_kind_of("IN", "INR")
