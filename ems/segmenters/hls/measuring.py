"""What a stream is like, measured from its segments: the attributes of its entry in the master playlist."""

from collections import deque
from fractions import Fraction

from ems.formats.m3u8 import Variant
from ems.media.frame import SECOND, Frame
from ems.media.track import Kind, Track

WINDOW = 20
"""Segments over which the average is measured, and after which it is told anew."""

MARGIN = Fraction(11, 10)
"""BANDWIDTH has to be an upper bound (RFC 8216 §4.3.4.2) of segments to come as well."""


class Measure:
    """The rates of one stream. `declared` is the BANDWIDTH that the user has given, 0 for none; `length` is how many nanoseconds
    its segments are to last.

    The peak is that of segments of at least half this length (RFC 8216 §4.1): a shorter one, of a key frame and little
    else, tells nothing of what players need. While there are only such, the average stands for it.
    """

    def __init__(self, declared: int, length: int) -> None:
        self._declared = declared
        self._shortest = length // 2
        self._segments: deque[tuple[int, int]] = deque(maxlen=WINDOW)
        self._added = 0
        self._bound = 0
        self._average = 0
        self._frame_rate: Fraction | None = None

    def add(self, size: int, duration: int, frames: list[Frame]) -> None:
        """One more segment: its bytes and its nanoseconds."""
        duration = max(duration, 1)
        self._segments.append((size, duration))
        self._added += 1
        rate = size * 8 * SECOND // duration
        is_peak = duration >= self._shortest and rate > self._bound
        if is_peak:
            self._bound = int(rate * MARGIN)
        # The list is not rewritten for every breath of the encoder.
        if is_peak or not self._bound or self._added % WINDOW == 0:
            total, time = (sum(column) for column in zip(*self._segments, strict=True))
            self._average = total * 8 * SECOND // time
        if self._frame_rate is None:
            self._frame_rate = measured_rate(frames)

    def variant(self, uri: str, tracks: tuple[Track, ...]) -> Variant:
        """The entry of a stream with these tracks."""
        video = next((track for track in tracks if track.kind is Kind.VIDEO), None)
        codecs = [track.codec_string for track in tracks]
        bandwidth = self._declared or self._bound or int(self._average * MARGIN)
        return Variant(
            uri=uri,
            bandwidth=bandwidth,
            average_bandwidth=min(self._average, bandwidth),
            # A list that leaves out a codec would be taken for the whole truth.
            codecs=",".join(dict.fromkeys(codecs)) if all(codecs) else "",
            resolution=(video.width, video.height) if video else (0, 0),
            frame_rate=(video.frame_rate or self._frame_rate) if video else None,
        )


def measured_rate(frames: list[Frame]) -> Fraction | None:
    """Pictures a second, to a hundredth; None when there are too few to tell."""
    times = [frame.dts for frame in frames if frame.track.kind is Kind.VIDEO]
    if len(times) < 2 or times[-1] == times[0]:
        return None
    return Fraction(round(100 * (len(times) - 1) * SECOND / (times[-1] - times[0])), 100)
