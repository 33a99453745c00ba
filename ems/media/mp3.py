"""MPEG audio, layers I to III (ISO/IEC 11172-3, 13818-3, and the unofficial 2.5 for low rates): the frame header.

Four bytes before every frame tell all, and so no configuration is sent::

    sync:11 | version:2 layer:2 protection:1 | bitrate_index:4 sampling_frequency:2 padding:1 private:1 | mode:2 …
"""

from dataclasses import dataclass

from ems.errors import MalformedData
from ems.media.track import Codec, Kind, Track

HEADER_SIZE = 4

_VERSIONS = {0: 2.5, 2: 2.0, 3: 1.0}
_SAMPLE_RATES = (44100, 48000, 32000)
_MONO = 3

_LAYER_1 = (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448)
_LAYER_2 = (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)
_LAYER_3 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_LOW_LAYER_1 = (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256)
_LOW_LAYERS_2_3 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_BIT_RATES = {
    (True, 1): _LAYER_1,
    (True, 2): _LAYER_2,
    (True, 3): _LAYER_3,
    (False, 1): _LOW_LAYER_1,
    (False, 2): _LOW_LAYERS_2_3,
    (False, 3): _LOW_LAYERS_2_3,
}


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """A frame's header. `version` is 1, 2 or 2.5; `bit_rate` in kbit/s; `frame_size` in bytes, header included, 0 for the free
    format, which does not tell; `samples` is per channel.
    """

    version: float
    layer: int
    bit_rate: int
    sample_rate: int
    channels: int
    samples: int
    frame_size: int


def parse_frame_header(data: bytes) -> FrameHeader:
    """The header that `data` begins with (ISO/IEC 11172-3 §2.4.1.3). Raises `MalformedData`."""
    if len(data) < HEADER_SIZE:
        raise MalformedData(f"an MPEG audio header has {HEADER_SIZE} bytes, {len(data)} are there")
    header = int.from_bytes(data[:HEADER_SIZE], "big")
    version = _VERSIONS.get(header >> 19 & 3)
    layer = 4 - (header >> 17 & 3)
    rate_index, frequency_index, padding = header >> 12 & 15, header >> 10 & 3, header >> 9 & 1
    if header >> 21 != 0x7FF or version is None or layer == 4 or rate_index == 15 or frequency_index == 3:
        raise MalformedData(f"no MPEG audio header in {data[:HEADER_SIZE].hex()}")
    sample_rate = int(_SAMPLE_RATES[frequency_index] // {1.0: 1, 2.0: 2, 2.5: 4}[version])
    bit_rate = _BIT_RATES[version == 1, layer][rate_index - 1] if rate_index else 0
    samples = 384 if layer == 1 else 576 if layer == 3 and version != 1 else 1152
    slot = 4 if layer == 1 else 1
    frame_size = (samples // 8 // slot * bit_rate * 1000 // sample_rate + padding) * slot if bit_rate else 0
    channels = 1 if header >> 6 & 3 == _MONO else 2
    return FrameHeader(version, layer, bit_rate, sample_rate, channels, samples, frame_size)


def make_track(track_id: int, first_frame: bytes) -> Track:
    """The track that a frame's header describes. Raises `MalformedData`.

    The codec string is ``mp4a.6B`` for MPEG-1 and ``mp4a.69`` for MPEG-2 audio (RFC 6381 §3.3, ISO/IEC 14496-1 table 5);
    `profile` is the layer.
    """
    header = parse_frame_header(first_frame)
    return Track(
        id=track_id,
        kind=Kind.AUDIO,
        codec=Codec.MP3,
        codec_string="mp4a.6B" if header.version == 1 else "mp4a.69",
        profile=header.layer,
        sample_rate=header.sample_rate,
        channels=header.channels,
    )
