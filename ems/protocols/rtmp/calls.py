"""The remote calls that a client makes, and what is done about each (Adobe RTMP 1.0 §7.2 and the habits of real encoders)."""

import secrets
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ems.errors import CommandError
from ems.formats.amf0 import UNDEFINED
from ems.formats.enhanced import CODEC
from ems.media.track import Kind
from ems.protocols.rtmp import commands
from ems.protocols.rtmp.commands import LEVEL_ERROR, LEVEL_STATUS, Command
from ems.protocols.rtmp.mapping import (
    MULTITRACK_CAPABILITY,
    fourccs_of,
    played_name,
    published_name,
    reads_multitrack,
    split_application,
)
from ems.protocols.rtmp.play import Play
from ems.protocols.rtmp.publish import Publish
from ems.protocols.rtmp.vod_play import VodPlay, answer_length
from ems.protocols.rtmp.wire import DYNAMIC_LIMIT, PEER_BANDWIDTH, WINDOW_SIZE, MessageType, UserControl
from ems.security.rtmp import Verdict
from ems.streams.ingest import UnknownIngestPoint
from ems.streams.names import checked_name, short_name

if TYPE_CHECKING:
    from ems.protocols.rtmp.server import RtmpConnection

FMS_VERSION = "FMS/3,0,1,123"
CAPABILITIES = 31

MAX_TEXT = 2048
"""Characters that are kept of what a client says of itself."""

MAX_NAME = 2048
"""Characters of a name to play, its query included: tokens in it may be long."""

LIVE_OR_RECORDED = -2.0
LIVE = -1.0

_CLIENT_KEYS = {"flashVer": "userAgent", "tcUrl": "tcUrl", "swfUrl": "swfUrl", "pageUrl": "pageUrl"}

_LOGIN_KEYS = ("tcUrl", "swfUrl")

_CHECK_BANDWIDTH_SIZE = 32767


def connect(session: "RtmpConnection", command: Command) -> None:
    """Let a client in that names our application or one of its aliases."""
    if session.verdict is not None:
        session.send(commands.error(command, "NetConnection.Connect.Failed", "already connected"))
        return
    properties = command.argument(0)
    properties = properties if isinstance(properties, dict) else {}
    app = properties.get("app")
    app = app if isinstance(app, str) else ""
    name, _ = split_application(app)
    application = session.server.config.application
    if name not in (application.name, *application.aliases):
        description = f"there is no application {name[:64]!r}"
        session.send(commands.error(command, "NetConnection.Connect.InvalidApp", description))
        session.close(description)
        return
    session.verdict = verdict = session.server.rtmp_gate.judge(app, properties, session.far[0])
    if verdict.delay:
        session.server.clock.callLater(verdict.delay, _carry_out_late, session, verdict, command, properties)
    else:
        _carry_out(session, verdict, command, properties)


def _carry_out_late(session: "RtmpConnection", verdict: Verdict, command: Command, properties: dict[str, Any]) -> None:
    if not session.closing:
        _carry_out(session, verdict, command, properties)
        session.flush()


def _carry_out(session: "RtmpConnection", verdict: Verdict, command: Command, properties: dict[str, Any]) -> None:
    if not verdict.refusal:
        _admit(session, command, properties)
        return
    session.send(commands.error(command, "NetConnection.Connect.Rejected", verdict.refusal))
    session.send(commands.call("close", 0, None))
    session.close(verdict.reason)


def _admit(session: "RtmpConnection", command: Command, properties: dict[str, Any]) -> None:
    application, session.name_prefix = split_application(properties["app"])
    # All players of an application share its name.
    session.application = sys.intern(application)
    session.fourccs = fourccs_of(properties)
    session.multitrack = reads_multitrack(properties)
    texts = {ours: properties.get(theirs) for theirs, ours in _CLIENT_KEYS.items()}
    if session.server.rtmp_gate.closed:
        texts |= {key: _without_login(texts[key]) for key in _LOGIN_KEYS}
    session.client = _client(tuple((key, text[:MAX_TEXT]) for key, text in texts.items() if isinstance(text, str)))
    _answer_connect(session, command, properties)


def _without_login(address: object) -> object:
    """An address as it may be shown: encoders repeat in its query what they log in with."""
    return address.partition("?")[0] if isinstance(address, str) else address


@lru_cache(256)
def _client(said: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """What a client says of itself, the same object for equal ones: the players of one page say the same."""
    return dict(said)


def _answer_connect(session: "RtmpConnection", command: Command, properties: dict[str, Any]) -> None:
    wire = session.wire
    wire.control(MessageType.WINDOW_ACKNOWLEDGEMENT_SIZE, WINDOW_SIZE.to_bytes(4, "big"))
    wire.control(MessageType.SET_PEER_BANDWIDTH, PEER_BANDWIDTH.to_bytes(4, "big") + bytes((DYNAMIC_LIMIT,)))
    wire.user_control(UserControl.STREAM_BEGIN, 0)
    wire.set_chunk_size()
    encoding = 3.0 if properties.get("objectEncoding") == 3 else 0.0
    info = commands.info(
        LEVEL_STATUS,
        "NetConnection.Connect.Success",
        "Connection succeeded.",
        objectEncoding=encoding,
        fourCcList=[fourcc.decode() for fourcc in CODEC],
        capsEx=float(MULTITRACK_CAPABILITY),
    )
    session.send(commands.result(command, {"fmsVer": FMS_VERSION, "capabilities": CAPABILITIES}, info))
    session.send(commands.call("onBWDone", 0, None, 8192))


def create_stream(session: "RtmpConnection", command: Command) -> None:
    """Give the client a message stream id, the first that is free."""
    stream_id = next((i for i in range(1, session.MAX_STREAMS + 1) if i not in session.net_streams), 0)
    if not stream_id:
        description = f"at most {session.MAX_STREAMS} streams on one connection"
        session.send(commands.error(command, "NetConnection.Call.Failed", description))
        return
    session.make(stream_id)
    session.send(commands.result(command, None, stream_id))


def release_stream(session: "RtmpConnection", command: Command) -> None:
    """An encoder makes sure that its name is free; it is told so, whether or not it was."""
    if not _refused_to_publish(session, command):
        session.send(commands.result(command, None, UNDEFINED))


def fc_publish(session: "RtmpConnection", command: Command) -> None:
    """An encoder of Flash Media Live Encoder's kind is about to publish."""
    if _refused_to_publish(session, command):
        return
    session.send(commands.result(command, None, UNDEFINED))
    info = commands.info(LEVEL_STATUS, "NetStream.Publish.Start", f"FCPublish to stream {command.text(1)}.")
    session.send(commands.call("onFCPublish", 0, None, info))


def fc_subscribe(session: "RtmpConnection", command: Command) -> None:
    """A player of that kind is about to play."""
    info = commands.info(LEVEL_STATUS, "NetStream.Play.Start", f"FCSubscribe to stream {command.text(1)}.")
    session.send(commands.call("onFCSubscribe", 0, None, info))


def fc_unpublish(session: "RtmpConnection", command: Command) -> None:
    """The encoder stops publishing that name."""
    session.send(commands.result(command, None, UNDEFINED))
    name = session.name_prefix + published_name(command.text(1))
    for stream_id, used in [*session.net_streams.items()]:
        if isinstance(used, Publish) and used.name == name:
            _unpublish(session, stream_id)


def publish(session: "RtmpConnection", command: Command) -> None:
    """Make the message stream the source of a live stream; the types live, record and append all do."""
    stream_id = command.stream_id
    name = published_name(command.text(1))
    if not name:
        _unpublish(session, stream_id)
        return
    name = session.name_prefix + name
    session.release(stream_id, "published anew")
    try:
        _require_stream(session, stream_id)
        _require_login(session)
        public_name = session.server.ingest_points.public_name(name)
        stream = session.server.streams.register(public_name, type_tag="INR", source=session)
    except CommandError as error:
        _status(session, stream_id, LEVEL_ERROR, "NetStream.Publish.BadName", str(error), name)
        if isinstance(error, UnknownIngestPoint):
            session.close(str(error))
        return
    stream.details = session.client if public_name == name else {**session.client, "ingestPoint": name}
    session.use(stream_id, Publish(stream, name))
    session.server.intake.add(session)
    _status(session, stream_id, LEVEL_STATUS, "NetStream.Publish.Start", f"Started publishing stream {name}.", name)


def play(session: "RtmpConnection", command: Command) -> None:
    """Play the live stream of that name; without one, or with a start greater than 0, the recording; else wait for the stream."""
    stream_id = command.stream_id
    name = command.text(1)
    session.release(stream_id, "plays something else")
    start = _seconds_or_special(command.number(2, LIVE_OR_RECORDED * 1000))
    duration = command.number(3, -1000.0)
    reset = command.argument(4, True) not in (False, 0.0)
    try:
        _require_stream(session, stream_id)
    except CommandError as error:
        _status(session, stream_id, LEVEL_ERROR, "NetStream.Play.Failed", str(error), name)
        return
    try:
        shown, real_name = _played(session, name, start)
    except CommandError as error:
        _status(session, stream_id, LEVEL_ERROR, "NetStream.Play.StreamNotFound", str(error), name[:MAX_NAME])
        return
    if _has_recordings(session) and start != LIVE and (start > 0 or session.server.streams.by_name(real_name) is None):
        recording = VodPlay(session, stream_id, real_name, shown)
        session.use(stream_id, recording)
        recording.begin(start_ms=start * 1000, duration_ms=duration, reset=reset)
        return
    playing = Play(session, stream_id, real_name, shown)
    session.use(stream_id, playing)
    playing.begin(reset=reset, duration_ms=duration)


def pause(session: "RtmpConnection", command: Command) -> None:
    """Stop or go on playing."""
    playing = session.net_streams.get(command.stream_id)
    if isinstance(playing, Play | VodPlay):
        playing.pause(command.argument(1) is True)


def pause_raw(session: "RtmpConnection", command: Command) -> None:
    """Flash sends this beside `pause`; it is taken in without effect."""


def seek(session: "RtmpConnection", command: Command) -> None:
    """Go to another place of a recording; live streams have none."""
    playing = session.net_streams.get(command.stream_id)
    if isinstance(playing, VodPlay) and isinstance(command.argument(1), float):
        playing.seek(command.number(1, 0))
        return
    code = "NetStream.Seek.Failed" if isinstance(command.argument(1), float) else "NetStream.Seek.InvalidTime"
    _status(session, command.stream_id, LEVEL_ERROR, code, "a live stream has no other places to go to", "")


def receive_audio(session: "RtmpConnection", command: Command) -> None:
    """Switch the sound of what is played on or off."""
    _receive(session, command, Kind.AUDIO)


def receive_video(session: "RtmpConnection", command: Command) -> None:
    """Switch the picture of what is played on or off."""
    _receive(session, command, Kind.VIDEO)


def close_stream(session: "RtmpConnection", command: Command) -> None:
    """End what the message stream does; it may be used again."""
    _end(session, command.stream_id)


def delete_stream(session: "RtmpConnection", command: Command) -> None:
    """End what a message stream does and forget its id."""
    stream_id = int(command.number(1, command.stream_id))
    _end(session, stream_id)
    session.forget(stream_id)


def get_stream_length(session: "RtmpConnection", command: Command) -> None:
    """The length in seconds of a recording: 0 for what is live, and where only aliases are known to players."""
    name = session.name_prefix + played_name(command.text(1))
    server = session.server
    if _unplayable(name) or not _has_recordings(session) or server.aliases.enabled or server.streams.by_name(name):
        session.send(commands.result(command, None, 0))
    else:
        answer_length(session, command, name)


def check_bandwidth(session: "RtmpConnection", command: Command) -> None:
    """Let the client measure its line: 32 KiB of noise, once, whose arrival it answers."""
    if session.server.config.application.enable_check_bandwidth and not session.bandwidth_checked:
        session.bandwidth_checked = True
        noise = secrets.token_hex(_CHECK_BANDWIDTH_SIZE // 2 + 1)[:_CHECK_BANDWIDTH_SIZE]
        session.send(commands.call("onBWCheck", command.transaction_id or 1, None, noise))
    elif command.transaction_id:
        session.send(commands.result(command, None, UNDEFINED))


def answered(session: "RtmpConnection", command: Command) -> None:
    """The client answers a call of ours: only the bandwidth check is waited for."""
    if command.name == "_result" and command.transaction_id:
        session.send(commands.call("onBWDone", 0, None, 8192))


def _receive(session: "RtmpConnection", command: Command, kind: Kind) -> None:
    playing = session.net_streams.get(command.stream_id)
    if isinstance(playing, Play | VodPlay):
        playing.receive(kind, command.argument(1) is True)


def _end(session: "RtmpConnection", stream_id: int) -> None:
    if isinstance(session.net_streams.get(stream_id), Publish):
        _unpublish(session, stream_id)
    else:
        session.release(stream_id, "the player stopped")


def _unpublish(session: "RtmpConnection", stream_id: int) -> None:
    used = session.net_streams.get(stream_id)
    if not isinstance(used, Publish):
        return
    name = used.name
    session.release(stream_id, "the publisher stopped")
    _status(session, stream_id, LEVEL_STATUS, "NetStream.Unpublish.Success", f"{name} is now unpublished.", name)
    info = commands.info(LEVEL_STATUS, "NetStream.Unpublish.Success", f"FCUnpublish of stream {name}.")
    session.send(commands.call("onFCUnpublish", 0, None, info))


def _has_recordings(session: "RtmpConnection") -> bool:
    return session.server.vod is not None and session.server.vod.available


def _played(session: "RtmpConnection", name: str, start: float) -> tuple[str, str]:
    """What a player calls what it wants, and the real name of that. Raises `CommandError` for what cannot be played."""
    refusal = _unplayable(name)
    if start > 0 and not _has_recordings(session):
        refusal = f"there is no recording {name[:MAX_NAME]!r}"
    if refusal:
        raise CommandError(refusal)
    shown = session.name_prefix + played_name(name)
    return shown, _real_name(session, shown)


def _unplayable(name: str) -> str:
    """Why no stream can ever have the name that a player asks for, empty when one can."""
    if len(name) > MAX_NAME:
        return f"a name has at most {MAX_NAME} characters with its query, this one has {len(name)}"
    try:
        checked_name(published_name(played_name(name)))
    except CommandError as error:
        return str(error)
    return ""


def _real_name(session: "RtmpConnection", shown: str) -> str:
    """The stream behind the name that a player uses. Raises `CommandError` for what no player may use."""
    if short_name(shown) in session.server.ingest_points:
        raise CommandError(f"there is no stream {short_name(shown)!r}")
    return session.server.aliases.resolve(shown)


def _require_login(session: "RtmpConnection") -> None:
    assert session.verdict is not None
    if session.server.rtmp_gate.closed and not session.verdict.may_publish:
        raise CommandError("publishing needs authentication: connect with user name and password (authmod=adobe)")


def _refused_to_publish(session: "RtmpConnection", command: Command) -> bool:
    """Whether the client may not publish; then its call has been answered."""
    try:
        _require_login(session)
    except CommandError as error:
        session.send(commands.error(command, "NetStream.Publish.BadName", str(error)))
        return True
    return False


def _require_stream(session: "RtmpConnection", stream_id: int) -> None:
    if stream_id not in session.net_streams:
        raise CommandError(f"there is no message stream {stream_id}: createStream makes one")


def _seconds_or_special(start: float) -> float:
    """The start of `play` in seconds; clients send milliseconds, and the special values -2 and -1 in either unit."""
    return start if start in (LIVE_OR_RECORDED, LIVE) else start / 1000


def _status(session: "RtmpConnection", stream_id: int, level: str, code: str, description: str, name: str) -> None:
    session.send(commands.on_status(stream_id, level, code, description, details=name, clientid=session.client_id))


CALLS: dict[str, Callable[["RtmpConnection", Command], None]] = {
    "connect": connect,
    "createStream": create_stream,
    "releaseStream": release_stream,
    "FCPublish": fc_publish,
    "FCUnpublish": fc_unpublish,
    "FCSubscribe": fc_subscribe,
    "publish": publish,
    "play": play,
    "pause": pause,
    "pauseRaw": pause_raw,
    "seek": seek,
    "receiveAudio": receive_audio,
    "receiveVideo": receive_video,
    "closeStream": close_stream,
    "deleteStream": delete_stream,
    "getStreamLength": get_stream_length,
    "checkBandwidth": check_bandwidth,
    "_checkbw": check_bandwidth,
    "_result": answered,
    "_error": answered,
    "onStatus": pause_raw,
}
