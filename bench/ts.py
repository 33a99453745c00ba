"""Transport streams: processor time to make and to read them, in ms for each Mbit of the clip (720p at 30 frames/s, 2.5 Mbit/s).

    .venv/bin/python -m bench.ts [--rounds 9] [--seconds 20]

Mux makes packets of the frames in their order, and tables each half second. Demux reads what was made, in
pieces of a UDP datagram (1316 bytes) and of a TCP read (8192). The least of all rounds counts: a neighbour on the machine only
ever adds. A stream of 2.5 Mbit/s costs 2.5 times as many ms each second.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import takewhile

import av

from bench.programs import clip, require
from bench.report import Goals
from ems.formats.mpegts.demux import TsDemuxer
from ems.formats.mpegts.mux import TsMuxer, carried
from ems.media import aac, h264
from ems.media.frame import SECOND, Frame

MUX_GOAL = 0.15
"""ms for each Mbit, on a machine that does nothing else."""

DEMUX_GOAL = 0.2

PSI_INTERVAL = SECOND // 2
PIECES = {"datagrams": 1316, "reads": 8192}


def main() -> int:
    """Run the benchmark; the exit status is 1 when a figure was not reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=20, help="how much of the clip is used")
    options = parser.parse_args()
    require("ffmpeg")
    frames = load(options.seconds)
    megabits = sum(len(frame.data) for frame in frames) * 8 / 1e6
    stream = b"".join(mux(frames))
    # What is made is let go of, as in a server: keeping it all would measure the memory of this machine.
    figures = {"mux": least(lambda: sum(map(len, mux(frames))), options.rounds) / megabits}
    for name, size in PIECES.items():
        pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
        figures[f"demux {name}"] = least(lambda pieces=pieces: demux(pieces), options.rounds) / megabits
    for name, milliseconds in figures.items():
        print(f"{name:16} {milliseconds:6.3f} ms/Mbit")
    goals = Goals()
    goals.at_most("mux", figures["mux"], MUX_GOAL, " ms/Mbit")
    goals.at_most("demux of reads", figures["demux reads"], DEMUX_GOAL, " ms/Mbit")
    goals.print()
    return int(goals.missed > 0)


def load(seconds: int) -> list[Frame]:
    """The first frames of the clip."""
    with av.open(str(clip())) as container:
        makers = {stream.index: h264.make_track if stream.type == "video" else aac.make_track for stream in container.streams}
        tracks = {
            stream.index: makers[stream.index](stream.index, bytes(stream.codec_context.extradata or b""))
            for stream in container.streams
        }
        packets = ((packet, Fraction(packet.time_base) * SECOND) for packet in container.demux() if packet.size)
        frames = (
            Frame(
                tracks[packet.stream.index], round(packet.dts * unit), round(packet.pts * unit), packet.is_keyframe, bytes(packet)
            )
            for packet, unit in packets
        )
        return list(takewhile(lambda frame: frame.dts < seconds * SECOND, frames))


def mux(frames: list[Frame]) -> Iterator[bytes]:
    """The frames as a transport stream, piece by piece."""
    muxer = TsMuxer(carried(list({frame.track.id: frame.track for frame in frames}.values())))
    due = 0
    for frame in frames:
        if frame.dts >= due:
            yield muxer.psi()
            due += PSI_INTERVAL
        yield muxer.frame(frame)


def demux(pieces: list[bytes]) -> int:
    """How many events come of a transport stream."""
    demuxer = TsDemuxer()
    return sum(len(demuxer.receive(piece)) for piece in pieces)


def least(run: Callable[[], object], rounds: int) -> float:
    """Milliseconds of processor time of the best of some runs."""
    times = []
    for _ in range(rounds):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return min(times) * 1000


if __name__ == "__main__":
    sys.exit(main())
