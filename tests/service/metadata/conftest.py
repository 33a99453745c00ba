"""A server in memory for each test, and the promise that nothing goes wrong inside."""

from collections.abc import Iterator

import pytest
from twisted.logger import LogEvent

from tests.conversation import MemoryWorld


@pytest.fixture
def world(log_events: list[LogEvent]) -> Iterator[MemoryWorld]:
    """A server and its clients. Fails the test when the log has a traceback or the server keeps anything."""
    made = MemoryWorld()
    yield made
    made.close()
    assert [event for event in log_events if "log_failure" in event] == []
