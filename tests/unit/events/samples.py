"""Events that tests of their forms share."""

from types import MappingProxyType
from typing import Any

from ems.events.event import Event, Plain, plain

MOMENT = 1_715_000_024
"""2024-05-06 12:53:44 UTC."""


def event(event_type: str = "hlsChunkClosed", event_id: int = 41, **payload: Any) -> Event:
    """An event of process 4021."""
    told = plain(payload)
    assert isinstance(told, dict)
    return Event(event_id, event_type, MOMENT, 4021, MappingProxyType(told))


def segment(custom_data: Plain = None) -> dict[str, Plain]:
    """The envelope of the documents' example."""
    happened = event(
        file="../evo-webroot/show1/show_hi/segment_3.ts",
        playlistStartTs=1715000000123.0,
        segmentDuration=6006.0,
        segmentStartTs=18018.0,
    )
    return happened.envelope(custom_data)


STREAM: dict[str, Any] = {
    "name": "cam",
    "appName": "evostreamms",
    "creationTimestamp": 1715000000000.5,
    "type": "INR",
    "typeNumeric": 5282249572905648128,
    "uniqueId": 7,
    "upTime": 24000.0,
    "queryTimestamp": 1715000024000.5,
    "bandwidth": 0,
    "connectionType": 1,
    "farIp": "192.0.2.7",
    "farPort": 40000,
    "ip": "192.0.2.1",
    "nearIp": "192.0.2.1",
    "nearPort": 1935,
    "port": 1935,
    "swfUrl": "a\tb\nc",
    "outStreamsUniqueIds": [],
    "audio": {
        "codec": "AAAC",
        "codecNumeric": 4702111241970122752,
        "packetsCount": 10,
        "bytesCount": 1000,
        "droppedPacketsCount": 0,
        "droppedBytesCount": 0,
    },
    "video": {
        "codec": "VUNK",
        "codecNumeric": 6220964544311721984,
        "packetsCount": 0,
        "bytesCount": 0,
        "droppedPacketsCount": 0,
        "droppedBytesCount": 0,
        "width": 0,
    },
    "pullSettings": {"uri": "rtmp://192.0.2.7/live/cam", "forceTcp": False, "configId": 3, "_site": "lab"},
}
"""A stream object."""
