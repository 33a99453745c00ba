"""Waiting until a stream has told all its tracks: an SDP cannot be changed once it is told.

A stream may be there before its tracks are, and RTMP publishers name them one by one: metadata first, then picture, then sound.
"""

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from ems.interfaces import IFrameSink
from ems.media.frame import SECOND, Frame
from ems.media.track import Codec, Kind, Track
from ems.streams.inbound import InboundStream

MAX_LATENESS = SECOND
"""How far a stream goes on before a track that its metadata promised is given up, in nanoseconds on its clock."""

_PROMISES = {Kind.VIDEO: "videocodecid", Kind.AUDIO: "audiocodecid"}
"""The entries of onMetaData (FLV 10.1 §E.5) that say which kinds of track there will be."""


def tracks_known(stream: InboundStream) -> bool:
    """Whether a stream has pictures or sound, and all of them that its metadata promises, or is an untouched transport stream."""
    if any(track.codec is Codec.TS for track in stream.tracks):
        return True
    kinds = {track.kind for track in stream.tracks} & _PROMISES.keys()
    if not kinds:
        return False
    promised = {kind for kind, key in _PROMISES.items() if stream.metadata.get(key)}
    return promised <= kinds or stream.newest >= MAX_LATENESS


async def wait_for_tracks(stream: InboundStream, clock: IReactorTime, seconds: float) -> None:
    """Return when `tracks_known`, when the stream ends, or after so many seconds."""
    if not tracks_known(stream):
        await _Waiting(stream, clock, seconds).done


@implementer(IFrameSink)
class _Waiting:
    """A sink of the stream until the tracks are known; `done` fires once."""

    def __init__(self, stream: InboundStream, clock: IReactorTime, seconds: float) -> None:
        self.done: Deferred[None] = Deferred(lambda _: self._detach())
        self._stream = stream
        self._late = clock.callLater(seconds, self._finish)
        stream.add_sink(self)

    def tracks_changed(self, tracks: tuple[Track, ...]) -> None:
        if tracks_known(self._stream):
            self._finish()

    def frame(self, frame: Frame) -> None:
        if tracks_known(self._stream):
            self._finish()

    def ended(self, reason: str) -> None:
        self._finish()

    def _finish(self) -> None:
        self._detach()
        if not self.done.called:
            self.done.callback(None)

    def _detach(self) -> None:
        self._stream.remove_sink(self)
        if self._late.active():
            self._late.cancel()
