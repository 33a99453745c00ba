"""RTMP under attack: damaged sessions without pause, while a stream is published and played.

    .venv/bin/python -m bench.attack_rtmp [--players 20] [--seconds 60] [--seed 1]

The players must not lose a frame, the server must not keep memory, and its log must stay without a traceback. (The tests do
the same in memory: ``EMS_MUTATIONS=200000 .venv/bin/pytest tests/service/rtmp/test_mutations.py``.)
"""

import random
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.command import read_options
from bench.measure import resident_bytes
from bench.programs import Players, Publisher, require, start_ems
from bench.report import Goals, print_run
from tests.processes import Children
from tests.service.rtmp.sessions import HANDSHAKE, PLAYING, PUBLISHING, on_the_wire
from tests.unit.media.mutation import mutated

SETTLE_SECONDS = 8
"""Twice what the ring holds: the server's memory has its size by then."""

WARM_UP = 200
"""Attacks before memory is looked at: what is imported and cached late is there by then."""

AT_ONCE = 16
"""Attackers that are connected at the same time."""

MEMORY_GROWTH = 8 << 20


def main() -> int:
    """Run the attack; the exit status is 1 when a promise was not kept."""
    options = read_options(__doc__, players=20, seconds=60, seed=1)
    require("ffmpeg", "taskset")
    with tempfile.TemporaryDirectory() as folder:
        run = measure(Path(folder), options.players, options.seconds, options.seed)
    print_run(**run)
    return report(run)


def measure(folder: Path, count: int, seconds: int, seed: int) -> dict[str, Any]:
    """Attack while players are measured, and collect what they have seen and what the server holds."""
    children = Children(folder)
    try:
        server = start_ems(children, folder)
        publisher = Publisher(children, server.port)
        players = Players(children, server.port, count, settle=SETTLE_SECONDS, seconds=seconds)
        players.wait_for("START", 60)
        attacks = damaged_sessions(random.Random(seed))
        attack(server.port, attacks, WARM_UP, time.monotonic() + seconds)
        before = resident_bytes(server.process_id)
        end = time.monotonic() + seconds - 5
        sessions = attack(server.port, attacks, sys.maxsize, end)
        players.wait_for("END", seconds + 30)
        after = resident_bytes(server.process_id)
        seen = players.result()
        publisher.stop()
        server.stop()
        log = "".join(path.read_text("utf-8", "replace") for path in folder.glob("*.log"))
    finally:
        children.stop_all()
    return {
        "players": count,
        "sessions": sessions,
        "growth_bytes": after - before,
        "lost": seen["lost"] + seen["failed"] + seen["nodata"] + (count - seen["alive"]),
        "tracebacks": log.count("Traceback"),
    }


def damaged_sessions(chance: random.Random) -> Iterator[bytes]:
    """Sessions without end, damaged differently each time."""
    originals = [on_the_wire(PUBLISHING), on_the_wire(PLAYING), on_the_wire(PUBLISHING + PLAYING, 60_000)]
    for session in mutated(originals, 10_000_000):
        cut = chance.randrange(len(session) + 1) if chance.randrange(4) == 0 else len(session)
        yield HANDSHAKE + session[:cut]


def attack(port: int, sessions: Iterator[bytes], most: int, end: float) -> int:
    """Send so many sessions, or as many as there is time for; each reads a little, or nothing, and hangs up. How many it were."""
    waiting: list[socket.socket] = []
    number = 0
    for number, session in enumerate(sessions, 1):
        attacker = socket.create_connection(("127.0.0.1", port), timeout=5)
        waiting.append(attacker)
        try:
            attacker.sendall(session)
            if number % 3 == 0:
                attacker.recv(4096)
        except OSError:
            pass
        if len(waiting) >= AT_ONCE:
            waiting.pop(0).close()
        if number >= most or time.monotonic() >= end:
            break
    for attacker in waiting:
        attacker.close()
    return number


def report(run: dict[str, Any]) -> int:
    """Print what was promised and what came; 1 when a promise was not kept."""
    goals = Goals()
    goals.at_most("frames that the players missed", run["lost"], 0)
    goals.at_most("growth of the server's memory", run["growth_bytes"] / 1024, MEMORY_GROWTH / 1024, " KiB")
    goals.at_most("tracebacks in the server's log", run["tracebacks"], 0)
    goals.print()
    return 1 if goals.missed else 0


if __name__ == "__main__":
    sys.exit(main())
