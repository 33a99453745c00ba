"""The progressive form of fragmented MP4 that players of EMS know: a fragment in blocks, its samples before its ``moof``.

::

    type:8 | length:24 | payload            numbers are big-endian

    HEADER                              once, and again when the tracks change
    BEGIN  VIDEO… AUDIO…  MOOF  MDAT  END     for each fragment

A player gathers the samples and puts them behind ``moof`` and ``mdat`` header when END comes: video first, then audio, as the
``moof`` has it. METADATA, a JSON text, may stand between any two fragments. Over WebSocket each block is a message, over a
WebRTC data channel they follow each other in a stream of bytes.
"""

import json
from collections.abc import Sequence
from enum import IntEnum
from struct import Struct
from typing import Any

from ems.errors import LocalProtocolError
from ems.formats.fmp4.fragment import Run
from ems.media.track import Codec, Kind, Track

MAX_PAYLOAD = 0xFFFFFF
"""What 24 bits can say, twice the largest access unit that the server takes."""

_HEADER = Struct(">I")
_MDAT_HEADER_SIZE = 8
_CAPABILITIES, _HAS_VIDEO, _HAS_AUDIO = 0xF0, 1, 2


class BlockType(IntEnum):
    """What a block is."""

    METADATA = 0xEE
    BEGIN = 0xF9
    HEADER = 0xFA
    MOOF = 0xFB
    VIDEO = 0xFC
    AUDIO = 0xFD
    MDAT = 0xFE
    END = 0xFF


def block(block_type: int, payload: bytes = b"") -> bytes:
    """A block. Raises `LocalProtocolError` for a payload of more than `MAX_PAYLOAD` bytes."""
    size = len(payload)
    if size > MAX_PAYLOAD:
        raise LocalProtocolError(f"a block of {size} bytes")
    return _HEADER.pack(block_type << 24 | size) + payload


def header_block(tracks: Sequence[Track], initialisation: bytes) -> bytes:
    """The block of the initialisation segment. Before it one byte tells whether there is video (1) and audio (2), and three
    bytes profile, compatibility and level of H.264, from which players make the codecs string."""
    capabilities, profile = _CAPABILITIES, bytes(3)
    for track in tracks:
        capabilities |= _HAS_VIDEO if track.kind is Kind.VIDEO else _HAS_AUDIO
        if track.codec is Codec.H264:
            profile = track.config[1:4]
    return block(BlockType.HEADER, bytes((capabilities,)) + profile + initialisation)


def fragment_blocks(head: bytes, runs: Sequence[Run]) -> list[bytes]:
    """The blocks of a fragment; `head` is that of `FragmentWriter.head` for these runs."""
    blocks = [BEGIN]
    for run in runs:
        block_type = BlockType.VIDEO if run.track.kind is Kind.VIDEO else BlockType.AUDIO
        blocks += [block(block_type, frame.data) for frame in run.frames]
    blocks.append(block(BlockType.MOOF, head[:-_MDAT_HEADER_SIZE]))
    blocks.append(block(BlockType.MDAT, head[-_MDAT_HEADER_SIZE:]))
    blocks.append(END)
    return blocks


def metadata_block(timestamp: int, data: Any) -> bytes:
    """A JSON value with its time, in milliseconds of the stream or as the receiver expects it."""
    return block(BlockType.METADATA, json.dumps({"timestamp": timestamp, "data": data}).encode())


BEGIN = block(BlockType.BEGIN)
END = block(BlockType.END)
