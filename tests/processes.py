"""Programs that tests start: their output goes to a file, and each is stopped by its own process group when the test ends."""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path

FIRST_PORT, LAST_PORT = 10_000, 32_000
"""Of what tests listen on: below the ports that the kernel gives to outgoing connections."""

MAX_WORKERS = 8

_SHARE = (LAST_PORT - FIRST_PORT) // MAX_WORKERS
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % MAX_WORKERS
_PORTS = cycle(random.sample(range(FIRST_PORT + _WORKER * _SHARE, FIRST_PORT + (_WORKER + 1) * _SHARE), _SHARE))
"""Each process that runs tests has ports of its own, so that two never take the same; in another order each time."""


def wait_until(condition: Callable[[], object], what: str, timeout: float = 10) -> None:
    """Return as soon as `condition` holds; AssertionError, naming `what`, when it does not within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout:g} s for {what}"
        time.sleep(0.02)


def free_port() -> int:
    """A port of 127.0.0.1, of TCP and of UDP, that nobody has at this moment and that was not given lately."""
    return next(filter(_is_free, _PORTS))


def _is_free(port: int) -> bool:
    try:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as probe:
                probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


class Child:
    """One started program."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.name = Path(command[0]).name
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=None if environment is None else {**os.environ, **environment},
            )

    @property
    def output(self) -> str:
        """What it has written so far to standard output and standard error."""
        return self._log.read_text("utf-8", "replace")

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    def wait(self, timeout: float) -> int:
        """Its exit status; AssertionError with its output when it does not end within `timeout` seconds."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {timeout:g} s:\n{self.output}") from None

    def stop(self, number: int = signal.SIGTERM, timeout: float = 5) -> int:
        """Ask it to end by a signal, make it end if it does not, and return its exit status."""
        if self.running:
            self.process.send_signal(number)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait()


class Children:
    """Starts programs, each with a log file of its own in `folder`, and stops those that are left."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: list[Child] = []

    def start(self, *command: str | Path, **environment: str) -> Child:
        """Start a program; `environment` is added to that of the tests."""
        words = [str(word) for word in command]
        log = self._folder / f"{len(self._children)}-{Path(words[0]).name}.log"
        child = Child(words, log, environment)
        self._children.append(child)
        return child

    def stop_all(self) -> None:
        """Stop whatever still runs, the youngest first."""
        for child in reversed(self._children):
            child.stop()
