"""AAC (ISO/IEC 14496-3): its configuration and the ADTS header of transport streams.

AAC frames do not tell how they are coded. MP4, FLV, RTMP and RTP say it once, in an AudioSpecificConfig (§1.6.2.1), two bytes
in the usual case::

    audioObjectType:5 | samplingFrequencyIndex:4 | channelConfiguration:4 | frameLengthFlag:1 dependsOnCoreCoder:1 extension:1

MPEG-TS and ``.aac`` files say it before every frame, in the 7 bytes of an ADTS header (Annex 1.A).

High-efficiency AAC adds spectral band replication (SBR: twice the rate) and parametric stereo (PS) to a core that every decoder
understands. A configuration may announce them in front of the core's (hierarchical, object types 5 and 29), behind it (the
explicit backward-compatible form, sync words 0x2B7 and 0x548) or not at all. A `Track` gets rate and channels of the *core*,
so that a frame always lasts `frame_length` / `sample_rate` seconds.

Not covered: the specific configurations of the non-GA object types (CELP, HVXC, USAC …), which are passed over.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Self

from ems.errors import MalformedData
from ems.media.bits import BitReader
from ems.media.track import Codec, Kind, Track

SAMPLE_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
"""Hz by samplingFrequencyIndex (table 1.18); 15 means that the rate itself follows in 24 bits."""

CHANNELS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 8, 11: 7, 12: 8, 13: 24, 14: 8}
"""Number of channels by channelConfiguration (table 1.19)."""

ADTS_HEADER_SIZE = 7
"""Bytes of the header that `adts_header` writes: one without CRC."""

MAX_ADTS_FRAME = 8191
"""aac_frame_length has 13 bits and counts the header."""

AAC_LC = 2
SBR = 5
PS = 29

_ESCAPE_TYPE = 31
_ESCAPE_RATE = 15
_GA_TYPES = frozenset({1, 2, 3, 4, 6, 7, 17, 19, 20, 21, 22, 23})
_PLAIN_TYPES = frozenset({1, 2, 3, 4, 7})
_SCALABLE_TYPES = frozenset({6, 20})
_RESILIENT_TYPES = frozenset({17, 19, 20, 23})
_ER_BSAC = 22
_LOW_DELAY_TYPES = frozenset({23, 39})
_SBR_SYNC = 0x2B7
_PS_SYNC = 0x548


@dataclass(frozen=True, slots=True)
class AudioSpecificConfig:
    """What an AudioSpecificConfig tells. Rates are in Hz.

    `object_type`, `sample_rate` and `channels` are the core's. `extension_sample_rate` is the rate after SBR, or 0 without SBR.
    `channels` is 0 when `channel_configuration` is 0 and the frames, not the configuration, hold the channel layout (ADTS).
    `frame_length` is samples per channel and frame: 1024 or 960, and 512 or 480 for the low-delay types.
    """

    object_type: int
    sample_rate: int
    channel_configuration: int
    channels: int
    frame_length: int = 1024
    sbr: bool = False
    ps: bool = False
    extension_sample_rate: int = 0

    @classmethod
    def parse(cls, config: bytes) -> Self:
        """Read an AudioSpecificConfig; raises `MalformedData` when it is cut off or names a reserved rate or layout."""
        reader = BitReader(config)
        object_type, sample_rate, channel_configuration = _object_type(reader), _sample_rate(reader), reader.u(4)
        sbr, ps, extension_sample_rate = object_type in (SBR, PS), object_type == PS, 0
        if sbr:
            extension_sample_rate = _sample_rate(reader)
            object_type = _object_type(reader)
            if object_type == _ER_BSAC:
                reader.skip(4)  # extensionChannelConfiguration
        if channel_configuration and channel_configuration not in CHANNELS:
            raise MalformedData(f"AAC channelConfiguration {channel_configuration} is reserved")
        channels = CHANNELS.get(channel_configuration, 0)
        short, program_channels = _specific_config(reader, object_type, channel_configuration)
        frame_length = 1024 - 64 * short
        if not sbr and object_type in _PLAIN_TYPES:
            sbr, ps, extension_sample_rate = _backward_compatible_extension(reader)
        return cls(
            object_type,
            sample_rate,
            channel_configuration,
            channels or program_channels,
            frame_length // 2 if object_type in _LOW_DELAY_TYPES else frame_length,
            sbr,
            ps,
            extension_sample_rate,
        )

    @property
    def codec_string(self) -> str:
        """``mp4a.40.N`` (RFC 6381 §3.3): 29 with PS, 5 with SBR, else the core's object type."""
        return f"mp4a.40.{PS if self.ps else SBR if self.sbr else self.object_type}"

    def __bytes__(self) -> bytes:
        """The plain form: the core alone, which every decoder plays. SBR is found by decoders in the frames themselves.

        Raises `MalformedData` where the plain form cannot tell the channels (channelConfiguration 0) or the object type.
        """
        if not self.channel_configuration or self.object_type not in _PLAIN_TYPES:
            raise MalformedData(
                f"AAC of type {self.object_type} and layout {self.channel_configuration} has no plain configuration"
            )
        flags = (1 if self.frame_length == 960 else 0) << 2
        tail = self.channel_configuration << 3 | flags
        if self.sample_rate in SAMPLE_RATES:
            return (self.object_type << 11 | SAMPLE_RATES.index(self.sample_rate) << 7 | tail).to_bytes(2, "big")
        return (self.object_type << 35 | _ESCAPE_RATE << 31 | self.sample_rate << 7 | tail).to_bytes(5, "big")


class AdtsHeader(NamedTuple):
    """The header of an ADTS frame. Sizes are in bytes.

    `header_length` is 7, or 9 with a CRC; `frame_length` counts the header too, so the access unit is what lies between, and the
    next header follows at `frame_length`. More than one of `raw_data_blocks` is rare and cannot be taken apart without decoding.
    """

    config: AudioSpecificConfig
    header_length: int
    frame_length: int
    raw_data_blocks: int


def parse_adts_header(data: bytes, offset: int = 0) -> AdtsHeader:
    """The ADTS header at `offset`. Raises `MalformedData` when there is none or it is cut off; the frame itself may be."""
    if len(data) - offset < ADTS_HEADER_SIZE:
        raise MalformedData(f"an ADTS header has {ADTS_HEADER_SIZE} bytes, {max(len(data) - offset, 0)} are there")
    header = int.from_bytes(data[offset : offset + ADTS_HEADER_SIZE], "big")
    if header >> 44 != 0xFFF or header >> 41 & 3:
        raise MalformedData("no ADTS sync word where an AAC frame should begin")
    header_length = 7 if header >> 40 & 1 else 9
    frame_length = header >> 13 & 0x1FFF
    if frame_length < header_length:
        raise MalformedData(f"an ADTS frame of {frame_length} bytes is shorter than its header")
    config = _adts_config(header >> 38 & 3, header >> 34 & 15, header >> 30 & 7)
    return AdtsHeader(config, header_length, frame_length, (header & 3) + 1)


@lru_cache(maxsize=4096)
def adts_header(config: AudioSpecificConfig | bytes, frame_length: int) -> bytes:
    """The 7 bytes to put before a raw access unit of `frame_length` bytes (header not counted) in MPEG-TS or ``.aac``.

    `config` is the track's AudioSpecificConfig, as bytes or parsed. Headers are cached, as frames are of few sizes. Raises
    `MalformedData` when ADTS cannot say it: frames above 8184 bytes, object types above 4, rates outside `SAMPLE_RATES`,
    layouts above 7.
    """
    if isinstance(config, bytes):
        config = AudioSpecificConfig.parse(config)
    size = frame_length + ADTS_HEADER_SIZE
    if size > MAX_ADTS_FRAME:
        raise MalformedData(f"an AAC frame of {frame_length} bytes does not fit into ADTS")
    if not 1 <= config.object_type <= 4 or config.sample_rate not in SAMPLE_RATES or config.channel_configuration > 7:
        raise MalformedData(f"ADTS cannot carry {config.codec_string} of {config.sample_rate} Hz")
    fixed = (
        0xFFF1 << 40
        | (config.object_type - 1) << 38
        | SAMPLE_RATES.index(config.sample_rate) << 34
        | config.channel_configuration << 30
    )
    variable = size << 13 | 0x7FF << 2  # adts_buffer_fullness 0x7FF: variable bit rate
    return (fixed | variable).to_bytes(ADTS_HEADER_SIZE, "big")


def make_track(track_id: int, config: bytes) -> Track:
    """The track that an AudioSpecificConfig describes, with rate and channels of the core. Raises `MalformedData`."""
    parsed = AudioSpecificConfig.parse(config)
    return Track(
        id=track_id,
        kind=Kind.AUDIO,
        codec=Codec.AAC,
        config=config,
        codec_string=parsed.codec_string,
        profile=parsed.object_type,
        sample_rate=parsed.sample_rate,
        channels=parsed.channels,
    )


@lru_cache(maxsize=256)
def _adts_config(profile: int, rate_index: int, channel_configuration: int) -> AudioSpecificConfig:
    if rate_index >= len(SAMPLE_RATES):
        raise MalformedData(f"ADTS sampling_frequency_index {rate_index} is reserved")
    channels = CHANNELS.get(channel_configuration, 0)
    return AudioSpecificConfig(profile + 1, SAMPLE_RATES[rate_index], channel_configuration, channels)


def _object_type(reader: BitReader) -> int:
    """GetAudioObjectType() (§1.6.2.1, table 1.16)."""
    object_type = reader.u(5)
    return 32 + reader.u(6) if object_type == _ESCAPE_TYPE else object_type


def _sample_rate(reader: BitReader) -> int:
    index = reader.u(4)
    if index < len(SAMPLE_RATES):
        return SAMPLE_RATES[index]
    rate = reader.u(24) if index == _ESCAPE_RATE else 0
    if not rate:
        raise MalformedData(f"AAC samplingFrequencyIndex {index} gives no rate")
    return rate


def _specific_config(reader: BitReader, object_type: int, channel_configuration: int) -> tuple[bool, int]:
    """frameLengthFlag, and the channels of a program config element; GASpecificConfig() of §4.4.1 and ELD's first bit."""
    if object_type not in _GA_TYPES:
        return object_type in _LOW_DELAY_TYPES and reader.flag(), 0
    short = reader.flag()
    if reader.flag():
        reader.skip(14)  # coreCoderDelay
    extension = reader.flag()
    channels = 0 if channel_configuration else _program_config_channels(reader)
    if object_type in _SCALABLE_TYPES:
        reader.skip(3)  # layerNr
    if extension:
        if object_type == _ER_BSAC:
            reader.skip(16)  # numOfSubFrame, layer_length
        if object_type in _RESILIENT_TYPES:
            reader.skip(3)
        reader.skip(1)  # extensionFlag3
    return short, channels


def _program_config_channels(reader: BitReader) -> int:
    """How many channels program_config_element() lists (§4.4.1.1); reads it whole, comment included."""
    reader.skip(10)  # element_instance_tag, object_type, sampling_frequency_index
    elements = reader.u(4), reader.u(4), reader.u(4)
    lfe, associated_data, coupling = reader.u(2), reader.u(3), reader.u(4)
    for mixdown_bits in (4, 4, 3):  # mono, stereo, matrix
        if reader.flag():
            reader.skip(mixdown_bits)
    channels = lfe
    for _ in range(sum(elements)):
        channels += 2 if reader.flag() else 1
        reader.skip(4)
    reader.skip(4 * lfe + 4 * associated_data + 5 * coupling)
    reader.align()
    reader.skip(8 * reader.u(8))
    if not channels:
        raise MalformedData("an AAC program config element without channels")
    return channels


def _backward_compatible_extension(reader: BitReader) -> tuple[bool, bool, int]:
    """SBR, PS and the rate after SBR, as the explicit backward-compatible signalling behind the core tells (§1.6.5)."""
    if reader.bits_left < 16 or reader.u(11) != _SBR_SYNC or _object_type(reader) != SBR or not reader.flag():
        return False, False, 0
    extension_sample_rate = _sample_rate(reader)
    ps = reader.bits_left >= 12 and reader.u(11) == _PS_SYNC and reader.flag()
    return True, ps, extension_sample_rate
