"""RTCP (RFC 3550 §6): what senders and receivers of RTP tell each other about it, in packets of their own.

Several packets make up one datagram, a compound packet. Each begins alike, and tells its length in words of 32 bits less one::

    V=2:2 P:1 count:5 | packet type:8 | length:16 | …

| type | packet | |
|---|---|---|
| 200 | `SenderReport` | relates RTP timestamps to the wall clock, tells what was sent, and has `ReportBlock` values |
| 201 | `ReceiverReport` | `ReportBlock` values: what arrived of each source, and what did not |
| 202 | `SourceDescription` | names: CNAME tells which sources belong together |
| 203 | `Goodbye` | a source ends |
| 204 | `ApplicationDefined` | anything |
| 205, 206 | `Feedback` | RFC 4585: a receiver needs a packet again, or a key frame |

`parse` takes a compound packet apart, `build` puts one together, and `ReceiverStatistics` counts what a `ReportBlock` tells.
"""

from collections.abc import Iterable, Sequence
from struct import Struct
from typing import NamedTuple

from ems.errors import LocalProtocolError, MalformedData
from ems.formats.rtp.packet import TIMESTAMP_RANGE, sequence_step
from ems.media.frame import SECOND

MAX_PACKETS = 64
"""Packets in one compound packet: a report, names, and some feedback are usual."""

MAX_BLOCKS = 31
"""Blocks, chunks and sources in one packet: the count has five bits."""

CNAME = 1
"""The item of a source description that every compound packet has (§6.5.1)."""

TRANSPORT_FEEDBACK = 205
PAYLOAD_FEEDBACK = 206
PICTURE_LOSS = 1
FULL_INTRA_REQUEST = 4
"""Formats of `PAYLOAD_FEEDBACK` that ask for a key frame (RFC 4585 §6.3.1, RFC 5104 §4.3.1)."""

_SR, _RR, _SDES, _BYE, _APP = 200, 201, 202, 203, 204
_HEADER = Struct(">BBH")
_SENDER = Struct(">IQIII")
_BLOCK = Struct(">IIIIII")
_WORD = Struct(">I")


class ReportBlock(NamedTuple):
    """What has arrived of one source (§6.4.1).

    `fraction_lost` is in 1/256 since the report before, `cumulative_lost` in packets and may be negative (duplicates);
    `highest_sequence` counts on past its 16 bits; `jitter` is in ticks of the medium's clock. `last_sr` are the middle 32 bits of
    the newest sender report's NTP timestamp, `delay_since_last_sr` is in 1/65536 s since it came.
    """

    ssrc: int
    fraction_lost: int = 0
    cumulative_lost: int = 0
    highest_sequence: int = 0
    jitter: int = 0
    last_sr: int = 0
    delay_since_last_sr: int = 0


class SenderReport(NamedTuple):
    """§6.4.1: `ntp_timestamp` (64 bits) is the wall clock at `rtp_timestamp`; octets are those of payloads."""

    ssrc: int
    ntp_timestamp: int
    rtp_timestamp: int
    packet_count: int
    octet_count: int
    blocks: tuple[ReportBlock, ...] = ()


class ReceiverReport(NamedTuple):
    """§6.4.2."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()


class SourceDescription(NamedTuple):
    """§6.5: for each source its items, type and text."""

    chunks: tuple[tuple[int, tuple[tuple[int, str], ...]], ...]


class Goodbye(NamedTuple):
    """§6.6."""

    sources: tuple[int, ...]
    reason: str = ""


class ApplicationDefined(NamedTuple):
    """§6.7: `name` has four bytes."""

    subtype: int
    ssrc: int
    name: bytes
    data: bytes = b""


class Feedback(NamedTuple):
    """RFC 4585 §6.1: of `TRANSPORT_FEEDBACK` or `PAYLOAD_FEEDBACK`, in a format, about the source `media_ssrc`."""

    packet_type: int
    format: int
    ssrc: int
    media_ssrc: int
    data: bytes = b""

    @property
    def wants_keyframe(self) -> bool:
        """True when the receiver cannot go on without a key frame."""
        return self.packet_type == PAYLOAD_FEEDBACK and self.format in (PICTURE_LOSS, FULL_INTRA_REQUEST)


RtcpPacket = SenderReport | ReceiverReport | SourceDescription | Goodbye | ApplicationDefined | Feedback


def parse(data: bytes) -> list[RtcpPacket]:
    """The packets of a compound packet, those of unknown types left out.

    Raises `MalformedData` when a length or a count reaches past the end, or when there are more than `MAX_PACKETS`.
    """
    packets: list[RtcpPacket] = []
    at = number = 0
    while at < len(data):
        number += 1
        if len(data) - at < _HEADER.size or number > MAX_PACKETS:
            raise MalformedData(f"RTCP packet {number} at byte {at} of {len(data)}")
        flags, kind, words = _HEADER.unpack_from(data, at)
        end = at + 4 + 4 * words
        if flags >> 6 != 2 or end > len(data):
            raise MalformedData(f"an RTCP packet of version {flags >> 6} that ends at byte {end} of {len(data)}")
        body = data[at + 4 : end]
        if flags & 0x20:
            if not body or not 0 < body[-1] <= len(body):
                raise MalformedData(f"an RTCP packet of {len(body)} bytes with a padding that cannot be")
            body = body[: -body[-1]]
        packet = _read(kind, flags & 31, body)
        if packet is not None:
            packets.append(packet)
        at = end
    return packets


def build(packets: Iterable[RtcpPacket]) -> bytes:
    """A compound packet. The first one should be a report, and a `SourceDescription` with a CNAME be there (§6.1)."""
    return b"".join([_written(packet) for packet in packets])


def cname(ssrc: int, name: str) -> SourceDescription:
    """The source description that goes with every report."""
    return SourceDescription(((ssrc, ((CNAME, name),)),))


def picture_loss_indication(ssrc: int, media_ssrc: int) -> Feedback:
    """The request for a key frame of `media_ssrc` (RFC 4585 §6.3.1)."""
    return Feedback(PAYLOAD_FEEDBACK, PICTURE_LOSS, ssrc, media_ssrc)


class ReceiverStatistics:
    """Counts what arrives of one source, for its `ReportBlock` (RFC 3550 §A.3, §A.8). Times are monotonic, in nanoseconds."""

    def __init__(self, clock_rate: int) -> None:
        self.ssrc: int | None = None
        self.received = 0
        self._clock_rate = clock_rate
        self._restart()

    def _restart(self) -> None:
        self.received = 0
        self._base = self._highest = 0
        self._expected_before = self._received_before = 0
        self._transit: int | None = None
        self._jitter = 0
        self._last_sr = self._last_sr_arrival = 0

    def packet(self, ssrc: int, sequence: int, timestamp: int, arrival: int) -> None:
        """An RTP packet has arrived. Another SSRC begins the count anew."""
        if ssrc != self.ssrc:
            self._restart()
            self.ssrc, self._base, self._highest = ssrc, sequence, sequence
        step = sequence_step(self._highest & 0xFFFF, sequence)
        if step > 0:
            self._highest += step
        self.received += 1
        transit = arrival * self._clock_rate // SECOND - timestamp
        if self._transit is not None:
            moved = (transit - self._transit + TIMESTAMP_RANGE // 2) % TIMESTAMP_RANGE - TIMESTAMP_RANGE // 2
            self._jitter += abs(moved) - (self._jitter + 8 >> 4)
        self._transit = transit

    def sender_report(self, ntp_timestamp: int, arrival: int) -> None:
        """A sender report of the source has arrived."""
        self._last_sr, self._last_sr_arrival = ntp_timestamp >> 16 & 0xFFFFFFFF, arrival

    @property
    def lost(self) -> int:
        """Packets that have not arrived; negative when some came twice."""
        return self._highest - self._base + 1 - self.received if self.received else 0

    @property
    def jitter(self) -> int:
        """Interarrival jitter in ticks of the medium's clock (§6.4.1)."""
        return self._jitter >> 4

    def report(self, now: int) -> ReportBlock | None:
        """What has happened up to now, and since the report before; None while nothing has arrived."""
        if self.ssrc is None:
            return None
        expected = self._highest - self._base + 1
        interval, arrived = expected - self._expected_before, self.received - self._received_before
        self._expected_before, self._received_before = expected, self.received
        fraction = max(interval - arrived, 0) * 256 // interval if interval > 0 else 0
        delay = (now - self._last_sr_arrival) * 65536 // SECOND if self._last_sr else 0
        return ReportBlock(
            ssrc=self.ssrc,
            fraction_lost=min(fraction, 255),
            cumulative_lost=max(-(1 << 23), min(self.lost, (1 << 23) - 1)),
            highest_sequence=self._highest & 0xFFFFFFFF,
            jitter=self.jitter & 0xFFFFFFFF,
            last_sr=self._last_sr,
            delay_since_last_sr=min(max(delay, 0), 0xFFFFFFFF),
        )


def _read(kind: int, count: int, body: bytes) -> RtcpPacket | None:
    """A packet's body; None for an unknown type."""
    match kind:
        case 200:
            _need(body, _SENDER.size + count * _BLOCK.size)
            ssrc, ntp, rtp, packets, octets = _SENDER.unpack_from(body)
            return SenderReport(ssrc, ntp, rtp, packets, octets, _read_blocks(body, _SENDER.size, count))
        case 201:
            _need(body, 4 + count * _BLOCK.size)
            return ReceiverReport(_WORD.unpack_from(body)[0], _read_blocks(body, 4, count))
        case 202:
            return _read_description(body, count)
        case 203:
            _need(body, 4 * count)
            return Goodbye(tuple(source for (source,) in _WORD.iter_unpack(body[: 4 * count])), _read_text(body, 4 * count))
        case 204:
            _need(body, 8)
            return ApplicationDefined(count, _WORD.unpack_from(body)[0], body[4:8], body[8:])
        case 205 | 206:
            _need(body, 8)
            return Feedback(kind, count, _WORD.unpack_from(body)[0], _WORD.unpack_from(body, 4)[0], body[8:])
    return None


def _need(body: bytes, size: int) -> None:
    if len(body) < size:
        raise MalformedData(f"an RTCP packet with {len(body)} bytes where its count says {size}")


def _read_blocks(body: bytes, at: int, count: int) -> tuple[ReportBlock, ...]:
    blocks = []
    for ssrc, losses, highest, jitter, last_sr, delay in _BLOCK.iter_unpack(body[at : at + count * _BLOCK.size]):
        cumulative = losses & 0xFFFFFF
        if cumulative >= 1 << 23:
            cumulative -= 1 << 24
        blocks.append(ReportBlock(ssrc, losses >> 24, cumulative, highest, jitter, last_sr, delay))
    return tuple(blocks)


def _read_description(body: bytes, count: int) -> SourceDescription:
    """Chunks: a source, items of type and length, a zero, and more zeros up to a whole word (§6.5)."""
    chunks = []
    at = 0
    for _ in range(count):
        _need(body, at + 4)
        source, items = _WORD.unpack_from(body, at)[0], []
        at += 4
        while at < len(body) and body[at]:
            items.append((body[at], _read_text(body, at + 1)))
            at += 2 + (body[at + 1] if at + 1 < len(body) else 0)
            if at > len(body):
                raise MalformedData("an item of a source description is cut off")
        at += 4 - at % 4
        chunks.append((source, tuple(items)))
    return SourceDescription(tuple(chunks))


def _read_text(body: bytes, at: int) -> str:
    """Text behind its length in one byte; empty when there is none."""
    return body[at + 1 : at + 1 + body[at]].decode("utf-8", "replace") if at < len(body) else ""


def _written(packet: RtcpPacket) -> bytes:
    """A packet with its header."""
    match packet:
        case SenderReport():
            return _framed(_SR, len(packet.blocks), _SENDER.pack(*packet[:5]) + _write_blocks(packet.blocks))
        case ReceiverReport():
            return _framed(_RR, len(packet.blocks), _WORD.pack(packet.ssrc) + _write_blocks(packet.blocks))
        case SourceDescription():
            return _framed(_SDES, len(packet.chunks), b"".join([_write_chunk(*chunk) for chunk in packet.chunks]))
        case Goodbye():
            return _framed(
                _BYE,
                len(packet.sources),
                b"".join(map(_WORD.pack, packet.sources)) + (_write_text(packet.reason) if packet.reason else b""),
            )
        case ApplicationDefined():
            return _framed(_APP, packet.subtype, _WORD.pack(packet.ssrc) + packet.name[:4].ljust(4) + packet.data)
        case Feedback():
            head = _WORD.pack(packet.ssrc) + _WORD.pack(packet.media_ssrc)
            return _framed(packet.packet_type, packet.format, head + packet.data)


def _framed(kind: int, count: int, body: bytes) -> bytes:
    """Raises `LocalProtocolError` for a count or a body that the header cannot say."""
    words = (len(body) + 3) // 4
    if not 0 <= count <= MAX_BLOCKS or words > 0xFFFF:
        raise LocalProtocolError(f"an RTCP packet with a count of {count} and {len(body)} bytes")
    return _HEADER.pack(0x80 | count, kind, words) + body.ljust(4 * words, b"\0")


def _write_blocks(blocks: Sequence[ReportBlock]) -> bytes:
    return b"".join(
        [
            _BLOCK.pack(
                block.ssrc,
                block.fraction_lost << 24 | block.cumulative_lost & 0xFFFFFF,
                block.highest_sequence,
                block.jitter,
                block.last_sr,
                block.delay_since_last_sr,
            )
            for block in blocks
        ]
    )


def _write_chunk(source: int, items: Sequence[tuple[int, str]]) -> bytes:
    body = _WORD.pack(source) + b"".join([bytes((kind,)) + _write_text(text) for kind, text in items])
    return body + bytes(4 - len(body) % 4)


def _write_text(text: str) -> bytes:
    """Text behind its length; what is behind 255 bytes is cut off."""
    encoded = text.encode()[:255]
    return bytes((len(encoded),)) + encoded
