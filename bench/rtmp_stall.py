"""A stalled player: 200 players, one of which is stopped for 30 s as by a frozen television.

    .venv/bin/python -m bench.rtmp_stall [--players 200] [--seconds 30] [--reactor asyncio]

The others must not miss a frame, the server must not hoard memory for the stopped one, and that one must go on with a key
frame when it wakes.
"""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.command import read_options
from bench.measure import resident_bytes
from bench.programs import Players, Publisher, RtmpServer, require, start_ems
from bench.report import Goals, print_run
from tests.processes import Children

SETTLE_SECONDS = 8
"""Twice what the ring holds: the server's memory has its size by then."""

AWAKE_SECONDS = 10
"""How long the player is watched after it was stopped: several key frames."""

MEMORY_GROWTH = 2 << 20

LONGEST_GAP_MS = 500
"""Between two video frames of a player that was not stopped; anybody's picture stands for 33 ms."""


def main() -> int:
    """Run the benchmark; the exit status is 1 when a promise was not kept."""
    options = read_options(__doc__, players=200, seconds=30, reactor="asyncio")
    require("ffmpeg", "taskset")
    with tempfile.TemporaryDirectory() as folder:
        run = measure(Path(folder), options.players, options.seconds, options.reactor)
    print_run(**run)
    return report(run)


def measure(folder: Path, count: int, seconds: int, reactor: str) -> dict[str, Any]:
    """Stop one player in the midst of the measurement, and collect what all have seen."""
    children = Children(folder)
    watched = 2 + seconds + AWAKE_SECONDS
    try:
        server = start_ems(children, folder, reactor)
        publisher = Publisher(children, server.port)
        others = Players(children, server.port, count - 1, settle=SETTLE_SECONDS, seconds=watched)
        stopped = Players(children, server.port, 1, settle=SETTLE_SECONDS, seconds=watched)
        for players in (others, stopped):
            players.wait_for("START", 60)
        before = resident_bytes(server.process_id)
        peak = _stop_for(seconds, stopped, server)
        for players in (others, stopped):
            players.wait_for("END", watched + 10)
        seen, missed = others.result(), stopped.result()
        publisher.stop()
    finally:
        children.stop_all()
    return {
        "players": count,
        "stopped_s": seconds,
        "others_lost": seen["lost"] + seen["failed"] + seen["nodata"] + (count - 1 - seen["alive"]),
        "others_max_gap_ms": seen["max_gap_ms"],
        "others_p99_ms": seen["lat_p99_ms"],
        "growth_bytes": peak - before,
        "stopped_alive": missed["alive"],
        "stopped_gaps": missed["gaps"],
        "stopped_lost": missed["lost"],
        "stopped_bad_resumes": missed["bad_resumes"],
    }


def _stop_for(seconds: int, players: Players, server: RtmpServer) -> int:
    """Stop the players' process for some seconds, and return the most memory that the server held meanwhile, in bytes."""
    peak = 0
    os.kill(players.process_id, signal.SIGSTOP)
    try:
        for _ in range(seconds):
            time.sleep(1)
            peak = max(peak, resident_bytes(server.process_id))
    finally:
        os.kill(players.process_id, signal.SIGCONT)
    return peak


def report(run: dict[str, Any]) -> int:
    """Print what was promised and what came; 1 when a promise was not kept."""
    goals = Goals()
    goals.at_most("frames that the others missed", run["others_lost"], 0)
    goals.at_most("longest time between two frames of the others", run["others_max_gap_ms"], LONGEST_GAP_MS, " ms")
    goals.at_most("growth of the server's memory", run["growth_bytes"] / 1024, MEMORY_GROWTH / 1024, " KiB")
    goals.at_most("stopped players that were cut off", 1 - run["stopped_alive"], 0)
    goals.at_most("stopped players that never went on with the present", 1 - min(1, run["stopped_gaps"]), 0)
    goals.at_most("gaps that did not end with a key frame", run["stopped_bad_resumes"], 0)
    goals.print()
    return 1 if goals.missed else 0


if __name__ == "__main__":
    sys.exit(main())
