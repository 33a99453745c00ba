"""Short answers: refusals as small pages, and redirections."""

from http import HTTPStatus

from ems.version import NAME
from ems.web.request import WebRequest

REALM = f'Basic realm="{NAME} Web Server", charset="UTF-8"'.encode("ascii")

TEXTS = {
    HTTPStatus.BAD_REQUEST: "Bad request",
    HTTPStatus.UNAUTHORIZED: "Access Denied",
    HTTPStatus.FORBIDDEN: "Forbidden",
    HTTPStatus.NOT_FOUND: "File not found",
    HTTPStatus.METHOD_NOT_ALLOWED: "Method not allowed",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "Range not satisfiable",
}
"""The headings of the pages, as clients of the original know them; others have the standard's phrase."""


def send(request: WebRequest, status: HTTPStatus, content_type: bytes, body: bytes) -> None:
    """A whole answer that is small enough to be written at once; of HEAD the headers only."""
    if request.is_gone:
        return
    request.setResponseCode(status)
    if status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        request.responseHeaders.setRawHeaders(b"Content-Type", [content_type])
        request.responseHeaders.setRawHeaders(b"Content-Length", [b"%d" % len(body)])
    has_body = request.method != b"HEAD" and status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
    request.answer(request.head_as_set(), body if has_body else b"")
    request.finish()


def refuse(request: WebRequest, status: HTTPStatus, detail: str = "") -> None:
    """A page that says no. `detail` is one sentence of ours: nothing of the request is ever shown."""
    heading = TEXTS.get(status, status.phrase)
    page = (
        f"<!DOCTYPE html><html lang=en><title>{int(status)} {heading} - {NAME} Web Server</title>"
        f"<h1>{heading}</h1><p>{detail}</p></html>\n"
    )
    request.responseHeaders.setRawHeaders(b"Cache-Control", [b"no-cache"])
    send(request, status, b"text/html; charset=utf-8", page.encode("utf-8"))


def challenge(request: WebRequest) -> None:
    """Ask for a name and a password (RFC 7617)."""
    request.responseHeaders.setRawHeaders(b"WWW-Authenticate", [REALM])
    refuse(request, HTTPStatus.UNAUTHORIZED, "A name and a password are needed.")


def redirect(request: WebRequest, location: bytes, *, permanent: bool = False) -> None:
    """Send the client elsewhere."""
    request.responseHeaders.setRawHeaders(b"Location", [location])
    refuse(request, HTTPStatus.MOVED_PERMANENTLY if permanent else HTTPStatus.FOUND)


def not_allowed(request: WebRequest, allowed: bytes) -> None:
    """The method is none of those that are understood here (RFC 9110 §15.5.6)."""
    request.responseHeaders.setRawHeaders(b"Allow", [allowed])
    refuse(request, HTTPStatus.METHOD_NOT_ALLOWED)
