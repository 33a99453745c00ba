"""What guards the doors, put together from the configuration: authentication, limits, ingest points and aliases."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.application.service import Service

from ems.config.store import Store, Unstored
from ems.net.limits import LimitKeeper
from ems.security.rtmp import RtmpGate
from ems.security.users import UsersFile
from ems.streams.aliases import StreamAliases
from ems.streams.ingest import IngestPoints

if TYPE_CHECKING:
    from ems.server import Server


def guard(server: "Server", open_store: Callable[[str], Store] | None = None) -> list[Service]:
    """Give the server its guards, and return them as services that have to start before any port opens.

    `open_store` makes the store of a path of the configuration; without it nothing outlives the server.
    """
    application = server.config.application
    rtmp = application.authentication.rtmp

    def store(path: str) -> Store:
        return open_store(path) if open_store is not None and path else Unstored()

    server.aliases = StreamAliases(server.clock, server.streams.inbound, enabled=application.has_stream_aliases)
    server.streams.reserved_names = server.aliases
    server.ingest_points = IngestPoints(store(application.ingest_points_persistence_file), enabled=application.has_ingest_points)
    server.limits = LimitKeeper(
        server.connections.limits,
        store(application.connections_limit_persistence_file),
        store(application.bandwidth_limit_persistence_file),
    )
    users = UsersFile(server.runtime.resolve(rtmp.users_file)) if rtmp is not None else None
    server.rtmp_gate = RtmpGate(server.clock, rtmp, users, store(application.auth_persistence_file))
    return [server.ingest_points, server.rtmp_gate, server.limits, server.aliases]
