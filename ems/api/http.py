"""The HTTP door (7777): the form that clients of the original use, and a modern one.

The original's form is ``GET /<command>?params=<base64 of "name=value name=value">``. The command is the last element of the
path. The value of the first query parameter, whatever its name, is base64 (RFC 4648 §4) and not percent-decoded; because many
an HTTP library percent-encodes it anyway, a value with a ``%`` is decoded first. The reply is text/plain with the JSON of the
JSON door and CR LF CR LF; its status is 200 even when the command failed. POST with a query, or without a body, is the same.

The modern form is ``POST /<command>`` with a JSON object (`ems.api.json_body`). The reply is application/json: 200, 400 when
the command failed, 404 for an unknown command, 500 for a mistake of ours. ``GET /`` has all commands as an OpenAPI document.

Every connection of the door carries one request (``Connection: close``). Requests of web pages are refused, see
`ems.api.browser`.
"""

import base64
import binascii
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, unquote_to_bytes

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.server import Request as WebRequest

from ems.api.arguments import invalid
from ems.api.bounded_body import BoundedBody
from ems.api.browser import BrowserPolicy
from ems.api.json_body import MAX_BODY, parse_json_request
from ems.api.openapi import openapi_document
from ems.api.registry import CommandRegistry
from ems.api.reply import Reply, compact_json, failure, to_json, to_json_text
from ems.api.request import Request, parse_parameters
from ems.errors import CommandError
from ems.version import NAME

if TYPE_CHECKING:
    from ems.server import Server

SERVER_HEADER = NAME.encode("ascii")


class BoundedRequest(BoundedBody, WebRequest):
    """A request of the door: one for its resources, with a bounded body."""


class CommandResource(Resource):
    """All paths of the door, which begin with `base`. With `keep_alive` a connection may carry further requests."""

    isLeaf = True

    def __init__(
        self,
        server: "Server",
        commands: CommandRegistry,
        policy: BrowserPolicy,
        *,
        base: str = "/",
        keep_alive: bool = False,
    ) -> None:
        super().__init__()
        self._keep_alive = keep_alive
        self._server = server
        self._commands = commands
        self._policy = policy
        self._openapi = compact_json(openapi_document(commands, server.version.release_number, base))

    def render(self, request: BoundedRequest) -> int:
        """Answer any method and path."""
        request.setHeader(b"Server", SERVER_HEADER)
        if not self._keep_alive:
            request.setHeader(b"Connection", b"close")
            request.channel.persistent = False
        request.setHeader(b"X-Content-Type-Options", b"nosniff")
        gone = request.notifyFinish()
        gone.addErrback(lambda _: None)
        answer = Deferred.fromCoroutine(self._respond(request))
        answer.addErrback(self._fail, request)
        return int(NOT_DONE_YET)

    async def _respond(self, request: BoundedRequest) -> None:
        refused = self._refused(request)
        if refused:
            _send_json(request, refused)
            return
        path, _, query = _target(request)
        command = unquote(path.rpartition(b"/")[2].decode("utf-8", "replace"))
        if request.method == b"GET" and not command and not query:
            _send(request, HTTPStatus.OK, b"application/json", self._openapi)
        elif _is_modern(request, query):
            _send_json(request, await self._execute_json(command, _body(request)))
        else:
            _send_text(request, await self._execute_text(command, query))

    def _refused(self, request: BoundedRequest) -> Reply | None:
        hosts = request.requestHeaders.getRawHeaders("host", [])
        if len(hosts) > 1 or (not hosts and request.clientproto == b"HTTP/1.1"):
            return failure("One Host header is needed", "", HTTPStatus.BAD_REQUEST)
        why = self._policy.refusal(*(request.getHeader(name) for name in ("host", "origin", "referer", "sec-fetch-site")))
        if why:
            return failure(why, "", HTTPStatus.FORBIDDEN)
        if request.method not in (b"GET", b"POST"):
            request.setHeader(b"Allow", b"GET, POST")
            return failure("GET and POST are understood", "", HTTPStatus.METHOD_NOT_ALLOWED)
        if request.body_size > MAX_BODY:
            return failure(f"The body is longer than {MAX_BODY} bytes", "", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return None

    async def _execute_json(self, command: str, body: bytes) -> Reply:
        if self._commands.find(command) is None:
            return await self._commands.execute(self._server, Request(command))
        try:
            request = parse_json_request(command, body)
        except CommandError as error:
            return failure(str(error))
        return await self._commands.execute(self._server, request)

    async def _execute_text(self, command: str, query: bytes) -> Reply:
        try:
            request = parse_query(command, query)
        except CommandError as error:
            return failure(str(error))
        return await self._commands.execute(self._server, request)

    def _fail(self, reason: Failure, request: BoundedRequest) -> None:
        self._commands.log.failure("the HTTP door failed", failure=reason)
        request.loseConnection()


def parse_query(command: str, query: bytes) -> Request:
    """The request of the original's form: the parameters are the base64 text of the first query parameter by name.

    Raises `CommandError` when that is not base64.
    """
    pairs = sorted(pair.partition(b"=")[::2] for pair in query.split(b"&") if pair)
    name, value = pairs[0] if pairs else (b"params", b"")
    if b"%" in value:
        value = unquote_to_bytes(value)
    try:
        source = base64.b64decode(value, validate=True).decode("utf-8", "replace")
    except binascii.Error as error:
        raise invalid(name.decode("utf-8", "replace")[:64], "Expected base64") from error
    return parse_parameters(command, source)


def _target(request: BoundedRequest) -> tuple[bytes, bytes, bytes]:
    """Path, question mark, and query. The question mark of old texts' addresses is percent-encoded."""
    uri: bytes = request.uri
    if b"?" not in uri:
        uri = uri.replace(b"%3f", b"?", 1).replace(b"%3F", b"?", 1)
    return uri.partition(b"?")


def _is_modern(request: BoundedRequest, query: bytes) -> bool:
    content_type = (request.getHeader("content-type") or "").partition(";")[0].strip().lower()
    return request.method == b"POST" and not query and (request.body_size > 0 or content_type == "application/json")


def _body(request: BoundedRequest) -> bytes:
    return request.content.read() if request.content else b""


def _send_text(request: BoundedRequest, reply: Reply) -> None:
    if reply.silent:
        request.loseConnection()
    else:
        _send(request, HTTPStatus.OK, b"text/plain", to_json_text(reply))


def _send_json(request: BoundedRequest, reply: Reply) -> None:
    _send(request, reply.http_status, b"application/json", to_json(reply))


def _send(request: Any, status: HTTPStatus, content_type: bytes, body: bytes) -> None:
    if request.channel is None:
        return  # the client has not waited
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", content_type)
    request.setHeader(b"Content-Length", b"%d" % len(body))
    request.write(body)
    request.finish()
