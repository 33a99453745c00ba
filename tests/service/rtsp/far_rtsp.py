"""Other people's RTSP servers, scripted and in memory: what `ems.protocols.rtsp.attempt` connects to in tests.

A `FarRtspWorld` has our server and a network of scripted ones. Each connection that is made ends at a new `FarRtsp`::

    world.pull("rtsp://192.0.2.1/cam")
    far = await world.far()
    await far.open(SDP)                        # OPTIONS and DESCRIBE
    asked = await far.asked("SETUP")
    far.answer(asked, Transport=asked.headers.get("Transport"), Session="1")
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from ems.config import Application
from ems.jobs.settings import PULL, PUSH
from ems.protocols.rtsp.attempt import SCHEMES, RtspAttempt, RtspPuller, RtspPusher
from ems.protocols.rtsp.wire import Interleaved, Request, Response, Wire, interleaved, response
from ems.testing import APPLICATION, MemoryTransport, testing_server
from ems.uri import Uri
from tests.conversation import PATIENCE, assert_nothing_left
from tests.service.rtmp.far import FarNetwork, Observer

PUBLIC = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER, ANNOUNCE, RECORD"

SESSION = "5f3a"


class FarRtsp:
    """The far end of one connection. `requests` are those that were not taken yet, `frames` what came between them."""

    def __init__(self, clock: Any, transport_to: Callable[["FarRtsp"], MemoryTransport]) -> None:
        self.requests: deque[Request] = deque()
        self.responses: list[Response] = []
        self.frames: list[Interleaved] = []
        self.raw = b""
        self.connected = True
        self.deliver: Callable[[bytes], None] = lambda data: None
        self._clock = clock
        self._wire = Wire()
        self.transport = transport_to(self)

    def data_received(self, data: bytes) -> None:
        """Bytes from our client."""
        self.raw += data
        for event in self._wire.receive(data):
            if isinstance(event, Request):
                self.requests.append(event)
            elif isinstance(event, Response):
                self.responses.append(event)
            else:
                self.frames.append(event)

    async def asked(self, method: str) -> Request:
        """The next request, which must be of this method."""
        for _ in range(PATIENCE * 100):
            if self.requests:
                asked = self.requests.popleft()
                assert asked.method == method, f"{asked.method} instead of {method}"
                return asked
            await deferLater(self._clock, 0.01)
        raise AssertionError(f"no {method}")

    def answer(self, asked: Request, status: int = 200, body: bytes = b"", **headers: str) -> None:
        """Answer a request; underscores in names of headers stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.send(response(status, {"CSeq": asked.headers.get("CSeq"), **named}, body))

    def challenge(self, asked: Request, *challenges: str) -> None:
        """Answer 401."""
        self.send(response(401, {"CSeq": asked.headers.get("CSeq"), "WWW-Authenticate": list(challenges)}))

    async def open(self, sdp: str, **headers: str) -> Request:
        """Answer OPTIONS, and DESCRIBE with this description; returns the latter."""
        self.answer(await self.asked("OPTIONS"), Public=PUBLIC)
        asked = await self.asked("DESCRIBE")
        self.answer(asked, body=sdp.replace("\n", "\r\n").encode(), Content_Type="application/sdp", **headers)
        return asked

    async def set_up(self, *, session: str = SESSION, **headers: str) -> Request:
        """Grant the transport that SETUP asks for."""
        asked = await self.asked("SETUP")
        self.answer(asked, Session=session, **{"Transport": asked.headers.get("Transport"), **headers})
        return asked

    async def play(self, **headers: str) -> Request:
        """Answer PLAY."""
        asked = await self.asked("PLAY")
        self.answer(asked, **headers)
        return asked

    def frame(self, channel: int, data: bytes) -> None:
        """Send a packet inside the connection."""
        self.send(interleaved(channel, data))

    def send(self, data: bytes) -> None:
        """Send bytes."""
        if self.transport.connected and not self.transport.disconnecting:
            self.deliver(data)

    def hang_up(self) -> None:
        """Close the connection."""
        self.transport.abortConnection()


class FarRtspNetwork(FarNetwork):
    """A clock whose connections lead to scripted RTSP servers; real UDP sockets can be watched, when a test asks (`read_udp`)."""

    def __init__(self) -> None:
        super().__init__()
        self.far: list[FarRtsp] = []
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        """A socket is to be read."""
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        """It is not any more."""
        if reader in self.readers:
            self.readers.remove(reader)

    def read_udp(self) -> None:
        """Have every socket read what has come."""
        for reader in [*self.readers]:
            reader.doRead()

    def _connect(self, host: str, factory: Any) -> None:
        protocol = factory.buildProtocol(None)

        def lost() -> None:
            far.connected = False
            protocol.connectionLost(Failure(ConnectionDone()))

        def deliver(data: bytes) -> None:
            if far.transport.connected:
                protocol.dataReceived(data)

        far = FarRtsp(self, lambda far: MemoryTransport(self, far.data_received, lost, host))
        far.deliver = deliver
        self.far.append(far)
        protocol.makeConnection(far.transport)


class FarRtspWorld:
    """Our server on a `FarRtspNetwork`. `observer` is told of the attempts that the test makes itself."""

    def __init__(self, application: Application = APPLICATION, network: FarRtspNetwork | None = None) -> None:
        self.clock = self.network = network or FarRtspNetwork()
        plugins: dict[str, Any] = {
            "pullers": dict.fromkeys(SCHEMES, RtspPuller()),
            "pushers": dict.fromkeys(SCHEMES, RtspPusher()),
        }
        self.server = testing_server(self.clock, application, **plugins)
        self.observer = Observer()
        self._next = 0

    def pull(self, uri: str = "rtsp://192.0.2.1/cam", **settings: Any) -> RtspAttempt:
        """Pull a stream as ``mine``, inside the connection unless told otherwise."""
        return self._attempt(RtspPuller().pull, uri, {**PULL, "localStreamName": "mine", "forceTcp": True, **settings})

    def push(self, uri: str = "rtsp://192.0.2.1/live", **settings: Any) -> RtspAttempt:
        """Push the stream ``mine`` as ``theirs``, inside the connection unless told otherwise."""
        names = {"localStreamName": "mine", "targetStreamName": "theirs", "forceTcp": True}
        return self._attempt(RtspPusher().push, uri, {**PUSH, **names, **settings})

    async def far(self) -> FarRtsp:
        """The far end of the next connection that is made."""
        await self.until(lambda: len(self.network.far) > self._next)
        self._next += 1
        return self.network.far[self._next - 1]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until a condition holds, which is looked at ten times a second."""
        while not condition():
            await self.seconds(0.1)

    async def seconds(self, count: float) -> None:
        """Let so much time go by."""
        await deferLater(self.clock, count)

    async def ended(self) -> str:
        """Wait until the attempt has ended; returns why."""
        await self.until(lambda: self.observer.reason is not None)
        return self.observer.reason or ""

    def run(self, script: Any) -> None:
        """Run a script to its end, moving the clock while it waits; AssertionError when it is stuck."""
        results: list[Any] = []
        done = Deferred.fromCoroutine(script)
        done.addBoth(results.append)
        for _ in range(PATIENCE * 400):
            if results:
                break
            self.clock.advance(0.01)
        stuck = not results
        done.cancel()
        heard = [[request.method for request in far.requests] for far in self.network.far]
        assert not stuck, f"still waiting; not yet taken: {heard}; told: {self.observer.told} {self.observer.reason}"
        if isinstance(results[0], Failure):
            results[0].raiseException()

    def close(self) -> None:
        """Everybody hangs up; AssertionError when the server keeps anything of them."""
        for far in self.network.far:
            far.hang_up()
        for _ in range(20):
            self.clock.advance(0.05)
        assert_nothing_left(self.server)
        assert self.network.readers == []

    def _attempt(self, begin: Any, uri: str, settings: Mapping[str, Any]) -> RtspAttempt:
        self.observer = Observer()
        attempt: RtspAttempt = begin(self.server, Uri.parse(uri), settings, self.observer)
        return attempt
