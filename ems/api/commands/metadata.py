"""Commands about metadata: JSON texts that go along with streams."""

from ems.api.command import CommandGroup, flag, integer, text

METADATA = CommandGroup(
    "metadata", "Metadata", "JSON that goes along with streams: the newest of it, and where it comes and goes."
)

ONLY_VMF = "type must be 'vmf' (only option at this time)"

METADATA.command(
    "getMetadata",
    "Tells the newest metadata of a stream.",
    text("localStreamName", "The stream; without it, whichever had some last.", also_accept=("streamName",)),
    integer("streamId", "The stream by its unique id.", default=0),
    flag("noWrap", False, "Send the stored text alone, without a reply around it."),
    answer="Metadata",
    data="a string that holds JSON",
    example="getMetadata localStreamName=lobby",
)

METADATA.command(
    "pushMetadata",
    "Connects to an address and sends it every new metadata of a stream.",
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

METADATA.command(
    "shutdownMetadata",
    "Stops sending metadata of a stream.",
    text("localStreamName", "The stream.", mandatory=True),
    text("type", "The format.", default="vmf", values=("vmf",), values_error=ONLY_VMF),
    answer="Shutdown Metadata Push Stream",
    example="shutdownMetadata localStreamName=lobby",
    rejects_empty_parameter_list=True,
    user_variables=True,
)

METADATA.command(
    "addMetadataListener",
    "Opens a port that takes JSON metadata for a stream.",
    integer("port", "Port to listen on.", mandatory=True, minimum=1, maximum=65535),
    text("ip", "Address to listen on, in digits.", default="0.0.0.0"),
    text("localStreamName", "The stream; `0~0~0` is any.", default="0~0~0"),
    answer="Metadata listener created",
    data="a service object",
    example="addMetadataListener port=8110 localStreamName=lobby",
    ascii_fields="id appName appId protocol port acceptedConnectionsCount enabled",
    rejects_empty_parameter_list=True,
)

METADATA.command(
    "listMetadataListeners",
    "Lists the ports that take metadata.",
    answer="Listing all the metadata listeners",
    data="a list of service objects",
    ascii_fields="listeners id ip port enabled localStreamName",
)
