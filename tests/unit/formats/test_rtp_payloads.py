"""Payload formats: what a packetiser makes of a frame a depacketiser makes a frame of; damage is not passed on."""

import os
import random
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from ems.formats import sdp
from ems.formats.rtp.aac import MAX_UNITS, AacDepacketiser, AuHeaders
from ems.formats.rtp.av1_record import make_record
from ems.formats.rtp.depacketise import make_depacketiser, make_track_depacketiser
from ems.formats.rtp.fragments import MAX_KEYFRAME_WAIT
from ems.formats.rtp.latm import LatmDepacketiser
from ems.formats.rtp.nal_units import H264Depacketiser, H265Depacketiser
from ems.formats.rtp.packet import HEADER_SIZE, RtpPacket, parse
from ems.formats.rtp.packetise import make_packetiser, make_ts_packetiser
from ems.formats.rtp.payload import AccessUnit, Depacketiser
from ems.formats.rtp.sounds import g711_track, opus_track
from ems.media import aac, ac3, av1, h264, h265, mp3, opus
from ems.media.frame import Frame
from ems.media.nal import MAX_ACCESS_UNIT, MAX_PARAMETER_SET, join_lengths, split_lengths
from ems.media.track import Codec, Track
from tests.unit.media import vectors
from tests.unit.media.mutation import mutated

MUTATIONS = int(os.environ.get("EMS_MUTATIONS", "3000"))

AVC = h264.make_track(0, vectors.AVCC_HIGH)
HEVC = h265.make_track(0, vectors.HVCC_MAIN)
LC = aac.make_track(1, vectors.ASC_STEREO)
SPS, PPS = h264.AvcConfiguration.parse(AVC.config).sps[0], h264.AvcConfiguration.parse(AVC.config).pps[0]

VP8_KEY = bytes.fromhex("1002009d012a4001b400")
"""Frame tag, start code, 320 by 180 pixels."""
VP9_KEY = bytes.fromhex("824983420013f00b30")
"""The uncompressed header of a key frame of 320 by 180 pixels, as far as its size."""
TEMPORAL_UNIT = vectors.AV1C[4:] + bytes((0x32, 0x80 | 0x64, 0x0E)) + bytes(range(256)) * 7 + bytes(100)


def idr(size: int, *, fill: int = 7) -> bytes:
    """A slice of an IDR picture of H.264, the first of its picture."""
    return b"\x65\x88" + bytes((fill,)) * (size - 2)


def slice_(size: int, *, first: bool = True, fill: int = 7) -> bytes:
    """A slice of any other picture of H.264."""
    return bytes((0x41, 0x9A if first else 0x1A)) + bytes((fill,)) * (size - 2)


def avc_frame(*nals: bytes, key: bool = False, at: int = 0) -> Frame:
    """A frame of H.264."""
    return Frame(AVC, at, at, key, join_lengths(nals))


def sent(track: Track, frames: Iterable[Frame], step: int = 3600, **more: int) -> list[RtpPacket]:
    """The packets of these frames, `step` ticks between them."""
    packetiser = make_packetiser(track, payload_type=96, ssrc=5, **more)
    assert packetiser is not None
    return [parse(packet) for number, frame in enumerate(frames) for packet in packetiser.packets(frame, number * step)]


def reader_of(track: Track) -> Depacketiser:
    """What reads a track as its SDP describes it."""
    media = sdp.media_of(track, 96)
    assert media is not None
    read = sdp.parse(bytes(sdp.SessionDescription(medias=[media]))).medias[0]
    depacketiser = make_depacketiser(read, track.id)
    assert depacketiser is not None
    return depacketiser


def received(depacketiser: Depacketiser, packets: Iterable[RtpPacket]) -> list[AccessUnit]:
    """All access units of these packets."""
    return [unit for packet in packets for unit in depacketiser.receive(packet)] + depacketiser.flush()


def payloads(*pieces: bytes, timestamp: int = 0, marker: bool = True, start: int = 0) -> list[RtpPacket]:
    """Packets of one timestamp, the last one with the marker."""
    last = len(pieces) - 1
    return [
        RtpPacket(96, marker and number == last, start + number & 0xFFFF, timestamp, 5, piece)
        for number, piece in enumerate(pieces)
    ]


SOUNDS = {
    "aac": (LC, [b"first unit", b"second" * 30]),
    "aac in fragments": (LC, [b"x" * 4000]),
    "opus": (opus_track(1), [b"\xfcopus"]),
    "g711": (g711_track(1, Codec.G711A), [b"\xd5" * 160]),
    "g711 of 16 kHz": (g711_track(1, Codec.G711U, 16_000, 2), [b"\xff" * 640]),
    "mp3": (mp3.make_track(1, vectors.MP3_STEREO), [vectors.MP3_STEREO[:4] + bytes(413)]),
    "ac3": (ac3.make_track(1, vectors.AC3_5_1), [vectors.AC3_5_1 + bytes(1792 - len(vectors.AC3_5_1))]),
    "eac3": (ac3.make_track(1, vectors.EAC3_STEREO), [vectors.EAC3_STEREO + bytes(834 - len(vectors.EAC3_STEREO))]),
}
PICTURES = {
    "h264": (AVC, [join_lengths([idr(50)]), join_lengths([slice_(20), slice_(5000, first=False)])]),
    "h265": (HEVC, [join_lengths([b"\x26\x01\xaf" + b"k" * 3000]), join_lengths([b"\x02\x01\xd0p"])]),
    "av1": (av1.make_track(0, vectors.AV1C), [TEMPORAL_UNIT, b"\x32\x05frame"]),
    "vp8": (Track(0, AVC.kind, Codec.VP8), [VP8_KEY + b"k" * 3000, b"\x31" + b"p" * 50]),
    "vp9": (Track(0, AVC.kind, Codec.VP9), [VP9_KEY + b"k" * 3000, b"\x86" + b"p" * 50]),
}


@pytest.mark.parametrize("max_payload", [100, 1338, 60_000])
@pytest.mark.parametrize("name", [*SOUNDS, *PICTURES])
def test_what_is_sent_arrives(name: str, max_payload: int) -> None:
    """Every codec comes out of its packets as it went in, however large the packets may be."""
    track, datas = (SOUNDS | PICTURES)[name]
    frames = [Frame(track, 0, 0, number == 0 or name in SOUNDS, data) for number, data in enumerate(datas)]
    packets = sent(track, frames, sequence=65_535, max_payload=max_payload)
    assert all(len(packet.payload) <= max(max_payload, 64) for packet in packets)
    depacketiser = reader_of(track)
    units = received(depacketiser, packets)
    if track.codec in (Codec.G711A, Codec.G711U):
        assert b"".join(unit.data for unit in units) == b"".join(datas)
        size = len(units[0].data) // track.channels
        assert [unit.timestamp for unit in units] == [size * number for number in range(len(units))]
    else:
        assert [unit.data for unit in units] == datas
        assert [unit.timestamp for unit in units] == [3600 * number for number in range(len(datas))]
    assert [unit.keyframe for unit in units] == ([True] * len(units) if name in SOUNDS else [True, False])
    assert units[0].track.codec is track.codec
    assert (depacketiser.losses, depacketiser.malformed, depacketiser.dropped) == (0, 0, 0)


def test_the_record_of_av1_is_made_of_its_sequence_header() -> None:
    """A track of AV1 that comes by RTP has the configuration that its encoder would have written into a file."""
    obu = vectors.AV1C[4:]
    assert make_record(obu[2:], obu) == vectors.AV1C


@pytest.mark.parametrize("name", PICTURES)
def test_after_a_loss_pictures_wait_for_a_key_frame(name: str) -> None:
    """A viewer sees a pause, never a broken picture."""
    track, (key, other) = PICTURES[name]
    frames = [Frame(track, 0, 0, number % 3 == 0, other if number % 3 else key) for number in range(6)]
    packets = sent(track, frames, max_payload=1000)
    missing = next(number for number, packet in enumerate(packets) if packet.timestamp == 3600)
    depacketiser = reader_of(track)
    units = received(depacketiser, packets[:missing] + packets[missing + 1 :])
    assert [unit.timestamp // 3600 for unit in units] == [0, 3, 4, 5]
    assert depacketiser.losses == 1


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_begin_with_a_key_frame(name: str) -> None:
    """Whoever joins in the middle of a group of pictures gets nothing that cannot be decoded."""
    track, (key, other) = PICTURES[name]
    frames = [Frame(track, 0, 0, number == 2, key if number == 2 else other) for number in range(4)]
    units = received(reader_of(track), sent(track, frames))
    assert [unit.timestamp // 3600 for unit in units] == [2, 3]


@pytest.mark.parametrize("name", [*SOUNDS, *PICTURES])
def test_damaged_payloads_raise_nothing(name: str) -> None:
    """Whatever a source sends, its other packets are still read."""
    track, datas = (SOUNDS | PICTURES)[name]
    frames = [Frame(track, 0, 0, True, data) for data in datas]
    packets = sent(track, frames, max_payload=300)
    chance = random.Random(1)
    depacketiser = reader_of(track)
    numbers = iter(range(1 << 30))
    for payload in mutated([packet.payload for packet in packets], MUTATIONS):
        timestamp, marker = chance.randrange(3), chance.random() < 0.3
        packet = RtpPacket(96, marker, next(numbers) & 0xFFFF, timestamp, 5, payload)
        for unit in depacketiser.receive(packet):
            assert len(unit.data) <= MAX_ACCESS_UNIT
    depacketiser.flush()


def test_fragments_of_a_picture_are_of_one_size() -> None:
    """UDP segmentation offload takes a row of packets of one length, of which only the last may be shorter."""
    packets = sent(AVC, [avc_frame(idr(10_000), key=True)], max_payload=1000)
    sizes = [len(packet.payload) for packet in packets[2:]]
    assert set(sizes[:-1]) == {1000}
    assert sizes[-1] <= 1000


def test_parameter_sets_go_before_every_key_frame() -> None:
    """A player may begin at any key frame without anything but the stream."""
    frames = [avc_frame(idr(20), key=True), avc_frame(slice_(20)), avc_frame(idr(20), key=True)]
    kinds = [packet.payload[0] & 31 for packet in sent(AVC, frames)]
    assert kinds == [7, 8, 5, 1, 7, 8, 5]


def test_parameter_sets_in_the_stream_are_not_sent_twice() -> None:
    """An encoder that repeats them itself is left alone; delimiters and filler are not sent."""
    frame = avc_frame(b"\x09\xf0", SPS, PPS, idr(20), b"\x0c\xff\x80", key=True)
    assert [packet.payload[0] & 31 for packet in sent(AVC, [frame])] == [7, 8, 5]


def test_the_marker_is_on_the_last_packet_of_a_picture() -> None:
    """Players show a picture as soon as it is there."""
    packets = sent(AVC, [avc_frame(idr(3000), key=True), avc_frame(slice_(30))], max_payload=500)
    assert [packet.marker for packet in packets] == [False] * (len(packets) - 2) + [True, True]


def test_a_new_configuration_is_sent_with_the_next_frame() -> None:
    """A stream that changes its picture size goes on."""
    other = h264.make_track(0, vectors.AVCC_BASELINE)
    packetiser = make_packetiser(AVC, payload_type=96, ssrc=1)
    assert packetiser is not None
    packetiser.packets(avc_frame(idr(20), key=True), 0)
    packets = packetiser.packets(Frame(other, 0, 0, True, join_lengths([idr(20)])), 1)
    assert parse(packets[0]).payload == h264.AvcConfiguration.parse(other.config).sps[0]


def test_the_counters_of_sender_reports_count_payloads() -> None:
    """Receivers learn from sender reports how much was sent."""
    packetiser = make_packetiser(LC, payload_type=96, ssrc=1)
    assert packetiser is not None
    packets = packetiser.packets(Frame(LC, 0, 0, True, b"x" * 100), 0)
    assert (packetiser.packet_count, packetiser.octet_count, packetiser.sequence) == (1, len(packets[0]) - HEADER_SIZE, 1)


def test_a_frame_that_cannot_be_said_is_left_out() -> None:
    """One frame too many does not end a stream."""
    packetiser = make_packetiser(LC, payload_type=96, ssrc=1)
    avc = make_packetiser(AVC, payload_type=96, ssrc=1)
    assert packetiser is not None
    assert avc is not None
    assert packetiser.packets(Frame(LC, 0, 0, True, bytes(8192)), 0) == []
    assert avc.packets(Frame(AVC, 0, 0, True, b"\0\0\0\xff\1"), 0) == []
    assert (packetiser.left_out, avc.left_out) == (1, 1)


def test_what_has_no_payload_format_has_no_packetiser() -> None:
    """The track is left out, and the others are sent."""
    six = opus.make_track(1, vectors.OPUS_5_1)
    for track in (Track(0, AVC.kind, Codec.FLV_VP6), six, Track(0, AVC.kind, Codec.H264, config=b"nothing")):
        assert make_packetiser(track, payload_type=96, ssrc=1) is None
    assert sdp.media_of(six, 96) is None


def test_transport_packets_go_seven_by_seven() -> None:
    """A datagram holds seven packets of 188 bytes, and whole ones only."""
    packetiser = make_ts_packetiser(ssrc=3, sequence=65_535)
    packets = [parse(packet) for packet in packetiser.packets(b"G" * 188 * 10, 5)]
    assert [len(packet.payload) for packet in packets] == [7 * 188, 3 * 188]
    assert [packet.sequence for packet in packets] == [65_535, 0]
    assert {packet.payload_type for packet in packets} == {33}


def test_aggregated_units_are_read() -> None:
    """Cameras that put parameter sets and slices into one packet are understood."""
    parts = b"".join(len(nal).to_bytes(2, "big") + nal for nal in (SPS, PPS, idr(30)))
    units = received(H264Depacketiser(0), payloads(b"\x78" + parts))
    assert units[0].data == join_lengths([idr(30)])
    assert units[0].track.config == AVC.config
    nals = [b"\x26\x01\xaf" + b"k" * 9, b"\x26\x01\x2f" + b"k" * 9]
    combined = b"\x60\x01" + b"".join(len(nal).to_bytes(2, "big") + nal for nal in nals)
    hevc = reader_of(HEVC)
    assert split_lengths(received(hevc, payloads(combined))[0].data) == nals


def test_parameter_sets_may_come_in_the_stream_only() -> None:
    """A camera whose SDP is silent is read from its first key frame on."""
    depacketiser = H264Depacketiser(0)
    assert depacketiser.track is None
    units = received(depacketiser, payloads(SPS, PPS, idr(30)))
    assert depacketiser.track is not None
    assert (units[0].track.width, units[0].track.height) == (640, 360)


def test_a_changed_configuration_comes_with_its_first_picture() -> None:
    """A camera that is switched to another size goes on as one stream."""
    other = h264.AvcConfiguration.parse(vectors.AVCC_BASELINE)
    depacketiser = reader_of(AVC)
    first = received(depacketiser, payloads(idr(30)))
    second = received(depacketiser, payloads(other.sps[0], other.pps[0], idr(30), timestamp=3600, start=1))
    assert [unit.track.width for unit in (*first, *second)] == [640, 1920]


def test_a_parameter_set_beyond_all_measure_is_passed_over() -> None:
    """One that no configuration can hold does not keep the pictures from being seen."""
    depacketiser, size = H264Depacketiser(0), MAX_PARAMETER_SET // 2
    monster = [b"\x7c" + bytes((flags | 8,)) + b"\x28".ljust(size + 1, b"x") for flags in (0x80, 0x40)]
    units = received(depacketiser, payloads(SPS, PPS, *monster, idr(30)))
    assert [unit.track.config for unit in units] == [AVC.config]
    assert depacketiser.malformed == 1


def test_repeated_parameter_sets_are_no_change() -> None:
    """The track stays the same object while its configuration does."""
    depacketiser = reader_of(AVC)
    units = received(depacketiser, payloads(SPS, PPS, idr(30)) + payloads(SPS, PPS, idr(30), timestamp=9, start=3))
    assert units[0].track is units[1].track


def test_a_picture_ends_where_the_timestamp_changes() -> None:
    """A source that sets no markers is understood."""
    packets = payloads(idr(30), marker=False) + payloads(slice_(30), timestamp=9, marker=False, start=1)
    assert [unit.timestamp for unit in received(reader_of(AVC), packets)] == [0, 9]


def test_a_source_that_marks_every_slice_is_understood() -> None:
    """Its first picture is lost; from the next key frame on all slices of a picture are one access unit."""
    depacketiser = reader_of(AVC)
    packets: list[RtpPacket] = []
    for number in range(4):
        first, second = (idr(30), b"\x65\x08" + bytes(30)) if number != 3 else (slice_(30), slice_(30, first=False))
        for nal in (first, second):
            packets += payloads(nal, timestamp=9 * number, start=len(packets))
    units = received(depacketiser, packets)
    assert [(unit.timestamp, len(split_lengths(unit.data))) for unit in units[1:]] == [(9, 2), (18, 2), (27, 2)]


def test_a_stream_without_key_frames_is_shown_after_a_while() -> None:
    """Cameras that refresh their picture bit by bit send no key frames at all."""
    packets = [packet for number in range(12) for packet in payloads(slice_(30), timestamp=number * 90_000, start=number)]
    units = received(reader_of(AVC), packets)
    assert [unit.timestamp for unit in units] == [MAX_KEYFRAME_WAIT + 90_000]


def test_a_key_frame_right_behind_a_loss_is_taken() -> None:
    """When only the end of the picture before was lost, the key frame that follows is whole."""
    depacketiser = reader_of(AVC)
    first = payloads(idr(30)) + payloads(slice_(30), timestamp=9, marker=False, start=1)
    units = received(depacketiser, first + payloads(SPS, PPS, idr(30), timestamp=18, start=3))
    assert [unit.timestamp for unit in units] == [0, 18]


def fu(flags: int, data: bytes) -> bytes:
    """A fragmentation unit of an IDR slice."""
    return bytes((0x7C, flags | 5)) + data


@pytest.mark.parametrize(
    "pieces",
    [
        [fu(0x00, b"\x88middle"), fu(0x40, b"end")],
        [fu(0x80, b"\x88start"), fu(0x80, b"\x88start"), fu(0x40, b"end")],
        [fu(0x80, b"\x88start"), idr(20)],
        [fu(0x80, b"\x88start")],
        [b"\x7c"],
        [b"\x78\xff\xff\x65\x88"],
        [b"\x78\x00\x00"],
        [b"\x79" + bytes(30)],
        [b"\x7d\x85" + bytes(30)],
        [b"\x00"],
    ],
    ids=[
        "no start", "two starts", "no end, a unit", "no end, the marker", "no FU header", "STAP-A lies", "STAP-A of nothing",
        "STAP-B", "FU-B", "type 0",
    ],
)  # fmt: skip
def test_a_picture_of_which_something_is_missing_is_dropped(pieces: list[bytes]) -> None:
    """No half picture is passed on, and the next key frame is."""
    depacketiser = reader_of(AVC)
    packets = payloads(*pieces)
    units = received(depacketiser, packets + payloads(idr(30), timestamp=9, start=len(packets)))
    assert [unit.timestamp for unit in units] == [9]
    assert depacketiser.dropped == 1


def test_an_endless_fragmentation_unit_is_bounded() -> None:
    """A picture that never ends takes no more memory than the largest picture."""
    depacketiser = reader_of(AVC)
    depacketiser.receive(RtpPacket(96, False, 0, 0, 5, fu(0x80, b"\x88")))
    for number in range(1, MAX_ACCESS_UNIT // 60_000 + 3):
        depacketiser.receive(RtpPacket(96, False, number & 0xFFFF, 0, 5, fu(0, bytes(60_000))))
    assert depacketiser.malformed == 1
    depacketiser.receive(RtpPacket(96, False, 142, 0, 5, fu(0x80, b"\x88")))


def test_endless_tiny_fragments_are_bounded() -> None:
    """Nor do pieces of one byte, however many come."""
    depacketiser = reader_of(AVC)
    for number in range(40_000):
        depacketiser.receive(RtpPacket(96, False, number & 0xFFFF, 0, 5, fu(0 if number else 0x80, b"x")))
    assert depacketiser.malformed == 1


@pytest.mark.parametrize("make", [lambda: H264Depacketiser(0), lambda: H265Depacketiser(0)])
def test_endless_aggregates_of_one_picture_are_bounded(make: Callable[[], Depacketiser]) -> None:
    """A picture has no more than so many units."""
    depacketiser = make()
    head, unit = (b"\x78", b"\0\1\x06") if isinstance(depacketiser, H264Depacketiser) else (b"\x60\x01", b"\0\2\x4e\x01")
    for number in range(100):
        depacketiser.receive(RtpPacket(96, False, number, 0, 5, head + unit * 400))
    assert depacketiser.malformed >= 1


def test_several_access_units_of_aac_have_their_own_times() -> None:
    """A packet with several frames gives all of them, 1024 samples apart."""
    packet = b"\0\x20" + (3 << 3).to_bytes(2, "big") + (4 << 3).to_bytes(2, "big") + b"onetwo!"
    units = received(reader_of(LC), payloads(packet, timestamp=0xFFFFFFFF))
    assert [(unit.timestamp, unit.data) for unit in units] == [(0xFFFFFFFF, b"one"), (1023, b"two!")]


def test_low_bit_rate_aac_is_read() -> None:
    """AAC-lbr has sizes of six bits."""
    depacketiser = AacDepacketiser(LC, 44_100, AuHeaders.of({"mode": "AAC-lbr"}))
    units = received(depacketiser, payloads(b"\0\x10" + bytes((3 << 2, 4 << 2)) + b"onetwo!"))
    assert [unit.data for unit in units] == [b"one", b"two!"]


def test_high_efficiency_aac_counts_at_the_rate_of_its_clock() -> None:
    """A frame of HE-AAC lasts 2048 ticks where the clock has the rate of the output."""
    track = aac.make_track(1, bytes.fromhex("2b118800"))
    depacketiser = AacDepacketiser(track, 2 * track.sample_rate)
    packet = b"\0\x20" + (3 << 3).to_bytes(2, "big") * 2 + b"onetwo"
    assert [unit.timestamp for unit in received(depacketiser, payloads(packet))] == [0, 2048]


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("nothing", b""),
        ("half a length", b"\0"),
        ("65535 bits of headers", b"\xff\xff" + bytes(100)),
        ("half a header", b"\0\x10\0"),
        ("an index", b"\0\x10\0\x09x"),
        ("an index delta", b"\0\x20\0\x08\0\x09xy"),
        ("a unit of no bytes", b"\0\x10\0\0"),
        ("more than 255 units", b"\x10\0" + b"\0\x08" * 256 + bytes(256)),
        ("units longer than the packet", b"\0\x20\0\x08\xff\xf8xy"),
    ],
)
def test_au_headers_that_lie_are_refused(name: str, payload: bytes) -> None:
    """No table of sizes is believed before it is checked; interleaving is refused."""
    depacketiser = reader_of(LC)
    units = received(depacketiser, payloads(payload))
    assert units == []
    assert depacketiser.malformed == 1


def test_units_of_one_size_without_headers_are_counted() -> None:
    """As many as there may be are read, each at its time; a packet of more is refused."""
    headers = AuHeaders.of({"constantsize": "1"})
    for count, expected in ((MAX_UNITS, MAX_UNITS), (MAX_UNITS + 1, 0)):
        depacketiser = AacDepacketiser(LC, 44_100, headers)
        units = received(depacketiser, payloads(b"x" * count))
        assert [unit.timestamp for unit in units] == [number * 1024 for number in range(expected)]
        assert depacketiser.malformed == (not expected)


def test_an_access_unit_whose_fragment_is_missing_is_dropped() -> None:
    """The next one is whole."""
    packets = sent(LC, [Frame(LC, 0, 0, True, b"x" * 3000), Frame(LC, 0, 0, True, b"next")], max_payload=1000)
    for missing in range(4):
        depacketiser = reader_of(LC)
        units = received(depacketiser, [packet for number, packet in enumerate(packets) if number != missing])
        assert [unit.data for unit in units] == [b"next"]
        assert depacketiser.dropped == 1


def test_latm_is_read_with_its_configuration_in_the_sdp() -> None:
    """MP4A-LATM gives raw access units; several in one element follow each other in time."""
    parameters = {"cpresent": "0", "config": "400024203fc0"}
    depacketiser = LatmDepacketiser(1, 44_100, parameters)
    assert depacketiser.track is not None
    assert depacketiser.track.sample_rate == 44_100
    unit = b"u" * 300
    element = b"\xff" + bytes((300 - 255,)) + unit
    units = received(depacketiser, payloads(element[:100], element[100:], timestamp=7))
    assert [(each.timestamp, each.data) for each in units] == [(7, unit)]


@pytest.mark.parametrize(
    "lines",
    [
        "a=rtpmap:96 H264/90000\na=fmtp:96 packetization-mode=2",
        "a=rtpmap:96 H265/90000\na=fmtp:96 sprop-max-don-diff=3",
        "a=rtpmap:96 MP4A-LATM/44100\na=fmtp:96 cpresent=0",
        "a=rtpmap:96 MP4A-LATM/44100\na=fmtp:96 cpresent=0;config=zz",
        "a=rtpmap:96 mpeg4-generic/44100/2\na=fmtp:96 mode=AAC-hbr;config=xyz",
        "a=rtpmap:96 mpeg4-generic/44100/2\na=fmtp:96 mode=AAC-hbr;config=1210;sizelength=999",
        "a=rtpmap:96 theora/90000",
        "",
    ],
)
def test_what_cannot_be_read_has_no_depacketiser(lines: str) -> None:
    """The medium is left out, and the others are read."""
    media = sdp.parse(f"v=0\nm=video 0 RTP/AVP 96\n{lines}\n").medias[0]
    assert make_depacketiser(media) is None


def test_tracks_known_beforehand_need_no_sdp() -> None:
    """Raw RTP is read by what the caller knows of it."""
    frame = avc_frame(idr(2000), key=True)
    depacketiser = make_track_depacketiser(AVC)
    assert depacketiser is not None
    assert received(depacketiser, sent(AVC, [frame]))[0].data == frame.data
    assert make_track_depacketiser(replace(AVC, codec=Codec.VP8)) is None
