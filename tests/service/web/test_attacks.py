"""What is done to web servers, and what becomes of it: the attacker is refused or cut off, nobody else notices."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport

from ems.api.bounded_body import MAX_DISCARDED
from ems.net.registry import CounterSet
from ems.web.channel import REQUEST_TIMEOUT, STALL_TIMEOUT, WebChannel, WebFactory
from ems.web.request import WebRequest
from tests.service.web.browsing import OpenWeb, Web, reactor, until

MIB = 1 << 20

PACED_SECONDS = 3


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def still_serves(web: Web) -> None:
    """An ordinary client gets an ordinary answer."""
    web.publish("alive.ts", b"alive")
    assert (await web.ask("/alive.ts")).body == b"alive"


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "data",
    [
        b"GET /" + b"a" * MIB + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(10_000)) + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * MIB + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;" + b"e" * 100_000 + b"\r\nhello\r\n0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=["line", "headers", "header", "tls", "smuggle", "negative", "blank", "extension", "http2"],
)
async def test_attack_malformed_requests(web: Web, data: bytes) -> None:
    """A line of 1 MiB, 10 000 headers, two lengths at once, chunk extensions without end: the connection closes."""
    client = await web.raw(data)
    assert not client.received.startswith(b"HTTP/1.1 2")
    await still_serves(web)


@pytest_twisted.ensureDeferred
async def test_https_spoken_to_an_http_port_ends_at_once(web: Web) -> None:
    """A browser that was given the wrong scheme shows its error now, and not when a time-out is over."""
    client = await web.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    assert client.received == b""


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("host", ["", "a\r\nHost: b"])
async def test_attack_host_junk(web: Web, host: str) -> None:
    """No Host header, or two: 400, as RFC 9112 §3.2 demands."""
    assert (await web.ask("/", Host=host)).status == 400


@pytest_twisted.ensureDeferred
async def test_attack_host_is_never_reflected(web: Web) -> None:
    """Neither pages nor redirections repeat what a client has sent."""
    web.write("docs/index.html", b"page")
    for path in ("/docs", "/<script>alert(1)</script>", "//evil.example/%2e%2e"):
        answer = await web.ask(path, Host='"><script>evil.example')
        assert b"script" not in answer.body
        assert "evil" not in str(answer.headers)


@pytest_twisted.ensureDeferred
async def test_attack_a_thousand_ranges(web: Web) -> None:
    """They cost one whole file, not a thousand parts."""
    web.write("film.mp4", b"x" * 100_000)
    answer = await web.ask("/film.mp4", Range="bytes=" + ",".join(f"{n}-" for n in range(1000)))
    assert (answer.status, len(answer.body)) == (200, 100_000)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "path", ["/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/x", "/..%5c..%5cx", "/a%00.txt", "/....//x", "/link/secret"]
)
async def test_attack_paths(web: Web, tmp_path: Path, path: str) -> None:
    """Nothing outside of the web root is ever served, nor through a link that leads there."""
    (tmp_path / "secret").write_text("secret")
    (web.root / "link").symlink_to(tmp_path)
    answer = await web.ask(path)
    assert (answer.status, b"secret" in answer.body) == (404, False)


@pytest_twisted.ensureDeferred
async def test_attack_a_named_pipe_in_the_web_root(web: Web) -> None:
    """Opening one would wait for ever, and take a thread with it."""
    os.mkfifo(web.root / "pipe.ts")
    assert (await web.ask("/pipe.ts")).status == 404


@pytest_twisted.ensureDeferred
async def test_attack_a_body_without_end(web: Web) -> None:
    """64 KiB are kept, a MiB is read and dropped, then the connection is cut."""
    client = await web.connect()
    before = resident()
    client.write(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * (MAX_DISCARDED + 100_000))
    await until(lambda: client.lost, "the connection to be cut")
    assert resident() - before < 20 * MIB
    await still_serves(web)


@pytest_twisted.ensureDeferred
async def test_attack_unknown_names_fill_a_bounded_table(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody asks for names that nobody has: the memory of them has an end."""
    from ems.web import files

    monkeypatch.setattr(files, "MAX_MISSING", 10)
    for n in range(30):
        assert (await web.ask(f"/{n}.ts")).status == 404
    assert len(web.service._files._missing) == 10


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("place", ["memory", "disk"])
async def test_attack_two_hundred_clients_that_do_not_read(web: Web, place: str) -> None:
    """Each asks for 4 MiB and takes a byte a second: a few pieces of it are in memory for each, not all."""
    (web.publish if place == "memory" else web.write)("big.ts", os.urandom(4 * MIB))
    await still_serves(web)
    before = resident()
    request = f"GET /big.ts HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\n\r\n".encode()
    deaf = [web.deaf(request) for _ in range(200)]
    await until(lambda: sum(one.is_blocked for one in web.service.factory) == 200, "all answers to be stuck", 30)
    for _ in range(PACED_SECONDS):
        for one in deaf:
            one.setblocking(False)
            with suppress(BlockingIOError):
                one.recv(1)
        await still_serves(web)
        assert resident() - before < 200 * 4 * web.service.config.application.max_mem_size_per_connection
        await deferLater(reactor, 1.0)
    for one in deaf:
        one.close()


@pytest_twisted.ensureDeferred
async def test_attack_pipelining_without_reading(web: Web) -> None:
    """Two thousand requests in one go by a client that reads nothing: one answer waits, not two thousand."""
    web.publish("piece.ts", b"x" * 60_000)
    before = resident()
    request = f"GET /piece.ts HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\n\r\n".encode()
    deaf = web.deaf(request * 1000)
    (channel,) = await _channels(web, 1)
    await until(lambda: channel.is_blocked, "the answer to be stuck")
    assert resident() - before < 20 * MIB
    await still_serves(web)
    deaf.close()


async def _channels(web: Web, count: int) -> list[Any]:
    await until(lambda: len(web.service.factory) == count, f"{count} connections")
    return [*web.service.factory._channels]


@pytest_twisted.ensureDeferred
async def test_attack_too_many_connections(open_web: OpenWeb) -> None:
    """Of one address, and in all: who comes after them is turned away, until somebody leaves."""
    web = open_web(max_concurrent_connections_same_ip=5)
    first = [await web.connect() for _ in range(5)]
    await _channels(web, 5)
    sixth = await web.connect()
    await until(lambda: sixth.lost, "the sixth to be turned away")
    first[0].transport.abortConnection()
    await _channels(web, 4)
    await still_serves(web)


class Slow:
    """One connection to a factory whose clock the test moves."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.requests: list[WebRequest] = []
        self.factory = WebFactory(self.clock, self.requests.append, CounterSet(), most=10, most_of_one=0, idle_timeout=60)
        self.transport = StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.1", 40_000))
        self.channel: WebChannel = self.factory.buildProtocol(self.transport.getPeer())
        self.channel.makeConnection(self.transport)

    def after(self, seconds: float) -> bool:
        """Whether the connection is still there when so much time has passed."""
        self.clock.advance(seconds)
        self.factory.tick()
        return not self.transport.disconnected


def test_attack_slowloris() -> None:
    """One byte every few seconds does not keep a request open; nor does a second request behind a first."""
    slow = Slow()
    for byte in b"GET / HTTP/1":
        slow.channel.dataReceived(bytes([byte]))
        there = slow.after(2)
    assert not there
    pipelined = Slow()
    pipelined.channel.dataReceived(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\nHost:")
    pipelined.requests[0].finish()
    assert pipelined.after(REQUEST_TIMEOUT - 1)
    assert not pipelined.after(2)


def test_idle_connections_close() -> None:
    """After the configured time without a request; not while an answer is being made."""
    assert not Slow().after(61)
    answering = Slow()
    answering.channel.dataReceived(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answering.after(1000)
    answering.requests[0].finish()
    assert answering.after(59)
    assert not answering.after(2)


def test_a_client_that_takes_nothing_is_cut_off() -> None:
    """A minute for one buffer is too slow for any stream; who takes something in between stays."""
    slow = Slow()
    slow.channel.dataReceived(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    slow.channel.pauseProducing()
    assert slow.after(STALL_TIMEOUT - 1)
    slow.channel.resumeProducing()
    slow.channel.pauseProducing()
    assert slow.after(STALL_TIMEOUT - 1)
    assert not slow.after(2)


@pytest_twisted.ensureDeferred
async def test_a_mistake_in_one_answer_is_one_answer(web: Web, monkeypatch: pytest.MonkeyPatch, log_events: list[Any]) -> None:
    """Our own bug is a 500 with a traceback in the log; the next request is answered."""

    def broken(*arguments: object, **keywords: object) -> None:
        raise RuntimeError("a bug")

    web.publish("a.ts", b"x")
    with monkeypatch.context() as patch:
        patch.setattr(web.service.site._delivery, "deliver", broken)
        assert (await web.ask("/a.ts")).status == 500
    assert any("a bug" in str(event.get("log_failure")) for event in log_events)
    await still_serves(web)
