"""A stream as transport packets, muxed once for all who get it; the packets of an untouched source as they came."""

from ems.errors import MalformedData
from ems.formats.mpegts.mux import TsMuxer, carried
from ems.media.frame import MILLISECOND, Frame
from ems.media.track import Codec, Kind, Track
from ems.streams.feed import Feed
from ems.streams.outlet import FanOut

TABLES_INTERVAL = 400 * MILLISECOND
"""Between two PAT and PMT, which receivers want each 500 ms (ETSI TR 101 290 §5.2.1): the next frame may be late by the rest."""

_TS, _VIDEO = Codec.TS, Kind.VIDEO


class TsFeed(Feed):
    """One stream as a program. Tables come before each key frame, so that headers for late joiners are not needed."""

    def __init__(self, fan_out: FanOut) -> None:
        super().__init__(fan_out)
        self._muxer: TsMuxer | None = None
        self._tables_due: int | None = None
        self._held = b""

    def tracks_changed(self, tracks: tuple[Track, ...]) -> None:
        chosen = tuple(track for track in tracks if track.codec is _TS) or carried(tracks)
        if chosen == self.tracks:
            return
        if not any(track.codec is _TS for track in chosen):
            if self._muxer is None:
                self._muxer = TsMuxer(chosen)
            else:
                self._held += self._muxer.set_tracks(chosen)
        self._tables_due = None
        super().tracks_changed(chosen)

    def packet(self, frame: Frame) -> bytes:
        track = frame.track
        if track.codec is _TS:
            return frame.data
        muxer = self._muxer
        if muxer is None or track not in self.tracks:
            return b""
        try:
            packets = muxer.frame(frame)
        except MalformedData:
            # A frame that the format cannot carry; the muxer goes on without it.
            return b""
        begins = frame.keyframe and track.kind is _VIDEO and self.begins(frame)
        if self._tables_due is not None and frame.dts < self._tables_due and not begins:
            return packets
        self._tables_due = frame.dts + TABLES_INTERVAL
        held, self._held = self._held, b""
        return held + muxer.psi() + packets

    def header_packet(self, dts: int) -> bytes:
        return b""
