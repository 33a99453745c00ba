"""AC-3 and Enhanced AC-3 (ETSI TS 102 366): the sync frame header, which every frame has, and so no configuration is sent.

Both begin with the sync word 0B77 and tell in the upper five bits of byte 5, bsid, which of the two they are: up to 10 AC-3,
11 to 16 E-AC-3. What stands between differs::

    AC-3    crc1:16 | fscod:2 frmsizecod:6 | bsid:5 bsmod:3 | acmod:3 … lfeon:1
    E-AC-3  strmtyp:2 substreamid:3 frmsiz:11 | fscod:2 numblkscod:2 acmod:3 lfeon:1 | bsid:5 …
"""

from dataclasses import dataclass

from ems.errors import MalformedData
from ems.media.bits import BitReader
from ems.media.track import Codec, Kind, Track

SYNC_WORD = 0x0B77

SAMPLES_PER_BLOCK = 256
"""An AC-3 frame has six blocks, 1536 samples; an E-AC-3 frame one, two, three or six."""

_SAMPLE_RATES = (48000, 44100, 32000)
_BIT_RATES = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_CHANNELS = (2, 1, 2, 3, 3, 4, 4, 5)
_BLOCKS = (1, 2, 3, 6)
_LAST_AC3_BSID = 10
_FIRST_REDUCED_RATE_BSID = 8
_LAST_EAC3_BSID = 16


@dataclass(frozen=True, slots=True)
class SyncFrame:
    """A frame's header. `frame_size` is in bytes, header included; `samples` is per channel; `channels` counts the LFE.

    The other fields are those that ``dac3`` and ``dec3`` repeat (Annex F); `bit_rate_code` is -1 for E-AC-3.
    """

    codec: Codec
    sample_rate: int
    channels: int
    frame_size: int
    samples: int
    fscod: int
    bsid: int
    bsmod: int
    acmod: int
    lfeon: bool
    bit_rate_code: int = -1


def parse_sync_frame(data: bytes) -> SyncFrame:
    """The header that `data` begins with; the frame behind it may be cut off. Raises `MalformedData`."""
    reader = BitReader(data[:8])
    if reader.u(16) != SYNC_WORD:
        raise MalformedData("no sync word where an AC-3 frame should begin")
    bsid = data[5] >> 3 if len(data) > 5 else _LAST_EAC3_BSID + 1
    if bsid > _LAST_EAC3_BSID:
        raise MalformedData("the AC-3 header is cut off or of an unknown version")
    return _ac3(reader, bsid) if bsid <= _LAST_AC3_BSID else _eac3(reader, bsid)


def make_track(track_id: int, first_frame: bytes) -> Track:
    """The track, AC-3 or E-AC-3, that a frame's header describes. Raises `MalformedData`."""
    header = parse_sync_frame(first_frame)
    return Track(
        id=track_id,
        kind=Kind.AUDIO,
        codec=header.codec,
        codec_string="ac-3" if header.codec is Codec.AC3 else "ec-3",
        sample_rate=header.sample_rate,
        channels=header.channels,
    )


def _ac3(reader: BitReader, bsid: int) -> SyncFrame:
    """syncinfo() and bsi() up to lfeon (§4.3)."""
    reader.skip(16)  # crc1
    fscod, frmsizecod = reader.u(2), reader.u(6)
    bit_rate_code = frmsizecod >> 1
    if fscod == 3 or bit_rate_code >= len(_BIT_RATES):
        raise MalformedData(f"AC-3 with the reserved fscod {fscod} or frmsizecod {frmsizecod}")
    reader.skip(5)  # bsid
    bsmod, acmod = reader.u(3), reader.u(3)
    if acmod & 1 and acmod != 1:
        reader.skip(2)  # cmixlev
    if acmod & 4:
        reader.skip(2)  # surmixlev
    if acmod == 2:
        reader.skip(2)  # dsurmod
    lfeon = reader.flag()
    bit_rate = _BIT_RATES[bit_rate_code]
    # 1536 samples last 32 ms at 48 kHz and 48 ms at 32 kHz; at 44.1 kHz every other frame has a word more (table 4.13).
    words = (2 * bit_rate, 320 * bit_rate // 147 + (frmsizecod & 1), 3 * bit_rate)[fscod]
    return SyncFrame(
        codec=Codec.AC3,
        sample_rate=_SAMPLE_RATES[fscod] >> max(bsid - _FIRST_REDUCED_RATE_BSID, 0),
        channels=_CHANNELS[acmod] + lfeon,
        frame_size=2 * words,
        samples=6 * SAMPLES_PER_BLOCK,
        fscod=fscod,
        bsid=bsid,
        bsmod=bsmod,
        acmod=acmod,
        lfeon=lfeon,
        bit_rate_code=bit_rate_code,
    )


def _eac3(reader: BitReader, bsid: int) -> SyncFrame:
    """syncinfo() and bsi() of Annex E up to lfeon (§E.1.2); bsmod is 0, as reading on to it brings nothing."""
    reader.skip(5)  # strmtyp, substreamid
    frame_size = 2 * (reader.u(11) + 1)
    fscod, low = reader.u(2), reader.u(2)
    if fscod == 3 and low == 3:
        raise MalformedData("E-AC-3 with the reserved fscod2 3")
    acmod, lfeon = reader.u(3), reader.flag()
    return SyncFrame(
        codec=Codec.EAC3,
        sample_rate=_SAMPLE_RATES[low] // 2 if fscod == 3 else _SAMPLE_RATES[fscod],
        channels=_CHANNELS[acmod] + lfeon,
        frame_size=frame_size,
        samples=SAMPLES_PER_BLOCK * (6 if fscod == 3 else _BLOCKS[low]),
        fscod=fscod,
        bsid=bsid,
        bsmod=0,
        acmod=acmod,
        lfeon=lfeon,
    )
