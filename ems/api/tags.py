"""Tags: names of up to eight ASCII characters for kinds of streams, protocol layers and codecs.

As a number (``typeNumeric``, ``codecNumeric``) a tag is the 64-bit big-endian integer of its characters, with zero bytes
behind them. Tags are hierarchical: ``INR`` (inbound RTMP) is a kind of ``IN`` (from the network), which is a kind of ``I``.
"""

from functools import lru_cache

from ems.media.track import Codec

TAG_SIZE = 8

NO_AUDIO = "AUNK"
NO_VIDEO = "VUNK"

CODEC_TAGS = {
    Codec.H264: "VH264",
    Codec.H265: "VH265",
    Codec.AV1: "VAV1",
    Codec.VP8: "VVP8",
    Codec.VP9: "VVP9",
    Codec.FLV_SORENSON: "VS263",
    Codec.FLV_SCREEN: "VSV",
    Codec.FLV_SCREEN2: "VSV2",
    Codec.FLV_VP6: "VVP6",
    Codec.FLV_VP6A: "VVP6A",
    Codec.FLV_JPEG: "VJPEG",
    Codec.AAC: "AAAC",
    Codec.MP3: "AMP3",
    Codec.OPUS: "AOPUS",
    Codec.FLAC: "AFLAC",
    Codec.AC3: "AAC3",
    Codec.EAC3: "AEAC3",
    Codec.G711A: "AG711A",
    Codec.G711U: "AG711U",
    Codec.FLV_PCM_NATIVE: "APCM",
    Codec.FLV_PCM_LE: "APCMLE",
    Codec.FLV_ADPCM: "AADPCM",
    Codec.FLV_NELLYMOSER: "ANM",
    Codec.FLV_SPEEX: "ASPEEX",
    Codec.FLV_DEVICE: "ADEVICE",
    Codec.AMF0: "UNK",
    Codec.TS: "UNK",
}
"""The tag of every codec. Those that the original did not have follow its pattern: A or V, then the codec's name."""


@lru_cache(maxsize=1024)
def tag_number(tag: str) -> int:
    """The tag as a number. ValueError when it is longer than eight characters or not ASCII."""
    if len(tag) > TAG_SIZE or not tag.isascii():
        raise ValueError(f"not a tag: {tag!r}")
    return int.from_bytes(tag.encode("ascii").ljust(TAG_SIZE, b"\0"), "big")


def is_kind_of(tag: str, kind: str) -> bool:
    """True when the tag is this kind or one below it."""
    return tag.startswith(kind)
