"""What the server does for itself now and then: give memory back that a rush of connections has left behind.

Handshakes need kilobytes for a moment. What stays of a connection lies scattered over the memory that a rush has taken, and the
allocator keeps the free rest: nearly 2 KiB for each of a thousand players who came at once.
"""

import ctypes
import gc
from collections.abc import Sized

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall


def return_free_memory() -> None:
    """Clear away what is garbage, and give free pages back to the system, where the C library can (glibc's ``malloc_trim``).

    Some milliseconds: what was there at the start is frozen and not looked at.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class Housekeeping(Service):
    """Looks at the number of `connections` each `INTERVAL`, and returns free memory once after each rush of them."""

    INTERVAL = 2.0
    """Seconds between two looks."""

    RUSH = 64
    """Connections by which their number has changed since memory was last returned."""

    def __init__(self, clock: IReactorTime, connections: Sized) -> None:
        self.setName("housekeeping")
        self._connections = connections
        self._settled = self._before = 0
        self._looks = LoopingCall(self._look)
        self._looks.clock = clock

    def startService(self) -> None:
        super().startService()
        self._looks.start(self.INTERVAL, now=False)

    def stopService(self) -> None:
        super().stopService()
        if self._looks.running:
            self._looks.stop()

    def _look(self) -> None:
        count = len(self._connections)
        calm = abs(count - self._before) < self.RUSH // 8
        self._before = count
        if calm and abs(count - self._settled) >= self.RUSH:
            self._settled = count
            return_free_memory()
