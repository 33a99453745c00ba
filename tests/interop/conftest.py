"""Which tests of this layer belong together when several processes share the work."""

import pytest

SHARED = frozenset({"broadcast", "outcomes", "playing", "run", "stage"})
"""Fixtures that play something for a while, and whose results several tests look at."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have one process run all tests that look at one result: no other has to play the same again."""
    for item in items:
        if isinstance(item, pytest.Function):
            for name in SHARED.intersection(item.fixturenames):
                played = item.callspec.params.get(name, "") if hasattr(item, "callspec") else ""
                item.add_marker(pytest.mark.xdist_group(f"{item.path.stem}-{played}"))
