"""Commands that bring streams from other servers and send ours to them."""

from ems.api.command import CommandGroup, Parameter, Type, flag, integer, text

PULL_PUSH = CommandGroup("pull-push", "Pull and push", "Streams brought from other servers, and streams sent to them.")

URI_SCHEMES = (
    "rtmp, rtmps, rtmpt, rtmpe, rtsp, rtp, http, https, mpegtsudp and mpegtstcp (bytes as they are), dmpegtsudp and dmpegtstcp"
)

RANGE_MAX = 999_999_999
OS_DEFAULT = 256
"""``ttl`` and ``tos``: whatever the operating system does."""

USER_AGENT_WORDS = "evo, fmle, wirecast and flash stand for what those programs say"


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
            "RTSP: the second at which to begin; -2 and -1 leave it to the source.",
            default=-2,
            minimum=-2,
            maximum=RANGE_MAX,
        ),
        integer("rangeEnd", "RTSP: the second at which to stop; -1 is the end.", default=-1, minimum=-1, maximum=RANGE_MAX),
        *socket_parameters(),
        integer(
            "rtcpDetectionInterval",
            "Seconds to wait for RTCP sender reports before a source counts as one without; 0 does not wait.",
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


PULL_PUSH.command(
    "pullStream",
    "Connects to a source and offers what it sends as an inbound stream. Success means that the pull has begun, not that the "
    "source answers: listConfig tells its state.",
    text("uri", f"Address of the source. Schemes: {URI_SCHEMES}, file (a local .sdp). May hold user:password@.", mandatory=True),
    text("localStreamName", "Name of the stream here; it must be free.", default_text="stream_ and 8 random characters"),
    *source_parameters(keep_alive=True, force_tcp=False),
    text("rangeTimeStart", "Like rangeStart, as a time of day; not together with it."),
    text("rangeTimeEnd", "Like rangeEnd, as a time of day."),
    text(
        "sourceType",
        "Whether the source is `live` or `vod`; empty leaves it open.",
        values=("", "live", "vod"),
        values_error="sourceType can only have values of live or vod",
    ),
    text("sdpCustParams", "Further parameters for the request of the session description."),
    text("videoSourceIndex", "Encoder of a local camera: high, med or low; anything else is high.", default="high"),
    flag("serializeToConfig", True, "Keep the pull over a restart."),
    answer="Stream {uri} enqueued for pulling",
    data="the pull's configuration, with `configId`; `uri` is an object",
    example="pullStream uri=rtsp://192.0.2.40/cam/7 localStreamName=lobby",
    ascii_fields="localStreamName configId keepAlive forceTcp uri scheme port fullUri",
    rejects_empty_parameter_list=True,
    user_variables=True,
)

PULL_PUSH.command(
    "pushStream",
    "Sends a stream to another server. The stream need not be there yet.",
    text("uri", f"Address to send to; for RTMP without the stream's name. Schemes: {URI_SCHEMES}.", mandatory=True),
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

PULL_PUSH.command(
    "customRTSPHeaders",
    "Adds a Scale header to the PLAY request of an RTSP source: faster, slower or backwards.",
    Parameter(name="scale", type=Type.FLOAT, description="Any number but 0.", mandatory=True),
    text("localStreamName", "The stream of that source.", mandatory=True),
    answer="RTSP server adds `scale` in the header in PLAY message for streamname: {localStreamName}",
    example="customRTSPHeaders scale=2.0 localStreamName=lobby",
    rejects_empty_parameter_list=True,
)
