"""RTSP as a client (RFC 2326): the conversation with another server, on one connection.

`RtspClient` asks and is answered, logs in, keeps the session alive and answers what servers ask of clients. `PullClient`
(`ems.protocols.rtsp.pull`) and `PushClient` (`ems.protocols.rtsp.push`) say what is asked. What goes beyond one connection is in
`ems.protocols.rtsp.attempt`.
"""

import re
from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.logger import LogLevel

from ems.errors import CommandError, RemoteProtocolError
from ems.net.connection import Connection
from ems.protocols.rtsp.client_url import presentation_url
from ems.protocols.rtsp.transport import Transport, parse_transports
from ems.protocols.rtsp.wire import Interleaved, Request, Response, Wire, request, response
from ems.streams.outlet import Outlet
from ems.uri import Uri

if TYPE_CHECKING:
    from ems.protocols.rtsp.attempt import RtspAttempt
    from ems.server import Server

REDIRECTIONS = frozenset((301, 302, 303, 305, 307, 308))
"""Statuses that name another address (RFC 2326 §11.3)."""

ANSWERABLE = frozenset(("OPTIONS", "GET_PARAMETER", "SET_PARAMETER", "ANNOUNCE", "PLAY_NOTIFY"))
"""What servers ask of clients and is well with a mere yes (RFC 2326 §10, RFC 7826 §13.5)."""

UNSUPPORTED = frozenset((406, 415, 461))
"""How servers say that they do not carry media in the way that was asked for; by the standard it is 461."""

_TIMEOUT = re.compile(r"timeout\s*=\s*([0-9]{1,6})", re.IGNORECASE)


class Refused(RemoteProtocolError):
    """The server has answered a request with an error."""

    def __init__(self, method: str, answer: Response) -> None:
        super().__init__(f"{method} refused: {answer.status} {answer.reason[:200]}".rstrip())
        self.status = answer.status


class Redirected(Exception):
    """The server names another address."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location


class RtspClient(Connection):
    """One connection to another server. Subclasses say in `converse` what is asked, and get packets in `interleaved`.

    `url` is the presentation's address, `public` are the methods that the server says it has, `session` is the session's id,
    empty while there is none. Once there is an `outlet`, every byte goes through it.
    """

    ANSWER_SECONDS = 10
    """For the answer to one request."""

    KEEP_ALIVE_SECONDS = 10
    """Between two signs of life, unless the session's time-out asks for more of them."""

    MAX_UNANSWERED = 10
    """Signs of life that may stay without an answer: some servers never answer them while media flow."""

    MAX_WAITING = 64
    """Requests without an answer; what only notes something is not sent beyond."""

    MAX_LOGINS = 3
    """Times that one request is sent: as it is, with an answer to the challenge, and once more for a nonce that was too old."""

    # Whoever asked for the pull or push is told, and says it once; here it would be said at every attempt.
    close_level = LogLevel.debug

    def __init__(self, server: "Server", attempt: "RtspAttempt") -> None:
        super().__init__(server.connections)
        self.server = server
        self.attempt = attempt
        self.tags = _layers(attempt.uri, attempt.settings)
        self.url = presentation_url(attempt.uri)
        self.public: frozenset[str] = frozenset()
        self.session = ""
        self.closing = False
        self.outlet: Outlet | None = None
        self._keep_alive_seconds: float = self.KEEP_ALIVE_SECONDS
        self._keep_alive_method = ""
        self._idle = 0
        self._unanswered = 0
        self._sequence = 0
        self._answers: dict[int, Callable[[Response], None]] = {}
        self._wire = Wire()
        self._why = ""
        self._conversation: Deferred[None] | None = None

    async def converse(self) -> None:
        """Ask for everything until media flow. What is raised ends the connection."""
        raise NotImplementedError

    def interleaved(self, channel: int, data: bytes) -> None:
        """A packet has come inside the connection."""

    def end_media(self, reason: str) -> None:
        """The connection ends, or has ended: let go of streams and sockets."""

    @property
    def details(self) -> dict[str, Any]:
        return {"userAgent": self.attempt.settings.get("emulateUserAgent", "")}

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.attempt.settings

    def opened(self) -> None:
        try:
            self.attempt.check_address(self.far[0])
        except CommandError as error:
            self.close(str(error))
        else:
            self._conversation = Deferred.fromCoroutine(self._converse())

    def dataReceived(self, data: bytes) -> None:
        self.bytes_received += len(data)
        if self.closing:
            return
        try:
            for event in self._wire.receive(data):
                if isinstance(event, Interleaved):
                    self.interleaved(event.channel, event.data)
                elif not event.version.startswith("RTSP/"):
                    raise RemoteProtocolError(f"the other server speaks {event.version[:20]}")
                elif isinstance(event, Response):
                    self._answered(event)
                else:
                    self._asked(event)
                if self.closing:
                    return
        except RemoteProtocolError as error:
            self.close(f"protocol error: {error}")

    def send(self, data: bytes) -> None:
        """Send bytes of RTSP."""
        if self.outlet is not None:
            self.outlet.write(data)
        else:
            self.bytes_sent += len(data)
            transport: Any = self.transport
            transport.write(data)

    async def request(self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Response:
        """Ask, with a login when the server wants one. Raises `Refused`, `Redirected`, or `RemoteProtocolError` for no answer."""
        for count in range(self.MAX_LOGINS):
            answer = await self._exchange(method, url, headers or {}, body)
            challenges = answer.headers.all("WWW-Authenticate")
            if answer.status != 401 or not self.attempt.login.challenged(challenges, again=count > 0):
                break
        location = answer.headers.get("Location")
        if answer.status in REDIRECTIONS and location:
            raise Redirected(location)
        if answer.status >= 300:
            raise Refused(method, answer)
        return answer

    async def ask_options(self) -> None:
        """Learn what the server can do; one that does not tell can still be asked."""
        try:
            answer = await self.request("OPTIONS", self.url)
        except Refused as refused:
            if refused.status == 401:
                raise
            return
        methods = ",".join([*answer.headers.all("Public"), *answer.headers.all("Allow")])
        self.public = frozenset(word.strip().upper() for word in methods.split(","))

    async def set_up(self, url: str, wishes: Iterable[Transport]) -> tuple[Transport, Transport]:
        """SETUP of a medium, with one way of carrying it after the other until the server grants one: the wish, and the answer.

        What is granted need not be what was asked for. Raises `Refused`, or `RemoteProtocolError` when there are no wishes.
        """
        refused: Refused | None = None
        for wish in wishes:
            try:
                answer = await self.request("SETUP", url, {"Transport": str(wish)})
            except Refused as error:
                if error.status not in UNSUPPORTED:
                    raise
                refused = error
                continue
            return wish, next(iter(parse_transports(answer.headers.get("Transport"))), wish)
        raise refused or RemoteProtocolError("there is no way to carry the media")

    def note(
        self,
        method: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        answered: Callable[[Response], None] = lambda answer: None,
    ) -> None:
        """Send a request about the session whose answer nobody waits for."""
        if len(self._answers) < self.MAX_WAITING:
            self._send_request(method, self.url, headers or {}, body, answered)

    def close(self, reason: str) -> None:
        if self.closing:
            return
        self.closing = True
        self._why = reason
        self.end_media(reason)
        if self.session and self.transport is not None:
            self.note("TEARDOWN")
        if self.outlet is not None:
            self.outlet.close()
        super().close(reason)

    def closed(self, reason: str) -> None:
        self.closing = True
        self.outlet = None
        if self._conversation is not None:
            self._conversation.cancel()
        self.end_media(reason)
        self.attempt.lost(self._why or f"the connection is lost: {reason}")

    def tick(self, now: float) -> None:
        """Give a sign of life when it is time."""
        self._idle += 1
        if self.session and self._idle >= self._keep_alive_seconds:
            self._idle = 0
            self._keep_alive()

    def _keep_alive(self) -> None:
        """By the method that the server likes: GET_PARAMETER if it says that it has it (RFC 2326 §10.8), else OPTIONS."""
        if self._unanswered >= self.MAX_UNANSWERED:
            self.close(f"{self.MAX_UNANSWERED} signs of life were not answered")
            return
        self._unanswered += 1
        if not self._keep_alive_method:
            self._keep_alive_method = "GET_PARAMETER" if "GET_PARAMETER" in self.public else "OPTIONS"
        self.note(self._keep_alive_method, answered=self._kept_alive)

    def _kept_alive(self, answer: Response) -> None:
        if answer.status == 401:
            self.attempt.login.challenged(answer.headers.all("WWW-Authenticate"), again=False)
        elif answer.status == 454:
            self.close("the other server has forgotten the session")
        elif answer.status >= 400:
            self._keep_alive_method = "OPTIONS"

    async def _converse(self) -> None:
        try:
            await self.converse()
        except CancelledError:
            return
        except Redirected as redirected:
            self.close(self.attempt.redirected(redirected.location))
        except (RemoteProtocolError, CommandError, OSError) as error:
            self.close(str(error))
        except Exception:
            self.log.failure("{peer}: the conversation failed", peer=self.peer_name)
            self.close("internal error")

    async def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Response:
        answer: Deferred[Response] = Deferred()
        sequence = self._send_request(method, url, headers, body, answer.callback)
        try:
            return await answer.addTimeout(self.ANSWER_SECONDS, self.server.clock)
        except DeferredTimeout:
            raise RemoteProtocolError(f"no answer to {method} within {self.ANSWER_SECONDS} s") from None
        finally:
            self._answers.pop(sequence, None)

    def _send_request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, answered: Callable[[Response], None]
    ) -> int:
        self._sequence += 1
        lines = {"CSeq": str(self._sequence)}
        agent = str(self.attempt.settings.get("emulateUserAgent", ""))
        if agent:
            lines["User-Agent"] = agent
        if self.session:
            lines["Session"] = self.session
        authorization = self.attempt.login.authorization(method, url)
        if authorization:
            lines["Authorization"] = authorization
        self._answers[self._sequence] = answered
        self.send(request(method, url, {**lines, **headers}, body))
        return self._sequence

    def _answered(self, answer: Response) -> None:
        """Answers come in the order of the requests (RFC 2326 §9.1); some servers count wrong, and leave some out."""
        if answer.status < 200:
            return
        text = answer.headers.get("CSeq")
        sequence = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
        waiting = self._answers.pop(sequence, None)
        if waiting is None and self._answers:
            waiting = self._answers.pop(next(iter(self._answers)))
        if waiting is None:
            return
        self._unanswered = 0
        if answer.status < 300:
            self._note_session(answer.headers.get("Session"))
        waiting(answer)

    def _note_session(self, header: str) -> None:
        identifier, _, parameters = header.partition(";")
        if not identifier.strip():
            return
        self.session = identifier.strip()
        timeout = _TIMEOUT.search(parameters)
        if timeout and int(timeout[1]):
            # Half of it, so that one sign of life may be lost or late.
            self._keep_alive_seconds = min(self.KEEP_ALIVE_SECONDS, max(1, int(timeout[1]) / 2))

    def _asked(self, asked: Request) -> None:
        """A request of the server to us."""
        if asked.method == "REDIRECT":
            self._answer(asked, 200)
            self.close(self.attempt.redirected(asked.headers.get("Location")))
        elif asked.method == "TEARDOWN":
            self._answer(asked, 200)
            self.close("the other server ends the session")
        else:
            self._answer(asked, 200 if asked.method in ANSWERABLE else 501)

    def _answer(self, asked: Request, status: int) -> None:
        sequence = asked.headers.get("CSeq")
        headers = {"CSeq": sequence} if sequence else {}
        if asked.method == "OPTIONS":
            headers["Public"] = ", ".join(sorted(ANSWERABLE))
        self.send(response(status, headers))


def custom_headers(text: str) -> dict[str, str]:
    """The headers of ``sdpCustParams``: lines of ``Name: value`` in base64. What is no header is left out."""
    try:
        lines = b64decode(text, validate=True).decode("utf-8").splitlines()
    except (NoBase64, ValueError):
        return {}
    pairs = (line.partition(":") for line in lines)
    return {
        name.strip(): value.strip()
        for name, colon, value in pairs
        if colon and name.strip().isprintable() and value.isprintable()
    }


def _layers(uri: Uri, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The layers of a connection as the runtime API names them."""
    tls = ("OSSL",) if uri.scheme == "rtsps" else ()
    tunnel = ("OHTT",) if settings.get("httpProxy") else ()
    return ("TCP", *tls, *tunnel, "RTSP")
