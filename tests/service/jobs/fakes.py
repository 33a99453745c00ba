"""A server in memory whose jobs connect to servers that only the test plays."""

from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.internet.task import Clock
from zope.interface import implementer

from ems.config.store import Store
from ems.interfaces import IAttempt, IAttemptObserver, IPuller, IPusher
from ems.jobs.service import JobService
from ems.server import Server
from ems.streams.inbound import InboundStream
from ems.streams.outbound import OutboundStream
from ems.testing import testing_server
from ems.uri import Uri

EPOCH = 1_700_000_000
"""Where the clock of these tests begins, in seconds since 1970."""


@implementer(IAttempt)
class FakeAttempt:
    """One pull or push under way; the test says how it fares."""

    def __init__(self, server: Server, uri: Uri, settings: Mapping[str, Any], observer: IAttemptObserver) -> None:
        self.server = server
        self.uri = uri
        self.settings = settings
        self.observer = observer
        self.stopped: list[str] = []
        self.over = False

    def stop(self, reason: str) -> None:
        self.stopped.append(reason)
        self.end(reason)

    def end(self, reason: str) -> None:
        """The connection is lost."""
        if not self.over:
            self.over = True
            self.leave(reason)
            self.observer.ended(reason)

    def leave(self, reason: str) -> None:
        """Take the stream away."""


class FakePull(FakeAttempt):
    """A pull; `bring` makes its stream come."""

    stream: InboundStream | None = None

    def bring(self) -> InboundStream:
        """The source answers, and its stream comes in."""
        self.observer.connected()
        self.stream = self.server.streams.register(self.settings["localStreamName"], type_tag="INR", source=None)
        self.observer.streaming(self.stream)
        return self.stream

    def leave(self, reason: str) -> None:
        if self.stream is not None:
            self.stream.end(reason)


class FakePush(FakeAttempt):
    """A push; `take` has the other server take the stream."""

    stream: OutboundStream | None = None

    def take(self) -> OutboundStream:
        """The other server takes the stream."""
        self.observer.connected()
        self.stream = _Pushed(self)
        self.stream.subscribe()
        self.observer.streaming(self.stream)
        return self.stream

    def leave(self, reason: str) -> None:
        if self.stream is not None:
            self.stream.unsubscribe()


class _Pushed(OutboundStream):
    """What a push sends; it ends with its source."""

    def __init__(self, attempt: FakePush) -> None:
        super().__init__(attempt.server.streams, attempt.settings["localStreamName"], None)
        self._attempt = attempt

    def source_left(self, reason: str) -> None:
        self._attempt.end(reason)

    def close(self, reason: str) -> None:
        super().close(reason)
        self._attempt.end(reason)


@implementer(IPuller, IPusher)
class FakePlugin:
    """A puller and pusher that remembers its attempts; `on_begin` is called with each as it begins."""

    schemes = ("rtmp", "rtsp", "rtp")

    def __init__(self) -> None:
        self.pulls: list[FakePull] = []
        self.pushes: list[FakePush] = []
        self.on_begin: Callable[[FakeAttempt], None] = lambda attempt: None

    def pull(self, server: Server, uri: Uri, settings: Mapping[str, Any], observer: IAttemptObserver) -> IAttempt:
        self.pulls.append(FakePull(server, uri, settings, observer))
        self.on_begin(self.pulls[-1])
        return self.pulls[-1]

    def push(self, server: Server, uri: Uri, settings: Mapping[str, Any], observer: IAttemptObserver) -> IAttempt:
        self.pushes.append(FakePush(server, uri, settings, observer))
        self.on_begin(self.pushes[-1])
        return self.pushes[-1]


class World:
    """The server, its clock, and what its jobs have tried. With a `folder` its jobs are stored there."""

    def __init__(self, folder: Path | None = None) -> None:
        self.clock = Clock()
        self.clock.advance(EPOCH)
        self.plugin = FakePlugin()
        plugins = dict.fromkeys(FakePlugin.schemes, self.plugin)
        self.server = testing_server(self.clock, pullers=plugins, pushers=plugins)
        if folder is not None:
            self.server.jobs.stopService()
            store = Store(folder / "pushPullSetup.xml", in_thread=maybeDeferred)
            self.server.jobs = JobService(
                self.server, pullers=plugins, pushers=plugins, store=store, random=Random(1), in_thread=maybeDeferred
            )
            self.server.jobs.startService()

    @property
    def jobs(self) -> JobService:
        return self.server.jobs

    @property
    def pull(self) -> FakePull:
        """The newest attempt of a pull."""
        return self.plugin.pulls[-1]

    @property
    def push(self) -> FakePush:
        """The newest attempt of a push."""
        return self.plugin.pushes[-1]

    def states(self, job_id: int) -> tuple[str, str]:
        """The present and the previous state of a job, in words."""
        job = self.jobs.by_id(job_id)
        assert job is not None
        return job.status.current.state.description, job.status.previous.state.description

    def add_pull(self, name: str = "lobby", uri: str = "rtmp://192.0.2.40/cam/7", **settings: Any) -> Any:
        """A new pull; fails when it is not there at once."""
        return result_of(self.jobs.pull({"uri": uri, "localStreamName": name, **settings}))

    def add_push(self, name: str = "lobby", uri: str = "rtmp://192.0.2.9/live", **settings: Any) -> Any:
        """A new push; fails when it is not there at once."""
        return result_of(self.jobs.push({"targetUri": uri, "localStreamName": name, "targetStreamName": name, **settings}))

    def publish(self, name: str = "lobby") -> InboundStream:
        """Somebody publishes a stream."""
        return self.server.streams.register(name, type_tag="INR", source=None)

    def wait_for_attempt(self, attempts: list[Any], limit: float = 10) -> float:
        """Let time pass until there is a new attempt; returns the seconds. AssertionError when none comes within `limit`."""
        count, start = len(attempts), self.clock.seconds()
        while len(attempts) == count:
            [*pending] = sorted(call.getTime() for call in self.clock.getDelayedCalls())
            assert pending and pending[0] <= start + limit, "no attempt comes"
            self.clock.advance(pending[0] - self.clock.seconds())
        return self.clock.seconds() - start


def result_of(coroutine: Any) -> Any:
    """What a coroutine returns, which needs nothing to happen meanwhile; raises what it raises."""
    done: list[Any] = []
    deferred: Deferred[Any] = ensureDeferred(coroutine)
    deferred.addBoth(done.append)
    assert done, "it waits for something"
    if hasattr(done[0], "raiseException"):
        done[0].raiseException()
    return done[0]
