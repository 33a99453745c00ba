"""A server for each test, and the promise that holds after every one: nothing is left, and nothing went wrong inside."""

from collections.abc import Iterator

import pytest
from twisted.logger import LogEvent, globalLogBeginner

from tests.conversation import MemoryWorld


@pytest.fixture(scope="session", autouse=True)
def log_has_begun() -> None:
    """Until it begins, Twisted keeps every event, and with it every connection that has said something."""
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)


@pytest.fixture
def world(log_events: list[LogEvent]) -> Iterator[MemoryWorld]:
    """A server and its clients in memory. Fails the test when the log has a traceback or the server keeps anything."""
    made = MemoryWorld()
    yield made
    made.close()
    assert [event for event in log_events if "log_failure" in event] == []
