"""A file that is appended to for as long as the server runs, whatever happens to its disk.

A full disk or a folder that somebody removes never reaches the server as an exception: records are lost and counted, which is
told once, and writing is tried again a second later.
"""

import errno
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress

RETRY_INTERVAL = 1.0
"""Seconds between two attempts to write where writing failed."""


class AppendedFile(ABC):
    """One file after another, of which the last is open; subclasses say how they are called and when a new one begins.

    `now` tells seconds since the epoch.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._file: int | None = None
        self._size = 0
        self._failed_at: float | None = None
        self._lost = 0

    @abstractmethod
    def _open(self) -> None:
        """Open the next file as `_file` and `_put` what it begins with. Raises `OSError`."""

    @abstractmethod
    def _outdated(self) -> bool:
        """Whether the open file has had its time, so that the next one begins."""

    @abstractmethod
    def _failed(self, error: OSError) -> None:
        """Tell that records are lost from now on."""

    def _lost_record(self, lost: int) -> bytes:
        """What is written in the place of so many lost records."""
        return b""

    def _recovered(self, lost: int) -> None:
        """Writing works again, after so many records were lost."""

    def _write(self, records: Sequence[bytes]) -> None:
        """Append records, opening a file first when there is none; never raises."""
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
        if self._file is None or self._outdated():
            self._close()
            self._size = 0
            self._open()
        if not self._lost:
            self._put(data)
            return
        self._put(self._lost_record(self._lost) + data)
        lost, self._lost = self._lost, 0
        self._recovered(lost)

    def _put(self, data: bytes) -> None:
        if self._file is None or not data:
            return
        written = os.write(self._file, data)
        self._size += written
        if written < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            with suppress(OSError):
                os.close(file)

    def _fail(self, error: OSError, records: int, now: float) -> None:
        """Remember the loss and say so, once until writing works again."""
        if self._failed_at is None:
            self._failed(error)
        self._lost += records
        self._failed_at = now
        self._close()
