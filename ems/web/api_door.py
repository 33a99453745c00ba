"""The runtime API through the web server, at ``/api/`` and, with ``apiProxy``, under its pseudo-domain as well.

``GET /api/<command>?params=<base64>`` and ``POST /api/<command>`` with a JSON object are what they are on the HTTP door of the
API (`ems.api.http`), and carried out in this process; ``GET /api/`` has the commands as an OpenAPI document, ``GET /api/events``
the stream of events. Who may use it is told in `ems.web.access`.
"""

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ems.api.browser import BrowserPolicy
from ems.api.commands import load_commands
from ems.api.http import CommandResource
from ems.api.reply import failure, to_json
from ems.web.access import HOW_TO_OPEN, Credentials, is_foreign, is_local, matches_proxy
from ems.web.answers import challenge, redirect, send
from ems.web.event_stream import EventStreams
from ems.web.request import WebRequest
from ems.web.target import Target

if TYPE_CHECKING:
    from ems.config.web import ApiProxy
    from ems.server import Server

API = "api"

EVENTS = "events"


class _Admitted(BrowserPolicy):
    """For requests that `ApiDoor` has let in."""

    def refusal(self, host: str | None, origin: str | None, referer: str | None, fetch_site: str | None) -> str:
        """Never refuses."""
        return ""


class ApiDoor:
    """The paths of the API. `events` are those who follow the events."""

    def __init__(self, server: "Server", proxy: "ApiProxy", credentials: Credentials) -> None:
        self.events = EventStreams(server.events)
        self._proxy = proxy
        self._with_password = proxy.authentication == "basic"
        self._credentials = credentials
        self._names = frozenset((API, proxy.pseudo_domain)) if self._with_password else frozenset((API,))
        self._commands: Any = CommandResource(server, load_commands(), _Admitted(), base=f"/{API}", keep_alive=True)

    def has(self, parts: tuple[str, ...]) -> bool:
        """Whether a path is one of the API's."""
        return bool(parts) and parts[0] in self._names

    def respond(self, request: WebRequest, target: Target) -> None:
        """Answer a request for one of these paths."""
        if is_foreign(request):
            _refuse(request, HTTPStatus.FORBIDDEN, "Requests of other sites' pages are refused.")
        elif self._with_password and not self._credentials.accepts(request, self._is_right):
            challenge(request)
        elif not self._with_password and not is_local(request):
            _refuse(request, HTTPStatus.FORBIDDEN, HOW_TO_OPEN)
        elif target.parts[1:] == (EVENTS,) and request.method == b"GET":
            if not self.events.follow(request):
                _refuse(request, HTTPStatus.SERVICE_UNAVAILABLE, "Too many clients follow the events.")
        elif len(target.parts) == 1 and not target.folder:
            redirect(request, f"{target.parts[0]}/".encode("ascii"))
        else:
            self._commands.render(request)

    def _is_right(self, user: str, password: str) -> bool:
        return matches_proxy(self._proxy, user, password)


def _refuse(request: WebRequest, status: HTTPStatus, why: str) -> None:
    send(request, status, b"application/json", to_json(failure(why)))
