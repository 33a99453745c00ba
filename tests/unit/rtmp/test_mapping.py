"""Names as clients write them, what clients announce, and aggregates: the pure part of RTMP."""

from typing import Any

import pytest

from ems.formats import amf0
from ems.formats.enhanced import CODEC
from ems.media.track import Codec, Kind, Track
from ems.protocols.rtmp import commands, mapping
from ems.protocols.rtmp.chunks import Message
from tests.unit.media.mutation import mutated, prefixes, refusals

BOTH = frozenset((Kind.AUDIO, Kind.VIDEO))


@pytest.mark.parametrize(
    ("app", "name", "prefix"),
    [
        ("live", "live", ""),
        ("live/", "live", ""),
        ("live?user=x&y=/a/b", "live", ""),
        ("live/room", "live", "room/"),
        ("live/room/2", "live", "room/2/"),
        ("live/_definst_", "live", ""),
        ("live/_definst_/room", "live", "room/"),
        ("live//room", "live", "room/"),
        ("", "", ""),
    ],
)
def test_application_and_prefix(app: str, name: str, prefix: str) -> None:
    """The first part is the application, the rest begins the stream's name."""
    assert mapping.split_application(app) == (name, prefix)


def test_names_to_play_and_to_publish() -> None:
    """Prefixes of players and queries of publishers are cut."""
    assert [mapping.played_name(n) for n in ("cam", "flv:cam", "a;*cam", "a;*flv:cam?x", "mp4:x.mp4")] == [
        "cam",
        "cam",
        "cam",
        "cam?x",
        "mp4:x.mp4",
    ]
    assert mapping.published_name("cam?a=b?c") == "cam"


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({}, set()),
        ({"fourCcList": ["hvc1", "nope", None, 5.0, ["av01"]]}, {b"hvc1"}),
        ({"fourCcList": ["*"]}, set(CODEC)),
        ({"fourCcList": {"0": "hvc1"}}, set()),
        ({"videoFourCcInfoMap": {"*": 7.0}}, set(CODEC)),
        ({"videoFourCcInfoMap": {"av01": 1.0, "hvc1": 2.0, "vp09": 4.0}}, {b"av01", b"vp09"}),
        ({"audioFourCcInfoMap": {"Opus": 5.0, "ac-3": "1", "fLaC": float("inf"), "mp4a": -1.0}}, {b"Opus"}),
    ],
)
def test_announced_codecs(properties: dict[str, Any], expected: set[bytes]) -> None:
    """Lists and maps are read, whatever else stands in them."""
    assert mapping.fourccs_of(properties) == expected


@pytest.mark.parametrize(
    ("value", "reads"), [(2.0, True), (15.0, True), (1.0, False), (None, False), (float("nan"), False), (1e300, False)]
)
def test_who_reads_multitrack(value: Any, reads: bool) -> None:
    """Bit 2 of `capsEx`, when it is a number of that kind."""
    assert mapping.reads_multitrack({"capsEx": value}) is reads


def test_what_a_client_can_take() -> None:
    """One track of a kind without multitrack; unknown codecs and unwanted kinds are left out; data is for everybody."""
    h264, hevc = Track(0, Kind.VIDEO, Codec.H264), Track(1, Kind.VIDEO, Codec.H265)
    aac, opus, g711 = Track(256, Kind.AUDIO, Codec.AAC), Track(257, Kind.AUDIO, Codec.OPUS), Track(258, Kind.AUDIO, Codec.G711A)
    data = Track(512, Kind.DATA, Codec.AMF0)
    tracks = (hevc, h264, opus, aac, g711, data)
    everything = frozenset(CODEC)
    assert mapping.playable(tracks, BOTH, frozenset(), False) == (h264, aac, data)
    assert mapping.playable(tracks, BOTH, everything, False) == (hevc, opus, data)
    assert mapping.playable(tracks, frozenset((Kind.AUDIO,)), frozenset(), False) == (aac, data)
    assert mapping.playable(tracks, frozenset(), everything, True) == (data,)
    # G.711 has no FourCC, so it can be the default track only.
    assert mapping.playable(tracks, BOTH, everything, True) == (hevc, h264, opus, aac, data)
    assert mapping.playable((g711, aac), BOTH, everything, True) == (g711, aac)


AGGREGATE = Message(
    22,
    3,
    0xFFFFFFF0,
    b"\x09\0\0\2\0\0\x05\0\0\0\0ab\0\0\0\x0d" + b"\x08\0\0\1\0\0\x20\0\0\0\0c\0\0\0\x0c" + b"\x12\0\0\0\0\0\x30\1\0\0\0",
)


def test_aggregates_are_moved_to_their_time() -> None:
    """The first part has the aggregate's own time, the others keep their distance, over the wrap and with 32 bits."""
    parts = list(mapping.aggregated(AGGREGATE))
    assert parts == [
        Message(9, 3, 0xFFFFFFF0, b"ab"),
        Message(8, 3, 0x0B, b"c"),
        Message(18, 3, 0x0100001B, b""),
    ]


def test_damaged_aggregates() -> None:
    """Cut off anywhere or damaged, aggregates are read or refused as malformed."""
    payloads = [*prefixes(AGGREGATE.payload), *mutated([AGGREGATE.payload], 5000)]
    read, refused = refusals(lambda payload: list(mapping.aggregated(AGGREGATE._replace(payload=payload))), payloads)
    assert read > 100
    assert refused > 1000


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (amf0.encode("onMetaData", {"a": 1}), {"a": 1.0}),
        (amf0.encode("onMetaData", amf0.EcmaArray(a=1)), {"a": 1.0}),
        (amf0.encode("onMetaData"), {}),
        (amf0.encode("onMetaData", 5.0), {}),
        (amf0.encode("onCuePoint", {"a": 1}), None),
        (b"", None),
        (amf0.encode("onMetaData", {"a": "x" * 70_000}), None),
    ],
)
def test_metadata(payload: bytes, expected: dict[str, Any] | None) -> None:
    """A map in onMetaData is read; too much of it is not, and other messages are none."""
    assert mapping.read_metadata(payload) == expected


def test_set_data_frame_is_for_the_server_only() -> None:
    """Players get the message without `@setDataFrame`, and without the byte of AMF3 messages."""
    body = amf0.encode("onMetaData", {"a": 1})
    wrapped = amf0.encode("@setDataFrame") + body
    assert mapping.data_message(Message(18, 1, 0, wrapped)) == body
    assert mapping.data_message(Message(15, 1, 0, b"\0" + wrapped)) == body
    assert mapping.data_message(Message(18, 1, 0, body)) == body


def test_commands_are_read_leniently() -> None:
    """Names, transaction ids and arguments of sloppy encoders: what is damaged is left out."""
    read = commands.read_command
    assert read(Message(20, 1, 0, amf0.encode("play", 5, None, "cam", 1.0))) == ("play", 5.0, [None, "cam", 1.0], 1)
    assert read(Message(17, 1, 0, b"\0" + amf0.encode("play", 5, None))) == ("play", 5.0, [None], 1)
    assert read(Message(20, 1, 0, amf0.encode("play", 5, None, "cam") + b"\xff\xff")) == ("play", 5.0, [None, "cam"], 1)
    assert read(Message(20, 1, 0, amf0.encode("play"))) == ("play", 0.0, [], 1)
    assert read(Message(20, 1, 0, amf0.encode("play", "5"))) == ("play", 0.0, [], 1)
    for none in (b"", b"\xff", amf0.encode(5.0, 5.0), amf0.encode(None)):
        assert read(Message(20, 1, 0, none)) is None


def test_arguments_of_the_wrong_type() -> None:
    """A number that is none, or not finite, is the default; a text that is none is empty."""
    command = commands.Command("x", 1.0, [None, "text", 7.0, True, float("nan"), float("inf"), 1e300, 3], 1)
    assert [command.text(index) for index in (1, 2, 99)] == ["text", "", ""]
    assert [command.number(index, -1.0) for index in (2, 3, 4, 5, 6, 7, 99)] == [7.0, -1.0, -1.0, -1.0, -1.0, 3, -1.0]
