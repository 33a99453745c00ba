"""Transport packets in datagrams, with RTP around them or without."""

import random

import pytest

from ems.formats.rtp.packet import build
from ems.media.frame import MILLISECOND, SECOND
from ems.protocols.mpegts.datagrams import DatagramReader
from tests.ts_streams import broadcast, muxed

STREAM = muxed(broadcast(30))
PIECES = [STREAM[start : start + 1316] for start in range(0, 1316 * 20, 1316)]
DATAGRAMS = [build(33, 65_530 + number, 0, 7, piece) for number, piece in enumerate(PIECES)]


@pytest.mark.parametrize(
    "header",
    [
        b"\x80\x21" + bytes(10),
        b"\x80\xa1" + bytes(10),
        b"\x82\x21" + bytes(18),
        b"\x90\x21" + bytes(10) + b"\xbe\xde\0\2" + bytes(8),
    ],
    ids=["plain", "marked", "two sources", "extended"],
)
def test_rtp_headers_are_taken_off(header: bytes) -> None:
    """A sender that puts RTP around its packets (RFC 2250) is understood as well."""
    assert DatagramReader().receive(header + PIECES[0], 0) == PIECES[0]


@pytest.mark.parametrize(
    "datagram", [PIECES[0], b"", b"\x80", b"\x80\x60" + bytes(200), b"\x90\x21" + bytes(10), b"\x8f\x21" + bytes(11)]
)
def test_other_datagrams_are_left_to_the_search_for_packets(datagram: bytes) -> None:
    """Whatever a datagram has, looking for RTP in it does no harm."""
    assert DatagramReader().receive(datagram, 0) == datagram


def test_packets_that_overtook_each_other_come_in_order() -> None:
    """A network that doubles RTP packets and turns them around does a transport stream no harm."""
    chance = random.Random(5)
    late = sorted([*enumerate(DATAGRAMS), *enumerate(DATAGRAMS[1:], 1)], key=lambda one: one[0] and one[0] + 5 * chance.random())
    reader = DatagramReader()
    read = [reader.receive(datagram, number * MILLISECOND) for number, (_, datagram) in enumerate(late)]
    assert b"".join(read) == b"".join(PIECES)


def test_what_does_not_come_is_not_waited_for() -> None:
    """Behind a loss the stream goes on."""
    reader = DatagramReader()
    assert reader.receive(DATAGRAMS[0], 0) == PIECES[0]
    assert reader.receive(DATAGRAMS[2], 0) == b""
    assert reader.expire(SECOND) == PIECES[2]
