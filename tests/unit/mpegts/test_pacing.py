"""When which datagram leaves."""

import random
from itertools import pairwise

import pytest

from ems.formats.mpegts.mux import TsMuxer
from ems.media.frame import SECOND
from ems.protocols.mpegts.pacing import DATAGRAM_SIZE, NULL_PACKET, ConstantRate, Spread
from tests.ts_analyser import analyse
from tests.ts_streams import AAC, H264, muxed, picture, sound, split

TICK = 0.005


def packets(count: int, seed: int = 0) -> bytes:
    """Some packets, no two alike."""
    return b"".join(b"\x47" + random.Random(seed * 1000 + number).randbytes(187) for number in range(count))


def test_a_key_frame_does_not_leave_at_once() -> None:
    """A burst of 200 packets is spread over the time between two pictures, evenly, in full datagrams and in order."""
    pacer, sent, data = Spread(), [], packets(200)
    pacer.put(data, 10.0)
    for tick in range(8):
        sent.append(pacer.take(10.0 + tick * TICK))
    assert b"".join(datagram for part in sent for datagram in part) == data
    assert not pacer.busy
    assert len(sent[0]) == 1, "the first datagram waits for nothing"
    assert max(len(part) for part in sent) <= 200 / 7 / 6 + 2
    assert all(len(datagram) == DATAGRAM_SIZE for part in sent[:-2] for datagram in part)


def test_small_frames_share_datagrams_but_do_not_wait_for_ever() -> None:
    """Sound fills up datagrams with what follows; alone it leaves when the time is over."""
    pacer = Spread()
    pacer.put(packets(2), 0.0)
    assert pacer.take(0.0) == []
    pacer.put(packets(6, seed=1), 0.01)
    [full] = pacer.take(0.01)
    assert full == packets(2) + packets(6, seed=1)[: 5 * 188]
    assert pacer.busy
    assert pacer.take(0.05) == [packets(6, seed=1)[5 * 188 :]]
    assert not pacer.busy


def test_whatever_the_rhythm_all_leaves_in_order() -> None:
    """Frames of any sizes at any times, looked after at any times: the same bytes, in full datagrams or late ones."""
    chance = random.Random(3)
    for _ in range(50):
        pacer, now, put, sent = Spread(), 0.0, b"", b""
        for number in range(60):
            now += chance.choice([0.0, 0.002, 0.02, 0.04, 0.2])
            frame = packets(chance.randrange(1, 90), seed=number)
            put += frame
            pacer.put(frame, now)
            sent += b"".join(pacer.take(now))
        while pacer.busy:
            now += TICK
            sent += b"".join(pacer.take(now))
        assert sent == put


@pytest.fixture
def constant() -> tuple[ConstantRate, list[bytes]]:
    """Two seconds of pictures and sound at 4 Mbit/s, taken each 5 ms with some jitter; the datagrams."""
    pacer, sent, chance = ConstantRate(4_000_000), [], random.Random(5)
    frames = sorted(
        [picture(n, key=n % 25 == 0, size=30_000 if n % 25 == 0 else 4000) for n in range(50)] + [sound(n) for n in range(93)],
        key=lambda frame: frame.dts,
    )
    muxer, now = TsMuxer((H264, AAC)), 100.0
    pacer.put(muxer.psi(), now)
    for frame in frames:
        due = 100.0 + frame.dts / SECOND
        while now < due:
            sent += pacer.take(now)
            now += TICK + chance.random() * 0.002
        pacer.put(muxer.frame(frame), now)
    for _ in range(100):
        now += TICK
        sent += pacer.take(now)
    return pacer, sent


def test_a_constant_rate_is_constant(constant: tuple[ConstantRate, list[bytes]]) -> None:
    """The bits of any tenth of a second are those that were asked for, and all that was put is in them."""
    pacer, sent = constant
    assert pacer.dropped == 0
    assert {len(datagram) for datagram in sent} == {DATAGRAM_SIZE}
    rate = len(sent) * DATAGRAM_SIZE * 8 / 2.5
    assert rate == pytest.approx(4_000_000, rel=0.03)
    content = [packet for datagram in sent for packet in split(datagram) if packet != NULL_PACKET]
    assert 0 < len(content) < len(sent) * 7


def test_clocks_say_when_their_packets_leave(constant: tuple[ConstantRate, list[bytes]]) -> None:
    """A clock reference differs from the one before by the time of the bits between them, within 500 ns (§2.4.2.2)."""
    _, sent = constant
    places, whole = [], b"".join(sent)
    for index, packet in enumerate(split(whole)):
        if packet[3] & 0x20 and packet[4] >= 7 and packet[5] & 0x10:
            bits = int.from_bytes(packet[6:12], "big")
            places.append((index, (bits >> 15) * 300 + (bits & 0x1FF)))
    assert len(places) > 20
    for (before, first), (after, second) in pairwise(places):
        assert abs(second - first - (after - before) * 188 * 8 * 27_000_000 / 4_000_000) <= 14
    analysis = analyse(b"".join(packet for packet in split(whole) if packet != NULL_PACKET))
    assert analysis.errors == []


def test_a_clock_that_jumps_is_announced() -> None:
    """When the source's clock jumps the sent one jumps with it, and says so."""
    pacer = ConstantRate(4_000_000)
    first, second = muxed([picture(0, key=True)], (H264, AAC)), muxed([picture(1000, key=True)], (H264, AAC))
    pacer.put(first, 0.0)
    sent = pacer.take(0.04)
    pacer.put(second, 0.04)
    sent += pacer.take(0.08)
    clocked = [p for datagram in sent for p in split(datagram) if p[3] & 0x20 and p[4] >= 7 and p[5] & 0x10]
    assert [bool(packet[5] & 0x80) for packet in clocked] == [False, True]


def test_more_than_the_rate_is_dropped_not_kept() -> None:
    """A stream of more than its rate costs no memory, and is counted."""
    pacer = ConstantRate(1_000_000)
    for number in range(100):
        pacer.put(packets(70), number * 0.04)
        pacer.take(number * 0.04)
    assert pacer.dropped > 1000


def test_a_sender_that_stood_still_does_not_make_up_for_it() -> None:
    """After a stop of the process there is no burst."""
    pacer = ConstantRate(4_000_000)
    pacer.put(packets(7), 0.0)
    pacer.take(0.0)
    assert len(pacer.take(60.0)) <= 2
