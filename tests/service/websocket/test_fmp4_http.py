"""Streams over plain HTTP: an endless video for whatever takes an address."""

from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogEvent

from ems.media import aac, h264
from ems.media.frame import MILLISECOND, Frame
from ems.media.track import Codec, Kind, Track
from ems.server import Server
from ems.testing import MemoryPeer, stream_of, testing_server
from tests.unit.media import vectors

VIDEO = h264.make_track(0, vectors.AVCC_HIGH)
AUDIO = aac.make_track(256, vectors.ASC_STEREO)


def frames(start: int, stop: int) -> list[Frame]:
    """Pictures, every tenth a key frame, and sound beside them."""
    step = 40 * MILLISECOND
    return [
        frame
        for n in range(start, stop)
        for frame in (
            Frame(VIDEO, n * step, n * step, n % 10 == 0, b"\0\0\0\4%04d" % n),
            Frame(AUDIO, n * step, n * step, True, b"sound%04d" % n),
        )
    ]


@pytest.fixture
def server(log_events: list[LogEvent]) -> Iterator[Server]:
    """A server; the test fails when its log has a traceback."""
    yield testing_server(Clock())
    assert [event for event in log_events if "log_failure" in event] == []


def pass_time(server: Server, seconds: float = 0.2) -> None:
    """Let time go by."""
    for _ in range(round(seconds * 20)):
        server.clock.advance(0.05)


def ask(server: Server, request: str) -> MemoryPeer:
    """A client that has sent a request."""
    peer = MemoryPeer(server, "inboundHttpFmp4")
    peer.send(f"{request}\r\nHost: test\r\n\r\n".encode())
    pass_time(server)
    return peer


def parts(peer: MemoryPeer) -> tuple[int, bytes, bytes]:
    """Status, header fields and body of the answer."""
    head, _, body = bytes(peer.received).partition(b"\r\n\r\n")
    return int(head.split()[1]), head, body


def unchunked(body: bytes) -> tuple[list[bytes], bool]:
    """The chunks of a body, and whether the last one is there; AssertionError when it is not made of chunks."""
    chunks = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        assert rest[length : length + 2] == b"\r\n"
        if not length:
            assert rest == b"\r\n"
            return chunks, True
        chunks.append(rest[:length])
        body = rest[length + 2 :]
    return chunks, False


def test_a_video_without_an_end(server: Server) -> None:
    """The answer is video/mp4 in chunks, from the newest key frame on, until the stream ends."""
    stream = stream_of(frames(0, 15), server.streams, "cam")
    peer = ask(server, "GET /cam HTTP/1.1")
    for frame in frames(15, 20):
        stream.push(frame)
    pass_time(server)
    status, head, body = parts(peer)
    chunks, ended = unchunked(body)
    assert (status, ended) == (200, False)
    assert b"Content-Type: video/mp4" in head
    assert b"Transfer-Encoding: chunked" in head
    assert b"no-cache" in head
    assert [chunk[4:8] for chunk in chunks[:2]] == [b"ftyp", b"moof"]
    everything = b"".join(chunks)
    assert [n for n in range(20) if b"\0\0\0\4%04d" % n in everything] == list(range(10, 20))
    stream.end("over")
    pass_time(server)
    chunks, ended = unchunked(parts(peer)[2])
    assert ended
    assert b"sound0019" in chunks[-1]
    assert not peer.connected
    assert server.streams.outbound == {}


def test_http_1_0(server: Server) -> None:
    """A client of HTTP/1.0, which knows no chunks, gets the same bytes as they are."""
    stream_of(frames(0, 15), server.streams, "cam")
    old, new = ask(server, "GET /cam HTTP/1.0"), ask(server, "GET /cam HTTP/1.1")
    assert b"chunked" not in parts(old)[1]
    assert parts(old)[2] == b"".join(unchunked(parts(new)[2])[0])


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET / HTTP/1.1", 404),
        ("GET /nothing HTTP/1.1", 404),
        ("GET /../cam HTTP/1.1", 404),
        ("GET /%00 HTTP/1.1", 404),
        ("GET /%ff HTTP/1.1", 400),
        ("GET /speex HTTP/1.1", 406),
        ("POST /cam HTTP/1.1", 405),
        ("GET /cam", 400),
        ("GET /cam HTTP/2", 400),
        ("nonsense", 400),
        ("\xff", 400),
        ("GET http://[ HTTP/1.1", 400),
        (f"GET /{'x' * 20_000} HTTP/1.1", 431),
    ],
)
def test_refusals(server: Server, request_line: str, status: int) -> None:
    """What cannot be answered is told so, and the connection closes."""
    stream_of(frames(0, 15), server.streams, "cam")
    speex = Track(256, Kind.AUDIO, Codec.FLV_SPEEX, sample_rate=16000)
    stream_of([Frame(speex, 0, 0, True, b"x")], server.streams, "speex")
    peer = ask(server, request_line)
    assert parts(peer)[0] == status
    assert parts(peer)[2] == b""
    assert not peer.connected
    assert server.streams.outbound == {}


def test_head(server: Server) -> None:
    """HEAD gets the header fields and no video."""
    stream_of(frames(0, 15), server.streams, "cam")
    peer = ask(server, "HEAD /cam HTTP/1.1")
    assert parts(peer)[0] == 200
    assert parts(peer)[2] == b""
    assert not peer.connected


def test_a_request_that_never_comes(server: Server) -> None:
    """Who connects and is silent, or sends half a request, is closed after some seconds."""
    silent, slow = MemoryPeer(server, "inboundHttpFmp4"), MemoryPeer(server, "inboundHttpFmp4")
    slow.send(b"GET /cam HT")
    pass_time(server, 7)
    assert (silent.connected, slow.connected, len(server.connections)) == (False, False, 0)


def test_a_request_in_pieces(server: Server) -> None:
    """A request may come byte for byte; what comes behind it is passed over."""
    stream_of(frames(0, 15), server.streams, "cam")
    peer = MemoryPeer(server, "inboundHttpFmp4")
    for byte in b"GET /cam?x=y HTTP/1.1\r\nHost: test\r\n\r\nGET /other HTTP/1.1\r\n\r\n":
        peer.send(bytes((byte,)))
    pass_time(server)
    assert parts(peer)[0] == 200
    assert bytes(peer.received).count(b"HTTP/1.1") == 1


def test_a_player_that_stops_reading(server: Server) -> None:
    """A paused player is kept for a minute, and cut off then."""
    stream = stream_of(frames(0, 15), server.streams, "cam")
    peer = ask(server, "GET /cam HTTP/1.1")
    peer.transport.hold()
    for start in range(15, 24):
        for frame in frames(start, start + 1):
            stream.push(frame)
        pass_time(server, 5)
    assert peer.connected
    pass_time(server, 30)
    assert not peer.connected
    assert server.streams.outbound == {}
