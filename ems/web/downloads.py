"""Fetched media files, told as the event ``mediaFileDownloaded``.

A file that is sent whole is told of when its last byte has been written. Players fetch a file in many parts, and may leave out
some: such a download counts as finished when no part has been asked for during `timeout` seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import time

from ems.web.sessions import Emit, local_time

MAX_DOWNLOADS = 10_000
"""Downloads in parts at a time, about 5 MB; the oldest of more are told of early."""


@dataclass(slots=True, eq=False)
class Download:
    """One client and one file, from `started` to `stopped` (seconds since 1970); `last_seen` is in the clock's seconds."""

    started: float
    stopped: float
    last_seen: float
    alias: str
    active: int = 0


class Downloads:
    """The downloads under way; `on_end` is told of the alias of each that is over and had one."""

    def __init__(self, now: Callable[[], float], timeout: float, emit: Emit, on_end: Callable[[str], None]) -> None:
        self._now = now
        self._timeout = timeout
        self._emit = emit
        self._on_end = on_end
        self._downloads: dict[tuple[str, str], Download] = {}

    def __len__(self) -> int:
        return len(self._downloads)

    def whole(self, ip: str, path: str, started: float, alias: str) -> None:
        """A file has been sent whole; it was asked for at `started`."""
        self._tell(ip, path, Download(started, time(), self._now(), alias))

    def part_begins(self, ip: str, path: str, alias: str) -> Download:
        """A part of a file is being sent; `part_ends` follows."""
        download = self._downloads.get((ip, path))
        if download is None:
            if len(self._downloads) >= MAX_DOWNLOADS:
                self._finish(next(iter(self._downloads)))
            download = self._downloads[ip, path] = Download(time(), time(), self._now(), alias)
        download.active += 1
        return download

    def part_ends(self, download: Download) -> None:
        """The part has been sent, or its client is gone."""
        download.active -= 1
        download.stopped = time()
        download.last_seen = self._now()

    def tick(self) -> None:
        """Tell of the downloads that are over; called about once a second."""
        limit = self._now() - self._timeout
        for key in [key for key, one in self._downloads.items() if not one.active and one.last_seen <= limit]:
            self._finish(key)

    def end_all(self) -> None:
        """The server stops."""
        for key in [*self._downloads]:
            self._finish(key)

    def _finish(self, key: tuple[str, str]) -> None:
        self._tell(*key, self._downloads.pop(key))

    def _tell(self, ip: str, path: str, download: Download) -> None:
        payload = {
            "clientIP": ip,
            "mediaFile": path,
            "startTime": local_time(download.started),
            "stopTime": local_time(download.stopped),
            "elapsed": int(download.stopped - download.started),
        }
        self._emit("mediaFileDownloaded", payload)
        if download.alias:
            self._on_end(download.alias)
