"""A client that publishes: its messages become the frames of an inbound stream."""

from time import monotonic_ns

from ems.formats import flv
from ems.media.frame import MILLISECOND, Frame
from ems.media.timeline import Timeline, Unwrapper
from ems.media.track import Codec, Kind, Track
from ems.protocols.rtmp.chunks import Message
from ems.protocols.rtmp.mapping import CLEAR_DATA_FRAME, aggregated, data_message, read_metadata
from ems.protocols.rtmp.wire import MessageType
from ems.streams.inbound import InboundStream

_TEXT = b"\2"
"""The AMF0 marker that the name of a data message begins with; what has no name is no data message."""

_VIDEO = int(MessageType.VIDEO)
_AUDIO = int(MessageType.AUDIO)

DATA = Track(flv.DATA_TRACK, Kind.DATA, Codec.AMF0)


class Publish:
    """One publishing message stream, and the inbound stream it feeds. `name` is what the publisher calls it."""

    __slots__ = ("_clocks", "_has_data", "_reader", "_timeline", "_tracks", "name", "stream")

    def __init__(self, stream: InboundStream, name: str = "") -> None:
        self.stream = stream
        self.name = name or stream.name
        self._reader = flv.TagReader()
        self._timeline = Timeline()
        self._clocks: dict[int, Unwrapper] = {}
        self._has_data = False
        self._tracks: tuple[Track, ...] = ()

    def message(self, message: Message) -> None:
        """One media or data message of this stream. Raises `RemoteProtocolError` when it is broken."""
        type_id, _, timestamp, payload = message
        if type_id == _VIDEO:
            self._samples(type_id, timestamp, self._reader.video(payload))
        elif type_id == _AUDIO:
            self._samples(type_id, timestamp, self._reader.audio(payload))
        elif type_id in (MessageType.DATA, MessageType.DATA_AMF3):
            self._data(message)
        elif type_id == MessageType.AGGREGATE:
            for part in aggregated(message):
                self.message(part)

    def close(self, reason: str) -> None:
        """The publisher has left."""
        self.stream.end(reason)

    def _samples(self, type_id: int, timestamp: int, samples: list[flv.Sample]) -> None:
        if self._reader.tracks is not self._tracks:
            self._announce()
        if not samples:
            return
        source_time = self._source_time(type_id, timestamp)
        for track, keyframe, composition_offset, data, nanoseconds in samples:
            dts = self._place(track.id, source_time + nanoseconds)
            self.stream.push(Frame(track, dts, dts + composition_offset, keyframe, data))

    def _announce(self) -> None:
        self._tracks = self._reader.tracks
        self.stream.set_tracks((*self._tracks, DATA) if self._has_data else self._tracks)

    def _place(self, track_id: int, source_time: int) -> int:
        dts = self._timeline.place(track_id, source_time, monotonic_ns())
        self.stream.origin = self._timeline.origin
        return dts

    def _source_time(self, type_id: int, timestamp: int) -> int:
        clock = self._clocks.get(type_id)
        if clock is None:
            clock = self._clocks[type_id] = Unwrapper(32)
        return clock.unwrap(timestamp) * MILLISECOND

    def _data(self, message: Message) -> None:
        body = data_message(message)
        if body[:1] != _TEXT:
            return
        if body.startswith(CLEAR_DATA_FRAME):
            self.stream.set_metadata({})
            return
        metadata = read_metadata(body)
        if metadata is not None:
            self.stream.set_metadata(metadata)
        if not self._has_data:
            self._has_data = True
            self._announce()
        dts = self._place(DATA.id, self._source_time(message.type_id, message.timestamp))
        self.stream.push(Frame(DATA, dts, dts, False, body))
