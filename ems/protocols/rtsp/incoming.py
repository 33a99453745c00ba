"""RTP that comes in as a stream of ours: which media of a description are taken, and how their packets become its frames."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from ems.errors import CommandError, MalformedData, RemoteProtocolError
from ems.formats.rtp.depacketise import make_depacketiser
from ems.formats.rtp.reception import Reception
from ems.formats.rtp.reorder import DEFAULT_WINDOW
from ems.formats.rtp.sync import MAX_TCP_INTERVAL
from ems.formats.sdp import Media, SessionDescription, chosen_type
from ems.media.frame import MILLISECOND, SECOND, Frame
from ems.media.track import Kind, Track
from ems.protocols.rtsp.losses import count_losses
from ems.protocols.rtsp.ts_reception import TsReception
from ems.streams.inbound import InboundStream

if TYPE_CHECKING:
    from ems.net.connection import Connection
    from ems.server import Server

TYPE_TAG = "INP"

RECEIVER = f"ems-{secrets.token_hex(8)}"
"""Our canonical name in RTCP (RFC 7022 §4.2)."""

BARE_PROTOCOLS = frozenset(("UDP", "RAW/RAW/UDP", "MP2T/H2221/UDP"))
"""Protocols of a medium that name no RTP."""

Begun = Callable[[InboundStream], None]
"""Is told of the stream, once it is there."""


def chosen_media(description: SessionDescription) -> list[Media]:
    """The media that are taken: a transport stream, or the first video and the first audio that can be read.

    Media that nothing is sent of (``a=inactive``) are left out. Raises `RemoteProtocolError` when none can be taken.
    """
    offered = [media for media in description.medias if (media.direction or description.direction) != "inactive"]
    for media in offered:
        if media.is_transport_stream:
            return [media]
    found = [
        next((media for media in offered if media.kind == kind and make_depacketiser(media) is not None), None)
        for kind in ("video", "audio")
    ]
    if not any(found):
        kinds = ", ".join(f"{media.kind} {_encoding(media)}" for media in description.medias) or "nothing"
        raise RemoteProtocolError(f"none of the media that are offered can be taken: {kinds}")
    return [media for media in found if media is not None]


def is_bare_transport_stream(media: Media) -> bool:
    """True for transport packets in datagrams without RTP, as the original server has them."""
    return media.is_transport_stream and media.protocol.upper() in BARE_PROTOCOLS


def _encoding(media: Media) -> str:
    mapped = media.rtpmap(media.payload_types[0]) if media.payload_types else None
    return mapped.encoding if mapped is not None else "?"


class Incoming:
    """The media of one source, by their index in `medias`, and the stream that they become.

    The stream `name` is made when its first frame may be passed on, and `begun` is told; when the name is taken then, or what
    comes makes no sense, `source` is closed. `interval` is how long (seconds) sender reports are waited for; with `ordered` the
    transport keeps the order of packets and loses none. `origins` are the timestamps of RTP-Info by index; `raw` is a transport
    stream without RTP.
    """

    def __init__(
        self,
        server: "Server",
        source: "Connection",
        name: str,
        medias: Sequence[Media],
        begun: Begun,
        *,
        interval: float,
        ordered: bool = False,
        raw: bool = False,
        origins: Mapping[int, int] | None = None,
    ) -> None:
        self.stream: InboundStream | None = None
        self._server = server
        self._source = source
        self._name = name
        self._begun = begun
        self._count = len(medias)
        self._ssrc = secrets.randbits(32)
        self._known: dict[int, Track] = {}
        self._first_arrival: int | None = None
        self._over = False
        window = 0 if ordered else DEFAULT_WINDOW
        longest = int(interval * SECOND)
        self._reception: Reception | TsReception
        if medias[0].is_transport_stream:
            self._reception = TsReception(raw=raw, window=window)
        else:
            longest = min(longest, MAX_TCP_INTERVAL) if ordered else longest
            self._reception = Reception(_readers(medias), interval=longest, window=window, origins=origins)

    @property
    def heard(self) -> bool:
        """Whether any packet has come."""
        return self._first_arrival is not None

    def rtp(self, index: int, data: bytes) -> None:
        """A packet of a medium has come."""
        now = monotonic_ns()
        if self._first_arrival is None:
            self._first_arrival = now
        if self._over:
            return
        try:
            frames = self._reception.rtp(index, data, now)
        except RemoteProtocolError as error:
            self._source.close(str(error))
            return
        if frames:
            self._push(frames)

    def rtcp(self, index: int, data: bytes) -> None:
        """A packet of a medium's RTCP has come; what is none is passed over."""
        if self._over:
            return
        try:
            frames = self._reception.rtcp(index, data, monotonic_ns())
        except MalformedData:
            return
        if frames:
            self._push(frames)
        if self._reception.ended:
            self._source.close("the source has said goodbye")

    def tick(self) -> None:
        """About once a second: let go of what waits for packets that do not come, and count what was lost."""
        frames = self._reception.expire(monotonic_ns())
        if frames and not self._over:
            self._push(frames)
        if self.stream is not None:
            count_losses(self.stream, self._reception)

    def reports(self) -> list[bytes]:
        """A receiver report for each medium."""
        now = monotonic_ns()
        return [self._reception.receiver_report(index, self._ssrc, RECEIVER, now) for index in range(self._count)]

    def end(self, reason: str) -> None:
        """The source is gone."""
        self._over = True
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.end(reason)

    def _push(self, frames: list[Frame]) -> None:
        stream = self.stream or self._begin()
        if stream is None:
            return
        known = self._known
        for frame in frames:
            if known.get(frame.track.id) is not frame.track:
                self._announce(stream, frame.track)
            stream.push(frame)
        stream.origin = self._reception.timeline.origin

    def _begin(self) -> InboundStream | None:
        try:
            stream = self._server.streams.register(self._name, type_tag=TYPE_TAG, source=self._source)
        except CommandError as error:
            self._over = True
            self._source.close(str(error))
            return None
        self.stream = stream
        self._known = {track.id: track for track in self._reception.tracks}
        stream.set_tracks(self._tracks())
        waited = (monotonic_ns() - (self._first_arrival or 0)) // MILLISECOND
        stream.details = {**stream.details, "rtcpWait": str(waited), "synchronisation": self._reception.mode.value}
        self._begun(stream)
        return stream

    def _announce(self, stream: InboundStream, track: Track) -> None:
        self._known[track.id] = track
        stream.set_tracks(self._tracks())

    def _tracks(self) -> tuple[Track, ...]:
        return tuple(sorted(self._known.values(), key=lambda track: track.kind is not Kind.VIDEO))


def _readers(medias: Sequence[Media]) -> list[tuple[Any, int | None]]:
    """What reads each medium, and which payload type it reads."""
    readers: list[tuple[Any, int | None]] = []
    for index, media in enumerate(medias):
        chosen = chosen_type(media)
        readers.append((make_depacketiser(media, index + 1), chosen[0] if chosen else None))
    return readers
