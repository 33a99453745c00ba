"""What makes access units of a medium's packets: `make_depacketiser`.

MPEG-TS needs none: `Media.is_transport_stream` tells it, and the payloads go to `ems.formats.mpegts.demux.TsDemuxer` as they are.
"""

from ems.errors import MalformedData
from ems.formats.rtp.aac import AAC_HBR, AacDepacketiser, AuHeaders
from ems.formats.rtp.av1 import Av1Depacketiser
from ems.formats.rtp.latm import LatmDepacketiser
from ems.formats.rtp.nal_units import H264Depacketiser, H265Depacketiser
from ems.formats.rtp.payload import AccessUnit, Depacketiser
from ems.formats.rtp.sounds import Ac3Depacketiser, Mp3Depacketiser, PlainDepacketiser
from ems.formats.rtp.vp8 import Vp8Depacketiser
from ems.formats.rtp.vp9 import Vp9Depacketiser
from ems.formats.sdp import Media, RtpMap, chosen_type, parameter_sets, track_of
from ems.media.h264 import AvcConfiguration
from ems.media.h265 import HevcConfiguration
from ems.media.track import Codec, Track

__all__ = ["AccessUnit", "Depacketiser", "make_depacketiser", "make_track_depacketiser"]


def make_depacketiser(media: Media, track_id: int = 0) -> Depacketiser | None:
    """What reads the first payload type of a medium that is read at all; None when none is, or it is used in a way that is not.

    The caller passes on packets of that payload type only: `ems.formats.sdp.chosen_type` tells it. The tracks that come out have
    `track_id`.
    """
    chosen = chosen_type(media)
    if chosen is None:
        return None
    payload_type, mapped, codec = chosen
    try:
        return _make(media, media.fmtp(payload_type), mapped, codec, track_id)
    except MalformedData:
        return None


def make_track_depacketiser(track: Track, clock_rate: int | None = None) -> Depacketiser | None:
    """What reads the packets of a track that is known beforehand, as for raw RTP: H.264, H.265, AAC-hbr, Opus or G.711.

    None for other codecs. `clock_rate` in Hz is that of the codec when it is not told. Raises `MalformedData` for a configuration
    that makes no sense.
    """
    match track.codec:
        case Codec.H264:
            avc = AvcConfiguration.parse(track.config)
            return H264Depacketiser(track.id, (*avc.sps, *avc.pps))
        case Codec.H265:
            hevc = HevcConfiguration.parse(track.config)
            return H265Depacketiser(track.id, (*hevc.vps, *hevc.sps, *hevc.pps))
        case Codec.AAC:
            return AacDepacketiser(track, clock_rate or track.sample_rate, AAC_HBR)
        case Codec.OPUS | Codec.G711A | Codec.G711U:
            return PlainDepacketiser(clock_rate or track.sample_rate or 8000, track)
    return None


def _make(media: Media, parameters: dict[str, str], mapped: RtpMap, codec: Codec, track_id: int) -> Depacketiser | None:
    clock_rate = mapped.clock_rate
    match codec:
        case Codec.H264:
            interleaved = parameters.get("packetization-mode") == "2"
            return None if interleaved else H264Depacketiser(track_id, parameter_sets(parameters), clock_rate)
        case Codec.H265:
            numbered = parameters.get("sprop-max-don-diff", "0") != "0"
            return None if numbered else H265Depacketiser(track_id, parameter_sets(parameters), clock_rate)
        case Codec.AV1:
            return Av1Depacketiser(track_id)
        case Codec.VP8:
            return Vp8Depacketiser(track_id)
        case Codec.VP9:
            return Vp9Depacketiser(track_id)
        case Codec.MP3:
            return Mp3Depacketiser(track_id, clock_rate)
        case Codec.AC3 | Codec.EAC3:
            return Ac3Depacketiser(track_id, clock_rate, codec)
    if mapped.name == "MP4A-LATM":
        return LatmDepacketiser(track_id, clock_rate, parameters)
    track = track_of(media, track_id)
    if track is None:
        return None
    if codec is Codec.AAC:
        return AacDepacketiser(track, clock_rate, AuHeaders.of(parameters))
    return PlainDepacketiser(clock_rate, track)
