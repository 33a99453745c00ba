"""TCP connections for pulls and pushes: to another machine, or, with ``?listen`` in the address, from the first that comes."""

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol

from ems.net.dialing import connect, prepared, server_endpoint
from ems.net.sockets import listening_socket
from ems.uri import Uri, is_literal_address

if TYPE_CHECKING:
    from ems.server import Server


def parameters(uri: Uri) -> Mapping[str, str]:
    """The parameters behind the question mark of an address, the last of each name."""
    return {name: values[-1] for name, values in parse_qs(uri.query, keep_blank_values=True).items()}


def dial(server: "Server", uri: Uri, protocol: Protocol, settings: Mapping[str, Any]) -> "Deferred[Any]":
    """Connect the protocol; fires when it is connected, or fails with the network's reason. Can be cancelled.

    `settings` may have ``ttl`` and ``tos``, the IP header fields of what is sent.
    """
    if "listen" in parameters(uri):
        return _await_one(server, uri, protocol).addCallback(prepared, settings)
    return connect(server_endpoint(server.clock, uri.host, uri.port), protocol, settings)


class _OneConnection(Factory):
    """Gives its protocol to the first who connects, after which nobody else can."""

    noisy = False

    def __init__(self, reactor: Any, protocol: Protocol) -> None:
        self.connected: Deferred[Any] = Deferred(lambda cancelled: self._close())
        self._reactor = reactor
        self._protocol = protocol
        self._port: Any = None

    def listen(self, listener: socket.socket) -> None:
        """Wait at this socket, which is ours from now on."""
        self._port = self._reactor.adoptStreamPort(listener.fileno(), listener.family, self)
        listener.close()

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        if self._port is None:
            return None
        self._close()
        # The protocol has its transport a moment later.
        self._reactor.callLater(0, self.connected.callback, self._protocol)
        return self._protocol

    def _close(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            port.stopListening()


def _await_one(server: "Server", uri: Uri, protocol: Protocol) -> "Deferred[Any]":
    if not is_literal_address(uri.host):
        return fail(OSError(f"to listen takes an address of this machine in digits, not {uri.host}"))
    waiting = _OneConnection(server.clock, protocol)
    try:
        waiting.listen(listening_socket(uri.host, uri.port))
    except OSError as error:
        return fail(error)
    return waiting.connected
