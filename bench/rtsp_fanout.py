"""Fan-out over RTSP: one publisher of 2.5 Mbit/s, 500 players with media inside the connection, and 200 over UDP.

    .venv/bin/python -m bench.rtsp_fanout [--interleaved 500] [--udp 200] [--rounds 3] [--seconds 10] [--reactor asyncio]

Measured is the server's processor time, kernel included: for each message of the source (a picture or a frame of sound) that
an interleaved player received, and for each RTP packet that a UDP player received; and packets that never came. Loopback charges
what the receivers' half of the kernel does to the sender: so players over UDP are not woken by each datagram but look every 2 ms,
and what bare system calls cost for such packets is measured beside it (`bench.udp_floor`).
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.command import read_options
from bench.measure import cpu_seconds
from bench.programs import CLIENT_CORE, Players, Publisher, client, require, start_ems
from bench.report import Goals, median, print_run, print_table
from bench.udp_floor import packet_us
from tests.processes import Children, free_port

SETTLE_SECONDS = 6
CONNECT_SECONDS = 60

AUDIO_PER_PICTURE = 44_100 / 1024 / 30
"""Frames of sound for each picture of the clip: the players count pictures."""

STAMPED = 10
"""One picture of so many tells players its age: by a packet of its own, which pictures of most streams do not have."""

INTERLEAVED_US = 6
UDP_US = 2.5

UDP_RATIO = 1.6
"""To bare system calls, where machines differ: they cost 1.56 µs where the 2.5 were asked for."""


class RtspPlayers(Players):
    """One process of players of ``/s``, over UDP if asked for."""

    def __init__(self, children: Children, port: int, count: int, *, seconds: int, udp: bool) -> None:
        self.count = count
        words = (client("rtsp_load"), "-p", port, "-u", "s", "-n", count, "-s", SETTLE_SECONDS, "-d", seconds)
        command = ("taskset", "-c", CLIENT_CORE, *words, *(("-U",) if udp else ()))
        self._child = children.start(*map(str, command))


def main() -> int:
    """Run the benchmark; the exit status is 1 when a figure was not reached."""
    options = read_options(__doc__, interleaved=500, udp=200, rounds=3, seconds=10, reactor="asyncio")
    require("ffmpeg", "taskset")
    runs: list[dict[str, Any]] = []
    for round_number in range(options.rounds):
        for transport, count in (("interleaved", options.interleaved), ("udp", options.udp)):
            if not count:
                continue
            with tempfile.TemporaryDirectory() as folder:
                run = measure(Path(folder), count, options.seconds, options.reactor, transport == "udp")
            runs.append({"transport": transport, "players": count, "round": round_number, **run})
            print_run(**runs[-1])
        if options.udp:
            runs.append({"transport": "bare calls", "round": round_number, "packet_us": packet_us(options.udp, options.seconds)})
            print_run(**runs[-1])
    return report(runs)


def measure(folder: Path, count: int, seconds: int, reactor: str, udp: bool) -> dict[str, Any]:
    """One run."""
    port = free_port()
    children = Children(folder)
    try:
        server = start_ems(children, folder, reactor, f'{{ ip = "127.0.0.1", port = {port}, protocol = "inboundRtsp" }}')
        publisher = Publisher(children, server.port, stamped=STAMPED)
        players = RtspPlayers(children, port, count, seconds=seconds, udp=udp)
        players.wait_for("START", CONNECT_SECONDS + SETTLE_SECONDS)
        cpu = cpu_seconds(server.process_id)
        players.wait_for("END", seconds + 10)
        cpu = cpu_seconds(server.process_id) - cpu
        seen = players.result()
        publisher.stop()
    finally:
        children.stop_all()
    messages = seen["vmsg"] * (1 + AUDIO_PER_PICTURE)
    return {
        "message_us": cpu * 1e6 / messages,
        "packet_us": cpu * 1e6 / seen["rtp"],
        "cores": cpu / seen["secs"],
        "p50_ms": seen["lat_p50_ms"],
        "p99_ms": seen["lat_p99_ms"],
        "lost": seen["rtp_lost"] + seen["failed"] + seen["nodata"],
        "client_cores": seen["client_cpu"],
    }


def report(runs: list[dict[str, Any]]) -> int:
    """Print medians and goals; 1 when a goal was missed."""
    keys = ("message_us", "packet_us", "cores", "p50_ms", "p99_ms")
    rows: list[tuple[object, ...]] = [
        ("transport", "players", "CPU µs/message", "CPU µs/packet", "of a core", "p50 ms", "p99 ms", "lost")
    ]
    goals = Goals()
    for transport, key, limit in (("interleaved", "message_us", INTERLEAVED_US), ("udp", "packet_us", UDP_US)):
        mine = [run for run in runs if run["transport"] == transport]
        if not mine:
            continue
        lost = sum(run["lost"] for run in mine)
        rows.append((transport, mine[0]["players"], *(median(mine, one) for one in keys), lost))
        goals.at_most(f"{key.replace('_us', '')} over {transport}", median(mine, key), limit, " µs")
        goals.at_most(f"packets lost over {transport}", lost, 0)
    bare = [run for run in runs if run["transport"] == "bare calls"]
    if bare:
        ratio = median([run for run in runs if run["transport"] == "udp"], "packet_us") / median(bare, "packet_us")
        goals.at_most("packet over udp beside bare system calls", ratio, UDP_RATIO)
    print_table(rows)
    goals.print()
    return 1 if goals.missed else 0


if __name__ == "__main__":
    sys.exit(main())
