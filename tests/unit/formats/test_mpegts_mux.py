"""What `TsMuxer` makes: looked over by an analyser that shares nothing with it."""

import random

import pytest

from ems.errors import MalformedData
from ems.formats.mpegts import psi
from ems.formats.mpegts.mux import MAX_TIMED_METADATA, MAX_TRACKS, Encryption, TsMuxer, carried
from ems.formats.mpegts.packets import PacketWriter, to_nanoseconds, to_ticks
from ems.formats.mpegts.sample_aes import encryption_of
from ems.media import aac, opus
from ems.media.frame import MILLISECOND, SECOND, Frame
from ems.media.nal import join_lengths
from ems.media.track import Codec, Kind, Track
from tests.ts_analyser import analyse, crc
from tests.ts_streams import (
    AAC,
    AC3,
    AUD,
    H264,
    H265,
    HEVC_SETS,
    PPS,
    SPS,
    avc_slice,
    broadcast,
    muxed,
    picture,
    pid_of,
    sound,
    split,
)
from tests.unit.media import vectors

START = b"\0\0\0\1"


def annexb(*nals: bytes) -> bytes:
    return b"".join(START + nal for nal in nals)


def payload(pes_packet: bytes) -> bytes:
    return pes_packet[9 + pes_packet[8] :]


def test_the_stream_is_sound() -> None:
    """A minute of picture and sound has no gap, no wrong checksum, no clock that jumps, and every PES packet its length."""
    found = analyse(muxed(broadcast(1500)))
    assert found.errors == []
    assert found.stream_types == {256: 0x1B, 257: 0x0F}
    assert (found.pcr_pid, len(found.pcr)) == (256, 1500)
    assert len(found.units[256]) == 1500


def test_times_and_clock_are_those_of_the_original() -> None:
    """Media time 0 is PTS 126000 and PCR 63000 ticks; the clock follows decoding times, presentation times may be later."""
    found = analyse(muxed([picture(0, key=True, shown_later=1), picture(1, shown_later=2), picture(2)]))
    assert [(pts, dts) for pts, dts, _ in found.units[256]] == [(129600, 126000), (136800, 129600), (133200, 133200)]
    assert found.pcr == [63000 * 300, 66600 * 300, 70200 * 300]
    assert found.units[256][0][2][6:9] == b"\x84\xc0\x0a"
    assert found.units[256][2][2][6:9] == b"\x84\x80\x05"


def test_times_wrap_at_33_bits() -> None:
    """A stream that has run for more than a day goes on: times and clock wrap, the analyser sees no jump."""
    day = 95_441 * SECOND
    frames = [frame._replace(dts=frame.dts + day, pts=frame.pts + day) for frame in broadcast(50)]
    found = analyse(muxed(frames))
    assert found.errors == []
    times = [dts for _, dts, _ in found.units[256]]
    assert times[0] > times[-1]


def test_ticks_survive_nanoseconds() -> None:
    """Every 90 kHz tick comes back from nanoseconds, also after years."""
    chance = random.Random(1)
    for ticks in [0, 1, 2, 3, 8191, *(chance.randrange(1 << 50) for _ in range(2000))]:
        assert to_ticks(to_nanoseconds(ticks)) == ticks


def test_key_frames_say_that_one_can_tune_in() -> None:
    """random_access_indicator is in the first packet of each key frame, and nowhere else."""
    found = analyse(muxed(broadcast(21)))
    starts = {
        number for number, packet in enumerate(split(muxed(broadcast(21))), 1) if packet[1] & 0x40 and pid_of(packet) == 256
    }
    assert set(found.random_access) == {256}
    assert len(found.random_access[256]) == 3
    assert set(found.random_access[256]) <= starts


def test_an_access_unit_as_decoders_want_it() -> None:
    """Delimiter first, all parameter sets before a key frame that lacks them, SEI kept, nothing doubled."""
    sei, idr, inter = b"\x06\x05\x01x\x80", avc_slice(0, key=True), avc_slice(1)
    cases = [
        ([sei, idr], True, annexb(AUD, SPS, PPS, sei, idr)),
        ([b"\x09\x10", sei, idr], True, annexb(AUD, SPS, PPS, sei, idr)),
        ([b"\x09\x10", SPS, PPS, idr], True, annexb(AUD, SPS, PPS, idr)),
        ([PPS, idr], True, annexb(AUD, SPS, PPS, idr)),
        ([sei, inter], False, annexb(AUD, sei, inter)),
        ([inter, inter], False, annexb(AUD, inter, inter)),
    ]
    for nals, key, expected in cases:
        found = analyse(muxed([Frame(H264, 0, 0, key, join_lengths(nals))]))
        assert payload(found.units[256][0][2]) == expected


def test_hevc() -> None:
    """H.265 is stream type 0x24, with its own delimiter and its three kinds of parameter sets."""
    found = analyse(muxed([picture(0, key=True, track=H265), picture(1, track=H265)], [H265]))
    assert found.errors == []
    assert found.stream_types == {256: 0x24}
    assert payload(found.units[256][0][2]).startswith(annexb(b"\x46\x01\x50", *HEVC_SETS, b"\x26\x01"))
    assert payload(found.units[256][1][2]).startswith(annexb(b"\x46\x01\x50", b"\x02\x01"))


def test_adts() -> None:
    """Each AAC frame is behind its ADTS header, in a PES packet of stream_id 0xC0 that tells its length, with a language."""
    found = analyse(muxed([sound(0)], [AAC]))
    packet = found.units[257][0][2]
    assert packet[3] == 0xC0
    assert payload(packet) == aac.adts_header(AAC.config, 200) + sound(0).data
    assert found.descriptors[257] == b"\x0a\4und\0"


def test_sound_alone_has_the_clock() -> None:
    """Without video the audio carries the PCR, at least each 100 ms, grouped or not."""
    for group in (1, 5):
        found = analyse(muxed([sound(number) for number in range(200)], [AAC], group_audio=group))
        assert found.errors == []
        assert found.pcr_pid == 257
        assert len(found.pcr) == len(found.units[257])


def test_grouped_sound() -> None:
    """Five AAC frames in a PES packet save bytes, and nothing is lost: the last ones come with `flush`."""
    frames = broadcast(100)
    plain, grouped = muxed(frames), muxed(frames, group_audio=5)
    found = analyse(grouped)
    assert found.errors == []
    assert len(grouped) < len(plain)
    sounds = b"".join(payload(unit) for _, _, unit in found.units[257])
    assert sounds == b"".join(payload(unit) for _, _, unit in analyse(plain).units[257])
    assert found.units[257][1][0] == 126000 + to_ticks(sound(5).dts)


def test_a_slow_picture_does_not_stop_the_clock() -> None:
    """With one picture in five seconds, or none any more, the PCR comes each 100 ms all the same."""
    pictures = [picture(number, key=True) for number in (0, 125, 250)]
    heard = [sound(number) for number in range(750)]
    found = analyse(muxed(sorted(pictures + heard, key=lambda frame: frame.dts)))
    assert found.errors == []
    assert found.pcr_pid == 256
    assert found.pcr[-1] - found.pcr[0] > 15 * 27_000_000


def test_streams_that_are_interleaved_badly() -> None:
    """Sound that is half a second ahead of the picture does not make the clock go back, or pass the picture."""
    late = [frame if frame.track is AAC else frame._replace(dts=frame.dts + 1, pts=frame.pts + 1) for frame in broadcast(100)]
    late.sort(key=lambda frame: frame.dts + (0 if frame.track is AAC else SECOND // 2))
    assert analyse(muxed(late)).errors == []


@pytest.mark.parametrize(
    "size", [3, 100, 150, 151, 152, 153, 154, 155, 156, 157, 158, 159, 160, 161, 162, 163, 336, 337, 338, 9000, 70_000]
)
def test_pictures_of_every_size(size: int) -> None:
    """However a picture fits into packets, none is short and nothing is lost; above 64 KiB the length is 0."""
    found = analyse(muxed([picture(0, size=size), picture(1, size=size)]))
    assert found.errors == []
    assert [payload(unit)[10:] for _, _, unit in found.units[256]] == [
        picture(0, size=size).data[4:],
        picture(1, size=size).data[4:],
    ]
    assert (found.units[256][0][2][4:6] == b"\0\0") is (size > 65_000)


def test_counters_run_on() -> None:
    """Tables, frames and changes of the tracks in any order leave every continuity counter right."""
    muxer, chance = TsMuxer([H264, AAC], timed_metadata=True), random.Random(3)
    out = muxer.psi()
    for number in range(300):
        out += muxer.frame(picture(number, size=chance.randrange(3, 4000))) + muxer.frame(sound(number * 15 // 8))
        if number % 20 == 0:
            out += muxer.psi() + muxer.id3(number * 40 * MILLISECOND, bytes(chance.randrange(3000)))
        if number == 100:
            out += muxer.set_tracks([H264])
        if number == 200:
            out += muxer.set_tracks([H264, AAC])
    assert analyse(out).errors == []


def test_timed_metadata() -> None:
    """An ID3 tag is a private PES packet on PID 258 with the time it is due at, announced as HLS asks for."""
    muxer = TsMuxer([H264], timed_metadata=True)
    found = analyse(muxer.psi() + muxer.frame(picture(0, key=True)) + muxer.id3(SECOND, b"ID3tag"))
    assert found.errors == []
    assert found.stream_types[258] == 0x15
    pts, _, unit = found.units[258][0]
    assert (pts, unit[3], payload(unit)) == (126000 + 90000, 0xBD, b"ID3tag")
    assert found.descriptors[258] == bytes.fromhex("260dffff49443320ff49443320000f")
    assert found.program_descriptors == bytes.fromhex("250fffff49443320ff49443320001f0001")
    with pytest.raises(MalformedData, match="an ID3 tag of"):
        muxer.id3(0, bytes(MAX_TIMED_METADATA + 1))


def test_without_metadata_the_map_is_plain() -> None:
    """The program has no descriptors, and no PID 258, unless metadata are asked for."""
    found = analyse(TsMuxer([H264, AAC]).psi())
    assert found.program_descriptors == b""
    assert list(found.stream_types) == [256, 257]


def test_which_tracks_are_carried() -> None:
    """Video first; what has no standard way is left out: AV1, G.711, AAC that ADTS cannot describe, Opus in odd layouts."""
    av1, g711 = Track(5, Kind.VIDEO, Codec.AV1), Track(6, Kind.AUDIO, Codec.G711A, sample_rate=8000)
    empty = Track(7, Kind.VIDEO, Codec.H264)
    escaped = aac.make_track(8, bytes(aac.AudioSpecificConfig(2, 12345, 2, 2)))
    stereo, surround = opus.make_track(9, vectors.OPUS_STEREO), opus.make_track(10, vectors.OPUS_5_1)
    odd = opus.make_track(11, bytes(opus.OpusHead(3, mapping_family=255, stream_count=3, mapping=b"\0\1\2")))
    assert carried([AAC, av1, g711, empty, escaped, odd, stereo, surround, H264]) == (H264, AAC, stereo, surround)
    assert len(carried([AAC] * 100)) == MAX_TRACKS
    with pytest.raises(MalformedData, match="cannot carry av1"):
        TsMuxer([av1])


def test_how_other_codecs_are_announced() -> None:
    """MP3, AC-3, E-AC-3 and Opus have the stream types and registrations that players look for."""
    mp3, low = (Track(2, Kind.AUDIO, Codec.MP3, sample_rate=rate) for rate in (44100, 22050))
    eac3, sounds = Track(2, Kind.AUDIO, Codec.EAC3, sample_rate=48000), opus.make_track(2, vectors.OPUS_5_1)
    expected = {
        mp3: (3, b""),
        low: (4, b""),
        AC3: (0x81, b"\5\4AC-3"),
        eac3: (0x87, b"\5\4EAC3"),
        sounds: (6, b"\5\4Opus\x7f\2\x80\6"),
    }
    for track, (stream_type, descriptors) in expected.items():
        found = analyse(TsMuxer([track]).psi())
        assert found.stream_types == {257: stream_type}
        assert found.descriptors[257] == b"\x0a\4und\0" + descriptors


def test_opus_packets_have_a_control_header() -> None:
    """The size of an Opus packet stands before it, in bytes of 255 and one less."""
    track = opus.make_track(2, vectors.OPUS_STEREO)
    for size, header in ((1, "7fe001"), (254, "7fe0fe"), (255, "7fe0ff00"), (600, "7fe0ffff5a")):
        unit = analyse(muxed([Frame(track, 0, 0, True, bytes(size))], [track])).units[257][0][2]
        assert unit[3] == 0xBD
        assert payload(unit) == bytes.fromhex(header) + bytes(size)


def test_several_languages() -> None:
    """Every further audio has a PID and a stream_id of its own, and 258 stays free for metadata."""
    others = [aac.make_track(number, AAC.config) for number in (3, 4)]
    found = analyse(muxed([picture(0, key=True), *(sound(0, track=track) for track in (AAC, *others))], [H264, AAC, *others]))
    assert found.errors == []
    assert found.stream_types == {256: 0x1B, 257: 0x0F, 259: 0x0F, 260: 0x0F}
    assert [found.units[pid][0][2][3] for pid in (257, 259, 260)] == [0xC0, 0xC1, 0xC2]


def test_encrypted_samples() -> None:
    """SAMPLE-AES replaces the stream type, adds its descriptors, and is given each access unit whole."""
    given: list[bytes] = []

    def transform(unit: bytes) -> bytes:
        given.append(unit)
        return unit + b"!"

    muxer = TsMuxer([H264, AAC], encryption={track.id: encryption_of(track, transform) for track in (H264, AAC)})
    found = analyse(muxer.psi() + muxer.frame(picture(0, key=True)) + muxer.frame(sound(0)))
    assert found.errors == []
    assert found.stream_types == {256: 0xDB, 257: 0xCF}
    assert found.descriptors[256] == b"\x0f\4zavc"
    assert found.descriptors[257] == b"\x0a\4und\0" + b"\x0f\4aacd" + b"\5\x0eapadzaac\0\0\1\2" + AAC.config
    assert given == [annexb(AUD, SPS, PPS, picture(0, key=True).data[4:]), aac.adts_header(AAC.config, 200) + sound(0).data]
    assert payload(found.units[257][0][2]) == given[1] + b"!"
    with pytest.raises(MalformedData, match="no form for ac3"):
        encryption_of(AC3, transform)
    assert Encryption(0xDB, b"", transform).stream_type == 0xDB


def test_new_tracks_are_a_new_map() -> None:
    """A changed configuration gives the map a new version, and what waited is sent first."""
    muxer = TsMuxer([H264, AAC], group_audio=5)
    before = muxer.psi()
    assert muxer.frame(sound(0)) == b""
    after = muxer.set_tracks([AAC])
    found = analyse(before + after)
    assert found.errors == []
    assert list(found.units) == [257]
    assert found.stream_types == {257: 0x0F}
    assert split(after)[-1][10] == 0xC3


def test_frames_that_cannot_be_carried() -> None:
    """A damaged frame is refused and costs nothing else; a track that is not carried gives nothing."""
    muxer = TsMuxer([H264, AAC])
    out = muxer.psi() + muxer.frame(picture(0, key=True))
    for bad in (Frame(H264, 0, 0, True, b"\0\0\0\x09x"), sound(0, size=8185), Frame(H264, 0, 0, True, b"\0\0\0\1x" * 5000)):
        with pytest.raises(MalformedData):
            muxer.frame(bad)
    assert muxer.frame(sound(0, track=aac.make_track(77, AAC.config))) == b""
    assert analyse(out + muxer.frame(picture(1)) + muxer.frame(sound(1))).errors == []


def test_tables() -> None:
    """What is written is read back, whatever its size; the checksum is that of the standard."""
    chance = random.Random(2)
    for size in (0, 1, 5, 1000):
        data = chance.randbytes(size)
        assert int.from_bytes(psi.crc32(data), "big") == crc(data)
    assert psi.read_pat(psi.write_pat({1: 0x1000, 7: 99}, version=9)) == psi.Associations(9, {1: 0x1000, 7: 99})
    streams = tuple(psi.Stream(300 + number, number, psi.descriptor(5, b"abcd" * number)) for number in range(12))
    program = psi.ProgramMap(3, 300, streams)
    section = psi.write_pmt(program, descriptors=psi.descriptor(9, b"x" * 30), version=31)
    assert psi.read_pmt(section) == program
    reader = psi.SectionReader()
    packets = split(PacketWriter(0x1000).section(section))
    assert len(packets) > 2
    assert [part for packet in packets for part in reader.receive(packet[4:], bool(packet[1] & 0x40))] == [section]
    assert [part for packet in packets for part in reader.receive(packet[4:], bool(packet[1] & 0x40))] == []
    with pytest.raises(MalformedData, match="where 1024 are possible"):
        psi.write_pmt(psi.ProgramMap(1, 1, tuple(psi.Stream(pid, 6, bytes(20)) for pid in range(60))))
    with pytest.raises(MalformedData, match="where 255 are possible"):
        psi.descriptor(1, bytes(256))
