"""Streams, connections and services as the objects that replies carry.

The keys are those that clients of the original know. Times are milliseconds since 1970, as numbers with a fraction. Objects
are made when they are asked for; nothing here is kept up to date.
"""

import os
from typing import TYPE_CHECKING

from ems.api.command import Json
from ems.api.tags import CODEC_TAGS, NO_AUDIO, NO_VIDEO, tag_number
from ems.media.track import Kind, Track
from ems.streams.inbound import InboundStream

if TYPE_CHECKING:
    from ems.net.acceptor import Acceptor
    from ems.net.connection import Connection
    from ems.streams.outbound import OutboundStream
    from ems.streams.statistics import TrackCounters

Object = dict[str, Json]

APPLICATION_NAME = "evostreamms"
"""The name of the one application, which clients of the original compare with."""

APPLICATION_ID = 1

STANDARD_CONNECTION = 0
"""``connectionType`` of a stream that no command has asked for."""

STREAM_DETAILS = (
    *("userAgent", "serverAgent", "pageUrl", "swfUrl", "tcUrl", "ingestPoint", "leftOut", "transportStream"),
    *("lostPackets", "rtcpWait", "synchronisation"),
)
"""What a stream object tells of its peer, where it is known."""

LAYER_DETAILS = ("rxInvokes", "txInvokes", "userAgent", "serverAgent")
"""What the nearest layer of a connection tells, where it is known."""


def milliseconds(seconds: float) -> float:
    """Seconds since 1970 as replies tell them: milliseconds, to the microsecond."""
    return round(seconds * 1000, 3)


def shown_id(identifier: int) -> str:
    """An id of a stream or connection in an error text: the process it belongs to (0 is this one), a colon, the rest."""
    return f"{identifier >> 32}:{identifier & 0xFFFFFFFF}"


def describe_stream(stream: "InboundStream | OutboundStream", now: float) -> Object:
    """A stream object; `now` is the moment of the question in seconds since 1970."""
    source: InboundStream | None
    if isinstance(stream, InboundStream):
        source, connection = stream, stream.source
        link: Object = {"outStreamsUniqueIds": [*sorted(stream.outbound)]}
        if stream.internal:
            link["_isInternal"] = True
    else:
        source, connection = stream.inbound, stream.connection
        link = {"inStreamUniqueId": source.id if source else None}
    tracks = source.tracks if source else ()
    return {
        "name": stream.name,
        "uniqueId": stream.id,
        "type": stream.type_tag,
        "typeNumeric": tag_number(stream.type_tag),
        "appName": APPLICATION_NAME,
        "connectionType": stream.job.operation_type if stream.job else STANDARD_CONNECTION,
        "creationTimestamp": milliseconds(stream.created),
        "queryTimestamp": milliseconds(now),
        "upTime": milliseconds(now - stream.created),
        "bandwidth": source.bandwidth // 1024 if source else 0,
        "audio": _describe_audio(_first(tracks, Kind.AUDIO), stream.statistics.audio),
        "video": _describe_video(_first(tracks, Kind.VIDEO), stream.statistics.video),
        "processId": os.getpid(),
        "processType": "origin",
        **_describe_ends(connection),
        **link,
        **_describe_job(stream),
        **{key: stream.details[key] for key in STREAM_DETAILS if key in stream.details},
    }


def describe_connection(connection: "Connection", now: float) -> Object:
    """A connection object: its socket, and the protocol layers on it from far to near."""
    stack = [
        _describe_layer(connection, index, layer_id, tag, now)
        for index, (layer_id, tag) in enumerate(zip(connection.layer_ids, connection.tags, strict=True))
    ]
    settings = [_describe_job(stream) for stream in connection.streams]
    jobs = {key: value for one in settings for key, value in one.items()}
    return {"carrier": describe_carrier(connection), "stack": [*stack], **jobs}


def describe_carrier(connection: "Connection") -> Object:
    """A carrier object: the socket of a connection."""
    (near_ip, near_port), (far_ip, far_port) = connection.near, connection.far
    udp = connection.tags[0] == "UDP"
    carrier: Object = {
        "id": connection.carrier_id,
        "type": "IOHT_UDP_CARRIER" if udp else "IOHT_TCP_CARRIER",
        "nearIP": near_ip,
        "nearPort": near_port,
        "rx": connection.bytes_received,
    }
    if not udp:
        carrier |= {"farIP": far_ip, "farPort": far_port, "tx": connection.bytes_sent}
    return carrier


def describe_acceptor_carrier(acceptor: "Acceptor") -> Object:
    """A carrier object: a listening socket."""
    return {"id": acceptor.id, "type": "IOHT_ACCEPTOR", "nearIP": acceptor.config.ip, "nearPort": acceptor.port}


def describe_service(acceptor: "Acceptor") -> Object:
    """A service object: a listening port and what is spoken there."""
    config = acceptor.config
    service: Object = {
        "id": acceptor.id,
        "ip": config.ip,
        "port": acceptor.port,
        "protocol": config.protocol,
        "enabled": acceptor.enabled,
        "acceptedConnectionsCount": acceptor.accepted,
        "droppedConnectionsCount": acceptor.dropped,
        "appId": APPLICATION_ID,
        "appName": APPLICATION_NAME,
        "sslCert": config.ssl_cert,
        "sslKey": config.ssl_key,
    }
    optional: Object = {
        "useLengthPadding": config.use_length_padding,
        "waitForMetadata": config.wait_for_metadata,
        "clustering": config.clustering,
        "localStreamName": config.local_stream_name,
    }
    return service | {key: value for key, value in optional.items() if value}


def _describe_job(stream: "InboundStream | OutboundStream") -> Object:
    """The settings of the job that the stream belongs to: ``pullSettings`` or ``pushSettings``."""
    return {f"{stream.job.kind}Settings": stream.job.configuration} if stream.job else {}


def _describe_ends(connection: "Connection | None") -> Object:
    (near_ip, near_port), (far_ip, far_port) = (connection.near, connection.far) if connection else (("", 0), ("", 0))
    return {
        "ip": near_ip,
        "port": near_port,
        "nearIp": near_ip,
        "nearPort": near_port,
        "farIp": far_ip,
        "farPort": far_port,
    }


def _describe_layer(connection: "Connection", index: int, layer_id: int, tag: str, now: float) -> Object:
    layer: Object = {
        "id": layer_id,
        "type": tag,
        "applicationId": APPLICATION_ID if index else 0,
        "creationTimestamp": milliseconds(connection.created),
        "queryTimestamp": milliseconds(now),
        "isEnqueueForDelete": False,
    }
    if index == len(connection.tags) - 1:
        layer["streams"] = [describe_stream(stream, now) for stream in connection.streams]
        layer |= {key: connection.details[key] for key in LAYER_DETAILS if key in connection.details}
    return layer


def _first(tracks: tuple[Track, ...], kind: Kind) -> Track | None:
    return next((track for track in tracks if track.kind is kind), None)


def _describe_audio(track: Track | None, counters: "TrackCounters") -> Object:
    return _describe_counters(CODEC_TAGS[track.codec] if track else NO_AUDIO, counters)


def _describe_video(track: Track | None, counters: "TrackCounters") -> Object:
    return _describe_counters(CODEC_TAGS[track.codec] if track else NO_VIDEO, counters) | {
        "width": track.width if track else 0,
        "height": track.height if track else 0,
        "profile": track.profile if track else 0,
        "level": track.level if track else 0,
    }


def _describe_counters(codec: str, counters: "TrackCounters") -> Object:
    return {
        "codec": codec,
        "codecNumeric": tag_number(codec),
        "packetsCount": counters.packets,
        "bytesCount": counters.bytes,
        "droppedPacketsCount": counters.dropped_packets,
        "droppedBytesCount": counters.dropped_bytes,
    }
