"""The settings of pulls, pushes and HLS: every key of the runtime API, with its default and its type in pushPullSetup.xml.

The checksum of that file is taken over its binary form, where the width of a number counts, so the widths are the
original's: numbers of requests are 64 bits wide, those that may be negative with a sign.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ems.config.variant import Int64, SizedInt, UInt64, Variant, VariantError
from ems.config.variant_xml import write_variant
from ems.errors import CommandError

Settings = Mapping[str, Variant]

OS_DEFAULT = UInt64(256)
"""``ttl`` and ``tos``: whatever the operating system does."""

PULL: Settings = MappingProxyType(
    {
        "uri": "",
        "localStreamName": "",
        "keepAlive": True,
        "forceTcp": False,
        "tcUrl": "",
        "pageUrl": "",
        "swfUrl": "",
        "rangeStart": Int64(-2),
        "rangeEnd": Int64(-1),
        "ttl": OS_DEFAULT,
        "tos": OS_DEFAULT,
        "rtcpDetectionInterval": UInt64(10),
        "emulateUserAgent": "",
        "isAudio": True,
        "audioCodecBytes": "",
        "spsBytes": "",
        "ppsBytes": "",
        "ssmIp": "",
        "httpProxy": "",
        "sendRenewStream": False,
    }
)
"""What every pull has."""

PULL_EXTRAS: Settings = MappingProxyType(
    {
        "rangeTimeStart": "",
        "rangeTimeEnd": "",
        "sourceType": "",
        "sdpCustParams": "",
        "videoSourceIndex": "high",
        "serializeToConfig": True,
        "httpStreamType": "",
    }
)
"""What a pull has when somebody gave it: keys that the original's answers do not have."""

PUSH: Settings = MappingProxyType(
    {
        "targetUri": "",
        "localStreamName": "",
        "targetStreamName": "",
        "targetStreamType": "live",
        "emulateUserAgent": "",
        "tcUrl": "",
        "pageUrl": "",
        "swfUrl": "",
        "ttl": OS_DEFAULT,
        "tos": OS_DEFAULT,
        "keepAlive": True,
        "forceTcp": False,
        "rtmpAbsoluteTimestamps": False,
        "sendChunkSizeRequest": True,
        "useSourcePts": False,
        "httpProxy": "",
    }
)
"""What every push has."""

HLS: Settings = MappingProxyType(
    {
        "localStreamName": "",
        "bandwidth": UInt64(0),
        "groupName": "",
        "groupTargetFolder": "",
        "targetFolder": "",
        "masterPlaylistPath": "",
        "timestamp": 0.0,
        "keepAlive": True,
        "overwriteDestination": True,
        "staleRetentionCount": UInt64(10),
        "createMasterPlaylist": True,
        "cleanupDestination": False,
        "playlistType": "appending",
        "playlistLength": UInt64(10),
        "playlistName": "playlist.m3u8",
        "chunkLength": UInt64(10),
        "maxChunkLength": UInt64(0),
        "chunkBaseName": "segment",
        "chunkOnIDR": True,
        "drmType": "none",
        "AESKeyCount": UInt64(5),
        "audioOnly": False,
        "hlsResume": False,
        "cleanupOnClose": False,
        "useByteRange": False,
        "fileLength": UInt64(0),
        "useSystemTime": False,
        "offsetTime": Int64(0),
        "startOffset": UInt64(0),
        "hlsVersion": UInt64(6),
    }
)
"""What every HLS output has: one stream each. ``targetFolder`` is the stream's own, ``groupTargetFolder`` that of its group."""

HLS_EXTRAS: Settings = MappingProxyType({"segmentType": "ts", "partLength": UInt64(0)})
"""What an HLS output has when somebody gave it: our own keys."""


def complete(given: Mapping[str, Any], defaults: Settings, extras: Settings = MappingProxyType({})) -> Settings:
    """All settings of a job: those given, with the types of `defaults` and `extras`, and the defaults of the others.

    Keys that are in neither, such as user variables, are kept as they are. Raises `CommandError` for a value of the wrong
    type, and for one that cannot be stored.
    """
    known = {**defaults, **extras}
    try:
        settings = {**defaults, **{key: _typed(key, value, known.get(key)) for key, value in given.items()}}
        # One entry that cannot be stored would keep the whole file from being written.
        write_variant(settings)
    except VariantError as error:
        raise CommandError(str(error)) from None
    return MappingProxyType(settings)


def _typed(key: str, value: Any, default: Variant) -> Variant:
    """The value with the type of the default; a key without one keeps its value."""
    expected: type = int if isinstance(default, SizedInt) else type(default)
    if default is not None and (not isinstance(value, expected) or (expected is int and isinstance(value, bool))):
        raise VariantError(f"{key} has a value of the wrong type: {value!r}")
    kept: Variant = type(default)(value) if isinstance(default, SizedInt) else value
    return kept
