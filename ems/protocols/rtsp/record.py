"""A client that publishes: its packets become the frames of an inbound stream."""

import secrets
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from ems.errors import CommandError, MalformedData
from ems.formats.rtp.depacketise import make_depacketiser
from ems.formats.rtp.reception import Reception
from ems.formats.rtp.reorder import DEFAULT_WINDOW
from ems.formats.rtp.sync import MAX_TCP_INTERVAL
from ems.formats.sdp import SessionDescription, chosen_type
from ems.media.frame import SECOND, Frame
from ems.media.track import Track
from ems.protocols.rtsp.losses import count_losses
from ems.protocols.rtsp.media import CNAME
from ems.protocols.rtsp.reply import Refused
from ems.protocols.rtsp.session import Session
from ems.protocols.rtsp.transport import Transport
from ems.protocols.rtsp.ts_reception import TsReception
from ems.streams.inbound import InboundStream
from ems.streams.ingest import publish

if TYPE_CHECKING:
    from ems.protocols.rtsp.server import RtspConnection

REPORT_SECONDS = 5
"""Between two receiver reports (RFC 3550 §6.2)."""


class RecordSession(Session):
    """A session that publishes what ANNOUNCE has described, as `name`, which may be that of an ingest point."""

    def __init__(self, connection: "RtspConnection", url: str, name: str, description: SessionDescription) -> None:
        """Raises `Refused` (415) when nothing of it can be read."""
        super().__init__(connection)
        self.url = url
        self.name = name
        self.stream: InboundStream | None = None
        self._medias = description.medias
        self._depacketisers = [make_depacketiser(media, index) for index, media in enumerate(self._medias)]
        if not any(map(self._readable, range(len(self._medias)))):
            kinds = ", ".join(" ".join((media.kind, media.protocol, *media.formats)) for media in self._medias[:4])
            raise Refused(415, f"nothing that can be read: {kinds or 'no media'}")
        self._reader: Reception | TsReception | None = None
        self._indexes: dict[int, int] = {}
        self._tracks: tuple[Track, ...] = ()
        self._ssrc = secrets.randbits(32)
        self._report_in = REPORT_SECONDS
        self._held_back = 0

    @property
    def streams(self) -> list[Any]:
        """What is published."""
        return [self.stream] if self.stream is not None else []

    def set_up(self, url: str, offers: list[Transport]) -> Transport:
        """Carry the medium whose control address this is. Raises `Refused`."""
        key = self._medium_of(url)
        if key is None:
            raise Refused(404, f"ANNOUNCE had no medium {url[:80]!r}")
        return self.carry(key, [offer for offer in offers if not offer.raw and offer.mode != "PLAY"])

    def record(self) -> None:
        """Media come from now on. Raises `Refused` when the name is taken or nothing readable was set up."""
        connection = self.connection
        if self.stream is not None:
            return
        readable = [key for key in self.setups if self._readable(key)]
        if not readable:
            raise Refused(455, "no medium that can be read was set up")
        try:
            self.stream = publish(connection.server, self.name, type_tag="INP", source=connection)
        except CommandError as error:
            raise Refused(403, str(error)) from error
        self._reader = self._make_reader(readable)
        self._indexes = {key: index for index, key in enumerate(readable)}

    def received(self, key: int, control: bool, data: bytes) -> None:
        reader, index = self._reader, self._indexes.get(key)
        if reader is None or index is None or self.stream is None:
            return
        now = monotonic_ns()
        try:
            frames = reader.rtcp(index, data, now) if control else reader.rtp(index, data, now)
        except MalformedData:
            return
        if frames:
            self._push(frames)
        if control and reader.ended:
            self.connection.stream_ended("the source has said goodbye")

    def tick(self) -> None:
        """A second has passed."""
        reader = self._reader
        if reader is None:
            return
        now = monotonic_ns()
        self._expire(reader, now)
        if self.stream is not None:
            self.stream.details = {**self.stream.details, "synchronisation": reader.mode.value}
            count_losses(self.stream, reader)
            self._count_held_back(self.stream, reader)
        self._report_in -= 1
        if self._report_in <= 0:
            self._report_in = REPORT_SECONDS
            for key, index in self._indexes.items():
                self._send_control(key, reader.receiver_report(index, self._ssrc, CNAME, now))

    def close(self, reason: str) -> None:
        stream, self.stream = self.stream, None
        self._reader = None
        super().close(reason)
        if stream is not None:
            stream.end(reason)

    def _expire(self, reader: Reception | TsReception, now: int) -> None:
        """Let go of what waits for packets that do not come."""
        try:
            self._push(reader.expire(now))
        except MalformedData:
            # What is no transport stream brings no frames; if nothing else comes, the stream's time-out ends it.
            return

    def _count_held_back(self, stream: InboundStream, reader: Reception | TsReception) -> None:
        """What comes while reports are waited for is a sign of life: the stream's time-out may be shorter than the wait."""
        if isinstance(reader, Reception) and reader.held_back != self._held_back:
            stream.frame_count += reader.held_back - self._held_back
            self._held_back = reader.held_back

    def _push(self, frames: list[Frame]) -> None:
        stream, reader = self.stream, self._reader
        if stream is None or reader is None:
            return
        for frame in frames:
            if frame.track not in self._tracks:
                self._tracks = reader.tracks
                stream.set_tracks(self._tracks)
            stream.push(frame)

    def _make_reader(self, keys: list[int]) -> Reception | TsReception:
        interleaved = self.interleaved
        window = 0 if interleaved else DEFAULT_WINDOW
        ts = next((key for key in keys if self._medias[key].is_transport_stream), None)
        if ts is not None:
            keys[:] = [ts]
            return TsReception(raw=False, window=window)
        interval = self.connection.server.config.application.rtcp_detection_interval * SECOND
        medias = []
        for key in keys:
            depacketiser, chosen = self._depacketisers[key], chosen_type(self._medias[key])
            assert depacketiser is not None
            medias.append((depacketiser, chosen[0] if chosen is not None else None))
        return Reception(medias, interval=min(interval, MAX_TCP_INTERVAL) if interleaved else interval, window=window)

    def _readable(self, key: int) -> bool:
        return self._medias[key].is_transport_stream or self._depacketisers[key] is not None

    def _send_control(self, key: int, packet: bytes) -> None:
        setup = self.setups[key]
        if setup.pair is not None:
            target = setup.pair.target(True)
            if target is not None:
                setup.pair.sockets[1].send(packet, target)
        elif setup.transport.interleaved is not None:
            self.connection.send_frame(setup.transport.interleaved[1], packet)

    def _medium_of(self, url: str) -> int | None:
        """The medium of an address: controls are absolute, or relative to the address of ANNOUNCE (RFC 2326 §C.1.1)."""
        base = self.url.rstrip("/")
        for index, media in enumerate(self._medias):
            control = media.control
            if url.rstrip("/") in (control, f"{base}/{control.lstrip('/')}" if control else base):
                return index
        # Encoders write the host in other ways than in ANNOUNCE.
        ends = [index for index, media in enumerate(self._medias) if media.control and url.endswith("/" + media.control)]
        return ends[0] if len(ends) == 1 else None
