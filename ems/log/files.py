"""Log files: their names, their two first lines, when a new one is begun and which old ones are deleted.

A file is called ``<fileName>.<pid>.<start in ms>.log``, so that no two processes or starts write the same one. When records
are lost (`ems.log.appending`) standard error says so once, and the first record that gets through is preceded by their number.
"""

import errno
import json
import os
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from ems.config.logs import LogAppender
from ems.log.appending import AppendedFile

MAX_BUFFER = 1024 * 1024
"""Bytes that a delayed file holds back at most; then it writes at once."""

NAME_ATTEMPTS = 100
"""How many names are tried when files of the same millisecond exist."""

Header = Callable[[int, int, str], tuple[str, ...]]
"""Makes the first lines of a file from the process id, the start (seconds since the epoch) and the life's identifier."""


def json_header(banner: str) -> Header:
    """Return the header of a file of JSON objects, which is one as well."""

    def header(pid: int, start: int, life: str) -> tuple[str, ...]:
        return (json.dumps({"pid": pid, "timestamp": start, "life": life, "banner": banner}),)

    return header


def text_header(banner: str) -> Header:
    """Return the two header lines of a text file: which process, since when, and which program."""

    def header(pid: int, start: int, life: str) -> tuple[str, ...]:
        return f"PID: {pid}; TIMESTAMP: {start}; LIFE: {life}", banner

    return header


class LogFile(AppendedFile):
    """The files of one appender, of which the last is open. No public method raises.

    `now` tells seconds since the epoch; `stderr` is told when records are lost.
    """

    def __init__(self, appender: LogAppender, path: Path, header: Header, stderr: TextIO, now: Callable[[], float]) -> None:
        super().__init__(now)
        self._appender = appender
        self._path = path
        self._header = header
        self._stderr = stderr
        self._pid = os.getpid()
        self._life = f"{self._pid}_{int(now())}_{secrets.token_hex(4)}"
        self._name = ""
        self._stamp = 0

    def start(self) -> None:
        """Open the first file; deletes older ones as the appender says."""
        if self._appender.clear_logs_on_start:
            self._delete_old(keep=0)
        self._write([])

    def write(self, record: bytes) -> None:
        """Append a record, which brings its end along."""
        self._write([record])

    def flush(self) -> None:
        """Write what is held back: here nothing ever is."""

    def stop(self) -> None:
        """Write what is held back and close the file."""
        self.flush()
        self._close()

    def _outdated(self) -> bool:
        limit = self._appender.file_length
        return bool(limit and self._size >= limit)

    def _lost_record(self, lost: int) -> bytes:
        return self._line(f"{lost} records could not be written here")

    def _open(self) -> None:
        """Open a new file with its header, and delete what the history no longer holds."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._create()
        self._put(b"".join(self._line(line) for line in self._header(self._pid, int(self._now()), self._life)))
        if self._appender.file_history_size:
            self._delete_old(keep=self._appender.file_history_size - 1)

    def _create(self) -> int:
        stamp = max(int(self._now() * 1000), self._stamp + 1)
        for self._stamp in range(stamp, stamp + NAME_ATTEMPTS):
            self._name = f"{self._path.name}.{self._pid}.{self._stamp}.log"
            try:
                return os.open(
                    self._path.with_name(self._name), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640
                )
            except FileExistsError:
                continue
        raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), str(self._path))

    def _line(self, text: str) -> bytes:
        return (text + self._appender.new_line_characters).encode()

    def _failed(self, error: OSError) -> None:
        report(self._stderr, f"log appender {self._appender.name}: {self._path}: {error.strerror}; records are lost")

    def _delete_old(self, keep: int) -> None:
        """Delete the oldest other files of this name, by the time that the name tells, until `keep` are left."""
        name = re.compile(re.escape(self._path.name) + r"\.\d+\.(\d+)\.log")
        # Whatever cannot be listed or deleted, or is gone already, is no reason not to log.
        with suppress(OSError):
            matches = (name.fullmatch(entry) for entry in os.listdir(self._path.parent) if entry != self._name)
            found = sorted((int(match[1]), match[0]) for match in matches if match)
            for _, entry in found[: max(0, len(found) - keep)]:
                with suppress(OSError):
                    self._path.with_name(entry).unlink()


class DelayedLogFile(LogFile):
    """A `LogFile` that gathers records until `flush`, which its owner calls once a second."""

    def __init__(self, appender: LogAppender, path: Path, header: Header, stderr: TextIO, now: Callable[[], float]) -> None:
        super().__init__(appender, path, header, stderr, now)
        self._waiting: list[bytes] = []
        self._waiting_size = 0

    def write(self, record: bytes) -> None:
        """Take a record; it is in the file after the next `flush`, or at once when many wait."""
        self._waiting.append(record)
        self._waiting_size += len(record)
        if self._waiting_size >= MAX_BUFFER:
            self.flush()

    def flush(self) -> None:
        """Write what has been gathered."""
        waiting, self._waiting, self._waiting_size = self._waiting, [], 0
        if waiting:
            self._write(waiting)


def report(stderr: TextIO, line: str) -> None:
    """Write a line about the log itself to standard error, if anyone is there."""
    # ValueError: it is closed, and there is nobody left to tell.
    with suppress(OSError, ValueError):
        print(f"{time.strftime('%H:%M:%S')} {line}", file=stderr, flush=True)
