"""The acceptor protocols of the control doors, as plugins: what ``protocol =`` in config.lua names.

===================  ====================================================================================================
inboundJsonCli       a line in, JSON out; ``useLengthPadding`` puts the length of each reply before it (`ems.api.cli`)
inboundAsciiCli      a line in, text for people out (`ems.api.cli`)
inboundHttpJsonCli   HTTP (`ems.api.http`); takes ``allowedHosts`` and ``allowedOrigins`` (`ems.api.browser`)
===================  ====================================================================================================

None of them counts as a media connection or is bound by the limits of those.
"""

from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.web.server import Site
from zope.interface import implementer

from ems.api.browser import BrowserPolicy
from ems.api.cli import CommandLine
from ems.api.commands import load_commands
from ems.api.http import BoundedRequest, CommandResource
from ems.api.lines import TelnetFilter
from ems.api.registry import CommandRegistry
from ems.api.reply import to_ascii, to_json_line
from ems.interfaces import IAcceptorProtocol
from ems.net.connection import Connection

if TYPE_CHECKING:
    from ems.config import AcceptorConfig
    from ems.server import Server

HTTP_IDLE_TIMEOUT = 60
"""Seconds in which a client of the HTTP door has to complete its request."""


class DoorFactory(Factory):
    """Connections of one door; `limited` exempts them from the limits of media connections."""

    limited = False
    noisy = False


class JsonDoorFactory(DoorFactory):
    """Connections of the JSON door."""

    def __init__(self, server: "Server", commands: CommandRegistry, length_prefix: bool) -> None:
        self._make = partial(CommandLine, server, commands, partial(to_json_line, length_prefix=length_prefix), JsonDoor.tags)

    def buildProtocol(self, addr: IAddress | None) -> CommandLine:
        return self._make()


class AsciiDoorFactory(DoorFactory):
    """Connections of the ASCII door."""

    def __init__(self, server: "Server", commands: CommandRegistry) -> None:
        self._make = partial(CommandLine, server, commands, to_ascii, AsciiDoor.tags)

    def buildProtocol(self, addr: IAddress | None) -> CommandLine:
        return self._make(telnet=TelnetFilter())


class UnloggedSite(Site):
    """A site without an access log: addresses hold parameters, and those may hold passwords."""

    def log(self, request: object) -> None:
        """Write nothing."""


class HttpDoorFactory(DoorFactory):
    """Connections of the HTTP door: twisted.web's channels, each inside a `Connection` that the server counts."""

    def __init__(self, server: "Server", commands: CommandRegistry, policy: BrowserPolicy) -> None:
        self._server = server
        self._site = UnloggedSite(
            CommandResource(server, commands, policy),
            BoundedRequest,
            timeout=HTTP_IDLE_TIMEOUT,
            reactor=server.clock,
            parsePOSTFormSubmission=False,
        )
        self._site.noisy = False

    def buildProtocol(self, addr: IAddress | None) -> "HttpDoorConnection":
        return HttpDoorConnection(self._server, self._site.buildProtocol(addr))

    def doStart(self) -> None:
        self._site.doStart()

    def doStop(self) -> None:
        self._site.doStop()


@implementer(IHalfCloseableProtocol)
class HttpDoorConnection(Connection):
    """One connection of the HTTP door. `channel` is twisted.web's protocol, which does all the work."""

    media = False
    transport: Any  # a TCP transport, which is more than Twisted's type says

    def __init__(self, server: "Server", channel: Any) -> None:
        super().__init__(server.connections)
        self.tags = HttpDoor.tags
        self._channel = channel

    def opened(self) -> None:
        self._channel.makeConnection(self.transport)

    def dataReceived(self, data: bytes) -> None:
        self.bytes_received += len(data)
        self._channel.dataReceived(data)

    def connectionLost(self, reason: Any = None) -> None:
        super().connectionLost(reason)
        self._channel.connectionLost(reason)

    def readConnectionLost(self) -> None:
        """The client sends no more: it still gets the reply to a complete request."""
        if not self._channel.requests:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """The client takes no more."""
        self.transport.abortConnection()


@implementer(IAcceptorProtocol)
class JsonDoor:
    """``inboundJsonCli``."""

    protocol = "inboundJsonCli"
    tags = ("TCP", "IJSONCLI")

    def make_factory(self, server: "Server", config: "AcceptorConfig") -> IProtocolFactory:
        """The factory of one acceptor (`IAcceptorProtocol`)."""
        return JsonDoorFactory(server, load_commands(), config.use_length_padding)


@implementer(IAcceptorProtocol)
class AsciiDoor:
    """``inboundAsciiCli``."""

    protocol = "inboundAsciiCli"
    tags = ("TCP", "IASCCLI")

    def make_factory(self, server: "Server", config: "AcceptorConfig") -> IProtocolFactory:
        """The factory of one acceptor (`IAcceptorProtocol`)."""
        return AsciiDoorFactory(server, load_commands())


@implementer(IAcceptorProtocol)
class HttpDoor:
    """``inboundHttpJsonCli``."""

    protocol = "inboundHttpJsonCli"
    tags = ("TCP", "IHTT", "H4C", "IJSONCLI")

    def make_factory(self, server: "Server", config: "AcceptorConfig") -> IProtocolFactory:
        """The factory of one acceptor (`IAcceptorProtocol`)."""
        policy = BrowserPolicy(_names(config.extra.get("allowedHosts")), _names(config.extra.get("allowedOrigins")))
        return HttpDoorFactory(server, load_commands(), policy)


def _names(setting: object) -> Collection[str]:
    """A text, or a list or table of texts, of config.lua in lower case; nothing when the key is missing."""
    if isinstance(setting, dict):
        setting = [*setting.values()]
    entries = setting if isinstance(setting, list | tuple) else [] if setting is None else [setting]
    return frozenset(str(entry).lower() for entry in entries)
