"""Access units in the form that elementary streams of MPEG-TS have.

* H.264, H.265: the byte stream of Annex B. It begins with an access unit delimiter (ISO/IEC 13818-1 §2.14.1 and §2.17.1 want
  one), and a key frame has the parameter sets, so that decoding can begin with it.
* AAC: each frame behind an ADTS header.
* Opus: each packet behind a control header with its size ("Opus in MPEG-TS", draft ETSI TS, §4).
* MPEG audio, AC-3, E-AC-3: as they are.

A `Payload` makes the bytes for one track. It is made anew when the track's configuration changes.
"""

from collections.abc import Callable

from ems.errors import MalformedData
from ems.formats.mpegts.opus_layout import with_control_header
from ems.media import h264, h265
from ems.media.aac import adts_header
from ems.media.frame import Frame
from ems.media.nal import MAX_NAL_UNITS, START_CODE
from ems.media.track import Codec, Track

Payload = Callable[[Frame], bytes]
"""Makes the elementary-stream bytes of one access unit."""

H264_DELIMITER = bytes((h264.NalType.ACCESS_UNIT_DELIMITER, 0xF0))
"""primary_pic_type 7: slices of any type may follow (H.264 table 7-5)."""

H265_DELIMITER = bytes((h265.NalType.ACCESS_UNIT_DELIMITER << 1, 1, 0x50))
"""pic_type 2: slices of any type may follow (H.265 table 7-2)."""


def payload_of(track: Track) -> Payload:
    """What makes the payloads of a track that `carried` lets through. Raises `MalformedData` when its configuration is broken."""
    if track.codec is Codec.H264:
        avc = h264.AvcConfiguration.parse(track.config)
        return AnnexB(H264_DELIMITER, _H264_TYPES, _H264_SETS, (*avc.sps, *avc.sps_extensions, *avc.pps))
    if track.codec is Codec.H265:
        hevc = h265.HevcConfiguration.parse(track.config)
        prefix_sei = [nal for nal in hevc.sei if h265.nal_type(nal) == h265.NalType.PREFIX_SEI and nal[2:3] != _USER_DATA]
        return AnnexB(H265_DELIMITER, _H265_TYPES, _H265_SETS, (*hevc.vps, *hevc.sps, *hevc.pps, *prefix_sei))
    if track.codec is Codec.AAC:
        return Adts(track.config)
    return _opus if track.codec is Codec.OPUS else _as_it_is


class AnnexB:
    """Length-prefixed NAL units as a byte stream with four-byte start codes.

    `delimiter` takes the place of any that the source has. `types` is nal_unit_type by first byte, `sets` the types of parameter
    sets that a key frame must have, and `configuration` the NAL units that it gets when it has not one of each.
    """

    __slots__ = ("_configuration", "_delimiter", "_delimiter_type", "_sets", "_types")

    def __init__(self, delimiter: bytes, types: bytes, sets: frozenset[int], configuration: tuple[bytes, ...]) -> None:
        self._delimiter = START_CODE + delimiter
        self._delimiter_type = types[delimiter[0]]
        self._types = types
        self._sets = sets
        self._configuration = configuration

    def __call__(self, frame: Frame) -> bytes:
        """The byte stream of an access unit. Raises `MalformedData` when its lengths lie."""
        data, types = frame.data, self._types
        view, size, end = memoryview(data), len(data), 0
        parts: list[bytes | memoryview] = [self._delimiter]
        seen = set()
        for _ in range(MAX_NAL_UNITS):
            if end == size:
                break
            start = end + 4
            end = start + int.from_bytes(data[end:start], "big")
            if start > size or end > size:
                raise MalformedData(f"a NAL unit ends at byte {end} of an access unit of {size}")
            if end > start and (kind := types[data[start]]) != self._delimiter_type:
                seen.add(kind)
                parts.append(view[start:end])
        if end != size:
            raise MalformedData(f"more than {MAX_NAL_UNITS} NAL units in one access unit")
        if frame.keyframe and not self._sets <= seen:
            parts[1:1] = [nal for nal in self._configuration if nal not in parts]
        return START_CODE.join(parts)


class Adts:
    """AAC frames behind ADTS headers (ISO/IEC 14496-3 Annex 1.A)."""

    __slots__ = ("_config",)

    def __init__(self, config: bytes) -> None:
        # Bytes, as the cache of `adts_header` finds these faster than a parsed configuration.
        self._config = config

    def __call__(self, frame: Frame) -> bytes:
        """One ADTS frame. Raises `MalformedData` when it is above the 8184 bytes that ADTS can have."""
        data = frame.data
        return adts_header(self._config, len(data)) + data


# payload_type user_data_unregistered: the encoder's name and all its options, kilobytes that no decoder wants.
_USER_DATA = b"\5"
_H264_TYPES = bytes(header & 0x1F for header in range(256))
_H265_TYPES = bytes(header >> 1 & 0x3F for header in range(256))
_H264_SETS = frozenset({h264.NalType.SPS, h264.NalType.PPS})
_H265_SETS = frozenset({h265.NalType.VPS, h265.NalType.SPS, h265.NalType.PPS})


def _opus(frame: Frame) -> bytes:
    return with_control_header(frame.data)


def _as_it_is(frame: Frame) -> bytes:
    return frame.data
