"""The initialisation segment: ``ftyp`` and a ``moov`` without samples (ISO/IEC 14496-12 §4.3, §8.2 to §8.8)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from struct import Struct
from types import MappingProxyType

from ems.errors import LocalProtocolError
from ems.formats.fmp4.box import box, full_box
from ems.formats.fmp4.sample_entry import sample_entry
from ems.formats.fmp4.ticks import timescale
from ems.media.track import Codec, Kind, Track
from ems.media.vpx_frame import picture_size

BRANDS = (b"iso5", b"iso6", b"mp41")
"""The major brand and further ones. ``iso5`` is what default-base-is-moof wants, ``iso6`` the 64-bit times of fragments."""

SEGMENT_BRANDS = (b"msdh", b"msix")
"""The brands of a media segment (ISO/IEC 23009-1 §6.3.4.2)."""

MINOR_VERSION = 512

SYNC_SAMPLE = 0x02000000
"""Sample flags (§8.8.3.1) of a key frame: sample_depends_on 2, on none."""

OTHER_SAMPLE = 0x01010000
"""Sample flags of other frames: sample_depends_on 1, on others; sample_is_non_sync_sample."""

_MOVIE_TIMESCALE = 1000
_UND = 0x55C4
"""The language ``und``, undetermined, in three groups of 5 bits (§8.4.2.3)."""

_MATRIX = Struct(">9I").pack(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_MVHD = Struct(">IIIIIH10x36s24xI")
_TKHD = Struct(">IIIII8xHHH2x36sII")
_MDHD = Struct(">IIIIHH")
_TREX = Struct(">IIIII")
_ENABLED_IN_MOVIE = 3
_FULL_VOLUME = 0x100
_SELF_CONTAINED = 1

NO_FRAMES: Mapping[int, bytes] = MappingProxyType({})


def init_segment(
    tracks: Sequence[Track], *, brands: Sequence[bytes] = BRANDS, first_frames: Mapping[int, bytes] = NO_FRAMES
) -> bytes:
    """The initialisation segment of these tracks, which are numbered from 1 in this order.

    `first_frames` are the data of a frame by `Track.id`, of a key frame for video: from them come the configuration of AC-3 and
    E-AC-3, and the picture size of VP8 and VP9 where the track does not know it. Raises `LocalProtocolError` for no tracks, or
    one that is not `carried`, and `MalformedData` for a first frame that is not what it should be.
    """
    if not tracks:
        raise LocalProtocolError("an MP4 file without tracks")
    tracks = [_sized(track, first_frames.get(track.id, b"")) for track in tracks]
    traks = [_trak(number, track, first_frames.get(track.id, b"")) for number, track in enumerate(tracks, 1)]
    mvhd = _MVHD.pack(0, 0, _MOVIE_TIMESCALE, 0, 0x10000, _FULL_VOLUME, _MATRIX, len(tracks) + 1)
    mvex = box(b"mvex", *[_trex(number, track) for number, track in enumerate(tracks, 1)])
    return _brands(b"ftyp", brands) + box(b"moov", full_box(b"mvhd", 0, 0, mvhd), *traks, mvex)


def needs_first_frame(track: Track) -> bool:
    """Whether browsers need of a track what only its first frame tells: the size of its pictures."""
    return track.codec in (Codec.VP8, Codec.VP9) and not track.width


def segment_type(brands: Sequence[bytes] = SEGMENT_BRANDS) -> bytes:
    """The ``styp`` box that may open a media segment (§8.16.2); CMAF chunks and low-latency parts need none."""
    return _brands(b"styp", brands)


def _sized(track: Track, first_frame: bytes) -> Track:
    """The track with the size of its pictures."""
    if not first_frame or not needs_first_frame(track):
        return track
    width, height = picture_size(track.codec, first_frame)
    return replace(track, width=width, height=height)


def _brands(box_type: bytes, brands: Sequence[bytes]) -> bytes:
    return box(box_type, brands[0], MINOR_VERSION.to_bytes(4, "big"), *brands)


def _trak(number: int, track: Track, first_frame: bytes) -> bytes:
    video = track.kind is Kind.VIDEO
    volume = 0 if video else _FULL_VOLUME
    tkhd = _TKHD.pack(0, 0, number, 0, 0, 0, 0, volume, _MATRIX, track.width << 16, track.height << 16)
    mdhd = _MDHD.pack(0, 0, timescale(track), 0, _UND, 0)
    handler, name = (b"vide", b"Video\0") if video else (b"soun", b"Audio\0")
    header = full_box(b"vmhd", 0, 1, bytes(8)) if video else full_box(b"smhd", 0, 0, bytes(4))
    media = (
        full_box(b"mdhd", 0, 0, mdhd),
        full_box(b"hdlr", 0, 0, bytes(4), handler, bytes(12), name),
        box(b"minf", header, _DINF, _sample_table(sample_entry(track, first_frame))),
    )
    return box(b"trak", full_box(b"tkhd", 0, _ENABLED_IN_MOVIE, tkhd), box(b"mdia", *media))


def _sample_table(entry: bytes) -> bytes:
    """``stbl`` with the sample description alone: fragments have the samples."""
    empty = bytes(4)
    return box(
        b"stbl",
        full_box(b"stsd", 0, 0, b"\0\0\0\1", entry),
        full_box(b"stts", 0, 0, empty),
        full_box(b"stsc", 0, 0, empty),
        full_box(b"stsz", 0, 0, empty, empty),
        full_box(b"stco", 0, 0, empty),
    )


def _trex(number: int, track: Track) -> bytes:
    flags = OTHER_SAMPLE if track.kind is Kind.VIDEO else SYNC_SAMPLE
    return full_box(b"trex", 0, 0, _TREX.pack(number, 1, 0, 0, flags))


_DINF = box(b"dinf", full_box(b"dref", 0, 0, b"\0\0\0\1", full_box(b"url ", 0, _SELF_CONTAINED)))
