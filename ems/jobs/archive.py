"""pushPullSetup.xml on the disk: read at the start, and written for many commands at once."""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from ems.config.variant import VariantError
from ems.errors import CommandError
from ems.jobs.setup_file import Entry, read_setup, write_setup

if TYPE_CHECKING:
    from ems.config.store import Store
    from ems.jobs.job import Job
    from ems.version import Version


class Archive:
    """The file of all jobs. `jobs` returns those that belong into it now.

    A file of thousands of jobs takes a while to make, so that happens in a thread, too (`in_thread`), and commands that come
    while one is being made and written share the next.
    """

    log = Logger()

    def __init__(
        self,
        store: "Store",
        version: "Version",
        jobs: Callable[[], "tuple[Job, ...]"],
        *,
        in_thread: Callable[..., "Deferred[Any]"] = deferToThread,
    ) -> None:
        self._store = store
        self._version = version
        self._jobs = jobs
        self._in_thread = in_thread
        self._waiting: list[Deferred[str]] = []
        self._busy = False
        self.stale = False

    def load(self) -> tuple[Entry, ...]:
        """The entries of the file. Never raises; what is wrong with it is logged, and a copy of it kept. It blocks.

        Then `stale` is true: what could be read should be written again.
        """
        setup = self._store.load(read_setup)
        self.stale = self._store.damaged
        if setup is None:
            return ()
        if setup.doubts:
            self._store.keep_copy("; ".join(setup.doubts))
            self.stale = True
        return setup.entries

    async def save(self) -> None:
        """Return when the present jobs are safely on the disk. Raises `CommandError` when they cannot be put there."""
        done: Deferred[str] = Deferred()
        self._waiting.append(done)
        if not self._busy:
            self._busy = True
            ensureDeferred(self._save_all())
        failure = await done
        if failure:
            raise CommandError(failure)

    async def flush(self) -> None:
        """Return when everything that was asked for has been written, or could not be."""
        if self._busy:
            with suppress(CommandError):
                await self.save()

    async def _save_all(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            failure = await self._save()
            for done in waiting:
                done.callback(failure)
        self._busy = False

    async def _save(self) -> str:
        """Write once; returns what went wrong, in words."""
        try:
            content = await self._in_thread(_content, self._jobs(), self._version)
        except VariantError as error:
            return f"{self._store.path.name} cannot be written: {error}"
        except Exception:
            self.log.failure("{path} cannot be made", path=str(self._store.path))
            return "internal error"
        return "" if await self._store.save(content) else f"{self._store.path.name} cannot be written; the log says why"


def _content(jobs: "tuple[Job, ...]", version: "Version") -> bytes:
    return write_setup((job.piece for job in jobs), version)
