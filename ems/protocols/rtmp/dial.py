"""Connecting to other RTMP servers: plain, over TLS, or through HTTP."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol

from ems.net.dialing import connect, server_endpoint, tls_to
from ems.protocols.rtmp.tunnel_client import connect_tunnel
from ems.uri import Uri

if TYPE_CHECKING:
    from ems.server import Server


def dial(server: "Server", uri: Uri, protocol: IProtocol, settings: Mapping[str, Any]) -> "Deferred[Any]":
    """Connect the protocol to the address; fires when it is connected, or fails with the network's reason.

    `settings` may have ``ttl`` and ``tos``, the IP header fields of what is sent.
    """
    if uri.scheme == "rtmpt":
        return connect_tunnel(server.clock, uri, protocol, settings)
    tls = tls_to(server, uri.host) if uri.scheme == "rtmps" else None
    return connect(server_endpoint(server.clock, uri.host, uri.port, tls), protocol, settings)
