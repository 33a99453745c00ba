"""FLV as bytes, for tests of those who read it (Adobe FLV 10.1 §E.2–E.4)."""

HEADER = b"FLV\1\5\0\0\0\x09\0\0\0\0"


def tag(kind: int, timestamp: int, body: bytes) -> bytes:
    """A tag with its size behind it."""
    time = timestamp & 0xFFFFFFFF
    head = bytes((kind,)) + len(body).to_bytes(3, "big") + (time & 0xFFFFFF).to_bytes(3, "big") + bytes((time >> 24, 0, 0, 0))
    return head + body + (len(head) + len(body)).to_bytes(4, "big")
