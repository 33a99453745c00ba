"""The way out of a connection: straight to the socket while it is empty, through the transport while it is not.

`transport.write` for each message and viewer costs twice the CPU of the `send` it ends in. So on plain TCP an `Outlet` sends
shared bytes straight to the socket, and only what the kernel refuses goes to `transport.write`. The outlet is registered as
a *pull* producer, whose `resumeProducing` Twisted calls the moment the transport has drained: from then on sending is direct
again. TLS (and anything without a socket of its own) is an ordinary *push* producer over `transport.write`.

**Every** byte of a connection with an outlet goes through it, control messages too, or it would land inside a half-sent
packet. Listening sockets should carry the options of `ems.net.sockets`: without ``TCP_NOTSENT_LOWAT`` the kernel swallows
megabytes for a stuck reader.
"""

import socket
from time import thread_time
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

if TYPE_CHECKING:
    from ems.net.connection import Connection
    from ems.streams.feed import Feed


class Sender(Protocol):
    """What an outlet tells that it can take bytes, or not: a `Cursor`, or any source of bytes of its own."""

    def opened(self) -> None: ...
    def closed(self) -> None: ...
    def flush(self) -> None: ...


class Lane:
    """Passes over the viewers that may be written to, one after another for all feeds of the server.

    A pass costs nearly a constant for each viewer, however much there is to send: so the next pass comes `share` times
    the cost of a usual one later, and at most `max_interval` seconds. A small audience sees each frame at once; a large one
    shares sends. A pass is sliced so that a big audience does not keep the reactor from its other work.
    """

    log = Logger()

    SLICE = 256
    """Viewers between two turns of the reactor: about 1.5 ms."""

    SHARE = 4
    """The interval in units of a pass's cost, unless something else is asked for."""

    INERTIA = 8
    """Passes over which the interval settles: a dear one, which brings everybody a key frame, must not delay the next frames."""

    def __init__(
        self, clock: IReactorTime, *, min_interval: float = 0.0, max_interval: float = 0.1, share: float = SHARE
    ) -> None:
        """Passes take at most one part of 1 + `share` of the processor, while the interval may grow."""
        self._clock = clock
        self._share = share
        self._min_interval = min_interval
        self._max_interval = max_interval
        self._interval = min_interval
        self._cost = 0.0
        self._marked: dict[Feed, None] = {}
        self._call: IDelayedCall | None = None

    @property
    def interval(self) -> float:
        """Seconds from the end of one pass to the next."""
        return self._interval

    def mark(self, feed: "Feed") -> None:
        """A feed has something new for its ready viewers."""
        self._marked[feed] = None
        if self._call is None:
            self._call = self._clock.callLater(self._interval, self._begin)

    def _begin(self) -> None:
        todo = [cursor for feed in self._marked for cursor in feed.ready[self]]
        self._marked.clear()
        self._cost = 0.0
        self._slice(todo, 0)

    def _slice(self, todo: list[Any], start: int) -> None:
        began = thread_time()
        stop = start + self.SLICE
        for cursor in todo[start:stop]:
            try:
                cursor.flush()
            except Exception:
                # One viewer that cannot be served must not stop the passes of all.
                self.log.failure("a viewer is given up")
                cursor.outlet.abort()
        self._cost += thread_time() - began
        if stop < len(todo):
            self._call = self._clock.callLater(0, self._slice, todo, stop)
            return
        wanted = max(self._min_interval, min(self._max_interval, self._share * self._cost))
        self._interval += (wanted - self._interval) / self.INERTIA
        self._call = None
        if self._marked:
            self._call = self._clock.callLater(self._interval, self._begin)


class FanOut:
    """The lanes of a server, by what a viewer's connection costs and how long its player can wait.

    `plain` is for sockets, and `batched` for TLS, where a write costs more and is worth waiting for. Players with a jitter
    buffer, as those of RTP, have one of their own (`jitter_buffered`), and so have those that keep more than that, as browsers do
    (`buffered`): to them a little later is as good. `datagrams` has those to whom each frame is a send of its own: waiting a
    little saves the way from one viewer to the next, waiting longer saves nothing.
    """

    TLS_INTERVAL = 0.1
    """Seconds that are always waited for."""

    JITTER_BUFFERED_SHARE = 6
    """Five hundred viewers get what has gathered over 40 ms, a thousand over 80 ms: jitter buffers hold 100 ms and more."""

    BUFFERED_SHARE = 20
    """Five hundred viewers get what has gathered over 100 ms, ten get each frame."""

    DATAGRAM_INTERVAL = 0.02
    """Seconds at most, a picture and its sound: a pass costs what there is to send, so the interval would grow to any bound."""

    def __init__(self, clock: IReactorTime, max_interval: float = 0.1) -> None:
        self.plain = Lane(clock, max_interval=max_interval)
        self.batched = Lane(clock, min_interval=self.TLS_INTERVAL, max_interval=max(self.TLS_INTERVAL, max_interval))
        self.jitter_buffered = Lane(clock, max_interval=max_interval, share=self.JITTER_BUFFERED_SHARE)
        self.buffered = Lane(clock, max_interval=max_interval, share=self.BUFFERED_SHARE)
        self.datagrams = Lane(clock, max_interval=min(max_interval, self.DATAGRAM_INTERVAL))

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """All of them."""
        return (self.plain, self.batched, self.jitter_buffered, self.buffered, self.datagrams)


@implementer(IPushProducer)
class Outlet:
    """The way out of one connection, for any number of senders and for control messages between their packets.

    `open` tells whether bytes may be sent now, `unsent` how many control bytes were written since the transport was last seen
    empty: a peer that asks and never reads lets them grow. What is handed over is counted in the connection's `bytes_sent`.
    """

    __slots__ = ("_connection", "_senders", "_socket", "_transport", "lane", "open", "unsent")

    def __init__(self, connection: "Connection", fan_out: FanOut, plain: Lane | None = None) -> None:
        """Take over the connection's transport, whatever may still be buffered in it; begin with a `write`.

        The draining of that first write is what tells that nothing else is left in the transport's own buffer. `plain` is the
        lane of players that can wait longer than those of `FanOut.plain`, where there is no TLS.
        """
        transport: Any = connection.transport
        handle = transport.getHandle() if hasattr(transport, "getHandle") else None
        self._socket = handle if isinstance(handle, socket.socket) else None
        self._connection = connection
        self._transport = transport
        self._senders: tuple[Sender, ...] = ()
        self.open = False
        self.unsent = 0
        self.lane = (plain or fan_out.plain) if self._socket else fan_out.batched
        transport.registerProducer(self, self._socket is None)
        self.open = self._socket is None

    def add(self, sender: Sender) -> None:
        """Let a sender send, from now on."""
        self._senders = (*self._senders, sender)
        if self.open:
            sender.opened()

    def discard(self, sender: Sender) -> None:
        """A sender has nothing more to send."""
        sender.closed()
        self._senders = tuple(other for other in self._senders if other is not sender)

    def write(self, data: bytes) -> None:
        """Send control bytes, in order with everything else; the senders wait until they are out."""
        self._connection.bytes_sent += len(data)
        if self._socket is not None:
            self.pauseProducing()
        self._transport.write(data)
        self.unsent = 0 if self.open else self.unsent + len(data)

    def send(self, data: bytes) -> None:
        """Send shared bytes now; may close the outlet. Only while `open`."""
        self._connection.bytes_sent += len(data)
        if self._socket is None:
            self._transport.write(data)
            return
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.abort()
            return
        if sent < len(data):
            self.pauseProducing()
            self._transport.write(data[sent:])

    def pauseProducing(self) -> None:
        """The transport is full, or has control bytes to get rid of first."""
        if self.open:
            self.open = False
            for sender in self._senders:
                sender.closed()

    def resumeProducing(self) -> None:
        """The transport is empty."""
        self.open = True
        self.unsent = 0
        for sender in self._senders:
            if self.open:
                sender.opened()

    def stopProducing(self) -> None:
        """The connection is lost."""
        self.pauseProducing()
        self._socket = None

    def abort(self) -> None:
        """Give the connection up at once."""
        self.stopProducing()
        self._transport.abortConnection()

    def close(self) -> None:
        """Let go of the transport: from now on it may be closed in good order."""
        for sender in self._senders:
            self.discard(sender)
        self.open = False
        self._transport.unregisterProducer()
