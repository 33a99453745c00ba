"""A stream as RTMP messages, serialised once for all players that can take the same tracks."""

from typing import Any, NamedTuple

from ems.media.frame import MILLISECOND, Frame
from ems.media.track import Kind, Track
from ems.protocols.rtmp.mapping import ON_METADATA, SET_DATA_FRAME, playable
from ems.protocols.rtmp.packets import Packets, track_metadata
from ems.protocols.rtmp.wire import OUT_CHUNK_SIZE
from ems.streams.feed import Feed
from ems.streams.inbound import InboundStream
from ems.streams.outlet import FanOut

_VIDEO_KEYS = ("width", "height", "videocodecid", "videodatarate", "framerate")
_AUDIO_KEYS = ("audiocodecid", "audiodatarate", "audiosamplerate", "audiosamplesize", "audiochannels", "stereo")
_FILE_KEYS = ("duration", "filesize", "fileSize")


class Selection(NamedTuple):
    """What of a stream a peer gets and in which form: peers of the same selection share a feed.

    `publishing` is the form in which a client publishes: metadata behind ``@setDataFrame``. With `source_pts` timestamps are
    those of the stream's source, otherwise those of the stream's own clock.
    """

    stream_id: int
    kinds: frozenset[Kind]
    fourccs: frozenset[bytes]
    multitrack: bool
    source_pts: bool = False
    publishing: bool = False
    chunk_size: int = OUT_CHUNK_SIZE


class RtmpFeed(Feed):
    """The messages of one stream for one selection."""

    def __init__(self, stream: InboundStream, fan_out: FanOut, selection: Selection) -> None:
        super().__init__(fan_out)
        self._stream = stream
        self._selection = selection
        self._packets = Packets(selection.stream_id, selection.chunk_size)
        self._metadata_name = SET_DATA_FRAME + ON_METADATA if selection.publishing else ON_METADATA

    def tracks_changed(self, tracks: tuple[Track, ...]) -> None:
        selection = self._selection
        chosen = playable(tracks, selection.kinds, selection.fourccs, selection.multitrack)
        self._packets.set_tracks(chosen)
        super().tracks_changed(chosen)

    def packet(self, frame: Frame) -> bytes:
        if frame.track.kind is Kind.DATA and frame.data.startswith(ON_METADATA) and frame.track in self.tracks:
            self.announce()
            return b""
        return self._packets.frame(frame, self._timestamp(frame.dts))

    def header_packet(self, dts: int) -> bytes:
        return self._packets.headers(self._timestamp(dts), self._metadata(), self._metadata_name)

    def _timestamp(self, dts: int) -> int:
        return ((dts + self._stream.origin if self._selection.source_pts else dts) // MILLISECOND) & 0xFFFFFFFF

    def _metadata(self) -> dict[str, Any]:
        """What the source said, made true for the tracks of this feed."""
        kinds = {track.kind for track in self.tracks}
        video = Kind.VIDEO in kinds
        audio = Kind.AUDIO in kinds
        unfit = (*_FILE_KEYS, *(() if video else _VIDEO_KEYS), *(() if audio else _AUDIO_KEYS))
        metadata = {key: value for key, value in self._stream.metadata.items() if key not in unfit}
        return {**track_metadata(self.tracks), **metadata, "Server": "EMS"}
