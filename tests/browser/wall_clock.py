"""A publisher whose picture tells the time: ``python -m tests.browser.wall_clock rtmp://… [WIDTHxHEIGHT]``.

It encodes 25 pictures a second as they are due, and sends them over RTMP with a silent sound track. The uppermost rows of each
picture are `CELLS` cells, black or white, from left to right: white, black, then the wall clock in milliseconds modulo 2**24
with the most significant bit first, then a bit that makes the number of white cells among those 24 even. Whoever shows the
picture reads the time of its making from it; what has passed since is the delay of everything in between.
"""

import sys
import time
from fractions import Fraction
from typing import Any

import av

FRAME_RATE = 25
SAMPLE_RATE = 48_000

CELLS = 32
CELL_HEIGHT = 24
CLOCK_BITS = 24

WHITE, BLACK = 235, 16
"""Luma of BT.601, limited range."""

OPTIONS = {"preset": "ultrafast", "tune": "zerolatency", "g": str(FRAME_RATE), "keyint_min": str(FRAME_RATE), "bf": "0"}


def time_code(milliseconds: int) -> list[int]:
    """The cells of a time, as 0 and 1."""
    clock = milliseconds % (1 << CLOCK_BITS)
    bits = [clock >> bit & 1 for bit in reversed(range(CLOCK_BITS))]
    cells = [1, 0, *bits, sum(bits) & 1]
    return cells + [0] * (CELLS - len(cells))


def luma(width: int, height: int, number: int, milliseconds: int) -> bytes:
    """The luma plane of picture `number`: the time code above stripes that wander."""
    cell = width // CELLS
    row = b"".join(bytes([WHITE if bit else BLACK]) * cell for bit in time_code(milliseconds)).ljust(width, bytes([BLACK]))
    stripes = bytes(40 + (x + 4 * number & 0x7F) for x in range(width))
    return row * CELL_HEIGHT + stripes * (height - CELL_HEIGHT)


def publish(url: str, width: int, height: int) -> None:
    """Publish until the server ends it. Raises `av.error.FFmpegError` then."""
    with av.open(url, "w", format="flv") as output:
        video = output.add_stream("libx264", rate=FRAME_RATE, options=OPTIONS)
        video.width, video.height, video.pix_fmt, video.bit_rate = width, height, "yuv420p", 800_000
        audio = output.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        began = time.monotonic()
        number = 0
        while True:
            time.sleep(max(0, began + number / FRAME_RATE - time.monotonic()))
            output.mux(video.encode(_picture(width, height, number)))
            output.mux(audio.encode(_silence(number)))
            number += 1


def _picture(width: int, height: int, number: int) -> Any:
    picture = av.VideoFrame(width, height, "yuv420p")
    picture.planes[0].update(luma(width, height, number, int(time.time() * 1000)))
    for plane in picture.planes[1:]:
        plane.update(b"\x80" * plane.buffer_size)
    picture.pts, picture.time_base = number, Fraction(1, FRAME_RATE)
    return picture


def _silence(number: int) -> Any:
    samples = SAMPLE_RATE // FRAME_RATE
    sound = av.AudioFrame(format="fltp", layout="stereo", samples=samples)
    for plane in sound.planes:
        plane.update(bytes(plane.buffer_size))
    sound.sample_rate, sound.pts, sound.time_base = SAMPLE_RATE, number * samples, Fraction(1, SAMPLE_RATE)
    return sound


if __name__ == "__main__":
    size = sys.argv[2] if len(sys.argv) > 2 else "640x360"
    publish(sys.argv[1], *(int(number) for number in size.split("x")))
