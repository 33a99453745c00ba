"""Metadata over WebSocket, with Autobahn's client as the stranger: what the sample page of the manual does."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from pytest_twisted import ensureDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from ems.config import AcceptorConfig, Application
from ems.errors import CommandError
from ems.net.tls import CertificateError, client_options
from ems.server import Server
from ems.testing import testing_server
from tests.certificates import make_certificate
from tests.conversation import sleep
from tests.service.websocket.raw import TEXT, RawClient, frame, request


class Page(WebSocketClientProtocol):  # type: ignore[misc]
    """What a web page does with a WebSocket: `messages` are payloads and whether they are binary."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[tuple[bytes, bool]] = []
        self.ended: str | None = None

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.messages.append((payload, isBinary))

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        self.ended = f"{code} {reason}"

    def send(self, value: Any) -> None:
        """``ws.send(JSON.stringify(value))``"""
        self.sendMessage(json.dumps(value).encode())

    @property
    def said(self) -> list[Any]:
        """The data of the envelopes that came."""
        return [json.loads(payload)["data"] for payload, _ in self.messages]


class Site:
    """A server on free ports of this machine, and pages that connect to it."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.server: Server = testing_server(reactor, Application(name="ems", aliases=("live",)))
        self.server.acceptors = type(self.server.acceptors)(self.server, reactor)
        self._pages: list[Page] = []

    def listen(self, protocol: str = "wsJsonMeta", **settings: str) -> int:
        """Open a port."""
        return self.server.acceptors.create(AcceptorConfig(ip="127.0.0.1", protocol=protocol, **settings)).port

    async def page(self, port: int, path: str, *, tls: bool = False) -> Page:
        """``new WebSocket("ws://127.0.0.1:port/path")``, open."""
        factory = WebSocketClientFactory(f"ws://127.0.0.1:{port}{path}", reactor=self.reactor)
        factory.protocol = Page
        factory.noisy = False
        endpoint: IStreamClientEndpoint = TCP4ClientEndpoint(self.reactor, "127.0.0.1", port)
        if tls:
            endpoint = wrapClientTLS(client_options("localhost", verify=False), endpoint)
        page: Page = await endpoint.connect(factory)
        self._pages.append(page)
        await page.is_open
        return page

    async def until(self, condition: Any) -> None:
        """Wait for a condition; AssertionError when it does not come."""
        for _ in range(1000):
            if condition():
                return
            await sleep(self.reactor, 0.005)
        raise AssertionError("waited in vain")

    async def close(self) -> None:
        """Everybody leaves, and the ports are closed."""
        for page in self._pages:
            page.transport.abortConnection()
        await self.until(lambda: not len(self.server.connections))
        await self.server.acceptors.stopService()
        self.server.connections.stopService()
        self.server.metadata.stopService()


@pytest_twisted.async_yield_fixture
async def site() -> AsyncIterator[Site]:
    """A server; in the end nobody is connected."""
    from twisted.internet import reactor

    made = Site(reactor)
    yield made
    await made.close()


@ensureDeferred
async def test_one_page_sends_and_another_gets_it(site: Site) -> None:
    """R-075, R-078, R-080, R-082, R-083: two pages on one stream; both get the JSON as text within 200 ms, in its envelope."""
    port = site.listen()
    sender, other = await site.page(port, "/lobby"), await site.page(port, "/lobby")
    began = time.monotonic()
    sender.send({"lat": "32.8", "speed": 20})
    await site.until(lambda: sender.messages and other.messages)
    assert time.monotonic() - began < 0.2
    assert sender.messages == other.messages
    payload, is_binary = other.messages[0]
    envelope = json.loads(payload)
    assert not is_binary
    assert envelope["data"] == {"lat": "32.8", "speed": 20}
    assert envelope["EMS"]["type"] == "json"
    assert abs(envelope["EMS"]["timestamp"] - time.time() * 1000) < 10_000


@ensureDeferred
async def test_an_ingested_text_is_kept(site: Site) -> None:
    """R-076: what a page has sent is the newest metadata of its stream."""
    page = await site.page(site.listen(), "/lobby")
    page.send([1, 2])
    await site.until(lambda: page.messages)
    kept = site.server.metadata.newest("lobby")
    assert kept is not None
    assert kept.text.encode() == page.messages[0][0]


@pytest.mark.parametrize("marker", ["", "~0~0~0~"])
@ensureDeferred
async def test_without_a_name_it_is_every_stream(site: Site, marker: str) -> None:
    """R-079: a page on / gets the metadata of any stream, and what it sends is for all."""
    port = site.listen(stream_name=marker)
    everything, lobby, yard = [await site.page(port, path) for path in ("/", "/lobby", "/yard")]
    lobby.send("of the lobby")
    await site.until(lambda: everything.messages and lobby.messages)
    everything.send("for all")
    await site.until(lambda: yard.messages)
    assert everything.said == ["of the lobby", "for all"]
    assert lobby.said == ["of the lobby", "for all"]
    assert yard.said == ["for all"]


@ensureDeferred
async def test_the_address_overrides_the_acceptor(site: Site) -> None:
    """R-081: at an acceptor for a, a page on /b gets b only, and a page on / gets a."""
    port = site.listen(stream_name="a")
    a, b = await site.page(port, "/"), await site.page(port, "/b")
    a.send("for a")
    b.send("for b")
    await site.until(lambda: a.messages and b.messages)
    assert (a.said, b.said) == (["for a"], ["for b"])


@ensureDeferred
async def test_a_wrapped_text_stays_as_it_is(site: Site) -> None:
    """An envelope is not put into another."""
    page = await site.page(site.listen(), "/lobby")
    page.send({"EMS": {"type": "json", "timestamp": 7}, "data": {}})
    await site.until(lambda: page.messages)
    assert json.loads(page.messages[0][0]) == {"EMS": {"type": "json", "timestamp": 7}, "data": {}}


@ensureDeferred
async def test_what_was_there_before_is_not_repeated(site: Site) -> None:
    """A page that comes later hears of what comes later."""
    port = site.listen()
    early = await site.page(port, "/lobby")
    early.send(1)
    await site.until(lambda: early.messages)
    late = await site.page(port, "/lobby")
    early.send(2)
    await site.until(lambda: late.messages)
    assert late.said == [2]


@ensureDeferred
async def test_over_tls(site: Site, tmp_path: Path) -> None:
    """wssJsonMeta is the same inside TLS, and its connections say so."""
    key, certificate = map(str, make_certificate().write(tmp_path))
    port = site.listen("wssJsonMeta", ssl_key=key, ssl_cert=certificate)
    page = await site.page(port, "/lobby", tls=True)
    for number in range(50):
        page.send(number)
    await site.until(lambda: len(page.messages) == 50)
    assert page.said == [*range(50)]
    assert next(iter(site.server.connections)).tags == ("TCP", "ISSL", "IWS", "WSMETA")


@ensureDeferred
async def test_who_is_turned_away_over_tls_is_gone_at_once(site: Site, tmp_path: Path) -> None:
    """A service that is disabled closes the connection before TLS has begun, and counts it."""
    key, certificate = map(str, make_certificate().write(tmp_path))
    port = site.listen("wssJsonMeta", ssl_key=key, ssl_cert=certificate)
    (acceptor,) = site.server.acceptors.services.values()
    acceptor.enabled = False
    gone: list[Failure] = []
    client = Protocol()
    client.connectionLost = gone.append  # type: ignore[method-assign,assignment]
    await connectProtocol(TCP4ClientEndpoint(site.reactor, "127.0.0.1", port), client)
    await site.until(lambda: gone)
    assert (acceptor.accepted, acceptor.dropped) == (0, 1)


@ensureDeferred
async def test_tls_needs_a_certificate(site: Site) -> None:
    """The configuration's mistake is told at the start."""
    with pytest.raises(CertificateError, match="needs sslKey and sslCert"):
        site.listen("wssJsonMeta")


@ensureDeferred
async def test_a_page_that_sends_nonsense_is_told(site: Site) -> None:
    """The close event of the page says what is wrong with the text."""
    page = await site.page(site.listen(), "/lobby")
    page.sendMessage(b"hello")
    await site.until(lambda: page.ended)
    assert page.ended is not None
    assert page.ended.startswith("1007 not JSON: ")


def test_a_name_that_no_stream_can_have() -> None:
    """/.secret is answered with 404, and an acceptor for such a name does not open."""
    server = testing_server(Clock())
    client = RawClient(server, "wsJsonMeta", None)
    client.send(request("/.secret"))
    assert client.take().startswith(b"HTTP/1.1 404 Not Found\r\n")
    with pytest.raises(CommandError, match="begin with a dot"):
        server.acceptors.create(AcceptorConfig(ip="127.0.0.1", protocol="wsJsonMeta", stream_name="../x"))


def test_aliases_are_the_names_where_there_are_aliases() -> None:
    """With hasStreamAliases the address must be an alias; it leads to the stream's metadata."""
    server = testing_server(Clock(), Application(name="ems", has_stream_aliases=True))
    server.aliases.add("ticket", "lobby", 0)
    by_alias = RawClient(server, "wsJsonMeta", "/ticket")
    server.metadata.publish("lobby", "1")
    assert [json.loads(text)["data"] for text in by_alias.texts()] == [1]
    by_name = RawClient(server, "wsJsonMeta", None)
    by_name.send(request("/lobby"))
    assert by_name.take().startswith(b"HTTP/1.1 404 Not Found\r\n")


def test_nobody_listens_after_he_has_left() -> None:
    """A hundred pages that come and go leave nothing behind."""
    server = testing_server(Clock())
    for index in range(100):
        client = RawClient(server, "wsJsonMeta", f"/s{index}")
        client.send(frame(TEXT, b"1"))
        client.peer.hang_up()
        assert not client.connected
    assert server.metadata._listeners == {}
