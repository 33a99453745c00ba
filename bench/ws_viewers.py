"""Viewers of a stream over WebSocket, many in one process: ``python -m bench.ws_viewers PORT PATH COUNT SETTLE SECONDS``.

All read as fast as they can; one of them takes the frames apart, so that its messages tell those of all. Prints READY when all
are connected, START and END around the measurement, and at the end one JSON object: messages and bytes of the one, bytes of
all, viewers that were cut off, and the process's own CPU as a share of a core.
"""

import json
import selectors
import socket
import sys
import time
from typing import Any

BUFFER = memoryview(bytearray(1 << 20))
KEY = "AAAAAAAAAAAAAAAAAAAAAA=="


class Viewer:
    """One connection; with `parse` it counts messages and what is in them. The handshake is done when it is made."""

    def __init__(self, port: int, path: str, *, parse: bool) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        fields = f"Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13"
        self.socket.sendall(f"GET {path} HTTP/1.1\r\n{fields}\r\n\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            # Byte for byte, as what follows is a frame already.
            answer += self.socket.recv(1)
        assert b" 101 " in answer.partition(b"\r\n")[0], answer
        self.socket.setblocking(False)
        self.bytes = self.messages = self.frames = 0
        self._parse = parse
        self._pending = bytearray()

    def read(self) -> bool:
        """Take what is there; False at the end."""
        try:
            count = self.socket.recv_into(BUFFER)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.bytes += count
        if self._parse:
            self._count(BUFFER[:count])
        return count > 0

    def _count(self, data: memoryview) -> None:
        pending = self._pending
        pending += data
        while len(pending) >= 10:
            length = pending[1]
            start = {126: 4, 127: 10}.get(length, 2)
            if start > 2:
                length = int.from_bytes(pending[2:start], "big")
            if len(pending) < start + length:
                return
            self.frames += samples(bytes(pending[start : start + length]))
            del pending[: start + length]
            self.messages += 1


def samples(message: bytes) -> int:
    """How many pictures and frames of sound a fragment has: the sample counts of its ``trun`` boxes (ISO/IEC 14496-12 §8.8.8)."""
    head = message[: int.from_bytes(message[:4], "big")] if message[4:8] == b"moof" else b""
    return sum(int.from_bytes(box[4:8], "big") for box in head.split(b"trun")[1:])


def main() -> None:
    """Connect, settle, measure."""
    port, path, count, settle, seconds = int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:6])
    selector = selectors.DefaultSelector()
    viewers = [Viewer(port, path, parse=number == 0) for number in range(count)]
    for viewer in viewers:
        selector.register(viewer.socket, selectors.EVENT_READ, viewer)
    print("READY", flush=True)
    lost = drain(selector, settle)
    before, began = [(viewer.messages, viewer.bytes, viewer.frames) for viewer in viewers], time.process_time()
    print("START", flush=True)
    lost += drain(selector, seconds)
    print("END", flush=True)
    cpu = (time.process_time() - began) / seconds
    gained = [viewer.bytes - then[1] for viewer, then in zip(viewers, before, strict=True)]
    messages, frames = viewers[0].messages - before[0][0], viewers[0].frames - before[0][2]
    result: dict[str, Any] = {
        "messages": messages,
        "frames": frames,
        "bytes": gained[0],
        "all_bytes": sum(gained),
        "lost": lost,
        "client_cpu": cpu,
    }
    print(json.dumps(result), flush=True)


def drain(selector: selectors.BaseSelector, seconds: float) -> int:
    """Read for so many seconds; how many were cut off."""
    end = time.monotonic() + seconds
    lost = 0
    while (left := end - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            if not key.data.read():
                selector.unregister(key.fileobj)
                lost += 1
    return lost


if __name__ == "__main__":
    main()
