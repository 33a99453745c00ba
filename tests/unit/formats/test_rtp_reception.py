"""Receiving: order out of disorder, one clock out of several, times of decoding out of times of presentation."""

import itertools
import random
from typing import Any

import pytest

from ems.errors import MalformedData
from ems.formats import rtcp
from ems.formats.rtp.aac import AacDepacketiser
from ems.formats.rtp.decode_order import MAX_REORDERED, DecodeOrder, decode_order
from ems.formats.rtp.nal_units import H264Depacketiser
from ems.formats.rtp.packet import RtpPacket, build
from ems.formats.rtp.reception import Reception
from ems.formats.rtp.reorder import ReorderBuffer
from ems.formats.rtp.sync import Synchroniser, SyncMode, ntp_nanoseconds, ntp_timestamp
from ems.media import aac, h264
from ems.media.frame import MILLISECOND, SECOND, Frame
from ems.media.track import Kind
from tests.unit.media import vectors

AVC = h264.make_track(0, vectors.AVCC_HIGH)
SETS = h264.AvcConfiguration.parse(AVC.config)
LC = aac.make_track(1, bytes.fromhex("1190"))
VIDEO_CLOCK, AUDIO_CLOCK = 90_000, 48_000
WALL = 1_700_000_000 * SECOND


def numbered(*numbers: int, ssrc: int = 1) -> list[RtpPacket]:
    """Packets of these numbers."""
    return [RtpPacket(96, False, number & 0xFFFF, 0, ssrc, b"") for number in numbers]


def pushed(buffer: ReorderBuffer, packets: list[RtpPacket], arrival: int = 0) -> list[int]:
    """The numbers that come out while these go in, one a millisecond."""
    return [
        ready.sequence for number, packet in enumerate(packets) for ready in buffer.push(packet, arrival + number * MILLISECOND)
    ]


def test_packets_in_order_are_not_delayed() -> None:
    """Where nothing is out of order, nothing waits; numbers wrap."""
    buffer = ReorderBuffer()
    assert pushed(buffer, numbered(65_534, 65_535, 0, 1)) == [65_534, 65_535, 0, 1]


def test_packets_that_overtook_each_other_come_in_order() -> None:
    """A network that turns packets around costs nothing but a little time; doubles are dropped."""
    buffer = ReorderBuffer()
    assert pushed(buffer, numbered(10, 12, 12, 13, 11, 11, 14)) == [10, 11, 12, 13, 14]
    assert (buffer.duplicates, buffer.late, buffer.lost) == (1, 1, 0)


def test_any_order_within_the_window_is_put_right() -> None:
    """However packets are shuffled, they come out once each and in order."""
    chance = random.Random(3)
    for _ in range(50):
        numbers = sorted(range(65_400, 65_700), key=lambda number: number + chance.randrange(20))
        numbers = [65_399, *numbers]
        buffer = ReorderBuffer()
        out = pushed(buffer, numbered(*numbers))
        assert out == [number & 0xFFFF for number in range(65_399, 65_700)]


def test_what_does_not_come_in_time_is_lost() -> None:
    """A gap is waited for as long as the window, then the stream goes on; what comes later is late."""
    buffer = ReorderBuffer(window_ns=100 * MILLISECOND)
    assert pushed(buffer, numbered(10, 12, 13)) == [10]
    assert buffer.deadline == 101 * MILLISECOND
    assert buffer.expire(100 * MILLISECOND) == []
    assert [packet.sequence for packet in buffer.expire(101 * MILLISECOND)] == [12, 13]
    assert buffer.lost == 1
    assert pushed(buffer, numbered(11, 14)) == [14]
    assert buffer.late == 1


def test_no_more_than_so_many_packets_wait() -> None:
    """A flood behind a gap takes no more memory than the limit."""
    buffer = ReorderBuffer(max_packets=10)
    assert pushed(buffer, numbered(0, *range(2, 13))) == list(range(13))[:1] + list(range(2, 13))
    assert buffer.lost == 1


def test_packets_that_come_twice_do_not_hide_those_that_are_lost() -> None:
    """Two packets come twice and one is lost: RTCP tells the source -1, as RFC 3550 has it, the operator is told 1."""
    reception = Reception([(AacDepacketiser(LC, AUDIO_CLOCK), None)])
    for number, sequence in enumerate((0, 1, 1, 2, 3, 3, 5, 6)):
        reception.rtp(0, build(96, sequence, 1024 * sequence, 1, b"", True), number * MILLISECOND)
    reception.expire(SECOND)
    assert (reception.medias[0].statistics.lost, reception.medias[0].lost) == (-1, 1)


def test_a_stray_packet_from_far_away_is_dropped() -> None:
    """A number 30 000 ahead, once, changes nothing; twice in a row it is a source that has begun anew."""
    buffer = ReorderBuffer()
    assert pushed(buffer, numbered(10, 30_010, 11)) == [10, 11]
    assert pushed(buffer, numbered(30_011, 30_012, 30_013)) == [30_011, 30_012, 30_013]
    assert buffer.restarts == 1


def test_another_source_begins_at_once() -> None:
    """An encoder that begins anew with another SSRC is read at once, behind all that waited."""
    buffer = ReorderBuffer()
    assert pushed(buffer, numbered(10, 12)) == [10]
    assert pushed(buffer, numbered(500, ssrc=2)) == [12, 500]
    assert [packet.sequence for packet in buffer.flush()] == []


def orders(order: DecodeOrder, shown: list[int]) -> list[tuple[int, int]]:
    """Times of decoding and presentation in milliseconds."""
    placed = [order.place(time * MILLISECOND) for time in shown]
    return [(dts // MILLISECOND, pts // MILLISECOND) for dts, pts in placed]


def test_pictures_without_reordering_are_decoded_when_they_are_shown() -> None:
    """Nothing is added to the delay of a camera."""
    assert orders(DecodeOrder(), [0, 40, 80, 120]) == [(0, 0), (40, 40), (80, 80), (120, 120)]


def test_a_known_depth_gives_right_times_from_the_first_picture_on() -> None:
    """B-frames are decoded in the order in which they come and shown when they should be."""
    shown = [0, 120, 40, 80, 240, 160, 200]
    placed = orders(DecodeOrder(1, 40 * MILLISECOND), shown)
    assert [dts for dts, _ in placed] == [-40, 0, 40, 80, 120, 160, 200]
    assert [pts for _, pts in placed] == shown


def test_the_depth_is_learned() -> None:
    """A source that does not tell of its B-frames is right after its first group of them."""
    shown = [0, 160, 80, 40, 120, 320, 240, 200, 280]
    placed = orders(DecodeOrder(), shown)
    assert [dts for dts, _ in placed[6:]] == [160, 200, 240]
    assert [pts for _, pts in placed[5:]] == shown[5:]
    assert all(dts <= pts for dts, pts in placed)


def test_times_of_decoding_only_grow_whatever_comes() -> None:
    """Times that make no sense at all still give an order, and the window stays bounded."""
    chance = random.Random(1)
    order, last = DecodeOrder(), None
    time = 0
    for _ in range(3000):
        time += 40
        dts, pts = order.place((time + chance.randrange(-900, 900)) * MILLISECOND)
        assert dts <= pts
        assert last is None or dts > last or last - dts > SECOND // 2
        assert len(order._window) <= MAX_REORDERED
        last = dts


def test_a_jump_of_the_clock_begins_anew() -> None:
    """A file that loops goes on at its beginning."""
    placed = orders(DecodeOrder(1, 40 * MILLISECOND), [10_000, 10_080, 10_040, 0, 80, 40])
    assert [dts for dts, _ in placed] == [9960, 10_000, 10_040, -40, 0, 40]


def test_the_depth_is_read_from_the_parameter_sets() -> None:
    """An encoder that tells of its B-frames is believed."""
    sps = h264.parse_sps(SETS.sps[0])
    assert sps.max_num_reorder_frames == 2
    assert decode_order(AVC).place(SECOND)[0] == SECOND - 2 * round(SECOND / (AVC.frame_rate or 25))


def place(sync: Synchroniser, index: int, ms: int, arrival_ms: int, base: int = 0) -> int | None:
    """Place what was taken `ms` after the start; the medium's timestamps begin at `base`."""
    rate = (VIDEO_CLOCK, AUDIO_CLOCK)[index]
    time = sync.place(index, base + ms * rate // 1000 & 0xFFFFFFFF, arrival_ms * MILLISECOND)
    return None if time is None else round(time / MILLISECOND)


def report(sync: Synchroniser, index: int, ms: int, base: int = 0, wall: int = WALL, arrival_ms: int = 0) -> None:
    """A sender report about the instant `ms` after the start."""
    rate = (VIDEO_CLOCK, AUDIO_CLOCK)[index]
    ntp = ntp_timestamp(wall + ms * MILLISECOND)
    sync.sender_report(index, ntp, base + ms * rate // 1000 & 0xFFFFFFFF, arrival_ms * MILLISECOND)


def both() -> Synchroniser:
    """A picture and a sound."""
    return Synchroniser([VIDEO_CLOCK, AUDIO_CLOCK], interval=10 * SECOND)


def test_nothing_is_passed_on_before_all_reports_are_there() -> None:
    """Sound and picture begin together, with the times of the sender's wall clock, across a wrap of timestamps."""
    sync = both()
    assert place(sync, 0, 0, 0, 0xFFFFFF00) is None
    report(sync, 0, 0, 0xFFFFFF00)
    assert place(sync, 1, 0, 30, 500) is None
    assert sync.mode is SyncMode.WAITING
    report(sync, 1, 100, 500, arrival_ms=130)
    assert sync.mode is SyncMode.RTCP
    assert place(sync, 0, 200, 200, 0xFFFFFF00) == WALL // MILLISECOND + 200
    assert place(sync, 1, 200, 230, 500) == WALL // MILLISECOND + 200
    assert sync.held_back == 2


def test_without_reports_it_begins_when_the_interval_ends() -> None:
    """RTCP is never required: the times of arrival say what belongs together, and the least delayed packets say it best."""
    sync = both()
    for ms in range(0, 9000, 100):
        assert place(sync, 0, ms, ms + 20 + ms % 300, 7) is None
        assert place(sync, 1, ms, ms + 20 + ms % 700, 9) is None
    video, audio = place(sync, 0, 10_100, 10_120, 7), place(sync, 1, 10_100, 10_300, 9)
    assert sync.mode is SyncMode.ARRIVAL
    assert video == audio


def test_one_medium_alone_has_nothing_to_wait_for() -> None:
    """A source with one track begins at once."""
    sync = Synchroniser([VIDEO_CLOCK])
    assert place(sync, 0, 0, 5, 1000) is not None
    assert sync.mode is SyncMode.SINGLE


def test_a_believable_rtp_info_begins_at_once() -> None:
    """An RTSP server that says where its media begin is not listened to first."""
    sync = Synchroniser([VIDEO_CLOCK, AUDIO_CLOCK], origins={0: 0xFFFFFFF0, 1: 500})
    assert place(sync, 0, 40, 0, 0xFFFFFFF0) == 40
    assert place(sync, 1, 60, 500, 500) == 60
    assert sync.mode is SyncMode.RTP_INFO


def test_an_rtp_info_that_means_nothing_is_not_believed() -> None:
    """Devices that say 0 for everything are listened to first."""
    sync = Synchroniser([VIDEO_CLOCK, AUDIO_CLOCK], origins={0: 0, 1: 0})
    assert place(sync, 0, 40, 0, 0x40000000) is None
    assert sync.mode is SyncMode.WAITING


def test_an_interval_of_nothing_waits_for_nothing() -> None:
    """rtcpDetectionInterval=0 begins with the first packet."""
    sync = Synchroniser([VIDEO_CLOCK, AUDIO_CLOCK], interval=0)
    assert place(sync, 0, 0, 100) == 100
    assert place(sync, 1, 0, 130) == 130


def test_reports_that_come_later_move_the_sound_slowly() -> None:
    """A wrong beginning is put right so slowly that nobody hears it."""
    sync = Synchroniser([VIDEO_CLOCK, AUDIO_CLOCK], interval=0)
    place(sync, 0, 0, 0)
    assert place(sync, 1, 0, 100) == 100  # came 100 ms too late
    report(sync, 0, 0)
    report(sync, 1, 0, arrival_ms=100)
    times = [place(sync, 1, ms, ms + 100) or 0 for ms in range(0, 12_000, 20)]
    assert all(15 <= later - earlier <= 25 for earlier, later in itertools.pairwise(times))
    assert times[-1] == 11_980
    assert place(sync, 0, 12_000, 12_000) == 12_000


def test_reports_of_different_clocks_are_not_believed() -> None:
    """A device whose sound and picture have clocks hours apart is synchronised by arrival."""
    sync = both()
    place(sync, 0, 0, 0)
    place(sync, 1, 0, 0)
    report(sync, 0, 0)
    report(sync, 1, 0, wall=WALL + 3600 * SECOND)
    assert sync.mode is SyncMode.WAITING


def test_a_report_without_a_clock_means_nothing() -> None:
    """NTP 0 says that the sender has none."""
    sync = both()
    sync.sender_report(0, 0, 5, 0)
    sync.sender_report(1, 0, 5, 0)
    assert place(sync, 0, 0, 0) is None


def test_a_wall_clock_that_is_set_does_not_tear_sound_and_picture_apart() -> None:
    """The reports of before are forgotten until all media have sent one of the new clock."""
    sync = both()
    place(sync, 0, 0, 0)
    place(sync, 1, 0, 0)
    report(sync, 0, 0)
    report(sync, 1, 0)
    report(sync, 0, 1000, wall=WALL + 5 * SECOND, arrival_ms=1000)
    assert place(sync, 1, 2000, 2000) == WALL // MILLISECOND + 2000
    report(sync, 1, 3000, wall=WALL + 5 * SECOND, arrival_ms=3000)
    assert place(sync, 1, 4000, 4000) == WALL // MILLISECOND + 4000


def test_timestamps_that_begin_anew_go_on_where_they_were() -> None:
    """A medium whose timestamps jump stays with the others, as it goes on arriving."""
    sync = Synchroniser([VIDEO_CLOCK, AUDIO_CLOCK], interval=0)
    place(sync, 0, 0, 0)
    place(sync, 1, 0, 0)
    assert place(sync, 0, 1000, 1000, 0x70000000) == 1000
    sync.restart(1)
    assert place(sync, 1, 1000, 1000, 0x1000) == 1000


def test_a_clock_of_nothing_is_refused() -> None:
    """Nothing is ever divided by zero."""
    with pytest.raises(MalformedData):
        Synchroniser([VIDEO_CLOCK, 0])


def test_ntp_times_are_times() -> None:
    """There and back, and past the wrap of 2036."""
    for unix in (0, WALL, 2_200_000_000 * SECOND):
        assert abs(ntp_nanoseconds(ntp_timestamp(unix)) - unix) <= 1
    assert ntp_timestamp(0) >> 32 == 2_208_988_800


def idr(fill: int) -> bytes:
    """A key picture."""
    return b"\x65\x88" + bytes((fill,)) * 20


def picture(number: int, *, key: bool = False) -> bytes:
    """The packet of picture `number`, 40 ms each."""
    data = idr(number) if key else b"\x41\x9a" + bytes((number,)) * 20
    return build(96, number, 5000 + number * 3600, 11, data, True)


def sound(number: int) -> bytes:
    """The packet of sound `number`, 2048 samples behind the one before."""
    return build(97, number, 777 + number * 2048, 22, b"\0\x10\0\x20" + b"unit", True)


def reception(**more: Any) -> Reception:
    """A receiver of a picture and a sound."""
    video, audio = H264Depacketiser(0, (*SETS.sps, *SETS.pps)), AacDepacketiser(LC, AUDIO_CLOCK)
    return Reception([(video, 96), (audio, 97)], **more)


def sender_report(ssrc: int, timestamp: int) -> bytes:
    """A report about the instant 0."""
    return rtcp.build([rtcp.SenderReport(ssrc, ntp_timestamp(WALL), timestamp, 0, 0)])


def test_what_came_while_it_listened_is_passed_on_from_the_key_frame() -> None:
    """A stream begins with the newest key frame that came while reports were waited for, at once when they are there."""
    receiver = reception()
    frames: list[Frame] = []
    for number in range(6):
        frames += receiver.rtp(0, picture(number, key=number in (0, 3)), number * 40 * MILLISECOND)
        frames += receiver.rtp(1, sound(number), number * 40 * MILLISECOND)
    assert frames == []
    assert receiver.rtcp(0, sender_report(11, 5000), 230 * MILLISECOND) == []
    frames = receiver.rtcp(1, sender_report(22, 777), 240 * MILLISECOND)
    assert [frame.keyframe for frame in frames if frame.track.kind is Kind.VIDEO] == [True, False, False]
    assert receiver.mode is SyncMode.RTCP
    assert [track.kind for track in receiver.tracks] == [Kind.VIDEO, Kind.AUDIO]
    shown = {bytes(frame.data[-1:]): frame.pts for frame in frames if frame.track.kind is Kind.VIDEO}
    first_sound = next(frame for frame in frames if frame.track.kind is Kind.AUDIO)
    assert abs((first_sound.pts - shown[b"\3"]) - (6 * 1024 * SECOND // 48_000 - 120 * MILLISECOND)) <= 1


def test_sound_and_picture_begin_in_step() -> None:
    """Of what has been held back the earliest is the beginning, whatever came first; nothing is moved to anything else."""
    receiver = reception()
    receiver.rtp(0, picture(0, key=True), 0)
    receiver.rtp(1, sound(0), 0)
    receiver.rtcp(0, sender_report(11, 5000), 0)
    frames = receiver.rtcp(1, sender_report(22, 777 + 1024), 0)
    shown = {frame.track.kind: frame.pts for frame in frames}
    assert min(frame.dts for frame in frames) == 0
    assert shown[Kind.VIDEO] - shown[Kind.AUDIO] == pytest.approx(1024 * SECOND // AUDIO_CLOCK, abs=2)


def test_sound_from_before_the_first_picture_is_left_out() -> None:
    """A stream that has begun with a picture does not play earlier sound out of step."""
    receiver = reception(origins={0: 5000, 1: 777 + 4096})
    [first] = receiver.rtp(0, picture(0, key=True), 0)
    sounds = [frame for number in range(3) for frame in receiver.rtp(1, sound(number), 0)]
    assert first.dts == 0
    # It is decoded 67 ms before it is shown, as two may be shown before it (B-frames); sound from 85 ms before is out.
    assert [frame.pts - first.pts for frame in sounds] == [
        pytest.approx(-2048 * SECOND // AUDIO_CLOCK, abs=2),
        pytest.approx(0, abs=2),
    ]


def test_what_came_long_before_the_reports_is_dropped() -> None:
    """Viewers who wait get no burst of old frames when it begins: sound goes on at once, pictures with the next key frame."""
    receiver = reception()
    for number in range(50):
        assert receiver.rtp(0, picture(number, key=number == 0), number * 40 * MILLISECOND) == []
        assert receiver.rtp(1, sound(number), number * 40 * MILLISECOND) == []
    assert receiver.rtcp(0, sender_report(11, 5000), 1970 * MILLISECOND) == []
    frames = receiver.rtcp(1, sender_report(22, 777), 1980 * MILLISECOND)
    assert 0 < len(frames) <= 25
    assert {frame.track.kind for frame in frames} == {Kind.AUDIO}
    assert receiver.rtp(0, picture(50), 2000 * MILLISECOND) == []
    assert [frame.keyframe for frame in receiver.rtp(0, picture(51, key=True), 2040 * MILLISECOND)] == [True]
    assert [frame.keyframe for frame in receiver.rtp(0, picture(52), 2080 * MILLISECOND)] == [False]


def test_without_reports_it_does_not_begin_with_old_frames_either() -> None:
    """When the interval ends in the middle of a long group of pictures, the picture waits for its key frame."""
    receiver = reception(interval=2 * SECOND)
    frames: list[Frame] = []
    for number in range(80):
        arrival = number * 40 * MILLISECOND
        frames += receiver.rtp(0, picture(number, key=number in (0, 70)), arrival)
        frames += receiver.rtp(1, sound(number), arrival)
    assert receiver.mode is SyncMode.ARRIVAL
    pictures = [frame for frame in frames if frame.track.kind is Kind.VIDEO]
    assert [frame.keyframe for frame in pictures] == [True] + [False] * 9
    assert len(frames) - len(pictures) >= 29


def test_packets_of_others_are_left_out() -> None:
    """Another payload type, another source and nonsense do not get into a stream; a source that is gone is replaced."""
    receiver = reception(interval=0)
    assert len(receiver.rtp(0, picture(0, key=True), 0)) == 1
    assert receiver.rtp(0, b"nonsense", 1) == []
    assert receiver.rtp(0, build(100, 1, 0, 11, idr(1), True), 1) == []
    assert receiver.rtp(0, build(96, 1, 0, 99, idr(1), True), 1) == []
    assert (receiver.medias[0].malformed, receiver.medias[0].foreign) == (1, 2)
    assert len(receiver.rtp(0, build(96, 40_000, 0, 99, idr(1), True), 2 * SECOND)) == 1


def other(number: int, payload_type: int = 13, ssrc: int = 11) -> bytes:
    """A packet of another payload type, such as comfort noise."""
    return build(payload_type, number, 5000 + number * 3600, ssrc, b"\x40")


def test_other_payload_types_are_no_loss() -> None:
    """Comfort noise, DTMF and error correction between the pictures of a source neither delay them nor count as lost."""
    receiver = reception(interval=0)
    sent = [picture(0, key=True), other(1), picture(2), other(3, 101), other(4, 101), picture(5)]
    frames = [len(receiver.rtp(0, packet, number * MILLISECOND)) for number, packet in enumerate(sent)]
    assert frames == [1, 0, 1, 0, 0, 1]
    medium = receiver.medias[0]
    assert (medium.foreign, medium.lost, medium.statistics.lost, medium.depacketiser.losses) == (3, 0, 0, 0)


def test_other_payload_types_are_put_in_order_too() -> None:
    """A picture that overtakes them waits for them, and one that is missing beside them is a loss."""
    receiver = reception(interval=0)
    sent = [picture(0, key=True), picture(3), other(2), other(1), picture(6), other(5)]
    assert [len(receiver.rtp(0, packet, number * MILLISECOND)) for number, packet in enumerate(sent)] == [1, 0, 0, 1, 0, 0]
    assert receiver.expire(SECOND) == []
    assert (receiver.medias[0].lost, receiver.medias[0].depacketiser.losses) == (1, 1)


def test_a_source_of_another_payload_type_does_not_take_over() -> None:
    """Error correction and repetitions that are sources of their own never become the picture, though they come first."""
    receiver = reception(interval=0)
    assert receiver.rtp(0, other(0, 100, ssrc=99), 0) == []
    assert receiver.medias[0].ssrc is None
    assert len(receiver.rtp(0, picture(0, key=True), MILLISECOND)) == 1
    assert receiver.rtp(0, other(1, 100, ssrc=99), 3 * SECOND) == []
    assert receiver.medias[0].ssrc == 11


def test_losses_are_waited_for_and_then_skipped() -> None:
    """A packet that does not come costs its picture and those that need it."""
    receiver = reception(interval=0)
    assert len(receiver.rtp(0, picture(0, key=True), 0)) == 1
    assert receiver.rtp(0, picture(2), MILLISECOND) == []
    assert receiver.rtp(0, picture(3, key=True), MILLISECOND) == []
    frames = receiver.expire(SECOND)
    assert [frame.keyframe for frame in frames] == [True]
    assert receiver.medias[0].depacketiser.losses == 1


def test_a_receiver_reports_and_notices_the_end() -> None:
    """The source learns what arrives; when all of it has said goodbye, it has ended."""
    receiver = reception()
    receiver.rtp(0, picture(0, key=True), 0)
    report_, names = rtcp.parse(receiver.receiver_report(0, 5, "ems@host", SECOND))
    assert isinstance(report_, rtcp.ReceiverReport)
    assert report_.blocks[0].ssrc == 11
    assert names == rtcp.cname(5, "ems@host")
    receiver.rtcp(0, rtcp.build([rtcp.Goodbye((11,))]), 0)
    assert not receiver.ended
    receiver.rtcp(1, rtcp.build([rtcp.Goodbye((22,))]), 0)
    assert receiver.ended
    with pytest.raises(MalformedData):
        receiver.rtcp(0, b"nonsense", 0)
