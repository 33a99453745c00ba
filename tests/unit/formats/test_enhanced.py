"""The tag header of Enhanced RTMP: every form of it, read and written."""

import random

import pytest

from ems.errors import MalformedData
from ems.formats import enhanced
from ems.formats.enhanced import CODEC, FOURCC, Packet, PacketType
from ems.media.track import Kind
from tests.unit.media.mutation import mutated, prefixes, refusals

KEY = 1


def modex(data: bytes, kind: int, next_type: int) -> bytes:
    """One ModEx head behind the tag's first byte (or another head)."""
    size = len(data) - 1
    sized = bytes((size,)) if size < 255 else b"\xff" + size.to_bytes(2, "big")
    return sized + data + bytes((kind << 4 | next_type,))


@pytest.mark.parametrize("kind", [Kind.VIDEO, Kind.AUDIO])
@pytest.mark.parametrize("track_id", [0, 1, 7, 255])
@pytest.mark.parametrize("packet_type", [PacketType.SEQUENCE_START, PacketType.CODED_FRAMES])
@pytest.mark.parametrize("fourcc", FOURCC.values())
def test_what_is_written_is_read_back(kind: Kind, track_id: int, packet_type: int, fourcc: bytes) -> None:
    """A header of any codec and track leads back to type, codec, track and body."""
    tag = enhanced.header(kind, KEY, packet_type, fourcc, track_id) + b"body"
    assert enhanced.parse(kind, tag) == [Packet(packet_type, fourcc, track_id, b"body")]


def test_the_default_track_needs_no_multitrack() -> None:
    """Track 0 is written in the form that clients without multitrack read."""
    assert enhanced.header(Kind.VIDEO, KEY, PacketType.CODED_FRAMES_X, b"hvc1", 0) == b"\x93hvc1"
    assert enhanced.header(Kind.AUDIO, KEY, PacketType.CODED_FRAMES, b"Opus", 0) == b"\x91Opus"
    assert enhanced.header(Kind.VIDEO, 2, PacketType.CODED_FRAMES_X, b"hvc1", 3) == b"\xa6\x03hvc1\3"
    assert enhanced.header(Kind.AUDIO, KEY, PacketType.CODED_FRAMES, b"Opus", 3) == b"\x95\x01Opus\3"


def test_many_tracks_of_one_codec() -> None:
    """One FourCC, then id, size and body of each track."""
    tag = b"\x96\x11avc1" + b"\0\0\0\3abc" + b"\xff\0\0\0" + b"\1\0\0\1z"
    assert enhanced.parse(Kind.VIDEO, tag) == [
        Packet(1, b"avc1", 0, b"abc"),
        Packet(1, b"avc1", 255, b""),
        Packet(1, b"avc1", 1, b"z"),
    ]


def test_many_tracks_of_many_codecs() -> None:
    """A FourCC with each track."""
    tag = b"\x95\x21" + b"Opus\0\0\0\1a" + b"mp4a\1\0\0\2bc"
    assert enhanced.parse(Kind.AUDIO, tag) == [Packet(1, b"Opus", 0, b"a"), Packet(1, b"mp4a", 1, b"bc")]


def test_modex_tells_nanoseconds() -> None:
    """The nanosecond offset is read, other modifiers are passed over, several add up, and none passes a millisecond."""
    nano = (123_456).to_bytes(3, "big")
    assert enhanced.parse(Kind.VIDEO, b"\x97" + modex(nano, 0, 3) + b"hvc1x") == [Packet(3, b"hvc1", 0, b"x", 123_456)]
    unknown = modex(b"?" * 40, 5, 7)
    assert enhanced.parse(Kind.AUDIO, b"\x97" + unknown + modex(nano, 0, 1) + b"Opusx")[0].nanoseconds == 123_456
    assert enhanced.parse(Kind.VIDEO, b"\x97" + modex(b"\xff\xff\xff", 0, 3) + b"hvc1x")[0].nanoseconds == 999_999
    assert enhanced.parse(Kind.VIDEO, b"\x97" + modex(b"\1", 0, 3) + b"hvc1x")[0].nanoseconds == 0


@pytest.mark.parametrize("size", [1, 255, 256, 257, 65536])
def test_modex_of_any_size(size: int) -> None:
    """Sizes up to 255 have one byte, longer ones three."""
    assert enhanced.parse(Kind.VIDEO, b"\x97" + modex(bytes(size), 9, 3) + b"hvc1x") == [Packet(3, b"hvc1", 0, b"x")]


def test_modex_and_multitrack_together() -> None:
    """Modifiers stand before the multitrack head and are for all its tracks."""
    tag = b"\x97" + modex(b"\0\0\5", 0, 6) + b"\x13hvc1" + b"\0\0\0\1a" + b"\1\0\0\1b"
    assert enhanced.parse(Kind.VIDEO, tag) == [Packet(3, b"hvc1", 0, b"a", 5), Packet(3, b"hvc1", 1, b"b", 5)]


def test_a_tag_of_nothing_but_modifiers() -> None:
    """A tag that is modifiers and nothing else ends, and is not a frame."""
    tag = b"\x97" + modex(b"\0", 1, 7) * 100 + b"hvc1"
    packets = enhanced.parse(Kind.VIDEO, tag)
    assert all(packet.type == PacketType.MODEX for packet in packets)


def test_an_unknown_form_of_multitrack() -> None:
    """Forms 3 to 15 do not exist."""
    with pytest.raises(MalformedData, match="multitrack type 3"):
        enhanced.parse(Kind.VIDEO, b"\x96\x31avc1\0")


SAMPLES = [
    b"\x90avc1record",
    b"\x91avc1\0\0\5body",
    b"\x96\x11avc1\0\0\0\3abc\xff\0\0\0\1\0\0\1z",
    b"\x96\x01avc1\5abc",
    b"\x96\x21hvc1\0\0\0\1aav01\1\0\0\2bc",
    b"\x97" + modex(b"\0\0\5", 0, 6) + b"\x13hvc1\0\0\0\1a\1\0\0\1b",
    b"\x97" + modex(bytes(300), 9, 3) + b"hvc1x",
]


@pytest.mark.parametrize("kind", [Kind.VIDEO, Kind.AUDIO])
def test_cut_off_and_damaged_tags(kind: Kind) -> None:
    """A tag cut off anywhere, and 20,000 damaged ones, are read or refused as malformed."""
    inputs = [cut for sample in SAMPLES for cut in prefixes(sample) if cut]
    inputs += [data for data in mutated(SAMPLES) if data]
    read, refused = refusals(lambda tag: enhanced.parse(kind, tag), inputs)
    assert read > 1000
    assert refused > 1000


def test_all_tags_of_few_bytes() -> None:
    """Every first byte with random ones behind it."""
    chance = random.Random(5)
    for first in range(256):
        for size in range(12):
            tag = bytes((first,)) + chance.randbytes(size)
            for kind in (Kind.VIDEO, Kind.AUDIO):
                refusals(lambda tag, kind=kind: enhanced.parse(kind, tag), [tag])


def test_the_tables_are_each_others_inverse() -> None:
    """Each FourCC names one codec."""
    assert {fourcc: codec for codec, fourcc in FOURCC.items()} == CODEC
