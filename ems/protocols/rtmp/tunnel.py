"""RTMP through HTTP (RTMPT), the server's side without HTTP itself: sessions that live on what their clients come and fetch.

RTMPT takes RTMP through proxies that let only HTTP pass. There is no standard; Flash Player set the form, and librtmp and
ffmpeg keep to it. Every request is a POST, and one session's requests may come over any connection:

==========================  ============================================  =====================================================
path                        body                                          reply
==========================  ============================================  =====================================================
``/fcs/ident2``             ignored                                       the server's address; a client may stay with it
``/open/1``                 ignored                                       the session's id and a line feed
``/send/<id>/<number>``     RTMP from the client                          the polling byte, then RTMP that waits for the client
``/idle/<id>/<number>``     ignored (a zero byte: proxies dislike none)   the same
``/close/<id>/<number>``    ignored                                       one byte; the session is over
==========================  ============================================  =====================================================

The polling byte tells how soon the client should ask again. The number counts the requests of a session; nothing is made of
it, because clients disagree about it. Each request is carried out whole before the next one of its session.

librtmp and ffmpeg ask again at once, whatever the polling byte says. So an idle request with nothing to fetch is answered as
soon as there is something, or after a moment: a stream then takes some twenty requests a second instead of hundreds, and its
frames do not wait to be asked for.

A session belongs to who knows its id, not to an address: clients share proxies, and move from one to the next. So the id has
128 random bits.

`Tunnel` is the transport on which an ordinary RTMP connection runs, and `Tunnels` all that are open at one acceptor.
"""

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.logger import Logger

from ems.net.acceptor import crowding
from ems.protocols.rtmp.publish import Publish
from ems.protocols.rtmp.server import RtmpConnection
from ems.protocols.rtmp.waiting import WaitingTransport

if TYPE_CHECKING:
    from ems.server import Server

POLLING = (1, 3, 5, 9, 17, 33)
"""The polling bytes that Flash Player knows, from at once to seldom."""

QUIET_REQUESTS = 4
"""Requests in a row with nothing in either direction after which a client is told to come less often."""

ID_BYTES = 16
"""Random bytes of a session id, written as twice as many hexadecimal digits: ffmpeg has room for 63."""


class Tunnel(WaitingTransport):
    """The transport of one session: what is written waits for the client's next request.

    A client that stops asking costs `high_water` bytes, and what was in flight, until `SILENCE_SECONDS` have passed.
    """

    SILENCE_SECONDS = 10
    """Without a request after which a session is over; real clients ask several times a second."""

    HOLD_SECONDS = 0.2
    """How long an idle request may wait for news; a client that wants to send something waits as long, at the worst."""

    SLICE_BYTES = 16 << 10
    """Of a request that the protocol gets at once, so that its answers are counted before it can ask for more."""

    def __init__(self, clock: IReactorTime, host: IAddress, peer: IAddress, high_water: int, ended: Callable[[], None]) -> None:
        super().__init__(clock, host, peer, high_water)
        self._forget = ended
        self._quiet = 0
        self._heard = clock.seconds()
        self._held: Callable[[bytes], None] | None = None
        self._hold: IDelayedCall | None = None

    def silent(self, now: float) -> bool:
        """True when the client has not asked for so long that it will not come again."""
        return now - self._heard >= self.SILENCE_SECONDS

    def send(self, data: bytes) -> bytes:
        """Carry out a send request: the protocol receives `data`; the reply is the polling byte and all that waits."""
        self._heard = self._clock.seconds()
        self._answer_held()
        for start in range(0, len(data), self.SLICE_BYTES):
            if self.disconnecting:
                break
            self.protocol.dataReceived(data[start : start + self.SLICE_BYTES])
        self._quiet = 0
        return self._reply()

    def idle(self, answer: Callable[[bytes], None]) -> None:
        """Carry out an idle request: `answer` gets the reply, now or when there is news. Publishers do not wait for any."""
        self._heard = self._clock.seconds()
        self._answer_held()
        self._held = answer
        if self._size or self.protocol.publishing:
            self._answer_held()
        else:
            self._hold = self._clock.callLater(self.HOLD_SECONDS, self._answer_held)

    def lost(self, answer: Callable[[bytes], None]) -> None:
        """Whoever waited for this answer is gone; what waits is for the next request."""
        if self._held == answer:
            self._held = None

    def changed(self) -> None:
        if self.finished:
            self.end(ConnectionDone())
        elif self._waiting and self._held is not None and self._hold is not None:
            # Not at once: more of the same batch may follow.
            self._hold.reset(0)

    def ended(self) -> None:
        self._forget()
        self._answer_held()

    def _answer_held(self) -> None:
        hold, self._hold = self._hold, None
        if hold is not None and hold.active():
            hold.cancel()
        answer, self._held = self._held, None
        if answer is not None:
            answer(self._reply())

    def _reply(self) -> bytes:
        waiting = self.fetch()
        self._quiet = 0 if waiting else self._quiet + 1
        step = min(self._quiet // QUIET_REQUESTS, len(POLLING) - 1)
        return bytes((POLLING[step],)) + waiting


class TunnelledConnection(RtmpConnection):
    """A client that talks RTMP through HTTP."""

    transport: Tunnel

    @property
    def publishing(self) -> bool:
        """True when the client is a source: it has much to send, and waits for nothing."""
        return any(isinstance(used, Publish) for used in self.net_streams.values())

    def tick(self, now: float) -> None:
        if self.transport.silent(now):
            self.close(f"no request for {Tunnel.SILENCE_SECONDS} s")
            self.transport.abortConnection()
        else:
            super().tick(now)


class Tunnels:
    """The open sessions of one acceptor by id, and what is made of a request."""

    log = Logger()

    def __init__(self, server: "Server", tags: tuple[str, ...]) -> None:
        self._server = server
        self._tags = tags
        self._open: dict[bytes, Tunnel] = {}

    def __len__(self) -> int:
        return len(self._open)

    def open(self, host: IAddress, peer: IAddress) -> bytes | None:
        """Begin a session between these addresses and return its id; None when there are too many."""
        refusal = crowding(self._server.connections, peer)
        if refusal:
            self.log.warn("no RTMPT session for {peer}: {why}", peer=getattr(peer, "host", peer), why=refusal)
            return None
        session_id = secrets.token_hex(ID_BYTES).encode("ascii")
        application = self._server.config.application
        tunnel = Tunnel(self._server.clock, host, peer, application.max_rtmp_out_buffer, lambda: self._forget(session_id))
        self._open[session_id] = tunnel
        connection = TunnelledConnection(self._server, validate_handshake=application.validate_handshake)
        connection.tags = self._tags
        tunnel.attach(connection)
        return session_id

    def find(self, session_id: bytes) -> Tunnel | None:
        """The open session of this id."""
        return self._open.get(session_id)

    def _forget(self, session_id: bytes) -> None:
        del self._open[session_id]
