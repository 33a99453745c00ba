"""Writes headers bit by bit, so that tests can say what no encoder says."""

import re
from typing import Self


class BitWriter:
    """Collects `bits`, the most significant first; each method gives the writer back, so that calls read like a syntax table.

    `bytes()` of it is a NAL unit: the bits, a stop bit, and emulation prevention.
    """

    def __init__(self, bits: str = "") -> None:
        self.bits = bits

    def u(self, width: int, value: int) -> Self:
        """`value` in `width` bits."""
        self.bits += f"{value:0{width}b}" if width else ""
        return self

    def ue(self, *values: int) -> Self:
        """Unsigned Exp-Golomb codes."""
        for value in values:
            code = f"{value + 1:b}"
            self.bits += "0" * (len(code) - 1) + code
        return self

    def __bytes__(self) -> bytes:
        bits = self.bits + "1"
        bits += "0" * (-len(bits) % 8)
        payload = int(bits, 2).to_bytes(len(bits) // 8, "big")
        return re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", payload)
