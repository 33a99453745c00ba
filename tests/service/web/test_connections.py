"""Connections of the web server: kept, counted, shared out fairly, and inside TLS."""

import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from ems.net.registry import CounterSet
from ems.web.answers import refuse
from ems.web.channel import IN_A_ROW, WebFactory
from tests.certificates import make_certificate
from tests.service.web.browsing import OpenWeb, Web, parse_answer, until


def request(web: Web, path: str, *lines: str) -> bytes:
    """A GET with some header lines more, as bytes of Latin-1."""
    return "\r\n".join([f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{web.port}", *lines, "", ""]).encode("latin-1")


@pytest_twisted.ensureDeferred
async def test_a_dashboard_asks_the_api_over_one_connection(web: Web) -> None:
    """It asks several times a second; the description of the commands says where they are."""
    client = await web.connect()
    for path in ("/api/version", "/api/", "/api/version"):
        client.received.clear()
        client.write(request(web, path))
        await until(lambda: client.received.endswith((b"}", b"\r\n\r\n")), f"the answer to {path}")
        answer, _ = parse_answer(bytes(client.received))
        assert answer.status == 200
        assert "connection" not in answer.headers
        if path == "/api/":
            assert json.loads(answer.body)["servers"] == [{"url": "/api"}]
    assert not client.lost


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("place", ["memory", "disk"])
async def test_viewers_are_in_the_counters_of_the_server(web: Web, place: str) -> None:
    """getBandwidth and getExtendedConnectionCounters tell of their connections and bytes, each byte once."""
    (web.publish if place == "memory" else web.write)("film.mp4", bytes(3_000_000))
    before = web.server.connections.counters.as_dict()["managedTcp"]
    client = await web.connect()
    question = request(web, "/film.mp4")
    client.write(question * 2)
    await until(lambda: len(client.received) > 6_000_000, "the films")
    counters = web.server.connections.counters
    await until(lambda: counters["managedTcp"].out_bytes - before["outBytes"] == len(client.received), "all bytes to be counted")
    now = counters.as_dict()["managedTcp"]
    assert now["current"] - before["current"] == 1
    assert now["inBytes"] - before["inBytes"] == 2 * len(question)
    assert client.transport is not None
    client.transport.abortConnection()
    await until(lambda: counters["managedTcp"].current == before["current"], "the connection to be gone")


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("line", ["close", "close, TE", "TE, close", "Keep-Alive,CLOSE"])
async def test_a_client_that_wants_no_more_is_let_go(web: Web, line: str) -> None:
    """Connection is a list; the answer says that it has been understood."""
    web.publish("a.ts", b"alive")
    client = await web.raw(request(web, "/a.ts", f"Connection: {line}"))
    assert b"\r\nConnection: close\r\n" in client.received
    assert client.received.endswith(b"alive")


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("mode", ["disabled", "always"])
async def test_who_is_one_too_many_is_let_go_at_once(open_web: OpenWeb, tmp_path: Path, log_events: list[Any], mode: str) -> None:
    """Over HTTPS as over HTTP: the connection closes before anything is said, and that is no mistake for the log."""
    key, certificate = map(str, make_certificate().write(tmp_path))
    web = open_web(ssl_mode=mode, ssl_key_file=key, ssl_cert_file=certificate, max_concurrent_connections=1)
    first = await web.connect()
    await until(lambda: len(web.service.factory) == 1, "the first client to be there")
    second = await web.connect()
    await until(lambda: second.lost, "the second one to be let go")
    assert (first.lost, second.received) == (False, b"")
    assert not any("log_failure" in event for event in log_events)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("header", ["Range", "If-None-Match", "If-Range", "Accept-Encoding", "User-Agent", "Authorization"])
async def test_attack_headers_of_any_bytes(web: Web, header: str, log_events: list[Any]) -> None:
    """A header need not be UTF-8: no mistake of ours, and no traceback in the log."""
    web.publish("list.m3u8", b"#EXTM3U\n" * 100)
    for path in ("/list.m3u8", "/api/version"):
        client = await web.raw(request(web, path, f"{header}: \xa0\xff\x80", "Connection: close"))
        assert client.received.startswith(b"HTTP/1.1 200")
    assert not any("log_failure" in event for event in log_events)


def test_attack_a_thousand_requests_at_once() -> None:
    """A read may bring that many: after a few of them the other clients have their turn, and in the end all are answered."""
    clock = Clock()
    factory = WebFactory(
        clock, lambda one: refuse(one, HTTPStatus.NOT_FOUND), CounterSet(), most=10, most_of_one=0, idle_timeout=60
    )
    transport = StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.1", 40_000))
    channel = factory.buildProtocol(transport.getPeer())
    channel.makeConnection(transport)
    channel.dataReceived(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 1000)
    turns = 1
    while (answered := transport.value().count(b"HTTP/1.1 404")) < 1000:
        assert answered <= turns * IN_A_ROW
        clock.advance(0)
        turns += 1
        assert turns < 1000
    assert factory.traffic.in_bytes == 27 * 1000


@pytest_twisted.ensureDeferred
async def test_a_body_is_asked_for_before_it_is_sent(web: Web) -> None:
    """Expect: 100-continue, as curl says it before a long command: first the word to go on, then the answer."""
    client = await web.connect()
    head = f"POST /api/version HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    client.write(head.encode())
    await until(lambda: client.received, "the word to go on")
    assert client.received == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.write(b"{}")
    await until(lambda: b"SUCCESS" in client.received, "the answer")


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("place", ["memory", "disk"])
async def test_what_a_slow_client_has_not_taken_is_one_piece(web: Web, place: str) -> None:
    """Of a large answer only one piece waits in this process, whatever else it has asked for meanwhile."""
    (web.publish if place == "memory" else web.write)("big.ts", bytes(16 << 20))
    deaf = web.deaf(request(web, "/big.ts") * 10)
    await until(lambda: [one for one in web.service.factory if one.is_blocked], "the answer to be stuck")
    (channel,) = web.service.factory
    transport: Any = channel.transport
    piece = web.service.config.application.max_mem_size_per_connection
    assert 0 < len(transport.dataBuffer) - transport.offset + sum(map(len, transport._tempDataBuffer)) <= piece
    deaf.close()
