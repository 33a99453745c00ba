"""RTMP inside TLS over real sockets."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.logger import LogEvent

from ems.config import AcceptorConfig
from ems.errors import CommandError
from ems.net.tls import CertificateError
from ems.protocols.rtmp import tunnel_client
from ems.protocols.rtmp.server import RtmpConnection
from tests.conversation import AVC_HEADER, VIDEO, LoopbackWorld, avc, group, sleep, video
from tests.service.rtmp.loopback import open_door, tls_endpoint, tunnel, until


@pytest_twisted.async_yield_fixture
async def world(log_events: list[LogEvent]) -> AsyncIterator[LoopbackWorld]:
    """A server on a free port. Fails the test when the log has a traceback or the server keeps anything."""
    from twisted.internet import reactor

    made = LoopbackWorld(reactor)
    yield made
    await made.close()
    assert [event for event in log_events if "log_failure" in event] == []


@pytest_twisted.ensureDeferred
async def test_what_is_published_is_played(world: LoopbackWorld, tmp_path: Path) -> None:
    """A stream that comes in through TLS goes out through TLS, whole and in order."""
    endpoint = tls_endpoint(world, open_door(world, "inboundRtmps", tmp_path))
    publisher, player = await world.stranger(endpoint), await world.stranger(endpoint)
    await publisher.open()
    await publisher.publish("cam")
    publisher >> video(0, AVC_HEADER)
    await player.open()
    await player.play("cam")
    sent = group(0)
    for message in sent:
        publisher >> message
    await player.heard("video 160 inter")
    for message in [message for start in range(200, 2000, 200) for message in group(start)]:
        sent.append(message)
        publisher >> message
        await sleep(world.reactor, 0.002)
    await player.heard("video 1960 inter")
    received = [message for message in player.messages if message.type_id == VIDEO][1:]
    assert received == [message for message in sent if message.type_id == VIDEO]
    assert {connection.tags for connection in world.server.connections} == {("TCP", "ISSL", "IRS")}


@pytest_twisted.ensureDeferred
async def test_http_inside_tls_is_a_tunnel(world: LoopbackWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The RTMPS port also takes RTMP through HTTPS."""
    port = open_door(world, "inboundRtmps", tmp_path)
    monkeypatch.setattr(tunnel_client, "server_endpoint", lambda *_: tls_endpoint(world, port))
    ending = await tunnel(world, port)
    await ending.client.open()
    await ending.client.publish("cam")
    assert {connection.tags for connection in world.server.connections} == {("TCP", "ISSL", "IH4R", "IR")}
    ending.transport.loseConnection()  # type: ignore[union-attr]
    await until(world, lambda: ending.reason)


@pytest_twisted.ensureDeferred
async def test_a_viewer_that_stops_reading_costs_little(world: LoopbackWorld, tmp_path: Path) -> None:
    """Through TLS, too, what waits for a stuck viewer is bounded, and who reads again goes on."""
    publisher = await world.client()
    publisher.set_chunk_size(60_000)
    await publisher.publish("fat")
    publisher >> video(0, AVC_HEADER)
    viewer = await world.stranger(tls_endpoint(world, open_door(world, "inboundRtmps", tmp_path)))
    await viewer.open()
    await viewer.play("fat")
    transport: Any = world.transport(viewer)
    transport.pauseProducing()
    for number in range(200):
        publisher >> video(40 * number, avc(bytes(100_000), key=number % 10 == 0))
        await sleep(world.reactor, 0.002)
    connection = next(one for one in world.server.connections if "ISSL" in one.tags)
    assert connection.bytes_sent < 8 << 20
    transport.resumeProducing()
    await viewer.heard("video 7960 inter")


@pytest_twisted.ensureDeferred
async def test_who_begins_no_tls_is_hung_up(world: LoopbackWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that sends nothing, or RTMP without TLS, does not stay."""
    monkeypatch.setattr(RtmpConnection, "HANDSHAKE_SECONDS", 1)
    port = open_door(world, "inboundRtmps", tmp_path)
    endpoint = TCP4ClientEndpoint(world.reactor, "127.0.0.1", port)
    silent, plain = await world.stranger(endpoint), await world.stranger(endpoint)
    plain.begin()
    await silent.hung_up()
    await plain.hung_up()


def configuration(world: LoopbackWorld, *acceptors: AcceptorConfig) -> None:
    """Give the server these acceptors as its configuration."""
    config = world.server.config
    world.server.config = replace(config, application=replace(config.application, acceptors=acceptors))


@pytest.mark.parametrize("content", [None, b"", b"no key"])
@pytest_twisted.ensureDeferred
async def test_an_unusable_certificate_costs_its_acceptor_alone(
    world: LoopbackWorld, tmp_path: Path, log_events: list[LogEvent], content: bytes | None
) -> None:
    """When key or certificate is missing or damaged, the log says so, and all other ports open."""
    key = tmp_path / "server.key"
    if content is not None:
        key.write_bytes(content)
    broken = AcceptorConfig(ip="127.0.0.1", protocol="inboundRtmps", ssl_key=str(key), ssl_cert=str(tmp_path / "server.cert"))
    configuration(
        world,
        broken,
        AcceptorConfig(ip="127.0.0.1", protocol="inboundRtmps"),
        AcceptorConfig(ip="127.0.0.1", protocol="inboundRtmp"),
    )
    before = len(world.server.acceptors.services)
    world.server.acceptors.bind_configured()
    assert len(world.server.acceptors.services) == before + 1
    errors = [str(event["error"]) for event in log_events if event["log_level"].name == "error"]
    assert len(errors) == 2
    assert "server.key" in errors[0]
    assert "sslKey" in errors[1]


@pytest_twisted.ensureDeferred
async def test_a_taken_address_stops_the_start(world: LoopbackWorld) -> None:
    """An acceptor whose port is in use is still a reason not to start."""
    configuration(world, AcceptorConfig(ip="127.0.0.1", port=world.port, protocol="inboundRtmpt"))
    with pytest.raises(CommandError, match="is taken"):
        world.server.acceptors.bind_configured()


@pytest_twisted.ensureDeferred
async def test_the_command_says_what_is_wrong_with_the_certificate(world: LoopbackWorld, tmp_path: Path) -> None:
    """Whoever opens a port while the server runs is told why it cannot be opened."""
    (tmp_path / "server.key").write_bytes(b"")
    config = AcceptorConfig(ip="127.0.0.1", protocol="inboundRtmps", ssl_key="server.key", ssl_cert="server.cert")
    with pytest.raises(CertificateError, match=r"no TLS on inboundRtmps 127\.0\.0\.1:0: server\.key"):
        world.server.acceptors.create(config)
