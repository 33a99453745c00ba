"""The server's side of an RTSP connection: requests in, one after the other, responses and media out.

A request may have to wait (a stream tells its tracks in a moment, a wrong password is answered late); those behind it wait as
well, so that responses come in order. Every byte leaves through the connection's `outlet`, which the cursors of interleaved
viewers share.

With ``GET`` and ``POST`` a connection becomes one leg of a tunnel (`ems.protocols.rtsp.tunnel`).
"""

from collections import deque
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from ems import __version__
from ems.errors import RemoteProtocolError
from ems.net.connection import Connection
from ems.net.sockets import acknowledge_at_once
from ems.protocols.rtsp import tunnel, wire
from ems.protocols.rtsp.methods import METHODS, PUBLIC, session_of
from ems.protocols.rtsp.record import RecordSession
from ems.protocols.rtsp.reply import Refused, Reply
from ems.protocols.rtsp.session import TIMEOUT, PlaySession
from ems.protocols.rtsp.wire import Interleaved, Request, Response, Wire
from ems.security.rtsp import Login
from ems.streams.outlet import Outlet

if TYPE_CHECKING:
    from ems.protocols.rtsp.acceptors import RtspFactory

_ALWAYS = {
    "Server": f"EMS/{__version__}",
    "Cache-Control": "no-store",
    "Pragma": "no-cache",
    "Expires": "Thu, 01 Jan 1970 00:00:00 GMT",
}


class RtspConnection(Connection):
    """One client. `session` is what it has set up, None before SETUP or ANNOUNCE; `login` who it is."""

    REQUEST_SECONDS = 20
    """Until the first request."""

    SILENCE_SECONDS = TIMEOUT + 15
    """Silence after which a client is given up whose media come or go by UDP, or who does nothing."""

    MAX_WAITING = 64
    """Requests that may wait behind one that waits."""

    MAX_UNSENT = 1 << 20
    """Bytes of responses that may wait for a client that does not read; media wait in their feed."""

    MAX_NAMES = 64
    """Aliases that one connection has used up."""

    factory: "RtspFactory"

    def __init__(self, factory: "RtspFactory") -> None:
        super().__init__(factory.server.connections)
        self.factory = factory
        self.server = factory.server
        self.session: PlaySession | RecordSession | None = None
        self.login = Login()
        self.user_agent = ""
        self._wire = Wire()
        self._requests: deque[Request] = deque()
        self._answering: Deferred[None] | None = None
        self._outlet: Outlet | None = None
        self._aliases: dict[str, str] = {}
        self._asked = self._closing = False
        self._silent = self._heard = 0
        self._far_leg: RtspConnection | None = None
        self._near_leg: RtspConnection | None = None
        self._base64: tunnel.Base64Reader | None = None

    @property
    def streams(self) -> list[Any]:
        return self.session.streams if self.session is not None else []

    @property
    def details(self) -> dict[str, Any]:
        return {"userAgent": self.user_agent} if self.user_agent else {}

    @property
    def reactor(self) -> Any:
        """What reads UDP sockets; None under a test's clock."""
        return self.server.clock if hasattr(self.server.clock, "addReader") else None

    def opened(self) -> None:
        acknowledge_at_once(getattr(self.transport, "getHandle", lambda: None)())

    def dataReceived(self, data: bytes) -> None:
        if self._closing:
            return
        self.bytes_received += len(data)
        if self._far_leg is not None:
            self._pass_on(data)
            return
        if self._near_leg is None:
            self.receive(data)
        if not self.streams:
            acknowledge_at_once(getattr(self.transport, "getHandle", lambda: None)())

    def receive(self, data: bytes) -> None:
        """Bytes of the conversation, of this connection or of the POST leg of its tunnel."""
        try:
            for event in self._wire.receive(data):
                if type(event) is Interleaved:
                    if self.session is not None:
                        self.session.interleaved_frame(event.channel, event.data)
                elif type(event) is Request:
                    self._asked = True
                    if not event.version.startswith("RTSP/"):
                        self._open_tunnel(event)
                        return
                    self._ask(event)
                elif isinstance(event, Response):
                    raise RemoteProtocolError("a response to nothing")
                if self._closing:
                    return
        except RemoteProtocolError as error:
            self._write(wire.response(400, _ALWAYS))
            self.close(f"protocol error: {error}")

    def resolve(self, shown: str) -> str:
        """The real name of what a client plays; an alias for one viewer is used up once, and then belongs to this connection.

        Raises `CommandError` when nothing is known by that name.
        """
        if shown not in self._aliases:
            name = self.server.aliases.resolve(shown)
            if len(self._aliases) >= self.MAX_NAMES:
                self._aliases.clear()
            self._aliases[shown] = name
        return self._aliases[shown]

    def outlet(self) -> Outlet:
        """The way out that cursors share; from its making on every byte goes through it. Begin with a write."""
        if self._outlet is None:
            fan_out = self.server.streams.fan_out
            self._outlet = Outlet(self, fan_out, fan_out.jitter_buffered)
        return self._outlet

    def send_frame(self, channel: int, packet: bytes) -> None:
        """Send a packet inside the connection."""
        self._write(wire.interleaved(channel, packet))

    def heard_by_udp(self, size: int) -> None:
        """The client is alive: so many bytes of it have come by UDP."""
        self.bytes_received += size

    def stream_ended(self, reason: str) -> None:
        """There is nothing more to play or to record: the session is over, and the connection may go on."""
        self.end_session(reason)

    def end_session(self, reason: str) -> None:
        """The session is over."""
        session, self.session = self.session, None
        if session is not None:
            session.close(reason)

    def close(self, reason: str) -> None:
        if self._closing:
            return
        self._closing = True
        if isinstance(self.session, PlaySession) and self.session.play is not None:
            self.session.play.say_goodbye()
        self._let_go(reason)
        if self._outlet is not None:
            self._outlet.close()
        super().close(reason)

    def closed(self, reason: str) -> None:
        self._closing = True
        self._let_go("the connection is lost")
        self._outlet = None

    def tick(self, now: float) -> None:
        if isinstance(self.session, RecordSession):
            self.session.tick()
        elif self.session is not None and self.session.play is not None and not self.session.play.fits():
            self.session.play.say_goodbye()
            self.end_session("the stream has other tracks now")
        heard = self.bytes_received
        if self._near_leg is not None:
            heard += self._near_leg.bytes_received
        self._silent = 0 if heard != self._heard else self._silent + 1
        self._heard = heard
        late = self._lateness()
        if late:
            self.close(late)

    def _lateness(self) -> str:
        """Why this client has been waited for long enough, empty when it has not."""
        if self._far_leg is not None:
            return ""
        if not self._asked and self._silent >= self.REQUEST_SECONDS:
            return "no request"
        playing = isinstance(self.session, PlaySession) and self.session.play is not None and self.session.play.playing
        if playing and self.session is not None and self.session.interleaved:
            # What it does not acknowledge the kernel notices.
            return ""
        return f"not a byte for {self.SILENCE_SECONDS} s" if self._silent >= self.SILENCE_SECONDS else ""

    def _let_go(self, reason: str) -> None:
        self._requests.clear()
        answering, self._answering = self._answering, None
        if answering is not None:
            answering.cancel()
        self.end_session(reason)
        self.factory.tunnels.close(self)
        near, self._near_leg = self._near_leg, None
        if near is not None:
            near.close(reason)
        far, self._far_leg = self._far_leg, None
        if far is not None and far._near_leg is self:
            far._near_leg = None

    def _ask(self, request: Request) -> None:
        self._requests.append(request)
        if len(self._requests) > self.MAX_WAITING:
            raise RemoteProtocolError(f"more than {self.MAX_WAITING} requests wait")
        self._go_on()

    def _go_on(self) -> None:
        """Answer what waits, up to a request that has to wait itself."""
        while self._requests and self._answering is None and not self._closing:
            answering = Deferred.fromCoroutine(self._answer(self._requests.popleft()))
            if not answering.called:
                self._answering = answering
                answering.addBoth(self._answered)

    def _answered(self, result: object) -> None:
        self._answering = None
        self._go_on()

    async def _answer(self, request: Request) -> None:
        sequence = request.headers.all("CSeq")
        try:
            if len(sequence) != 1 or not (sequence[0].isascii() and sequence[0].isdigit() and len(sequence[0]) <= 10):
                raise Refused(400, "no CSeq, or not one number")
            reply = await self._reply(request)
        except Refused as refusal:
            self.log.info("{peer}: {method}: {why}", peer=self.peer_name, method=request.method[:20], why=str(refusal))
            reply = refusal.reply
        except RemoteProtocolError as error:
            self.log.info("{peer}: {method}: {why}", peer=self.peer_name, method=request.method[:20], why=str(error))
            reply = Reply(400)
        except CancelledError:
            return
        except Exception:
            self.log.failure("{method} failed", method=request.method[:20])
            reply = Reply(500)
        if self._closing:
            return
        headers: dict[str, str | list[str]] = {"CSeq": sequence[0]} if len(sequence) == 1 and sequence[0].isdigit() else {}
        headers |= {"Date": formatdate(usegmt=True), **_ALWAYS, **reply.headers}
        if self.session is not None and self.session.setups and reply.status == 200:
            headers.setdefault("Session", self.session.header)
        self._write(wire.response(reply.status, headers, reply.body))
        reply.then()
        if reply.close:
            self.close("it was refused")

    async def _reply(self, request: Request) -> Reply:
        if request.version != wire.VERSION:
            raise Refused(505, f"it speaks {request.version[:20]}")
        method = METHODS.get(request.method)
        if method is None:
            raise Refused(501, "there is no such method", {"Allow": PUBLIC, "Public": PUBLIC})
        wanted = [*request.headers.all("Require"), *request.headers.all("Proxy-Require")]
        if wanted:
            raise Refused(551, f"it requires {wanted[0][:40]!r}", {"Unsupported": ", ".join(wanted)})
        self.user_agent = request.headers.get("User-Agent", self.user_agent)[:200]
        session_of(self, request)
        await self._log_in(request)
        return await method(self, request)

    async def _log_in(self, request: Request) -> None:
        """Let the request through, or refuse it (401, 403)."""
        authorization = request.headers.get("Authorization")
        verdict = self.factory.gate.judge(self.login, request.method, request.uri, authorization, self.far[0])
        if verdict.delay:
            await deferLater(self.server.clock, verdict.delay)
        if verdict.barred:
            raise Refused(403, verdict.reason)
        if verdict.challenges:
            raise Refused(401, verdict.reason, {"WWW-Authenticate": [*verdict.challenges]})

    def _write(self, data: bytes) -> None:
        if not self.transport:
            return
        outlet = self.outlet()
        outlet.write(data)
        if outlet.unsent > self.MAX_UNSENT:
            self.close("it asks and does not read the answers")

    def _open_tunnel(self, request: Request) -> None:
        """The connection is one leg of a tunnel from now on."""
        cookie, tunnels = request.headers.get(tunnel.COOKIE), self.factory.tunnels
        # Time-outs are those of one leg each: who could be several, or its own other leg, would escape them.
        fresh = self.session is None and not tunnels.has(self)
        if fresh and request.method == "GET" and tunnels.open(cookie, self):
            self._write(tunnel.GET_ANSWER)
            return
        far = tunnels.find(cookie, self.far[0]) if fresh and request.method == "POST" else None
        if far is None:
            self._write(tunnel.refusal("405 Method Not Allowed" if request.method not in ("GET", "POST") else "400 Bad Request"))
            self.close(f"{request.method[:20]} opens no tunnel")
            return
        before, far._near_leg = far._near_leg, self
        if before is not None:
            before._far_leg = None
            before.close("the client has opened another")
        self._far_leg = far
        self._base64 = tunnel.Base64Reader()
        self._pass_on(self._wire.rest())

    def _pass_on(self, data: bytes) -> None:
        """What the POST leg brings belongs to the GET leg."""
        far, reader = self._far_leg, self._base64
        if far is None or reader is None:
            return
        try:
            far.receive(reader.receive(data))
        except RemoteProtocolError as error:
            self.close(f"protocol error: {error}")
            far.close("its tunnel is broken")
