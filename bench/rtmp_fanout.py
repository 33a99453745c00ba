"""Fan-out: one publisher of 2.5 Mbit/s and 100, 500 and 1000 RTMP players, beside nginx-rtmp in the same run.

    .venv/bin/python -m bench.rtmp_fanout [--players 100 500 1000] [--rounds 3] [--seconds 10] [--reactor asyncio]

Each run starts a server afresh, and the servers take turns. Per run it measures the server's processor time for each message
that players received while they were watched, the delay of video frames from the publisher's `send` to the player's `recv`,
frames lost, and the growth of the server's memory for each player.
"""

import functools
import sys
from pathlib import Path
from typing import Any

from bench.command import read_options, take_turns
from bench.measure import cpu_seconds, usual_resident_bytes
from bench.programs import STARTERS, Players, Publisher, RtmpServer, require, start_ems
from bench.report import Goals, median, print_table
from tests.processes import Children

WARM_SECONDS = 20
"""One player for so long before memory is first read: the ring, which all players share, is full, and has been so for long enough
that the allocator needs no more for it."""

CONNECT_SECONDS = 120
"""What the players get for connecting: on a busy machine a thousand need a while."""

MEMORY_SECONDS = 4
"""Two groups of pictures, over which memory is looked at."""

SETTLE_SECONDS = 5
"""From the last player's connecting to the measurement: the priming is out, and the interval between sends has settled."""

CPU_RATIO = 0.6
"""Of nginx-rtmp's processor time per message, from `RATIO_FROM` players on."""

RATIO_FROM = 500

DELAY_P99_MS = 60
DELAY_AT = 500

BYTES_PER_PLAYER = 4096


def main() -> int:
    """Run the benchmark; the exit status is 1 when a figure was not reached."""
    options = read_options(__doc__, players=[100, 500, 1000], rounds=3, seconds=10, servers=[*STARTERS], reactor="asyncio")
    require("nginx", "ffmpeg", "taskset")
    starters = {**STARTERS, "ems": functools.partial(start_ems, reactor=options.reactor)}
    runs = take_turns(options, "players", lambda name, *run: measure(starters[name], *run, options.seconds))
    return report(runs)


def measure(start: Any, folder: Path, count: int, seconds: int) -> dict[str, Any]:
    """One run of one server: what it cost, and what the players saw."""
    children = Children(folder)
    try:
        server: RtmpServer = start(children, folder)
        publisher = Publisher(children, server.port)
        Players(children, server.port, 1, settle=WARM_SECONDS, seconds=600).wait_for("START", 10 + WARM_SECONDS)
        memory = usual_resident_bytes(server.process_id, MEMORY_SECONDS)
        players = Players(children, server.port, count, settle=SETTLE_SECONDS, seconds=seconds)
        players.wait_for("START", CONNECT_SECONDS + SETTLE_SECONDS)
        cpu = cpu_seconds(server.process_id)
        after = usual_resident_bytes(server.process_id, min(MEMORY_SECONDS, seconds - 1))
        players.wait_for("END", seconds + 10)
        cpu = cpu_seconds(server.process_id) - cpu
        seen = players.result()
        publisher.stop()
    finally:
        children.stop_all()
    messages = seen["vmsg"] + seen["amsg"]
    return {
        "cpu_us": cpu * 1e6 / messages,
        "cores": cpu / seen["secs"],
        "mbit_s": seen["mbit"] / seen["secs"],
        "p50_ms": seen["lat_p50_ms"],
        "p99_ms": seen["lat_p99_ms"],
        "max_ms": seen["lat_max_ms"],
        "lost": seen["lost"] + seen["failed"] + seen["nodata"],
        "bytes_per_player": (after - memory) / count,
        "client_cores": seen["client_cpu"],
    }


def report(runs: list[dict[str, Any]]) -> int:
    """Print medians and goals; 1 when a goal was missed."""
    heads = ("players", "server", "CPU µs/message", "of a core", "p50 ms", "p99 ms", "bytes/player", "lost")
    keys = ("cpu_us", "cores", "p50_ms", "p99_ms", "bytes_per_player")
    rows: list[tuple[object, ...]] = [heads]
    goals = Goals()
    for count in sorted({run["players"] for run in runs}):
        cpu = {}
        for name in STARTERS:
            mine = [run for run in runs if (run["players"], run["server"]) == (count, name)]
            if mine:
                cpu[name] = median(mine, "cpu_us")
                rows.append((count, name, *(median(mine, key) for key in keys), sum(run["lost"] for run in mine)))
        ours = [run for run in runs if (run["players"], run["server"]) == (count, "ems")]
        if count >= RATIO_FROM and len(cpu) == len(STARTERS):
            goals.at_most(f"CPU per message as a share of nginx's, {count} players", cpu["ems"] / cpu["nginx"], CPU_RATIO)
        if ours:
            note_service(goals, ours, count)
    print_table(rows)
    goals.print()
    return 1 if goals.missed else 0


def note_service(goals: Goals, runs: list[dict[str, Any]], count: int) -> None:
    """The goals that our server has to reach by itself."""
    if count == DELAY_AT:
        goals.at_most(f"delay p99, {count} players", median(runs, "p99_ms"), DELAY_P99_MS, " ms")
    goals.at_most(f"memory per player, {count} players", median(runs, "bytes_per_player"), BYTES_PER_PLAYER, " bytes")
    goals.at_most(f"frames lost, {count} players", sum(run["lost"] for run in runs), 0)


if __name__ == "__main__":
    sys.exit(main())
