"""Web servers that end with their test."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_twisted

from tests.service.web.browsing import OpenWeb, Web


@pytest_twisted.async_yield_fixture
async def open_web(tmp_path: Path) -> AsyncIterator[OpenWeb]:
    """Opens a web server with some fields of `WebApplication` changed."""
    opened: list[Web] = []

    def open_one(**settings: Any) -> Web:
        opened.append(Web(tmp_path, **settings))
        return opened[-1]

    yield open_one
    for web in opened:
        await web.close()


@pytest_twisted.async_yield_fixture
async def web(open_web: OpenWeb) -> AsyncIterator[Web]:
    """A web server with the default configuration."""
    yield open_web()
