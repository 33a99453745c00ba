"""What the server answers to each method (RFC 2326 §10)."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ems.errors import CommandError, MalformedData
from ems.formats import sdp
from ems.protocols.rtsp.address import Address, parse_address, published_name
from ems.protocols.rtsp.description import Medium, describe, offered_media
from ems.protocols.rtsp.record import RecordSession
from ems.protocols.rtsp.reply import Refused, Reply
from ems.protocols.rtsp.session import PlaySession, Session, stream_of
from ems.protocols.rtsp.tracks import wait_for_tracks
from ems.protocols.rtsp.transport import parse_transports
from ems.protocols.rtsp.wire import Request
from ems.streams.inbound import InboundStream

if TYPE_CHECKING:
    from ems.protocols.rtsp.server import RtspConnection

SDP_TYPE = "application/sdp"

TRACKS_SECONDS = 5.0
"""How long DESCRIBE waits for a stream that has just come to tell what it consists of."""


async def options(connection: "RtspConnection", request: Request) -> Reply:
    """§10.1: what can be asked for."""
    return Reply(200, {"Public": PUBLIC})


async def parameter(connection: "RtspConnection", request: Request) -> Reply:
    """§10.8 and §10.9: there are no parameters, but clients keep their sessions alive by asking."""
    return Reply()


async def describe_stream(connection: "RtspConnection", request: Request) -> Reply:
    """§10.2: the SDP of a stream."""
    accepted = request.headers.get("Accept", SDP_TYPE).lower()
    if not any(kind in accepted for kind in (SDP_TYPE, "application/*", "*/*")):
        raise Refused(406, "it accepts no SDP")
    address = parse_address(request.uri)
    name, stream = stream_of(connection, address)
    media = await _media_when_known(connection, address, stream)
    group = connection.factory.broadcasts.group
    body = describe(name, media, connection.near[0], (stream.id, 1), group)
    base = request.uri if request.uri.endswith("/") else request.uri + "/"
    return Reply(200, {"Content-Type": SDP_TYPE, "Content-Base": base}, body)


async def set_up(connection: "RtspConnection", request: Request) -> Reply:
    """§10.4: how a medium is to be carried. The first one of a connection begins a session."""
    header = request.headers.all("Transport")
    if len(header) != 1:
        raise Refused(400, "there has to be one Transport header")
    offers = parse_transports(header[0])
    session = connection.session
    if isinstance(session, RecordSession):
        if session.stream is not None:
            raise Refused(455, "it records already")
        transport = session.set_up(request.uri, offers)
        return Reply(200, {"Transport": str(transport)})
    address = parse_address(request.uri)
    if session is None:
        if any(offer.mode == "RECORD" for offer in offers):
            raise Refused(455, "SETUP to record without ANNOUNCE")
        session = await _begin_playing(connection, address)
    assert isinstance(session, PlaySession)
    if session.play is not None:
        raise Refused(455, "it plays already")
    medium = _medium(session, address)
    transport = session.set_up(medium, offers, _block_size(request))
    # Only now is it sure that there is something in the session.
    connection.session = session
    return Reply(200, {"Transport": str(transport)})


async def play(connection: "RtspConnection", request: Request) -> Reply:
    """§10.5: send, from now on; while it is playing only a sign of life."""
    session = connection.session
    if not isinstance(session, PlaySession) or not session.setups:
        raise Refused(455, "PLAY before SETUP")
    scale = request.headers.get("Scale", "1")
    if scale.strip() not in ("1", "1.0", "1.00", "1.000000"):
        raise Refused(406, f"a live stream has no Scale {scale[:20]!r}")
    was_playing = session.play is not None and session.play.playing
    information = session.start_playing(request.uri)
    headers = {"Range": "npt=now-"}
    if information:
        headers["RTP-Info"] = ",".join(map(str, information))
    return Reply(200, headers) if was_playing else Reply(200, headers, then=session.begin)


async def pause(connection: "RtspConnection", request: Request) -> Reply:
    """§10.6: send nothing for a while."""
    session = connection.session
    if isinstance(session, RecordSession):
        raise Refused(455, "who records cannot pause")
    if not isinstance(session, PlaySession) or session.play is None:
        raise Refused(455, "PAUSE before PLAY")
    session.pause()
    return Reply()


async def tear_down(connection: "RtspConnection", request: Request) -> Reply:
    """§10.7: the session ends; the connection may go on with another one."""
    session = connection.session
    if session is None:
        raise Refused(454, "there is no session")
    return Reply(200, {"Session": session.id}, then=lambda: connection.end_session("the client has left"))


async def announce(connection: "RtspConnection", request: Request) -> Reply:
    """§10.3: what the client is about to publish."""
    if connection.session is not None:
        raise Refused(455, "there is a session already")
    if request.headers.get("Content-Type").partition(";")[0].strip().lower() != SDP_TYPE:
        raise Refused(415, "ANNOUNCE without an SDP", {"Accept": SDP_TYPE})
    if not request.body:
        raise Refused(400, "ANNOUNCE without a body")
    try:
        description = sdp.parse(request.body)
    except MalformedData as error:
        raise Refused(400, str(error)) from error
    name = published_name(request.uri) or description.name
    _require_free(connection, name)
    connection.session = RecordSession(connection, request.uri, name, description)
    return Reply()


async def record(connection: "RtspConnection", request: Request) -> Reply:
    """§10.11: the client publishes, from now on."""
    session = connection.session
    if not isinstance(session, RecordSession) or not session.setups:
        raise Refused(455, "RECORD before ANNOUNCE and SETUP")
    session.record()
    return Reply(200, {"Range": "npt=now-"})


METHODS: "dict[str, Callable[[RtspConnection, Request], Awaitable[Reply]]]" = {
    "OPTIONS": options,
    "DESCRIBE": describe_stream,
    "SETUP": set_up,
    "PLAY": play,
    "PAUSE": pause,
    "TEARDOWN": tear_down,
    "ANNOUNCE": announce,
    "RECORD": record,
    "GET_PARAMETER": parameter,
    "SET_PARAMETER": parameter,
}
PUBLIC = ", ".join(METHODS)

NEEDS_SESSION = frozenset(("PLAY", "PAUSE", "TEARDOWN", "RECORD"))


def session_of(connection: "RtspConnection", request: Request) -> Session | None:
    """The session that a request is of. Raises `Refused` (454) when it names another one, or none where it has to."""
    given = request.headers.get("Session").partition(";")[0].strip()
    session = connection.session
    if given and (session is None or given != session.id):
        raise Refused(454, "the session is not one of this connection")
    recording = isinstance(session, RecordSession) and not session.setups
    if session is not None and not given and not recording and request.method in (*NEEDS_SESSION, "SETUP"):
        raise Refused(454, f"{request.method} without its session")
    return session


async def _begin_playing(connection: "RtspConnection", address: Address) -> PlaySession:
    name, stream = stream_of(connection, address)
    media = await _media_when_known(connection, address, stream)
    return PlaySession(connection, address, name, stream, media)


def _medium(session: PlaySession, address: Address) -> Medium:
    """The medium that SETUP names; a presentation with one medium need not name it."""
    if address.medium is None and len(session.media) > 1:
        raise Refused(459, "SETUP of a whole presentation")
    wanted = session.media[0].number if address.medium is None else address.medium
    found = next((medium for medium in session.media if medium.number == wanted), None)
    if found is None:
        raise Refused(404, f"there is no medium {wanted}")
    return found


def _block_size(request: Request) -> int | None:
    """The size of packets that the client asks for (§12.7)."""
    text = request.headers.get("Blocksize").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else None


def _require_free(connection: "RtspConnection", name: str) -> None:
    """Raise `Refused` (403) when nothing can be published under that name, before the client sends anything."""
    server = connection.server
    try:
        public_name = server.ingest_points.public_name(name)
    except CommandError as error:
        raise Refused(403, str(error)) from error
    if server.streams.by_name(public_name) is not None:
        raise Refused(403, f"the name {public_name!r} is taken")


async def _media_when_known(connection: "RtspConnection", address: Address, stream: InboundStream) -> tuple[Medium, ...]:
    """The media of a stream, which may have to be waited for. Raises `Refused` (404, 415) when there are none."""
    await wait_for_tracks(stream, connection.server.clock, TRACKS_SECONDS)
    media = offered_media(stream.tracks, ts=address.ts)
    if not media:
        form = "MPEG-TS" if address.ts else "RTP"
        raise Refused(415 if stream.tracks else 404, f"nothing of {stream.name!r} can be sent as {form}")
    return media
