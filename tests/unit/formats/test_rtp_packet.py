"""The RTP packet: what is written is what was given, and what lies about its sizes is refused."""

import os

import pytest

from ems.errors import MalformedData
from ems.formats.rtp.packet import RtpPacket, build, parse, sequence_step
from tests.unit.media.mutation import mutated, prefixes, refusals

MUTATIONS = int(os.environ.get("EMS_MUTATIONS", "3000"))

PLAIN = build(96, 7, 90_000, 0x01020304, b"payload", True)


def test_a_packet_is_read_as_it_was_written() -> None:
    """Every field of the header survives."""
    assert parse(PLAIN) == RtpPacket(96, True, 7, 90_000, 0x01020304, b"payload")


def test_numbers_wrap() -> None:
    """Sequence numbers have 16 bits and timestamps 32; senders count on."""
    packet = parse(build(0, 65_536 + 5, (1 << 32) + 9, 1, b""))
    assert (packet.sequence, packet.timestamp) == (5, 9)
    assert sequence_step(65_535, 0) == 1
    assert sequence_step(0, 65_535) == -1


def test_sources_extension_and_padding_are_left_out() -> None:
    """Mixers, header extensions and padding do not disturb."""
    head = bytes((0x80 | 0x20 | 0x10 | 2,)) + PLAIN[1:12]
    body = b"csrc" * 2 + b"\xbe\xde\0\1" + b"extn" + b"payload" + b"\0\0\3"
    assert parse(head + body).payload == b"payload"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("nothing", b""),
        ("a header cut off", PLAIN[:11]),
        ("version 0", b"\0" + PLAIN[1:]),
        ("padding longer than the packet", b"\xa0" + PLAIN[1:12] + b"\xff"),
        ("padding of zero", b"\xa0" + PLAIN[1:12] + b"\0"),
        ("fifteen sources that are not there", b"\x8f" + PLAIN[1:] + bytes(20)),
        ("an extension that is not there", b"\x90" + PLAIN[1:12] + b"\0\0"),
        ("an extension longer than the packet", b"\x90" + PLAIN[1:12] + b"\0\0\xff\xff" + bytes(40)),
    ],
)
def test_a_packet_that_lies_is_refused(name: str, data: bytes) -> None:
    """No size in a packet is believed before it is checked."""
    with pytest.raises(MalformedData):
        parse(data)


def test_damaged_packets_raise_nothing_else() -> None:
    """Whatever comes to a port, it is read or refused."""
    full = b"\xb2" + PLAIN[1:12] + b"csrc" * 2 + b"\0\0\0\1" + b"extn" + b"payload" + b"\0\0\3"
    refusals(parse, prefixes(full))
    read, refused = refusals(parse, mutated([PLAIN, full], MUTATIONS))
    assert read
    assert refused
