"""Bytes of a connection to request lines, for the doors that a terminal may be at.

`LineSplitter` cuts at CR or LF and bounds the length of a line. `TelnetFilter` takes out what a telnet client says to the
other terminal rather than to us (RFC 854). Both give the same whatever way the bytes were cut on their way.
"""

import re

MAX_LINE = 16384
"""A command of this many bytes without a line end closes the connection."""

_LINE_END = re.compile(rb"[\r\n]+")


class LineTooLong(Exception):
    """The line reaches `MAX_LINE` bytes. `complete` are the lines before it."""

    def __init__(self, complete: list[bytes]) -> None:
        super().__init__(f"no line end in {MAX_LINE} bytes")
        self.complete = complete


class LineSplitter:
    """Cuts a byte stream into lines. Line ends and empty lines are left out."""

    def __init__(self) -> None:
        self._begun = b""

    def receive(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes. Raises `LineTooLong`, after which nothing more may be given to it."""
        *lines, self._begun = _LINE_END.split(self._begun + data)
        for index, line in enumerate([*lines, self._begun]):
            if len(line) >= MAX_LINE:
                self._begun = b""
                raise LineTooLong([line for line in lines[:index] if line])
        return [line for line in lines if line]


IAC = 0xFF
SE = 0xF0
SB = 0xFA
WILL, DONT = 0xFB, 0xFE


class TelnetFilter:
    """Takes telnet commands and NUL out of what a terminal sends (RFC 854, RFC 855).

    We offer and ask for no options. Offers are not refused either: a client that hears nothing stays with the defaults,
    which suit us, and whoever sends a million of them gets nothing back.
    """

    def __init__(self) -> None:
        self._pending = b""
        self._subnegotiation = False

    def receive(self, data: bytes) -> bytes:
        """The bytes that are meant for us."""
        data, self._pending = self._pending + data, b""
        kept, position = [], 0
        while (found := data.find(IAC, position)) >= 0:
            if not self._subnegotiation:
                kept.append(data[position:found])
            size = self._command_size(data[found : found + 3])
            if not size:
                self._pending = data[found:]
                return b"".join(kept).replace(b"\0", b"")
            if data[found + 1] == IAC and not self._subnegotiation:
                kept.append(b"\xff")
            position = found + size
        if not self._subnegotiation:
            kept.append(data[position:])
        return b"".join(kept).replace(b"\0", b"")

    def _command_size(self, command: bytes) -> int:
        """How long the command at the beginning of these up to three bytes is; 0 when more is needed to tell."""
        if len(command) < 2:
            return 0
        code = command[1]
        if self._subnegotiation:
            self._subnegotiation = code != SE
            return 2
        if code == SB:
            self._subnegotiation = True
            return 2
        if WILL <= code <= DONT:
            return 3 if len(command) == 3 else 0
        return 2
