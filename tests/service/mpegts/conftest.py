"""Servers for tests of transport streams, and what holds after every test: nothing is left, and nothing went wrong inside."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.logger import LogEvent

from tests.service.mpegts.worlds import LoopbackTs, MemoryTs


@pytest.fixture
def memory(log_events: list[LogEvent]) -> Iterator[MemoryTs]:
    """A server without sockets, on a clock."""
    made = MemoryTs()
    yield made
    made.close()
    assert [event for event in log_events if "log_failure" in event] == []


@pytest.fixture
def reactor() -> Any:
    """The reactor of the tests."""
    from twisted.internet import reactor

    return reactor


@pytest_twisted.async_yield_fixture
async def loopback(reactor: Any, log_events: list[LogEvent]) -> AsyncIterator[LoopbackTs]:
    """A server with real sockets of 127.0.0.1."""
    made = LoopbackTs(reactor)
    yield made
    await made.close()
    assert [event for event in log_events if "log_failure" in event] == []
