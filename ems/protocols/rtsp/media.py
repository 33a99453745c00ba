"""How frames become the packets of a medium: RTP for one track, or MPEG-TS of all tracks, in RTP or bare.

All of a feed's viewers get the same packets: one SSRC, sequence and clock. What relates the clocks of its media to each other are
sender reports (RFC 3550 §6.4.1), which give the same moment in two ways: as wall-clock time and as a timestamp.
"""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Sequence
from hashlib import sha256

from ems.errors import MalformedData
from ems.formats import rtcp
from ems.formats.mpegts.mux import TsMuxer, carried
from ems.formats.rtp.packet import HEADER_SIZE
from ems.formats.rtp.packetise import TS_PACKET, TS_PACKETS, make_packetiser, make_ts_packetiser
from ems.formats.rtp.sync import ntp_timestamp
from ems.media.frame import SECOND, Frame
from ems.media.track import Codec, Kind, Track
from ems.protocols.rtsp.description import Medium

CNAME = f"ems-{secrets.token_hex(8)}"
"""The canonical name of all our senders (RFC 7022 §4.2: random, of 96 bits or so): media of one name belong together."""

_RANGE = 1 << 32

_SECRET = secrets.token_bytes(16)


def ssrc_of(stream_id: int, medium: Medium) -> int:
    """The SSRC of a medium, which SETUP tells before there is a feed: random to others, and the same in every form."""
    text = b"%b %d %d %d" % (_SECRET, stream_id, medium.number, medium.payload_type)
    return int.from_bytes(sha256(text).digest()[:4], "big")


class Sender(ABC):
    """One medium on its way out. `ssrc` and `sequence` (of the next packet) are what RTP-Info and SETUP tell."""

    clock_rate: int

    def __init__(self, medium: Medium, ssrc: int) -> None:
        self.medium = medium
        self.ssrc = ssrc
        self._offset = secrets.randbits(32)

    @property
    @abstractmethod
    def sequence(self) -> int:
        """The number of the next packet."""

    @property
    @abstractmethod
    def counts(self) -> tuple[int, int]:
        """Packets and payload bytes sent."""

    @abstractmethod
    def tracks_changed(self, tracks: Sequence[Track]) -> None:
        """These are the stream's tracks from now on."""

    @abstractmethod
    def packets(self, frame: Frame, *, join: bool) -> list[bytes]:
        """The packets of a frame; none when this medium leaves it out. `join` is for one that viewers may begin with."""

    def timestamp(self, time: int) -> int:
        """A time of the stream (nanoseconds) on the medium's clock, 32 bits."""
        return (self._offset + (time * self.clock_rate + SECOND // 2) // SECOND) % _RANGE

    def report(self, time: int, wall: int) -> bytes:
        """A sender report, with our name: at the `wall` (nanoseconds since 1970) the stream is at `time`."""
        packets, octets = self.counts
        moment = rtcp.SenderReport(self.ssrc, ntp_timestamp(wall), self.timestamp(time), packets % _RANGE, octets % _RANGE)
        return rtcp.build((moment, rtcp.cname(self.ssrc, CNAME)))

    def bye(self) -> bytes:
        """The medium has ended (RFC 3550 §6.6), in a compound packet, which has to begin with a report."""
        return rtcp.build((rtcp.ReceiverReport(self.ssrc), rtcp.cname(self.ssrc, CNAME), rtcp.Goodbye((self.ssrc,))))


class TrackSender(Sender):
    """The RTP packets of one track."""

    def __init__(self, medium: Medium, ssrc: int, packet_size: int) -> None:
        super().__init__(medium, ssrc)
        assert medium.track is not None
        self._track_id = medium.track.id
        packetiser = make_packetiser(
            medium.track,
            payload_type=medium.payload_type,
            ssrc=self.ssrc,
            sequence=secrets.randbits(16),
            max_payload=packet_size - HEADER_SIZE,
        )
        assert packetiser is not None
        self._packetiser = packetiser
        self.clock_rate = packetiser.clock_rate

    @property
    def sequence(self) -> int:
        return self._packetiser.sequence

    @property
    def counts(self) -> tuple[int, int]:
        return self._packetiser.packet_count, self._packetiser.octet_count

    def tracks_changed(self, tracks: Sequence[Track]) -> None:
        """New parameter sets go in band, before the next key frame; anything else ends the viewers (`play`)."""

    def packets(self, frame: Frame, *, join: bool) -> list[bytes]:
        if frame.track.id != self._track_id:
            return []
        return self._packetiser.packets(frame, self.timestamp(frame.pts))


class TsSender(Sender):
    """Transport packets of all tracks that can be carried, in RTP (RFC 2250 §2), or with `raw` in datagrams of their own.

    Those of a transport stream that came in untouched are passed on as they are.
    """

    TABLES_EVERY = SECOND // 2
    """Tables are repeated for who comes in between; each key frame has them in front anyway."""

    def __init__(self, medium: Medium, ssrc: int, packet_size: int, *, raw: bool) -> None:
        super().__init__(medium, ssrc)
        payload = packet_size if raw else packet_size - HEADER_SIZE
        self._packetiser = make_ts_packetiser(
            ssrc=self.ssrc,
            sequence=secrets.randbits(16),
            payload_type=medium.payload_type,
            max_payload=min(payload, TS_PACKETS * TS_PACKET),
        )
        self.clock_rate = self._packetiser.clock_rate
        self._raw = raw
        self._step = max(1, min(payload // TS_PACKET, TS_PACKETS)) * TS_PACKET
        self._muxer: TsMuxer | None = None
        self._tables_due = 0

    @property
    def sequence(self) -> int:
        return self._packetiser.sequence

    @property
    def counts(self) -> tuple[int, int]:
        return self._packetiser.packet_count, self._packetiser.octet_count

    def tracks_changed(self, tracks: Sequence[Track]) -> None:
        fit = carried(tracks)
        if self._muxer is None:
            self._muxer = TsMuxer(fit) if fit else None
        elif fit:
            self._muxer.set_tracks(fit)
        self._tables_due = 0

    def packets(self, frame: Frame, *, join: bool) -> list[bytes]:
        data = frame.data if frame.track.codec is Codec.TS else self._muxed(frame, join)
        if not data:
            return []
        if self._raw:
            return [data[start : start + self._step] for start in range(0, len(data), self._step)]
        return self._packetiser.packets(data, self.timestamp(frame.dts))

    def _muxed(self, frame: Frame, join: bool) -> bytes:
        """The transport packets of a frame, with the tables when it is time for them."""
        muxer = self._muxer
        if muxer is None or frame.track.kind is Kind.DATA:
            return b""
        try:
            data = muxer.frame(frame)
        except MalformedData:
            return b""
        if data and (join or frame.dts >= self._tables_due):
            self._tables_due = frame.dts + self.TABLES_EVERY
            data = muxer.psi() + data
        return data
