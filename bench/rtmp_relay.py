"""Relaying between two servers: 100 pulls from one by the other, and 100 pushes from one to the other.

    .venv/bin/python -m bench.rtmp_relay [--streams 100] [--rounds 3] [--seconds 10]

One publisher sends 2.5 Mbit/s to the first server; the second gets that stream so many times, each as a stream of its own. Each
server has a processor core to itself but for the publisher. Measured is the processor time of both for each second of each
relayed stream: sending costs what a player costs, receiving what a publisher costs.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.command import read_options
from bench.measure import cpu_seconds
from bench.programs import CLIENT_CORE, FRAME_RATE, SERVER_CORE, Publisher, require
from bench.report import Goals, median, print_run, print_table
from tests.processes import Children, wait_until
from tests.server import EmsServer

SETTLE_SECONDS = 5

START_SECONDS = 60
"""Until all streams are there."""

LOST_SHARE = 0.02
"""Of the video frames that should have come: two counts are not taken in the same moment."""


def main() -> int:
    """Run the benchmark; the exit status is 1 when frames were lost."""
    options = read_options(__doc__, streams=100, rounds=3, seconds=10)
    require("ffmpeg", "taskset")
    runs: list[dict[str, Any]] = []
    for round_number in range(options.rounds):
        for way in RELAYS:
            with tempfile.TemporaryDirectory() as folder:
                run = measure(way, Path(folder), options.streams, options.seconds)
            runs.append({"way": way, "streams": options.streams, "round": round_number, **run})
            print_run(**runs[-1])
    return report(runs)


def pull(sender: EmsServer, receiver: EmsServer, number: int) -> None:
    """Have the receiver fetch the stream once more."""
    receiver.api("pullStream", uri=sender.rtmp("s"), localStreamName=f"relayed{number}")


def push(sender: EmsServer, receiver: EmsServer, number: int) -> None:
    """Have the sender bring the stream once more."""
    target = receiver.rtmp("").rstrip("/")
    sender.api("pushStream", uri=target, localStreamName="s", targetStreamName=f"relayed{number}")


RELAYS = {"pull": pull, "push": push}


def measure(way: str, folder: Path, count: int, seconds: int) -> dict[str, Any]:
    """One run of one way of relaying."""
    children = Children(folder)
    try:
        sender, receiver = (_start(children, folder / name, core) for name, core in _PLACES.items())
        publisher = Publisher(children, sender.ports["inboundRtmp"])
        for number in range(count):
            RELAYS[way](sender, receiver, number)
        wait_until(lambda: len(receiver.stream_names()) == count, f"{count} streams", START_SECONDS)
        time.sleep(SETTLE_SECONDS)
        run = _watch(sender, receiver, count, seconds)
        publisher.stop()
        return run
    finally:
        children.stop_all()


_PLACES = {"sender": SERVER_CORE, "receiver": CLIENT_CORE}


def _start(children: Children, folder: Path, core: int) -> EmsServer:
    folder.mkdir()
    server = EmsServer(children, folder)
    os.sched_setaffinity(server.process_id, {core})
    return server


def _watch(sender: EmsServer, receiver: EmsServer, count: int, seconds: int) -> dict[str, Any]:
    """What passes in some seconds, and what it costs both."""
    frames, began = _frames(receiver), time.monotonic()
    before = [cpu_seconds(server.process_id) for server in (sender, receiver)]
    time.sleep(seconds)
    after = [cpu_seconds(server.process_id) for server in (sender, receiver)]
    elapsed = time.monotonic() - began
    passed = _frames(receiver) - frames
    expected = count * FRAME_RATE * (time.monotonic() - began)
    sent, received = ((late - early) * 1e3 / elapsed / count for early, late in zip(before, after, strict=True))
    return {"send_ms": sent, "receive_ms": received, "lost_share": max(0.0, 1 - passed / expected)}


def _frames(server: EmsServer) -> int:
    """All video frames that have come in."""
    return sum(stream["video"]["packetsCount"] for stream in server.api("listStreams") if stream["type"] == "INR")


def report(runs: list[dict[str, Any]]) -> int:
    """Print medians; 1 when frames were lost."""
    rows: list[tuple[object, ...]] = [("way", "sender CPU ms/stream-second", "receiver CPU ms/stream-second")]
    goals = Goals()
    for way in RELAYS:
        mine = [run for run in runs if run["way"] == way]
        rows.append((way, median(mine, "send_ms"), median(mine, "receive_ms")))
        goals.at_most(f"{way}: share of frames that did not come", median(mine, "lost_share"), LOST_SHARE)
    print_table(rows)
    goals.print()
    return 1 if goals.missed else 0


if __name__ == "__main__":
    sys.exit(main())
