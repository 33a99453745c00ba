"""A source that is killed and comes back, again and again, while players watch the pulled stream.

    .venv/bin/python -m bench.flap_pull [--source nginx ffmpeg ems] [--flaps 50] [--players 10]

Each time the players must stay connected and have a picture again soon after the source is back, and after all of it the
server must hold no more memory than after the first few rounds.
"""

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.command import read_options
from bench.measure import resident_bytes
from bench.programs import require
from bench.report import Goals, print_run
from tests import clips
from tests.interop.peers import SOURCES, Source, StayingPlayer
from tests.processes import Children, wait_until
from tests.server import EmsServer

UP_SECONDS = 2.0
"""How long the source lives on when all players have their picture; one that dies at once counts as away all the time."""

WARM_FLAPS = 10
"""Rounds until memory is first read: by then every path has been taken and the allocator has its arenas."""

MAX_RETURN = 3.0
"""Seconds from the source's being there to the slowest player's first key frame."""

PATIENCE = 20
"""Seconds after which the players are given up."""

MEMORY_GROWTH = 4 << 20


def main() -> int:
    """Run the benchmark; the exit status is 1 when a promise was not kept."""
    options = read_options(__doc__, source=[*SOURCES], flaps=50, players=10)
    require("nginx", "ffmpeg")
    goals = Goals()
    for name in options.source:
        with tempfile.TemporaryDirectory() as folder:
            run = measure(name, Path(folder), options.flaps, options.players)
        print_run(source=name, **run)
        report(goals, name, run)
    goals.print()
    return 1 if goals.missed else 0


def measure(name: str, folder: Path, flaps: int, count: int) -> dict[str, Any]:
    """Kill one source so many times."""
    for part in ("output", "server", "source"):
        (folder / part).mkdir()
    children = Children(folder / "output")
    try:
        server = EmsServer(children, folder / "server")
        source = SOURCES[name](children, clips.clip("h264_aac"), folder / "source")
        source.start()
        server.api("pullStream", uri=source.url, localStreamName="mine")
        server.wait_for_stream("mine")
        with ExitStack() as stack:
            players = [stack.enter_context(StayingPlayer(server.rtmp("mine"))) for _ in range(count)]
            wait_until(lambda: all(player.pictures for player in players), "all players to see the stream")
            return {**_flap(server, source, players, flaps), **_aftermath(server, players)}
    finally:
        children.stop_all()


def _flap(server: EmsServer, source: Source, players: list[StayingPlayer], flaps: int) -> dict[str, Any]:
    returns: list[float] = []
    memory: list[int] = []
    for _ in range(flaps):
        source.kill()
        wait_until(lambda: not server.stream_names(), "the stream to end")
        source.start()
        back = time.monotonic()
        returns.append(max(player.picture_after(back, timeout=PATIENCE) for player in players))
        time.sleep(UP_SECONDS)
        memory.append(resident_bytes(server.process_id))
    warm = memory[min(WARM_FLAPS, flaps) - 1]
    return {
        "flaps": flaps,
        "median_s": sorted(returns)[flaps // 2],
        "longest_s": max(returns),
        "growth_bytes": memory[-1] - warm,
        "memory_bytes": memory[-1],
    }


def _aftermath(server: EmsServer, players: list[StayingPlayer]) -> dict[str, Any]:
    """What the server says of itself at the end."""
    (job,) = server.api("listConfig")["pull"]
    streams = server.api("listStreams")
    return {
        "players": len(players),
        "players_lost": sum(not player.connected for player in players),
        "successes": job["status"]["successes"],
        "state": job["status"]["current"]["description"],
        "streams": len(streams),
        "dropped": sum(stream["video"]["droppedPacketsCount"] for stream in streams),
    }


def report(goals: Goals, name: str, run: dict[str, Any]) -> None:
    """Note what was promised and what came."""
    goals.at_most(f"{name}: longest time until all players see the stream again", run["longest_s"], MAX_RETURN, " s")
    goals.at_most(f"{name}: players that were thrown out", run["players_lost"], 0)
    goals.at_most(f"{name}: growth of the server's memory", run["growth_bytes"] / 1024, MEMORY_GROWTH / 1024, " KiB")
    goals.at_most(f"{name}: streams besides the one and its players", run["streams"] - 1 - run["players"], 0)
    goals.at_most(f"{name}: returns that were not noticed", run["flaps"] + 1 - run["successes"], 0)
    goals.at_most(f"{name}: jobs that do not stream", int(run["state"] != "Streaming"), 0)


if __name__ == "__main__":
    sys.exit(main())
