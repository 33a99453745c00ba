"""A bad network between a publisher of RTSP and the server: requests pass through it, and its media over UDP suffer.

The server tells in its answers to SETUP on which ports it receives a medium (RFC 2326 §12.39). The relay puts ports of its own in
their place, behind each of which is a `LossyRelay` to the server's.
"""

import contextlib
import re
import select
import socket
import threading
from types import TracebackType

from tests.interop.lossy_relay import LossyRelay

_SERVER_PORTS = re.compile(rb"server_port=(\d+)-(\d+)")


class LossyRtsp:
    """Takes one connection on a free port of 127.0.0.1, as long as its context lasts, and passes it on to `target`.

    `loss`, `duplicates` and `jitter` are those of a `LossyRelay`; reports (RTCP) suffer like media.
    """

    def __init__(self, target: int, *, loss: float, duplicates: float, jitter: float) -> None:
        self._target = ("127.0.0.1", target)
        self._loss, self._duplicates, self._jitter = loss, duplicates, jitter
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._relays = contextlib.ExitStack()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._running = True
        self.media: list[LossyRelay] = []

    @property
    def port(self) -> int:
        """Where to connect."""
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> "LossyRtsp":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._running = False
        self._thread.join()
        self._relays.close()
        self._listener.close()

    def _run(self) -> None:
        while self._running and not select.select([self._listener], [], [], 0.05)[0]:
            pass
        if not self._running:
            return
        with self._listener.accept()[0] as client, socket.create_connection(self._target) as server:
            while self._running:
                for readable in select.select([client, server], [], [], 0.05)[0]:
                    data = readable.recv(65_536)
                    if not data:
                        return
                    if readable is client:
                        server.sendall(data)
                    else:
                        client.sendall(_SERVER_PORTS.sub(self._other_ports, data))

    def _other_ports(self, ports: re.Match[bytes]) -> bytes:
        """A pair of ports in the place of the server's: the one for RTCP follows the one for RTP."""
        rtp, rtcp = map(int, ports.groups())
        while True:
            media = self._relay(rtp)
            try:
                reports = self._relay(rtcp, media.port + 1)
            except OSError:
                continue
            self.media.append(self._relays.enter_context(media))
            self._relays.enter_context(reports)
            return b"server_port=%d-%d" % (media.port, reports.port)

    def _relay(self, target: int, port: int = 0) -> LossyRelay:
        return LossyRelay(target, loss=self._loss, duplicates=self._duplicates, jitter=self._jitter, port=port)
