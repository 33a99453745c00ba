"""A bad network: a UDP relay that loses, doubles, delays and so turns datagrams around, by a seeded chance."""

import heapq
import itertools
import random
import select
import socket
import threading
import time
from types import TracebackType


class LossyRelay:
    """Hands datagrams on from a port of 127.0.0.1, a free one unless it is given, to `target`, as long as its context lasts.

    `loss` and `duplicates` are shares of the datagrams, `jitter` is the longest delay in seconds. `free` is the share of those
    that are delayed by themselves and so overtake; the others wait in a queue. `seen` and `lost` count. What comes from `target`
    is not handed on.
    """

    def __init__(
        self,
        target: int,
        *,
        loss: float = 0.0,
        duplicates: float = 0.0,
        jitter: float = 0.0,
        free: float = 1.0,
        seed: int = 1,
        port: int = 0,
    ) -> None:
        self.seen = self.lost = 0
        self._target = ("127.0.0.1", target)
        self._loss, self._duplicates, self._jitter, self._free = loss, duplicates, jitter, free
        self._queue_end = 0.0
        self._random = random.Random(seed)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))
        self._socket.setblocking(False)
        self._waiting: list[tuple[float, int, bytes]] = []
        self._numbers = itertools.count()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._running = True

    @property
    def port(self) -> int:
        """Where to send."""
        return int(self._socket.getsockname()[1])

    def __enter__(self) -> "LossyRelay":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._running = False
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while self._running:
            if select.select([self._socket], [], [], 0.002)[0]:
                data, sender = self._socket.recvfrom(65_535)
                if sender != self._target:
                    self._take(data)
            now = time.monotonic()
            while self._waiting and self._waiting[0][0] <= now:
                self._socket.sendto(heapq.heappop(self._waiting)[2], self._target)

    def _take(self, data: bytes) -> None:
        self.seen += 1
        if self._random.random() < self._loss:
            self.lost += 1
            return
        for _ in range(1 + (self._random.random() < self._duplicates)):
            due = time.monotonic() + self._random.random() * self._jitter
            if self._random.random() >= self._free:
                due = self._queue_end = max(due, self._queue_end)
            heapq.heappush(self._waiting, (due, next(self._numbers), data))
