"""What the tests of this layer may ask for, and which of them belong together when several processes share the work."""

from pathlib import Path

import pytest

from tests.interop.broadcast import subfolder
from tests.interop.peers import Nginx, has_nginx
from tests.processes import Children

SHARED = frozenset({"broadcast", "outcomes", "playing", "run", "stage"})
"""Fixtures that play something for a while, and whose results several tests look at."""


@pytest.fixture
def nginx(children: Children, tmp_path: Path) -> Nginx:
    """nginx with its RTMP module, running."""
    if not has_nginx():
        pytest.fail("nginx with its RTMP module is not installed; tests/setup-machine.sh installs it")
    started = Nginx(children, subfolder(tmp_path, "nginx"))
    started.start()
    return started


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have one process run all tests that look at one result: no other has to play the same again."""
    for item in items:
        if isinstance(item, pytest.Function):
            for name in SHARED.intersection(item.fixturenames):
                played = item.callspec.params.get(name, "") if hasattr(item, "callspec") else ""
                item.add_marker(pytest.mark.xdist_group(f"{item.path.stem}-{played}"))
