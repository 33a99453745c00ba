"""Hostile WebSocket clients: each costs its own connection and one log line, and nobody else notices."""

import os
import random
import time
from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogEvent

from ems.server import Server
from ems.testing import testing_server
from tests.service.websocket.raw import BINARY, CLOSE, CONTINUATION, PING, TEXT, RawClient, frame, request

PROTOCOL = "wsJsonMeta"


@pytest.fixture
def server(log_events: list[LogEvent]) -> Iterator[Server]:
    """A server with a bystander, who still gets his messages when the test is over; no traceback is logged."""
    made = testing_server(Clock())
    bystander = RawClient(made, PROTOCOL, "/bystander")
    yield made
    bystander.take()
    bystander.send(frame(TEXT, b"1"))
    assert len(bystander.texts()) == 1
    assert len(made.connections) == 1
    assert [event for event in log_events if "log_failure" in event] == []


def leave(server: Server, client: RawClient) -> None:
    """The client answers no close frame: the server cuts it off."""
    for _ in range(6):
        server.clock.advance(1)
    assert not client.connected


def ends(events: list[LogEvent]) -> int:
    """How many log lines tell of connections that have ended."""
    return len([event for event in events if "closed: {reason}" in (event.get("log_format") or "")])


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(TEXT, b"{}", mask=None), 1002),
        (frame(TEXT, b"{}", rsv=4), 1002),
        (frame(TEXT, b"{}", rsv=1), 1002),
        (frame(CONTINUATION, b"{}"), 1002),
        (frame(TEXT, b"{", final=False) + frame(TEXT, b"}"), 1002),
        (frame(3, b"{}"), 1002),
        (frame(11, b"{}"), 1002),
        (frame(PING, b"x", final=False), 1002),
        (frame(PING, bytes(126)), 1002),
        (frame(CLOSE, b"x"), 1002),
        (b"\x81\xfe\x00\x01" + bytes(5), 1002),
        (b"\x81\xff" + (1 << 63).to_bytes(8, "big") + bytes(100), 1002),
        (b"\x81\xff" + ((1 << 63) - 1).to_bytes(8, "big") + bytes(100), 1009),
        (b"\x81\xff" + (65537).to_bytes(8, "big") + bytes(100), 1009),
        (b"".join(frame(CONTINUATION if i else TEXT, bytes(60_000), final=False) for i in range(6)), 1009),
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT, b"\xc3"), 1007),
        (frame(TEXT, b"\xed\xa0\x80"), 1007),
        (frame(CLOSE, b"\x03\xe8\xff"), 1007),
        (frame(TEXT, b"[" * 60_000), 1007),
        (frame(TEXT, b'{"a":NaN}'), 1007),
    ],
)
def test_what_breaks_the_protocol(server: Server, log_events: list[LogEvent], sent: bytes, code: int) -> None:
    """The close frame says what was wrong, and the log says it once."""
    client = RawClient(server, PROTOCOL)
    client.send(sent)
    assert client.closed_with()[0] == code
    leave(server, client)
    assert ends(log_events) == 1


@pytest.mark.parametrize(
    "tiny",
    [
        frame(CONTINUATION, b"", final=False),
        frame(CONTINUATION, b"x", final=False),
        frame(PING),
    ],
)
def test_a_flood_of_tiny_frames(server: Server, log_events: list[LogEvent], tiny: bytes) -> None:
    """A hundred thousand frames end after the first thousand, in little time and memory."""
    client = RawClient(server, PROTOCOL)
    client.send(frame(TEXT, b"", final=False))
    flood = tiny * 100_000
    began = time.process_time()
    for start in range(0, len(flood), 1 << 16):
        client.send(flood[start : start + (1 << 16)])
    assert time.process_time() - began < 1
    assert client.closed_with() == (1008, "too many frames")
    assert not client.connected
    assert ends(log_events) == 1


def test_a_flood_of_messages(server: Server) -> None:
    """Metadata comes a thousand times a second at most."""
    client = RawClient(server, PROTOCOL)
    client.send(frame(TEXT, b"{}") * 2000)
    assert client.closed_with() == (1008, "too many frames")
    assert not client.connected


def test_more_bytes_than_one_client_may_have(server: Server) -> None:
    """Large texts, which are work for the server: 128 KiB a second for as long as one likes, and no byte more."""
    client = RawClient(server, PROTOCOL)
    text = frame(TEXT, b'"' + b"x" * ((64 << 10) - 2) + b'"')
    for _ in range(3):
        client.send(text, text)
        assert len(client.texts()) == 2
        server.clock.advance(1)
    client.send(text, text, frame(TEXT, b"1"))
    assert client.closed_with() == (1008, "more than 128 KiB of metadata a second")
    leave(server, client)


def test_many_messages_a_second_are_fine(server: Server) -> None:
    """Five hundred a second, for as long as one likes."""
    client = RawClient(server, PROTOCOL)
    for _ in range(5):
        client.send(*[frame(TEXT, b"{}")] * 500)
        assert len(client.texts()) == 500
        server.clock.advance(1)
    client.peer.hang_up()
    assert not client.connected


def test_a_megabyte_of_nesting(server: Server) -> None:
    """Too large for a frame: it ends before it has been read."""
    client = RawClient(server, PROTOCOL)
    client.send(frame(TEXT, b'{"a":' * 200_000))
    assert client.closed_with()[0] == 1009
    leave(server, client)


def test_a_flood_behind_our_close_frame(server: Server) -> None:
    """Who goes on and on after he has been closed is cut off at once."""
    client = RawClient(server, PROTOCOL)
    client.send(frame(TEXT, b"no JSON"))
    for _ in range(8):
        client.send(frame(BINARY, bytes(20_000)))
    assert not client.connected


def test_a_slow_handshake(server: Server) -> None:
    """A byte now and then does not hold a connection for longer than 5 s."""
    client = RawClient(server, PROTOCOL, None)
    for byte in request():
        client.send(bytes((byte,)))
        server.clock.advance(0.1)
        if not client.connected:
            break
    assert server.clock.seconds() < 7
    assert not client.connected


def test_an_endless_handshake(server: Server) -> None:
    """A request of more than 16 KiB is refused."""
    client = RawClient(server, PROTOCOL, None)
    for _ in range(100):
        client.send(b"X: " + b"x" * 1000 + b"\r\n")
    assert client.take().startswith(b"HTTP/1.1 431 ")
    assert not client.connected


@pytest.mark.parametrize("seed", range(20))
def test_noise(server: Server, seed: int) -> None:
    """Random bytes, before and after the handshake, and damaged frames end like any mistake."""
    chance = random.Random(seed)
    noise = RawClient(server, PROTOCOL, None)
    noise.send(os.urandom(2000) + b"\r\n\r\n")
    spoilt = RawClient(server, PROTOCOL)
    data = bytearray(frame(TEXT, b'{"a":1}') * 20)
    for _ in range(5):
        data[chance.randrange(len(data))] = chance.randrange(256)
    spoilt.send(bytes(data))
    for client in (noise, spoilt):
        client.peer.hang_up()
        assert not client.connected
