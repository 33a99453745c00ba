"""RTMP messages to what the model knows, and stream names as clients write them: pure functions."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from ems.errors import MalformedData
from ems.formats import amf0, flv
from ems.formats.enhanced import CODEC, FOURCC
from ems.media.track import Codec, Kind, Track
from ems.protocols.rtmp.chunks import TIMESTAMP_MASK, Message
from ems.protocols.rtmp.wire import MessageType

SET_DATA_FRAME = amf0.encode("@setDataFrame")
CLEAR_DATA_FRAME = amf0.encode("@clearDataFrame")
ON_METADATA = amf0.encode("onMetaData")

MAX_AGGREGATED = 4096
"""Messages in one aggregate message: minutes of audio; more is an attack."""

MAX_METADATA = 64 << 10
"""Bytes of an onMetaData that is read; of larger ones players get what the server knows itself."""

MULTITRACK_CAPABILITY = 2
"""The bit of `capsEx` by which a client says that it reads tags of several tracks (Enhanced RTMP v2)."""


def aggregated(message: Message) -> Iterator[Message]:
    """The messages in an aggregate one (Adobe RTMP 1.0 §7.1.6): FLV tags, their times moved to the aggregate's own.

    Raises `MalformedData` when a size in it is not true, or when aggregates are nested.
    """
    payload = message.payload
    at = 0
    offset: int | None = None
    for _ in range(MAX_AGGREGATED):
        if at >= len(payload):
            return
        size = int.from_bytes(payload[at + 1 : at + 4], "big")
        time = int.from_bytes(payload[at + 4 : at + 7], "big") | payload[at + 7] << 24 if at + 11 <= len(payload) else 0
        if at + 11 + size > len(payload):
            raise MalformedData(f"an aggregate message of {len(payload)} bytes names {size} bytes at {at}")
        if payload[at] == MessageType.AGGREGATE:
            raise MalformedData("an aggregate message inside another")
        if offset is None:
            offset = message.timestamp - time
        yield Message(payload[at], message.stream_id, (time + offset) & TIMESTAMP_MASK, payload[at + 11 : at + 11 + size])
        at += 11 + size + 4
    raise MalformedData(f"more than {MAX_AGGREGATED} messages in an aggregate one")


def data_message(message: Message) -> bytes:
    """A data message as players get it: AMF0, without the byte of AMF3 messages and without ``@setDataFrame``."""
    body = message.payload[1:] if message.type_id == MessageType.DATA_AMF3 else message.payload
    return body.removeprefix(SET_DATA_FRAME)


def read_metadata(body: bytes) -> dict[str, Any] | None:
    """The map in an ``onMetaData`` message, None for any other message."""
    if not body.startswith(ON_METADATA) or len(body) > MAX_METADATA:
        return None
    values = amf0.decode_prefix(body)
    return dict(values[1]) if len(values) > 1 and isinstance(values[1], dict) else {}


def fourccs_of(connect: dict[str, Any]) -> frozenset[bytes]:
    """The FourCCs, among those we know, that a client announces in its connect object (Enhanced RTMP v1 and v2)."""
    announced: list[Any] = []
    fourcc_list = connect.get("fourCcList")
    if isinstance(fourcc_list, list):
        announced += fourcc_list
    for key in ("videoFourCcInfoMap", "audioFourCcInfoMap"):
        masks = connect.get(key)
        if isinstance(masks, dict):
            announced += [name for name, mask in masks.items() if isinstance(mask, float) and _decodes(mask)]
    if "*" in announced:
        return _shared(frozenset(CODEC))
    return _shared(frozenset(fourcc for fourcc in CODEC if fourcc.decode() in announced))


@lru_cache(256)
def _shared(fourccs: frozenset[bytes]) -> frozenset[bytes]:
    """The same object for equal sets: thousands of players announce the same few."""
    return fourccs


def _decodes(mask: float) -> bool:
    """True when a capability mask has the bit for decoding (1) or forwarding (4)."""
    return 0 <= mask < 256 and bool(int(mask) & 5)


def reads_multitrack(connect: dict[str, Any]) -> bool:
    """True when a client announces that it reads tags of several tracks."""
    capabilities = connect.get("capsEx")
    return isinstance(capabilities, float) and 0 <= capabilities < 256 and bool(int(capabilities) & MULTITRACK_CAPABILITY)


def playable(tracks: tuple[Track, ...], kinds: frozenset[Kind], fourccs: frozenset[bytes], multitrack: bool) -> tuple[Track, ...]:
    """The tracks that a client can take: of the kinds it wants, of codecs it knows, and one of a kind without multitrack."""
    chosen: list[Track] = []
    for track in tracks:
        needed = flv.fourcc_needed(track) if track.kind is not Kind.DATA else None
        known = needed is None or needed in fourccs
        first = all(other.kind is not track.kind for other in chosen)
        # Only codecs with a FourCC can be any but the default track.
        placed = first or (multitrack and track.codec in FOURCC)
        if track.codec is Codec.AMF0 or (track.kind in kinds and known and placed):
            chosen.append(track)
    return tuple(chosen)


def left_out(tracks: tuple[Track, ...], chosen: tuple[Track, ...], kinds: frozenset[Kind], fourccs: frozenset[bytes]) -> str:
    """Why a client, for which `playable` has chosen, does not get the other tracks, in words; empty when it gets all."""
    reasons = []
    for track in tracks:
        if track.kind is Kind.DATA or track in chosen:
            continue
        needed = flv.fourcc_needed(track)
        if track.kind not in kinds:
            why = "the client has switched it off"
        elif needed is not None and needed not in fourccs:
            why = f"the client does not announce {needed.decode()}"
        else:
            why = "the client reads one track of a kind"
        reasons.append(f"{track.kind.value} track {track.id} ({track.codec.value}): {why}")
    return "; ".join(reasons)


def split_application(app: str) -> tuple[str, str]:
    """The application's name, and what of a longer path belongs to the stream's name.

    Clients cut an address like ``rtmp://host/live/room/cam`` at different slashes; ``live/room`` + ``cam`` and ``live`` +
    ``room/cam`` are the same stream. Query, trailing slash and Flash's ``_definst_`` are left out.
    """
    path = app.partition("?")[0].strip("/")
    name, _, rest = path.partition("/")
    prefix = "/".join(part for part in rest.split("/") if part and part != "_definst_")
    return name, f"{prefix}/" if prefix else ""


def published_name(name: str) -> str:
    """The name a publisher means: without its query."""
    return name.partition("?")[0]


def played_name(name: str) -> str:
    """The live stream a player means by one of the forms ``name``, ``flv:name``, and ``prefix;*name``."""
    name = name.rpartition(";*")[2]
    return name[4:] if name[:4].lower() == "flv:" else name
