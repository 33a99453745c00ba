"""A stream as RTMP messages, serialised once for all players that can take the same tracks."""

from typing import Any, NamedTuple

from ems.formats import amf0, flv
from ems.formats.amf0 import EcmaArray
from ems.media.frame import MILLISECOND, Frame
from ems.media.track import Codec, Kind, Track
from ems.protocols.rtmp.chunks import chunked_parts
from ems.protocols.rtmp.mapping import ON_METADATA, SET_DATA_FRAME, playable
from ems.protocols.rtmp.wire import (
    AUDIO_CHUNK_STREAM,
    DATA_CHUNK_STREAM,
    OUT_CHUNK_SIZE,
    VIDEO_CHUNK_STREAM,
    MessageType,
)
from ems.streams.feed import Feed
from ems.streams.inbound import InboundStream
from ems.streams.outlet import FanOut

_CODEC_NUMBERS = {Codec.H264: 7, Codec.AAC: 10, Codec.MP3: 2, Codec.G711A: 7, Codec.G711U: 8}

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
        self._stream_id = selection.stream_id
        self._chunk_size = selection.chunk_size
        self._metadata_name = SET_DATA_FRAME + ON_METADATA if selection.publishing else ON_METADATA
        self._index: dict[int, int] = {}

    def tracks_changed(self, tracks: tuple[Track, ...]) -> None:
        selection = self._selection
        chosen = playable(tracks, selection.kinds, selection.fourccs, selection.multitrack)
        self._index = track_indexes(chosen)
        super().tracks_changed(chosen)

    def packet(self, frame: Frame) -> bytes:
        track = frame.track
        index = self._index.get(track.id)
        if index is None:
            return b""
        if track.kind is Kind.DATA:
            return self._data(frame)
        time = frame.dts // MILLISECOND
        header = flv.frame_header(track, frame.keyframe, frame.pts // MILLISECOND - time, index)
        return self._message(track.kind, self._timestamp(frame.dts), header, frame.data)

    def header_packet(self, dts: int) -> bytes:
        timestamp = self._timestamp(dts)
        # Metadata at any other time than 0 makes ffmpeg see a track of subtitles.
        headers = [self._message(Kind.DATA, 0, self._metadata_name, amf0.encode(EcmaArray(self._metadata())))]
        for track in self.tracks:
            body = flv.sequence_header(track, self._index[track.id])
            if body:
                headers.append(self._message(track.kind, timestamp, b"", body))
        return b"".join(headers) if self.tracks else b""

    def _data(self, frame: Frame) -> bytes:
        if frame.data.startswith(ON_METADATA):
            self.announce()
            return b""
        return self._message(Kind.DATA, self._timestamp(frame.dts), b"", frame.data)

    def _message(self, kind: Kind, timestamp: int, prefix: bytes, data: bytes) -> bytes:
        chunk_stream, message_type = _CHANNELS[kind]
        return chunked_parts(chunk_stream, message_type, self._stream_id, timestamp, prefix, data, self._chunk_size)

    def _timestamp(self, dts: int) -> int:
        return ((dts + self._stream.origin if self._selection.source_pts else dts) // MILLISECOND) & 0xFFFFFFFF

    def _metadata(self) -> dict[str, Any]:
        """What the source said, made true for the tracks of this feed."""
        video = next((track for track in self.tracks if track.kind is Kind.VIDEO), None)
        audio = next((track for track in self.tracks if track.kind is Kind.AUDIO), None)
        unfit = (*_FILE_KEYS, *(() if video else _VIDEO_KEYS), *(() if audio else _AUDIO_KEYS))
        metadata = {key: value for key, value in self._stream.metadata.items() if key not in unfit}
        return {**_track_metadata(video, audio), **metadata, "Server": "EMS"}


_CHANNELS = {
    Kind.VIDEO: (VIDEO_CHUNK_STREAM, MessageType.VIDEO),
    Kind.AUDIO: (AUDIO_CHUNK_STREAM, MessageType.AUDIO),
    Kind.DATA: (DATA_CHUNK_STREAM, MessageType.DATA),
}


def track_indexes(tracks: tuple[Track, ...]) -> dict[int, int]:
    """The number of each track among those of its kind, by track id: 0 is the default track, others need multitrack."""
    counts: dict[Kind, int] = {}
    indexes = {}
    for track in tracks:
        indexes[track.id] = counts.get(track.kind, 0)
        counts[track.kind] = indexes[track.id] + 1
    return indexes


def _track_metadata(video: Track | None, audio: Track | None) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if video is not None:
        metadata["videocodecid"] = _codec_number(video)
        if video.width:
            metadata |= {"width": video.width, "height": video.height}
        if video.frame_rate:
            metadata["framerate"] = float(video.frame_rate)
    if audio is not None:
        metadata["audiocodecid"] = _codec_number(audio)
        if audio.sample_rate:
            metadata |= {"audiosamplerate": audio.sample_rate, "stereo": audio.channels > 1, "audiochannels": audio.channels}
    return metadata


def _codec_number(track: Track) -> int:
    """The number of a codec in onMetaData: FLV's own, or the FourCC read as a big-endian number."""
    if track.codec in _CODEC_NUMBERS:
        return _CODEC_NUMBERS[track.codec]
    fourcc = flv.fourcc_needed(track)
    if fourcc is not None:
        return int.from_bytes(fourcc, "big")
    ids = flv.VIDEO_CODECS if track.kind is Kind.VIDEO else flv.AUDIO_CODECS
    return next(number for number, codec in ids.items() if codec is track.codec)
