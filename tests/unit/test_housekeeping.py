"""Memory is given back after a rush of connections, once, and not in its midst."""

import pytest
from twisted.internet.task import Clock

from ems import housekeeping
from ems.housekeeping import Housekeeping


def test_memory_is_returned_once_a_rush_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """While many come nothing is done; when they have settled it is done once; a few more change nothing."""
    returned: list[int] = []
    connections: list[int] = []
    monkeypatch.setattr(housekeeping, "return_free_memory", lambda: returned.append(len(connections)))
    clock = Clock()
    keeper = Housekeeping(clock, connections)
    keeper.startService()
    for _ in range(5):
        connections += range(100)
        clock.advance(keeper.INTERVAL)
    assert returned == []
    clock.advance(keeper.INTERVAL)
    clock.advance(keeper.INTERVAL)
    connections.append(1)
    clock.advance(keeper.INTERVAL)
    assert returned == [500]
    connections.clear()
    clock.pump([keeper.INTERVAL] * 3)
    assert returned == [500, 0]
    keeper.stopService()
    assert not clock.getDelayedCalls()


def test_returning_memory_works_here() -> None:
    """The call is there or is done without; it never fails."""
    housekeeping.return_free_memory()
