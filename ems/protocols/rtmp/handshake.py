"""The RTMP handshake, both sides: plain (Adobe RTMP 1.0 §5.2) and with digests, as Flash Player 9 and later do it.

Client and server exchange C0 S0 (one byte: the version, 3), C1 S1 and C2 S2 (1536 bytes each). In the plain form S2 echoes
C1. In the digest form, which a client announces by a version number in bytes 4–7 of C1, C1 and S1 each hide an HMAC-SHA256
digest over the rest of themselves, at a place that four of their bytes tell; two schemes differ in which four. S2 then ends
in a digest of its first 1504 bytes, keyed with C1's digest.
"""

import hmac
import os
from typing import Protocol

from ems.errors import RemoteProtocolError

PACKET_SIZE = 1536
VERSION = 3

DIGEST_SIZE = 32

_SECRET = bytes.fromhex("f0eec24a8068bee82e00d0d1029e7e576eec5d2d29806fab93b8e636cfeb31ae")
CLIENT_KEY = b"Genuine Adobe Flash Player 001"
SERVER_KEY = b"Genuine Adobe Flash Media Server 001"
FULL_CLIENT_KEY = CLIENT_KEY + _SECRET
FULL_SERVER_KEY = SERVER_KEY + _SECRET

SERVER_VERSION = bytes((3, 5, 1, 1))
"""The version in S1's bytes 4–7: any non-zero one tells the client that we do digests."""

CLIENT_VERSION = bytes((9, 0, 124, 2))
"""The version in C1's bytes 4–7: that of a Flash Player which does digests."""

SCHEMES = (8, 772)
"""Where the four bytes that place the digest stand, by scheme; the digest is behind them."""


def digest_position(packet: bytes, scheme: int) -> int:
    """Where the digest of a C1 or S1 packet begins in this scheme (0 or 1)."""
    pointer = SCHEMES[scheme]
    return sum(packet[pointer : pointer + 4]) % 728 + pointer + 4


def packet_digest(packet: bytes, position: int, key: bytes) -> bytes:
    """The digest of a C1 or S1 packet without the place of the digest itself."""
    return hmac.digest(key, packet[:position] + packet[position + DIGEST_SIZE :], "sha256")


def find_digest(packet: bytes, key: bytes) -> tuple[int, bytes] | None:
    """The scheme and the digest of a packet that carries a true one, None for any other packet."""
    for scheme in range(len(SCHEMES)):
        position = digest_position(packet, scheme)
        digest = packet[position : position + DIGEST_SIZE]
        if hmac.compare_digest(digest, packet_digest(packet, position, key)):
            return scheme, digest
    return None


def signed_packet(packet: bytes, scheme: int, key: bytes) -> bytes:
    """The packet with its digest put in."""
    position = digest_position(packet, scheme)
    return packet[:position] + packet_digest(packet, position, key) + packet[position + DIGEST_SIZE :]


def response(peer_digest: bytes, key: bytes) -> bytes:
    """S2 (or C2) of the digest form: random bytes, and their digest keyed with the peer's."""
    noise = os.urandom(PACKET_SIZE - DIGEST_SIZE)
    return noise + hmac.digest(hmac.digest(key, peer_digest, "sha256"), noise, "sha256")


class Handshake(Protocol):
    """One side of a handshake: it says `hello`, takes bytes until it is `done`, and is forgotten then."""

    @property
    def hello(self) -> bytes:
        """What is sent before anything is received; empty for the side that waits."""

    @property
    def done(self) -> bool:
        """True when the peer has done its part."""

    def receive(self, data: bytes) -> tuple[bytes, bytes]:
        """What to send, and, once `done`, the bytes behind the handshake. Raises `RemoteProtocolError`."""


class ServerHandshake:
    """Answers C0, C1 and C2; sans-io.

    With `validate`, a client that announces digests and has none that is true is refused. C2's content is not looked at: no
    client in the field depends on it, and some send nonsense.
    """

    hello = b""

    __slots__ = ("_buffer", "_replied", "_validate", "done")

    def __init__(self, *, validate: bool = False) -> None:
        self._buffer = b""
        self._replied = False
        self._validate = validate
        self.done = False

    def receive(self, data: bytes) -> tuple[bytes, bytes]:
        """What to send, and, once `done`, the bytes behind the handshake. Raises `RemoteProtocolError`."""
        self._buffer += data
        reply = b""
        if self._buffer and self._buffer[0] != VERSION and not self._replied:
            raise RemoteProtocolError(f"RTMP version {self._buffer[0]} instead of {VERSION}")
        if not self._replied and len(self._buffer) > PACKET_SIZE:
            reply = bytes((VERSION,)) + self._answer(self._buffer[1 : PACKET_SIZE + 1])
            self._buffer = self._buffer[PACKET_SIZE + 1 :]
            self._replied = True
        if not self._replied or len(self._buffer) < PACKET_SIZE:
            return reply, b""
        rest, self._buffer = self._buffer[PACKET_SIZE:], b""
        self.done = True
        return reply, rest

    def _answer(self, c1: bytes) -> bytes:
        if c1[4:8] != bytes(4):
            found = find_digest(c1, CLIENT_KEY)
            if found is not None:
                scheme, digest = found
                s1 = bytes(4) + SERVER_VERSION + os.urandom(PACKET_SIZE - 8)
                return signed_packet(s1, scheme, SERVER_KEY) + response(digest, FULL_SERVER_KEY)
            if self._validate:
                raise RemoteProtocolError("the handshake's digest is not true")
        return bytes(8) + os.urandom(PACKET_SIZE - 8) + c1


class ClientHandshake:
    """Sends C0 and C1 with a digest of scheme 0, and answers S1 with a digest when the server has one, else plainly."""

    __slots__ = ("_buffer", "done", "hello")

    def __init__(self) -> None:
        c1 = bytes(4) + CLIENT_VERSION + os.urandom(PACKET_SIZE - 8)
        self.hello = bytes((VERSION,)) + signed_packet(c1, 0, CLIENT_KEY)
        self._buffer = b""
        self.done = False

    def receive(self, data: bytes) -> tuple[bytes, bytes]:
        """C2, when S0, S1 and S2 are all there, and the bytes behind them. Raises `RemoteProtocolError`."""
        self._buffer += data
        if self._buffer and self._buffer[0] != VERSION:
            raise RemoteProtocolError(f"RTMP version {self._buffer[0]} instead of {VERSION}")
        if len(self._buffer) <= 2 * PACKET_SIZE:
            return b"", b""
        s1, rest = self._buffer[1 : PACKET_SIZE + 1], self._buffer[2 * PACKET_SIZE + 1 :]
        self._buffer = b""
        self.done = True
        found = find_digest(s1, SERVER_KEY)
        return (s1 if found is None else response(found[1], FULL_CLIENT_KEY)), rest
