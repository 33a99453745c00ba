"""Connecting to other RTMP servers: plain, over TLS, or through HTTP."""

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.interfaces import IProtocol

from ems.net.sockets import prepare_outgoing
from ems.net.tls import client_options
from ems.protocols.rtmp.tunnel_client import connect_tunnel
from ems.uri import Uri

if TYPE_CHECKING:
    from ems.server import Server

CONNECT_SECONDS = 10

SYSTEM_DEFAULT = 256
"""The value of `ttl` and `tos` that leaves them to the operating system."""


def dial(server: "Server", uri: Uri, protocol: IProtocol, settings: Mapping[str, Any]) -> "Deferred[Any]":
    """Connect the protocol to the address; fires when it is connected, or fails with the network's reason.

    `settings` may have ``ttl`` and ``tos``, the IP header fields of what is sent.
    """
    if uri.scheme == "rtmpt":
        tunnel: Deferred[Any] = connect_tunnel(server.clock, uri, protocol)
        return tunnel
    endpoint: Any = HostnameEndpoint(server.clock, uri.host.encode("idna"), uri.port, timeout=CONNECT_SECONDS)
    if uri.scheme == "rtmps":
        verify = server.config.application.verify_tls
        endpoint = wrapClientTLS(client_options(uri.host, verify=verify), endpoint)
    connected: Deferred[Any] = connectProtocol(endpoint, protocol)
    return connected.addCallback(_prepared, settings)


def _prepared(protocol: Any, settings: Mapping[str, Any]) -> Any:
    transport = protocol.transport
    while hasattr(transport, "transport"):
        transport = transport.transport
    handle = getattr(transport, "socket", None)
    if isinstance(handle, socket.socket):
        ttl, tos = settings.get("ttl", SYSTEM_DEFAULT), settings.get("tos", SYSTEM_DEFAULT)
        prepare_outgoing(handle, ttl=None if ttl == SYSTEM_DEFAULT else ttl, tos=None if tos == SYSTEM_DEFAULT else tos)
    return protocol
