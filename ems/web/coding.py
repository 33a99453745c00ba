"""Compressed answers (RFC 9110 §8.4.1.3, gzip): playlists shrink to a fifth, scripts to a quarter."""

import gzip
from collections import OrderedDict

MIN_SIZE = 512
"""Bytes below which the header of gzip and the time cost more than is won."""

MAX_SIZE = 1 << 20
"""Bytes beyond which a file is sent as it is: one that is text and so long is a download, not a page."""

LEVEL = 6

REMEMBERED = 16 << 20
"""Bytes of texts and their compressed forms: playlists that many viewers fetch at once are compressed once."""


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Whether the header Accept-Encoding (RFC 9110 §12.5.3) takes gzip."""
    for one in (accept_encoding or "").lower().split(","):
        name, _, weight = one.partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def compress(data: bytes) -> bytes:
    """The bytes as gzip, always the same for the same."""
    return gzip.compress(data, LEVEL, mtime=0)


class Compressor:
    """Compresses small texts, and remembers what it made of the newest."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, bytes] = OrderedDict()
        self._size = 0

    def __call__(self, data: bytes) -> bytes:
        """The bytes as gzip."""
        known = self._known.get(data)
        if known is None:
            known = self._known[data] = compress(data)
            self._size += len(data) + len(known)
            while self._size > REMEMBERED:
                self._size -= sum(map(len, self._known.popitem(last=False)))
        return known
