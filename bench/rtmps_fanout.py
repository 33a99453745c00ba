"""Fan-out through TLS: one publisher of 2.5 Mbit/s and 300 RTMPS players.

    .venv/bin/python -m bench.rtmps_fanout [--players 300] [--rounds 3] [--seconds 10] [--reactor asyncio]

The publisher comes without TLS, so what is measured is the way out: the server's processor time for each message that players
received, encryption and kernel included, and the delay of video frames. The players are those of ``rtmp_fanout`` with OpenSSL.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.command import read_options
from bench.measure import cpu_seconds
from bench.programs import Players, Publisher, require, start_ems
from bench.report import Goals, median, print_run, print_table
from tests.processes import Children, free_port

SETTLE_SECONDS = 5

CONNECT_SECONDS = 60

CPU_US = 12
"""Processor time per message: a record costs OpenSSL and the kernel a few µs, and a batch of 50 ms has four messages."""


def main() -> int:
    """Run the benchmark; the exit status is 1 when a figure was not reached."""
    options = read_options(__doc__, players=300, rounds=3, seconds=10, reactor="asyncio")
    require("ffmpeg", "openssl", "taskset")
    runs: list[dict[str, Any]] = []
    for round_number in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            run = measure(Path(folder), options.players, options.seconds, options.reactor)
        runs.append({"players": options.players, "round": round_number, **run})
        print_run(**runs[-1])
    return report(runs)


def measure(folder: Path, count: int, seconds: int, reactor: str) -> dict[str, Any]:
    """One run."""
    make_certificate(folder)
    port = free_port()
    acceptor = f'{{ ip = "127.0.0.1", port = {port}, protocol = "inboundRtmps", sslKey = "key.pem", sslCert = "cert.pem" }}'
    children = Children(folder)
    try:
        server = start_ems(children, folder, reactor, acceptor)
        publisher = Publisher(children, server.port)
        players = Players(children, port, count, settle=SETTLE_SECONDS, seconds=seconds, program="rtmps_load")
        players.wait_for("START", CONNECT_SECONDS + SETTLE_SECONDS)
        cpu = cpu_seconds(server.process_id)
        players.wait_for("END", seconds + 10)
        cpu = cpu_seconds(server.process_id) - cpu
        seen = players.result()
        publisher.stop()
    finally:
        children.stop_all()
    return {
        "cpu_us": cpu * 1e6 / (seen["vmsg"] + seen["amsg"]),
        "cores": cpu / seen["secs"],
        "mbit_s": seen["mbit"] / seen["secs"],
        "p50_ms": seen["lat_p50_ms"],
        "p99_ms": seen["lat_p99_ms"],
        "lost": seen["lost"] + seen["failed"] + seen["nodata"],
        "client_cores": seen["client_cpu"],
    }


def make_certificate(folder: Path) -> None:
    """Make ``key.pem`` and ``cert.pem``: an ECDSA key that has signed itself."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    files = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    command = ["openssl", "req", "-x509", *key, "-days", "1", "-subj", "/CN=localhost", *files]
    subprocess.run(command, check=True, capture_output=True)


def report(runs: list[dict[str, Any]]) -> int:
    """Print medians and goals; 1 when a goal was missed."""
    keys = ("cpu_us", "cores", "mbit_s", "p50_ms", "p99_ms", "lost", "client_cores")
    print_table([("players", *keys), (runs[0]["players"], *(median(runs, key) for key in keys))])
    goals = Goals()
    goals.at_most("CPU per message", median(runs, "cpu_us"), CPU_US, " µs")
    goals.at_most("frames and players lost", median(runs, "lost"), 0)
    goals.print()
    return 1 if goals.missed else 0


if __name__ == "__main__":
    sys.exit(main())
