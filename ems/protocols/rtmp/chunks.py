"""The RTMP chunk stream (Adobe RTMP 1.0 §5.3): messages cut into chunks and interleaved, and put together again.

A chunk begins with a basic header (2 bits format, 6 to 22 bits chunk stream id) and a message header that leaves out what has
not changed since the chunk stream's last one::

    fmt 0   timestamp 3, length 3, type 1, message stream id 4 (little-endian)
    fmt 1   timestamp delta 3, length 3, type 1
    fmt 2   timestamp delta 3
    fmt 3   nothing: the message goes on, or a new one has the same header and delta

A timestamp field of 0xFFFFFF is followed by the true one in 4 bytes, which fmt 3 chunks repeat; some senders do not repeat
it, and the reader finds out by looking.

What makes the reader quick: payload is taken over as it comes, all contiguous fmt 3 chunks of a message are taken by one
strided comparison and one `struct` call, and a message is joined once.
"""

from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from ems.errors import RemoteProtocolError

DEFAULT_CHUNK_SIZE = 128
MAX_CHUNK_SIZE = 0x7FFFFFFF
EXTENDED = 0xFFFFFF
TIMESTAMP_MASK = 0xFFFFFFFF

SET_CHUNK_SIZE = 1
ABORT = 2


class Message(NamedTuple):
    """One message: its type id, the message stream it belongs to, its time in milliseconds (modulo 2^32) and its payload."""

    type_id: int
    stream_id: int
    timestamp: int
    payload: bytes


class _ChunkStream:
    """The last header of one chunk stream, and the message that is being put together."""

    __slots__ = ("delta", "extended", "id", "left", "length", "parts", "stream_id", "timestamp", "type_id")

    def __init__(self, chunk_stream_id: int) -> None:
        self.id = chunk_stream_id
        self.timestamp = self.delta = self.length = self.type_id = self.stream_id = 0
        self.extended: bytes | None = None
        self.left = 0
        self.parts: list[bytes | bytearray] | None = None


class ChunkReader:
    """Bytes in, messages out. Set Chunk Size and Abort take effect on the way and are handed out like any message."""

    MAX_MESSAGE = 16 << 20
    """The length field's own limit, 16 MiB: key frames of UHD pass, nothing does beyond."""

    MAX_CONTROL_MESSAGE = 64 << 10
    """Of protocol control, user control and commands: none that is true comes near it."""

    MAX_CHUNK_STREAMS = 64
    """Real clients use 3 to 8. When more come, idle ones are forgotten, oldest first."""

    MAX_PARTIAL_BYTES = 32 << 20
    """Of all messages that have begun and not ended."""

    MAX_PARTS = 1024
    """Pieces of a message before they are joined: pieces of one byte would cost many times their size."""

    MAX_RUN = 512
    """Chunks taken by one `struct` call: its format must not grow with the sender's chunk size."""

    _CONTROL_TYPES = frozenset((1, 2, 3, 4, 5, 6, 17, 20))

    __slots__ = (
        "_chunk_left",
        "_current",
        "_partial_bytes",
        "_repeats_extended",
        "_rest",
        "_streams",
        "chunk_size",
    )

    def __init__(self) -> None:
        self.chunk_size = DEFAULT_CHUNK_SIZE
        self._streams: list[_ChunkStream] = []
        self._rest = b""
        self._current: _ChunkStream | None = None
        self._chunk_left = 0
        self._partial_bytes = 0
        self._repeats_extended = True

    def receive(self, data: bytes) -> list[Message]:
        """The messages that these bytes complete. Raises `RemoteProtocolError`."""
        if self._rest:
            data = self._rest + data
            self._rest = b""
        messages: list[Message] = []
        offset = 0
        end = len(data)
        while offset < end:
            if not self._chunk_left:
                after = self._header(data, offset)
                if after < 0:
                    self._rest = data[offset:]
                    break
                offset = after
            stream = self._current
            assert stream is not None
            take = end - offset
            if take > self._chunk_left:
                take = self._chunk_left
            whole = take == stream.left and stream.parts is None
            if whole:
                payload = data[offset : offset + take]
            elif take:
                self._keep(stream, [data[offset : offset + take]], take)
            offset += take
            self._chunk_left -= take
            stream.left -= take
            if stream.left:
                if not self._chunk_left and stream.left > self.chunk_size:
                    offset = self._run(stream, data, offset)
                continue
            if not whole:
                payload = b"".join(stream.parts or ())
                self._forget(stream)
            message = Message(stream.type_id, stream.stream_id, stream.timestamp, payload)
            if stream.type_id <= ABORT:
                self._control(message)
            messages.append(message)
        return messages

    def _header(self, data: bytes, offset: int) -> int:
        """Read one chunk header at `offset`; the offset behind it, or -1 when it is not all there yet."""
        first = data[offset]
        at = offset + 1
        chunk_stream_id = first & 63
        if chunk_stream_id < 2:
            width = chunk_stream_id + 1
            if at + width > len(data):
                return -1
            chunk_stream_id = 64 + int.from_bytes(data[at : at + width], "little")
            at += width
        fmt = first >> 6
        for stream in self._streams:
            if stream.id == chunk_stream_id:
                known = True
                break
        else:
            if fmt:
                raise RemoteProtocolError(f"chunk stream {chunk_stream_id} begins with a header of format {fmt} instead of 0")
            known = False
            stream = _ChunkStream(chunk_stream_id)
        at = self._continuation(stream, data, at) if fmt == 3 else self._message_header(stream, fmt, data, at)
        if at < 0:
            return -1
        if not known:
            self._admit(stream)
        self._current = stream
        left = stream.left
        self._chunk_left = left if left < self.chunk_size else self.chunk_size
        return at

    def _message_header(self, stream: _ChunkStream, fmt: int, data: bytes, at: int) -> int:
        if stream.left:
            raise RemoteProtocolError("a new message begins inside an unfinished one")
        behind = at + _HEADER_SIZES[fmt]
        if behind > len(data):
            return -1
        # Words that begin with the last byte of the basic header: the fields of 3 bytes are what is left of each.
        if fmt == 2:
            (time,) = _WORD.unpack_from(data, at - 1)
        else:
            time, length = _TWO_WORDS.unpack_from(data, at - 1)
            stream.type_id = length & 0xFF
            stream.length = length = length >> 8
            if length > self.MAX_CONTROL_MESSAGE and stream.type_id in self._CONTROL_TYPES:
                raise RemoteProtocolError(f"a message of type {stream.type_id} with {length} bytes")
            if fmt == 0:
                (stream.stream_id,) = _LITTLE_WORD.unpack_from(data, at + 7)
        time &= EXTENDED
        extended = None
        if time == EXTENDED:
            extended = data[behind : behind + 4]
            if len(extended) < 4:
                return -1
            time = int.from_bytes(extended, "big")
            behind += 4
        stream.timestamp = time if fmt == 0 else (stream.timestamp + time) & TIMESTAMP_MASK
        stream.delta = time
        stream.extended = extended
        stream.left = stream.length
        return behind

    def _continuation(self, stream: _ChunkStream, data: bytes, at: int) -> int:
        if stream.extended is not None and self._repeats_extended:
            if at + 4 > len(data):
                return -1
            if data[at : at + 4] == stream.extended:
                at += 4
            else:
                self._repeats_extended = False
        if not stream.left:
            stream.timestamp = (stream.timestamp + stream.delta) & TIMESTAMP_MASK
            stream.left = stream.length
        return at

    def _run(self, stream: _ChunkStream, data: bytes, offset: int) -> int:
        """Take all full fmt 3 chunks of this message that lie here one behind the other; the offset behind them."""
        if stream.id > 63:
            return offset
        chunk = self.chunk_size
        head = 1
        if stream.extended is not None:
            if not self._repeats_extended or data[offset + 1 : offset + 5] != stream.extended:
                return offset
            head = 5
        stride = head + chunk
        count = min((stream.left - 1) // chunk, (len(data) - offset) // stride, self.MAX_RUN)
        if count < 2:
            return offset
        heads = data[offset : offset + count * stride : stride]
        expected = 0xC0 | stream.id
        if heads.count(expected) != count:
            count -= len(heads.lstrip(bytes((expected,))))
        if count < 2:
            return offset
        self._keep(stream, list(_cutter(count, head, chunk).unpack_from(data, offset)), count * chunk)
        stream.left -= count * chunk
        return offset + count * stride

    def _keep(self, stream: _ChunkStream, parts: list[bytes], size: int) -> None:
        self._partial_bytes += size
        if self._partial_bytes > self.MAX_PARTIAL_BYTES:
            raise RemoteProtocolError(f"more than {self.MAX_PARTIAL_BYTES} bytes of unfinished messages")
        if stream.parts is None:
            stream.parts = []
        stream.parts += parts
        if len(stream.parts) > self.MAX_PARTS:
            whole = stream.parts[0] if isinstance(stream.parts[0], bytearray) else bytearray(stream.parts[0])
            whole += b"".join(stream.parts[1:])
            stream.parts = [whole]

    def _forget(self, stream: _ChunkStream) -> None:
        self._partial_bytes -= stream.length - stream.left
        stream.parts = None
        stream.left = 0

    def _admit(self, stream: _ChunkStream) -> None:
        if len(self._streams) >= self.MAX_CHUNK_STREAMS:
            idle = next((other for other in self._streams if not other.left), None)
            if idle is None:
                raise RemoteProtocolError(f"more than {self.MAX_CHUNK_STREAMS} chunk streams at once")
            self._streams.remove(idle)
        self._streams.append(stream)

    def _control(self, message: Message) -> None:
        if len(message.payload) < 4:
            raise RemoteProtocolError(f"a control message of type {message.type_id} with {len(message.payload)} bytes")
        value = int.from_bytes(message.payload[:4], "big")
        if message.type_id == SET_CHUNK_SIZE:
            if not value & MAX_CHUNK_SIZE:
                raise RemoteProtocolError("a chunk size of 0")
            self.chunk_size = value & MAX_CHUNK_SIZE
        elif message.type_id == ABORT:
            for stream in self._streams:
                if stream.id == value and stream.left:
                    self._forget(stream)


_HEADER_SIZES = (11, 7, 3)
_WORD = Struct(">I")
_TWO_WORDS = Struct(">II")
_LITTLE_WORD = Struct("<I")


@lru_cache(256)
def _cutter(count: int, head: int, size: int) -> Struct:
    """Cuts `count` pieces of `size` bytes, each behind `head` bytes of header, in one call."""
    return Struct(f"{head}x{size}s" * count)


def chunked(chunk_stream_id: int, message: Message, chunk_size: int) -> bytes:
    """One message on the wire, with a fmt 0 header: readable whatever came before. Chunk stream ids 2 to 63."""
    type_id, stream_id, timestamp, payload = message
    return chunked_parts(chunk_stream_id, type_id, stream_id, timestamp, b"", payload, chunk_size)


def chunked_parts(
    chunk_stream_id: int, type_id: int, stream_id: int, timestamp: int, prefix: bytes, data: bytes, chunk_size: int
) -> bytes:
    """`chunked` for a payload in two parts (a tag header and a frame), which are copied once only."""
    length = len(prefix) + len(data)
    extended = timestamp.to_bytes(4, "big") if timestamp >= EXTENDED else b""
    header = b"%c%b%b%c%b%b" % (
        chunk_stream_id,
        min(timestamp, EXTENDED).to_bytes(3, "big"),
        length.to_bytes(3, "big"),
        type_id,
        stream_id.to_bytes(4, "little"),
        extended,
    )
    if length <= chunk_size:
        return b"".join((header, prefix, data))
    payload = prefix + data
    separator = bytes((0xC0 | chunk_stream_id,)) + extended
    pieces = [payload[start : start + chunk_size] for start in range(0, length, chunk_size)]
    return header + separator.join(pieces)
