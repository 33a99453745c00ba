"""A long look at the transport streams that go out: is every packet, table, counter and clock right after ten minutes?

    .venv/bin/python -m bench.ts_analysis [--seconds 600] [--folder DIR]

ffmpeg publishes the clip over and over; the server pushes it over UDP and over TCP at the same time. What comes is judged by
`tests.ts_analyser` (ETSI TR 101 290), and by dvbinfo when that is installed (Debian: dvbpsi-utils). With `--folder` the
recordings, 200 MB for ten minutes each, are kept there.
"""

import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.command import read_options
from bench.programs import clip, require
from bench.report import Goals, print_run
from tests.processes import Children, wait_until
from tests.server import EmsServer
from tests.ts_analyser import analyse

WAYS = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}

BUFFER = 4 << 20
"""Bytes of the receiver's socket: a busy machine must not lose what the server has sent."""

PACKET = 188
COMPLAINTS = ("discontinuity", "error", "warning")
CLOCK = 27_000_000
"""Hz of the program clock reference."""


class Recorder:
    """Writes what is pushed to `port` of 127.0.0.1 into a file until it is stopped."""

    def __init__(self, way: str, path: Path) -> None:
        self.path = path
        self._stopped = False
        self._socket = socket.socket(socket.AF_INET, WAYS[way])
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.5)
        self.port: int = self._socket.getsockname()[1]
        if way == "tcp":
            self._socket.listen()
        self._thread = threading.Thread(target=self._from_tcp if way == "tcp" else lambda: self._record(self._socket))
        self._thread.start()

    def stop(self) -> bytes:
        """Record no more, and give all whole packets that have come."""
        self._stopped = True
        self._thread.join()
        self._socket.close()
        data = self.path.read_bytes()
        return data[: len(data) // PACKET * PACKET]

    def _from_tcp(self) -> None:
        while not self._stopped:
            try:
                connection = self._socket.accept()[0]
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(0.5)
                self._record(connection)
            return

    def _record(self, source: socket.socket) -> None:
        with self.path.open("wb") as file:
            while not self._stopped:
                try:
                    data = source.recv(1 << 16)
                except TimeoutError:
                    continue
                if not data:
                    return
                file.write(data)


def main() -> int:
    """Run the analysis; the exit status is 1 when anything is wrong with the streams."""
    options = read_options(__doc__, seconds=600, folder="")
    require("ffmpeg")
    goals = Goals()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.folder or temporary)
        for way, recorder in record(folder, options.seconds).items():
            report(goals, way, recorder, options.seconds)
    goals.print()
    return int(goals.missed > 0)


def record(folder: Path, seconds: int) -> dict[str, Recorder]:
    """Have a stream pushed by all ways for so long."""
    for part in ("output", "server"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    children = Children(folder / "output")
    recorders = {way: Recorder(way, folder / f"{way}.ts") for way in WAYS}
    try:
        server = EmsServer(children, folder / "server")
        source = ("-re", "-stream_loop", "-1", "-i", clip(), "-c", "copy", "-f", "flv", server.rtmp("mine"))
        children.start("ffmpeg", "-nostdin", "-v", "error", *source)
        server.wait_for_stream("mine")
        for way, recorder in recorders.items():
            server.api("pushStream", uri=f"mpegts{way}://127.0.0.1:{recorder.port}", localStreamName="mine")
        wait_until(lambda: all(one.path.exists() and one.path.stat().st_size for one in recorders.values()), "the packets", 20)
        time.sleep(seconds)
        server.stop()
    finally:
        children.stop_all()
    return recorders


def report(goals: Goals, way: str, recorder: Recorder, seconds: int) -> None:
    """Print what there is to say of a recording."""
    data = recorder.stop()
    found = analyse(data)
    gaps = [(after - before) % (300 << 33) / CLOCK for before, after in pairwise(found.pcr)]
    run: dict[str, Any] = {"way": way, "packets": found.packets, "clock_seconds": sum(gaps), "largest_pcr_gap": max(gaps)}
    complaints = dvbinfo(recorder.path)
    print_run(**run, dvbinfo_complaints=None if complaints is None else len(complaints))
    for error in (*found.errors[:20], *(complaints or ())[:20]):
        print(f"  {error}")
    goals.at_most(f"{way}: errors", len(found.errors), 0)
    goals.at_most(f"{way}: complaints of dvbinfo", len(complaints or ()), 0)
    goals.at_most(f"{way}: seconds between two PCR", max(gaps), 0.1)
    goals.at_most(f"{way}: seconds that the clock is off", abs(sum(gaps) - seconds), 5)


def dvbinfo(path: Path) -> list[str] | None:
    """The complaints that dvbinfo has about a file, among a line for each packet; None when it is not installed."""
    if shutil.which("dvbinfo") is None:
        return None
    command = ("dvbinfo", "--file", path)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace") as running:
        assert running.stdout is not None
        return [line.rstrip() for line in running.stdout if any(word in line.lower() for word in COMPLAINTS)]


if __name__ == "__main__":
    sys.exit(main())
