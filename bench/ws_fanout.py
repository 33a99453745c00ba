"""Fan-out over WebSocket: one publisher of 2.5 Mbit/s and 100 and 500 players of fragmented MP4.

    .venv/bin/python -m bench.ws_fanout [--players 100 500] [--rounds 2] [--seconds 10] [--reactor asyncio]

Per run it measures the server's processor time for each message of the source (a picture or a frame of sound, as in the other
benchmarks of fan-out) that a viewer got, and for each fragment (a picture and the sound before it), the share of a core, viewers
that were cut off, and by how much all received more or less than one of them.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.command import read_options
from bench.measure import cpu_seconds
from bench.programs import CLIENT_CORE, Publisher, require, start_ems
from bench.report import Goals, median, print_run, print_table
from tests.processes import Child, Children, free_port, wait_until

CONNECT_SECONDS = 60
SETTLE_SECONDS = 5

MESSAGE_US = 6.0
"""Per message of the source and viewer, from `CPU_FROM` players on; with fewer, what the stream itself costs prevails."""

CPU_FROM = 500


def main() -> int:
    """Run the benchmark; the exit status is 1 when a figure was not reached."""
    options = read_options(__doc__, players=[100, 500], rounds=2, seconds=10, reactor="asyncio")
    require("ffmpeg", "taskset")
    runs: list[dict[str, Any]] = []
    for _ in range(options.rounds):
        for count in options.players:
            with tempfile.TemporaryDirectory() as folder:
                runs.append({"players": count, **measure(Path(folder), count, options.seconds, options.reactor)})
            print_run(**runs[-1])
    return report(runs)


def measure(folder: Path, count: int, seconds: int, reactor: str) -> dict[str, Any]:
    """One run: what it cost, and what the players saw."""
    children = Children(folder)
    port = free_port()
    try:
        door = f'{{ ip = "127.0.0.1", port = {port}, protocol = "inboundWSFMP4" }}'
        server = start_ems(children, folder, reactor, door)
        publisher = Publisher(children, server.port)
        words = ("-m", "bench.ws_viewers", port, "/s", count, SETTLE_SECONDS, seconds)
        viewers = children.start("taskset", "-c", str(CLIENT_CORE), sys.executable, *map(str, words))
        wait_for(viewers, "START", CONNECT_SECONDS + SETTLE_SECONDS)
        cpu = cpu_seconds(server.process_id)
        wait_for(viewers, "END", seconds + 10)
        cpu = cpu_seconds(server.process_id) - cpu
        viewers.wait(10)
        publisher.stop()
    finally:
        children.stop_all()
    seen = json.loads(viewers.output.splitlines()[-1])
    return {
        "cpu_us": cpu * 1e6 / (seen["frames"] * count),
        "cpu_us_per_fragment": cpu * 1e6 / (seen["messages"] * count),
        "cores": cpu / seconds,
        "mbit_s": seen["all_bytes"] * 8 / 1e6 / seconds,
        "unequal": abs(seen["all_bytes"] / count / seen["bytes"] - 1),
        "lost": seen["lost"],
        "client_cores": seen["client_cpu"],
    }


def wait_for(viewers: Child, mark: str, timeout: float) -> None:
    """Wait for START or END; AssertionError when the viewers give up."""
    wait_until(lambda: mark in viewers.output or not viewers.running, f"{mark} of the viewers", timeout)
    assert mark in viewers.output, viewers.output


def report(runs: list[dict[str, Any]]) -> int:
    """Print medians and goals; 1 when a goal was missed."""
    rows: list[tuple[object, ...]] = [("players", "CPU µs/message", "CPU µs/fragment", "of a core", "Mbit/s", "cut off")]
    goals = Goals()
    for count in sorted({run["players"] for run in runs}):
        mine = [run for run in runs if run["players"] == count]
        lost = sum(run["lost"] for run in mine)
        rows.append((count, *(median(mine, key) for key in ("cpu_us", "cpu_us_per_fragment", "cores", "mbit_s")), lost))
        if count >= CPU_FROM:
            goals.at_most(f"CPU per message, {count} players", median(mine, "cpu_us"), MESSAGE_US, " µs")
        goals.at_most(f"players cut off, {count} players", lost, 0)
        goals.at_most(f"difference between players, {count} players", median(mine, "unequal"), 0.02)
    print_table(rows)
    goals.print()
    return 1 if goals.missed else 0


if __name__ == "__main__":
    sys.exit(main())
