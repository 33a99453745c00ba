"""All jobs of the server: made, found, removed, and started again with it."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from zope.interface import implementer

from ems.errors import CommandError
from ems.interfaces import IStreamObserver
from ems.jobs.archive import Archive
from ems.jobs.job import DormantJob, Job
from ems.jobs.network import NetworkJob
from ems.jobs.pull import PullJob
from ems.jobs.push import PushJob
from ems.jobs.settings import PULL, PULL_EXTRAS, PUSH, complete
from ems.jobs.setup_file import Entry
from ems.uri import Uri

if TYPE_CHECKING:
    from ems.config.store import Store
    from ems.interfaces import IPuller, IPusher
    from ems.server import Server
    from ems.streams.inbound import InboundStream

NetworkJobT = TypeVar("NetworkJobT", bound=NetworkJob)

JobMaker = Callable[["JobService", int, Mapping[str, Any]], Job]
"""Makes a job of an id and settings, given or stored ones. Raises `CommandError` when they make no sense."""


@implementer(IStreamObserver)
class JobService(Service):
    """Every job by its id.

    `pullers` and `pushers` are the plugins by URI scheme. Without a `store` nothing survives a restart. `random` decides on
    pauses; `in_thread` runs a function elsewhere and returns a Deferred of its result. `makers` make the jobs of kinds that
    other rooms bring, such as HLS; they have to be there before the start.
    """

    name = "jobs"
    log = Logger()

    def __init__(
        self,
        server: "Server",
        *,
        pullers: "Mapping[str, IPuller]",
        pushers: "Mapping[str, IPusher]",
        store: "Store | None" = None,
        random: Random | None = None,
        in_thread: Callable[..., "Deferred[Any]"] = deferToThread,
    ) -> None:
        self.server = server
        self.pullers = pullers
        self.pushers = pushers
        self.random = random or Random()
        self.makers: dict[str, JobMaker] = {}
        self._jobs: dict[int, Job] = {}
        self._ids = count(1)
        self._archive = Archive(store, server.version, self._persistent, in_thread=in_thread) if store is not None else None

    def startService(self) -> None:
        """Start the jobs of the file, and watch the streams that come and go."""
        super().startService()
        self.server.streams.observers.append(self)
        if self._archive is not None:
            self._restore(self._archive)
        for job in [*self]:
            job.start()

    def stopService(self) -> "Awaitable[None]":
        """End all jobs; what commands have asked for is written before the Deferred fires."""
        super().stopService()
        self.server.streams.observers.remove(self)
        for job in [*self]:
            job.stop("the server stops")
        return ensureDeferred(self._flush())

    @property
    def now(self) -> float:
        """The moment, in seconds since 1970."""
        return float(self.server.clock.seconds())

    def __iter__(self) -> Iterator[Job]:
        """All jobs in the order of their ids."""
        return iter([job for _, job in sorted(self._jobs.items())])

    def by_id(self, config_id: int) -> Job | None:
        """The job of that id."""
        return self._jobs.get(config_id)

    def of_group(self, name: str) -> list[Job]:
        """The jobs of a group, in the order of their ids."""
        return [job for job in self if name and job.group == name]

    def check_free(self, name: str) -> None:
        """Raise `CommandError` when a stream of that name is live, or a pull would bring one."""
        pulled = (job.name for job in self._jobs.values() if job.kind == PullJob.kind)
        if name in self.server.streams.inbound or name in pulled:
            raise CommandError(f"Stream name {name} already taken")

    async def pull(self, settings: Mapping[str, Any]) -> PullJob:
        """Keep a new pull and start it; `settings` are those of `ems.jobs.settings.PULL`.

        Returns when it is safely stored. Raises `CommandError` when its name is taken, or its settings make no sense or cannot
        be stored; then nothing has happened.
        """
        complete_settings = complete(settings, PULL, PULL_EXTRAS)
        uri = Uri.parse(str(complete_settings["uri"]))
        self.check_free(str(complete_settings["localStreamName"]))
        return await self._keep(PullJob(self, next(self._ids), complete_settings, uri))

    async def push(self, settings: Mapping[str, Any]) -> PushJob:
        """Keep a new push and start it, as `pull` does; `settings` are those of `ems.jobs.settings.PUSH`."""
        complete_settings = complete(settings, PUSH)
        uri = Uri.parse(str(complete_settings["targetUri"]))
        return await self._keep(PushJob(self, next(self._ids), complete_settings, uri))

    async def add(self, kind: str, settings: Iterable[Mapping[str, Any]]) -> list[Job]:
        """Keep new jobs of a kind of `makers` and start them: all or, when `CommandError` is raised, none of them.

        Returns when they are safely stored.
        """
        jobs = [self.makers[kind](self, next(self._ids), one) for one in settings]
        await self._keep_all(jobs)
        return jobs

    async def remove(self, jobs: Iterable[Job], reason: str) -> None:
        """End jobs and forget them. Returns when a restart does not bring them back; raises `CommandError` if it will."""
        stored = False
        for job in [*jobs]:
            self._jobs.pop(job.id, None)
            job.stop(reason)
            job.removed()
            stored = stored or job.persistent
        if not stored:
            return
        try:
            await self._save()
        except CommandError as error:
            raise CommandError(f"It has ended, but comes back with the next restart: {error}") from None

    def discard(self, job: Job) -> None:
        """Forget a job that was not to be tried again and that has ended by itself."""
        self._jobs.pop(job.id, None)

    def stream_came(self, stream: "InboundStream") -> None:
        for job in self._jobs.values():
            if isinstance(job, PushJob):
                job.stream_came()

    def stream_left(self, stream: "InboundStream", reason: str) -> None:
        for job in self._jobs.values():
            if isinstance(job, PushJob):
                job.stream_left()

    async def _keep(self, job: NetworkJobT) -> NetworkJobT:
        await self._keep_all([job])
        return job

    async def _keep_all(self, jobs: Sequence[Job]) -> None:
        self._jobs.update((job.id, job) for job in jobs)
        try:
            if any(job.persistent for job in jobs):
                await self._save()
        except CommandError:
            for job in jobs:
                self.discard(job)
            raise
        for job in jobs:
            # While it was written it may have been removed again, or the server been told to stop.
            if self.running and self._jobs.get(job.id) is job:
                job.start()

    async def _save(self) -> None:
        if self._archive is not None:
            await self._archive.save()

    async def _flush(self) -> None:
        for job in [*self]:
            await job.finished()
        if self._archive is not None:
            await self._archive.flush()

    def _persistent(self) -> tuple[Job, ...]:
        return tuple(job for job in self._jobs.values() if job.persistent)

    def _restore(self, archive: Archive) -> None:
        entries = archive.load()
        self._ids = count(max((entry.id for entry in entries), default=0) + 1)
        stale = archive.stale
        for entry in entries:
            config_id = entry.id
            if not config_id or config_id in self._jobs:
                config_id = next(self._ids)
                stale = True
                self.log.warn("{kind} {old} of the stored jobs is now {new}", kind=entry.kind, old=entry.id, new=config_id)
            self._jobs[config_id] = self._restored(entry, config_id)
        if stale:
            ensureDeferred(self._rewrite())

    def _restored(self, entry: Entry, config_id: int) -> Job:
        try:
            return self._restored_job(entry, config_id)
        except CommandError as error:
            self.log.warn("{kind} {id} is kept but does not run: {error}", kind=entry.kind, id=config_id, error=error)
            return DormantJob(entry, config_id, self.now, str(error))

    def _restored_job(self, entry: Entry, config_id: int) -> Job:
        """The job that is stored; raises `CommandError` when it cannot run here."""
        values = {key: value for key, value in entry.values.items() if key != "operationType"}
        if entry.kind in self.makers:
            return self.makers[entry.kind](self, config_id, values)
        values.setdefault("emulateUserAgent", self.server.version.user_agent)
        if entry.kind == PullJob.kind:
            settings = complete(values, PULL, PULL_EXTRAS)
            uri = self._runnable(str(settings["uri"]), self.pullers)
            self.check_free(str(settings["localStreamName"]))
            return PullJob(self, config_id, settings, uri)
        if entry.kind == PushJob.kind:
            settings = complete(values, PUSH)
            return PushJob(self, config_id, settings, self._runnable(str(settings["targetUri"]), self.pushers))
        raise CommandError("not implemented in this version")

    def _runnable(self, address: str, plugins: Mapping[str, Any]) -> Uri:
        uri = Uri.parse(address)
        if uri.scheme not in plugins:
            raise CommandError(f"nothing installed knows the scheme {uri.scheme}")
        return uri

    async def _rewrite(self) -> None:
        with suppress(CommandError):
            await self._save()
