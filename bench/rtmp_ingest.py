"""Ingest: 40 and 100 RTMP publishers of 2.5 Mbit/s each that nobody watches, beside nginx-rtmp in the same run.

    .venv/bin/python -m bench.rtmp_ingest [--publishers 40 100] [--rounds 5] [--seconds 10] [--reactor asyncio]

Each run starts a server afresh, and the servers take turns. It measures the server's processor time for each second of each
stream.
"""

import functools
import sys
import time
from pathlib import Path
from typing import Any

from bench.command import read_options, take_turns
from bench.measure import cpu_seconds
from bench.programs import STARTERS, Publisher, RtmpServer, require, start_ems
from bench.report import Goals, median, print_table
from tests.processes import Children

SETTLE_SECONDS = 3
"""From the last publisher's acceptance to the measurement: all have sent a key frame by then."""

CPU_RATIO = 2.0
"""Of nginx-rtmp's processor time per stream and second."""


def main() -> int:
    """Run the benchmark; the exit status is 1 when a figure was not reached."""
    options = read_options(__doc__, publishers=[40, 100], rounds=5, seconds=10, servers=[*STARTERS], reactor="asyncio")
    require("nginx", "ffmpeg", "taskset")
    starters = {**STARTERS, "ems": functools.partial(start_ems, reactor=options.reactor)}
    runs = take_turns(options, "publishers", lambda name, *run: measure(starters[name], *run, options.seconds))
    return report(runs)


def measure(start: Any, folder: Path, count: int, seconds: int) -> dict[str, Any]:
    """One run of one server."""
    children = Children(folder)
    try:
        server: RtmpServer = start(children, folder)
        publisher = Publisher(children, server.port, streams=count, seconds=SETTLE_SECONDS + seconds + 2)
        time.sleep(SETTLE_SECONDS)
        began, cpu = time.monotonic(), cpu_seconds(server.process_id)
        time.sleep(seconds)
        elapsed, cpu = time.monotonic() - began, cpu_seconds(server.process_id) - cpu
        sent = publisher.result()
    finally:
        children.stop_all()
    assert sent["alive"] == count, f"{count - sent['alive']} publishers were cut off"
    return {
        "cpu_ms": cpu * 1e3 / elapsed / count,
        "cores": cpu / elapsed,
        "mbit_s": sent["mbit"] / sent["wall"] / count,
        "late_ms": sent["maxlate_ms"],
    }


def report(runs: list[dict[str, Any]]) -> int:
    """Print medians and goals; 1 when a goal was missed."""
    rows: list[tuple[object, ...]] = [("publishers", "server", "CPU ms/stream-second", "of a core", "Mbit/s each")]
    goals = Goals()
    for count in sorted({run["publishers"] for run in runs}):
        cpu = {}
        for name in STARTERS:
            mine = [run for run in runs if (run["publishers"], run["server"]) == (count, name)]
            if mine:
                cpu[name] = median(mine, "cpu_ms")
                rows.append((count, name, *(median(mine, key) for key in ("cpu_ms", "cores", "mbit_s"))))
        if len(cpu) == len(STARTERS):
            goals.at_most(f"CPU per stream in units of nginx's, {count} publishers", cpu["ems"] / cpu["nginx"], CPU_RATIO)
    print_table(rows)
    goals.print()
    return 1 if goals.missed else 0


if __name__ == "__main__":
    sys.exit(main())
