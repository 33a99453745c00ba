"""The web server as a service: its port, the threads that read files, and the second hand of all its time-outs."""

from importlib.resources import files as package_files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from ems.errors import CommandError
from ems.net.sockets import listening_socket
from ems.net.tls import CertificateError, CertificateFiles, ServerTls
from ems.net.tls_transport import DirectTlsFactory
from ems.web.aliases import GroupAliases
from ems.web.api_door import ApiDoor
from ems.web.channel import WebFactory
from ems.web.delivery import Delivery
from ems.web.downloads import Downloads
from ems.web.files import Files, InThread
from ems.web.sessions import StreamingSession, StreamingSessions
from ems.web.site import Site

if TYPE_CHECKING:
    from ems.config.web import WebConfig
    from ems.server import Server

PAGES = "pages"
"""The folder of the package with the pages that come with the server."""


class WebServer(Service):
    """The web server. Raises `CommandError` when its lists of addresses are missing."""

    log = Logger()

    name = "web"

    def __init__(self, server: "Server", config: "WebConfig", reactor: Any) -> None:
        application = config.application
        self.config = config
        self.aliases = GroupAliases(enabled=application.has_group_name_aliases)
        self.sessions = StreamingSessions(reactor.seconds, server.events.emit, self._session_ended)
        self._downloads = Downloads(
            reactor.seconds, application.media_file_download_timeout, server.events.emit, self._forget_alias
        )
        self._reactor = reactor
        self._threads = ThreadPool(1, application.thread_pool_size, "web")
        self._files = Files(server.published, (config.web_root, packaged_pages()), self._in_thread(), reactor.seconds)
        self.site = Site(
            config,
            clock=reactor,
            files=self._files,
            delivery=Delivery(application, self._files, self.sessions, self._downloads),
            sessions=self.sessions,
            aliases=self.aliases,
            make_api=lambda credentials: ApiDoor(server, application.api_proxy, credentials),
        )
        self.factory = WebFactory(
            reactor,
            self.site.respond,
            server.connections.counters,
            most=application.max_concurrent_connections,
            most_of_one=application.max_concurrent_connections_same_ip,
            idle_timeout=application.idle_timeout,
        )
        self._ports: list[IListeningPort] = []
        self._tls = False
        self._seconds = LoopingCall(self._tick)
        self._seconds.clock = reactor

    @property
    def port(self) -> int:
        """The port it listens on: the configured one, or what the system gave for port 0."""
        here: Any = self._ports[0].getHost() if self._ports else self.config.application
        return int(here.port)

    @property
    def listening(self) -> tuple[str, str, int]:
        """What it speaks, its address and its port."""
        return ("https" if self._tls else "http", self.config.application.bind_to_ip or "0.0.0.0", self.port)

    def bind(self) -> None:
        """Open the port. Raises `CommandError` naming what cannot be opened or used."""
        application = self.config.application
        factory: Any = self.factory
        tls = self._server_tls()
        if tls is not None:
            factory = DirectTlsFactory(tls, False, self.factory, self._reactor)
            self._tls = True
        self._listen(application.bind_to_ip or "0.0.0.0", application.port, factory)
        if not application.bind_to_ip and application.use_ipv6:
            try:
                self._listen("::", self.port, factory)
            except CommandError as error:
                self.log.debug("no IPv6: {error}", error=error)

    def _listen(self, host: str, port: int, factory: Any) -> None:
        try:
            listener = listening_socket(host, port)
        except OSError as error:
            where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            raise CommandError(f"the web server cannot listen on {where}: {error.strerror or error}") from error
        try:
            self._ports.append(self._reactor.adoptStreamPort(listener.fileno(), listener.family, factory))
        finally:
            listener.close()

    def _server_tls(self) -> ServerTls | None:
        """The TLS of the port, by ``sslMode``. Raises `CertificateError` when it is needed and cannot be had."""
        application = self.config.application
        if application.tls == "disabled":
            return None
        key, chain = self.config.resolve(application.ssl_key_file), self.config.resolve(application.ssl_cert_file)
        try:
            return ServerTls(CertificateFiles(key, chain), self._reactor)
        except CertificateError as error:
            if application.tls == "always":
                raise CertificateError(f"no HTTPS for the web server: {error}") from error
            self.log.info("the web server speaks HTTP: {error}", error=error)
            return None

    def startService(self) -> None:
        """Start the threads and the clock; the port has been opened by `bind`."""
        super().startService()
        self._threads.start()
        self._seconds.start(1.0, now=False)

    def stopService(self) -> "Deferred[Any]":
        """Close the port and all connections; every session ends."""
        super().stopService()
        if self._seconds.running:
            self._seconds.stop()
        ports, self._ports = self._ports, []
        closed = [closing for closing in (port.stopListening() for port in ports) if closing is not None]
        self.factory.close_all()
        self.sessions.end_all()
        self._downloads.end_all()
        stopped: Deferred[Any] = DeferredList(closed, consumeErrors=True)
        return stopped.addCallback(lambda _: self._threads.stop() if self._threads.started else None)

    def _tick(self) -> None:
        self.factory.tick()
        self.sessions.tick()
        self._downloads.tick()
        self.site.api.events.tick()

    def _in_thread(self) -> InThread:
        return lambda function: deferToThreadPool(self._reactor, self._threads, function)

    def _session_ended(self, session: StreamingSession) -> None:
        if session.alias:
            self._forget_alias(session.alias)

    def _forget_alias(self, name: str) -> None:
        """It was for one viewing, and that is over."""
        if self.aliases.get(name) is not None:
            self.aliases.remove(name)


def packaged_pages() -> Path:
    """The folder of the pages that come with the server."""
    return Path(str(package_files("ems.web"))) / PAGES
