"""HLS: what it costs to take streams in over RTMP and to write them as segments, beside nginx-rtmp (``hls on``) in one run.

    .venv/bin/python -m bench.hls_pack [--streams 1 10 40] [--rounds 3] [--seconds 20] [--reactor asyncio]

Streams of 2.5 Mbit/s are written in segments of 2 s to a folder in memory, so that no disk is measured. Each run starts a server
afresh, and the servers take turns: nginx-rtmp, ours with MPEG-TS, ours with fragmented MP4. The figure is the server's processor
time, threads included, for each second of each stream; a part of it, which is shown, is the intake alone (ours without HLS).
"""

import functools
import json
import socket
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.command import read_options, take_turns
from bench.measure import cpu_seconds
from bench.programs import Publisher, RtmpServer, require, start_ems, start_nginx
from bench.report import Goals, median, print_table
from tests.processes import Children, free_port, wait_until

CHUNK_SECONDS = 2
PLAYLIST_LENGTH = 10

SETTLE_SECONDS = 6
"""From the last publisher's acceptance to the measurement: all have a few segments by then."""

CPU_RATIO = 1.2
"""Of nginx-rtmp's processor time per stream and second, with `GOAL_STREAMS`."""

GOAL_STREAMS = 40

SERVERS = ("nginx", "ts", "fmp4", "intake")
"""What takes turns: the peer, our server with two kinds of segments, and our server without any."""

Start = Callable[[Children, Path, int], RtmpServer]
"""Starts a server that writes so many streams, ``s0`` and so on, to ``<folder>/hls``."""


def start_segmenting_nginx(children: Children, folder: Path, streams: int) -> RtmpServer:
    """nginx with the rtmp module, cutting at key frames as we do."""
    segments = f"hls on; hls_path {folder}/hls; hls_nested on; hls_fragment {CHUNK_SECONDS}s;"
    return start_nginx(children, folder, f"live on; {segments} hls_playlist_length {CHUNK_SECONDS * PLAYLIST_LENGTH}s;")


def start_ours(children: Children, folder: Path, streams: int, *, segment_type: str, reactor: str) -> RtmpServer:
    """Our server; `segment_type` is empty for the intake alone."""
    door = free_port()
    more = f'{{ ip = "127.0.0.1", port = {door}, protocol = "inboundHttpJsonCli" }}'
    server = start_ems(children, folder, reactor, more)
    if segment_type:
        wait_until(functools.partial(answers, door), "the API")
        create(door, [f"s{number}" for number in range(streams)], folder / "hls", segment_type)
    return server


def answers(port: int) -> bool:
    """Whether somebody takes connections on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def create(door: int, names: list[str], folder: Path, segment_type: str) -> None:
    """Have the streams written when they come."""
    words: dict[str, object] = {
        "localStreamNames": names,
        "targetFolder": str(folder),
        "groupName": "group",
        "playlistType": "rolling",
        "playlistLength": PLAYLIST_LENGTH,
        "chunkLength": CHUNK_SECONDS,
        "segmentType": segment_type,
    }
    request = urllib.request.Request(f"http://127.0.0.1:{door}/createHLSStream", json.dumps(words).encode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer)["status"] == "SUCCESS"


def measure(start: Start, folder: Path, streams: int, seconds: int) -> dict[str, Any]:
    """One run of one server; AssertionError when it did not keep up."""
    children = Children(folder)
    try:
        server = start(children, folder, streams)
        publisher = Publisher(children, server.port, streams=streams, seconds=SETTLE_SECONDS + seconds + 2)
        time.sleep(SETTLE_SECONDS)
        began, cpu = time.monotonic(), cpu_seconds(server.process_id)
        time.sleep(seconds)
        elapsed, cpu = time.monotonic() - began, cpu_seconds(server.process_id) - cpu
        written = segments(folder / "hls")
        sent = publisher.result()
    finally:
        children.stop_all()
    assert sent["alive"] == streams, f"{streams - sent['alive']} publishers were cut off"
    return {"cpu_ms": cpu * 1e3 / elapsed / streams, "cores": cpu / elapsed, "late_ms": sent["maxlate_ms"], "segments": written}


def segments(folder: Path) -> int:
    """Segments that are on the disk, of all streams."""
    return sum(path.suffix in (".ts", ".m4s") for path in folder.rglob("*"))


def report(runs: list[dict[str, Any]], counts: list[int], servers: list[str]) -> int:
    """Print medians and goals; 1 when a goal was missed."""
    rows: list[tuple[object, ...]] = [("streams", "server", "CPU ms/stream-second", "of a core")]
    goals = Goals()
    for count in counts:
        cpu = {}
        for name in servers:
            mine = [run for run in runs if (run["streams"], run["server"]) == (count, name)]
            if mine:
                cpu[name] = median(mine, "cpu_ms")
                rows.append((count, name, cpu[name], median(mine, "cores")))
        if count == GOAL_STREAMS and "nginx" in cpu:
            for name in cpu.keys() & {"ts", "fmp4"}:
                goals.at_most(f"CPU per stream in units of nginx's, {count} streams, {name}", cpu[name] / cpu["nginx"], CPU_RATIO)
    print_table(rows)
    goals.print()
    return 1 if goals.missed else 0


def main() -> int:
    """Run the benchmark; the exit status is 1 when a figure was not reached."""
    options = read_options(__doc__, streams=[1, 10, GOAL_STREAMS], rounds=3, seconds=20, servers=[*SERVERS], reactor="asyncio")
    require("nginx", "ffmpeg", "taskset")
    starters: dict[str, Start] = {"nginx": start_segmenting_nginx}
    for name, segment_type in (("ts", "ts"), ("fmp4", "fmp4"), ("intake", "")):
        starters[name] = functools.partial(start_ours, segment_type=segment_type, reactor=options.reactor)
    in_memory = Path("/dev/shm")
    runs = take_turns(options, "streams", lambda name, *run: measure(starters[name], *run, options.seconds), in_memory)
    return report(runs, options.streams, options.servers)


if __name__ == "__main__":
    sys.exit(main())
