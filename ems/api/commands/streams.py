"""Commands that look at live streams and end them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ems.api.arguments import Arguments
from ems.api.command import UINT64_MAX, Answer, CommandGroup, Json, Parameter, flag, integer, text
from ems.api.describe import describe_connection, describe_stream, shown_id
from ems.api.tags import is_kind_of
from ems.errors import CommandError
from ems.streams.inbound import InboundStream

if TYPE_CHECKING:
    from ems.server import Server
    from ems.streams.outbound import OutboundStream

    Stream = InboundStream | OutboundStream

STREAMS = CommandGroup("streams", "Streams", "What is live, how it is doing, and how to end it.")

STREAM_FIELDS = (
    "name uniqueId type inStreamUniqueId outStreamsUniqueIds farIp nearIp processId processType audio video bytesCount codec"
)
"""What the ASCII door shows of a stream object."""

NETWORK_VIEWERS = ("ON", "OVMF")
"""Kinds of outbound streams that count as clients: network ones and metadata output, but no files."""

STREAM_ID = integer(
    "id",
    "Unique id of the stream, as listStreamsIds has it. Needed unless localStreamName is given.",
    minimum=0,
    maximum=UINT64_MAX,
)
HIDE_INTERNAL = flag("disableInternalStreams", True, "Leave out the streams that the server's own parts exchange.")


def stream_name(description: str) -> Parameter:
    """The parameter that names a stream instead of an id."""
    return text("localStreamName", f"{description} Needed unless id is given.")


def all_streams(server: "Server", hide_internal: bool = False) -> "Iterator[Stream]":
    """Every live stream, in and out; with `hide_internal` without those of the server's own parts."""
    for stream in server.streams.inbound.values():
        if not (hide_internal and stream.internal):
            yield stream
    yield from server.streams.outbound.values()


@STREAMS.command(
    "listStreams",
    "Describes every live stream, in and out. On a busy server this is much; listStreamsIds and getStreamInfo are less.",
    HIDE_INTERNAL,
    answer="Available streams",
    data="a list of stream objects",
    deprecated=True,
    ascii_fields=STREAM_FIELDS,
)
async def list_streams(server: "Server", arguments: Arguments) -> Json:
    streams = all_streams(server, arguments.flag("disableInternalStreams"))
    return [_listed(stream, server) for stream in streams]


@STREAMS.command(
    "listStreamsIds",
    "Lists the unique ids of all live streams.",
    answer="Available stream IDs",
    data="a list of ids",
    ascii_fields="name uniqueId type",
)
async def list_streams_ids(server: "Server", arguments: Arguments) -> Json:
    return [*sorted(stream.id for stream in all_streams(server))]


@STREAMS.command(
    "getStreamInfo",
    "Describes one stream, by its id or by its name.",
    STREAM_ID,
    stream_name("Name of the stream; an inbound one is preferred."),
    answer="Stream information",
    data="a stream object",
    example="getStreamInfo localStreamName=lobby",
    ascii_fields=STREAM_FIELDS,
    rejects_empty_parameter_list=True,
)
async def get_stream_info(server: "Server", arguments: Arguments) -> Json:
    stream = _by_either(server, arguments)
    if stream is None:
        wanted = shown_id(arguments.integer("id")) if "id" in arguments.given else arguments.text("localStreamName")
        raise CommandError(f"Stream {wanted} not found")
    return describe_stream(stream, server.clock.seconds())


@STREAMS.command(
    "getStreamsCount",
    "Counts the live streams, inbound and outbound.",
    HIDE_INTERNAL,
    answer="Active streams count",
    data="`streamCount`",
    ascii_fields="streamCount",
)
async def get_streams_count(server: "Server", arguments: Arguments) -> Json:
    return {"streamCount": sum(1 for _ in all_streams(server, arguments.flag("disableInternalStreams")))}


@STREAMS.command(
    "getInboundStreamsCount",
    "Counts the live inbound streams.",
    answer="Active inbound streams",
    data="`inboundStreamsCount`",
)
async def get_inbound_streams_count(server: "Server", arguments: Arguments) -> Json:
    return {"inboundStreamsCount": len(server.streams.inbound)}


@STREAMS.command(
    "isStreamRunning",
    "Tells whether a stream is live.",
    STREAM_ID,
    stream_name("Name of an inbound stream."),
    answer="Stream status:",
    data="`Running`: true or false",
    example="isStreamRunning localStreamName=lobby",
    ascii_fields="Running",
    rejects_empty_parameter_list=True,
)
async def is_stream_running(server: "Server", arguments: Arguments) -> Json:
    return {"Running": _by_either(server, arguments) is not None}


@STREAMS.command(
    "listInboundStreamNames",
    "Lists the names of the inbound streams.",
    HIDE_INTERNAL,
    answer="Inbound local stream names",
    data="a list of objects with `name`",
    ascii_fields="name",
)
async def list_inbound_stream_names(server: "Server", arguments: Arguments) -> Json:
    return [{"name": stream.name} for stream in _inbound(server, arguments)]


@STREAMS.command(
    "listInboundStreams",
    "Describes every inbound stream.",
    HIDE_INTERNAL,
    answer="Available inbound streams",
    data="a list of stream objects",
    ascii_fields=STREAM_FIELDS.replace("inStreamUniqueId ", ""),
)
async def list_inbound_streams(server: "Server", arguments: Arguments) -> Json:
    return [_listed(stream, server) for stream in _inbound(server, arguments)]


@STREAMS.command(
    "clientsConnected",
    "Counts the network clients that play or receive streams: all, or those of one stream. Recordings do not count.",
    text("localStreamName", "Count the clients of this stream only."),
    answer="EMS outbound client connections count",
    data="`outboundCount`",
    example="clientsConnected localStreamName=lobby",
    ascii_fields="outboundCount",
)
async def clients_connected(server: "Server", arguments: Arguments) -> Answer:
    name = arguments.text("localStreamName")
    streams = [stream for stream in server.streams.outbound.values() if not name or stream.name == name]
    count = sum(any(is_kind_of(stream.type_tag, kind) for kind in NETWORK_VIEWERS) for stream in streams)
    tail = f" for the corresponding localstreamname: {name}" if name else ""
    return Answer({"outboundCount": count}, f"EMS outbound client connections count{tail}")


@STREAMS.command(
    "shutdownStream",
    "Ends one stream. Its connection closes; unless told otherwise what the server keeps to bring it back is forgotten too.",
    STREAM_ID,
    stream_name("Name of an inbound stream; id counts when both are given."),
    flag("permanently", True, "Forget the configuration as well; 0 lets keepAlive bring the stream back."),
    answer="Stream closed",
    data="`streamInfo`, the stream object, and `protocolStackInfo`, the connection object, both as they were last",
    example="shutdownStream localStreamName=lobby permanently=0",
    ascii_fields=f"streamInfo {STREAM_FIELDS}",
    rejects_empty_parameter_list=True,
)
async def shutdown_stream(server: "Server", arguments: Arguments) -> Json:
    stream = _by_id(server, arguments) if "id" in arguments.given else _by_name(server, arguments)
    if stream is None:
        raise CommandError("Stream no longer available")
    now = server.clock.seconds()
    connection = stream.source if isinstance(stream, InboundStream) else stream.connection
    last: Json = {
        "streamInfo": describe_stream(stream, now),
        "protocolStackInfo": describe_connection(connection, now) if connection else None,
    }
    job = stream.job
    stream.close("shutdownStream")
    if job is not None and arguments.flag("permanently"):
        await server.jobs.remove([job], "shutdownStream")
    return last


def _listed(stream: "Stream", server: "Server") -> Json:
    return describe_stream(stream, server.clock.seconds()) | {"edgePid": 0}


def _inbound(server: "Server", arguments: Arguments) -> list[InboundStream]:
    hide = arguments.flag("disableInternalStreams")
    return [stream for stream in server.streams.inbound.values() if not (hide and stream.internal)]


def _by_either(server: "Server", arguments: Arguments) -> "Stream | None":
    if "id" not in arguments.given:
        return _by_name(server, arguments)
    if arguments.text("localStreamName"):
        raise CommandError("id and localStreamName must not go together, choose only 1")
    return _by_id(server, arguments)


def _by_id(server: "Server", arguments: Arguments) -> "Stream | None":
    return server.streams.by_id(arguments.integer("id"))


def _by_name(server: "Server", arguments: Arguments) -> "Stream | None":
    name = arguments.text("localStreamName")
    if not name:
        raise CommandError("id or localStreamName parameters needs to be supplied")
    found = server.streams.by_name(name)
    return found or next((stream for stream in server.streams.outbound.values() if stream.name == name), None)
