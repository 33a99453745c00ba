"""Connecting to other RTSP servers: plain, over TLS (``rtsps``), or through HTTP (``httpProxy``).

============  ===============================================================================================
httpProxy     the connection
============  ===============================================================================================
empty         to the address's own host and port
self          the same, and the server there speaks RTSP through HTTP (`ems.protocols.rtsp.tunnel_client`)
IP:port       to a proxy, which connects to the address
============  ===============================================================================================
"""

import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.interfaces import IProtocol

from ems.errors import CommandError
from ems.net.sockets import prepare_outgoing
from ems.net.tls import client_options
from ems.protocols.rtsp.client_login import Login
from ems.protocols.rtsp.tunnel_client import Gate, connect_tunnel
from ems.uri import Uri

if TYPE_CHECKING:
    from ems.server import Server

CONNECT_SECONDS = 10

SYSTEM_DEFAULT = 256
"""The value of `ttl` and `tos` that leaves them to the operating system."""

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
    connected: Deferred[Any]
    if proxy:
        agent = str(settings.get("emulateUserAgent", ""))
        connected = connect_tunnel(server.clock, _gate(server, uri, proxy, check), protocol, login, agent)
    else:
        connected = connectProtocol(_endpoint(server, uri, uri.host, uri.port), protocol)
    return connected.addCallback(_prepared, settings)


def ip_fields(settings: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """The settings ``ttl`` and ``tos``, None where the operating system decides."""
    ttl, tos = int(settings.get("ttl", SYSTEM_DEFAULT)), int(settings.get("tos", SYSTEM_DEFAULT))
    return None if ttl == SYSTEM_DEFAULT else ttl, None if tos == SYSTEM_DEFAULT else tos


def _endpoint(server: "Server", uri: Uri, host: str, port: int) -> Any:
    endpoint: Any = HostnameEndpoint(server.clock, host.encode("idna"), port, timeout=CONNECT_SECONDS)
    if uri.scheme == "rtsps":
        verify = server.config.application.verify_tls
        endpoint = wrapClientTLS(client_options(host, verify=verify), endpoint)
    return endpoint


def _gate(server: "Server", uri: Uri, proxy: str, check: Callable[[str], None]) -> Gate:
    host = f"[{uri.host}]" if ":" in uri.host else uri.host
    place = f"{host}:{uri.port}"
    if proxy == ITSELF:
        return Gate(_endpoint(server, uri, uri.host, uri.port), uri.path_and_query, place, check)
    if uri.scheme != "rtsp":
        raise CommandError(f"{uri.scheme} does not go through a proxy")
    by = Uri.parse(f"http://{proxy}")
    return Gate(_endpoint(server, uri, by.host, by.port), f"http://{place}{uri.path_and_query}", place, check)


def _prepared(protocol: Any, settings: Mapping[str, Any]) -> Any:
    transport = protocol.transport
    while hasattr(transport, "transport"):
        transport = transport.transport
    handle = getattr(transport, "socket", None)
    if isinstance(handle, socket.socket):
        ttl, tos = ip_fields(settings)
        prepare_outgoing(handle, ttl=ttl, tos=tos)
    return protocol
