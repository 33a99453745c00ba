"""From Twisted's log events to the appenders of the configuration.

One observer, `LogOutputs`, is attached to Twisted's log. It first compares the event's level with the finest level that any
appender wants, so that a debug event nobody wants costs two dictionary look-ups, and only then has it formatted.
"""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import StringIO
from pathlib import Path
from threading import RLock
from typing import Any, TextIO

from twisted.internet.task import LoopingCall
from twisted.logger import ILogObserver, LogPublisher, globalLogBeginner, globalLogPublisher
from zope.interface import implementer

import ems
from ems.config.logs import FILE_TYPES, LogAppender
from ems.log.files import DelayedLogFile, LogFile, json_header, text_header
from ems.log.layout import Event, Origin, console_line, file_record, json_record, origin_of_call
from ems.log.levels import FINEST, OFF, level_of

FLUSH_INTERVAL = 1.0
"""Seconds between two writes of a ``delayedFile``."""


class Output:
    """One appender at work: `write` formats an event and puts it in its place."""

    def __init__(self, appender: LogAppender) -> None:
        self.level = appender.level
        self._specific = appender.specific_level

    @property
    def finest(self) -> int:
        """The finest level that is written; `OFF` when none is."""
        return self._specific if self._specific and self.level != OFF else self.level

    def wants(self, level: int) -> bool:
        """Return whether records of `level` are written."""
        return level == self.finest if self._specific else level <= self.level

    def start(self) -> None:
        """Get ready to write."""

    def stop(self) -> None:
        """Write what is held back, and close."""

    def flush(self) -> None:
        """Write what is held back."""

    def write(self, event: Event, origin: Origin | None) -> None:
        """Write one event, which was logged at `origin`; never raises."""
        raise NotImplementedError


class ConsoleOutput(Output):
    """Short lines on standard output, coloured by level when it is a terminal and that is asked for."""

    def __init__(self, appender: LogAppender, stdout: TextIO) -> None:
        super().__init__(appender)
        self._stdout = stdout
        self._end = appender.new_line_characters
        self._color = appender.type == "coloredConsole" and stdout.isatty()
        self._single_line = appender.single_line

    def write(self, event: Event, origin: Origin | None) -> None:
        """Write one line; without anyone at the other end it is lost."""
        # ValueError: the stream is closed, or its encoding lacks a character and is strict about it.
        with suppress(OSError, ValueError):
            self._stdout.write(console_line(event, self._color, self._single_line) + self._end)
            self._stdout.flush()


class FileOutput(Output):
    """Records in files: colon-separated ones, or JSON objects."""

    def __init__(self, appender: LogAppender, file: LogFile) -> None:
        super().__init__(appender)
        self._file = file
        self._json = appender.type == "json"
        self._single_line = appender.single_line
        self._end = appender.new_line_characters

    def start(self) -> None:
        """Open the first file."""
        self._file.start()

    def stop(self) -> None:
        """Write what is held back and close the file."""
        self._file.stop()

    def flush(self) -> None:
        """Write what is held back."""
        self._file.flush()

    def write(self, event: Event, origin: Origin | None) -> None:
        """Write one record."""
        record = json_record(event, origin) if self._json else file_record(event, origin, self._single_line)
        self._file.write((record + self._end).encode())


@implementer(ILogObserver)
class LogOutputs:
    """All appenders of a configuration, as one observer of Twisted's log.

    `resolve` makes a path of an appender's ``fileName`` (`Runtime.resolve`), `clock` is the reactor, which times the writes
    of delayed files. Without `console`, as in a daemon, console appenders are left out. `banner` is a file's second line.
    """

    def __init__(
        self,
        appenders: Sequence[LogAppender],
        resolve: Callable[[str], Path] = Path,
        *,
        clock: Any = None,
        console: bool = True,
        banner: str = f"EMS {ems.__version__}",
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        now: Callable[[], float] = time.time,
        publisher: LogPublisher = globalLogPublisher,
    ) -> None:
        self._clock = clock
        self._publisher = publisher
        # Not sys.stdout: twistd puts an object there that writes into the log.
        streams = stdout or sys.__stdout__, stderr or sys.__stderr__ or StringIO()
        self._outputs = _make_outputs(appenders, resolve, console, banner, *streams, now)
        self._delayed = any(appender.type == "delayedFile" for appender in appenders)
        self._finest = OFF
        self._choose_finest()
        # Reentrant: a collected Deferred may log its failure while a record is being written.
        self._lock = RLock()
        self._loop: LoopingCall | None = None
        self._replaying = False

    def start(self, *, begin: bool = False) -> None:
        """Open the files and attach to Twisted's log.

        With `begin` Twisted's log is begun, so that what was logged before is written first. That is for a program that is
        its own master; twistd has begun already.
        """
        for output in self._outputs:
            output.start()
        if begin:
            self._replaying = True
            globalLogBeginner.beginLoggingTo([self], redirectStandardIO=False)
            self._replaying = False
        self._publisher.addObserver(self)
        if self._clock is not None and self._delayed:
            self._loop = LoopingCall(self.flush)
            self._loop.clock = self._clock
            self._loop.start(FLUSH_INTERVAL, now=False)

    def stop(self) -> None:
        """Detach from Twisted's log, write what is held back and close the files."""
        self._publisher.removeObserver(self)
        if self._loop is not None and self._loop.running:
            self._loop.stop()
        with self._lock:
            for output in self._outputs:
                output.stop()

    def flush(self) -> None:
        """Write what delayed files hold back."""
        with self._lock:
            for output in self._outputs:
                output.flush()

    def set_level(self, level: int) -> None:
        """Give all appenders the level `level` (-1 silences them); raises `ValueError` outside -1…6."""
        if not OFF <= level <= FINEST:
            raise ValueError(f"expected a log level from {OFF} to {FINEST}, got {level}")
        for output in self._outputs:
            output.level = level
        self._choose_finest()

    def wants(self, level: int) -> bool:
        """Return whether any appender writes records of `level`: for those to whom making a message costs much."""
        return level <= self._finest

    def __call__(self, event: Event) -> None:
        """Write `event` wherever its level is wanted."""
        level = level_of(event)
        if level > self._finest:
            return
        origin = None if self._replaying else origin_of_call()
        with self._lock:
            for output in self._outputs:
                if output.wants(level):
                    output.write(event, origin)

    def _choose_finest(self) -> None:
        self._finest = max((output.finest for output in self._outputs), default=OFF)


def _make_outputs(
    appenders: Sequence[LogAppender],
    resolve: Callable[[str], Path],
    console: bool,
    banner: str,
    stdout: TextIO | None,
    stderr: TextIO,
    now: Callable[[], float],
) -> list[Output]:
    outputs: list[Output] = []
    for appender in appenders:
        if appender.type in FILE_TYPES:
            header = json_header(banner) if appender.type == "json" else text_header(banner)
            file_class = DelayedLogFile if appender.type == "delayedFile" else LogFile
            outputs.append(FileOutput(appender, file_class(appender, resolve(appender.file_name), header, stderr, now)))
        elif console and stdout is not None:
            outputs.append(ConsoleOutput(appender, stdout))
    return outputs
