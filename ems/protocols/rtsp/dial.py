"""Connecting to other RTSP servers: plain, over TLS (``rtsps``), or through HTTP (``httpProxy``).

============  ===============================================================================================
httpProxy     the connection
============  ===============================================================================================
empty         to the address's own host and port
self          the same, and the server there speaks RTSP through HTTP (`ems.protocols.rtsp.tunnel_client`)
IP:port       to a proxy, which connects to the address
============  ===============================================================================================
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IStreamClientEndpoint

from ems.errors import CommandError
from ems.net.dialing import connect, server_endpoint, tls_to
from ems.protocols.rtsp.client_login import Login
from ems.protocols.rtsp.tunnel_client import Gate, connect_tunnel
from ems.uri import Uri

if TYPE_CHECKING:
    from ems.server import Server

ITSELF = "self"
"""The value of ``httpProxy`` for a server that is its own proxy."""


def dial(
    server: "Server", uri: Uri, protocol: IProtocol, settings: Mapping[str, Any], login: Login, check: Callable[[str], None]
) -> "Deferred[Any]":
    """Connect the protocol to the address; fires when it is connected, or fails with the network's reason.

    `settings` may have ``httpProxy``, and ``ttl`` and ``tos``, the IP header fields of what is sent. `check` raises
    `CommandError` for the address of a tunnel's end that we must not talk to; without a tunnel the protocol looks for itself.
    """
    proxy = str(settings.get("httpProxy", ""))
    if not proxy:
        return connect(_endpoint(server, uri, uri.host, uri.port), protocol, settings)
    agent = str(settings.get("emulateUserAgent", ""))
    return connect_tunnel(server.clock, _gate(server, uri, proxy, check, settings), protocol, login, agent)


def _endpoint(server: "Server", uri: Uri, host: str, port: int) -> IStreamClientEndpoint:
    return server_endpoint(server.clock, host, port, tls_to(server, host) if uri.scheme == "rtsps" else None)


def _gate(server: "Server", uri: Uri, proxy: str, check: Callable[[str], None], settings: Mapping[str, Any]) -> Gate:
    host = f"[{uri.host}]" if ":" in uri.host else uri.host
    place = f"{host}:{uri.port}"
    if proxy == ITSELF:
        return Gate(_endpoint(server, uri, uri.host, uri.port), uri.path_and_query, place, check, settings)
    if uri.scheme != "rtsp":
        raise CommandError(f"{uri.scheme} does not go through a proxy")
    by = Uri.parse(f"http://{proxy}")
    return Gate(_endpoint(server, uri, by.host, by.port), f"http://{place}{uri.path_and_query}", place, check, settings)
