"""What `TsDemuxer` makes of streams as they are: cut anywhere, damaged, scrambled, of other packet sizes, and hostile."""

import random
import time

import pytest

from ems.errors import MalformedData
from ems.formats.mpegts import demux, pes, pictures, psi, sounds, waiting
from ems.formats.mpegts.clock import SampleClock
from ems.formats.mpegts.demux import TsDemuxer
from ems.formats.mpegts.events import Discontinuity, Sample, Scrambled, TimedMetadata
from ems.formats.mpegts.framings import MAX_DEPENDENT, Ac3
from ems.formats.mpegts.mux import TsMuxer
from ems.formats.mpegts.nal_rules import AVC, MAX_SETS_SIZE, SetKey
from ems.formats.mpegts.opus_layout import with_control_header
from ems.formats.mpegts.packets import PAYLOAD_SIZE, TICKS_RANGE, PacketWriter, to_nanoseconds
from ems.formats.mpegts.psi import MAX_STREAMS, ProgramMap, Stream
from ems.formats.mpegts.sync import DISTANCES, MAX_GARBAGE
from ems.media import aac, h264
from ems.media.frame import SECOND
from ems.media.nal import MAX_ACCESS_UNIT, MAX_PARAMETER_SET, START_CODE, join_lengths, split_lengths
from ems.media.track import Codec, Kind
from tests.ts_streams import (
    AAC,
    AUD,
    H264,
    PPS,
    SPS,
    avc_slice,
    broadcast,
    counted,
    demuxed,
    muxed,
    picture,
    pid_of,
    programs,
    samples,
    sound,
    split,
    tables,
    tracks,
)
from tests.unit.media import vectors
from tests.unit.media.bit_writer import BitWriter

VIDEO, AUDIO = 256, 257
AVC_STREAM, ADTS_STREAM = Stream(VIDEO, 0x1B), Stream(AUDIO, 0x0F)


def annexb(*nals: bytes) -> bytes:
    return b"".join(START_CODE + nal for nal in nals)


def units(writer: PacketWriter, *payloads: tuple[int | None, bytes], stream_id: int = 0xE0, told: bool = True) -> bytes:
    """PES packets with these times; without one where it is None, without a length unless `told`."""
    out = b""
    for pts, data in payloads:
        head = pes.write_header(stream_id, len(data), pts or 0, pts or 0, aligned=True)
        if pts is None:
            head = b"\0\0\1" + bytes((stream_id,)) + (len(data) + 3).to_bytes(2, "big") + b"\x80\0\0"
        if not told:
            head = head[:4] + b"\0\0" + head[6:]
        out += writer.unit(b"", head, data)
    return out


def stuffed(pid: int, *payloads: bytes, first: int = 1) -> list[bytes]:
    """Packets that go on with a PES packet, each with one of these payloads, perhaps empty, behind stuffing."""
    return [
        bytes((0x47, pid >> 8, pid & 0xFF, 0x30 | number & 15, 183 - len(data), 0)).ljust(188 - len(data), b"\xff") + data
        for number, data in enumerate(payloads, first)
    ]


def sharing(*numbers: int, repeats: int = 5) -> bytes:
    """A PAT of programs with these numbers, whose maps share a PID, and the maps: the n-th has a stream on PID 256 + n."""
    associations, maps = PacketWriter(0), PacketWriter(0x1000)
    listed = [psi.write_pmt(ProgramMap(number, 256 + at, (Stream(256 + at, 0x0F),))) for at, number in enumerate(numbers)]
    once = psi.write_pat(dict.fromkeys(numbers, 0x1000))
    return b"".join(associations.section(once) + b"".join(map(maps.section, listed)) for _ in range(repeats))


def of(frames: list[bytes], data: bytes) -> bool:
    """True when the demultiplexed data is one of these, in length-prefixed form."""
    return split_lengths(data) == frames


STREAM = muxed(broadcast(50))
EVENTS = demuxed(STREAM)


def test_what_was_sent_comes_back() -> None:
    """Tracks, times, key frames and every byte."""
    found = samples(EVENTS)
    assert [(track.id, track.config) for track in tracks(EVENTS)[0]] == [(VIDEO, H264.config), (AUDIO, AAC.config)]
    assert (tracks(EVENTS)[0][0].width, tracks(EVENTS)[0][1].sample_rate) == (640, 48000)
    sent = broadcast(50)
    for kind in (Kind.VIDEO, Kind.AUDIO):
        expected = [
            (126000 + round(frame.dts * 9 / 100_000), frame.keyframe, frame.data) for frame in sent if frame.track.kind is kind
        ]
        assert [(s.dts_ticks, s.keyframe, s.data) for s in found if s.track.kind is kind] == expected


@pytest.mark.parametrize("size", [1, 7, 187, 188, 189, 1316, 5000])
def test_bytes_may_be_cut_anywhere(size: int) -> None:
    """Whatever the pieces, the events are the same, in the same order."""
    demuxer, events = TsDemuxer(), []
    for start in range(0, len(STREAM), size):
        events += demuxer.receive(STREAM[start : start + size])
    assert events + demuxer.flush() == EVENTS


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("garbage", [0, 1, 100, 1000])
def test_packets_of_every_distance(distance: int, garbage: int) -> None:
    """188, 192, 204 and 208 bytes are told apart, also when one tunes in within a packet."""
    chance = random.Random(distance)
    data = b"".join(packet + chance.randbytes(distance - 188) for packet in split(STREAM))
    data = chance.randbytes(garbage).replace(b"\x47", b"x") + data
    if distance == 192:
        data = chance.randbytes(4) + data[:-4]
    assert demuxed(data) == EVENTS


def test_the_shortest_stream() -> None:
    """Two tables and one picture are a stream when nothing more comes."""
    data = muxed([picture(0, key=True, size=50)], [H264])
    assert len(split(data)) == 3
    assert len(samples(demuxed(data))) == 1


def test_bytes_in_between() -> None:
    """After bytes that do not belong there the packets are found again; what was hit is counted."""
    demuxer = TsDemuxer()
    middle = len(STREAM) // 376 * 188
    found = demuxed(STREAM[:middle] + b"?" * 77 + STREAM[middle:], demuxer)
    assert demuxer.statistics.lost_syncs == 1
    assert demuxer.statistics.continuity_errors == 0
    assert found == EVENTS


def test_no_sync() -> None:
    """A mebibyte that is no transport stream is refused; the same goes for one in which 0x47 abounds."""
    for data in (b"x" * 4096, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 150, b"\x47xxxx" * 800, bytes(4096)):
        demuxer = TsDemuxer()
        with pytest.raises(MalformedData, match="no transport packets"):
            for _ in range(MAX_GARBAGE // len(data) + 2):
                demuxer.receive(data)
        assert samples(demuxed(STREAM, demuxer))


def test_a_lost_packet_costs_one_access_unit() -> None:
    """Nothing broken is given; the frame that lost a packet is missing, all others are there, and it is counted."""
    packets = split(STREAM)
    for lost in (20, 50, 99):
        demuxer = TsDemuxer()
        found = samples(demuxed(b"".join(packets[:lost] + packets[lost + 1 :]), demuxer))
        assert demuxer.statistics.continuity_errors == 1
        missing = [sample for sample in samples(EVENTS) if sample not in found]
        assert [sample for sample in samples(EVENTS) if sample in found] == found
        assert 1 <= len(missing) <= 2


def test_packets_that_come_twice() -> None:
    """A packet may be sent twice; it counts once."""
    demuxer = TsDemuxer()
    assert demuxed(b"".join(packet * 2 for packet in split(STREAM)), demuxer) == EVENTS
    assert demuxer.statistics.continuity_errors == 0
    assert demuxer.statistics.duplicates > 100


def test_cc_errors_each_packet() -> None:
    """A stream whose counters are random gives what is in single packets, and nothing that is broken."""
    chance, demuxer = random.Random(4), TsDemuxer()
    data = b"".join(packet[:3] + bytes((packet[3] & 0xF0 | chance.randrange(16),)) + packet[4:] for packet in split(STREAM))
    found = samples(demuxed(data, demuxer))
    assert demuxer.statistics.continuity_errors > 100
    assert {sample.data for sample in found} <= {sample.data for sample in samples(EVENTS)}


def test_discontinuity_indicator() -> None:
    """A jump of the counter that is announced is no error, and a new clock is told."""
    start = muxed(broadcast(20))
    again = split(muxed(broadcast(20)))
    first = next(index for index, packet in enumerate(again) if pid_of(packet) == VIDEO)
    again = [packet[:3] + bytes((packet[3] & 0xF0 | packet[3] + 5 & 15,)) + packet[4:] for packet in again]
    again[first] = again[first][:5] + bytes((again[first][5] | 0x80,)) + again[first][6:]
    demuxer = TsDemuxer()
    events = demuxed(start + b"".join(again[first:]), demuxer)
    assert [event for event in events if isinstance(event, Discontinuity)] == [Discontinuity(VIDEO)]
    assert demuxer.statistics.continuity_errors == 1  # the audio's, which nobody announced
    assert len(samples(events, Kind.VIDEO)) == 40


def test_transport_errors() -> None:
    """Packets that the demodulator marks as damaged are not used."""
    packets, demuxer = split(STREAM), TsDemuxer()
    packets[30] = packets[30][:1] + bytes((packets[30][1] | 0x80,)) + packets[30][2:]
    found = samples(demuxed(b"".join(packets), demuxer))
    assert demuxer.statistics.transport_errors == 1
    assert len(found) < len(samples(EVENTS))
    assert {sample.data for sample in found} <= {sample.data for sample in samples(EVENTS)}


def test_scrambling_bits() -> None:
    """Scrambled packets are dropped and reported once for each PID; the other streams go on."""
    packets = [
        packet[:3] + bytes((packet[3] | 0x80,)) + packet[4:] if pid_of(packet) == VIDEO else packet for packet in split(STREAM)
    ]
    demuxer = TsDemuxer()
    events = demuxed(b"".join(packets), demuxer)
    assert [event for event in events if isinstance(event, Scrambled)] == [Scrambled(VIDEO)]
    assert [s.data for s in samples(events)] == [s.data for s in samples(EVENTS, Kind.AUDIO)]
    assert demuxer.statistics.scrambled == sum(pid_of(packet) == VIDEO for packet in packets)


def test_scrambled_pes_packets() -> None:
    """Scrambling below the PES header is known too."""
    data = tables(ADTS_STREAM)
    head = bytearray(pes.write_header(0xC0, 50, 0, 0, aligned=True))
    head[6] |= 0x20
    events = demuxed(data + b"".join(PacketWriter(AUDIO).unit(b"", bytes(head), bytes(50)) for _ in range(4)))
    assert [event for event in events if isinstance(event, Scrambled)] == [Scrambled(AUDIO)]


def test_pat_with_253_programs() -> None:
    """The first program of a full PAT is taken, or the one that is asked for; a PAT may have many sections."""
    pat = psi.write_pat({number: 0x100 + number for number in range(1, 253)})
    muxer = TsMuxer([H264])
    body = muxer.frame(picture(0, key=True)) + muxer.frame(picture(1))

    def program(number: int) -> bytes:
        section = psi.write_pmt(psi.ProgramMap(number, VIDEO, (AVC_STREAM,)))
        return PacketWriter(0x100 + number).section(section)

    data = PacketWriter(0).section(pat) + program(7) + program(1) + program(252) + body
    assert [found.program_number for found in programs(demuxed(data))] == [1]
    for number in (7, 252):
        events = demuxed(data, TsDemuxer(number))
        assert [found.program_number for found in programs(events)] == [number]
        assert len(samples(events)) == 2
    assert programs(demuxed(data, TsDemuxer(253))) == []


def test_pmt_of_1021_bytes() -> None:
    """A map full of descriptors, over six packets, is read; a descriptor that lies about its length hurts nobody."""
    filler = b"".join(psi.descriptor(0xFE, bytes(200)) for _ in range(4))
    data = tables(AVC_STREAM, Stream(AUDIO, 0x0F, filler), Stream(300, 6, b"\x05\xff"))
    events = demuxed(data + b"".join(split(STREAM)[2:]))
    assert programs(events)[0].streams[1] == Stream(AUDIO, 0x0F, filler)
    assert samples(events) == samples(EVENTS)


def test_a_map_that_lies_about_lengths() -> None:
    """Descriptors that reach past the end make the map invalid, and the one before it stays."""
    good = psi.write_pmt(psi.ProgramMap(1, VIDEO, (AVC_STREAM, ADTS_STREAM)))
    for at in (10, 15, 20):
        body = bytearray(good[:-4])
        body[at : at + 2] = b"\xff\xff"
        section = bytes(body) + psi.crc32(bytes(body))
        demuxer = TsDemuxer()
        events = demuxed(split(STREAM)[0] + PacketWriter(0x1000).section(section) + STREAM, demuxer)
        assert demuxer.statistics.malformed == 1
        assert samples(events) == samples(EVENTS)


def test_damaged_tables() -> None:
    """A table with a wrong checksum is not believed, and is counted."""
    packets, demuxer = split(STREAM), TsDemuxer()
    broken = packets[1][:30] + b"?" + packets[1][31:]
    events = demuxed(packets[0] + broken + STREAM, demuxer)
    assert demuxer.statistics.malformed == 1
    assert len(programs(events)) == 1


def test_a_map_of_too_many_streams() -> None:
    """More streams than `MAX_STREAMS` are not followed."""
    program = psi.read_pmt(psi.write_pmt(psi.ProgramMap(1, 300, tuple(Stream(300 + number, 0x0F) for number in range(150)))))
    assert program is not None
    assert len(program.streams) == MAX_STREAMS


def test_a_new_map() -> None:
    """When the map changes, the streams that stay go on without a gap, the others end, and the tracks are told anew."""
    frames = broadcast(60)
    muxer = TsMuxer([H264, AAC])
    data = muxer.psi() + b"".join(muxer.frame(frame) for frame in frames[:80])
    data += muxer.set_tracks([AAC]) + b"".join(muxer.frame(frame) for frame in frames[80:])
    events = demuxed(data)
    assert [len(found.streams) for found in programs(events)] == [2, 1]
    assert [[track.codec for track in found] for found in tracks(events)] == [[Codec.H264, Codec.AAC], [Codec.AAC]]
    assert [s.data for s in samples(events, Kind.AUDIO)] == [frame.data for frame in frames if frame.track is AAC]


def test_selected_streams() -> None:
    """Only the streams that are asked for are read."""
    demuxer = TsDemuxer(select=lambda stream: stream.language == "und")
    assert {sample.track.kind for sample in samples(demuxed(STREAM, demuxer))} == {Kind.AUDIO}


def test_adaptation_length_255() -> None:
    """An adaptation field longer than its packet costs that packet's access unit."""
    packets, demuxer = split(STREAM), TsDemuxer()
    for index in range(20, 40):
        packets[index] = packets[index][:3] + bytes((packets[index][3] | 0x20, 255)) + packets[index][5:]
    found = samples(demuxed(b"".join(packets), demuxer))
    assert demuxer.statistics.malformed == 20
    assert {sample.data for sample in found} <= {sample.data for sample in samples(EVENTS)}
    assert found[-1] == samples(EVENTS)[-1]


def test_pes_length_0_audio() -> None:
    """Audio without a PES length, which the standard forbids, ends where the next packet begins."""
    frame = aac.adts_header(AAC.config, 100) + bytes(100)
    data = tables(ADTS_STREAM) + units(
        PacketWriter(AUDIO), *((1000 + n * 1920, frame) for n in range(5)), stream_id=0xC0, told=False
    )
    assert [sample.dts_ticks for sample in samples(demuxed(data))] == [1000 + n * 1920 for n in range(5)]


def test_pcr_jump_and_pts_without_pcr() -> None:
    """Access units need no clock reference, and one that jumps changes nothing but `pcr`."""
    video = [packet for packet in split(STREAM) if pid_of(packet) == VIDEO and packet[3] & 0x20 and packet[4] >= 7]
    jumped = STREAM.replace(video[5][6:12], b"\xff" * 4 + b"\xfe\0")
    demuxer = TsDemuxer()
    assert samples(demuxed(jumped, demuxer)) == samples(EVENTS)
    assert demuxer.pcr is not None
    without = [packet[:5] + bytes((packet[5] & ~0x10,)) + packet[6:] if packet in video else packet for packet in split(STREAM)]
    demuxer = TsDemuxer()
    assert samples(demuxed(b"".join(without), demuxer)) == samples(EVENTS)
    assert demuxer.pcr is None


def test_pictures_are_given_at_once() -> None:
    """A picture whose PES packet tells its length does not wait for the next one."""
    muxer, demuxer = TsMuxer([H264]), TsDemuxer()
    demuxer.receive(muxer.psi())
    for number in range(5):
        assert len(samples(demuxer.receive(muxer.frame(picture(number, key=number == 0))))) == 1


def test_several_pictures_in_one_pes_packet() -> None:
    """They are told apart, with delimiters and without, and follow each other at the frame rate."""
    rate = H264.frame_rate
    assert rate is not None
    step = round(90_000 / rate)
    group = [avc_slice(number, key=number == 0) for number in range(3)]
    second = avc_slice(9, first=False)
    with_delimiters = annexb(AUD, SPS, PPS, group[0], second, AUD, group[1], AUD, group[2])
    without = annexb(SPS, PPS, group[0], second, group[1], group[2])
    for data in (with_delimiters, without):
        found = samples(demuxed(tables(AVC_STREAM) + units(PacketWriter(VIDEO), (9000, data))))
        assert [(s.dts_ticks, s.keyframe) for s in found] == [(9000, True), (9000 + step, False), (9000 + 2 * step, False)]
        assert of([group[0], second], found[0].data)
        assert of([group[2]], found[2].data)


def test_a_picture_over_several_pes_packets() -> None:
    """A picture that goes on in packets without a time, or with the same, is put together, even within a NAL unit."""
    whole = [avc_slice(number, 3000, key=number % 4 == 0) for number in range(12)]
    data = b""
    writer = PacketWriter(VIDEO)
    for number, nal in enumerate(whole):
        stream = annexb(AUD, SPS, PPS, nal)
        time = number * 3600
        data += units(writer, (time, stream[:1000]), (None, stream[1000:2000]), (time, stream[2000:]))
    found = samples(demuxed(tables(AVC_STREAM) + data))
    assert [s.dts_ticks for s in found] == [number * 3600 for number in range(12)]
    assert all(of([nal], sample.data) for nal, sample in zip(whole[1:], found[1:], strict=True))


def test_new_parameter_sets() -> None:
    """A new SPS makes a new track of the same id; what belongs to it follows."""
    other = h264.AvcConfiguration.parse(vectors.AVCC_BASELINE)
    first = annexb(AUD, SPS, PPS, avc_slice(0, key=True))
    second = annexb(AUD, other.sps[0], other.pps[0], avc_slice(1, key=True))
    events = demuxed(tables(AVC_STREAM) + units(PacketWriter(VIDEO), (0, first), (3600, second), (7200, second)))
    assert [found[0].width for found in tracks(events)] == [640, 1920]
    assert [sample.track.width for sample in samples(events)] == [640, 1920, 1920]


def test_broadcasters_without_idr() -> None:
    """An I picture that a recovery point announces is a key frame; one that needs more pictures is not."""
    sets = annexb(AUD, SPS, PPS)
    now = annexb(b"\x06\x06\x01\x84\x80", avc_slice(0))
    later = annexb(b"\x06\x06\x01\x44\x80", avc_slice(1))
    found = samples(demuxed(tables(AVC_STREAM) + units(PacketWriter(VIDEO), (0, sets + now), (3600, sets + later), (7200, now))))
    assert [sample.keyframe for sample in found] == [True, False, False]


def test_audio_across_pes_borders() -> None:
    """ADTS frames that PES packets cut anywhere come whole, each with the time that the samples tell."""
    frames = [aac.adts_header(AAC.config, 150 + number) + bytes((number,)) * (150 + number) for number in range(40)]
    whole, ends, end = b"".join(frames), [], 0
    for frame in frames:
        end += len(frame)
        ends.append(end)
    payloads: list[tuple[int | None, bytes]] = []
    for start in range(0, len(whole), 400):
        first = sum(end <= start - 1 for end in ends) + (1 if start and start not in ends else 0)
        payloads.append((90 * round((5000 + first * 1920) / 90), whole[start : start + 400]))  # milliseconds, rounded
    found = samples(demuxed(tables(ADTS_STREAM) + units(PacketWriter(AUDIO), *payloads, stream_id=0xC0)))
    base = payloads[0][0] or 0
    assert [sample.dts_ticks for sample in found] == [base + number * 1920 for number in range(40)]
    assert [sample.data for sample in found] == [frame[7:] for frame in frames]


def test_audio_that_jumps() -> None:
    """A time that does not agree with the count of samples is believed."""
    frame = aac.adts_header(AAC.config, 50) + bytes(50)
    times = [0, 1920, 3841, 90_000, 91_920]
    found = samples(demuxed(tables(ADTS_STREAM) + units(PacketWriter(AUDIO), *((t, frame) for t in times), stream_id=0xC0)))
    assert [sample.dts_ticks for sample in found] == [0, 1920, 3840, 90_000, 91_920]


def test_audio_behind_garbage() -> None:
    """Bytes that are no frames are passed over; a header by chance among them is not believed."""
    frame = aac.adts_header(AAC.config, 50) + bytes(50)
    data = b"\xff\xf1\x50\x80\x04\x1f\xfc" + b"xx\xff" + frame + frame
    found = samples(demuxed(tables(ADTS_STREAM) + units(PacketWriter(AUDIO), (0, data), stream_id=0xC0)))
    assert [sample.data for sample in found] == [bytes(50)] * 2


def latm(config: str, *payloads: bytes, same: bool = False) -> bytes:
    """An AudioSyncStream frame with this StreamMuxConfig in bits."""
    writer = BitWriter("1" if same else "0" + config)
    for payload in payloads:
        writer.u(8, len(payload))
        for byte in payload:
            writer.u(8, byte)
    bits = writer.bits + "0" * (-len(writer.bits) % 8)
    element = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return (0x2B7 << 13 | len(element)).to_bytes(3, "big") + element


def test_latm() -> None:
    """AAC in LATM, of both versions, gives raw access units and their configuration."""
    asc = f"{int.from_bytes(AAC.config, 'big'):016b}"
    version_0 = "0" + "1" + "000000" + "0000" + "000" + asc + "000" + "11111111" + "0" + "0"
    version_1 = "1" + "0" + "0000000000" + "1" + "000001" + "0000" + "000" + "0000010000" + asc + "000" + "11111111" + "0" + "0"
    listed = Stream(AUDIO, 0x11)
    one = latm(version_0, b"abc") + latm("", b"defg", same=True)
    two = latm(version_1, b"abc", b"defg")
    for data in (one, two):
        events = demuxed(tables(listed) + units(PacketWriter(AUDIO), (0, data), stream_id=0xC0))
        assert tracks(events)[0][0].config == AAC.config
        assert [(sample.dts_ticks, sample.data) for sample in samples(events)] == [(0, b"abc"), (1920, b"defg")]
    broken = latm("1" * 40, b"abc") + latm("0" * 3, b"")
    assert samples(demuxed(tables(listed) + units(PacketWriter(AUDIO), (0, broken * 5), stream_id=0xC0))) == []


def test_timed_metadata() -> None:
    """ID3 tags come back as they were sent."""
    muxer = TsMuxer([H264], timed_metadata=True)
    data = muxer.psi() + muxer.frame(picture(0, key=True)) + muxer.id3(SECOND, b"ID3" + bytes(400)) + muxer.frame(picture(1))
    assert [event for event in demuxed(data) if isinstance(event, TimedMetadata)] == [
        TimedMetadata(258, 216_000, b"ID3" + bytes(400))
    ]


def test_nobody_waits_for_ever() -> None:
    """When a track of the map never comes, the others begin after two seconds of the stream, and it joins when it does."""
    heard = [sound(number) for number in range(200)]
    data = muxed([*heard, picture(107, key=True), sound(200)])
    events = demuxed(data)
    assert [[track.codec for track in found] for found in tracks(events)] == [[Codec.AAC], [Codec.H264, Codec.AAC]]
    assert len(samples(events)) == 202
    demuxer = TsDemuxer()
    early = [event for packet in split(data)[:80] for event in demuxer.receive(packet)]
    assert samples(early) == []


def test_an_access_unit_without_end() -> None:
    """A PES packet that never ends is dropped at the limit, and memory stays within it."""
    writer, demuxer = PacketWriter(VIDEO), TsDemuxer()
    demuxer.receive(tables(AVC_STREAM))
    head = pes.write_header(0xE0, 1 << 20, 0, 0, aligned=True)
    piece = bytes(184 * 1024)
    demuxer.receive(writer.unit(b"", head, piece))
    for _ in range(MAX_ACCESS_UNIT // len(piece) + 2):
        goes_on = bytearray(writer.unit(b"", b"", piece))
        goes_on[1] &= ~0x40
        demuxer.receive(bytes(goes_on))
        assert sum(map(len, demuxer._streams[VIDEO].parts)) <= MAX_ACCESS_UNIT + len(piece)
    assert demuxer.statistics.malformed == 1


def test_packets_without_payload_are_not_kept() -> None:
    """A PES packet of which nothing but stuffing comes takes no memory, and goes on when its bytes come."""
    demuxer, frame = TsDemuxer(), aac.adts_header(AAC.config, 600) + bytes(600)
    whole = pes.write_header(0xC0, len(frame), 9000, 9000, aligned=True) + frame
    demuxer.receive(tables(ADTS_STREAM))
    demuxer.receive(PacketWriter(AUDIO).unit(b"", whole[:184], b""))
    empty = stuffed(AUDIO, *[b""] * 1600)
    demuxer.receive(b"".join(empty))
    assert len(demuxer._streams[AUDIO].parts) == 1
    rest = stuffed(AUDIO, *(whole[start : start + 100] for start in range(184, len(whole), 100)))
    assert [sample.dts_ticks for sample in samples(demuxer.receive(b"".join(rest)))] == [9000]


def test_a_pes_packet_of_stuffing() -> None:
    """One whose bytes come one by one is dropped at the limit, and costs no more time with each of them."""
    demuxer, began = TsDemuxer(), time.process_time()
    demuxer.receive(tables(ADTS_STREAM))
    demuxer.receive(PacketWriter(AUDIO).unit(b"", b"\0\0\1\xc0\xff\xff\x80\0\0".ljust(184, b"x"), b""))
    limit = MAX_ACCESS_UNIT // PAYLOAD_SIZE
    for number, packet in enumerate(stuffed(AUDIO, *[b"x"] * limit), 2):
        demuxer.receive(packet)
        assert len(demuxer._streams[AUDIO].parts) == (number if number <= limit else 0)
    assert demuxer.statistics.malformed == 1
    assert time.process_time() - began < 5, "one packet takes 10 µs"


def test_a_picture_of_countless_pes_packets() -> None:
    """A picture that goes on in packets of nothing for ever is refused, and so is what never gets to a picture."""
    reader = pictures.PictureReader(VIDEO, AVC)
    for _ in range(pictures.MAX_PIECES):
        assert reader.receive(pes.PesPacket(0xE0, 0, 0, False, b""), 0) == []
    with pytest.raises(MalformedData, match="PES packets of 0 bytes pass the limits"):
        reader.receive(pes.PesPacket(0xE0, 0, 0, False, b""), 0)
    reader.lose()
    for number in range(2 * pictures.MAX_LEAD):
        assert reader.receive(pes.PesPacket(0xE0, number, number, False, annexb(b"\x06\x05")), 100) == []
        assert len(reader._lead) <= pictures.MAX_LEAD


def test_a_frame_of_sound_in_countless_pes_packets() -> None:
    """One whose bytes come one by one, each with a time, has that of the first; the next frame has the newest."""
    opus = Stream(AUDIO, 0x06, psi.descriptor(psi.REGISTRATION, b"Opus") + psi.descriptor(psi.EXTENSION, b"\x80\2"))
    frame = with_control_header(b"\xfc" + bytes(400))
    demuxer, writer = TsDemuxer(), PacketWriter(AUDIO)
    found = demuxer.receive(tables(opus) * 2)
    for number in range(len(frame)):
        found += demuxer.receive(units(writer, (9000 + number, frame[number : number + 1]), stream_id=0xBD))
        reader = demuxer._streams[AUDIO].reader
        assert isinstance(reader, sounds.SoundReader)
        assert len(reader._marks) <= sounds.MAX_MARKS
    found += demuxer.receive(units(writer, (90_000, frame), stream_id=0xBD))
    assert [sample.dts_ticks for sample in samples(found)] == [9000, 90_000]


def test_countless_dependent_substreams() -> None:
    """An E-AC-3 frame has eight at most, however long the row behind it is: it is not gone through with each packet."""
    head = b"\x0b\x77%c\x03\x00\x80\0\0"
    independent, dependent = head % 0, head % 0x40
    for count in range(20):
        frame = Ac3(AUDIO).frame(independent + dependent * count, 0)
        assert frame is not None
        assert frame.end == 8 * (1 + min(count, MAX_DEPENDENT))


def test_countless_samples_while_a_track_is_waited_for() -> None:
    """Frames of nothing, all of one time, are not held back for ever."""
    held, found = waiting.TrackWaiting(), 0
    held.expect([VIDEO, AUDIO])
    for _ in range(waiting.MAX_HELD_SAMPLES + 1):
        found = len(held.receive(Sample(AAC, 0, 0, True, b"")))
    assert found == waiting.MAX_HELD_SAMPLES + 2


def test_a_parameter_set_beyond_all_measure() -> None:
    """One that no configuration can hold is passed over, and the pictures go on."""
    monster = PPS[:1] + b"\x28" + bytes((7,)) * MAX_PARAMETER_SET
    first, second = (annexb(AUD, SPS, PPS, monster, avc_slice(number, key=True)) for number in range(2))
    found = samples(demuxed(tables(AVC_STREAM) + units(PacketWriter(VIDEO), (0, first), (3600, second), told=False)))
    assert [(sample.dts_ticks, sample.track.config) for sample in found] == [(0, H264.config), (3600, H264.config)]


def test_countless_parameter_sets() -> None:
    """Those of a stream take no more memory than is said, whatever their ids; one that is replaced does not count."""
    sets: dict[SetKey, bytes] = {}
    large = [bytes((0x68, number)).ljust(60_000, b"x") for number in (0x80, 0x40, 0x60, 0x20)]
    AVC.learn(sets, 8, large[0])
    AVC.learn(sets, 8, large[0][:-1] + b"y")
    with pytest.raises(MalformedData, match="parameter sets of"):
        for nal in large:
            AVC.learn(sets, 8, nal)
    assert len(sets) == MAX_SETS_SIZE // 60_000


@pytest.mark.parametrize(("wanted", "number"), [(None, 1), (1, 1), (2, 2)])
def test_programs_whose_maps_share_a_pid(wanted: int | None, number: int) -> None:
    """The map of the chosen program is found among them, and told once."""
    found = programs(demuxed(sharing(1, 2), TsDemuxer(wanted)))
    assert [(program.program_number, program.pcr_pid) for program in found] == [(number, 255 + number)]


def test_a_program_takes_the_place_of_another() -> None:
    """One of another number on the same PID is found, though its map had been passed over before."""
    once = tables(ADTS_STREAM, program=1)
    again = PacketWriter(0).section(psi.write_pat({2: 0x1000}, version=1))
    other = PacketWriter(0x1000).section(psi.write_pmt(ProgramMap(2, AUDIO, (ADTS_STREAM,))))
    events = demuxed(once + b"".join(counted(split(other + again + other + other))))
    assert [program.program_number for program in programs(events)] == [1, 2]


def test_many_access_units_without_end() -> None:
    """All streams together hold no more than `MAX_BUFFERED` and a fair share each."""
    listed = [Stream(300 + number, 0x1B) for number in range(60)]
    demuxer = TsDemuxer()
    demuxer.receive(tables(*listed))
    writers = [PacketWriter(stream.pid) for stream in listed]
    head = pes.write_header(0xE0, 1 << 20, 0, 0, aligned=True)
    for _ in range(2):
        for writer in writers:
            demuxer.receive(writer.unit(b"", head, bytes(1_500_000)))
            held = sum(sum(map(len, stream.parts)) for stream in demuxer._streams.values())
            assert held <= demux.MAX_BUFFERED + 60 * demux.FAIR_SHARE


def test_many_nal_units() -> None:
    """A million start codes are refused, and the next picture is fine."""
    flood = b"\0\0\1x" * 100_000
    good = annexb(AUD, SPS, PPS, avc_slice(0, key=True))
    demuxer = TsDemuxer()
    data = units(PacketWriter(VIDEO), (0, flood), (3600, good), (7200, good), told=False)
    assert [sample.dts_ticks for sample in samples(demuxed(tables(AVC_STREAM) + data, demuxer))] == [3600, 7200]
    assert demuxer.statistics.malformed == 1


def test_null_packets_in_between() -> None:
    """Stuffing to a constant rate changes nothing."""
    null = b"\x47\x1f\xff\x10" + b"\xff" * 184
    assert demuxed(b"".join(null + packet for packet in split(STREAM)) + null) == EVENTS


def test_a_map_on_the_pid_of_a_stream() -> None:
    """A map that names its own PID, the PAT's, or one PID twice does no harm."""
    listed = [Stream(0, 0x1B), Stream(0x1000, 0x1B), AVC_STREAM, Stream(VIDEO, 0x0F)]
    events = demuxed(tables(*listed) + b"".join(split(STREAM)[2:]))
    assert [s.data for s in samples(events)] == [s.data for s in samples(EVENTS, Kind.VIDEO)]


def test_frames_on_the_streams_clock() -> None:
    """`SampleClock` makes frames from 0 on, over a wrap of the 33 bits, with composition offsets."""
    clock = SampleClock()
    start = TICKS_RANGE - 5400
    events = [
        Sample(H264, (start + n * 3600) % TICKS_RANGE, (start + n * 3600 + 1800) % TICKS_RANGE, n == 0, b"x") for n in range(4)
    ]
    made = [frame for event in events if (frame := clock.frame(event))]
    assert [frame.dts for frame in made] == [to_nanoseconds(n * 3600) for n in range(4)]
    assert {frame.pts - frame.dts for frame in made} == {to_nanoseconds(1800)}
    odd = clock.frame(Sample(H264, 10_000, 9_000, False, b"x"))
    assert odd is not None
    assert odd.pts == odd.dts


@pytest.mark.parametrize("earlier", [1890, 3600])
def test_sound_and_picture_begin_in_step(earlier: int) -> None:
    """Whichever of them comes first in the stream, and however much earlier the other one is, none is moved to the other."""
    start = TICKS_RANGE - 1000
    late, early = Sample(H264, start, start + 3600, True, b"x"), Sample(AAC, start - earlier, start - earlier, True, b"x")
    for events in ([late, early], [early, late]):
        clock = SampleClock()
        clock.begin(events)
        frames = {event: clock.frame(event) for event in events}
        picture, sound = frames[late], frames[early]
        assert sound is not None
        assert picture is not None
        assert (sound.pts, picture.dts, picture.pts) == (0, to_nanoseconds(earlier), to_nanoseconds(earlier + 3600))


def test_sound_from_before_the_beginning_is_left_out() -> None:
    """A frame of sound that cannot be placed in step is not heard; a picture is shown when it should be."""
    clock = SampleClock()
    clock.begin([Sample(H264, 9000, 9000, True, b"x")])
    assert clock.frame(Sample(AAC, 8999, 8999, True, b"x")) is None
    picture = clock.frame(Sample(H264, 5400, 12_600, False, b"x"))
    assert picture is not None
    assert (picture.dts, picture.pts) == (0, to_nanoseconds(3600))


def test_counters_of_rearranged_packets() -> None:
    """Audio and video may be interleaved packet by packet."""
    packets = split(STREAM)
    video = [packet for packet in packets if pid_of(packet) == VIDEO]
    audio = [packet for packet in packets if pid_of(packet) == AUDIO]
    mixed = packets[:2]
    while video or audio:
        mixed += [part.pop(0) for part in (video, audio) if part]
    found = samples(demuxed(b"".join(counted(mixed))))
    for kind in Kind.VIDEO, Kind.AUDIO:
        assert [s for s in found if s.track.kind is kind] == samples(EVENTS, kind)
    assert join_lengths([b"x"]) == b"\0\0\0\1x"
