"""Transports whose peers read when the test says so: one like TCP's, one like TLS's, and the viewer at the other end."""

import re
import socket
from typing import Any

from twisted.internet.task import Clock

from ems.media.frame import Frame
from ems.media.track import Track
from ems.streams.feed import Cursor, Feed
from ems.streams.outlet import FanOut, Outlet


class _Socket(socket.socket):
    """The kernel's side of a plain connection: takes what there is room for."""

    def __init__(self, transport: "PlainTransport") -> None:
        super().__init__()
        self._transport = transport

    def send(self, data: Any, flags: int = 0) -> int:
        return self._transport.kernel_takes(bytes(data))


class PlainTransport:
    """Behaves as Twisted's TCP: what `write` gets waits in a buffer, and a pull producer hears when that is empty."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.received = b""
        self.buffer = b""
        self.room = room
        self.broken = self.aborted = False
        self.sends = 0
        self.clock = Clock()
        self.producer: Any = None
        self._socket = _Socket(self)

    def getHandle(self) -> socket.socket:
        return self._socket

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert not streaming
        self.producer = producer
        producer.resumeProducing()

    def unregisterProducer(self) -> None:
        self.producer = None

    def write(self, data: bytes) -> None:
        self.buffer += data
        self.clock.callLater(0, self._drain)

    def abortConnection(self) -> None:
        self.aborted = True
        self.producer.stopProducing()

    def kernel_takes(self, data: bytes) -> int:
        """`socket.send`: into the kernel's buffer, as far as there is room."""
        assert not self.buffer, "sent past bytes that wait in the transport"
        self.sends += 1
        if self.broken:
            raise BrokenPipeError
        taken = data[: self.room]
        if data and not taken:
            raise BlockingIOError
        self.room -= len(taken)
        self.received += taken
        return len(taken)

    def read(self, room: int = 1 << 30) -> None:
        """The peer reads, so that there is room again; the transport empties its buffer and tells its producer."""
        self.room = room
        self._drain()

    def _drain(self) -> None:
        waited, taken = bool(self.buffer), self.buffer[: self.room]
        self.buffer = self.buffer[len(taken) :]
        self.received += taken
        self.room -= len(taken)
        if waited and not self.buffer and self.producer is not None and not self.aborted:
            self.producer.resumeProducing()


class PushTransport:
    """Behaves as Twisted's TLS: `write` is all there is, and a push producer is paused while much waits."""

    BUFFER = 64 << 10

    def __init__(self, room: int = 1 << 30) -> None:
        self.received = b""
        self.buffer = b""
        self.room = room
        self.aborted = False
        self.clock = Clock()
        self.producer: Any = None

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def write(self, data: bytes) -> None:
        self.buffer += data
        self._drain()
        if len(self.buffer) > self.BUFFER and self.producer is not None:
            self.producer.pauseProducing()

    def abortConnection(self) -> None:
        self.aborted = True
        self.producer.stopProducing()

    def read(self, room: int = 1 << 30) -> None:
        """The peer reads, so that there is room again."""
        self.room = room
        self._drain()
        if not self.buffer and self.producer is not None and not self.aborted:
            self.producer.resumeProducing()

    def _drain(self) -> None:
        taken = self.buffer[: self.room]
        self.buffer = self.buffer[len(taken) :]
        self.received += taken
        self.room -= len(taken)


class TextFeed(Feed):
    """A wire format for tests: packets are the frames' data, headers the configurations in brackets."""

    def __init__(self, fan_out: FanOut) -> None:
        super().__init__(fan_out)
        self.headers_made = 0

    def packet(self, frame: Frame) -> bytes:
        return frame.data

    def header_packet(self, dts: int) -> bytes:
        self.headers_made += 1
        return b"[" + b",".join(track.config for track in self.tracks) + b"]"


class Viewer:
    """A connection, its outlet and its cursor."""

    def __init__(self, feed: Feed, fan_out: FanOut, transport: Any, *, at_next: bool = False) -> None:
        self.transport = transport
        self.bytes_sent = 0
        transport.clock = fan_out.plain._clock
        connection: Any = self
        self.outlet = Outlet(connection, fan_out)
        self.outlet.write(b"{hello}")
        self.cursor = Cursor(feed, self.outlet, at_next=at_next)

    @property
    def text(self) -> str:
        """All that has arrived, padding left out."""
        return re.sub(r"\.+", "", self.transport.received.decode())

    @property
    def tokens(self) -> list[str]:
        """The hello, control messages in braces, headers in brackets and packets in angles, in order; nothing in between."""
        found = re.findall(r"\{[^}]*\}|\[[^\]]*\]|<[^>]*>", self.text)
        assert "".join(found) == self.text, "packets are torn"
        return found


def feed_of(*tracks: Track, clock: Clock | None = None) -> tuple[Clock, FanOut, TextFeed]:
    """A feed of a stream of these tracks, with its clock and lanes."""
    clock = clock or Clock()
    fan_out = FanOut(clock)
    feed = TextFeed(fan_out)
    feed.tracks_changed(tracks)
    return clock, fan_out, feed
