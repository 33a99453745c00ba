"""The sinks of the configuration and of plugins, for as long as the server runs.

There are two ``eventLogger`` sections: the application's, which is the one to use, and the outermost one, for what happens
outside the application (`ems.events.names`), which has no sinks of type ``RPC``. A sink's ``customData`` goes before its
logger's, and that before the outermost logger's.
"""

import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from ems.config.logs import EventLogger, EventSink
from ems.errors import CommandError
from ems.events.event import Event, Plain, plain
from ems.events.files import ConsoleSink, EventFile, FileSink
from ems.events.names import EVENTS, selection
from ems.events.rpc import LAST_WORDS, Address, RpcSink, keep_alive_agent

if TYPE_CHECKING:
    from ems.interfaces import IEventSink
    from ems.server import Server


class RunningSink(Protocol):
    """A sink of the configuration."""

    def __call__(self, event: Event) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> Coroutine["Deferred[Any]", Any, None]: ...


class EventSinks(Service):
    """All sinks of a server. They take events from `privilegedStartService` on, and let them out from `startService` on.

    `plugins` are those of `IEventSink`; `in_thread` runs a function elsewhere and returns a Deferred of its result.
    """

    name = "events"
    log = Logger()

    def __init__(
        self, server: "Server", plugins: "Iterable[IEventSink]" = (), *, in_thread: Callable[..., "Deferred[Any]"] = deferToThread
    ) -> None:
        self._server = server
        self._plugins = [*plugins]
        self._in_thread = in_thread
        self._sinks: list[RunningSink] = []
        self._attached = False
        self._unsubscribe: list[Callable[[], None]] = []

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        self._attach()

    def startService(self) -> None:
        super().startService()
        self._attach()
        for sink in self._sinks:
            sink.start()

    def stopService(self) -> "Deferred[None]":
        """Let out what waits: sinks that post have a few seconds for it (`LAST_WORDS`), and so have plugins."""
        super().stopService()
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        stopping: list[Deferred[Any]] = [ensureDeferred(sink.stop()) for sink in self._sinks]
        for plugin in self._plugins:
            stopping.append(maybeDeferred(plugin.close).addTimeout(LAST_WORDS, self._server.clock))
        for one in stopping:
            try:
                await one
            except Exception:
                self.log.failure("a sink of events did not stop")
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._unsubscribe.clear()
        self._sinks.clear()

    def _attach(self) -> None:
        if self._attached:
            return
        self._attached = True
        config = self._server.config
        outer = config.event_logger or EventLogger()
        inner = config.application.event_logger or EventLogger()
        self._attach_logger(outer, plain(outer.custom_data), outermost=True)
        self._attach_logger(inner, plain(_first_of(inner.custom_data, outer.custom_data)), outermost=False)
        for plugin in [*self._plugins]:
            self._attach_plugin(plugin)

    def _attach_logger(self, logger: EventLogger, custom_data: Plain, *, outermost: bool) -> None:
        for config in logger.sinks:
            for warning in _unknown_names(config):
                self.log.warn("{warning}", warning=warning)
            try:
                sink = self._make(config, plain(_first_of(config.custom_data, custom_data)), outermost=outermost)
            except CommandError as error:
                self.log.error("a sink of events is left out: {error}", error=error)
                continue
            self._sinks.append(sink)
            wants = selection(config.enabled_events, outermost=outermost)
            self._unsubscribe.append(self._server.events.subscribe(sink, wants))

    def _attach_plugin(self, plugin: Any) -> None:
        try:
            plugin.open(self._server)
        except Exception:
            self.log.failure("the sink {plugin} failed at its start and is left out", plugin=plugin)
            self._plugins.remove(plugin)
            return
        wants = None if plugin.events is None else frozenset(plugin.events).__contains__
        self._unsubscribe.append(self._server.events.subscribe(plugin.event, wants))

    def _make(self, config: EventSink, custom_data: Plain, *, outermost: bool) -> RunningSink:
        """The sink that a section describes. Raises `CommandError` when there can be none."""
        server = self._server
        if config.type == "file":
            path = server.runtime.resolve(config.filename)
            return FileSink(EventFile(config, path, server.version.banner, custom_data), self._in_thread)
        if config.type == "console":
            if sys.__stdout__ is None:
                raise CommandError("there is no console")
            return ConsoleSink(sys.__stdout__, custom_data)
        if outermost:
            raise CommandError("the outermost eventLogger has no sinks of type RPC: put it into the application's")
        agent, close = keep_alive_agent(server.clock)
        return RpcSink(
            server.clock,
            agent,
            Address.parse(config.url),
            config.serializer_type,
            close=close,
            user_agent=server.version.user_agent,
            secret=config.secret,
            custom_data=custom_data,
        )


def _first_of(*values: object) -> object:
    return next((value for value in values if value is not None), None)


def _unknown_names(config: EventSink) -> Iterator[str]:
    """A warning for each enabled event that the server does not have; a plugin may."""
    known = [name for names in EVENTS.values() for name in names]
    for name in config.enabled_events or ():
        if name not in known:
            similar = get_close_matches(name, known, 1)
            hint = f", but {similar[0]}" if similar else ""
            yield f"enabledEvents: the server has no event {name!r}{hint}"
