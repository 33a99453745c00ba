"""What a stream is made of: its tracks, each with one codec and that codec's configuration."""

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction


class Kind(str, Enum):
    """What a track carries."""

    VIDEO = "video"
    AUDIO = "audio"
    DATA = "data"


class Codec(str, Enum):
    """The codecs that the server can name.

    Members whose value begins with ``flv-`` exist in FLV and RTMP only. Their frames are opaque: `Frame.data` is the whole
    FLV tag body, first byte included, and is passed from RTMP to RTMP untouched.
    """

    H264 = "h264"
    H265 = "h265"
    AV1 = "av1"
    VP8 = "vp8"
    VP9 = "vp9"
    FLV_SORENSON = "flv-sorenson-h263"
    FLV_SCREEN = "flv-screen"
    FLV_SCREEN2 = "flv-screen2"
    FLV_VP6 = "flv-vp6"
    FLV_VP6A = "flv-vp6a"
    FLV_JPEG = "flv-jpeg"

    AAC = "aac"
    MP3 = "mp3"
    OPUS = "opus"
    FLAC = "flac"
    AC3 = "ac3"
    EAC3 = "eac3"
    G711A = "g711a"
    G711U = "g711u"
    FLV_PCM_NATIVE = "flv-pcm-native"
    FLV_PCM_LE = "flv-pcm-le"
    FLV_ADPCM = "flv-adpcm"
    FLV_NELLYMOSER = "flv-nellymoser"
    FLV_SPEEX = "flv-speex"
    FLV_DEVICE = "flv-device"

    AMF0 = "amf0"
    TS = "mpegts"

    @property
    def opaque(self) -> bool:
        """True when frames of this codec are whole FLV tag bodies that only the RTMP family carries."""
        return self.value.startswith("flv-")


@dataclass(frozen=True, slots=True)
class Track:
    """One elementary stream and all that its configuration tells. A change of configuration is a new `Track` of the same id.

    `config` is the codec's configuration record without any box or tag header:

    ========== =====================================================================================
    H.264      AVCDecoderConfigurationRecord (``avcC``, ISO/IEC 14496-15 §5.3.3), lengthSizeMinusOne 3
    H.265      HEVCDecoderConfigurationRecord (``hvcC``, ISO/IEC 14496-15 §8.3.3), lengthSizeMinusOne 3
    AV1        AV1CodecConfigurationRecord (``av1C``)
    VP8, VP9   VPCodecConfigurationRecord (``vpcC``)
    AAC        AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1)
    Opus       OpusHead with its magic (RFC 7845 §5.1)
    FLAC       the STREAMINFO metadata block body (34 bytes)
    others     empty
    ========== =====================================================================================

    `codec_string` is the RFC 6381 form (``avc1.64001F``, ``mp4a.40.2``). Sizes are in pixels, `sample_rate` in Hz; 0 and
    None mean unknown. `profile` and `level` are the numbers of the codec (``profile_idc``, ``level_idc``, the AAC object
    type).
    """

    id: int
    kind: Kind
    codec: Codec
    config: bytes = b""
    codec_string: str = ""
    width: int = 0
    height: int = 0
    frame_rate: Fraction | None = None
    profile: int = 0
    level: int = 0
    sample_rate: int = 0
    channels: int = 0
