"""SDP (RFC 8866): what a session consists of, in text, and how that relates to tracks.

`parse` and `bytes()` of a `SessionDescription` are one half (`description`), `track_of` and `media_of` the other (`tracks`).
"""

from ems.formats.sdp.description import (
    DIRECTIONS,
    MAX_LINE,
    MAX_LINES,
    MAX_MEDIAS,
    MAX_SIZE,
    STATIC_TYPES,
    Attribute,
    Connection,
    Media,
    RtpMap,
    SessionDescription,
    parse,
)
from ems.formats.sdp.tracks import (
    RTP_TRANSPORT,
    chosen_type,
    media_of,
    parameter_sets,
    payload_type_of,
    track_of,
    transport_stream_media,
)

__all__ = [
    "DIRECTIONS",
    "MAX_LINE",
    "MAX_LINES",
    "MAX_MEDIAS",
    "MAX_SIZE",
    "RTP_TRANSPORT",
    "STATIC_TYPES",
    "Attribute",
    "Connection",
    "Media",
    "RtpMap",
    "SessionDescription",
    "chosen_type",
    "media_of",
    "parameter_sets",
    "parse",
    "payload_type_of",
    "track_of",
    "transport_stream_media",
]
