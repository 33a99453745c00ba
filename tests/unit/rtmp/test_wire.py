"""One end of a connection without its socket: handshake, messages, and what the protocol asks for by itself."""

import random
import time

import pytest

from ems.protocols.rtmp.chunks import ChunkReader, Message, chunked
from ems.protocols.rtmp.handshake import PACKET_SIZE, ServerHandshake
from ems.protocols.rtmp.wire import OUT_CHUNK_SIZE, UserControl, Wire

HELLO = b"\3" + bytes(PACKET_SIZE)
PING = Message(4, 0, 0, b"\0\6\0\0\0\x2a")
CALL = Message(20, 0, 0, b"\2\0\4call" + bytes(500))
PICTURE = Message(9, 1, 40, bytes(range(256)) * 20)


def shaken() -> Wire:
    """A wire whose handshake is over."""
    wire = Wire(ServerHandshake())
    wire.receive(HELLO + bytes(PACKET_SIZE))
    wire.take_output()
    return wire


def sent(wire: Wire) -> list[Message]:
    """The messages in the output."""
    return ChunkReader().receive(wire.take_output())


@pytest.mark.parametrize("seed", range(50))
def test_the_same_bytes_in_any_pieces_are_the_same_messages(seed: int) -> None:
    """Handshake and messages come out the same, wherever the network cuts."""
    chance = random.Random(seed)
    session = HELLO + bytes(PACKET_SIZE) + b"".join(chunked(3, message, 128) for message in (CALL, PING, PICTURE, CALL))
    wire = Wire(ServerHandshake())
    messages: list[Message] = []
    output = b""
    while session:
        size = chance.choice((1, 10, 1000, 5000))
        messages += wire.receive(session[:size])
        output += wire.take_output()
        session = session[size:]
    assert messages == [CALL, PICTURE, CALL]
    assert output[2 * PACKET_SIZE + 1 :] == chunked(2, Message(4, 0, 0, b"\0\7\0\0\0\x2a"), 128)


def test_received_bytes_are_acknowledged() -> None:
    """After 128 KiB without a window, then once for each window that the peer sets, with the sum of all bytes."""
    wire = shaken()
    for _ in range(26):
        wire.receive(chunked(6, PICTURE, 128))
    (acknowledgement,) = sent(wire)
    assert acknowledgement.type_id == 3
    assert 131_072 <= int.from_bytes(acknowledgement.payload, "big") <= wire.received
    wire.receive(chunked(2, Message(5, 0, 0, (5000).to_bytes(4, "big")), 128))
    for _ in range(10):
        wire.receive(chunked(6, PICTURE, 128))
    assert len(sent(wire)) == 10


@pytest.mark.parametrize("payload", [b"", b"\0\0\0\0", b"\0\0\0"])
def test_a_window_of_nothing_is_no_window(payload: bytes) -> None:
    """A window of 0 bytes, or one that is cut off, changes nothing."""
    wire = shaken()
    wire.receive(chunked(2, Message(5, 0, 0, payload), 128))
    wire.receive(chunked(6, PICTURE, 128))
    assert sent(wire) == []


def test_output_is_cut_as_announced() -> None:
    """Before Set Chunk Size in chunks of 128 bytes, behind it in large ones; a reader that follows gets everything."""
    wire = shaken()
    wire.send(3, CALL)
    wire.set_chunk_size()
    wire.send(6, PICTURE)
    wire.user_control(UserControl.STREAM_BEGIN, 1)
    assert sent(wire) == [
        CALL,
        Message(1, 0, 0, OUT_CHUNK_SIZE.to_bytes(4, "big")),
        PICTURE,
        Message(4, 0, 0, b"\0\0\0\0\0\1"),
    ]
    assert wire.take_output() == b""


def test_many_answers_cost_what_they_weigh() -> None:
    """A peer that asks for thousands of answers in one read does not hold the server up for everybody else."""
    wire = shaken()
    began = time.process_time()
    for _ in range(3000):
        wire.send(3, PICTURE)
    assert time.process_time() - began < 1
    assert sent(wire) == [PICTURE] * 3000
