"""Transport packets out of datagrams, with RTP around them (RFC 2250 §2) or without.

RTP numbers its packets, so those that overtook each other on the way are brought into order, and those that come twice are left
out. Bare transport packets tell nothing of their order: they are taken as they come.
"""

from ems.errors import MalformedData
from ems.formats.mpegts.packets import SYNC_BYTE
from ems.formats.rtp.packet import HEADER_SIZE, RtpPacket, parse
from ems.formats.rtp.packetise import TS_PAYLOAD_TYPE
from ems.formats.rtp.reorder import ReorderBuffer


class DatagramReader:
    """Reads the datagrams of one sender. Times are in nanoseconds of a monotonic clock."""

    def __init__(self) -> None:
        self._order = ReorderBuffer()

    def receive(self, datagram: bytes, arrival: int) -> bytes:
        """The transport packets that can be read now that this datagram has come; whatever is no RTP, as it is."""
        packet = rtp_packet(datagram)
        return datagram if packet is None else _payloads(self._order.push(packet, arrival))

    def expire(self, now: int) -> bytes:
        """Those that have waited long enough for others in front of them."""
        return _payloads(self._order.expire(now))


def rtp_packet(datagram: bytes) -> RtpPacket | None:
    """The RTP packet with transport packets that a datagram is; None when it is anything else."""
    if len(datagram) <= HEADER_SIZE or datagram[0] == SYNC_BYTE or datagram[1] & 0x7F != TS_PAYLOAD_TYPE:
        return None
    try:
        return parse(datagram)
    except MalformedData:
        return None


def _payloads(packets: list[RtpPacket]) -> bytes:
    return b"".join([packet.payload for packet in packets])
