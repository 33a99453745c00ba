"""Connecting to other servers over TCP: by name or address, plain or over TLS, with the IP header fields that were asked for."""

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IProtocol, IStreamClientEndpoint

from ems.net.sockets import prepare_outgoing
from ems.net.tls import client_options

if TYPE_CHECKING:
    from ems.server import Server

CONNECT_SECONDS = 10
"""For one address to take a connection; a host may have several."""

SYSTEM_DEFAULT = 256
"""The value of ``ttl`` and ``tos`` that leaves them to the operating system."""


def server_endpoint(
    reactor: Any, host: str, port: int, tls: IOpenSSLClientConnectionCreator | None = None
) -> IStreamClientEndpoint:
    """Where a server is to be reached, with `tls` over TLS. Raises `UnicodeError` for a name that no host can have."""
    endpoint: Any = HostnameEndpoint(reactor, host.encode("idna"), port, timeout=CONNECT_SECONDS)
    return endpoint if tls is None else wrapClientTLS(tls, endpoint)


def tls_to(server: "Server", host: str) -> IOpenSSLClientConnectionCreator:
    """TLS for a connection to this host, whose certificate is looked at unless the configuration says otherwise."""
    return client_options(host, verify=server.config.application.verify_tls)


def connect(endpoint: IStreamClientEndpoint, protocol: IProtocol, settings: Mapping[str, Any]) -> "Deferred[Any]":
    """Connect the protocol; fires when it is connected, or fails with the network's reason. Can be cancelled.

    `settings` may have ``ttl`` and ``tos``, the IP header fields of what is sent.
    """
    connected: Deferred[Any] = connectProtocol(endpoint, protocol)
    return connected.addCallback(prepared, settings)


def prepared(protocol: Any, settings: Mapping[str, Any]) -> Any:
    """The same protocol, connected, after its socket has been given the options of ours and those of `settings`."""
    transport = protocol.transport
    # TLS, and what goes through HTTP, has the connection below it.
    while hasattr(transport, "transport"):
        transport = transport.transport
    handle = getattr(transport, "socket", None)
    if isinstance(handle, socket.socket):
        ttl, tos = ip_fields(settings)
        prepare_outgoing(handle, ttl=ttl, tos=tos)
    return protocol


def ip_fields(settings: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """The settings ``ttl`` and ``tos``, None where the operating system decides."""
    ttl, tos = int(settings.get("ttl", SYSTEM_DEFAULT)), int(settings.get("tos", SYSTEM_DEFAULT))
    return None if ttl == SYSTEM_DEFAULT else ttl, None if tos == SYSTEM_DEFAULT else tos
