"""Enhanced RTMP (Veovera, v1 2023, v2 2025): the tag header that names codecs by FourCC.

A video tag begins with bit 7 set, the frame type in bits 6–4 and the packet type in bits 3–0; an audio tag with sound format
9 and the packet type in the low 4 bits. Then come, by packet type, modifiers (ModEx), the multitrack head, the FourCC, and the
body. `parse` takes a tag apart into `Packet`s, one for each track in it; `header` writes the form for one track.
"""

from enum import IntEnum
from typing import NamedTuple

from ems.errors import MalformedData
from ems.media.track import Codec, Kind


class PacketType(IntEnum):
    """Packet types of video; audio shares those up to `SEQUENCE_END` and has its own meaning of 4 and 5."""

    SEQUENCE_START = 0
    CODED_FRAMES = 1
    SEQUENCE_END = 2
    CODED_FRAMES_X = 3
    METADATA = 4
    MPEG2TS_SEQUENCE_START = 5
    MULTITRACK = 6
    MODEX = 7


AUDIO_MULTITRACK = 5

ONE_TRACK = 0
MANY_TRACKS = 1
MANY_TRACKS_MANY_CODECS = 2

NANOSECOND_OFFSET = 0
"""The ModEx type that carries nanoseconds beyond the tag's millisecond."""

MAX_MODIFIERS = 8
"""ModEx heads before the packet type: one is defined, more are to come, and a tag made of nothing else is an attack."""

FOURCC: dict[Codec, bytes] = {
    Codec.H264: b"avc1",
    Codec.H265: b"hvc1",
    Codec.AV1: b"av01",
    Codec.VP8: b"vp08",
    Codec.VP9: b"vp09",
    Codec.AAC: b"mp4a",
    Codec.OPUS: b"Opus",
    Codec.FLAC: b"fLaC",
    Codec.MP3: b".mp3",
    Codec.AC3: b"ac-3",
    Codec.EAC3: b"ec-3",
}
CODEC: dict[bytes, Codec] = {fourcc: codec for codec, fourcc in FOURCC.items()}

VIDEO_CODECS = frozenset((Codec.H264, Codec.H265, Codec.AV1, Codec.VP8, Codec.VP9))
"""The codecs of video tags; the others are those of audio tags."""

COMPOSED = (b"avc1", b"hvc1", b"vvc1")
"""The FourCCs whose coded frames begin with a composition time offset (SI24, milliseconds)."""

AUDIO_TAG = 0x90
VIDEO_TAG = 0x80


class Packet(NamedTuple):
    """One track's part of a tag. `type` is a `PacketType`; `nanoseconds` go on top of the tag's time."""

    type: int
    fourcc: bytes
    track_id: int
    body: bytes
    nanoseconds: int = 0


def parse(kind: Kind, tag: bytes) -> list[Packet]:
    """The packets of an enhanced tag of this kind. Raises `MalformedData` when a size in it is not true."""
    packet_type = tag[0] & 15
    at = 1
    nanoseconds = 0
    for _ in range(MAX_MODIFIERS):
        if packet_type != PacketType.MODEX:
            break
        packet_type, more, at = _modifier(tag, at)
        nanoseconds += more
    multitrack = PacketType.MULTITRACK if kind is Kind.VIDEO else AUDIO_MULTITRACK
    if packet_type == multitrack:
        return _multitrack(tag, at, nanoseconds)
    return [Packet(packet_type, _take(tag, at, 4), 0, tag[at + 4 :], nanoseconds)]


def header(kind: Kind, frame_type: int, packet_type: int, fourcc: bytes, track_id: int) -> bytes:
    """What stands before a body: the plain form for track 0, the one-track form of multitrack for the others."""
    first = VIDEO_TAG | frame_type << 4 if kind is Kind.VIDEO else AUDIO_TAG
    if track_id == 0:
        return bytes((first | packet_type,)) + fourcc
    multitrack = PacketType.MULTITRACK if kind is Kind.VIDEO else AUDIO_MULTITRACK
    return bytes((first | multitrack, ONE_TRACK << 4 | packet_type)) + fourcc + bytes((track_id,))


def _modifier(tag: bytes, at: int) -> tuple[int, int, int]:
    """The next packet type, the nanoseconds this ModEx tells, and the offset behind it."""
    size = _take(tag, at, 1)[0] + 1
    at += 1
    if size == 256:
        size = int.from_bytes(_take(tag, at, 2), "big") + 1
        at += 2
    data = _take(tag, at, size)
    kinds = _take(tag, at + size, 1)[0]
    nanoseconds = int.from_bytes(data[:3], "big") if kinds >> 4 == NANOSECOND_OFFSET and size >= 3 else 0
    return kinds & 15, min(nanoseconds, 999_999), at + size + 1


def _multitrack(tag: bytes, at: int, nanoseconds: int) -> list[Packet]:
    head = _take(tag, at, 1)[0]
    form, packet_type = head >> 4, head & 15
    at += 1
    fourcc = b""
    if form != MANY_TRACKS_MANY_CODECS:
        fourcc = _take(tag, at, 4)
        at += 4
    if form == ONE_TRACK:
        return [Packet(packet_type, fourcc, _take(tag, at, 1)[0], tag[at + 1 :], nanoseconds)]
    if form not in (MANY_TRACKS, MANY_TRACKS_MANY_CODECS):
        raise MalformedData(f"multitrack type {form} is not known")
    packets = []
    while at < len(tag):
        if form == MANY_TRACKS_MANY_CODECS:
            fourcc = _take(tag, at, 4)
            at += 4
        track_id = _take(tag, at, 1)[0]
        size = int.from_bytes(_take(tag, at + 1, 3), "big")
        packets.append(Packet(packet_type, fourcc, track_id, _take(tag, at + 4, size), nanoseconds))
        at += 4 + size
    return packets


def _take(tag: bytes, at: int, size: int) -> bytes:
    piece = tag[at : at + size]
    if len(piece) != size:
        raise MalformedData(f"an enhanced tag of {len(tag)} bytes has {len(piece)} of {size} bytes at {at}")
    return piece
