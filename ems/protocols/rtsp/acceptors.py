"""The acceptor protocol ``inboundRtsp`` of config.lua, as a plugin. With a key and a certificate it is RTSPS.

The ports for media over UDP are those of `DEFAULT_PORTS`, or of ``udpPorts = "20000-20999"`` in the acceptor's table.
"""

import re
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from zope.interface import implementer

from ems.errors import CommandError
from ems.interfaces import IAcceptorProtocol
from ems.net.udp import PortPairs, PortRange
from ems.protocols.rtsp.multicast import Broadcasts
from ems.protocols.rtsp.server import RtspConnection
from ems.protocols.rtsp.tunnel import Tunnels
from ems.security.rtsp import RtspGate
from ems.security.users import UsersFile

if TYPE_CHECKING:
    from ems.config import AcceptorConfig
    from ems.server import Server

DEFAULT_PORTS = PortRange(20_000, 32_767)
"""Below those that the system gives out by itself, above those of services; enough for three thousand viewers."""

PORTS_KEY = "udpPorts"


class RtspFactory(Factory):
    """Makes the connections of one acceptor, and has what they share: ports, tunnels, broadcasts, and who may come in."""

    noisy = False

    def __init__(self, server: "Server", config: "AcceptorConfig") -> None:
        """Raises `CommandError` for a range of ports that is none."""
        self.server = server
        self.ports = PortPairs(_ports(config))
        self.tunnels = Tunnels()
        self.broadcasts = Broadcasts(server, self.ports, config.multicast)
        settings = server.config.application.authentication.rtsp
        users = UsersFile(server.runtime.resolve(settings.users_file)) if settings is not None else None
        self.gate = RtspGate(server.clock, settings, users)
        self._tags = ("TCP", "ISSL", "RTSP") if config.tls else InboundRtsp.tags

    def buildProtocol(self, addr: IAddress | None) -> Any:
        connection = RtspConnection(self)
        connection.tags = self._tags
        return connection


@implementer(IAcceptorProtocol)
class InboundRtsp:
    """The acceptor protocol ``inboundRtsp``."""

    protocol = "inboundRtsp"
    tags = ("TCP", "RTSP")

    def make_factory(self, server: "Server", config: "AcceptorConfig") -> RtspFactory:
        """The factory of one acceptor (`IAcceptorProtocol`)."""
        return RtspFactory(server, config)


def _ports(config: "AcceptorConfig") -> PortRange:
    given = next((value for key, value in config.extra.items() if key.lower() == PORTS_KEY.lower()), None)
    if given is None:
        return DEFAULT_PORTS
    found = re.fullmatch(r"\s*(\d{1,5})\s*-\s*(\d{1,5})\s*", str(given), re.ASCII)
    if found is None or not 0 < int(found[1]) < int(found[2]) < 65_536:
        raise CommandError(f'{PORTS_KEY} of {config.protocol}: expected "first-last", got {str(given)[:40]!r}')
    return PortRange(int(found[1]), int(found[2]))
