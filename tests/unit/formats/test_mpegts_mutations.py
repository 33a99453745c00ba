"""Damaged transport streams by the thousand: events or a refusal, no other exception, and memory within the limits.

The usual run is short; ``EMS_MUTATIONS=200000`` runs that many, the same ones each time.
"""

import os
import random
from collections.abc import Callable

import pytest

from ems.errors import MalformedData
from ems.formats.mpegts import psi
from ems.formats.mpegts.demux import TsDemuxer
from ems.formats.mpegts.framings import Ac3, Adts, MpegAudio
from ems.formats.mpegts.latm import Loas
from ems.formats.mpegts.mux import TsMuxer
from ems.formats.mpegts.pes import parse
from ems.formats.mpegts.sounds import Framing
from ems.media import opus
from ems.media.aac import adts_header
from ems.media.frame import Frame
from tests.ts_streams import AAC, H264, H265, broadcast, demuxed, muxed, picture, samples
from tests.unit.media import vectors
from tests.unit.media.mutation import mutated, refusals

MUTATIONS = int(os.environ.get("EMS_MUTATIONS", "3000"))

OPUS = opus.make_track(2, vectors.OPUS_STEREO)
STREAMS = [
    muxed(broadcast(10, size=700)),
    muxed(broadcast(6), group_audio=3),
    muxed([picture(number, key=number % 3 == 0, track=H265) for number in range(6)], [H265]),
    muxed([Frame(OPUS, number * 20_000_000, number * 20_000_000, True, b"\xf8" * 90) for number in range(9)], [OPUS]),
]

# useSameStreamMux 0; version 0, one time framing, one sub-frame, program and layer; AAC LC, 48 kHz, stereo; frameLengthType 0,
# latmBufferFullness, no other data, no CRC; 20 bytes (ISO/IEC 14496-3 §1.7.3).
_ELEMENT = (
    "0" + "0" + "1" + "000000" + "0000" + "000" + f"{0x1190:016b}" + "000" + "11111111" + "0" + "0" + f"{20:08b}" + "1" * 160
)
_ELEMENT_BYTES = int(_ELEMENT.ljust(-len(_ELEMENT) % 8 + len(_ELEMENT), "0"), 2).to_bytes(-(-len(_ELEMENT) // 8), "big")
LATM = (0x2B7 << 13 | len(_ELEMENT_BYTES)).to_bytes(3, "big") + _ELEMENT_BYTES


def test_damaged_streams() -> None:
    """Streams damaged anywhere, and cut into pieces of any size, are read as far as they can be."""
    chance, found = random.Random(11), 0
    for data in mutated(STREAMS, MUTATIONS):
        demuxer = TsDemuxer()
        at = 0
        while at < len(data):
            size = chance.choice((100, 188, 1316, 8000))
            found += len(samples(demuxer.receive(data[at : at + size])))
            at += size
        found += len(samples(demuxer.flush()))
    assert found > MUTATIONS


def test_damaged_packets_of_a_sound_stream() -> None:
    """Damage inside packets, their sync bytes aside, never stops what follows."""
    chance = random.Random(12)
    for _ in range(MUTATIONS // 10):
        data = bytearray(STREAMS[0])
        for _ in range(20):
            place = chance.randrange(len(data))
            if place % 188:
                data[place] = chance.randrange(256)
        assert samples(demuxed(bytes(data) + STREAMS[0]))


def test_damaged_parts() -> None:
    """PES headers, tables and LATM frames on their own are read or refused as malformed."""
    packet = TsMuxer([H264, AAC]).frame(picture(0, key=True, shown_later=1))[12:188]
    pat, pmt = (
        psi.write_pat({1: 99, 2: 100}),
        psi.write_pmt(psi.ProgramMap(1, 256, (psi.Stream(256, 27, b"\5\4abcd"), psi.Stream(257, 15)))),
    )
    chance = random.Random(13)
    for read, originals in (
        (parse, [packet]),
        (lambda data: psi.read_pat(data.ljust(12, b"\0")), [pat]),
        (lambda data: psi.read_pmt(data.ljust(12, b"\0")), [pmt]),
        (lambda data: psi.SectionReader().receive(b"\0" + data, True), [pat + pmt]),
        (lambda data: Loas(1).frame(data, 0), [LATM, b"\x56\xe0\x40" + chance.randbytes(64)]),
    ):
        refusals(read, mutated(originals, MUTATIONS))


@pytest.mark.parametrize("framing", [Adts, MpegAudio, Ac3, Loas])
def test_damaged_sound(framing: Callable[[int], Framing]) -> None:
    """Rows of ADTS, MPEG audio, AC-3 and LATM frames are gone through frame by frame up to the damage, and never in a circle."""
    whole = {
        Adts: adts_header(AAC.config, 60) + bytes(60),
        MpegAudio: vectors.MP3_STEREO[:4] + bytes(413),
        Ac3: vectors.AC3_5_1.ljust(1792, b"\0"),
        Loas: LATM,
    }
    found = 0
    for data in mutated([part * 3 for part in (whole[framing], *whole.values())], MUTATIONS):
        reader, offset = framing(1), 0
        try:
            while (frame := reader.frame(data, offset)) is not None and frame.end <= len(data):
                assert frame.end > offset
                offset, found = frame.end, found + 1
        except MalformedData:
            continue
    assert found > MUTATIONS // 10


def test_random_bytes_in_packets() -> None:
    """Packets with nothing but chance in them, on the PIDs of a program, end without an exception."""
    chance, demuxer = random.Random(14), TsDemuxer()
    demuxer.receive(STREAMS[0])
    for _ in range(MUTATIONS // 10):
        pid = chance.choice((0, 0x1000, 256, 257, 258))
        head = bytes((0x47, chance.choice((0, 0x40)) | pid >> 8, pid & 0xFF, chance.randrange(256)))
        try:
            demuxer.receive((head + chance.randbytes(184)) * chance.randint(1, 3))
        except MalformedData as error:
            raise AssertionError("packets were there") from error
