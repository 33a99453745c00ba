"""Sample entries (ISO/IEC 14496-12 §8.5.2): how a track says what codec it has, and with what configuration.

=========== ====== ====== =================================================
H.264       avc1   avcC   ISO/IEC 14496-15 §5.4.2
H.265       hvc1   hvcC   ISO/IEC 14496-15 §8.4.1
AV1         av01   av1C   AV1 Codec ISO Media File Format Binding §2.2
VP8, VP9    vp0x   vpcC   VP Codec ISO Media File Format Binding
AAC, MP3    mp4a   esds   ISO/IEC 14496-14 §5.6
Opus        Opus   dOps   Encapsulation of Opus in ISOBMFF §4.3
FLAC        fLaC   dfLa   Encapsulation of FLAC in ISOBMFF §3.3
AC-3        ac-3   dac3   ETSI TS 102 366 §F.3, F.4
E-AC-3      ec-3   dec3   ETSI TS 102 366 §F.5, F.6
=========== ====== ====== =================================================

The entries of H.264 and H.265 hold the parameter sets; that a key frame repeats them does no harm.
"""

from collections.abc import Callable, Iterable
from struct import Struct

from ems.errors import LocalProtocolError
from ems.formats.fmp4.box import box, full_box
from ems.media import ac3
from ems.media.ac3 import SyncFrame
from ems.media.opus import OpusHead
from ems.media.track import Codec, Kind, Track

_VISUAL = Struct(">6xH16xHHIIIH32xHh")
_AUDIO = Struct(">6xH8xHH4xI")
_OPUS = Struct(">BBHIhB")

_72_DPI = 72 << 16
_DEPTH_24 = 24
_SAMPLE_SIZE = 16
"""What every sample entry of sound has; the codec's configuration knows better."""

_ES_DESCRIPTOR, _DECODER_CONFIG, _DECODER_SPECIFIC, _SL_CONFIG = 3, 4, 5, 6
_AUDIO_STREAM = 5 << 2 | 1
_AAC_OBJECT, _MPEG1_AUDIO_OBJECT, _MPEG2_AUDIO_OBJECT = 0x40, 0x6B, 0x69

_STREAMINFO_BLOCK = b"\x80\0\0\x22"
"""The header of FLAC's last metadata block, of type STREAMINFO and 34 bytes."""

_FSCOD = {48000: 0, 44100: 1, 32000: 2}
_LAYOUTS = {1: (1, False), 2: (2, False), 3: (3, False), 4: (6, False), 5: (7, False), 6: (7, True)}
"""acmod and lfeon of the usual layouts by number of channels."""

_USUAL_BIT_RATE_CODE = 15
_USUAL_DATA_RATE = 384
"""448 and 384 kbit/s. Players take the rate as a remark: every frame has its own."""


def carried(tracks: Iterable[Track]) -> tuple[Track, ...]:
    """Those tracks that fragmented MP4 can carry, video first: its codec has a sample entry, and its configuration is known."""
    fit = [track for track in tracks if _is_carried(track)]
    return (*(track for track in fit if track.kind is Kind.VIDEO), *(track for track in fit if track.kind is Kind.AUDIO))


def sample_entry(track: Track, first_frame: bytes = b"") -> bytes:
    """The track's sample entry with its configuration box.

    AC-3 and E-AC-3 have their configuration in every frame: with `first_frame` it is repeated exactly, without it is made of rate
    and channels. Raises `LocalProtocolError` for a track that is not `carried`.
    """
    if not _is_carried(track):
        raise LocalProtocolError(f"MP4 cannot carry {track}")
    if track.kind is Kind.VIDEO:
        entry_type, configuration_type = _VIDEO[track.codec]
        version_and_flags = b"\1\0\0\0" if configuration_type == b"vpcC" else b""
        return box(entry_type, _visual(track), box(configuration_type, version_and_flags, track.config))
    if track.codec in (Codec.AC3, Codec.EAC3):
        return _dolby(track, first_frame)
    entry_type, configuration = _SOUND[track.codec]
    return box(entry_type, _audio(track), configuration(track))


def _is_carried(track: Track) -> bool:
    if track.kind is Kind.VIDEO:
        return track.codec in _VIDEO and bool(track.config)
    if not track.sample_rate:
        return False
    return track.codec in _WITHOUT_CONFIG or (track.codec in _SOUND and bool(track.config))


def _visual(track: Track) -> bytes:
    """The fields of VisualSampleEntry (§12.1.3)."""
    return _VISUAL.pack(1, track.width, track.height, _72_DPI, _72_DPI, 0, 1, _DEPTH_24, -1)


def _audio(track: Track) -> bytes:
    """The fields of AudioSampleEntry (§12.2.3). A rate beyond 16 bits is halved until it fits, as FLAC's binding has it."""
    rate = track.sample_rate
    while rate > 0xFFFF:
        rate >>= 1
    return _AUDIO.pack(1, track.channels or 2, _SAMPLE_SIZE, rate << 16)


def _esds(track: Track) -> bytes:
    """ES_Descriptor (ISO/IEC 14496-1 §7.2.6.5), with the whole AudioSpecificConfig for AAC and nothing for MP3."""
    if track.codec is Codec.AAC:
        object_type, specific = _AAC_OBJECT, _descriptor(_DECODER_SPECIFIC, track.config)
    else:
        object_type, specific = _MPEG2_AUDIO_OBJECT if track.codec_string == "mp4a.69" else _MPEG1_AUDIO_OBJECT, b""
    # bufferSizeDB, maxBitrate and avgBitrate are not known beforehand.
    decoder = _descriptor(_DECODER_CONFIG, bytes((object_type, _AUDIO_STREAM)) + bytes(11) + specific)
    return full_box(b"esds", 0, 0, _descriptor(_ES_DESCRIPTOR, bytes(3) + decoder + _descriptor(_SL_CONFIG, b"\2")))


def _descriptor(tag: int, content: bytes) -> bytes:
    """A descriptor, its length in as many groups of 7 bits as it takes (ISO/IEC 14496-1 §8.3.3)."""
    length = len(content)
    groups = [length & 0x7F]
    while length := length >> 7:
        groups.append(length & 0x7F | 0x80)
    return bytes((tag, *reversed(groups))) + content


def _dops(track: Track) -> bytes:
    """OpusSpecificBox: the fields of OpusHead, but big-endian."""
    head = OpusHead.parse(track.config)
    fixed = _OPUS.pack(0, head.channels, head.pre_skip, head.input_sample_rate, head.output_gain, head.mapping_family)
    mapping = bytes((head.stream_count, head.coupled_count)) + head.mapping if head.mapping_family else b""
    return box(b"dOps", fixed, mapping)


def _dfla(track: Track) -> bytes:
    return full_box(b"dfLa", 0, 0, _STREAMINFO_BLOCK, track.config)


def _dolby(track: Track, first_frame: bytes) -> bytes:
    frame = ac3.parse_sync_frame(first_frame) if first_frame else _usual_frame(track)
    if track.codec is Codec.AC3:
        return box(b"ac-3", _audio(track), box(b"dac3", _dac3(frame)))
    return box(b"ec-3", _audio(track), box(b"dec3", _dec3(frame)))


def _usual_frame(track: Track) -> SyncFrame:
    """The header that frames of this rate and number of channels usually have."""
    acmod, lfeon = _LAYOUTS.get(track.channels, _LAYOUTS[2])
    fscod = _FSCOD.get(track.sample_rate, 0)
    bsid = 8 if track.codec is Codec.AC3 else 16
    return SyncFrame(
        codec=track.codec,
        sample_rate=track.sample_rate,
        channels=track.channels,
        frame_size=0,
        samples=6 * ac3.SAMPLES_PER_BLOCK,
        fscod=fscod,
        bsid=bsid,
        bsmod=0,
        acmod=acmod,
        lfeon=lfeon,
        bit_rate_code=_USUAL_BIT_RATE_CODE,
    )


def _dac3(frame: SyncFrame) -> bytes:
    """fscod:2 bsid:5 bsmod:3 acmod:3 lfeon:1 bit_rate_code:5 reserved:5 (§F.4)."""
    bits = frame.fscod << 22 | frame.bsid << 17 | frame.bsmod << 14 | frame.acmod << 11 | frame.lfeon << 10
    return (bits | frame.bit_rate_code << 5).to_bytes(3, "big")


def _dec3(frame: SyncFrame) -> bytes:
    """data_rate:13 num_ind_sub:3, then for one independent substream fscod:2 bsid:5 reserved:1 asvc:1 bsmod:3 acmod:3 lfeon:1
    reserved:3 num_dep_sub:4 reserved:1 (§F.6)."""
    data_rate = frame.frame_size * 8 * frame.sample_rate // frame.samples // 1000 if frame.frame_size else _USUAL_DATA_RATE
    substream = frame.fscod << 22 | frame.bsid << 17 | frame.bsmod << 12 | frame.acmod << 9 | frame.lfeon << 8
    return (data_rate << 27 | substream).to_bytes(5, "big")


_VIDEO = {
    Codec.H264: (b"avc1", b"avcC"),
    Codec.H265: (b"hvc1", b"hvcC"),
    Codec.AV1: (b"av01", b"av1C"),
    Codec.VP8: (b"vp08", b"vpcC"),
    Codec.VP9: (b"vp09", b"vpcC"),
}
_SOUND: dict[Codec, tuple[bytes, Callable[[Track], bytes]]] = {
    Codec.AAC: (b"mp4a", _esds),
    Codec.MP3: (b"mp4a", _esds),
    Codec.OPUS: (b"Opus", _dops),
    Codec.FLAC: (b"fLaC", _dfla),
}
_WITHOUT_CONFIG = frozenset((Codec.MP3, Codec.AC3, Codec.EAC3))
