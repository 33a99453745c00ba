"""Players of fragmented MP4 for tests: RFC 6455 from the client's side, in memory and on a real socket.

Nothing here knows how the server does it: frames are taken apart, and boxes are walked, as a browser would.
"""

import base64
import hashlib
import socket
import ssl
import time
from collections.abc import Iterator
from typing import NamedTuple

from ems.config import AcceptorConfig
from ems.server import Server
from ems.testing import MemoryPeer

KEY = base64.b64encode(b"a key of 16 byte").decode()
ACCEPT = base64.b64encode(hashlib.sha1(KEY.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Message(NamedTuple):
    """One message or control frame of the server."""

    opcode: int
    payload: bytes

    @property
    def close_code(self) -> int:
        """The code of a close frame."""
        return int.from_bytes(self.payload[:2], "big")


def request(path: str) -> bytes:
    """The opening handshake for a path."""
    fields = ("Host: test", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13")
    return "\r\n".join((f"GET {path} HTTP/1.1", *fields, "", "")).encode()


def masked(opcode: int, payload: bytes) -> bytes:
    """A client's frame of less than 126 bytes."""
    mask = b"\1\2\3\4"
    return bytes((0x80 | opcode, 0x80 | len(payload))) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


class Frames:
    """Takes a server's bytes apart. `status` is that of the answer to the handshake, 0 until it is there."""

    def __init__(self) -> None:
        self.status = 0
        self._data = b""

    def receive(self, data: bytes) -> Iterator[Message]:
        """The messages that are complete now; AssertionError for what a server must not send."""
        self._data += data
        if not self.status:
            head, end, rest = self._data.partition(b"\r\n\r\n")
            if not end:
                return
            self.status = int(head.split()[1])
            assert self.status != 101 or ACCEPT in head
            self._data = rest
        while len(self._data) >= 2:
            first, length = self._data[:2]
            assert first & 0xF0 == 0x80, "a message in several frames"
            assert length < 128, "a masked frame"
            start = {126: 4, 127: 10}.get(length, 2)
            if start > 2:
                length = int.from_bytes(self._data[2:start], "big")
            if len(self._data) < start + length:
                return
            yield Message(first & 15, self._data[start : start + length])
            self._data = self._data[start + length :]


class MemoryPlayer:
    """A player that is connected to a `testing_server` and has asked for `path`."""

    def __init__(self, server: Server, path: str, protocol: str = "inboundWSFMP4", config: AcceptorConfig | None = None) -> None:
        self.messages: list[Message] = []
        self._frames = Frames()
        self.peer = MemoryPeer(server, protocol, config, on_data=self._receive)
        self.peer.send(request(path))

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return self._frames.status

    @property
    def pieces(self) -> list[bytes]:
        """The binary messages."""
        return [message.payload for message in self.messages if message.opcode == BINARY]

    @property
    def kinds(self) -> list[str]:
        """The type of the first box of each binary message."""
        return [piece[4:8].decode() for piece in self.pieces]

    @property
    def closing(self) -> Message | None:
        """The server's close frame."""
        return next((message for message in self.messages if message.opcode == CLOSE), None)

    def say(self, text: str) -> None:
        """Send a text message."""
        self.peer.send(masked(TEXT, text.encode()))

    def _receive(self, data: bytes) -> None:
        self.messages.extend(self._frames.receive(data))


def play(port: int, path: str, seconds: float, *, context: ssl.SSLContext | None = None) -> list[Message]:
    """All messages that a server on this machine sends within some seconds of the first picture; blocks."""
    with socket.create_connection(("127.0.0.1", port), timeout=15) as plain:
        connected = context.wrap_socket(plain, server_hostname="localhost") if context else plain
        connected.sendall(request(path))
        frames, messages, end = Frames(), list[Message](), 0.0
        while not end or time.monotonic() < end:
            data = connected.recv(1 << 16)
            if not data:
                break
            for message in frames.receive(data):
                messages.append(message)
                if message.opcode == PING:
                    connected.sendall(masked(PONG, message.payload))
            if not end and sum(message.opcode == BINARY for message in messages) > 1:
                end = time.monotonic() + seconds
        assert frames.status == 101
        return messages
