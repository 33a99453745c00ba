"""What every layer of the tests may ask for."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from twisted.logger import LogEvent, globalLogPublisher

from tests import clips
from tests.processes import Children, free_port
from tests.server import EmsServer


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    """Starts programs that are stopped when the test ends."""
    folder = tmp_path / "output"
    folder.mkdir()
    started = Children(folder)
    yield started
    started.stop_all()


@pytest.fixture(name="free_port")
def free_port_fixture() -> Callable[[], int]:
    """Finds a free port."""
    return free_port


@pytest.fixture(scope="session")
def clip() -> Callable[[str], Path]:
    """Makes a clip of a kind (`tests.clips.KINDS`), or finds the one made before."""
    return clips.clip


@pytest.fixture
def ems_server(children: Children, tmp_path: Path) -> Iterator[EmsServer]:
    """A running server with all doors open. The test fails when it does not stop cleanly or its log has a traceback."""
    folder = tmp_path / "server"
    folder.mkdir()
    server = EmsServer(children, folder)
    yield server
    server.stop()


@pytest.fixture
def log_events() -> Iterator[list[LogEvent]]:
    """Everything logged while the test runs, as Twisted's event dictionaries."""
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)
