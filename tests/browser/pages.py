"""The packaged pages without a server: given to the browser from their folder, for tests of the JavaScript alone."""

import mimetypes
from pathlib import Path

from playwright.sync_api import Page, Route

PAGES = Path(__file__).parent.parent.parent / "ems" / "web" / "pages"

ORIGIN = "http://pages.localhost"
"""An address where nobody listens: every request is answered by the test."""


def serve_pages(page: Page, path: str = "") -> None:
    """Answer the page's requests to `ORIGIN` from the folder of the pages, and open `path` there."""
    page.route(f"{ORIGIN}/**", _answer)
    page.goto(f"{ORIGIN}/{path or 'favicon.svg'}", wait_until="domcontentloaded")


def _answer(route: Route) -> None:
    file = PAGES / route.request.url.removeprefix(ORIGIN).partition("?")[0].lstrip("/")
    if file.is_dir():
        file = file / "index.html"
    if not file.is_file():
        route.fulfill(status=404)
        return
    kind = "text/javascript" if file.suffix in (".js", ".mjs") else mimetypes.guess_type(file.name)[0]
    route.fulfill(body=file.read_bytes(), content_type=kind or "application/octet-stream")
