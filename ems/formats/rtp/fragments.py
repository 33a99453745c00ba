"""Two things that depacketisers need: where the pieces of a unit wait for each other, and pictures for a key frame."""

from ems.errors import MalformedData
from ems.formats.rtp.packet import SEQUENCE_RANGE, TIMESTAMP_RANGE
from ems.formats.rtp.payload import VIDEO_CLOCK
from ems.media.nal import MAX_ACCESS_UNIT

MAX_FRAGMENTS = SEQUENCE_RANGE // 2
"""Pieces of one unit: more could not be told from those before them by their sequence numbers."""

MAX_KEYFRAME_WAIT = 10 * VIDEO_CLOCK
"""Ticks that pictures wait for a key frame: no longer, as sources exist that refresh their pictures bit by bit and send none."""


class Fragments:
    """Collects the pieces of one unit of at most `limit` bytes. False while there are none; `size` is theirs in bytes."""

    __slots__ = ("_limit", "_pieces", "size")

    def __init__(self, limit: int = MAX_ACCESS_UNIT) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self.size = 0

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def add(self, piece: bytes) -> None:
        """Raises `MalformedData` when the unit gets too large, or too many pieces."""
        self.size += len(piece)
        self._pieces.append(piece)
        if self.size > self._limit or len(self._pieces) > MAX_FRAGMENTS:
            raise MalformedData(f"{len(self._pieces)} fragments of {self.size} bytes pass the limits of a unit")

    def take(self) -> bytes:
        """The unit, of which nothing is kept."""
        whole = b"".join(self._pieces)
        self.clear()
        return whole

    def clear(self) -> None:
        """Forget them."""
        self._pieces, self.size = [], 0


class KeyframeGate:
    """Lets pictures through from a key frame on; closed at first, and again after each loss."""

    __slots__ = ("_closed", "_since")

    def __init__(self) -> None:
        self._closed = True
        self._since: int | None = None

    def close(self) -> None:
        """Wait for the next key frame."""
        if not self._closed:
            self._closed, self._since = True, None

    def admits(self, timestamp: int, keyframe: bool) -> bool:
        """True when the picture of this time may be passed on: it is a key frame, or one has come, or none will ever come."""
        if keyframe or (self._closed and self._waited(timestamp)):
            self._closed = False
        return not self._closed

    def _waited(self, timestamp: int) -> bool:
        if self._since is None:
            self._since = timestamp
        return MAX_KEYFRAME_WAIT < (timestamp - self._since) % TIMESTAMP_RANGE < TIMESTAMP_RANGE // 2
