"""Doors of a server in this process, on real sockets: TLS with a certificate made for the test, and tunnels through HTTP."""

from pathlib import Path
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from ems.config import AcceptorConfig
from ems.net.tls import client_options
from ems.protocols.rtmp.tunnel_client import connect_tunnel
from ems.uri import Uri
from tests.certificates import make_certificate
from tests.conversation import LoopbackWorld, RtmpClient, sleep


def open_door(world: LoopbackWorld, protocol: str, folder: Path | None = None) -> int:
    """Listen with this protocol, with TLS when there is a folder for the files; the port."""
    files = map(str, make_certificate().write(folder)) if folder is not None else ("", "")
    key, certificate = files
    config = AcceptorConfig(ip="127.0.0.1", protocol=protocol, ssl_key=key, ssl_cert=certificate)
    return int(world.server.acceptors.create(config).port)


def tls_endpoint(world: LoopbackWorld, port: int) -> Any:
    """A client's way to a port that speaks TLS, whatever certificate it shows."""
    return wrapClientTLS(client_options("localhost", verify=False), TCP4ClientEndpoint(world.reactor, "127.0.0.1", port))


class Ending(Protocol):
    """The scripted client as a protocol; `reason` is why its connection was lost."""

    def __init__(self) -> None:
        self.client = RtmpClient()
        self.reason: Failure | None = None

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.client.connection_made(self.transport.write)

    def dataReceived(self, data: bytes) -> None:
        self.client.data_received(data)

    def connectionLost(self, reason: Failure | None = None) -> None:
        assert self.reason is None, "lost twice"
        self.reason = reason
        self.client.connection_lost()


async def tunnel(world: LoopbackWorld, port: int) -> Ending:
    """A client that has opened a session at a port of this machine."""
    protocol = Ending()
    await connect_tunnel(world.reactor, Uri.parse(f"rtmpt://127.0.0.1:{port}/live"), protocol, {})
    return protocol


async def until(world: LoopbackWorld, condition: Any, seconds: float = 10) -> None:
    """Wait for a condition; AssertionError when it does not come."""
    for _ in range(int(seconds * 100)):
        if condition():
            return
        await sleep(world.reactor, 0.01)
    raise AssertionError("waited in vain")
