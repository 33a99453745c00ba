"""The jobs behind ``addMetadataListener``: ports that take metadata for a stream, and that are there again after a restart."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import ensureDeferred
from twisted.logger import Logger
from zope.interface import implementer

from ems.config import AcceptorConfig
from ems.config.variant import UInt64
from ems.errors import CommandError
from ems.interfaces import IConnectionObserver
from ems.jobs.job import Job
from ems.jobs.settings import Settings, complete
from ems.jobs.setup_file import METADATA_KIND
from ems.jobs.status import State

if TYPE_CHECKING:
    from ems.jobs.service import JobService
    from ems.net.acceptor import Acceptor
    from ems.net.connection import Connection

PROTOCOL = "inboundJsonMeta"
"""The protocol of these ports."""

SETTINGS: Settings = MappingProxyType({"ip": "0.0.0.0", "port": UInt64(0), "localStreamName": ""})
"""What every listener has, as pushPullSetup.xml keeps it."""


def listener_job(service: "JobService", config_id: int, settings: Mapping[str, Any]) -> "MetadataListenerJob":
    """A job with these settings (`ems.jobs.service.JobMaker`). Raises `CommandError` when they make no sense."""
    return MetadataListenerJob(service, config_id, complete(settings, SETTINGS))


@implementer(IConnectionObserver)
class MetadataListenerJob(Job):
    """Keeps one port open. Whoever closes the port (``shutdownService``) ends the job.

    `acceptor` is the port; None while it cannot be opened, which `status` gives the reason of.
    """

    kind = METADATA_KIND
    log = Logger(namespace="metadata")

    def __init__(self, service: "JobService", config_id: int, settings: Settings) -> None:
        super().__init__(config_id, settings, service.now)
        self.acceptor: Acceptor | None = None
        self._service = service

    def start(self) -> None:
        server, values = self._service.server, dict[str, Any](self.settings)
        config = AcceptorConfig(
            ip=values["ip"], port=int(values["port"]), protocol=PROTOCOL, stream_name=values["localStreamName"]
        )
        self.attempts += 1
        try:
            self.acceptor = server.acceptors.create(config)
        except CommandError as error:
            self.status.change(State.CONNECTION_FAILED, self._service.now, reason=str(error))
            self.log.warn("metadata listener {id}: {error}", id=self.id, error=error)
            return
        self.successes += 1
        self.status.change(State.CONNECTED, self._service.now)
        server.connections.observers.append(self)

    def stop(self, reason: str) -> None:
        acceptor, self.acceptor = self.acceptor, None
        if acceptor is None:
            return
        server = self._service.server
        server.connections.observers.remove(self)
        # When the server stops, the acceptors close their ports themselves.
        if self._service.running and acceptor.id in server.acceptors.services:
            server.acceptors.remove(acceptor.id)
        self.status.change(State.DISCONNECTED, self._service.now, reason=reason)

    def connection_opened(self, connection: "Connection") -> None:
        """Connections are no matter here."""

    def connection_closed(self, connection: "Connection") -> None:
        """Connections are no matter here."""

    def acceptor_opened(self, acceptor: "Acceptor") -> None:
        """Other ports are no matter here."""

    def acceptor_closed(self, acceptor: "Acceptor") -> None:
        if acceptor is self.acceptor:
            ensureDeferred(self._forget())

    async def _forget(self) -> None:
        try:
            await self._service.remove([self], "the port has been closed")
        except CommandError as error:
            self.log.warn("metadata listener {id}: {error}", id=self.id, error=error)
