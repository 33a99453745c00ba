"""Fakes for people who write plugins: a server without sockets, a stream made of frames, a sink that remembers.

Time is a `twisted.internet.task.Clock`, so a test neither waits nor depends on the machine::

    clock = Clock()
    server = testing_server(clock)
    stream = stream_of(frames, server.streams, "cam")      # frames that you made: the stream is live
    sink = RecordingSink()
    stream.add_sink(sink)                                  # primed with the frames since the last key frame

    peer = MemoryPeer(server, "inboundRtmp")               # somebody connects
    peer.send(b"\\x03" + bytes(1536))
    clock.advance(0.1)
    assert peer.received[0] == 3

``docs/plugins.md`` uses them. Nothing here listens, opens files or imports the reactor.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IConsumer, IReactorTime, ITransport
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from ems.access import guard
from ems.config import AcceptorConfig, Application, Config, Runtime
from ems.config.store import Unstored
from ems.interfaces import IFrameSink
from ems.jobs.service import JobService
from ems.jobs.setup_file import METADATA_KIND
from ems.log import LogOutputs
from ems.media.frame import Frame
from ems.media.track import Track
from ems.metadata.listener import listener_job
from ems.metadata.service import MetadataService
from ems.net.acceptor import Acceptors
from ems.net.registry import ConnectionRegistry
from ems.plugins import acceptor_protocols
from ems.reporting import Reporting
from ems.segmenters.hls.job import HlsJobs
from ems.server import Server
from ems.streams.inbound import InboundStream
from ems.streams.manager import StreamManager
from ems.version import read_version
from ems.vod.service import VodService

__all__ = ["MemoryPeer", "MemoryTransport", "RecordingSink", "stream_of", "testing_server"]

APPLICATION = Application(name="ems", aliases=("live", "vod"))
"""What `testing_server` runs when it is told nothing else."""


def testing_server(
    clock: IReactorTime,
    application: Application = APPLICATION,
    *,
    protocols: Mapping[str, Any] | None = None,
    pullers: Mapping[str, Any] | None = None,
    pushers: Mapping[str, Any] | None = None,
    runtime: Path = Path(),
) -> Server:
    """A running server without ports. `protocols` are those that acceptors may name, by default every installed one;
    `pullers` and `pushers` are those that jobs use, by scheme, by default none. Nothing is stored.

    Its once-a-second work, its time-outs and its passes over viewers happen when `clock`, a `Clock`, is advanced. With the
    reactor instead, ``server.acceptors.create`` opens real ports.
    """
    expire_after, delay = application.streams_expire_timer, application.max_merge_delay / 1000
    server = Server(
        clock=clock,
        config=Config(application=application),
        runtime=Runtime(runtime, runtime / "config.lua"),
        version=read_version(),
        log=LogOutputs((), runtime.joinpath, clock=clock),
        streams=StreamManager(clock, expire_after=expire_after, max_merge_delay=delay),
        connections=ConnectionRegistry(clock),
        acceptor_protocols=acceptor_protocols() if protocols is None else protocols,
        shut_down=lambda reason: None,
    )
    for part in guard(server):
        part.startService()
    Reporting(server).startService()
    server.metadata = MetadataService(clock, server.streams, server.connections)
    server.metadata.startService()
    server.acceptors = Acceptors(server, clock)
    server.jobs = JobService(server, pullers=pullers or {}, pushers=pushers or {})
    server.jobs.makers["hls"] = HlsJobs(server)
    server.jobs.makers[METADATA_KIND] = listener_job
    server.vod = VodService(server, Unstored())
    server.vod.startService()
    server.connections.startService()
    server.streams.startService()
    server.jobs.startService()
    return server


# pytest takes every function that is called test… for a test.
testing_server.__test__ = False  # type: ignore[attr-defined]


def stream_of(frames: Iterable[Frame], streams: StreamManager, name: str = "test", *, type_tag: str = "INEXT") -> InboundStream:
    """A live stream of this name, whose tracks are those of the frames, after all the frames have passed.

    Raises `CommandError` when the name is taken. Sinks and players that come now begin with the last key frame; `push` goes
    on, `end` ends it.
    """
    frames = list(frames)
    tracks: dict[int, Track] = {}
    for frame in frames:
        tracks.setdefault(frame.track.id, frame.track)
    stream = streams.register(name, type_tag=type_tag, source=None)
    stream.set_tracks(tuple(tracks[track_id] for track_id in sorted(tracks)))
    for frame in frames:
        stream.push(frame)
    return stream


@implementer(IFrameSink)
class RecordingSink:
    """Remembers what a stream tells it: `tracks`, `frames`, `reason` (None until the end), and all of it in order in `calls`.

    `calls` has ``("tracks_changed", tracks)``, ``("frame", frame)`` and ``("ended", reason)``.
    """

    def __init__(self) -> None:
        self.tracks: tuple[Track, ...] = ()
        self.frames: list[Frame] = []
        self.reason: str | None = None
        self.calls: list[tuple[str, Any]] = []

    def tracks_changed(self, tracks: tuple[Track, ...]) -> None:
        self.tracks = tracks
        self.calls.append(("tracks_changed", tracks))

    def frame(self, frame: Frame) -> None:
        self.frames.append(frame)
        self.calls.append(("frame", frame))

    def ended(self, reason: str) -> None:
        self.reason = reason
        self.calls.append(("ended", reason))


@implementer(ITransport, IConsumer)
class MemoryTransport:
    """The server's end of a connection in memory: what is written goes to `deliver`, unless the peer does not read (`hold`).

    As with a socket, the protocol learns later, from the clock, that its connection is lost. A producer is told to pause when
    the peer stops reading, and to resume when it has read everything.
    """

    def __init__(self, clock: Clock, deliver: Callable[[bytes], None], lost: Callable[[], None], host: str) -> None:
        self.disconnecting = False
        self.connected = True
        self._clock = clock
        self._deliver = deliver
        self._lost = lost
        self._host = host
        self._held: list[bytes] | None = None
        self._producer: Any = None
        self._streaming = False

    @property
    def held_bytes(self) -> int:
        """How much waits for a peer that does not read."""
        return sum(map(len, self._held or ()))

    def write(self, data: bytes) -> None:
        if not self.connected:
            return
        if self._held is None:
            self._deliver(data)
            if self._producer is not None and not self._streaming:
                self._clock.callLater(0, self._drained)
        else:
            self._held.append(data)
            self._pause()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", self._host, 40_000)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 1935)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self._producer is not None:
            raise RuntimeError("a producer is registered already")
        self._producer = producer
        self._streaming = streaming

    def unregisterProducer(self) -> None:
        self._producer = None
        self._finish_when_empty()

    def loseConnection(self) -> None:
        self.disconnecting = True
        self._finish_when_empty()

    def abortConnection(self) -> None:
        self._held = None
        self._disconnect()

    def hold(self) -> None:
        """The peer reads no more."""
        self._held = self._held or []

    def release(self) -> None:
        """The peer reads what is there, and goes on reading."""
        held, self._held = self._held or [], None
        for data in held:
            self._deliver(data)
        self._drained()
        self._finish_when_empty()

    def _pause(self) -> None:
        if self._producer is not None and self._streaming:
            self._producer.pauseProducing()

    def _drained(self) -> None:
        if self._producer is not None and self._held is None:
            self._producer.resumeProducing()

    def _finish_when_empty(self) -> None:
        # A socket with a producer waits for it: the protocol has to take the producer away first.
        if self.disconnecting and not self._held and self._producer is None:
            self._disconnect()

    def _disconnect(self) -> None:
        if self.connected:
            self.connected = False
            self._clock.callLater(0, self._notify)

    def _notify(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        self._lost()


class MemoryPeer:
    """Somebody who is connected to a `testing_server`, to an acceptor of the named protocol.

    `protocol` is the server's end, `received` everything it has sent. `on_data` is called with each piece of it, `on_lost` when
    the connection is gone.
    """

    def __init__(
        self,
        server: Server,
        protocol: str,
        config: AcceptorConfig | None = None,
        *,
        host: str = "127.0.0.1",
        on_data: Callable[[bytes], None] = lambda data: None,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        config = config or AcceptorConfig(ip="127.0.0.1", protocol=protocol)
        factory: Any = server.acceptor_protocols[protocol].make_factory(server, config)
        self.received = bytearray()
        self.connected = True
        self._on_data = on_data
        self._on_lost = on_lost
        self.transport = MemoryTransport(server.clock, self._receive, self._lost, host)
        self.protocol: Any = factory.buildProtocol(self.transport.getPeer())
        self.protocol.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        """Have the server receive these bytes, if the connection is still there."""
        if self.transport.connected and not self.transport.disconnecting:
            self.protocol.dataReceived(data)

    def hang_up(self) -> None:
        """Close the connection from here; the server learns of it when the clock moves."""
        self.transport.abortConnection()

    def _receive(self, data: bytes) -> None:
        self.received += data
        self._on_data(data)

    def _lost(self) -> None:
        self.connected = False
        self.protocol.connectionLost(Failure(ConnectionDone()))
        self._on_lost()
