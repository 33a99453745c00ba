"""RTP that comes in as a stream of ours: which media of a description are taken, and how their packets become its frames."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from time import monotonic_ns
from typing import Any

from ems.errors import CommandError, MalformedData, RemoteProtocolError
from ems.formats.rtp.depacketise import make_depacketiser
from ems.formats.rtp.reception import Reception
from ems.formats.rtp.reorder import DEFAULT_WINDOW
from ems.formats.rtp.sync import MAX_TCP_INTERVAL
from ems.formats.sdp import Media, SessionDescription, chosen_type
from ems.media.frame import SECOND, Frame
from ems.media.track import Kind, Track
from ems.protocols.rtsp.losses import count_losses
from ems.protocols.rtsp.ts_reception import TsReception
from ems.streams.inbound import InboundStream

TYPE_TAG = "INP"

RECEIVER = f"ems-{secrets.token_hex(8)}"
"""Our canonical name in RTCP (RFC 7022 §4.2)."""

BARE_PROTOCOLS = frozenset(("UDP", "RAW/RAW/UDP", "MP2T/H2221/UDP"))
"""Protocols of a medium that name no RTP."""

Begun = Callable[[InboundStream], None]
"""Is told of the stream, once it has media."""


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

    `make_stream` gives the stream, when its first frame may be passed on unless `register` has asked for it before; `begun` is
    told when it has its tracks. When there can be none (`CommandError`), what comes makes no sense, or the source says goodbye,
    `give_up` is told why. `interval` is how long (seconds) sender reports are waited for; with `ordered` the transport keeps the
    order of packets and loses none. `origins` are the timestamps of RTP-Info by index; `raw` is a transport stream without RTP.
    """

    def __init__(
        self,
        medias: Sequence[Media],
        make_stream: Callable[[], InboundStream],
        give_up: Callable[[str], None],
        begun: Begun = lambda stream: None,
        *,
        interval: float,
        ordered: bool = False,
        raw: bool = False,
        origins: Mapping[int, int] | None = None,
    ) -> None:
        self.stream: InboundStream | None = None
        self._make_stream = make_stream
        self._give_up = give_up
        self._begun = begun
        self._count = len(medias)
        self._ssrc = secrets.randbits(32)
        self._known: dict[int, Track] = {}
        self._first_arrival: int | None = None
        self._held_back = 0
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

    def register(self) -> InboundStream:
        """Have the stream from now on, be it still without media. Raises `CommandError` when there can be none."""
        self.stream = self._make_stream()
        self._held_back = self._reception.held_back
        return self.stream

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
            self._give_up(str(error))
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
            self._give_up("the source has said goodbye")

    def tick(self) -> None:
        """About once a second: let go of what waits for packets that do not come, and count what was lost."""
        if self._over:
            return
        try:
            frames = self._reception.expire(monotonic_ns())
        except RemoteProtocolError as error:
            self._give_up(str(error))
            return
        if frames:
            self._push(frames)
        if self.stream is not None:
            self._tell(self.stream)

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
        stream = self.stream if self._known else self._begin()
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
            stream = self.stream or self.register()
        except CommandError as error:
            self._over = True
            self._give_up(str(error))
            return None
        self._known = {track.id: track for track in self._reception.tracks}
        stream.set_tracks(self._tracks())
        waited = (monotonic_ns() - (self._first_arrival or 0)) / SECOND
        stream.details = {**stream.details, "rtcpWait": f"{waited:.1f}", "synchronisation": self._reception.mode.value}
        self._begun(stream)
        return stream

    def _tell(self, stream: InboundStream) -> None:
        """Write into the stream what has become of the media until now."""
        reception = self._reception
        stream.details = {**stream.details, "synchronisation": reception.mode.value}
        count_losses(stream, reception)
        # What is held back is a sign of life as well: the stream's time-out may be shorter than the wait for reports.
        stream.frame_count += reception.held_back - self._held_back
        self._held_back = reception.held_back

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
