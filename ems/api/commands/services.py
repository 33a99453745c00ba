"""Commands about the ports on which the server listens."""

from ipaddress import ip_address
from typing import TYPE_CHECKING

from ems.api.arguments import Arguments
from ems.api.command import UINT32_MAX, CommandGroup, Json, Parameter, flag, integer, text
from ems.api.describe import describe_service
from ems.config import AcceptorConfig
from ems.errors import CommandError

if TYPE_CHECKING:
    from ems.net.acceptor import Acceptor
    from ems.server import Server

SERVICES = CommandGroup("services", "Services", "The ports on which the server listens, and what is spoken there.")

SERVICE_FIELDS = "id appName appId protocol port acceptedConnectionsCount enabled"
"""What the ASCII door shows of a service object."""

PORT_MAX = 65535


def service_id() -> Parameter:
    """The parameter that names a service."""
    return integer("id", "Id of the service, as listServices has it.", mandatory=True, minimum=0, maximum=UINT32_MAX)


@SERVICES.command(
    "listServices",
    "Describes all open ports.",
    answer="Available services",
    data="a list of service objects",
    ascii_fields=f"{SERVICE_FIELDS} nearPort type",
)
async def list_services(server: "Server", arguments: Arguments) -> Json:
    return [describe_service(acceptor) for _, acceptor in sorted(server.acceptors.services.items())]


@SERVICES.command(
    "createService",
    "Opens a port. It is not kept: after a restart only those of the configuration are open.",
    text("ip", "Address to listen on, in digits; 0.0.0.0 is all of them.", mandatory=True),
    integer("port", "Port to listen on.", mandatory=True, minimum=1, maximum=PORT_MAX),
    text("protocol", "What is spoken there, as in config.lua: inboundRtmp. It must be a protocol over TCP.", mandatory=True),
    text("sslCert", "Certificate file (PEM), for TLS."),
    text("sslKey", "Private key file (PEM), for TLS."),
    answer="Service created",
    data="a service object",
    example="createService ip=0.0.0.0 port=19350 protocol=inboundRtmp",
    ascii_fields=SERVICE_FIELDS,
    rejects_empty_parameter_list=True,
)
async def create_service(server: "Server", arguments: Arguments) -> Json:
    ip, name = arguments.text("ip"), arguments.text("protocol")
    if not is_address(ip):
        raise CommandError("Invalid ip")
    protocol = server.acceptor_protocols.get(name)
    if protocol is None or protocol.tags[0] != "TCP":
        raise CommandError("Invalid protocol")
    config = AcceptorConfig(
        ip=ip,
        port=arguments.integer("port"),
        protocol=name,
        ssl_cert=arguments.text("sslCert"),
        ssl_key=arguments.text("sslKey"),
    )
    return describe_service(server.acceptors.create(config))


@SERVICES.command(
    "enableService",
    "Has a port take connections, or turn them away. Those that are there live on.",
    service_id(),
    flag("enable", None, "1 takes connections, 0 closes them as they come.", mandatory=True),
    answer="Status changed",
    data="a service object",
    example="enableService id=40 enable=0",
    ascii_fields=SERVICE_FIELDS,
    rejects_empty_parameter_list=True,
)
async def enable_service(server: "Server", arguments: Arguments) -> Json:
    acceptor = _acceptor(server, arguments)
    acceptor.enabled = arguments.flag("enable")
    return describe_service(acceptor)


@SERVICES.command(
    "shutdownService",
    "Closes a port. Connections that are there live on.",
    service_id(),
    answer="Service {id} removed",
    data="a service object",
    example="shutdownService id=40",
    rejects_empty_parameter_list=True,
)
async def shutdown_service(server: "Server", arguments: Arguments) -> Json:
    acceptor = _acceptor(server, arguments)
    service = describe_service(acceptor)
    server.acceptors.remove(acceptor.id)
    return service


def _acceptor(server: "Server", arguments: Arguments) -> "Acceptor":
    wanted = arguments.integer("id")
    acceptor = server.acceptors.services.get(wanted)
    if acceptor is None:
        raise CommandError(f"Service with id {wanted} not found")
    return acceptor


def is_address(ip: str) -> bool:
    """True for a literal address, of either family."""
    try:
        ip_address(ip)
    except ValueError:
        return False
    return True
