"""RTSP clients in memory, and streams for them to play."""

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import replace
from hashlib import md5
from typing import Any

from twisted.internet.task import Clock

from ems.config import AcceptorConfig, Application
from ems.formats.rtp.packet import RtpPacket, parse
from ems.media import aac, h264
from ems.media.frame import MILLISECOND, Frame
from ems.media.track import Track
from ems.protocols.rtsp import wire
from ems.protocols.rtsp.wire import Interleaved, Response, Wire
from ems.server import Server
from ems.streams.inbound import InboundStream
from ems.testing import APPLICATION, MemoryPeer, stream_of, testing_server
from tests.unit.media import vectors

VIDEO = h264.make_track(0, vectors.AVCC_HIGH)
AUDIO = aac.make_track(256, vectors.ASC_STEREO)

URL = "rtsp://127.0.0.1/cam"
TCP = "RTP/AVP/TCP;unicast;interleaved={0}-{1}"


def picture(number: int, track: Track = VIDEO) -> Frame:
    """A picture of 40 ms, its number in its bytes; every 25th is a key frame."""
    key = number % 25 == 0
    nal = (b"\x65" if key else b"\x41") + number.to_bytes(4, "big")
    return Frame(track, number * 40 * MILLISECOND, number * 40 * MILLISECOND, key, len(nal).to_bytes(4, "big") + nal)


def sound(number: int) -> Frame:
    """A frame of audio of 20 ms."""
    return Frame(AUDIO, number * 20 * MILLISECOND, number * 20 * MILLISECOND, True, b"sound%d" % number)


def both(start: int, stop: int) -> list[Frame]:
    """Pictures from `start` to before `stop`, and the sound beside them."""
    return [frame for n in range(start, stop) for frame in (picture(n), sound(2 * n), sound(2 * n + 1))]


class World:
    """A server on a `Clock`, and clients of one of its acceptors, which share what clients of one port share."""

    def __init__(self, application: Application = APPLICATION, **acceptor: Any) -> None:
        self.clock = Clock()
        self.server: Server = testing_server(self.clock, application)
        self.config = AcceptorConfig(ip="127.0.0.1", protocol="inboundRtsp", **acceptor)
        self.factory: Any = self.server.acceptor_protocols["inboundRtsp"].make_factory(self.server, self.config)
        self._peers: list[MemoryPeer] = []

    def client(self, host: str = "127.0.0.1") -> "Client":
        """Somebody who has connected."""
        return Client(self, host)

    def stream(self, frames: Iterable[Frame] | None = None, name: str = "cam") -> InboundStream:
        """A stream of one group of pictures and a bit."""
        return stream_of(both(0, 30) if frames is None else frames, self.server.streams, name)

    def pass_time(self, seconds: float) -> None:
        """Let time go by in small steps."""
        for _ in range(round(seconds * 20)):
            self.clock.advance(0.05)


class _OneFactory:
    """An acceptor protocol that always has the same factory."""

    def __init__(self, factory: Any) -> None:
        self._factory = factory

    def make_factory(self, server: Server, config: AcceptorConfig) -> Any:
        """That factory."""
        return self._factory


class Client:
    """A client that says what the test tells it to; responses and frames come into `responses` and `frames`."""

    def __init__(self, world: World, host: str = "127.0.0.1") -> None:
        self.world = world
        self.responses: list[Response] = []
        self.frames: list[Interleaved] = []
        self.session = ""
        self.raw = bytearray()
        self._wire = Wire()
        self._sequence = 0
        self.deaf = False
        protocols = dict(world.server.acceptor_protocols)
        world.server.acceptor_protocols = {**protocols, "rtsp": _OneFactory(world.factory)}  # type: ignore[dict-item]
        self.peer = MemoryPeer(world.server, "rtsp", world.config, host=host, on_data=self._receive)
        world.clock.advance(0)

    def _receive(self, data: bytes) -> None:
        self.raw += data
        if self.deaf:
            return
        for event in self._wire.receive(data):
            if isinstance(event, Interleaved):
                self.frames.append(event)
            else:
                assert isinstance(event, Response)
                self.responses.append(event)

    @property
    def connected(self) -> bool:
        """Whether the server has not hung up."""
        return self.peer.connected

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.peer.send(data)
        self.world.clock.advance(0)
        self.world.clock.advance(0)

    def say(self, method: str, url: str = URL, body: bytes = b"", **headers: str) -> Response | None:
        """Send a request, with the session if there is one, and return the response, if it has come already."""
        self._sequence += 1
        lines = {"CSeq": str(self._sequence), **{name.replace("_", "-"): value for name, value in headers.items()}}
        if self.session and "Session" not in lines:
            lines["Session"] = self.session
        before = len(self.responses)
        self.send(wire.request(method, url, {name: value for name, value in lines.items() if value}, body))
        if len(self.responses) == before:
            return None
        response = self.responses[-1]
        assert response.headers.get("CSeq") in (str(self._sequence), lines["CSeq"])
        if response.headers.get("Session"):
            self.session = response.headers.get("Session").partition(";")[0]
        return response

    def ask(self, method: str, url: str = URL, body: bytes = b"", **headers: str) -> Response:
        """Like `say`; AssertionError without a response."""
        response = self.say(method, url, body, **headers)
        assert response is not None, f"no response to {method}"
        return response

    def status(self, method: str, url: str = URL, body: bytes = b"", **headers: str) -> int:
        """The status of the response."""
        return self.ask(method, url, body, **headers).status

    def set_up(self, url: str = URL, media: int = 2) -> None:
        """Set up media inside the connection."""
        for number in range(1, media + 1):
            transport = TCP.format(2 * number - 2, 2 * number - 1)
            assert self.status("SETUP", f"{url}/trackID={number}", Transport=transport) == 200

    def play(self, url: str = URL, media: int = 2) -> Response:
        """Set up and play; media have come by then."""
        self.set_up(url, media)
        response = self.ask("PLAY", url)
        assert response.status == 200
        self.world.pass_time(0.2)
        return response

    def packets(self, channel: int) -> list[RtpPacket]:
        """The RTP packets of a channel."""
        return [parse(frame.data) for frame in self.frames if frame.channel == channel]


def digest(user: str, password: str, realm: str, nonce: str, method: str, url: str) -> str:
    """The value of Authorization of a client that knows RFC 2069."""

    def hashed(text: str) -> str:
        return md5(text.encode()).hexdigest()

    answer = hashed(f"{hashed(f'{user}:{realm}:{password}')}:{nonce}:{hashed(f'{method}:{url}')}")
    return f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{url}", response="{answer}"'


def basic(user: str, password: str) -> str:
    """The value of Authorization of Basic."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def application(**changes: Any) -> Application:
    """The usual application with changes."""
    return replace(APPLICATION, **changes)
