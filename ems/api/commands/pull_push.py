"""Commands that bring streams from other servers and send ours to them."""

import secrets
import string
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from ems.api.arguments import Arguments
from ems.api.command import Answer, CommandGroup, Json, Parameter, Type, flag, integer, text
from ems.errors import CommandError
from ems.interfaces import IScaledSource
from ems.jobs.destinations import leads_back, names_stream, resolve
from ems.jobs.settings import PULL, PULL_EXTRAS, PUSH, Settings
from ems.security.uris import check_destination
from ems.streams.names import checked_name
from ems.uri import Uri

if TYPE_CHECKING:
    from ems.server import Server

PULL_PUSH = CommandGroup("pull-push", "Pull and push", "Streams brought from other servers, and streams sent to them.")

PULL_SCHEMES = (
    "rtmp, rtmps, rtmpt, rtsp, rtsps, rtp, mpegtsudp and mpegtstcp (bytes as they are), dmpegtsudp and dmpegtstcp, "
    "file (a local .sdp)"
)
PUSH_SCHEMES = "rtmp, rtmps, rtmpt, rtsp, rtsps, mpegtsudp and mpegtstcp"

NAMELESS = ("mpegtsudp", "mpegtstcp")
"""Schemes by which no name reaches the other side, which has its own."""

RANGE_MAX = 999_999_999
OS_DEFAULT = 256
"""``ttl`` and ``tos``: whatever the operating system does."""

USER_AGENTS = {
    "evo": "EvoStream Media Server (www.evostream.com) player",
    "fmle": "FMLE/3.0 (compatible; FMSc/1.0)",
    "wirecast": "Wirecast/FM 1.0 (compatible; FMSc/1.0)",
    "flash": "MAC 11,3,300,265",
}
"""Words for what other programs call themselves."""

USER_AGENT_WORDS = f"{', '.join(USER_AGENTS)} stand for what those programs say"

SOURCE_INDICES = ("high", "med", "low")

_NAME_CHARACTERS = string.ascii_letters + string.digits
_log = Logger(namespace="jobs")


def source_parameters(*, keep_alive: bool, force_tcp: bool) -> tuple[Parameter, ...]:
    """What describes a source besides its address: the same for pulls at once and pulls on demand."""
    return (
        flag("keepAlive", keep_alive, "Try again whenever the source is lost or does not answer."),
        flag("forceTcp", force_tcp, "RTSP: take media inside the RTSP connection instead of over UDP."),
        text("tcUrl", "RTMP: the tcUrl of connect; made from the address when empty."),
        text("pageUrl", "RTMP: the page that is said to hold the player."),
        text("swfUrl", "RTMP: the player that is said to ask."),
        integer(
            "rangeStart",
            "RTSP, RTMP: the second at which to begin; -2 and -1 leave it to the source.",
            default=-2,
            minimum=-2,
            maximum=RANGE_MAX,
        ),
        integer(
            "rangeEnd",
            "RTSP, RTMP: the second at which to stop, later than rangeStart; -1 is the end.",
            default=-1,
            minimum=-1,
            maximum=RANGE_MAX,
        ),
        *socket_parameters(),
        integer(
            "rtcpDetectionInterval",
            "Seconds to wait for RTCP sender reports before a source counts as one without; 0 does not wait. A pull without it "
            "waits as long as config.lua says.",
            default=10,
            minimum=0,
            maximum=60,
        ),
        user_agent(),
        flag("isAudio", True, "Raw RTP: the payload is audio; 0 is video."),
        text("audioCodecBytes", "Raw RTP audio, needed there: the AAC AudioSpecificConfig in hexadecimal digits."),
        text("spsBytes", "Raw RTP video, needed there: the H.264 sequence parameter set in base64."),
        text("ppsBytes", "Raw RTP video, needed there: the H.264 picture parameter set in base64."),
        text("ssmIp", "Multicast: the only sender from whom to take packets."),
        http_proxy(),
        flag("sendRenewStream", False, "RTSP: send RenewStream in SET_PARAMETER whenever a viewer comes."),
    )


def socket_parameters() -> tuple[Parameter, ...]:
    """What is set on a connection's IP packets."""
    return (
        integer("ttl", "IP time to live; 256 is the system's own.", default=OS_DEFAULT, minimum=0, maximum=OS_DEFAULT),
        integer("tos", "IP type of service; 256 is the system's own.", default=OS_DEFAULT, minimum=0, maximum=OS_DEFAULT),
    )


def user_agent() -> Parameter:
    """What the server calls itself as a client."""
    return text(
        "emulateUserAgent",
        f"What the server calls itself to the other side; {USER_AGENT_WORDS}.",
        default_text="the server's name and version",
    )


def http_proxy() -> Parameter:
    """RTSP through HTTP."""
    return text(
        "httpProxy", "RTSP inside HTTP: `self` asks the server of the address itself, otherwise a proxy as IP or IP:port."
    )


@PULL_PUSH.command(
    "pullStream",
    "Connects to a source and offers what it sends as an inbound stream. Success means that the pull has begun, not that the "
    "source answers: listConfig tells its state.",
    text("uri", f"Address of the source. Schemes: {PULL_SCHEMES}. May hold user:password@.", mandatory=True),
    text("localStreamName", "Name of the stream here; it must be free.", default_text="stream_ and 8 random characters"),
    *source_parameters(keep_alive=True, force_tcp=False),
    text("rangeTimeStart", "Like rangeStart, as a time of day; not together with it."),
    text("rangeTimeEnd", "Like rangeEnd, as a time of day."),
    text(
        "sourceType",
        "Whether the source is `live` or `vod`. It is kept with the pull and changes nothing.",
        values=("", "live", "vod"),
        values_error="sourceType can only have values of live or vod",
    ),
    text("sdpCustParams", "Further parameters for the request of the session description."),
    text(
        "videoSourceIndex",
        "Encoder of a local camera: high, med or low; anything else is high. It is kept with the pull and changes nothing: "
        "there are no local cameras here.",
        default="high",
    ),
    flag("serializeToConfig", True, "Keep the pull over a restart."),
    answer="Stream {uri} enqueued for pulling",
    data="the pull's configuration, with `configId`; `uri` is an object",
    example="pullStream uri=rtsp://192.0.2.40/cam/7 localStreamName=lobby",
    ascii_fields="localStreamName configId keepAlive forceTcp uri scheme port fullUri",
    rejects_empty_parameter_list=True,
    user_variables=True,
)
async def pull_stream(server: "Server", arguments: Arguments) -> Json:
    uri = Uri.parse(arguments.text("uri"))
    proxy, addresses = await _destination(server, arguments, uri)
    name = checked_name(arguments.text("localStreamName") if arguments.values["localStreamName"] else _random_name())
    server.jobs.check_free(name)
    _check_raw_rtp(uri, arguments)
    _check_range(arguments)
    _check_target("pull", uri, addresses, server.jobs.pullers)
    if names_stream(uri.path, name) and leads_back(server, uri, addresses):
        raise CommandError(f"Unable to pull requested stream: {name} at {uri.without_credentials} is the very same stream")
    settings = _settings(server, arguments, PULL) | {"uri": uri.text, "localStreamName": name, "httpProxy": proxy}
    if "rtcpDetectionInterval" not in arguments.given:
        settings["rtcpDetectionInterval"] = server.config.application.rtcp_detection_interval
    job = await server.jobs.pull(settings | _extras(arguments) | arguments.user_variables)
    return {**job.configuration, "uri": uri.as_dict(addresses[0] if addresses else "")}


@PULL_PUSH.command(
    "pushStream",
    "Sends a stream to another server. The stream need not be there yet.",
    text("uri", f"Address to send to; for RTMP without the stream's name. Schemes: {PUSH_SCHEMES}.", mandatory=True),
    text("localStreamName", "The stream to send.", mandatory=True),
    user_agent(),
    text("targetStreamName", "Its name there.", default_text="localStreamName"),
    text("targetStreamType", "RTMP: how it is published.", default="live", values=("live", "record", "append")),
    text("tcUrl", "RTMP: the tcUrl of connect; made from the address when empty."),
    text("pageUrl", "RTMP: the page that is said to hold the encoder."),
    text("swfUrl", "RTMP: the program that is said to publish."),
    *socket_parameters(),
    flag("keepAlive", True, "Connect again whenever the other side is lost."),
    flag("rtmpAbsoluteTimestamps", False, "RTMP: send absolute timestamps instead of differences."),
    flag("sendChunkSizeRequest", True, "RTMP: announce our chunk size after connecting."),
    flag("useSourcePts", False, "Keep the source's timestamps instead of starting at zero."),
    flag("forceTcp", False, "RTSP: send media inside the RTSP connection instead of over UDP."),
    http_proxy(),
    answer="Local stream {localStreamName} enqueued for pushing to {uri} as {targetStreamName}",
    data="the push's configuration, with `configId`; `targetUri` is an object",
    example="pushStream uri=rtmp://198.51.100.9/live localStreamName=lobby targetStreamName=lobby2",
    ascii_fields="localStreamName configId forceTcp keepAlive targetStreamName targetStreamType targetUri fullUri port scheme",
    rejects_empty_parameter_list=True,
    user_variables=True,
)
async def push_stream(server: "Server", arguments: Arguments) -> Answer:
    uri = Uri.parse(arguments.text("uri"))
    proxy, addresses = await _destination(server, arguments, uri)
    name = checked_name(arguments.text("localStreamName"))
    target = str(arguments.values["targetStreamName"] or name)
    _check_target("push", uri, addresses, server.jobs.pushers)
    named = uri.scheme not in NAMELESS and names_stream(f"{uri.path}/{target}", name)
    if named and leads_back(server, uri, addresses):
        raise CommandError(f"Unable to push requested stream: {target} at {uri.without_credentials} is the very same stream")
    settings = _settings(server, arguments, PUSH) | {
        "targetUri": uri.text,
        "localStreamName": name,
        "targetStreamName": target,
        "httpProxy": proxy,
    }
    if "useSourcePts" not in arguments.given:
        settings["useSourcePts"] = server.config.application.use_source_pts
    job = await server.jobs.push(settings | arguments.user_variables)
    data = {**job.configuration, "targetUri": uri.as_dict(addresses[0] if addresses else "")}
    return Answer(data, f"Local stream {name} enqueued for pushing to {uri.text} as {target}")


@PULL_PUSH.command(
    "customRTSPHeaders",
    "Adds a Scale header to the PLAY request of an RTSP source: faster, slower or backwards.",
    Parameter(name="scale", type=Type.FLOAT, description="Any number but 0.", mandatory=True),
    text("localStreamName", "The stream of that source.", mandatory=True),
    answer="RTSP server adds `scale` in the header in PLAY message for streamname: {localStreamName}",
    example="customRTSPHeaders scale=2.0 localStreamName=lobby",
    rejects_empty_parameter_list=True,
)
async def custom_rtsp_headers(server: "Server", arguments: Arguments) -> Json:
    scale, name = arguments.values["scale"], arguments.text("localStreamName")
    if not isinstance(scale, float) or not scale:
        raise CommandError("Invalid parameter scale. Valid values are numeric, decimal, positive and negative")
    stream = server.streams.by_name(name)
    if stream is None or not IScaledSource.providedBy(stream.source):
        raise CommandError(f"{name} is not a stream that is pulled by RTSP")
    source: Any = stream.source
    await source.scale(scale)
    return {"localStreamName": name, "scale": str(scale)}


def _random_name() -> str:
    return "stream_" + "".join(secrets.choice(_NAME_CHARACTERS) for _ in range(8))


async def _destination(server: "Server", arguments: Arguments, uri: Uri) -> tuple[str, list[str]]:
    """The proxy as it is stored, and the addresses of the URI's host, which a proxy finds out itself."""
    proxy = await _proxy(server, arguments.text("httpProxy"))
    if not uri.host or (uri.scheme == "rtsp" and proxy not in ("", "self")):
        return proxy, []
    try:
        addresses = await resolve(server.clock, uri.host)
    except LookupError as error:
        _log.info("{uri}: {error}", uri=uri.without_credentials, error=error)
        raise CommandError(f"Invalid URI: {uri.text}") from None
    return proxy, addresses


async def _proxy(server: "Server", given: str) -> str:
    """Nothing, ``self``, or the address and port of a proxy. Raises `CommandError`."""
    proxy = given.lower()
    if proxy in ("", "self"):
        return proxy
    try:
        uri = Uri.parse(f"http://{proxy}")
        addresses = await resolve(server.clock, uri.host)
        check_destination(uri, addresses[0])
    except (CommandError, LookupError):
        addresses = []
    if not addresses or (uri.path_and_query, uri.user_name, uri.password) != ("/", "", ""):
        raise CommandError(f"Unable to parse httpProxy: {given}")
    host = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
    return f"{host}:{uri.port}"


def _check_raw_rtp(uri: Uri, arguments: Arguments) -> None:
    if uri.scheme != "rtp":
        return
    if arguments.flag("isAudio"):
        if not arguments.text("audioCodecBytes"):
            raise CommandError("Unable to pull RTP AUDIO stream without codec setup. Please include 'audioCodecBytes' parameter.")
    elif not (arguments.text("spsBytes") and arguments.text("ppsBytes")):
        raise CommandError(
            "Unable to pull RTP VIDEO stream without SPS/PPS bytes. Please include 'spsBytes' AND 'ppsBytes' parameter."
        )


def _check_range(arguments: Arguments) -> None:
    if arguments.given & {"rangeStart", "rangeEnd"} and arguments.given & {"rangeTimeStart", "rangeTimeEnd"}:
        raise CommandError("Must only fill either rangeStart/End or rangeTimeStart/End, not both")
    start, end = arguments.integer("rangeStart"), arguments.integer("rangeEnd")
    if -1 < end <= max(start, 0):
        raise CommandError(f"rangeEnd has to be later than rangeStart, or -1, got {end}")


def _check_target(verb: str, uri: Uri, addresses: list[str], known: Collection[str]) -> None:
    if uri.scheme not in known:
        schemes = ", ".join(sorted(known)) or "none"
        raise CommandError(f"Unable to {verb} requested stream: the scheme {uri.scheme} is not known here; these are: {schemes}")
    for address in addresses:
        check_destination(uri, address)


def _settings(server: "Server", arguments: Arguments, keys: Settings) -> dict[str, Any]:
    """The arguments that are settings of the same name."""
    settings: dict[str, Any] = {key: arguments.values[key] for key in keys if key in arguments.values}
    agent = str(settings["emulateUserAgent"] or server.version.user_agent)
    return settings | {"emulateUserAgent": USER_AGENTS.get(agent.lower(), agent)}


def _extras(arguments: Arguments) -> dict[str, Any]:
    """The settings that only those pulls have whose caller gave them."""
    extras = {key: arguments.values[key] for key in PULL_EXTRAS if key in arguments.given}
    if extras.get("videoSourceIndex", "high") not in SOURCE_INDICES:
        extras["videoSourceIndex"] = "high"
    return extras
