"""Reading a codec's headers bit by bit.

Parameter sets and configuration records are written most significant bit first: fixed-width fields, flags, and the
Exp-Golomb codes of ITU-T H.264 §9.1, whose length is told by their leading zeros. Inside a NAL unit the encoder also puts
an emulation prevention byte (0x03) behind every two zero bytes, so that no start code appears in the payload; `rbsp` takes
these out again before the bits are read.

A reader is bounded by its bytes: whoever asks for more than there is gets `MalformedData`, never an `IndexError`.
"""

from ems.errors import MalformedData

MAX_EXP_GOLOMB_BITS = 32
"""Leading zeros, at most 31, and the one behind them: the longest prefix of a value below 2**32 - 1 (H.264 §9.1)."""


def rbsp(nal: bytes) -> bytes:
    """The NAL unit `nal` (header included) without its emulation prevention bytes (H.264 §7.4.1, H.265 §7.4.2)."""
    return nal.replace(b"\0\0\3", b"\0\0")


class BitReader:
    """Reads `data` from its first bit on. Every method raises `MalformedData` when fewer bits are left than it needs."""

    __slots__ = ("_data", "_position", "_size")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self._size = len(data) * 8

    @property
    def bits_left(self) -> int:
        """How many bits have not been read."""
        return self._size - self._position

    @property
    def position(self) -> int:
        """How many bits have been read."""
        return self._position

    def u(self, bits: int) -> int:
        """The next `bits` bits (0 or more) as an unsigned number: `u(n)` of the standards."""
        value = self._peek(bits)
        self._position += bits
        return value

    def flag(self) -> bool:
        """The next bit."""
        return self.u(1) == 1

    def skip(self, bits: int) -> None:
        """Pass over `bits` bits."""
        if bits > self.bits_left:
            raise MalformedData(f"{bits} bits to skip where {self.bits_left} are left")
        self._position += bits

    def align(self) -> None:
        """Pass over the rest of a byte that has been begun."""
        self._position += -self._position % 8

    def ue(self) -> int:
        """An unsigned Exp-Golomb code, 0 to 2**32 - 2 (H.264 §9.1)."""
        width = min(MAX_EXP_GOLOMB_BITS, self.bits_left)
        zeros = width - self._peek(width).bit_length()
        if zeros == width:
            raise MalformedData("an Exp-Golomb code has no end")
        self._position += zeros
        return self.u(zeros + 1) - 1

    def se(self) -> int:
        """A signed Exp-Golomb code: 1, -1, 2, -2 … (H.264 §9.1.1)."""
        code = self.ue()
        return (code + 1) // 2 if code % 2 else -(code // 2)

    def _peek(self, bits: int) -> int:
        end = self._position + bits
        if end > self._size:
            raise MalformedData(f"{bits} bits wanted where {self.bits_left} are left")
        window = int.from_bytes(self._data[self._position >> 3 : (end + 7) >> 3], "big")
        return (window >> (-end % 8)) & ((1 << bits) - 1)
