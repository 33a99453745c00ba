"""The bytes of segments: MPEG-TS, packed audio in ADTS, fragmented MP4 (RFC 8216 §3.2 to §3.4).

Each container keeps what runs on from one segment to the next (continuity counters, sequence numbers) and is made anew when
the tracks change.
"""

from collections.abc import Callable, Sequence

from twisted.logger import Logger

from ems.errors import MalformedData
from ems.formats import fmp4
from ems.formats.mpegts import mux
from ems.media.aac import adts_header
from ems.media.frame import SECOND, Frame
from ems.media.track import Codec, Kind, Track
from ems.segmenters.cutting import Segment
from ems.segmenters.hls.seams import Container

TIMESTAMP_OWNER = b"com.apple.streaming.transportStreamTimestamp\0"
"""Whose private frame tells the time of the first sample (§3.4)."""

CLOCK = 90_000
"""Ticks a second of MPEG-TS, in which that time is told."""

FMP4 = "fmp4"
"""``segmentType`` of fragmented MP4; the other is ``ts``."""

AUDIO_FRAMES_TOGETHER = 5
"""Frames of AAC that share a PES packet: alone, each would leave half of a transport packet empty."""

_log = Logger(namespace="hls")


def carried(tracks: Sequence[Track], *, segment_type: str, audio_only: bool) -> tuple[Track, ...]:
    """Those of the tracks that segments of this type can carry: of several video tracks the first, with `audio_only` none.

    `segment_type` is ``ts`` or ``fmp4``.
    """
    return chosen_tracks(fmp4.carried(tracks) if segment_type == FMP4 else mux.carried(tracks), audio_only=audio_only)


def chosen_tracks(tracks: Sequence[Track], *, audio_only: bool) -> tuple[Track, ...]:
    """The first video track, unless sound alone is wanted, and the audio tracks."""
    video = [track for track in tracks if track.kind is Kind.VIDEO and not audio_only]
    return (*video[:1], *(track for track in tracks if track.kind is Kind.AUDIO))


def make_container(tracks: tuple[Track, ...], *, segment_type: str, audio_only: bool) -> Container:
    """The container of these tracks, at least one, that are all `carried`.

    With `audio_only` AAC stands alone, without a container around it.
    """
    if segment_type == FMP4:
        return FragmentedMp4(tracks)
    if audio_only and tracks[0].codec is Codec.AAC:
        return PackedAudio(tracks[0])
    return TransportStream(tracks)


class TransportStream:
    """MPEG-TS: every segment begins with PAT and PMT.

    `muxer` is one for encrypted samples, which have to wait for their key; it may group audio.
    """

    extension = "ts"
    init = b""

    def __init__(self, tracks: tuple[Track, ...], muxer: mux.TsMuxer | None = None) -> None:
        self.tracks = tracks
        self.unit: Callable[[Frame], bytes] | None = self._unit if muxer is None else None
        self._muxer = muxer or mux.TsMuxer(tracks, group_audio=AUDIO_FRAMES_TOGETHER)
        self._configured = {track.id: track for track in tracks}

    def header(self, segment: Segment) -> bytes:
        if segment.frames:
            # The segment is made again from its beginning: sound that still waits is among its frames.
            self._muxer.flush()
        return self._muxer.psi()

    def piece(self, frames: Sequence[Frame], end: int) -> bytes:
        return b"".join([*map(self._unit, frames), self._muxer.flush()])

    def _unit(self, frame: Frame) -> bytes:
        track = frame.track
        tables = b"" if self._configured.get(track.id, track) is track else self._reconfigure(track)
        try:
            return tables + self._muxer.frame(frame)
        except MalformedData as error:
            _log.debug("a frame is left out: {error}", error=error)
            return tables

    def _reconfigure(self, track: Track) -> bytes:
        """New parameter sets for the same picture: from now on key frames get these."""
        old, self._configured[track.id] = self._configured[track.id], track
        return b"" if old == track else self._muxer.set_tracks([*self._configured.values()])


class PackedAudio:
    """AAC frames behind ADTS headers; an ID3 tag at the beginning tells the time of the first."""

    extension = "aac"
    init = b""
    unit: Callable[[Frame], bytes] | None = None

    def __init__(self, track: Track) -> None:
        self.tracks: tuple[Track, ...] = (track,)

    def header(self, segment: Segment) -> bytes:
        first = next((frame for frame in segment.frames if frame.track.id == self.tracks[0].id), None)
        return timestamp_tag(first.pts if first else segment.start)

    def piece(self, frames: Sequence[Frame], end: int) -> bytes:
        parts: list[bytes] = []
        for frame in frames:
            if frame.track.id == self.tracks[0].id:
                try:
                    parts += (adts_header(frame.track.config, len(frame.data)), frame.data)
                except MalformedData as error:
                    _log.debug("a frame is left out: {error}", error=error)
        return b"".join(parts)


class FragmentedMp4:
    """Fragmented MP4: ftyp and moov apart, each piece a moof and its mdat."""

    extension = "m4s"
    unit: Callable[[Frame], bytes] | None = None

    def __init__(self, tracks: tuple[Track, ...]) -> None:
        self.tracks = tracks
        self.init = fmp4.init_segment(tracks)
        self._writer = fmp4.FragmentWriter(tracks)

    def header(self, segment: Segment) -> bytes:
        return fmp4.segment_type()

    def piece(self, frames: Sequence[Frame], end: int) -> bytes:
        runs = []
        for track in self.tracks:
            own = [frame for frame in frames if frame.track.id == track.id]
            if own:
                # The next frame of sound need not come at the very moment at which the next picture does.
                runs.append(fmp4.Run(track, own, max(_end_of(own, end, track), own[-1].dts + 1)))
        return self._writer.fragment(runs) if runs else b""


def _end_of(frames: Sequence[Frame], end: int, track: Track) -> int:
    """When the last of these frames ends: video at the cut, sound after its usual duration."""
    if track.kind is Kind.VIDEO or len(frames) < 2:
        return end
    return frames[-1].dts + (frames[-1].dts - frames[0].dts) // (len(frames) - 1)


def timestamp_tag(pts: int) -> bytes:
    """The ID3v2.4 tag with the PRIV frame of §3.4: a 33-bit time of 90 kHz in 8 bytes. `pts` is in nanoseconds.

    ``"ID3" 04 00 00 size:4`` (7 bits a byte), then ``"PRIV" size:4 00 00 owner time:8``.
    """
    time = (pts * CLOCK // SECOND + mux.TIME_OFFSET) & (1 << 33) - 1
    content = TIMESTAMP_OWNER + time.to_bytes(8, "big")
    frame = b"PRIV" + _syncsafe(len(content)) + b"\0\0" + content
    return b"ID3\4\0\0" + _syncsafe(len(frame)) + frame


def _syncsafe(number: int) -> bytes:
    """A number in four bytes of seven bits (ID3v2.4 §6.2)."""
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))
