"""A client that publishes: its packets become the frames of an inbound stream."""

from functools import partial
from typing import TYPE_CHECKING, Any

from ems.errors import CommandError
from ems.formats.rtp.depacketise import make_depacketiser
from ems.formats.sdp import SessionDescription
from ems.protocols.rtsp.incoming import TYPE_TAG, Incoming
from ems.protocols.rtsp.reply import Refused
from ems.protocols.rtsp.session import Session
from ems.protocols.rtsp.transport import Transport
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
        self._medias = description.medias
        self._readable = [media.is_transport_stream or make_depacketiser(media) is not None for media in self._medias]
        if not any(self._readable):
            kinds = ", ".join(" ".join((media.kind, media.protocol, *media.formats)) for media in self._medias[:4])
            raise Refused(415, f"nothing that can be read: {kinds or 'no media'}")
        self._incoming: Incoming | None = None
        self._indexes: dict[int, int] = {}
        self._report_in = REPORT_SECONDS

    @property
    def stream(self) -> InboundStream | None:
        """What is published; None before `record`."""
        return self._incoming.stream if self._incoming is not None else None

    @property
    def streams(self) -> list[Any]:
        """What is published."""
        stream = self.stream
        return [stream] if stream is not None else []

    def set_up(self, url: str, offers: list[Transport]) -> Transport:
        """Carry the medium whose control address this is. Raises `Refused`."""
        key = self._medium_of(url)
        if key is None:
            raise Refused(404, f"ANNOUNCE had no medium {url[:80]!r}")
        return self.carry(key, [offer for offer in offers if not offer.raw and offer.mode != "PLAY"])

    def record(self) -> None:
        """Media come from now on. Raises `Refused` when the name is taken or nothing readable was set up."""
        if self.stream is not None:
            return
        readable = [key for key in self.setups if self._readable[key]]
        if not readable:
            raise Refused(455, "no medium that can be read was set up")
        ts = next((key for key in readable if self._medias[key].is_transport_stream), None)
        keys = readable if ts is None else [ts]
        incoming = self._receive(keys)
        try:
            incoming.register()
        except CommandError as error:
            raise Refused(403, str(error)) from error
        self._incoming = incoming
        self._indexes = {key: index for index, key in enumerate(keys)}

    def received(self, key: int, control: bool, data: bytes) -> None:
        incoming, index = self._incoming, self._indexes.get(key)
        if incoming is None or index is None:
            return
        if control:
            incoming.rtcp(index, data)
        else:
            incoming.rtp(index, data)

    def tick(self) -> None:
        """A second has passed."""
        incoming = self._incoming
        if incoming is None:
            return
        incoming.tick()
        self._report_in -= 1
        if self._report_in <= 0:
            self._report_in = REPORT_SECONDS
            for key, packet in zip(self._indexes, incoming.reports(), strict=True):
                # What nobody reads may end the session.
                if key in self.setups:
                    self._send_control(key, packet)

    def close(self, reason: str) -> None:
        incoming, self._incoming = self._incoming, None
        super().close(reason)
        if incoming is not None:
            incoming.end(reason)

    def _receive(self, keys: list[int]) -> Incoming:
        connection = self.connection
        server = connection.server
        return Incoming(
            [self._medias[key] for key in keys],
            partial(publish, server, self.name, type_tag=TYPE_TAG, source=connection),
            connection.stream_ended,
            interval=server.config.application.rtcp_detection_interval,
            ordered=self.interleaved,
        )

    def _send_control(self, key: int, packet: bytes) -> None:
        setup = self.setups[key]
        if setup.pair is not None:
            setup.pair.sockets[1].send(packet)
            self.connection.bytes_sent += len(packet)
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
