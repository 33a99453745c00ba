"""Connections that the server closes end, whatever their peers do."""

from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.endpoints import connectProtocol
from twisted.internet.protocol import Protocol

from ems.net.connection import Connection
from tests.conversation import LoopbackWorld
from tests.service.rtmp.loopback import open_door, tls_endpoint, until


@pytest.mark.parametrize(("protocol", "beginning"), [("inboundLiveFlv", b"F"), ("inboundTcpTs", b"G"), ("inboundJsonMeta", b" ")])
@pytest_twisted.ensureDeferred
async def test_who_does_not_answer_the_farewell_of_tls(
    protocol: str, beginning: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that has stopped reading does not keep a connection through TLS open that the server has closed."""
    monkeypatch.setattr(Connection, "CLOSE_SECONDS", 1)
    world = LoopbackWorld(reactor)
    connections: dict[int, Any] = world.server.connections._connections
    client: Any = await connectProtocol(tls_endpoint(world, open_door(world, protocol, tmp_path)), Protocol())
    client.transport.write(beginning)
    await until(world, lambda: any(connection.bytes_received for connection in connections.values()))
    client.transport.pauseProducing()
    [connection] = connections.values()
    connection.close("enough")
    await until(world, lambda: not connections)
    client.transport.resumeProducing()
    await world.close()
