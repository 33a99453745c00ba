"""The handshake: plain and digest clients, in any pieces."""

import hmac
import os

import pytest

from ems.errors import RemoteProtocolError
from ems.protocols.rtmp import handshake
from ems.protocols.rtmp.handshake import (
    CLIENT_KEY,
    DIGEST_SIZE,
    FULL_SERVER_KEY,
    PACKET_SIZE,
    SERVER_KEY,
    ClientHandshake,
    ServerHandshake,
    find_digest,
    signed_packet,
)


def shake(c1: bytes, *, validate: bool = False, step: int = 10_000) -> tuple[bytes, bytes]:
    """S1 and S2 as the server answers them to a client that sends in pieces of `step` bytes."""
    server = ServerHandshake(validate=validate)
    sent = b""
    hello = b"\3" + c1
    for at in range(0, len(hello), step):
        reply, rest = server.receive(hello[at : at + step])
        sent += reply
        assert rest == b""
    reply, rest = server.receive(sent[1 : PACKET_SIZE + 1] + b"behind")
    assert (reply, rest, server.done) == (b"", b"behind", True)
    assert sent[0] == 3
    assert len(sent) == 1 + 2 * PACKET_SIZE
    return sent[1 : PACKET_SIZE + 1], sent[PACKET_SIZE + 1 :]


@pytest.mark.parametrize("step", [1, 7, 1536, 1537])
def test_a_plain_client_gets_its_bytes_back(step: int) -> None:
    """A client of RTMP 1.0 finds its C1 in S2."""
    c1 = bytes(8) + os.urandom(PACKET_SIZE - 8)
    _, s2 = shake(c1, step=step)
    assert s2 == c1


@pytest.mark.parametrize("scheme", [0, 1])
@pytest.mark.parametrize("validate", [False, True])
def test_a_digest_client_can_verify_the_server(scheme: int, validate: bool) -> None:
    """A Flash client of either scheme finds a true digest in S1 and a true signature in S2."""
    c1 = signed_packet(bytes(4) + b"\x09\0\x7c\2" + os.urandom(PACKET_SIZE - 8), scheme, CLIENT_KEY)
    s1, s2 = shake(c1, validate=validate)
    found = find_digest(s1, SERVER_KEY)
    assert found is not None
    assert found[0] == scheme
    position = handshake.digest_position(c1, scheme)
    key = hmac.digest(FULL_SERVER_KEY, c1[position : position + DIGEST_SIZE], "sha256")
    assert s2[-DIGEST_SIZE:] == hmac.digest(key, s2[:-DIGEST_SIZE], "sha256")


def test_a_false_digest_is_refused_only_when_asked() -> None:
    """`validateHandshake` refuses a client whose digest is not true; without it the plain form serves."""
    c1 = bytes(4) + b"\x09\0\x7c\2" + os.urandom(PACKET_SIZE - 8)
    assert shake(c1)[1] == c1
    with pytest.raises(RemoteProtocolError, match="digest"):
        shake(c1, validate=True)


@pytest.mark.parametrize("version", [0, 6, 22, 71, 255])
def test_another_protocol_is_recognised_by_its_first_byte(version: int) -> None:
    """TLS, HTTP and encrypted RTMP on the plain port are refused at once."""
    with pytest.raises(RemoteProtocolError, match=f"RTMP version {version}"):
        ServerHandshake().receive(bytes((version,)))


def test_a_client_of_all_ones_is_served_plainly() -> None:
    """C1 full of 0xFF is no digest, and no reason to fail."""
    c1 = b"\xff" * PACKET_SIZE
    assert shake(c1)[1] == c1


@pytest.mark.parametrize("step", [1, 700, 10_000])
def test_our_client_and_our_server_verify_each_other(step: int) -> None:
    """As a client we send a digest that a strict server takes, and find the server's; what follows is kept."""
    client, server = ClientHandshake(), ServerHandshake(validate=True)
    reply, _ = server.receive(client.hello)
    sent, rest = b"", b""
    wire = reply + b"and more"
    for at in range(0, len(wire), step):
        more, behind = client.receive(wire[at : at + step]) if not client.done else (b"", wire[at : at + step])
        sent, rest = sent + more, rest + behind
    assert rest == b"and more"
    position = handshake.digest_position(reply[1:], 0) if find_digest(reply[1 : PACKET_SIZE + 1], SERVER_KEY) else 0
    key = hmac.digest(handshake.FULL_CLIENT_KEY, reply[1 + position : 1 + position + DIGEST_SIZE], "sha256")
    assert sent[-DIGEST_SIZE:] == hmac.digest(key, sent[:-DIGEST_SIZE], "sha256")
    assert server.receive(sent) == (b"", b"")
    assert server.done


def test_our_client_takes_a_plain_server() -> None:
    """A server without digests gets its S1 back."""
    s1 = bytes(PACKET_SIZE)
    client = ClientHandshake()
    assert client.receive(b"\3" + s1 + bytes(PACKET_SIZE)) == (s1, b"")


def test_our_client_refuses_what_is_no_rtmp_server() -> None:
    """A web server at the other end is recognised by its first byte."""
    with pytest.raises(RemoteProtocolError, match="version 72"):
        ClientHandshake().receive(b"HTTP/1.1 400 Bad Request")
