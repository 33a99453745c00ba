"""Log files: their names, their two first lines, when a new one is begun and which old ones are deleted.

A file is called ``<fileName>.<pid>.<start in ms>.log``, so that no two processes or starts write the same one. A full disk
or a folder that somebody removes never reaches the server as an exception: records are lost, standard error says so once,
and writing is tried again a second later; the first record that gets through is preceded by the number of lost ones.
"""

import errno
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from ems.config.logs import LogAppender

RETRY_INTERVAL = 1.0
"""Seconds between two attempts to write where writing failed."""

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


class LogFile:
    """The files of one appender, of which the last is open. No public method raises.

    `now` tells seconds since the epoch; `stderr` is told when records are lost.
    """

    def __init__(self, appender: LogAppender, path: Path, header: Header, stderr: TextIO, now: Callable[[], float]) -> None:
        self._appender = appender
        self._path = path
        self._header = header
        self._stderr = stderr
        self._now = now
        self._pid = os.getpid()
        self._life = f"{self._pid}_{int(now())}_{secrets.token_hex(4)}"
        self._file: int | None = None
        self._name = ""
        self._size = 0
        self._stamp = 0
        self._failed_at: float | None = None
        self._lost = 0

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

    def _write(self, records: Sequence[bytes]) -> None:
        now = self._now()
        if self._failed_at is not None and 0 <= now - self._failed_at < RETRY_INTERVAL:
            self._lost += len(records)
            return
        try:
            self._append(b"".join(records))
        except OSError as error:
            self._fail(error, len(records), now)
        else:
            self._failed_at = None

    def _append(self, data: bytes) -> None:
        if self._file is not None and os.fstat(self._file).st_nlink == 0:
            # Somebody deleted it, or its folder.
            self._close()
        limit = self._appender.file_length
        if self._file is None or (limit and self._size >= limit):
            self._open()
        if self._lost:
            data = self._line(f"{self._lost} records could not be written here") + data
        self._put(data)
        self._lost = 0

    def _open(self) -> None:
        """Open a new file with its header, and delete what the history no longer holds."""
        self._close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._create()
        self._size = 0
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

    def _put(self, data: bytes) -> None:
        if self._file is None or not data:
            return
        written = os.write(self._file, data)
        self._size += written
        if written < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _line(self, text: str) -> bytes:
        return (text + self._appender.new_line_characters).encode()

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            with suppress(OSError):
                os.close(file)

    def _fail(self, error: OSError, records: int, now: float) -> None:
        """Remember the loss and say so, once until writing works again."""
        if self._failed_at is None:
            report(self._stderr, f"log appender {self._appender.name}: {self._path}: {error.strerror}; records are lost")
        self._lost += records
        self._failed_at = now
        self._close()

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
