"""The order in which a request is looked at, and who answers it.

1. a Host header, as HTTP/1.1 demands; a body that is not too long
2. the lists of addresses (403)
3. the path: decoded once, safe (404)
4. the API, at ``/api/`` and under its pseudo-domain
5. GET, HEAD or OPTIONS, or else 405
6. redirections, then folders with a password (401)
7. the file: in memory, live, or on the disk; with group aliases only where an alias leads

There is never a listing of a folder, and programs (``.php``) are never executed nor shown: 404.
"""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from ems.api.json_body import MAX_BODY
from ems.config.web import WebConfig
from ems.published import LiveFile, PublishedFile, Unavailable
from ems.security.paths import UnsafePath
from ems.web.access import Credentials, FolderGuard, address_filter
from ems.web.aliases import GroupAlias, GroupAliases
from ems.web.answers import challenge, not_allowed, redirect, refuse, send
from ems.web.api_door import ApiDoor
from ems.web.cross_domain import FILES as CROSS_DOMAIN_FILES
from ems.web.delivery import Delivery
from ems.web.files import Files, Folder, Found
from ems.web.live import LiveAnswers
from ems.web.mime import FileType, MimeTable
from ems.web.request import WebRequest
from ems.web.sessions import StreamingSession, StreamingSessions
from ems.web.target import Target, parse_target, questions

METHODS = b"GET, HEAD, OPTIONS"

PREFLIGHT_HEADERS = b"Range, If-None-Match, If-Modified-Since, Cache-Control, Pragma"
"""What pages of other sites may send with their requests."""

PREFLIGHT_SECONDS = b"86400"

INDEX = "index.html"

PROGRAM = (".php", ".phtml", ".phar", ".cgi")
"""Files that another server would execute; their sources may hold passwords."""


class Site:
    """Answers requests. Raises `CommandError` when the configuration names lists of addresses that are not there."""

    log = Logger()

    def __init__(
        self,
        config: WebConfig,
        *,
        clock: IReactorTime,
        files: Files,
        delivery: Delivery,
        sessions: StreamingSessions,
        aliases: GroupAliases,
        make_api: Callable[[Credentials], ApiDoor],
    ) -> None:
        application = config.application
        credentials = Credentials(clock.seconds)
        self.api = make_api(credentials)
        self.live = LiveAnswers(clock)
        self._credentials = credentials
        self._files = files
        self._delivery = delivery
        self._sessions = sessions
        self._aliases = aliases
        self._mime = MimeTable(application.supported_mime_types)
        self._filter = address_filter(config)
        self._guard = FolderGuard(config)
        self._redirects = {one.source.encode("ascii"): one for one in application.redirects}
        self._allow_origin = application.allow_origin

    def respond(self, request: WebRequest) -> None:
        """Answer a request, now or later."""
        try:
            self._respond(request)
        except Exception:
            self._failed(Failure(), request)

    def _failed(self, reason: Failure, request: WebRequest) -> None:
        self.log.failure("answering {uri}", failure=reason, uri=request.uri[:200])
        if not request.startedWriting:
            refuse(request, HTTPStatus.INTERNAL_SERVER_ERROR)
        elif not request.is_gone:
            request.channel.transport.abortConnection()

    def _later(self, request: WebRequest, answer: Coroutine[Any, Any, None]) -> None:
        Deferred.fromCoroutine(answer).addErrback(self._failed, request)

    def _respond(self, request: WebRequest) -> None:
        hosts = request.requestHeaders.getRawHeaders(b"host", [])
        if len(hosts) > 1 or (not hosts and request.clientproto == b"HTTP/1.1"):
            refuse(request, HTTPStatus.BAD_REQUEST, "One Host header is needed.")
            return
        if request.body_size > MAX_BODY:
            refuse(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        if self._filter is not None and self._filter.refusal(request.peer):
            refuse(request, HTTPStatus.FORBIDDEN)
            return
        try:
            target = parse_target(request.uri) if request.uri != b"*" else Target((), True, b"")
        except UnsafePath:
            refuse(request, HTTPStatus.NOT_FOUND)
            return
        if self.api.has(target.parts):
            self.api.respond(request, target)
        elif request.method not in (b"GET", b"HEAD", b"OPTIONS"):
            not_allowed(request, METHODS)
        else:
            self._respond_with_file(request, target)

    def _respond_with_file(self, request: WebRequest, target: Target) -> None:
        moved = self._redirects.get(request.uri.partition(b"?")[0]) if self._redirects else None
        passwords = self._guard.password_file(target.parts)
        kind = self._mime.of(target.parts[-1] if target.parts and not target.folder else INDEX)
        if passwords is not None:
            kind = kind._replace(protected=True)
        if moved is not None:
            redirect(request, moved.target.encode("ascii"), permanent=moved.permanent)
        elif request.method == b"OPTIONS":
            self._preflight(request, kind)
        elif passwords is not None and not self._credentials.accepts(request, passwords.check):
            challenge(request)
        elif target.path.lower().endswith(PROGRAM):
            refuse(request, HTTPStatus.NOT_FOUND)
        elif self._aliases.enabled:
            self._later(request, self._respond_by_alias(request, target, kind))
        else:
            self._respond_with(request, target, kind)

    def _preflight(self, request: WebRequest, kind: FileType) -> None:
        """OPTIONS, which browsers send before unusual requests of other sites' pages (Fetch Standard §4.8)."""
        set_header = request.responseHeaders.setRawHeaders
        set_header(b"Allow", [METHODS])
        if kind.media and self._allow_origin:
            set_header(b"Access-Control-Allow-Origin", [self._allow_origin.encode("ascii")])
            set_header(b"Access-Control-Allow-Methods", [METHODS])
            set_header(b"Access-Control-Allow-Headers", [PREFLIGHT_HEADERS])
            set_header(b"Access-Control-Max-Age", [PREFLIGHT_SECONDS])
        send(request, HTTPStatus.NO_CONTENT, b"", b"")

    def _respond_with(self, request: WebRequest, target: Target, kind: FileType) -> None:
        """Answer with the file of the target's own path: at once from memory, otherwise later."""
        path = _file_path(target)
        if self._respond_from_memory(request, target.query, path, kind):
            return
        if self._files.is_missing(path):
            self._respond_without_file(request, path, kind)
        else:
            self._later(request, self._respond_from_disk(request, target, path, kind))

    def _respond_from_memory(
        self, request: WebRequest, query: bytes, path: str, kind: FileType, session: StreamingSession | None = None
    ) -> bool:
        """Answer with a file of a running stream; false when it is none."""
        absolute, published = self._files.in_memory(path)
        live = self._files.published.live(absolute)
        asked = questions(query) if live is not None else {}
        if asked is None:
            refuse(request, HTTPStatus.BAD_REQUEST)
        elif live is not None:
            self._later(request, self._respond_live(request, live, asked, absolute, kind, session))
        elif published is not None:
            self._delivery.deliver(request, _found(absolute, published), kind, session=session)
        else:
            return False
        return True

    async def _respond_live(
        self,
        request: WebRequest,
        live: LiveFile,
        asked: dict[str, str],
        path: Path,
        kind: FileType,
        session: StreamingSession | None,
    ) -> None:
        try:
            published = await self.live.ask(request, live, asked)
        except Unavailable as unavailable:
            request.responseHeaders.setRawHeaders(b"Retry-After", [b"1"])
            refuse(request, HTTPStatus(unavailable.status), "The stream has no such part.")
            return
        if published is not None:
            self._delivery.deliver(request, _found(path, published), kind, session=session)

    async def _respond_from_disk(self, request: WebRequest, target: Target, path: str, kind: FileType) -> None:
        found = await self._files.find(path)
        if isinstance(found, Folder):
            redirect(request, f"./{quote(target.parts[-1])}/".encode("ascii"), permanent=True)
        elif found is None:
            self._respond_without_file(request, path, kind)
        else:
            self._delivery.deliver(request, found, kind)

    def _respond_without_file(self, request: WebRequest, path: str, kind: FileType) -> None:
        policy = CROSS_DOMAIN_FILES.get(path) if self._allow_origin == "*" else None
        if policy is not None:
            send(request, HTTPStatus.OK, kind.mime.encode("ascii"), policy)
            return
        if kind.media and self._allow_origin:
            # Without it a player in another site's page cannot tell a missing file from a broken network.
            request.responseHeaders.setRawHeaders(b"Access-Control-Allow-Origin", [self._allow_origin.encode("ascii")])
        refuse(request, HTTPStatus.NOT_FOUND)

    async def _respond_by_alias(self, request: WebRequest, target: Target, kind: FileType) -> None:
        """Answer while ``hasGroupNameAliases`` is on: streams are found through aliases only."""
        alias = self._aliases.get(target.path) if not target.folder else None
        if alias is not None:
            await self._respond_with_group(request, alias)
            return
        for session in self._sessions.aliased(request.peer):
            folder = self._files.relative(session.folder)
            path = f"{folder}/{target.path}" if folder else target.path
            protected = kind._replace(protected=True)
            if self._respond_from_memory(request, target.query, path, protected, session):
                return
            found = await self._look(path)
            if found is not None:
                self._delivery.deliver(request, found, protected, session=session)
                return
        if kind.stream_type or kind.is_manifest or self._aliases.hides(target.path):
            refuse(request, HTTPStatus.NOT_FOUND)
        else:
            self._respond_with(request, target, kind)

    async def _respond_with_group(self, request: WebRequest, alias: GroupAlias) -> None:
        """The playlist of a group, or the media file, to the first client who asks for its alias."""
        kind = self._mime.of(alias.group)
        path: str | None = alias.group
        if not kind.media:
            path = await self._files.manifest_of(alias.group, lambda name: self._mime.of(name).is_manifest)
        found = await self._look(path) if path is not None else None
        if path is None or found is None or alias.owner not in ("", request.peer):
            if found is not None:
                found.close()
            refuse(request, HTTPStatus.NOT_FOUND)
            return
        if request.method == b"GET":
            alias.owner = request.peer
        self._delivery.deliver(request, found, self._mime.of(path)._replace(protected=True), alias=alias.name)

    async def _look(self, path: str) -> Found | None:
        """The file of a path, in memory or on the disk."""
        absolute, published = self._files.in_memory(path)
        if published is not None:
            return _found(absolute, published)
        if self._files.is_missing(path):
            return None
        found = await self._files.find(path)
        return found if isinstance(found, Found) else None


def _found(path: Path, published: PublishedFile) -> Found:
    return Found(path, len(published.data), published.modified, published.data)


def _file_path(target: Target) -> str:
    """The path of the file that is asked for: a folder's is its index page."""
    return "/".join((*target.parts, INDEX)) if target.folder else target.path
