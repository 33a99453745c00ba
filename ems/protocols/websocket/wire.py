"""Frames of RFC 6455 §5.2 as a server sends them: never masked, and each a whole message.

::

    FIN RSV opcode    MASK length             extended length        payload
    1   000 4 bits    0    7 bits             16 or 64 bits          `length` bytes

A length below 126 is in its 7 bits; 126 there says that 16 bits follow, and 127 that 64 do. Whoever has one message for many
connections puts the header before it once, and sends the same bytes to all.
"""

from enum import IntEnum

_FINAL = 0x80

_MAX_SHORT, _MAX_16_BITS = 125, 0xFFFF


class Opcode(IntEnum):
    """What a frame is (§5.2). A message in several frames goes on with `CONTINUATION`."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(IntEnum):
    """Why a connection ends (§7.4.1)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    INVALID_PAYLOAD = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    TRY_AGAIN_LATER = 1013


def frame_header(opcode: int, length: int) -> bytes:
    """The header of a whole message of `length` bytes: 2, 4 or 10 bytes."""
    first = _FINAL | opcode
    if length <= _MAX_SHORT:
        return bytes((first, length))
    if length <= _MAX_16_BITS:
        return bytes((first, 126)) + length.to_bytes(2, "big")
    return bytes((first, 127)) + length.to_bytes(8, "big")


def text_frame(text: str) -> bytes:
    """A text message, header and all. Half a surrogate pair, which UTF-8 cannot hold, becomes ``?``."""
    payload = text.encode("utf-8", "replace")
    return frame_header(Opcode.TEXT, len(payload)) + payload
