"""Recorded sessions of RTMP clients: everything a publisher and a player may say, for tests that damage it.

`HANDSHAKE` is what a plain client sends before; chunk size is 128 as at the beginning of every connection.
"""

from ems.formats import amf0
from ems.protocols.rtmp.chunks import Message, chunked
from tests.conversation import (
    AAC_HEADER,
    AUDIO,
    AVC_HEADER,
    DATA,
    VIDEO,
    audio,
    call,
    connect,
    create_stream,
    group,
    metadata,
    play,
    publish,
    video,
)
from tests.unit.media.vectors import AC3_STEREO, AV1C, HVCC_MAIN, OPUS_STEREO, STREAMINFO

HANDSHAKE = b"\3" + bytes(1536) + bytes(1536)

OPENING = [connect(fourCcList=["*"], capsEx=2.0), create_stream(2)]

PUBLISHING = [
    *OPENING,
    call("releaseStream", None, "cam", transaction=3),
    call("FCPublish", None, "cam", transaction=4),
    publish("cam", 1),
    metadata(width=640.0, height=360.0, videocodecid=7.0, encoder="an encoder", keyframes=[1.0, 2.0, {"a": None}]),
    video(0, AVC_HEADER),
    audio(0, AAC_HEADER),
    *group(0),
    video(200, b"\x90hvc1" + HVCC_MAIN),
    video(200, b"\x93hvc1\0\0\0\4\x26\1ab"),
    video(240, b"\x96\x10avc1\1" + len(AVC_HEADER[5:]).to_bytes(3, "big") + AVC_HEADER[5:]),
    video(280, b"\x97\2\0\1\0\3hvc1\0\0\0\4\x26\1ab"),
    video(300, b"\x90av01" + AV1C),
    video(320, b"\x12sorenson"),
    audio(320, b"\xb2speex"),
    audio(330, b"\x90Opus" + OPUS_STEREO),
    audio(340, b"\x91Opuspacket"),
    audio(350, b"\x90fLaC" + STREAMINFO),
    audio(360, b"\x91ac-3" + AC3_STEREO),
    audio(370, b"\x2f\xff\xfb\x90\x64mp3"),
    Message(DATA, 1, 380, amf0.encode("onCuePoint", {"name": "x", "time": 1.0})),
    Message(15, 1, 380, b"\0" + amf0.encode("onText", [1.0, amf0.AmfDate(5.0)])),
    Message(22, 1, 400, b"\x09\0\0\7\0\1\x90\0\0\0\0" + b"\x27\1\0\0\0\0\0" + b"\0\0\0\x12"),
    video(440, AVC_HEADER),
    *group(480),
    call("FCUnpublish", None, "cam", transaction=5),
    call("deleteStream", None, 1.0, transaction=6),
]

PLAYING = [
    *OPENING,
    Message(4, 0, 0, b"\0\3\0\0\0\1\0\0\3\xe8"),
    call("getStreamLength", None, "cam", transaction=3),
    call("FCSubscribe", None, "cam", transaction=4),
    play("cam", 1, -2000.0, -1000.0, True),
    call("receiveAudio", None, False, stream_id=1),
    call("receiveVideo", None, True, stream_id=1),
    call("pause", None, True, 0.0, stream_id=1),
    call("pause", None, False, 0.0, stream_id=1),
    call("seek", None, 5000.0, stream_id=1),
    Message(3, 0, 0, b"\0\1\0\0"),
    Message(5, 0, 0, b"\0\0\x40\0"),
    play("other", 1, -2000.0, 1000.0, False),
    play("cam", 1),
    call("closeStream", None, stream_id=1),
    call("deleteStream", None, 1.0),
]


def on_the_wire(messages: list[Message], chunk_size: int = 128) -> bytes:
    """A session's bytes behind the handshake."""
    streams = {AUDIO: 4, VIDEO: 6, DATA: 5}
    return b"".join(chunked(streams.get(m.type_id, 3), m, chunk_size) for m in messages)
