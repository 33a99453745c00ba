"""A file that has been found, to its client: not at all, in part or whole, compressed or not, and who watches what."""

from http import HTTPStatus
from time import time
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ems.web.answers import refuse, send
from ems.web.body import Body, multipart, send_body
from ems.web.coding import MAX_SIZE, MIN_SIZE, Compressor, accepts_gzip
from ems.web.conditions import Verdict, allows_range, entity_tag, evaluate
from ems.web.heads import FileHeaders, coding_fields
from ems.web.ranges import Span, content_range, parse_ranges
from ems.web.sessions import StreamingSession, chunk_length

if TYPE_CHECKING:
    from ems.config.web import WebApplication
    from ems.web.downloads import Downloads
    from ems.web.files import Files, Found
    from ems.web.mime import FileType
    from ems.web.request import WebRequest
    from ems.web.sessions import StreamingSessions

CONDITIONS = (b"range", b"if-none-match", b"if-modified-since", b"if-match", b"if-unmodified-since")
"""Headers of a request for which the answer may be another than the whole file."""


class Delivery:
    """Sends files, and keeps the accounts of sessions and downloads."""

    log = Logger()

    def __init__(
        self, application: "WebApplication", files: "Files", sessions: "StreamingSessions", downloads: "Downloads"
    ) -> None:
        self._application = application
        self._files = files
        self._sessions = sessions
        self._downloads = downloads
        self._compressor = Compressor()
        self._headers = FileHeaders(application)

    def deliver(
        self,
        request: "WebRequest",
        found: "Found",
        kind: "FileType",
        *,
        session: StreamingSession | None = None,
        alias: str = "",
    ) -> None:
        """Answer a GET or HEAD with this file. `session` is the one it belongs to, if that is known; `alias` the name by which
        it was asked for. The file is closed in any case, and nothing is counted for a client that has left meanwhile."""
        if request.is_gone:
            found.close()
            return
        if found.growing:
            kind = kind._replace(growing=True)
        if self._is_plain(request, found):
            self._watch(request, found, kind, session, alias, whole=True)
            coded = self._coded(request, found, kind)
            lines = self._headers.lines(kind, found.size, found.modified, coded.size, coded is not found)
            self._write(request, coded, request.head(b"200 OK", lines), Body([Span(0, coded.size)]))
            return
        tag = entity_tag(found.modified, found.size)
        verdict = evaluate(request.getHeader, tag, found.modified)
        for name, value in self._headers.fields(kind, found.size, found.modified):
            request.responseHeaders.setRawHeaders(name, [value])
        if verdict is Verdict.SEND:
            self._send(request, found, kind, tag, session, alias)
            return
        found.close()
        if verdict is Verdict.NOT_MODIFIED:
            self._watch(request, found, kind, session, alias, whole=None)
            send(request, HTTPStatus.NOT_MODIFIED, b"", b"")
        else:
            refuse(request, HTTPStatus.PRECONDITION_FAILED)

    def _is_plain(self, request: "WebRequest", found: "Found") -> bool:
        """Whether all of a file is wanted that is in memory: nearly every request of a stream's viewers."""
        has_header = request.requestHeaders.hasHeader
        return (
            found.data is not None
            and request.method == b"GET"
            and not self._headers.replaces_standing
            and not any(map(has_header, CONDITIONS))
        )

    def _send(
        self,
        request: "WebRequest",
        found: "Found",
        kind: "FileType",
        tag: str,
        session: StreamingSession | None,
        alias: str,
    ) -> None:
        spans = self._spans(request, found, tag)
        set_header = request.responseHeaders.setRawHeaders
        if spans is not None and not spans:
            found.close()
            set_header(b"Content-Range", [b"bytes */%d" % found.size])
            refuse(request, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            return
        self._watch(request, found, kind, session, alias, whole=spans is None)
        if spans is None:
            coded = self._coded(request, found, kind)
            if coded is not found:
                for name, value in coding_fields(found.size, found.modified).items():
                    set_header(name, [value])
            found, body = coded, Body([Span(0, coded.size)])
        else:
            request.setResponseCode(HTTPStatus.PARTIAL_CONTENT)
            if len(spans) == 1:
                body = Body(spans)
                set_header(b"Content-Range", [content_range(spans[0], found.size).encode("ascii")])
            else:
                body, content_type = multipart(spans, found.size, kind.mime)
                set_header(b"Content-Type", [content_type.encode("ascii")])
        set_header(b"Content-Length", [b"%d" % body.size])
        self._write(request, found, request.head_as_set(), body)

    def _spans(self, request: "WebRequest", found: "Found", tag: str) -> list[Span] | None:
        wanted = request.getHeader("range")
        if wanted is None or not self._application.enable_range_requests or request.method != b"GET":
            return None
        return parse_ranges(wanted, found.size) if allows_range(request.getHeader("if-range"), tag, found.modified) else None

    def _coded(self, request: "WebRequest", found: "Found", kind: "FileType") -> "Found":
        """The file as gzip, when that is worth it and accepted; otherwise itself."""
        if found.data is None or not kind.compressible or not self._application.compress:
            return found
        if not MIN_SIZE <= found.size <= MAX_SIZE or not accepts_gzip(request.getHeader("accept-encoding")):
            return found
        data = self._compressor(found.data)
        return type(found)(found.path, len(data), found.modified, data)

    def _write(self, request: "WebRequest", found: "Found", head: bytes, body: Body) -> None:
        """Write what the client takes at once, or nearly; the rest as it takes it."""
        piece_size = self._application.max_mem_size_per_connection
        done = request.answer(head, b"" if request.method == b"HEAD" else body.beginning(found), piece_size)
        if request.method == b"HEAD" or done == body.size:
            found.close()
            request.finish()
            return
        sent = Deferred.fromCoroutine(send_body(request, self._files, found, body.behind(done), piece_size))
        sent.addCallbacks(self._sent, self._failed, callbackArgs=(request, found), errbackArgs=(request, found))

    def _sent(self, complete: bool, request: "WebRequest", found: "Found") -> None:
        found.close()
        if complete and not request.is_gone:
            request.finish()
        elif not request.is_gone:
            # The length has been promised: only the end of the connection says that there is no more.
            request.channel.transport.abortConnection()

    def _failed(self, reason: Failure, request: "WebRequest", found: "Found") -> None:
        found.close()
        if not reason.check(OSError):
            self.log.failure("sending {path}", failure=reason, path=str(found.path))
        if not request.is_gone:
            request.channel.transport.abortConnection()

    def _watch(
        self,
        request: "WebRequest",
        found: "Found",
        kind: "FileType",
        session: StreamingSession | None,
        alias: str,
        *,
        whole: bool | None,
    ) -> None:
        """Have the viewer's session, or the download, know of this request. `whole` is None when the client has the file already:
        that is watching, but no download."""
        if request.method != b"GET" or not kind.media:
            return
        path, peer, agent = str(found.path), request.peer, request.getHeader("user-agent") or ""
        if session is None:
            session = self._sessions.of_alias(peer, alias) if alias else self._sessions.find(peer, agent, path)
        if session is None and kind.is_manifest:
            session = self._sessions.begin(peer, agent, path, alias=alias)
        if session is not None:
            if kind.is_manifest and found.data is not None:
                session.chunk_length = chunk_length(kind.stream_type, found.data) or session.chunk_length
            session.newest_folder = path.rpartition("/")[0]
            self._count(request, session)
        elif whole is not None and not kind.is_manifest:
            self._download(request, path, alias, whole)

    def _count(self, request: "WebRequest", session: StreamingSession) -> None:
        session.active += 1

        def end(complete: bool) -> None:
            session.active -= 1
            session.bytes_sent += request.sentLength
            self._sessions.touch(session)

        request.on_end = end

    def _download(self, request: "WebRequest", path: str, alias: str, whole: bool) -> None:
        peer, started = request.peer, time()
        if whole:

            def end(complete: bool) -> None:
                if complete:
                    self._downloads.whole(peer, path, started, alias)

            request.on_end = end
        else:
            download = self._downloads.part_begins(peer, path, alias)
            request.on_end = lambda complete: self._downloads.part_ends(download)
