"""A server with all doors that pages use, a browser, and pages in which nothing may go wrong unseen."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.chromium import chromium, watch_for_errors
from tests.browser.site import Site
from tests.processes import Child, Children


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests; each has a context of its own in it."""
    with chromium() as running:
        yield running


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages as strangers to each other (``new_page(viewport=…)``). The test fails when one of them logs an error."""
    errors: list[str] = []
    contexts = []

    def open_page(**options: object) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        watch_for_errors(page, errors)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """An empty page."""
    return new_page()


@pytest.fixture
def site(children: Children, tmp_path: Path) -> Iterator[Site]:
    """A running server with its pages. The test fails when it does not stop cleanly or its log has a traceback."""
    folder = tmp_path / "server"
    folder.mkdir()
    running = Site(children, folder)
    yield running
    running.stop()


@pytest.fixture
def wall_clock(children: Children, site: Site) -> Callable[..., Child]:
    """Publishes a stream whose picture tells the time: ``wall_clock("name")``, ``wall_clock("name", "320x192")``."""
    return lambda name, size="640x360": site.publish_wall_clock(children, name, size)
