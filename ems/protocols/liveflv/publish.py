"""The tags of one sender as the frames of an inbound stream (type INLFLV)."""

from collections.abc import Callable
from time import monotonic_ns
from typing import Any

from ems.formats import amf0, flv
from ems.media.frame import MILLISECOND, Frame
from ems.media.timeline import Timeline, Unwrapper
from ems.media.track import Codec, Kind, Track
from ems.protocols.liveflv.wire import Tag
from ems.streams.inbound import InboundStream

ON_METADATA = amf0.encode("onMetaData")
SET_DATA_FRAME = amf0.encode("@setDataFrame")

MAX_METADATA = 64 << 10
"""Bytes of an onMetaData that is read."""

STREAM_NAME = "streamName"
"""The entry of onMetaData by which a sender may name its stream."""

_TEXT = b"\2"
"""The AMF0 marker that the name of a data message begins with."""

DATA = Track(flv.DATA_TRACK, Kind.DATA, Codec.AMF0)

Register = Callable[[str], InboundStream]
"""Makes the inbound stream, given the name that the sender wants, or nothing. Raises `CommandError`."""


class Publication:
    """Tags in, frames out. The stream is registered by its first frame, or, when its name is to be waited for, by onMetaData.

    What comes before the stream is lost, but for the configuration of its tracks.
    """

    def __init__(self, register: Register, *, wait_for_metadata: bool) -> None:
        self.stream: InboundStream | None = None
        self._register = register
        self._waiting = wait_for_metadata
        self._reader = flv.TagReader()
        self._timeline = Timeline()
        self._clocks: dict[int, Unwrapper] = {}
        self._tracks: tuple[Track, ...] = ()
        self._has_data = False

    def receive(self, tag: Tag) -> None:
        """The next tag. Raises `MalformedData` when it is broken, `CommandError` when the stream finds no place."""
        if tag.type == flv.TAG_VIDEO:
            self._samples(tag, self._reader.video(tag.body))
        elif tag.type == flv.TAG_AUDIO:
            self._samples(tag, self._reader.audio(tag.body))
        elif tag.type == flv.TAG_SCRIPT:
            self._script(tag)

    def close(self, reason: str) -> None:
        """The sender has left."""
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.end(reason)

    def _samples(self, tag: Tag, samples: list[flv.Sample]) -> None:
        if self.stream is None and samples and not self._waiting:
            self.stream = self._register("")
        stream = self.stream
        if stream is None:
            return
        if self._reader.tracks is not self._tracks:
            self._announce(stream)
        if not samples:
            return
        source_time = self._source_time(tag)
        for track, keyframe, composition_offset, data, nanoseconds in samples:
            dts = self._place(stream, track.id, source_time + nanoseconds)
            stream.push(Frame(track, dts, dts + composition_offset, keyframe, data))

    def _script(self, tag: Tag) -> None:
        body = tag.body.removeprefix(SET_DATA_FRAME)
        if body[:1] != _TEXT:
            return
        if body.startswith(ON_METADATA) and len(body) <= MAX_METADATA:
            self._describe(_metadata(body))
        stream = self.stream
        if stream is None:
            return
        if not self._has_data:
            self._has_data = True
            self._announce(stream)
        dts = self._place(stream, DATA.id, self._source_time(tag))
        stream.push(Frame(DATA, dts, dts, False, body))

    def _describe(self, metadata: dict[str, Any]) -> None:
        """Take an onMetaData, and the name of the stream from it if that has been waited for."""
        if self.stream is None:
            name = metadata.get(STREAM_NAME) if self._waiting else ""
            self.stream = self._register(name if isinstance(name, str) else "")
        self.stream.set_metadata(metadata)

    def _announce(self, stream: InboundStream) -> None:
        self._tracks = self._reader.tracks
        stream.set_tracks((*self._tracks, DATA) if self._has_data else self._tracks)

    def _place(self, stream: InboundStream, track_id: int, source_time: int) -> int:
        dts = self._timeline.place(track_id, source_time, monotonic_ns())
        stream.origin = self._timeline.origin
        return dts

    def _source_time(self, tag: Tag) -> int:
        clock = self._clocks.get(tag.type)
        if clock is None:
            clock = self._clocks[tag.type] = Unwrapper(32)
        return clock.unwrap(tag.timestamp) * MILLISECOND


def _metadata(body: bytes) -> dict[str, Any]:
    values = amf0.decode_prefix(body)
    return dict(values[1]) if len(values) > 1 and isinstance(values[1], dict) else {}
