"""Where one JSON object ends and the next begins, in a stream of bytes that says nothing else of it.

An object ends with the brace that closes its first one; braces inside strings do not count (RFC 8259 §7). Bytes between
objects, such as line ends, are passed over, and an object that is not complete when the connection ends is forgotten.
"""

import re

from ems.errors import RemoteProtocolError

_OUTSIDE_STRING = re.compile(rb'[{}"]')
_INSIDE_STRING = re.compile(rb'["\\]')


class ObjectSplitter:
    """Finds the objects in bytes that come in pieces, wherever they are cut; each byte is looked at once."""

    MAX_OBJECT = 64 << 10
    """Bytes of one object: what metadata may have."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._looked_at = 0
        self._depth = 0
        self._in_string = False

    def receive(self, data: bytes) -> list[bytes]:
        """The objects that are complete with these bytes. Raises `RemoteProtocolError` for one that is too large."""
        objects: list[bytes] = []
        buffer = self._buffer
        buffer += data
        start = 0
        at = self._looked_at
        while True:
            if not self._depth:
                start = buffer.find(b"{", at)
                if start < 0:
                    start = at = len(buffer)
                    break
                at = start + 1
                self._depth = 1
            at = self._to_end(at)
            if at - start > self.MAX_OBJECT:
                raise RemoteProtocolError(f"an object of more than {self.MAX_OBJECT >> 10} KiB")
            if self._depth:
                break
            objects.append(bytes(buffer[start:at]))
        del buffer[:start]
        self._looked_at = at - start
        return objects

    def _to_end(self, at: int) -> int:
        """Where the object ends that `at` is inside of, or how far its end has been looked for."""
        buffer = self._buffer
        while self._depth:
            found = (_INSIDE_STRING if self._in_string else _OUTSIDE_STRING).search(buffer, at)
            if found is None:
                return len(buffer)
            at = found.end()
            match found.group():
                case b'"':
                    self._in_string = not self._in_string
                case b"{":
                    self._depth += 1
                case b"}":
                    self._depth -= 1
                case _:
                    # A backslash takes the next byte with it, which may not be here yet.
                    if at == len(buffer):
                        return at - 1
                    at += 1
        return at
