"""A WebSocket client made of bytes, so that it can also say what no honest client would say."""

import base64
import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from twisted.internet.task import Clock

from ems.server import Server
from ems.testing import MemoryPeer

KEY = base64.b64encode(b"0123456789abcdef").decode()
ACCEPT = base64.b64encode(hashlib.sha1(f"{KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

HEADERS = {
    "Host": "example.org:8210",
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}


def request(path: str = "/", changes: Mapping[str, str] | None = None) -> bytes:
    """The request of a handshake; a change to an empty text leaves the header out."""
    headers = {**HEADERS, **(changes or {})}
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items() if value)]
    return "\r\n".join((*lines, "", "")).encode()


def frame(opcode: int, payload: bytes = b"", *, final: bool = True, rsv: int = 0, mask: bytes | None = b"\1\2\3\4") -> bytes:
    """A frame as a client sends it."""
    first = (0x80 if final else 0) | rsv << 4 | opcode
    masked = 0x80 if mask is not None else 0
    size = len(payload)
    if size < 126:
        head = bytes((first, masked | size))
    elif size < 1 << 16:
        head = bytes((first, masked | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, masked | 127)) + size.to_bytes(8, "big")
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def close_frame(code: int, reason: str = "") -> bytes:
    """A close frame as a client sends it."""
    return frame(CLOSE, code.to_bytes(2, "big") + reason.encode())


class Received(NamedTuple):
    """A frame of the server."""

    opcode: int
    payload: bytes


def read_frames(data: bytes) -> list[Received]:
    """The frames of a server: final, unmasked, whole."""
    frames = []
    at = 0
    while at < len(data):
        assert data[at] & 0xF0 == 0x80, "each message is one frame without extensions"
        length, head = data[at + 1], 2
        assert length < 128, "servers do not mask"
        if length >= 126:
            head = 4 if length == 126 else 10
            length = int.from_bytes(data[at + 2 : at + head], "big")
        assert at + head + length <= len(data), "half a frame"
        frames.append(Received(data[at] & 0x0F, data[at + head : at + head + length]))
        at += head + length
    return frames


class RawClient:
    """A client in memory; with a `path` it has shaken hands."""

    def __init__(self, server: Server, protocol: str, path: str | None = "/") -> None:
        self._clock: Clock = server.clock
        self.peer = MemoryPeer(server, protocol)
        self.answer = ""
        if path is not None:
            self.send(request(path))
            self.answer = self.take().decode("ascii")
            assert self.answer.startswith("HTTP/1.1 101 "), self.answer

    @property
    def connected(self) -> bool:
        """False when the server has closed the connection."""
        self._clock.advance(0)
        return self.peer.connected

    def send(self, *pieces: bytes) -> None:
        """Send bytes, each piece as one packet."""
        for piece in pieces:
            self.peer.send(piece)

    def take(self) -> bytes:
        """What has been received since the last time."""
        taken = bytes(self.peer.received)
        self.peer.received.clear()
        return taken

    def frames(self) -> list[Received]:
        """The frames received since the last time."""
        return read_frames(self.take())

    def texts(self) -> list[str]:
        """The text messages received since the last time."""
        return [payload.decode() for opcode, payload in self.frames() if opcode == TEXT]

    def closed_with(self) -> tuple[int, str]:
        """The code and the reason of the close frame, which is the last one."""
        opcode, payload = self.frames()[-1]
        assert opcode == CLOSE
        return int.from_bytes(payload[:2], "big"), payload[2:].decode()
