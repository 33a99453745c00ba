"""Acceptors: the ports of config.lua and of createService, each with the protocol that answers there.

A protocol whose first tag is ``UDP`` gets a `UdpAcceptor`, whose senders are connections as well (`ems.net.datagrams`).
"""

from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from zope.interface import implementer

from ems.errors import CommandError
from ems.net.datagrams import DatagramListener, PeerAddress
from ems.net.registry import ConnectionRegistry
from ems.net.sockets import listening_socket
from ems.net.tls import CertificateError, CertificateFiles, ServerTls
from ems.net.tls_transport import DirectTlsFactory
from ems.net.udp import bound_socket
from ems.security.addresses import AddressFilter

if TYPE_CHECKING:
    from ems.config import AcceptorConfig
    from ems.server import Server

MAX_CONNECTIONS = 5000
"""Media connections of the whole server; who comes after them is turned away at once."""

MAX_PER_ADDRESS = 256
"""Media connections of one address, with IPv6 of a /64 network. Loopback has no limit: a proxy or a load test stands for many."""


@implementer(IProtocolFactory)
class Acceptor(Factory):
    """One listening port. It counts whom it lets in and whom it turns away; `enabled` false turns everybody away."""

    log = Logger()
    noisy = False
    carrier = "TCP"
    counter = "managedTcpAcceptors"

    def __init__(self, acceptor_id: int, config: "AcceptorConfig", inner: IProtocolFactory, registry: ConnectionRegistry) -> None:
        self.id = acceptor_id
        self.config = config
        self.enabled = True
        self.accepted = 0
        self.dropped = 0
        self._inner = inner
        self._registry = registry
        self._filter = AddressFilter(None, None)
        self._ports: list[IListeningPort] = []

    @property
    def port(self) -> int:
        """The port it listens on: the configured one, or what the system gave for port 0."""
        here: Any = self._ports[0].getHost() if self._ports else self.config
        return int(here.port)

    def listen(self, reactor: Any, runtime: Path) -> None:
        """Bind and listen; ``0.0.0.0`` takes IPv6 along when the host has it. Raises `CommandError` naming the acceptor."""
        self._read_lists(runtime)
        factory: IProtocolFactory = self
        if self.config.ssl_cert and self.config.ssl_key:
            factory = DirectTlsFactory(self._tls(reactor, runtime), False, self, reactor)
        try:
            self._ports.append(_adopt(reactor, self.config.ip, self.config.port, factory))
        except OSError as error:
            raise CommandError(f"cannot listen on {self.label}: {error.strerror or error}") from error
        if self.config.ip == "0.0.0.0":
            try:
                self._ports.append(_adopt(reactor, "::", self.port, factory))
            except OSError as error:
                self.log.debug("no IPv6 for {label}: {error}", label=self.label, error=error)

    @property
    def label(self) -> str:
        """The acceptor for people: protocol, address and port."""
        host = f"[{self.config.ip}]" if ":" in self.config.ip else self.config.ip
        return f"{self.config.protocol} {host}:{self.port}"

    def close(self) -> "Deferred[Any]":
        """Listen no more; connections that are there live on."""
        ports, self._ports = self._ports, []
        return DeferredList([d for d in (port.stopListening() for port in ports) if d is not None], consumeErrors=True)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        refusal = self._refusal(addr)
        if refusal:
            self.dropped += 1
            self.log.warn("{label} turned {peer} away: {why}", label=self.label, peer=getattr(addr, "host", addr), why=refusal)
            return None
        protocol = self._inner.buildProtocol(addr)  # type: ignore[arg-type]
        if protocol is None:
            self.dropped += 1
        else:
            self.accepted += 1
        return protocol

    def doStart(self) -> None:
        self._inner.doStart()

    def doStop(self) -> None:
        self._inner.doStop()

    def _refusal(self, address: IAddress | None) -> str:
        if not self.enabled:
            return "the service is disabled"
        listed = self._filter.refusal(getattr(address, "host", ""))
        if listed:
            return listed
        if not getattr(self._inner, "limited", True):
            return ""
        return crowding(self._registry, address)

    def _read_lists(self, runtime: Path) -> None:
        lists = (runtime / path if path else None for path in (self.config.whitelist, self.config.blacklist))
        self._filter = AddressFilter(*lists)

    def _tls(self, reactor: Any, runtime: Path) -> ServerTls:
        config = self.config
        files = CertificateFiles(runtime / config.ssl_key, runtime / config.ssl_cert, config.cipher_suite)
        try:
            return ServerTls(files, reactor)
        except CertificateError as error:
            raise CertificateError(f"no TLS on {self.label}: {error}") from error


class UdpAcceptor(Acceptor):
    """A port where datagrams come in: one sender at a time, whose connection the factory makes as it does for TCP."""

    carrier = "UDP"
    counter = "managedUdp"

    QUIET_SECONDS = 10.0
    """Between two log lines about senders that are turned away, who hardly notice."""

    def __init__(self, acceptor_id: int, config: "AcceptorConfig", inner: IProtocolFactory, registry: ConnectionRegistry) -> None:
        super().__init__(acceptor_id, config, inner, registry)
        self._listener: DatagramListener | None = None
        self._clock: Any = None
        self._silent_until = 0.0

    @property
    def port(self) -> int:
        return self._listener.port if self._listener is not None else self.config.port

    def listen(self, reactor: Any, runtime: Path) -> None:
        self._read_lists(runtime)
        self._clock = reactor
        listener = DatagramListener(reactor, self._make, self._admit)
        try:
            opened = listener.open(bound_socket(self.config.ip, self.config.port))
            if ip_address(self.config.ip).is_multicast:
                opened.join(self.config.ip)
        except OSError as error:
            listener.close()
            raise CommandError(f"cannot listen on {self.label}: {error.strerror or error}") from error
        self._listener = listener
        if self.config.ip == "0.0.0.0":
            try:
                listener.open(bound_socket("::", self.port))
            except OSError as error:
                self.log.debug("no IPv6 for {label}: {error}", label=self.label, error=error)

    def close(self) -> "Deferred[Any]":
        """Listen no more; with the socket ends what came in by it."""
        if self._listener is not None:
            self._listener.close()
        return succeed(None)

    def _make(self, peer: PeerAddress) -> Any:
        self.accepted += 1
        return self._inner.buildProtocol(peer)

    def _admit(self, peer: PeerAddress) -> bool:
        refusal = self._refusal(peer)
        if not refusal:
            return True
        self.dropped += 1
        if self._clock.seconds() >= self._silent_until:
            self._silent_until = self._clock.seconds() + self.QUIET_SECONDS
            self.log.warn("{label} turned {peer} away: {why}", label=self.label, peer=peer.host, why=refusal)
        return False


def crowding(registry: ConnectionRegistry, address: IAddress | None) -> str:
    """Why one more connection from this address would be too many, empty when it would not."""
    limit = registry.limits.refusal(registry)
    if limit:
        return limit
    if len(registry) >= MAX_CONNECTIONS:
        return f"{MAX_CONNECTIONS} connections are open"
    host = getattr(address, "host", "")
    if registry.from_host(host) >= MAX_PER_ADDRESS and not ip_address(host.partition("%")[0]).is_loopback:
        return f"{MAX_PER_ADDRESS} connections from this address are open"
    return ""


class Acceptors(Service):
    """All acceptors of the server by id. Those of the configuration are bound when the service starts."""

    log = Logger()

    name = "acceptors"

    def __init__(self, server: "Server", reactor: Any) -> None:
        self.services: dict[int, Acceptor] = {}
        self._server = server
        self._reactor = reactor

    def bind_configured(self) -> None:
        """Open every port of the configuration. Raises `CommandError` naming the first that cannot be opened.

        One whose key or certificate cannot be used is left out, which the log says: certificates run out, and the rest of
        the server should not go with them.
        """
        for config in self._server.config.application.acceptors:
            try:
                self.create(config)
            except CertificateError as error:
                self.log.error("{error}; the other acceptors are not concerned", error=error)

    def stopService(self) -> "Deferred[Any]":
        super().stopService()
        return DeferredList([self._close(acceptor) for acceptor in [*self.services.values()]], consumeErrors=True)

    def create(self, config: "AcceptorConfig") -> Acceptor:
        """Open a port. Raises `CommandError`: no such protocol, it fails, the address is taken or cannot be bound."""
        protocol = self._server.acceptor_protocols.get(config.protocol)
        if protocol is None:
            raise CommandError("Invalid protocol")
        make = UdpAcceptor if protocol.tags[0] == UdpAcceptor.carrier else Acceptor
        wanted = (make.carrier, config.ip, config.port)
        if config.port and any((other.carrier, other.config.ip, other.port) == wanted for other in self.services.values()):
            raise CommandError(f"{config.ip}:{config.port} is taken")
        registry = self._server.connections
        acceptor = make(registry.new_id(), config, self._factory(protocol, config), registry)
        acceptor.listen(self._reactor, self._server.runtime.directory)
        self.services[acceptor.id] = acceptor
        registry.counters.opened(acceptor.counter)
        for observer in registry.observers:
            observer.acceptor_opened(acceptor)
        return acceptor

    def _factory(self, protocol: Any, config: "AcceptorConfig") -> IProtocolFactory:
        try:
            factory: IProtocolFactory = protocol.make_factory(self._server, config)
        except CommandError:
            raise
        except Exception as error:
            self.log.failure("the protocol {name} failed", name=config.protocol)
            reason = f"{type(error).__name__}: {error}"
            raise CommandError(f"cannot make the protocol of {config.protocol} {config.ip}:{config.port}: {reason}") from error
        return factory

    def remove(self, acceptor_id: int) -> Acceptor:
        """Close a port; its connections live on. Raises `CommandError` for an unknown id."""
        acceptor = self.services.get(acceptor_id)
        if acceptor is None:
            raise CommandError(f"Service with id {acceptor_id} not found")
        self._close(acceptor)
        return acceptor

    def _close(self, acceptor: Acceptor) -> "Deferred[Any]":
        del self.services[acceptor.id]
        registry = self._server.connections
        registry.counters.closed(acceptor.counter)
        for observer in registry.observers:
            observer.acceptor_closed(acceptor)
        return acceptor.close()


def _adopt(reactor: Any, host: str, port: int, factory: IProtocolFactory) -> IListeningPort:
    listener = listening_socket(host, port)
    try:
        adopted: IListeningPort = reactor.adoptStreamPort(listener.fileno(), listener.family, factory)
        return adopted
    finally:
        listener.close()
