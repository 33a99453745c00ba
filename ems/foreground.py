"""Runs the server in the foreground: the reactor is chosen here, signals are taken here, and here the process ends in order.

The first SIGINT or SIGTERM stops the services and ends the process within `STOP_TIMEOUT`; a second one ends it at once.
"""

import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from types import FrameType
from typing import Any

from twisted.application.service import IService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.logger import Logger
from twisted.python.failure import Failure

from ems.process import raise_file_limit, spare_collector

STOP_TIMEOUT = 1.5
"""Seconds that the services get to close; with what Python needs to end, the process is gone within 2 s."""

REACTORS = {
    "asyncio": "twisted.internet.asyncioreactor",
    "epoll": "twisted.internet.epollreactor",
    "poll": "twisted.internet.pollreactor",
    "select": "twisted.internet.selectreactor",
}
"""The reactors one may ask for. WebRTC needs the first."""


class StartError(Exception):
    """The server cannot start, for a reason that is the user's to mend; the text is for the user."""


def install_reactor(name: str) -> Any:
    """Install the reactor of that name (a key of `REACTORS`) and return it. Must run before anything imports the reactor."""
    import_module(REACTORS[name]).install()
    return import_module("twisted.internet.reactor")


class Foreground:
    """One run of a service in the foreground.

    `make` makes the service; `started` is called with it when it runs. Either may raise `StartError`, which ends the run.
    """

    log = Logger()

    def __init__(self, reactor: Any, make: Callable[[], IService], started: Callable[[Any], None]) -> None:
        self._reactor = reactor
        self._make = make
        self._started = started
        self._service: IService | None = None
        self._stopping = False
        self._problem: BaseException | None = None

    def run(self) -> None:
        """Run until a signal or the server itself stops the reactor. Raises `StartError` when the server could not start."""
        raise_file_limit()
        self._reactor.callWhenRunning(self._start)
        self._reactor.addSystemEventTrigger("before", "shutdown", self._stop)
        self._reactor.run()
        if self._problem is not None:
            raise self._problem

    def _start(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._signalled)
        try:
            self._service = self._make()
            self._service.privilegedStartService()
            self._service.startService()
            self._started(self._service)
        except Exception as error:
            self._problem = error
            self._reactor.stop()
            return
        spare_collector()

    def _stop(self) -> Deferred[Any] | None:
        self._stopping = True
        if self._service is None:
            return None
        stopped: Deferred[Any] = maybeDeferred(self._service.stopService)
        return stopped.addTimeout(STOP_TIMEOUT, self._reactor).addErrback(self._stopped_badly)

    def _stopped_badly(self, failure: Failure) -> None:
        if failure.check(DeferredTimeout):
            self.log.warn("some services did not stop within {seconds} s", seconds=STOP_TIMEOUT)
        else:
            self.log.failure("stopping", failure=failure)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        if self._stopping:
            sys.stderr.flush()
            os._exit(128 + number)
        self._stopping = True
        self._reactor.callFromThread(self._reactor.stop)
