"""The chunk stream: whatever a sender may legally do, cut at whatever places the network cuts it."""

import random
import struct

import pytest

from ems.errors import RemoteProtocolError
from ems.protocols.rtmp.chunks import ChunkReader, Message, chunked, chunked_parts


def basic_header(fmt: int, chunk_stream_id: int) -> bytes:
    """A basic header in its shortest form (§5.3.1.1)."""
    if chunk_stream_id < 64:
        return bytes((fmt << 6 | chunk_stream_id,))
    if chunk_stream_id < 320:
        return bytes((fmt << 6, chunk_stream_id - 64))
    return bytes((fmt << 6 | 1,)) + (chunk_stream_id - 64).to_bytes(2, "little")


def chunks_of(
    chunk_stream_id: int, message: Message, size: int, *, repeat_extended: bool = True, fmt: int = 0, time: int | None = None
) -> list[bytes]:
    """A message as the list of its chunks, with any header format; `time` is the delta of formats 1 and 2."""
    type_id, stream_id, timestamp, payload = message
    time = timestamp if time is None else time
    extended = time.to_bytes(4, "big") if time >= 0xFFFFFF else b""
    header = min(time, 0xFFFFFF).to_bytes(3, "big") if fmt < 3 else b""
    if fmt < 2:
        header += len(payload).to_bytes(3, "big") + bytes((type_id,))
    if fmt == 0:
        header += stream_id.to_bytes(4, "little")
    chunks = [basic_header(fmt, chunk_stream_id) + header + extended + payload[:size]]
    for start in range(size, len(payload), size):
        again = extended if repeat_extended else b""
        chunks.append(basic_header(3, chunk_stream_id) + again + payload[start : start + size])
    return chunks


def read_in_pieces(wire: bytes, random_: random.Random) -> list[Message]:
    """What a reader makes of the bytes when they come in pieces of random sizes."""
    reader = ChunkReader()
    messages: list[Message] = []
    at = 0
    while at < len(wire):
        step = random_.choice((1, 2, 3, 17, 100, 1448, 70000))
        messages += reader.receive(wire[at : at + step])
        at += step
    return messages


@pytest.mark.parametrize("seed", range(150))
def test_any_legal_interleaving_cut_anywhere_gives_the_same_messages(seed: int) -> None:
    """Two tracks whose chunks are mixed come out whole and in order, however the bytes arrive."""
    r = random.Random(seed)
    size = r.choice((1, 64, 128, 129, 1000, 4096, 60000))
    set_size = Message(1, 0, 0, struct.pack(">I", size))
    wire, expected = [chunked(2, set_size, 128)], [set_size]
    a_id, b_id = r.choice(((6, 4), (70, 4), (6, 319), (65599, 320)))
    repeat = r.random() < 0.8
    for _ in range(r.randrange(1, 8)):
        a = Message(
            9, 1, r.choice((0, 5, 0xFFFFFE, 0xFFFFFF, 0x1000000)), r.randbytes(r.choice((0, 1, 127, 128, 129, 700, 5000)))
        )
        b = Message(8, 1, r.choice((3, 0xFFFFFF)), r.randbytes(r.choice((1, 300, 1000))))
        queues = [
            (a, chunks_of(a_id, a, size, repeat_extended=repeat)),
            (b, chunks_of(b_id, b, size, repeat_extended=repeat)),
        ]
        while queues:
            message, queue = queues[r.randrange(len(queues))]
            wire.append(queue.pop(0))
            if not queue:
                expected.append(message)
                queues = [other for other in queues if other[1]]
    assert read_in_pieces(b"".join(wire), r) == expected


def test_short_headers_take_the_rest_from_the_last_message() -> None:
    """Formats 1, 2 and 3 inherit stream, length, type and delta, as encoders save bytes with them."""
    first = Message(9, 1, 1000, b"a" * 10)
    wire = [
        *chunks_of(6, first, 128),
        *chunks_of(6, Message(9, 1, 1040, b"b" * 20), 128, fmt=1, time=40),
        *chunks_of(6, Message(9, 1, 1073, b"c" * 20), 128, fmt=2, time=33),
        *chunks_of(6, Message(9, 1, 1106, b"d" * 20), 128, fmt=3),
    ]
    times = [(message.timestamp, message.payload[:1]) for message in ChunkReader().receive(b"".join(wire))]
    assert times == [(1000, b"a"), (1040, b"b"), (1073, b"c"), (1106, b"d")]


def test_an_extended_delta_wraps_the_clock() -> None:
    """A delta of more than 24 bits, and a sum of more than 32, are both read right."""
    wire = [
        *chunks_of(6, Message(9, 1, 0xFFFFFFF0, b"a"), 128),
        *chunks_of(6, Message(9, 1, 0, b"b" * 300), 128, fmt=1, time=0x01000000),
    ]
    assert ChunkReader().receive(b"".join(wire))[1].timestamp == 0x00FFFFF0


def test_a_chunk_size_may_change_inside_a_message() -> None:
    """A change of the chunk size takes effect with the next chunk, also of a message that has begun."""
    payload = bytes(range(250)) * 4
    head = chunks_of(6, Message(9, 1, 7, payload), 128)[0]
    change = chunked(2, Message(1, 0, 0, struct.pack(">I", 500)), 128)
    rest = payload[128:]
    wire = head + change + basic_header(3, 6) + rest[:500] + basic_header(3, 6) + rest[500:]
    assert ChunkReader().receive(wire)[-1] == Message(9, 1, 7, payload)


def test_abort_drops_the_unfinished_message() -> None:
    """After Abort the chunk stream begins anew; an abort of an unknown chunk stream is nothing."""
    head = chunks_of(6, Message(9, 1, 7, b"x" * 300), 128)[0]
    abort = chunked(2, Message(2, 0, 0, struct.pack(">I", 6)), 128)
    unknown = chunked(2, Message(2, 0, 0, struct.pack(">I", 77)), 128)
    whole = Message(9, 1, 9, b"y" * 5)
    messages = ChunkReader().receive(head + unknown + abort + chunked(6, whole, 128))
    assert [m for m in messages if m.type_id == 9] == [whole]


@pytest.mark.parametrize(
    ("wire", "what"),
    [
        (basic_header(3, 5) + b"x", "begins with a header of format 3"),
        (chunked(2, Message(1, 0, 0, bytes(4)), 128), "chunk size of 0"),
        (chunked(2, Message(1, 0, 0, b"\x80\0\0\0"), 128), "chunk size of 0"),
        (chunked(2, Message(1, 0, 0, b"\1"), 128), "with 1 bytes"),
        (chunks_of(6, Message(9, 1, 0, b"x" * 300), 128)[0] + chunked(6, Message(9, 1, 0, b"y"), 128), "inside an unfinished"),
        (basic_header(0, 3) + b"\0\0\0" + (70_000).to_bytes(3, "big") + b"\x14" + bytes(4), "type 20 with 70000 bytes"),
    ],
)
def test_what_breaks_the_protocol_is_said(wire: bytes, what: str) -> None:
    """A peer that breaks the chunk layer is told from one that does not, and the log can say how."""
    with pytest.raises(RemoteProtocolError, match=what):
        ChunkReader().receive(wire)


def test_unfinished_messages_are_bounded_together() -> None:
    """64 chunk streams that each promise 16 MiB and never end cost 32 MiB, not a gigabyte."""
    reader = ChunkReader()
    reader.receive(chunked(2, Message(1, 0, 0, struct.pack(">I", 1 << 20)), 128))
    with pytest.raises(RemoteProtocolError, match="unfinished"):
        for chunk_stream_id in range(3, 64):
            head = basic_header(0, chunk_stream_id) + bytes(3) + b"\xff\xff\xff\x09" + bytes(4)
            reader.receive(head + bytes(1 << 20))


def test_chunk_streams_are_bounded_and_idle_ones_forgotten() -> None:
    """A client may use many chunk streams one after the other, but not hold many open."""
    reader = ChunkReader()
    for chunk_stream_id in range(3, 5000):
        head = chunks_of(chunk_stream_id, Message(9, 1, 0, b"x"), 128)[0]
        assert len(reader.receive(head)) == 1
    with pytest.raises(RemoteProtocolError, match="chunk streams at once"):
        for chunk_stream_id in range(3, 5000):
            reader.receive(chunks_of(chunk_stream_id, Message(9, 1, 0, b"x" * 300), 128)[0])


def test_one_byte_chunks_do_not_cost_many_times_their_size() -> None:
    """A message cut into chunks of one byte is put together right."""
    payload = bytes(i & 255 for i in range(20_000))
    message = Message(9, 1, 3, payload)
    wire = chunked(2, Message(1, 0, 0, struct.pack(">I", 1)), 128) + b"".join(chunks_of(6, message, 1))
    reader = ChunkReader()
    assert [m for at in range(0, len(wire), 7) for m in reader.receive(wire[at : at + 7])][-1] == message


@pytest.mark.parametrize("timestamp", [0, 5, 0xFFFFFE, 0xFFFFFF, 0x12345678])
@pytest.mark.parametrize("length", [0, 1, 59_995, 60_000, 60_001, 200_000])
def test_what_we_write_is_read_back(timestamp: int, length: int) -> None:
    """Our own chunks, in one part or two, are read back as what they were made of."""
    payload = random.Random(length).randbytes(length)
    message = Message(9, 1, timestamp, payload)
    reader = ChunkReader()
    reader.chunk_size = 60_000
    wire = chunked(6, message, 60_000)
    assert wire == chunked_parts(6, 9, 1, timestamp, payload[:5], payload[5:], 60_000)
    assert reader.receive(wire) == [message]


def test_random_bytes_and_mutations_only_ever_break_the_protocol() -> None:
    """100,000 mutated chunk streams: messages or a protocol error, nothing else, and bounded state."""
    r = random.Random(1)
    base = b"".join(
        (
            chunked(2, Message(1, 0, 0, struct.pack(">I", 200)), 128),
            *chunks_of(3, Message(20, 0, 0, b"\2\0\7connect" + bytes(150)), 200),
            *chunks_of(6, Message(9, 1, 0xFFFFFF, bytes(700)), 200),
            *chunks_of(65000, Message(8, 1, 20, bytes(300)), 200),
        )
    )
    for _ in range(100_000):
        wire = bytearray(base)
        for _ in range(r.randrange(1, 6)):
            wire[r.randrange(len(wire))] = r.randrange(256)
        reader = ChunkReader()
        try:
            cut = r.randrange(len(wire))
            reader.receive(bytes(wire[:cut]))
            reader.receive(bytes(wire[cut:]))
        except RemoteProtocolError:
            continue
