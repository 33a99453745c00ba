"""What HLS costs: the processor time that a stream takes from the reactor, and that of making and writing its segments.

Streams of the benchmark's clip are pushed as fast as they go into outputs that write to a folder in memory. What runs on the
reactor (ordering, cutting, lists) is measured apart from what runs in threads (muxing, encryption, writing).
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.internet.task import Clock

from bench.programs import clip
from bench.report import print_run, print_table
from ems.demo_clip import read_clip
from ems.media.frame import SECOND
from ems.segmenters.hls.job import HlsJobs
from ems.testing import testing_server

MODES: dict[str, dict[str, Any]] = {
    "ts": {},
    "fmp4": {"segmentType": "fmp4"},
    "aes": {"drmType": "evo"},
    "long list": {"playlistType": "appending", "chunkLength": 1},
}


class Threads:
    """Runs at once what belongs into a thread, and adds up how long that takes."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> "Deferred[Any]":
        began = time.thread_time()
        try:
            return maybeDeferred(function, *arguments)
        finally:
            self.seconds += time.thread_time() - began


def measure(mode: str, repeats: int) -> dict[str, Any]:
    """One run: µs a frame on the reactor, ms a Mbit in threads."""
    source = read_clip(clip())
    shift = source.duration
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        threads = Threads()
        server = testing_server(Clock(), runtime=Path(folder))
        server.jobs.makers["hls"] = HlsJobs(server, threads)
        settings = {"localStreamName": "cam", "groupTargetFolder": folder, "targetFolder": f"{folder}/cam", "chunkLength": 2}
        ensureDeferred(server.jobs.add("hls", [{**settings, "playlistType": "rolling", **MODES[mode]}]))
        stream = server.streams.register("cam", type_tag="INR", source=None)
        stream.set_tracks(source.tracks)
        began = time.thread_time()
        for number in range(repeats):
            for frame in source.frames:
                stream.push(frame._replace(dts=frame.dts + number * shift, pts=frame.pts + number * shift))
        total = time.thread_time() - began
        count = repeats * len(source.frames)
        megabits = repeats * sum(len(frame.data) for frame in source.frames) * 8 / 1e6
        reactor = total - threads.seconds
    media_seconds = repeats * source.duration / SECOND
    return {
        "mode": mode,
        "reactor_us_per_frame": reactor / count * 1e6,
        "threads_ms_per_mbit": threads.seconds / megabits * 1e3,
        "cores_per_stream": total / media_seconds,
    }


def main() -> None:
    """Measure every mode."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20, help="how often the clip is pushed")
    repeats = parser.parse_args().repeats
    rows: list[list[object]] = [["mode", "reactor µs/frame", "threads ms/Mbit", "cores/stream"]]
    for mode in MODES:
        run = measure(mode, repeats)
        print_run(**run)
        rows.append([*run.values()])
    print_table(rows)


if __name__ == "__main__":
    main()
