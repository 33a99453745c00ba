"""What a PMT says of encrypted samples: Apple's "MPEG-2 Stream Encryption Format for HTTP Live Streaming", SAMPLE-AES.

Only the samples are encrypted: packets, headers and tables stay readable. Each stream gets a stream_type of its own, a
private_data_indicator_descriptor with the name of its format, and audio a registration_descriptor with what a decoder needs to
begin, as the ADTS headers are readable but the player does not look for them::

    "apad" | audio_type:32 | priming:16 | version:8 | setup_data_length:8 | setup_data
"""

from collections.abc import Callable

from ems.errors import MalformedData
from ems.formats.mpegts.mux import Encryption
from ems.formats.mpegts.packets import StreamType
from ems.formats.mpegts.psi import PRIVATE_DATA_INDICATOR, REGISTRATION, descriptor
from ems.media.aac import AudioSpecificConfig
from ems.media.track import Codec, Track

_SETUP_VERSION = 1


def encryption_of(track: Track, transform: Callable[[bytes], bytes]) -> Encryption:
    """How an H.264 or AAC track is announced when `transform` encrypts its access units.

    Raises `MalformedData` for other codecs and for a broken configuration.
    """
    if track.codec is Codec.H264:
        return Encryption(StreamType.SAMPLE_AES_H264, descriptor(PRIVATE_DATA_INDICATOR, b"zavc"), transform)
    if track.codec is not Codec.AAC:
        raise MalformedData(f"SAMPLE-AES has no form for {track.codec.value}")
    registration = descriptor(REGISTRATION, b"apad" + _audio_setup(track.config))
    return Encryption(StreamType.SAMPLE_AES_AAC, descriptor(PRIVATE_DATA_INDICATOR, b"aacd") + registration, transform)


def _audio_setup(config: bytes) -> bytes:
    """The setup of an AAC decoder: no priming, and the AudioSpecificConfig."""
    parsed = AudioSpecificConfig.parse(config)
    audio_type = b"zacp" if parsed.ps else b"zach" if parsed.sbr else b"zaac"
    return audio_type + bytes((0, 0, _SETUP_VERSION, len(config))) + config
