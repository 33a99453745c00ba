"""Jobs that connect to another server, again and again."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger, LogLevel
from zope.interface import implementer

from ems.errors import CommandError
from ems.interfaces import IAttemptObserver
from ems.jobs.job import Job
from ems.jobs.pauses import SUCCESS, Pauses
from ems.jobs.status import State

if TYPE_CHECKING:
    from ems.interfaces import IAttempt
    from ems.jobs.service import JobService
    from ems.jobs.settings import Settings
    from ems.streams.inbound import InboundStream
    from ems.streams.outbound import OutboundStream
    from ems.uri import Uri


@implementer(IAttemptObserver)
class JobAttempt:
    """One attempt of a job, between the job and the puller or pusher that makes it.

    What is said after the end, or after the job has stopped, does not reach the job.
    """

    def __init__(self, job: "NetworkJob") -> None:
        self.job: NetworkJob | None = job
        self._under_way: IAttempt | None = None
        self._stopped: str | None = None

    def launched(self, under_way: "IAttempt") -> None:
        """It is under way; it may have ended already, or been stopped."""
        self._under_way = under_way
        if self._stopped is not None:
            under_way.stop(self._stopped)

    def stop(self, reason: str) -> None:
        """Give it up; the job hears no more of it."""
        self.job = None
        self._stopped = reason
        if self._under_way is not None:
            self._under_way.stop(reason)

    def connected(self) -> None:
        if self.job is not None:
            self.job.connected()

    def streaming(self, stream: "InboundStream | OutboundStream") -> None:
        if self.job is not None:
            self.job.streaming(stream)

    def ended(self, reason: str) -> None:
        job, self.job = self.job, None
        if job is not None:
            job.ended(reason)


class NetworkJob(Job, ABC):
    """A job whose attempts are connections to `uri`.

    With ``keepAlive`` an attempt that has ended is followed by another, after a pause (`ems.jobs.pauses`); without it the
    job is over. There are never two attempts at the same time.
    """

    log = Logger()

    def __init__(self, service: "JobService", config_id: int, settings: "Settings", uri: "Uri") -> None:
        super().__init__(config_id, settings, service.now)
        self.uri = uri
        self._service = service
        self._pauses = Pauses(service.random)
        self._attempt: JobAttempt | None = None
        self._next: IDelayedCall | None = None
        self._began = 0.0
        self._streaming_since = 0.0
        self._told = State.DISCONNECTED, ""

    def start(self) -> None:
        self._begin()

    def stop(self, reason: str) -> None:
        self._cancel_next()
        attempt, self._attempt = self._attempt, None
        self._let_go()
        self._enter(State.DISCONNECTED, reason)
        if attempt is not None:
            attempt.stop(reason)

    @abstractmethod
    def launch(self, attempt: JobAttempt) -> "IAttempt":
        """Begin an attempt. Raises `CommandError` when this is no moment for one, and whatever a plugin raises."""

    def connected(self) -> None:
        """The other server has answered."""
        self._enter(State.CONNECTED)

    def streaming(self, stream: "InboundStream | OutboundStream") -> None:
        """The attempt has led to this stream."""
        self.successes += 1
        self.stream = stream
        stream.job = self
        self._streaming_since = self._service.now
        self._enter(State.STREAMING)

    def ended(self, reason: str) -> None:
        """The attempt is over."""
        self._attempt = None
        reached = self.status.current.state in (State.STREAMING, State.CONNECTED)
        if self.stream is not None and self._service.now - self._streaming_since >= SUCCESS:
            self._pauses.reset()
        self._let_go()
        self._enter(State.DISCONNECTED if reached else State.CONNECTION_FAILED, reason)
        if not self.keep_alive:
            self._service.discard(self)
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Decide when to try again."""
        self._begin_in(self._pauses.next(self._service.now))

    def _begin_in(self, seconds: float) -> None:
        self._cancel_next()
        self._next = self._service.server.clock.callLater(seconds, self._begin)

    def _cancel_next(self) -> None:
        pending, self._next = self._next, None
        if pending is not None and pending.active():
            pending.cancel()

    def _begin(self) -> None:
        self._next = None
        self.attempts += 1
        self._began = self._service.now
        self._enter(State.CONNECTING)
        attempt = self._attempt = JobAttempt(self)
        try:
            under_way = self.launch(attempt)
        except CommandError as error:
            attempt.ended(str(error))
        except Exception as error:
            self.log.failure("the plugin for {scheme} failed", scheme=self.uri.scheme)
            attempt.ended(f"the plugin for {self.uri.scheme} failed: {error}")
        else:
            attempt.launched(under_way)

    def _let_go(self) -> None:
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.job = None

    def _enter(self, state: State, reason: str = "") -> None:
        self.status.change(state, self._service.now, stream_id=self.stream.id if self.stream else 0, reason=reason)
        self._log_state(state, reason)

    def _log_state(self, state: State, reason: str) -> None:
        """Tell what is new; that a dead source is still dead is not."""
        level = LogLevel.debug
        if state is not State.CONNECTING and (state, reason) != self._told:
            self._told = state, reason
            level = LogLevel.info
        text = "{kind} {id}, stream {name!r}: {state}" + (", {reason}" if reason else "")
        self.log.emit(level, text, kind=self.kind, id=self.id, name=self.name, state=state.description, reason=reason)
