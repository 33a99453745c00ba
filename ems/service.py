"""The server as one tree of services: the only file that knows everybody.

`make_service` reads the configuration, opens the ports, and puts the parts together in the order in which they start; they
stop in the reverse order.
"""

from pathlib import Path
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from ems.access import guard
from ems.config import LogAppender, Runtime, load_config, prepare_runtime
from ems.config.store import Store
from ems.config.web import load_web_config
from ems.events.sinks import EventSinks
from ems.housekeeping import Housekeeping
from ems.jobs.service import JobService
from ems.jobs.setup_file import METADATA_KIND
from ems.log import LogOutputs
from ems.metadata.listener import listener_job
from ems.metadata.service import MetadataService
from ems.net.acceptor import Acceptors
from ems.net.registry import ConnectionRegistry
from ems.plugins import acceptor_protocols, event_sinks, pullers, pushers
from ems.reporting import Reporting, describe_version
from ems.segmenters.hls.auto import AutoHlsService
from ems.segmenters.hls.job import HlsJobs
from ems.server import Server
from ems.streams.manager import StreamManager
from ems.version import read_version
from ems.vod.service import STORAGES_FILE, VodService
from ems.web.service import WebServer

WEB_CONFIG = "webconfig.lua"

DEMO_CLIP = "media/demo.mp4"

CONSOLE = LogAppender(name="implicit", type="coloredConsole", level=6)


class EmsService(MultiService):
    """The running server; `server` has its parts by name."""

    log = Logger()

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.setName("ems")
        self.server = server

    def privilegedStartService(self) -> None:
        """Open every configured port, before the process gives up its privileges. Raises `CommandError` for one it cannot."""
        super().privilegedStartService()
        config = self.server.config
        for note in config.notes:
            self.log.info("{note}", note=note)
        for warning in config.warnings:
            self.log.warn("{warning}", warning=warning)
        self.server.acceptors.bind_configured()
        if self.server.web is not None:
            self.server.web.bind()

    def startService(self) -> None:
        super().startService()
        self.server.events.emit("serverStarted", lambda: describe_version(self.server))

    def listening(self) -> list[tuple[str, str, int]]:
        """What listens where: protocol, address and port of each acceptor, and of the web server."""
        web = [self.server.web.listening] if self.server.web is not None else []
        return [*((one.config.protocol, one.config.ip, one.port) for one in self.server.acceptors.services.values()), *web]

    def stopService(self) -> "Deferred[Any]":
        """Stop everything, the newest part first, and the log when all have ended; connections are closed with their streams."""
        self.server.events.emit("serverStopping", lambda: describe_version(self.server))
        for connection in self.server.connections:
            connection.close("the server stops")
        if not self.running:
            return succeed(None)
        stopped: Deferred[Any] = super().stopService()
        return stopped.addBoth(self._close_log)

    def _close_log(self, result: object) -> object:
        self.server.log.stop()
        return result


class LogService(Service):
    """Begins the log, which `EmsService` ends; with `begin` it is the first to take Twisted's log."""

    def __init__(self, outputs: LogOutputs, *, begin: bool) -> None:
        self.setName("log")
        self._outputs = outputs
        self._begin = begin

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        self._outputs.start(begin=self._begin)


def make_service(
    config_path: Path | None, runtime: Path, reactor: Any, *, begin_log: bool = False, console: bool = False
) -> EmsService:
    """The server of a configuration file (by default the runtime directory's own), not started yet.

    `begin_log` is for a program of its own, which no other (``twistd``) has given a log; `console` adds a console appender
    of the finest level to those of the configuration. Raises `ems.config.ConfigError` with everything wrong in the file.
    """
    prepared = prepare_runtime(runtime)
    server = _make_server(config_path or prepared.config_file, prepared, reactor, begin_log, console)
    application = server.config.application
    guards = guard(server, lambda path: Store(prepared.resolve(path)))
    server.acceptors = Acceptors(server, reactor)
    server.metadata = MetadataService(reactor, server.streams, server.connections)
    job_file = Store(prepared.resolve(application.push_pull_persistence_file))
    server.jobs = JobService(server, pullers=pullers(), pushers=pushers(), store=job_file)
    server.jobs.makers["hls"] = HlsJobs(server)
    server.jobs.makers[METADATA_KIND] = listener_job
    server.vod = VodService(server, Store(job_file.path.with_name(STORAGES_FILE)))
    service = EmsService(server)
    log = LogService(server.log, begin=begin_log)
    housekeeping = Housekeeping(reactor, server.connections)
    events = (EventSinks(server, event_sinks()), Reporting(server))
    parts = (
        log,
        *events,
        server.connections,
        server.streams,
        *guards,
        server.metadata,
        server.vod,
        server.acceptors,
        server.jobs,
        housekeeping,
    )
    for part in (*parts, *_options(server, reactor)):
        part.setServiceParent(service)
    return service


def _make_server(config_file: Path, runtime: Runtime, reactor: Any, begin_log: bool, console: bool) -> Server:
    """The parts that need nothing but the configuration. Under ``twistd`` the console is twistd's own."""
    protocols = acceptor_protocols()
    config = load_config(config_file, known_protocols=protocols, directory=runtime.directory)
    application = config.application
    appenders = (*config.log_appenders, CONSOLE) if console else config.log_appenders
    return Server(
        clock=reactor,
        config=config,
        runtime=runtime,
        version=read_version(),
        log=LogOutputs(appenders, runtime.resolve, clock=reactor, console=begin_log),
        streams=StreamManager(
            reactor, expire_after=application.streams_expire_timer, max_merge_delay=application.max_merge_delay / 1000
        ),
        connections=ConnectionRegistry(reactor),
        acceptor_protocols=protocols,
        shut_down=lambda reason: _shut_down(reactor, reason),
    )


def _options(server: Server, reactor: Any) -> list[Any]:
    """The parts that a configuration may ask for."""
    parts: list[Any] = []
    application = server.config.application
    if application.run_web_server:
        server.web = _web_server(server, reactor)
        parts.append(server.web)
    if application.auto_hls is not None and application.auto_hls.target_folder:
        parts.append(AutoHlsService(server, application.auto_hls))
    if application.demo_stream:
        # FFmpeg's libraries take a tenth of the time and a fifth of the memory of a start: who has no demonstration is spared.
        from ems.demo import DemoStream

        clip = server.runtime.resolve(DEMO_CLIP)
        parts.append(DemoStream(reactor, server.streams, clip, application.demo_stream))
    if application.manhole.port:
        from ems.manhole import Manhole

        namespace = {"server": server, "streams": server.streams.inbound, "connections": server.connections}
        parts.append(Manhole(reactor, application.manhole, server.runtime.resolve, namespace))
    return parts


def _web_server(server: Server, reactor: Any) -> WebServer:
    """Its configuration lies beside the server's own, or in the runtime directory."""
    path = server.config.source.parent / WEB_CONFIG
    if not path.exists():
        path = server.runtime.resolve(f"config/{WEB_CONFIG}")
    config = load_web_config(path, server.runtime.directory)
    for warning in config.warnings:
        EmsService.log.warn("{warning}", warning=warning)
    return WebServer(server, config, reactor)


def _shut_down(reactor: Any, reason: str) -> None:
    EmsService.log.info("stopping: {reason}", reason=reason)
    reactor.callLater(0, reactor.stop)
