"""The job behind ``createHLSStream``: one output, for as long as it is wanted."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from ems.jobs.job import Job
from ems.jobs.settings import HLS, HLS_EXTRAS, complete
from ems.jobs.status import State
from ems.segmenters.hls.master import Groups
from ems.segmenters.hls.output import HlsOutput
from ems.segmenters.hls.settings import HlsSettings

if TYPE_CHECKING:
    from ems.jobs.service import JobService
    from ems.jobs.settings import Settings
    from ems.server import Server


class HlsJobs:
    """Makes the HLS jobs of one server (`ems.jobs.service.JobMaker`). `in_thread` runs what blocks."""

    def __init__(self, server: "Server", in_thread: "Callable[..., Deferred[Any]]" = deferToThread) -> None:
        self._groups = Groups(server, in_thread)
        self._in_thread = in_thread

    def __call__(self, service: "JobService", config_id: int, settings: Mapping[str, Any]) -> "HlsJob":
        """A job with these settings (`ems.jobs.settings.HLS`). Raises `CommandError` when they make no sense."""
        return HlsJob(service, config_id, complete(settings, HLS, HLS_EXTRAS), self._groups, self._in_thread)


class HlsJob(Job):
    """Keeps writing one stream. While there is no such stream it waits.

    With ``keepAlive`` it goes on with the next source of that name; without, it is over when its source has gone.
    """

    kind = "hls"
    log = Logger(namespace="hls")

    def __init__(
        self,
        service: "JobService",
        config_id: int,
        settings: "Settings",
        groups: Groups,
        in_thread: "Callable[..., Deferred[Any]]",
    ) -> None:
        super().__init__(config_id, settings, service.now)
        self._service = service
        own = HlsSettings.of(settings)
        group = groups.of(own.group_folder) if own.create_master else None
        self._output = HlsOutput(service.server, own, group, self, in_thread)
        self._stopped = False

    def start(self) -> None:
        self._output.job = self
        self._enter(State.WAITING)
        self._output.subscribe()

    def stop(self, reason: str) -> None:
        if self._stopped:
            return
        self._stopped = True
        resumes = self.settings["hlsResume"] is True and self.keep_alive and not self._service.running
        self._output.stop(complete=not resumes)
        self.stream = None
        self._enter(State.DISCONNECTED, reason)

    def removed(self) -> None:
        self._output.leave_group()

    async def finished(self) -> None:
        await self._output.finished()

    async def remove_files(self) -> None:
        await self._output.remove_files()

    def streaming(self) -> None:
        """The output is being written."""
        self.attempts += 1
        self.successes += 1
        self.stream = self._output
        self._enter(State.STREAMING)

    def failed(self, reason: str) -> None:
        """The output cannot be written."""
        self.attempts += 1
        self._enter(State.CONNECTION_FAILED, reason)
        self.log.warn("hls {id}, stream {name!r}: {reason}", id=self.id, name=self.name, reason=reason)

    def source_lost(self, reason: str) -> None:
        """The source has gone."""
        if self.keep_alive:
            self.stream = None
            self._enter(State.WAITING, reason)
        else:
            self.closed(reason)

    def closed(self, reason: str) -> None:
        """It is over, and was not to be tried again."""
        self.stop(reason)
        self._service.discard(self)

    def _enter(self, state: State, reason: str = "") -> None:
        stream_id = self.stream.id if self.stream is not None else 0
        self.status.change(state, self._service.now, stream_id=stream_id, reason=reason)
