"""Transport packets out of what comes over the network, without looking into them."""

import random

import pytest

from ems.errors import MalformedData
from ems.formats.mpegts.sync import MAX_GARBAGE
from ems.protocols.mpegts.wire import PacketReader
from tests.ts_streams import broadcast, muxed, pid_of, split

STREAM = muxed(broadcast(30))


@pytest.mark.parametrize("piece", [1, 100, 188, 1316, 65_536])
def test_packets_come_out_as_they_went_in(piece: int) -> None:
    """However the network cuts the bytes, the packets are the same, and nothing is counted as wrong."""
    reader = PacketReader()
    read = b"".join(reader.receive(STREAM[start : start + piece]) for start in range(0, len(STREAM), piece))
    assert read == STREAM[: len(read)]
    assert len(STREAM) - len(read) < 4 * 208
    assert reader.packets == len(read) // 188
    assert (reader.continuity_errors, reader.duplicates, reader.lost_syncs, reader.transport_errors) == (0, 0, 0, 0)


@pytest.mark.parametrize("distance", [192, 204, 208])
def test_larger_packets_become_the_usual_ones(distance: int) -> None:
    """Time codes before packets and check bytes behind them are taken off."""
    extra = bytes(range(1, distance - 187))
    padded = b"".join(packet + extra for packet in split(STREAM))
    assert PacketReader().receive(padded) == STREAM


def test_lost_packets_are_counted() -> None:
    """Each gap in what belongs together is one error, however many packets it has; nothing else is."""
    packets = split(STREAM)
    video = [index for index, packet in enumerate(packets) if pid_of(packet) == 256 and not packet[1] & 0x40]
    gone = {video[10], video[40], video[41]}
    reader = PacketReader()
    reader.receive(b"".join(packet for index, packet in enumerate(packets) if index not in gone))
    assert reader.continuity_errors == 2


def test_a_packet_that_comes_twice_is_no_loss() -> None:
    """ISO/IEC 13818-1 allows a packet to be sent twice (§2.4.3.3)."""
    packets = split(STREAM)
    reader = PacketReader()
    reader.receive(b"".join([*packets[:20], packets[19], *packets[20:]]))
    assert (reader.continuity_errors, reader.duplicates) == (0, 1)


def test_a_source_may_say_that_its_counters_begin_anew() -> None:
    """A discontinuity that is announced is none that the network has made."""
    announced = b"\x47\x01\x00\x39" + bytes((7, 0x80)) + bytes(182)
    reader = PacketReader()
    reader.receive(STREAM + announced + STREAM)
    silent = PacketReader()
    silent.receive(STREAM + b"\x47\x01\x00\x19" + bytes(184) + STREAM)
    assert silent.continuity_errors > reader.continuity_errors


def test_packets_are_found_again_behind_garbage() -> None:
    """Bytes that do not belong there cost the packets they are in, and no more."""
    reader = PacketReader()
    middle = len(STREAM) // 2 // 188 * 188
    read = reader.receive(STREAM[:middle] + b"garbage" * 10 + STREAM[middle:])
    assert read == STREAM
    assert reader.lost_syncs == 1


def test_what_is_no_transport_stream_is_refused() -> None:
    """After a megabyte without packets it is no transport stream, and none of it is kept."""
    reader = PacketReader()
    noise = random.Random(1).randbytes(MAX_GARBAGE // 4).replace(b"\x47", b"\x48")
    with pytest.raises(MalformedData, match="no transport packets"):
        for _ in range(5):
            reader.receive(noise)


def test_mutations_never_raise_anything_else() -> None:
    """Damaged streams give packets of 188 bytes, or the one error."""
    chance = random.Random(7)
    for _ in range(200):
        damaged = bytearray(STREAM[: 188 * 60])
        for _ in range(chance.randrange(1, 40)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        assert len(PacketReader().receive(bytes(damaged))) % 188 == 0
