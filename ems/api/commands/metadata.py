"""Commands about metadata: JSON texts that go along with streams."""

from typing import TYPE_CHECKING

from ems.api.arguments import Arguments
from ems.api.command import Answer, CommandGroup, Json, flag, integer, text
from ems.api.commands.services import SERVICE_FIELDS, is_address
from ems.api.describe import APPLICATION_NAME, describe_service
from ems.config.variant import UInt64
from ems.errors import CommandError
from ems.jobs.destinations import leads_back, resolve
from ems.jobs.setup_file import METADATA_KIND
from ems.metadata.listener import PROTOCOL, MetadataListenerJob
from ems.metadata.push import Target
from ems.security.uris import check_destination
from ems.streams.names import checked_name
from ems.uri import Uri

if TYPE_CHECKING:
    from ems.net.acceptor import Acceptor
    from ems.server import Server

METADATA = CommandGroup(
    "metadata", "Metadata", "JSON that goes along with streams: the newest of it, and where it comes and goes."
)

ONLY_VMF = "type must be 'vmf' (only option at this time)"


@METADATA.command(
    "getMetadata",
    "Tells the newest metadata of a stream.",
    text("localStreamName", "The stream; without it, whichever had some last.", also_accept=("streamName",)),
    integer("streamId", "The stream by its unique id.", default=0),
    flag("noWrap", False, "Send the stored text alone, without a reply around it."),
    answer="Metadata",
    data="a string that holds JSON",
    example="getMetadata localStreamName=lobby",
)
async def get_metadata(server: "Server", arguments: Arguments) -> Answer:
    name = arguments.text("localStreamName")
    if arguments.values["streamId"]:
        stream = server.streams.by_id(arguments.integer("streamId"))
        if stream is None:
            return Answer("", "No Metadata")
        name = stream.name
    found = server.metadata.newest(name) if name else server.metadata.newest_of_any()
    if found is None:
        return Answer("", "No Metadata")
    return Answer(found.text, raw=found.text if arguments.flag("noWrap") else None)


@METADATA.command(
    "pushMetadata",
    "Connects to an address and sends it every new metadata of a stream. It is not kept: a restart ends it.",
    text("localStreamName", "The stream.", mandatory=True),
    text("type", "The format.", default="vmf", values=("vmf",), values_error=ONLY_VMF),
    text("ip", "Address to send to.", default="127.0.0.1"),
    integer("port", "Port to send to.", default=8110, minimum=100, maximum=65535),
    flag("keepAlive", True, "Connect again when the other side is lost."),
    answer="Launched Metadata Push Stream",
    example="pushMetadata localStreamName=lobby ip=192.0.2.8 port=8110",
    rejects_empty_parameter_list=True,
    user_variables=True,
)
async def push_metadata(server: "Server", arguments: Arguments) -> Json:
    name = checked_name(arguments.text("localStreamName"))
    ip, port, keep_alive = arguments.text("ip"), arguments.integer("port"), arguments.flag("keepAlive")
    address = await _address(server, ip, port)
    server.metadata.pushes.add(Target(name, address, port), keep_alive=keep_alive)
    data: dict[str, Json] = {
        "applicationName": APPLICATION_NAME,
        "ip": ip,
        "keepAlive": keep_alive,
        "localStreamName": name,
        "name": APPLICATION_NAME,
        "port": port,
        "protocol": "outboundVmf",
        "streamName": name,
        "type": arguments.text("type"),
    }
    return data | _user_variables(arguments)


@METADATA.command(
    "shutdownMetadata",
    "Stops sending metadata of a stream.",
    text("localStreamName", "The stream.", mandatory=True),
    text("type", "The format.", default="vmf", values=("vmf",), values_error=ONLY_VMF),
    answer="Shutdown Metadata Push Stream",
    example="shutdownMetadata localStreamName=lobby",
    rejects_empty_parameter_list=True,
    user_variables=True,
)
async def shutdown_metadata(server: "Server", arguments: Arguments) -> Json:
    name = arguments.text("localStreamName")
    server.metadata.pushes.remove(name)
    data: dict[str, Json] = {"localStreamName": name, "streamName": name, "type": arguments.text("type")}
    return data | _user_variables(arguments)


@METADATA.command(
    "addMetadataListener",
    "Opens a port that takes JSON metadata for a stream. It is there again after a restart, until shutdownService or "
    "removeConfig closes it.",
    integer("port", "Port to listen on.", mandatory=True, minimum=1, maximum=65535),
    text("ip", "Address to listen on, in digits.", default="0.0.0.0"),
    text("localStreamName", "The stream; `0~0~0` is any.", default="0~0~0"),
    answer="Metadata listener created",
    data="a service object",
    example="addMetadataListener port=8110 localStreamName=lobby",
    ascii_fields=SERVICE_FIELDS,
    rejects_empty_parameter_list=True,
)
async def add_metadata_listener(server: "Server", arguments: Arguments) -> Json:
    ip, name = arguments.text("ip"), arguments.text("localStreamName")
    if not is_address(ip):
        raise CommandError("Invalid ip")
    server.metadata.name_of(name)
    settings = {"ip": ip, "port": UInt64(arguments.integer("port")), "localStreamName": name}
    (job,) = await server.jobs.add(METADATA_KIND, [settings])
    assert isinstance(job, MetadataListenerJob)
    if job.acceptor is None:
        reason = job.status.current.reason
        await server.jobs.remove([job], reason)
        raise CommandError(reason)
    return _described(job, job.acceptor)


@METADATA.command(
    "listMetadataListeners",
    "Lists the ports that take metadata.",
    answer="Listing all the metadata listeners",
    data="an object with `listeners`, a list of service objects",
    ascii_fields="listeners id ip port enabled localStreamName",
)
async def list_metadata_listeners(server: "Server", arguments: Arguments) -> Json:
    kept = {job.acceptor: job for job in server.jobs if isinstance(job, MetadataListenerJob)}
    acceptors = [acceptor for _, acceptor in sorted(server.acceptors.services.items())]
    return {"listeners": [_described(kept.get(one), one) for one in acceptors if one.config.protocol == PROTOCOL]}


def _described(job: MetadataListenerJob | None, acceptor: "Acceptor") -> dict[str, Json]:
    """A port that takes metadata; ``configId``, our own key, has one that a command has opened."""
    described = {**describe_service(acceptor), "localStreamName": acceptor.config.stream_name}
    return described if job is None else {**described, "configId": job.id}


def _user_variables(arguments: Arguments) -> dict[str, Json]:
    return {key: [*value] if isinstance(value, list) else value for key, value in arguments.user_variables.items()}


async def _address(server: "Server", host: str, port: int) -> str:
    """The address to connect to. Raises `CommandError` when the host has none, or one that the server does not connect to."""
    written = f"[{host}]" if ":" in host else host
    uri = Uri.parse(f"tcp://{written}:{port}")
    try:
        address = (await resolve(server.clock, uri.host))[0]
    except LookupError as error:
        raise CommandError(f"Unable to push metadata: {error}") from None
    check_destination(uri, address)
    if leads_back(server, uri, [address]):
        raise CommandError(f"Unable to push metadata: {host}:{port} is this very server")
    return address
