"""What an answer of the web server costs: a playlist of 2 KB and a segment of 1 MB, beside nginx.

::

    .venv/bin/python -m bench.http_segments

Our server has both files in memory, as a running stream's are; nginx has them on a disk that the kernel holds in memory. Each of
`--clients` connections asks again as soon as it has its answer. What is printed is a line of JSON for each run: the server's
processor time per answer (user and system, from the operating system), answers per second of that time, and answers per second
of the clock, which the client in Python limits: compare the former.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure import cpu_seconds, resident_bytes
from tests.processes import free_port

FILES = {"playlist.m3u8": 2_000, "segment_1.ts": 1_000_000}

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{ listen 127.0.0.1:{port}; root {folder}/webroot; }}
}}
"""


def serve(folder: Path, port: int) -> None:
    """Our server with the files in memory, until it is stopped."""
    from twisted.internet import asyncioreactor

    asyncioreactor.install()
    from twisted.internet import reactor

    from ems.config.web import default_web_config
    from ems.testing import testing_server
    from ems.web.service import WebServer

    server = testing_server(reactor, runtime=folder)  # type: ignore[arg-type]
    web = WebServer(server, default_web_config(folder, port=port, bind_to_ip="127.0.0.1"), reactor)
    for name in FILES:
        path = folder / "webroot" / name
        server.published.put(path, path.read_bytes())
    web.bind()
    web.startService()
    reactor.addSystemEventTrigger("before", "shutdown", web.stopService)  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]


@contextmanager
def started(name: str, folder: Path, port: int) -> Iterator[int]:
    """The process id of a server that answers."""
    command: list[str | Path] = [sys.executable, "-m", "bench.http_segments", "--serve", str(folder), "--port", str(port)]
    if name == "nginx":
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
        command = ["nginx", "-e", folder / "error.log", "-p", folder, "-c", folder / "nginx.conf"]
    process = subprocess.Popen(["taskset", "-c", "0", *command])
    try:
        wait_for(port)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def wait_for(port: int) -> None:
    """Return when somebody listens."""
    import socket

    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nobody listens on {port}")


class Asker(asyncio.Protocol):
    """One connection, which asks again and again and counts."""

    def __init__(self, request: bytes, size: int) -> None:
        self.answers = 0
        self._request = request
        self._size = size
        self._left = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._left < 0:
            head = data.index(b"\r\n\r\n") + 4
            assert data.startswith(b"HTTP/1.1 200")
            self._left = self._size + head
        self._left -= len(data)
        if self._left == 0:
            self._left = -1
            self.answers += 1
            self._transport.write(self._request)


async def load(port: int, name: str, clients: int, seconds: float, process_id: int) -> dict[str, float]:
    """Ask for a file with so many clients; the figures of the time after the first half second."""
    request = f"GET /{name} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: bench\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    askers = []
    for _ in range(clients):
        _, asker = await loop.create_connection(lambda: Asker(request, FILES[name]), "127.0.0.1", port)
        askers.append(asker)
    await asyncio.sleep(0.5)
    answers, cpu, began = sum(one.answers for one in askers), cpu_seconds(process_id), time.monotonic()
    await asyncio.sleep(seconds)
    answered = sum(one.answers for one in askers) - answers
    used = cpu_seconds(process_id) - cpu
    return {
        "cpu_us": round(used / answered * 1e6, 1),
        "answers_per_cpu_s": round(answered / used),
        "answers_per_s": round(answered / (time.monotonic() - began)),
        "resident_mb": round(resident_bytes(process_id) / 1e6, 1),
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.port)
        return
    os.sched_setaffinity(0, {1} & os.sched_getaffinity(0) or os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o755)
        (folder / "webroot").mkdir()
        for name, size in FILES.items():
            (folder / "webroot" / name).write_bytes(b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n".ljust(size, b"x"))
        for _ in range(options.rounds):
            for server in ("ems", "nginx"):
                with started(server, folder, port := free_port()) as process_id:
                    for name in FILES:
                        figures = asyncio.run(load(port, name, options.clients, options.seconds, process_id))
                        print(json.dumps({"server": server, "file": name, **figures}), flush=True)


if __name__ == "__main__":
    main()
