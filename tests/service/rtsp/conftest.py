"""A server for each test, and the promise that holds after every one: nothing went wrong inside."""

from collections.abc import Iterator

import pytest
from twisted.logger import LogEvent

from tests.service.rtsp.clients import World


@pytest.fixture
def rtsp(log_events: list[LogEvent]) -> Iterator[World]:
    """A server and its clients in memory. Fails the test when the log has a traceback."""
    yield World()
    assert [event for event in log_events if "log_failure" in event] == []
