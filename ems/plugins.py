"""Finding plugins, and declaring one that is loaded only when it is used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger
from twisted.plugin import IPlugin, getPlugins
from zope.interface import implementer

from ems.interfaces import IAcceptorProtocol

if TYPE_CHECKING:
    from twisted.internet.interfaces import IProtocolFactory

    from ems.config import AcceptorConfig
    from ems.server import Server

_log = Logger(namespace="plugins")


@implementer(IPlugin, IAcceptorProtocol)
class LazyAcceptorProtocol:
    """An acceptor protocol whose module is imported when the first acceptor of that name is made.

    `target` is ``package.module:Class``, a class without arguments that provides `IAcceptorProtocol`.
    """

    def __init__(self, protocol: str, tags: tuple[str, ...], target: str) -> None:
        self.protocol = protocol
        self.tags = tags
        self._target = target

    def make_factory(self, server: "Server", config: "AcceptorConfig") -> "IProtocolFactory":
        module, _, name = self._target.partition(":")
        provider: Any = getattr(import_module(module), name)()
        factory: IProtocolFactory = provider.make_factory(server, config)
        return factory


def acceptor_protocols() -> dict[str, Any]:
    """Every `IAcceptorProtocol` by name; when two plugins claim one name the first that is found keeps it."""
    found: dict[str, Any] = {}
    for plugin in getPlugins(IAcceptorProtocol):
        if plugin.protocol in found:
            _log.warn("two plugins for the protocol {name}: {plugin} is not used", name=plugin.protocol, plugin=plugin)
        else:
            found[plugin.protocol] = plugin
    return found
