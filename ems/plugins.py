"""Finding plugins, and declaring one that is loaded only when it is used."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger
from twisted.plugin import IPlugin, getPlugins
from zope.interface import implementer

from ems.interfaces import IAcceptorProtocol, IEventSink, IPuller, IPusher

if TYPE_CHECKING:
    from twisted.internet.interfaces import IProtocolFactory

    from ems.config import AcceptorConfig
    from ems.interfaces import IAttempt, IAttemptObserver
    from ems.server import Server
    from ems.uri import Uri

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
        factory: IProtocolFactory = _load(self._target).make_factory(server, config)
        return factory


@implementer(IPlugin, IPuller)
class LazyPuller:
    """A puller whose module is imported for the first pull of one of its schemes. `target` is as with acceptor protocols."""

    def __init__(self, schemes: tuple[str, ...], target: str) -> None:
        self.schemes = schemes
        self._target = target

    def pull(self, server: "Server", uri: "Uri", settings: "Mapping[str, Any]", observer: "IAttemptObserver") -> "IAttempt":
        attempt: IAttempt = _load(self._target).pull(server, uri, settings, observer)
        return attempt


@implementer(IPlugin, IPusher)
class LazyPusher:
    """A pusher whose module is imported for the first push to one of its schemes. `target` is as with acceptor protocols."""

    def __init__(self, schemes: tuple[str, ...], target: str) -> None:
        self.schemes = schemes
        self._target = target

    def push(self, server: "Server", uri: "Uri", settings: "Mapping[str, Any]", observer: "IAttemptObserver") -> "IAttempt":
        attempt: IAttempt = _load(self._target).push(server, uri, settings, observer)
        return attempt


def acceptor_protocols() -> dict[str, Any]:
    """Every `IAcceptorProtocol` by name; when two plugins claim one name the first that is found keeps it."""
    return _by_name((plugin.protocol, plugin) for plugin in getPlugins(IAcceptorProtocol))


def pullers() -> dict[str, Any]:
    """Every `IPuller` by its URI schemes; when two claim one scheme the first that is found keeps it."""
    return _by_name((scheme, plugin) for plugin in getPlugins(IPuller) for scheme in plugin.schemes)


def pushers() -> dict[str, Any]:
    """Every `IPusher` by its URI schemes; when two claim one scheme the first that is found keeps it."""
    return _by_name((scheme, plugin) for plugin in getPlugins(IPusher) for scheme in plugin.schemes)


def event_sinks() -> list[Any]:
    """Every `IEventSink`."""
    return [*getPlugins(IEventSink)]


def _by_name(claims: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, plugin in claims:
        if name in found:
            _log.warn("two plugins for {name}: {plugin} is not used", name=name, plugin=plugin)
        else:
            found[name] = plugin
    return found


def _load(target: str) -> Any:
    """An object of the class that ``package.module:Class`` names."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)()
