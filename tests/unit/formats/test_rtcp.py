"""RTCP: reports, names and goodbyes, both ways, and the counts that a receiver reports."""

import os

import pytest

from ems.errors import LocalProtocolError, MalformedData
from ems.formats import rtcp
from ems.media.frame import MILLISECOND, SECOND
from tests.unit.media.mutation import mutated, prefixes, refusals

MUTATIONS = int(os.environ.get("EMS_MUTATIONS", "3000"))

BLOCK = rtcp.ReportBlock(7, 12, -3, 70_000, 40, 0x11112222, 65_536)
PACKETS: list[rtcp.RtcpPacket] = [
    rtcp.SenderReport(1, 0x83AA7E80_80000000, 90_000, 10, 1000, (BLOCK,)),
    rtcp.ReceiverReport(2, (BLOCK, BLOCK)),
    rtcp.SourceDescription(((1, ((rtcp.CNAME, "ems@host"), (6, "tool"))), (2, ()))),
    rtcp.Goodbye((1, 2), "that was it"),
    rtcp.Goodbye((3,)),
    rtcp.ApplicationDefined(3, 1, b"name", b"data"),
    rtcp.picture_loss_indication(1, 9),
]


def test_a_compound_packet_is_read_as_it_was_written() -> None:
    """Every kind of packet survives, alone and together with the others."""
    data = rtcp.build(PACKETS)
    assert len(data) % 4 == 0
    assert rtcp.parse(data) == PACKETS
    for packet in PACKETS:
        assert rtcp.parse(rtcp.build([packet])) == [packet]


def test_the_first_bytes_are_as_the_standard_says() -> None:
    """Other programs read what is written."""
    report = rtcp.build([rtcp.SenderReport(1, 2, 3, 4, 5)])
    assert report == bytes.fromhex("80c80006 00000001 0000000000000002 00000003 00000004 00000005")
    assert rtcp.build([rtcp.cname(1, "ab")]) == bytes.fromhex("81ca0003 00000001 01026162 00000000")


def test_unknown_packets_and_padding_are_passed_over() -> None:
    """Extended reports and the like do not disturb."""
    unknown = bytes.fromhex("80cf0001 00000000")
    padded = bytes.fromhex("a0c90002 00000002 00000004")
    assert rtcp.parse(unknown + padded) == [rtcp.ReceiverReport(2)]


def test_a_key_frame_can_be_asked_for() -> None:
    """Picture loss indications and full intra requests are understood."""
    pli, fir = rtcp.picture_loss_indication(1, 9), rtcp.Feedback(206, rtcp.FULL_INTRA_REQUEST, 1, 0, bytes(8))
    assert pli.wants_keyframe
    assert fir.wants_keyframe
    assert not rtcp.Feedback(205, 1, 1, 9).wants_keyframe


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a length of 65535 words", "80c9ffff 00000001"),
        ("version 1", "40c90001 00000001"),
        ("31 blocks that are not there", "9fc90001 00000001"),
        ("31 sources that are not there", "9fcb0001 00000001"),
        ("31 chunks that are not there", "9fca0001 00000001"),
        ("an item longer than its packet", "81ca0002 00000001 01ff6162"),
        ("padding longer than its packet", "a0c90001 000000ff"),
        ("padding of zero", "a0c90001 00000000"),
        ("half a header", "80c9"),
        ("a report without a source", "80c80000"),
    ],
)
def test_a_packet_that_lies_is_refused(name: str, text: str) -> None:
    """No length and no count is believed before it is checked."""
    with pytest.raises(MalformedData):
        rtcp.parse(bytes.fromhex(text))


def test_endless_compound_packets_are_refused() -> None:
    """Thousands of empty packets in one datagram cost nothing."""
    with pytest.raises(MalformedData):
        rtcp.parse(bytes.fromhex("80cf0000") * 16_000)


def test_damaged_packets_raise_nothing_else() -> None:
    """Whatever comes to a port, it is read or refused."""
    data = rtcp.build(PACKETS)
    refusals(rtcp.parse, prefixes(data))
    read, refused = refusals(rtcp.parse, mutated([data, *(rtcp.build([packet]) for packet in PACKETS)], MUTATIONS))
    assert read
    assert refused


def test_more_blocks_than_can_be_counted_are_our_mistake() -> None:
    """A packet that cannot be read again is never sent."""
    with pytest.raises(LocalProtocolError):
        rtcp.build([rtcp.ReceiverReport(1, (BLOCK,) * 32)])


def test_losses_are_reported() -> None:
    """A camera learns how much of what it sends arrives, since the last report and in all."""
    statistics = rtcp.ReceiverStatistics(90_000)
    assert statistics.report(0) is None
    for number in range(100):
        if number % 4:
            statistics.packet(5, 65_500 + number & 0xFFFF, number * 3600, number * 40 * MILLISECOND)
    block = statistics.report(4 * SECOND)
    assert block is not None
    assert (block.ssrc, block.cumulative_lost, block.highest_sequence) == (5, 24, 65_536 + 63)
    assert block.fraction_lost == 24 * 256 // 99
    again = statistics.report(5 * SECOND)
    assert again is not None
    assert (again.fraction_lost, again.cumulative_lost) == (0, 24)


def test_packets_that_come_twice_are_no_losses() -> None:
    """A count below nothing is said as such."""
    statistics = rtcp.ReceiverStatistics(8000)
    for _ in range(3):
        statistics.packet(5, 1, 0, 0)
    block = statistics.report(0)
    assert block is not None
    assert (block.cumulative_lost, block.fraction_lost) == (-2, 0)


def test_jitter_is_how_much_delays_differ() -> None:
    """An even stream has none; one that is 10 ms late every other time has 10 ms, in ticks."""
    even, uneven = rtcp.ReceiverStatistics(90_000), rtcp.ReceiverStatistics(90_000)
    for number in range(200):
        even.packet(5, number, number * 3600, number * 40 * MILLISECOND)
        uneven.packet(5, number, number * 3600, (number * 40 + number % 2 * 10) * MILLISECOND)
    assert even.jitter == 0
    assert 850 <= uneven.jitter <= 910


def test_the_delay_since_the_last_report_is_told() -> None:
    """A sender computes the round trip from it."""
    statistics = rtcp.ReceiverStatistics(90_000)
    statistics.packet(5, 1, 0, 0)
    statistics.sender_report(0x11112222_33334444, SECOND)
    block = statistics.report(3 * SECOND)
    assert block is not None
    assert (block.last_sr, block.delay_since_last_sr) == (0x22223333, 2 * 65_536)


def test_another_source_is_counted_anew() -> None:
    """An encoder that begins anew has not lost anything."""
    statistics = rtcp.ReceiverStatistics(90_000)
    statistics.packet(5, 1, 0, 0)
    statistics.packet(6, 40_000, 0, 0)
    block = statistics.report(0)
    assert block is not None
    assert (block.ssrc, block.cumulative_lost, block.highest_sequence) == (6, 0, 40_000)
