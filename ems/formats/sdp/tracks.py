"""Tracks as media of an SDP, and media as tracks.

What a codec's configuration record says, SDP says in ``a=rtpmap`` and ``a=fmtp``, in words of each payload format's own:
parameter sets in base64 (RFC 6184 §8.2.1, RFC 7798 §7.1), the AudioSpecificConfig in hexadecimal (RFC 3640 §4.1), profile and
level in decimals (AV1, VP9). `media_of` writes them, `track_of` reads them.
"""

from base64 import b64decode, b64encode
from binascii import Error as NoBase64

from ems.errors import MalformedData
from ems.formats.mpegts.nal_rules import AVC, HEVC
from ems.formats.rtp.nal_units import keyed_sets
from ems.formats.rtp.sounds import g711_track, opus_track
from ems.formats.sdp.description import Media, RtpMap
from ems.media import aac, av1, h264, h265, nal, vpx
from ems.media.track import Codec, Kind, Track

RTP_TRANSPORT = "RTP/AVP"

MAX_CONFIG = 4096
"""Bytes of an AudioSpecificConfig: a program config element with its comment has a few hundred."""

_VIDEO_CLOCK = 90_000
_SUPPORTED = {
    "H264": Codec.H264,
    "H265": Codec.H265,
    "HEVC": Codec.H265,
    "AV1": Codec.AV1,
    "VP8": Codec.VP8,
    "VP9": Codec.VP9,
    "MPEG4-GENERIC": Codec.AAC,
    "MP4A-LATM": Codec.AAC,
    "OPUS": Codec.OPUS,
    "PCMA": Codec.G711A,
    "PCMU": Codec.G711U,
    "MPA": Codec.MP3,
    "AC3": Codec.AC3,
    "EAC3": Codec.EAC3,
}
_NAMES = {codec: name for name, codec in reversed(_SUPPORTED.items())} | {Codec.AAC: "mpeg4-generic", Codec.OPUS: "opus"}
_STATIC = {Codec.G711U: 0, Codec.G711A: 8, Codec.MP3: 14}


def chosen_type(media: Media) -> tuple[int, RtpMap, Codec] | None:
    """The first payload type of a medium that is read, what it means, and its codec; None when there is none."""
    for payload_type in media.payload_types:
        mapped = media.rtpmap(payload_type)
        if mapped is not None and mapped.name in _SUPPORTED:
            return payload_type, mapped, _SUPPORTED[mapped.name]
    return None


def track_of(media: Media, track_id: int = 0) -> Track | None:
    """The track that a medium describes; None when it is of no codec that is read, or leaves its configuration to the stream.

    Raises nothing: a configuration that makes no sense is as good as none.
    """
    chosen = chosen_type(media)
    if chosen is None:
        return None
    payload_type, mapped, codec = chosen
    parameters = media.fmtp(payload_type)
    try:
        match codec:
            case Codec.H264:
                return AVC.make_track(track_id, keyed_sets(AVC, parameter_sets(parameters)))
            case Codec.H265:
                return HEVC.make_track(track_id, keyed_sets(HEVC, parameter_sets(parameters)))
            case Codec.AAC if mapped.name == "MPEG4-GENERIC":
                return aac.make_track(track_id, _aac_config(parameters, mapped))
            case Codec.OPUS:
                return opus_track(track_id)
            case Codec.G711A | Codec.G711U:
                return g711_track(track_id, codec, mapped.clock_rate, mapped.channels)
    except MalformedData:
        pass
    return None


def parameter_sets(parameters: dict[str, str]) -> list[bytes]:
    """The NAL units in ``sprop-parameter-sets`` (H.264) or ``sprop-vps``, ``sprop-sps`` and ``sprop-pps`` (H.265).

    What is no base64 is passed over, and so is what is too long for a parameter set.
    """
    sets: list[bytes] = []
    for name in ("sprop-parameter-sets", "sprop-vps", "sprop-sps", "sprop-pps"):
        for text in parameters.get(name, "").split(","):
            try:
                unit = b64decode(text.strip() + "=" * (-len(text.strip()) % 4))
            except (NoBase64, ValueError):
                continue
            # Some cameras put a start code in front.
            unit = unit.removeprefix(nal.START_CODE)
            if 1 < len(unit) <= nal.MAX_PARAMETER_SET:
                sets.append(unit)
    return sets


def media_of(
    track: Track,
    payload_type: int,
    *,
    control: str = "",
    port: int = 0,
    protocol: str = RTP_TRANSPORT,
) -> Media | None:
    """The medium that describes a track; None when there is no standard way.

    G.711 of 8 kHz and MP3 have their static payload types, whatever `payload_type` is: see `payload_type_of`.
    """
    described = _rtpmap_of(track)
    if described is None:
        return None
    number = payload_type_of(track, payload_type)
    media = Media("video" if track.kind is Kind.VIDEO else "audio", port, protocol, (str(number),))
    media.attributes.append(("rtpmap", f"{number} {described}"))
    try:
        parameters = _fmtp_of(track)
    except MalformedData:
        return None
    if parameters:
        media.attributes.append(("fmtp", f"{number} {parameters}"))
    if track.width and track.height:
        media.attributes.append(("framesize", f"{number} {track.width}-{track.height}"))
    if track.frame_rate:
        media.attributes.append(("framerate", f"{float(track.frame_rate):g}"))
    if control:
        media.attributes.append(("control", control))
    return media


def payload_type_of(track: Track, dynamic: int) -> int:
    """The payload type of a track: the static one that RFC 3551 gives its codec, else `dynamic`."""
    static = _STATIC.get(track.codec, dynamic)
    if track.codec in (Codec.G711A, Codec.G711U) and ((track.sample_rate or 8000) != 8000 or track.channels > 1):
        return dynamic
    return static


def transport_stream_media(*, control: str = "", port: int = 0, protocol: str = RTP_TRANSPORT) -> Media:
    """The medium that says MPEG-TS: payload type 33."""
    media = Media("video", port, protocol, ("33",), attributes=[("rtpmap", "33 MP2T/90000")])
    if control:
        media.attributes.append(("control", control))
    return media


def _rtpmap_of(track: Track) -> RtpMap | None:
    name = _NAMES.get(track.codec)
    if name is None:
        return None
    match track.codec:
        case Codec.OPUS:
            return RtpMap(name, 48000, 2) if track.channels <= 2 else None
        case Codec.G711A | Codec.G711U:
            return RtpMap(name, track.sample_rate or 8000, track.channels or 1)
        case Codec.MP3:
            return RtpMap(name, _VIDEO_CLOCK)
    if track.kind is Kind.VIDEO:
        return RtpMap(name, _VIDEO_CLOCK)
    return RtpMap(name, track.sample_rate, track.channels or 1) if track.sample_rate else None


def _fmtp_of(track: Track) -> str:
    """The parameters of a track's payload format. Raises `MalformedData` when its configuration makes no sense."""
    match track.codec:
        case Codec.H264:
            return _h264_parameters(track.config)
        case Codec.H265:
            record = h265.HevcConfiguration.parse(track.config)
            sets = (("vps", record.vps), ("sps", record.sps), ("pps", record.pps))
            return ";".join(f"sprop-{name}={_base64(units)}" for name, units in sets if units)
        case Codec.AAC:
            return (
                f"streamtype=5;profile-level-id={_aac_profile_level(track)};mode=AAC-hbr;sizelength=13;indexlength=3;"
                f"indexdeltalength=3;config={track.config.hex()}"
            )
        case Codec.OPUS:
            return "sprop-stereo=1" if track.channels > 1 else "sprop-stereo=0"
        case Codec.AV1:
            configuration = av1.Av1Configuration.parse(track.config)
            return f"profile={configuration.seq_profile};level-idx={configuration.seq_level_idx};tier={configuration.seq_tier}"
        case Codec.VP9 if track.config:
            return f"profile-id={vpx.VpConfiguration.parse(track.config).profile}"
    return ""


def _h264_parameters(config: bytes) -> str:
    record = h264.AvcConfiguration.parse(config)
    profile = bytes((record.profile, record.compatibility, record.level)).hex().upper()
    sets = (*record.sps, *record.pps)
    return f"packetization-mode=1;profile-level-id={profile}" + (f";sprop-parameter-sets={_base64(sets)}" if sets else "")


def _aac_profile_level(track: Track) -> int:
    """audioProfileLevelIndication (ISO/IEC 14496-3 table 1.14): AAC Profile L1, L2, L4 or L5, High Efficiency AAC L2 or L4."""
    parsed = aac.AudioSpecificConfig.parse(track.config)
    if parsed.sbr:
        return 44 if parsed.channels <= 2 else 46
    if parsed.channels <= 2:
        return 40 if parsed.sample_rate <= 24000 else 41
    return 42 if parsed.sample_rate <= 48000 else 43


def _base64(units: tuple[bytes, ...]) -> str:
    return ",".join(b64encode(unit).decode() for unit in units)


def _aac_config(parameters: dict[str, str], mapped: RtpMap) -> bytes:
    """The AudioSpecificConfig; where there is none, that of plain AAC with the rate and channels of the ``a=rtpmap``."""
    text = parameters.get("config", "").strip().strip('"')
    if not text:
        layout = next((layout for layout, channels in aac.CHANNELS.items() if channels == mapped.channels), 2)
        return bytes(aac.AudioSpecificConfig(aac.AAC_LC, mapped.clock_rate, layout, mapped.channels))
    try:
        return bytes.fromhex(text[: 2 * MAX_CONFIG])
    except ValueError:
        raise MalformedData(f"the configuration {text[:20]!r} is not hexadecimal") from None
