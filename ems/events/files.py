"""The sinks that write: to files, and to the console.

A file is called ``<base>[_<instance>][_<date>_<time> | _<part>]<extension>``: the instance is a random number of the process
(``appendInstance``), date and time are when the file was begun (``appendTimestamp``), and without those parts are counted. A part
ends ``fileChunkLength`` seconds after its beginning, or at the time of day ``fileChunkTime``; with both, which contradict each
other, never. A file that exists is appended to. Times are local.

Disks may be slow, so files are written in a thread, in batches. One that cannot be written (`ems.log.appending`) is told once in
the log, and how many events are lost.
"""

import os
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from ems.config.logs import EventSink
from ems.events.backlog import Backlog
from ems.events.event import Event, Plain
from ems.events.layouts import Layout, TextLayout, make_layout
from ems.log.appending import AppendedFile

FOLDER_FILE = "events.log"
"""The file in a ``filename`` that is a folder."""

TIME_FORMAT = "%Y-%b-%d %H:%M:%S"
"""How entries tell the local time."""

MAX_BACKLOG = 10_000
"""Events that wait for the disk: some 30 MB of them. A disk that stands still for longer loses events, not the server."""

BATCH = 500
"""Events of one write."""

INSTANCE = f"{secrets.randbelow(10_000):04}"
"""The number of this process in file names."""


class EventFile(AppendedFile):
    """The files of one sink, of which the last is open. Belongs to one thread at a time; no public method raises.

    `now` tells seconds since 1970; `software` is who writes.
    """

    log = Logger()

    def __init__(
        self, sink: EventSink, path: Path, software: str, custom_data: Plain = None, now: Callable[[], float] = time.time
    ) -> None:
        super().__init__(now)
        self._sink = sink
        self._path = path / FOLDER_FILE if sink.filename.endswith(os.sep) else path
        self._software = software
        self._custom_data = custom_data
        self._layout = make_layout(sink.format, timestamp=sink.timestamp)
        self._chunked = bool(sink.file_chunk_length) != bool(sink.file_chunk_time)
        self._ends = 0.0
        self._part = 0
        self._number = 0

    def write(self, events: Sequence[Event]) -> None:
        """Append the entries of these events."""
        entries = [entry for entry in map(self._entry, events) if entry]
        if entries:
            self._write(entries)

    def close(self) -> None:
        """End the open file, if there is one."""
        self._close()

    def _entry(self, event: Event) -> bytes:
        stamp = _local(event.timestamp) if self._sink.timestamp else ""
        try:
            entry = self._layout.entry(event.envelope(self._custom_data), self._number, stamp)
        except Exception:
            self.log.failure("{type} cannot be written to {path}", type=event.type, path=self._path)
            return b""
        self._number += bool(entry)
        return entry

    def _outdated(self) -> bool:
        return self._chunked and self._now() >= self._ends

    def _open(self) -> None:
        began = self._now()
        self._ends = self._end_of_part(began)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(self._path.with_name(self._name(began)), flags, 0o640)
        self._part += 1
        self._put(self._layout.header(self._software, _local(began)))

    def _name(self, began: float) -> str:
        base, dot, extension = self._path.name.partition(".")
        parts = [base]
        if self._sink.append_instance:
            parts.append(INSTANCE)
        if self._sink.append_timestamp:
            parts.append(time.strftime("%Y%m%d_%H%M%S", time.localtime(began)))
        elif self._chunked:
            parts.append(f"{self._part:04}")
        return "_".join(parts) + dot + extension

    def _end_of_part(self, began: float) -> float:
        """When a part that has begun then is to end, in seconds since 1970."""
        if not self._sink.file_chunk_time:
            return began + self._sink.file_chunk_length
        hour, minute, second = [*map(int, self._sink.file_chunk_time.split(":")), 0][:3]
        here = datetime.fromtimestamp(began)
        end = here.replace(hour=hour, minute=minute, second=second, microsecond=0)
        return (end if end > here else end + timedelta(days=1)).timestamp()

    def _recovered(self, lost: int) -> None:
        self.log.warn("{path} is written again; {lost} events are missing there", path=self._path, lost=lost)

    def _failed(self, error: OSError) -> None:
        self.log.error("events cannot be written to {path}: {reason}; they are lost", path=self._path, reason=error.strerror)

    def _close(self) -> None:
        if self._file is not None and self._failed_at is None:
            self._end()
        super()._close()

    def _end(self) -> None:
        try:
            self._put(self._layout.footer())
        except OSError as error:
            self._failed(error)


class FileSink:
    """Has an `EventFile` written in a thread; `in_thread` runs a function there and returns a Deferred of its result."""

    log = Logger()

    def __init__(self, file: EventFile, in_thread: Callable[..., "Deferred[Any]"] = deferToThread) -> None:
        self._file = file
        self._in_thread = in_thread
        self._backlog = Backlog(MAX_BACKLOG)
        self._started = False
        self._writing: Deferred[None] | None = None

    def __call__(self, event: Event) -> None:
        """Have an event written."""
        self._backlog.put(event)
        self._proceed()

    def start(self) -> None:
        """Write from now on, first what has come before."""
        self._started = True
        self._proceed()

    async def stop(self) -> None:
        """Write what waits, and close the file."""
        if self._writing is not None:
            await self._writing
        await self._in_thread(self._file.close)

    def _proceed(self) -> None:
        if self._started and self._writing is None and self._backlog:
            writing = self._writing = Deferred.fromCoroutine(self._write())
            writing.addBoth(self._written)

    async def _write(self) -> None:
        while self._backlog:
            await self._in_thread(self._file.write, self._backlog.take(BATCH))
            dropped = self._backlog.take_dropped()
            if dropped:
                self.log.error("the disk is too slow: {dropped} events were not written", dropped=dropped)

    def _written(self, result: Any) -> None:
        self._writing = None
        if result is not None:
            self.log.failure("events were not written", failure=result)


class ConsoleSink:
    """Writes events as text to the console, where there is one."""

    def __init__(self, stdout: TextIO, custom_data: Plain = None) -> None:
        self._stdout = stdout
        self._custom_data = custom_data
        self._layout: Layout = TextLayout()
        self._number = 0

    def __call__(self, event: Event) -> None:
        """Write an event."""
        entry = self._layout.entry(event.envelope(self._custom_data), self._number, _local(event.timestamp))
        self._number += 1
        self._stdout.write(entry.decode())
        self._stdout.flush()

    def start(self) -> None:
        """Nothing has to be prepared."""

    async def stop(self) -> None:
        """Nothing is held back."""


def _local(moment: float) -> str:
    return time.strftime(TIME_FORMAT, time.localtime(moment))
