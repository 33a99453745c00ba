"""The columns of the W3C extended log file format (W3C working draft WD-logfile-960323) as event files have them."""

from collections.abc import Iterator, Mapping
from typing import Any

from ems.events.serializers import Envelope

MISSING = "-"

_TRACK = ("bytes", "codec", "codecNumeric", "droppedBytes", "droppedPackets", "packets")

_TRACK_KEYS = {
    "bytes": "bytesCount",
    "droppedBytes": "droppedBytesCount",
    "droppedPackets": "droppedPacketsCount",
    "packets": "packetsCount",
}
"""Columns of a track that are called otherwise in a stream object."""

_STREAM = (
    "name",
    "applicationName",
    "creationTimestamp",
    "type",
    "typeNumeric",
    "uniqueId",
    "upTime",
    "queryTimestamp",
    "bandwidth",
    "connectionType",
    "farIp",
    "farPort",
    "IP",
    "nearIP",
    "nearPort",
    "port",
    "swf-url",
)

_STREAM_KEYS = {
    "name": ("name", "localStreamName"),
    "applicationName": ("appName",),
    "uniqueId": ("uniqueId", "id"),
    "IP": ("ip",),
    "nearIP": ("nearIp",),
    "swf-url": ("swfUrl",),
}
"""Columns that are called otherwise in a stream object, or in the payload of audioFeedStopped and videoFeedStopped."""

_PULL = (
    "audioCodecBytes",
    "configId",
    "emulateUserAgent",
    "forceTcp",
    "httpProxy",
    "isAudio",
    "keepAlive",
    "localStreamName",
    "operationType",
    "pageUrl",
    "ppsBytes",
    "rangeEnd",
    "rangeStart",
    "rtcpDetectionInterval",
    "sendRenewStream",
    "spsBytes",
    "ssmIp",
    "swfUrl",
    "tcUrl",
    "tos",
    "ttl",
    "uri",
)

_RECORD = (
    "chunkLength",
    "computedPathToFile",
    "configId",
    "keepAlive",
    "localStreamName",
    "mp4BinPath",
    "operationType",
    "overwrite",
    "pathToFile",
    "type",
    "waitForIDR",
    "winQtCompat",
)

_WEB = ("startTime", "stopTime", "elapsed", "clientIP", "sessionId", "playlist", "mediaFile")

_WRITTEN = frozenset(
    (
        *(f"{kind}{what}" for kind in ("inStream", "outStream", "stream") for what in ("Created", "CodecsUpdated", "Closed")),
        "audioFeedStopped",
        "videoFeedStopped",
        "streamingSessionStarted",
        "streamingSessionEnded",
        "mediaFileDownloaded",
    )
)
"""The events that have a row."""


def w3c_fields(*, timestamp: bool) -> tuple[str, ...]:
    """The names of the columns."""
    return (
        *(["timestamp"] if timestamp else ()),
        "processId",
        "INFO",
        *_STREAM,
        *(f"audio-{name}" for name in _TRACK),
        *(f"video-{name}" for name in _TRACK),
        *(f"pullSettings-{name}" for name in _PULL),
        *(f"recordSettings-{name}" for name in _RECORD),
        *(f"ews-{name}" for name in _WEB),
    )


def w3c_row(envelope: Envelope) -> list[str]:
    """The columns of an event but for ``timestamp``; none for an event that has no row."""
    payload: Any = envelope["payload"]
    if envelope["type"] not in _WRITTEN:
        return []
    return [str(envelope["processId"]), str(envelope["type"]), *_columns(payload)]


def _columns(payload: Mapping[str, Any]) -> Iterator[str]:
    for name in _STREAM:
        yield _first(payload, _STREAM_KEYS.get(name, (name,)))
    for kind in ("audio", "video"):
        for name in _TRACK:
            yield _first(payload.get(kind), (_TRACK_KEYS.get(name, name),))
    for section, names in (("pullSettings", _PULL), ("recordSettings", _RECORD)):
        for name in names:
            yield _first(payload.get(section), (name,))
    for name in _WEB:
        yield _first(payload, (name,))


def _first(values: Mapping[str, Any] | None, names: tuple[str, ...]) -> str:
    """The first of these values that is there, without tabs, which separate columns."""
    for name in names:
        value = (values or {}).get(name)
        if value is not None and value != "":
            return str(value).lower() if isinstance(value, bool) else str(value).replace("\t", " ")
    return MISSING
