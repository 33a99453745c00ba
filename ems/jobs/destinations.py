"""Where an address leads: the IP addresses of its host, and whether they are our own.

A pull of a stream from this very server under the same name, or a push of it to itself, would feed itself for ever and is
refused. Ours is every address that a socket of this machine can be bound to, whatever it is called: ``localhost``,
``0.0.0.0``, ``::1``, or an address of any interface.
"""

import socket
from contextlib import closing
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IAddress, IHostResolution, IResolutionReceiver
from zope.interface import implementer

from ems.streams.names import short_name
from ems.uri import Uri, is_literal_address

if TYPE_CHECKING:
    from ems.server import Server

RESOLVE_TIME = 5.0
"""Seconds for the name of a host. A name server that has not answered by then is not there."""


@implementer(IResolutionReceiver)
class _Addresses:
    """Collects what the reactor's resolver finds."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.complete: Deferred[list[str]] = Deferred()

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        pass

    def addressResolved(self, address: IAddress) -> None:
        host = getattr(address, "host", "")
        if host and host not in self.found:
            self.found.append(host)

    def resolutionComplete(self) -> None:
        if not self.complete.called:
            self.complete.callback(self.found)


async def resolve(reactor: Any, host: str) -> list[str]:
    """The addresses of a host, in the system's order. Raises `LookupError` when there are none, or not within `RESOLVE_TIME`."""
    if is_literal_address(host):
        return [host]
    try:
        host.encode("idna")
    except UnicodeError:
        raise LookupError(f"{host} is no name of a host") from None
    receiver = _Addresses()
    reactor.nameResolver.resolveHostName(receiver, host)
    try:
        found = await receiver.complete.addTimeout(RESOLVE_TIME, reactor)
    except DeferredTimeout:
        raise LookupError(f"no address of {host} within {RESOLVE_TIME:g} s") from None
    if not found:
        raise LookupError(f"{host} has no address")
    return found


def leads_back(server: "Server", uri: Uri, addresses: list[str]) -> bool:
    """True when one of our own acceptors listens at `uri`, whose host has these `addresses`."""
    listening = [(_plain(acceptor.config.ip), acceptor.port) for acceptor in server.acceptors.services.values()]
    for target in map(_reached, addresses):
        for address, port in listening:
            if port == uri.port and (address == target or (address.is_unspecified and _is_ours(target))):
                return True
    return False


def names_stream(path: str, name: str) -> bool:
    """True when the path of an address ends in the name of this stream."""
    plain = short_name(unquote(path)).replace("/flv:", "/").replace("/:", "/")
    return plain.endswith(f"/{short_name(name)}")


def _plain(address: str) -> IPv4Address | IPv6Address:
    """An address without its scope, an IPv4 address that is written as IPv6 as IPv4."""
    plain = ip_address(address.partition("%")[0])
    return getattr(plain, "ipv4_mapped", None) or plain


def _reached(address: str) -> IPv4Address | IPv6Address:
    """The address at which one arrives who connects to `address`: the unspecified one leads to this machine."""
    plain = _plain(address)
    return ip_address("127.0.0.1" if plain.version == 4 else "::1") if plain.is_unspecified else plain


def _is_ours(address: IPv4Address | IPv6Address) -> bool:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with closing(socket.socket(family, socket.SOCK_DGRAM)) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
