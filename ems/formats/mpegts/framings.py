"""How audio frames stand one behind the other in transport streams: ADTS, MPEG audio, AC-3 and E-AC-3, Opus.

Each class is a `Framing` of `ems.formats.mpegts.sounds`: it finds the frame at an offset, and makes the track from its header,
anew whenever that tells something else.
"""

from ems.errors import MalformedData
from ems.formats.mpegts.opus_layout import duration, opus_head, packet_extent
from ems.formats.mpegts.sounds import SoundFrame
from ems.media import aac, ac3, mp3, opus
from ems.media.track import Codec, Track

ADTS_SAMPLES = 1024
"""Samples of an AAC frame: an ADTS header cannot say that it has 960."""

MAX_DEPENDENT = 8
"""Dependent substreams of one E-AC-3 frame: substreamid has three bits. A longer row is not gone through with each packet."""

_AC3_HEADER = 8
_LAST_AC3_BSID = 10
_DEPENDENT = 1
_OPUS_CONTROL = 4


class Adts:
    """AAC behind ADTS headers (ISO/IEC 14496-3 Annex 1.A); gives raw access units.

    The first 28 bits of a header are the same in all frames of a stream: they are read once.
    """

    first = b"\xff"

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._fixed = (b"", 0)
        self._header_length = 0
        self._track: Track | None = None

    def frame(self, data: bytes, offset: int) -> SoundFrame | None:
        """The frame at `offset`; see `Framing`. Several raw data blocks in one frame cannot be told apart: malformed."""
        head = data[offset : offset + aac.ADTS_HEADER_SIZE]
        if len(head) < aac.ADTS_HEADER_SIZE:
            return None
        if (head[:3], head[3] & 0xF0) != self._fixed:
            self._configure(head)
        length, start = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5, self._header_length
        if length < start or head[6] & 3:
            raise MalformedData(f"an ADTS frame of {length} bytes and {(head[6] & 3) + 1} raw data blocks")
        end = offset + length
        return SoundFrame(end, self._track, (data[offset + start : end],), ADTS_SAMPLES)

    def _configure(self, head: bytes) -> None:
        """Make the track anew from a header of another configuration."""
        header = aac.parse_adts_header(head)
        record = bytes(header.config)
        if self._track is None or self._track.config != record:
            self._track = aac.make_track(self._pid, record)
        self._fixed, self._header_length = (head[:3], head[3] & 0xF0), header.header_length


class MpegAudio:
    """MPEG audio of any layer (ISO/IEC 11172-3, 13818-3); an access unit is the frame with its header."""

    first = b"\xff"

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._told: tuple[float, int, int, int] | None = None
        self._track: Track | None = None

    def frame(self, data: bytes, offset: int) -> SoundFrame | None:
        """The frame at `offset`; see `Framing`. The free format does not tell its size: malformed."""
        if len(data) - offset < mp3.HEADER_SIZE:
            return None
        head = data[offset : offset + mp3.HEADER_SIZE]
        header = mp3.parse_frame_header(head)
        if not header.frame_size:
            raise MalformedData("MPEG audio of the free format")
        told = header.version, header.layer, header.sample_rate, header.channels
        if told != self._told:
            self._told, self._track = told, mp3.make_track(self._pid, head)
        end = offset + header.frame_size
        return SoundFrame(end, self._track, (data[offset:end],), header.samples)


class Ac3:
    """AC-3 and E-AC-3 (ETSI TS 102 366); dependent substreams belong to the access unit of the frame before them (§E.1.3.1)."""

    first = b"\x0b"

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._told: tuple[Codec, int, int] | None = None
        self._track: Track | None = None

    def frame(self, data: bytes, offset: int) -> SoundFrame | None:
        """The frame at `offset`; see `Framing`."""
        if len(data) - offset < _AC3_HEADER:
            return None
        head = data[offset : offset + _AC3_HEADER]
        header = ac3.parse_sync_frame(head)
        told = header.codec, header.sample_rate, header.channels
        if told != self._told:
            self._told, self._track = told, ac3.make_track(self._pid, head)
        end = offset + header.frame_size
        for _ in range(MAX_DEPENDENT):
            if not _is_dependent(data, end):
                break
            end += ac3.parse_sync_frame(data[end : end + _AC3_HEADER]).frame_size
        return SoundFrame(end, self._track, (data[offset:end],), header.samples)


class Opus:
    """Opus behind control headers; `channel_config_code` is the one of the PMT. Raises `MalformedData` for an unknown one."""

    first = b"\x7f"

    def __init__(self, pid: int, channel_config_code: int) -> None:
        self._track = opus.make_track(pid, bytes(opus_head(channel_config_code)))

    def frame(self, data: bytes, offset: int) -> SoundFrame | None:
        """The frame at `offset`; see `Framing`."""
        if len(data) - offset < _OPUS_CONTROL:
            return None
        start, end = packet_extent(data, offset)
        packet = data[start:end]
        return SoundFrame(end, self._track, (packet,), duration(packet) if end <= len(data) else 0)


def _is_dependent(data: bytes, offset: int) -> bool:
    """True when a dependent substream of E-AC-3 begins at `offset` (strmtyp 1)."""
    head = data[offset : offset + _AC3_HEADER]
    return len(head) == _AC3_HEADER and head[:2] == b"\x0b\x77" and head[5] >> 3 > _LAST_AC3_BSID and head[2] >> 6 == _DEPENDENT
