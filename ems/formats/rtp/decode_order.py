"""Times of decoding, which RTP does not tell: its timestamps are times of presentation, its order is that of decoding.

Where pictures refer to later ones (B-frames), both differ. Pictures are decoded at the times at which pictures are shown, only
in another order; so the times of decoding are the times of presentation, sorted, and as many pictures earlier as one may be
moved. How many that is the parameter sets may tell; else it is learned from a time that comes out of order::

    shown      0 120  40  80 240 160 200        one picture is moved, by one
    decoded  -40   0  40  80 120 160 200
"""

from bisect import insort

from ems.errors import MalformedData
from ems.media import h264, h265
from ems.media.frame import MILLISECOND, SECOND
from ems.media.h264 import AvcConfiguration
from ems.media.h265 import HevcConfiguration
from ems.media.track import Codec, Track

MAX_REORDERED = 16
"""Pictures that may be decoded before one that is shown before them: max_num_reorder_frames at most (H.264 §E.2.1)."""

MAX_OFFSET = 2 * SECOND
"""Between decoding and presentation there is no more, or the source's clock has jumped, or much was lost."""

USUAL_STEP = 40 * MILLISECOND
"""Nanoseconds between pictures while nothing tells the frame rate: 25 a second."""


class DecodeOrder:
    """Gives each picture of one track its time of decoding. `depth` is how many pictures one may be moved by."""

    def __init__(self, depth: int = 0, step: int = USUAL_STEP) -> None:
        self._depth = min(max(depth, 0), MAX_REORDERED)
        self._step = step
        self._window: list[int] = []
        self._nominal: int | None = None
        self._last: int | None = None

    def place(self, pts: int) -> tuple[int, int]:
        """Times of decoding and presentation, in nanoseconds, of the next picture in the order in which they come.

        The time of decoding only ever grows, but for a jump of the source's clock, and is never behind that of presentation.
        While the depth is being learned, single pictures are shown later than they should be.
        """
        if self._nominal is None or abs(pts - self._nominal) > MAX_OFFSET:
            self._begin(pts)
        elif pts < self._nominal:
            # The last time of decoding came one picture too early: it is this one's, or a later one's.
            insort(self._window, self._nominal)
            if len(self._window) > MAX_REORDERED:
                self._begin(pts)  # this is no order at all
        insort(self._window, pts)
        self._nominal = dts = self._window.pop(0)
        if self._last is not None and dts <= self._last:
            dts = self._last + 1
        self._last = dts
        return dts, max(pts, dts)

    def _begin(self, pts: int) -> None:
        """As if pictures had come before this one, at the frame rate."""
        if self._nominal is None or pts < self._nominal:
            self._last = None
        depth = min(max(self._depth, len(self._window)), MAX_REORDERED)
        self._window = [pts - count * self._step for count in range(depth, 0, -1)]


def decode_order(track: Track) -> DecodeOrder:
    """What places the pictures of a track, by what its parameter sets tell."""
    step = round(SECOND / track.frame_rate) if track.frame_rate else USUAL_STEP
    try:
        return DecodeOrder(_depth(track), step)
    except MalformedData:
        return DecodeOrder(step=step)


def _depth(track: Track) -> int:
    if track.codec is Codec.H264:
        avc = AvcConfiguration.parse(track.config)
        return max((h264.parse_sps(sps).max_num_reorder_frames or 0 for sps in avc.sps), default=0)
    if track.codec is Codec.H265:
        hevc = HevcConfiguration.parse(track.config)
        return max((h265.parse_sps(sps).max_num_reorder_pics for sps in hevc.sps), default=0)
    return 0
