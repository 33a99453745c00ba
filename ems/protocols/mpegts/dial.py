"""TCP connections for pulls and pushes: to another machine, or, with ``?listen`` in the address, from the first that comes."""

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol

from ems.net.sockets import listening_socket, prepare_outgoing
from ems.uri import Uri

if TYPE_CHECKING:
    from ems.server import Server

CONNECT_SECONDS = 10

SYSTEM_DEFAULT = 256
"""The value of `ttl` and `tos` that leaves them to the operating system."""


def parameters(uri: Uri) -> Mapping[str, str]:
    """The parameters behind the question mark of an address, the last of each name."""
    return {name: values[-1] for name, values in parse_qs(uri.query, keep_blank_values=True).items()}


def ip_options(settings: Mapping[str, Any]) -> dict[str, int]:
    """Those of ``ttl`` and ``tos`` that are not left to the operating system."""
    asked = {name: int(settings.get(name, SYSTEM_DEFAULT)) for name in ("ttl", "tos")}
    return {name: value for name, value in asked.items() if value != SYSTEM_DEFAULT}


def dial(server: "Server", uri: Uri, protocol: Protocol, settings: Mapping[str, Any]) -> "Deferred[Any]":
    """Connect the protocol; fires when it is connected, or fails with the network's reason. Can be cancelled.

    `settings` may have ``ttl`` and ``tos``, the IP header fields of what is sent.
    """
    if "listen" in parameters(uri):
        connected = _await_one(server, uri, protocol)
    else:
        endpoint: Any = HostnameEndpoint(server.clock, uri.host.encode("idna"), uri.port, timeout=CONNECT_SECONDS)
        connected = connectProtocol(endpoint, protocol)
    return connected.addCallback(_prepared, ip_options(settings))


class _OneConnection(Factory):
    """Gives its protocol to the first who connects, and has the port closed."""

    noisy = False

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._port: Any = None
        self.connected: Deferred[Any] = Deferred(lambda cancelled: self.close())

    def listen(self, reactor: Any, listener: socket.socket) -> None:
        """Wait at this socket."""
        self._port = reactor.adoptStreamPort(listener.fileno(), listener.family, self)
        listener.close()

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        if self._port is None:
            return None
        self.close()
        # The protocol gets its transport after this.
        self._reactor_call(self._tell)
        return self._protocol

    def close(self) -> None:
        """Wait no more."""
        port, self._port = self._port, None
        if port is not None:
            port.stopListening()
