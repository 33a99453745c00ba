"""Commands that look at connections and bound them."""

from typing import TYPE_CHECKING

from ems.api.arguments import Arguments
from ems.api.command import UINT32_MAX, UINT64_MAX, CommandGroup, Json, flag, integer
from ems.api.commands.streams import STREAM_FIELDS
from ems.api.describe import describe_connection, shown_id
from ems.errors import CommandError

if TYPE_CHECKING:
    from ems.server import Server

CONNECTIONS = CommandGroup("connections", "Connections", "Who is connected, how much passes, and the limits of both.")


@CONNECTIONS.command(
    "listConnections",
    "Describes all media connections.",
    flag(
        "excludeNonNetworkProtocols",
        True,
        "Leave out what has no network socket. It changes nothing: every connection here has one.",
    ),
    answer="Available connections",
    data="a list of connection objects",
    deprecated=True,
    ascii_fields=f"carrier id stack streams {STREAM_FIELDS}",
)
async def list_connections(server: "Server", arguments: Arguments) -> Json:
    now = server.clock.seconds()
    return [describe_connection(connection, now) for connection in server.connections]


@CONNECTIONS.command(
    "listConnectionsIds",
    "Lists the ids of all media connections.",
    answer="Available connection IDs",
    data="a list of ids",
)
async def list_connections_ids(server: "Server", arguments: Arguments) -> Json:
    return [*sorted(connection.id for connection in server.connections)]


@CONNECTIONS.command(
    "getConnectionInfo",
    "Describes one connection.",
    integer("id", "Id of the connection, or of any of its layers.", mandatory=True, minimum=0, maximum=UINT64_MAX),
    answer="Connection information",
    data="a connection object",
    example="getConnectionInfo id=54",
    ascii_fields="carrier id type stack applicationId",
    rejects_empty_parameter_list=True,
)
async def get_connection_info(server: "Server", arguments: Arguments) -> Json:
    wanted = arguments.integer("id")
    connection = server.connections.by_id(wanted)
    if connection is None:
        raise CommandError(f"Connection {shown_id(wanted)} not found")
    return describe_connection(connection, server.clock.seconds())


@CONNECTIONS.command(
    "getConnectionsCount",
    "Counts the media connections.",
    answer="Active connections count",
    data="`count`",
    ascii_fields="count",
)
async def get_connections_count(server: "Server", arguments: Arguments) -> Json:
    return {"count": sum(1 for _ in server.connections)}


@CONNECTIONS.command(
    "getExtendedConnectionCounters",
    "Tells the counters of each kind of socket: open now, at most, in all, and bytes.",
    answer="Connection counters",
    data="`origin`, the counters of this process, and `total`, the sockets open now",
    ascii_fields="origin grandTotal managedNonTcpUdp managedTcp managedTcpAcceptors managedTcpConnectors managedUdp rawUdp "
    "current",
)
async def get_extended_connection_counters(server: "Server", arguments: Arguments) -> Json:
    counters = server.connections.counters.as_dict()
    origin: dict[str, Json] = {kind: {**values} for kind, values in counters.items()}
    return {"origin": origin, "total": counters["grandTotal"]["current"]}


@CONNECTIONS.command(
    "resetMaxFdCounters",
    "Sets every `max` of getExtendedConnectionCounters to the present value.",
    answer="Max counters are cleared",
)
async def reset_max_fd_counters(server: "Server", arguments: Arguments) -> None:
    server.connections.counters.reset_max()


@CONNECTIONS.command(
    "resetTotalFdCounters",
    "Sets every `total` of getExtendedConnectionCounters to zero.",
    answer="Total counters are cleared",
)
async def reset_total_fd_counters(server: "Server", arguments: Arguments) -> None:
    server.connections.counters.reset_total()


@CONNECTIONS.command(
    "getConnectionsCountLimit",
    "Tells the number of connections and its limit.",
    answer="Connection counters",
    data="`current` and `limit`",
    ascii_fields="current limit",
)
async def get_connections_count_limit(server: "Server", arguments: Arguments) -> Json:
    return _connection_counters(server)


@CONNECTIONS.command(
    "setConnectionsCountLimit",
    "Limits the number of connections. The limit outlives a restart.",
    integer("count", "The limit; 0 is none. Control doors are not bound by it.", mandatory=True, minimum=0, maximum=UINT32_MAX),
    answer="Connection counters",
    data="`current` and `limit`",
    example="setConnectionsCountLimit count=500",
    ascii_fields="limit",
    rejects_empty_parameter_list=True,
)
async def set_connections_count_limit(server: "Server", arguments: Arguments) -> Json:
    await server.limits.limit_connections(arguments.integer("count"))
    return _connection_counters(server)


@CONNECTIONS.command(
    "getBandwidth",
    "Tells the present rates in and out, and their limits.",
    answer="Bandwidth in B/s",
    data="`current` and `max`, each with `in` and `out` in bytes a second",
    ascii_fields="current max in out",
)
async def get_bandwidth(server: "Server", arguments: Arguments) -> Json:
    return _bandwidth(server)


@CONNECTIONS.command(
    "setBandwidthLimit",
    "Limits the rates in and out. The limits outlive a restart.",
    integer("in", "Bytes a second; 0 is no limit.", mandatory=True, minimum=0, maximum=UINT32_MAX),
    integer("out", "Bytes a second; 0 is no limit.", mandatory=True, minimum=0, maximum=UINT32_MAX),
    answer="Bandwidth in B/s",
    data="`current` and `max`, each with `in` and `out` in bytes a second",
    example="setBandwidthLimit in=0 out=2000000",
    ascii_fields="current max in out",
    rejects_empty_parameter_list=True,
)
async def set_bandwidth_limit(server: "Server", arguments: Arguments) -> Json:
    await server.limits.limit_bandwidth(arguments.integer("in"), arguments.integer("out"))
    return _bandwidth(server)


def _connection_counters(server: "Server") -> Json:
    counters = server.connections.counters
    datagram_sockets = counters["managedUdp"].current + counters["rawUdp"].current
    return {"current": server.connections.media_count + datagram_sockets, "limit": server.limits.limits.connections}


def _bandwidth(server: "Server") -> Json:
    received, sent = server.connections.speed
    limits = server.limits.limits
    return {"current": {"in": received, "out": sent}, "max": {"in": limits.bandwidth_in, "out": limits.bandwidth_out}}
