"""Frames as RTMP messages of one message stream: what a feed sends to many, and a recording to one."""

from typing import Any

from ems.formats import amf0, flv
from ems.formats.amf0 import EcmaArray
from ems.media.frame import MILLISECOND, Frame
from ems.media.track import Codec, Kind, Track
from ems.protocols.rtmp.chunks import chunked_parts
from ems.protocols.rtmp.mapping import ON_METADATA
from ems.protocols.rtmp.wire import (
    AUDIO_CHUNK_STREAM,
    DATA_CHUNK_STREAM,
    OUT_CHUNK_SIZE,
    VIDEO_CHUNK_STREAM,
    MessageType,
)

_CODEC_NUMBERS = {Codec.H264: 7, Codec.AAC: 10, Codec.MP3: 2, Codec.G711A: 7, Codec.G711U: 8}

_CHANNELS = {
    Kind.VIDEO: (VIDEO_CHUNK_STREAM, MessageType.VIDEO),
    Kind.AUDIO: (AUDIO_CHUNK_STREAM, MessageType.AUDIO),
    Kind.DATA: (DATA_CHUNK_STREAM, MessageType.DATA),
}


class Packets:
    """The messages of some tracks on one message stream, whole, in their chunks. Timestamps are milliseconds."""

    __slots__ = ("_chunk_size", "_index", "_stream_id", "_tracks")

    def __init__(self, stream_id: int, chunk_size: int = OUT_CHUNK_SIZE) -> None:
        self._stream_id = stream_id
        self._chunk_size = chunk_size
        self._tracks: tuple[Track, ...] = ()
        self._index: dict[int, int] = {}

    def set_tracks(self, tracks: tuple[Track, ...]) -> None:
        """These are sent from now on, and no others."""
        self._tracks = tracks
        self._index = track_indexes(tracks)

    def frame(self, frame: Frame, timestamp: int) -> bytes:
        """One frame; empty when its track is not sent."""
        track = frame.track
        index = self._index.get(track.id)
        if index is None:
            return b""
        if track.kind is Kind.DATA:
            return self._message(Kind.DATA, timestamp, b"", frame.data)
        header = flv.frame_header(track, frame.keyframe, frame.pts // MILLISECOND - frame.dts // MILLISECOND, index)
        return self._message(track.kind, timestamp, header, frame.data)

    def headers(self, timestamp: int, metadata: dict[str, Any], name: bytes = ON_METADATA) -> bytes:
        """What goes before frames: metadata and each track's configuration; empty without tracks."""
        # Metadata at any other time than 0 makes ffmpeg see a track of subtitles.
        headers = [self._message(Kind.DATA, 0, name, amf0.encode(EcmaArray(metadata)))]
        for track in self._tracks:
            body = flv.sequence_header(track, self._index[track.id])
            if body:
                headers.append(self._message(track.kind, timestamp, b"", body))
        return b"".join(headers) if self._tracks else b""

    def _message(self, kind: Kind, timestamp: int, prefix: bytes, data: bytes) -> bytes:
        chunk_stream, message_type = _CHANNELS[kind]
        return chunked_parts(chunk_stream, message_type, self._stream_id, timestamp, prefix, data, self._chunk_size)


def track_indexes(tracks: tuple[Track, ...]) -> dict[int, int]:
    """The number of each track among those of its kind, by track id: 0 is the default track, others need multitrack."""
    counts: dict[Kind, int] = {}
    indexes = {}
    for track in tracks:
        indexes[track.id] = counts.get(track.kind, 0)
        counts[track.kind] = indexes[track.id] + 1
    return indexes


def track_metadata(tracks: tuple[Track, ...]) -> dict[str, Any]:
    """What onMetaData says of the first track of each kind."""
    video = next((track for track in tracks if track.kind is Kind.VIDEO), None)
    audio = next((track for track in tracks if track.kind is Kind.AUDIO), None)
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
