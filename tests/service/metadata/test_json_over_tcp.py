"""JSON over TCP: what sensors and scripts send to inboundJsonMeta."""

import json

import pytest
from twisted.logger import LogEvent

from ems.config import AcceptorConfig
from ems.metadata.service import ALL, Metadata
from ems.testing import MemoryPeer
from tests.conversation import MemoryWorld


def sensor(world: MemoryWorld, name: str = "") -> MemoryPeer:
    """Somebody at an acceptor with this ``streamname``."""
    return MemoryPeer(
        world.server, "inboundJsonMeta", AcceptorConfig(ip="127.0.0.1", protocol="inboundJsonMeta", stream_name=name)
    )


@pytest.mark.parametrize(("name", "stream"), [("", ALL), ("0~0~0", ALL), ("lobby", "lobby")])
def test_objects_are_metadata_of_the_acceptors_stream(world: MemoryWorld, name: str, stream: str) -> None:
    """One object behind the other, however they are cut, become metadata one by one."""
    told: list[Metadata] = []
    world.server.metadata.listen(ALL, told.append)
    peer = sensor(world, name)
    for byte in b'{"a":1}\n{"b":{"c":"}"}} noise {"d":2':
        peer.send(bytes((byte,)))
    assert [(one.name, json.loads(one.text)["data"]) for one in told] == [(stream, {"a": 1}), (stream, {"b": {"c": "}"}})]
    assert peer.received == b""
    peer.hang_up()
    world.pass_time(0.1)
    assert len(told) == 2


@pytest.mark.parametrize(
    "sent", [b'{"a":NaN}', b"{" * 70_000, b'{"a":' + b"[" * 70_000, b'{"a"}', b'{"a":"\xff\x00"}', b"{}" * 1001]
)
def test_what_is_not_metadata_ends_the_connection(world: MemoryWorld, sent: bytes) -> None:
    """No JSON, too much at once, or too often: the connection closes, and its log line says why."""
    peer = sensor(world)
    peer.send(sent)
    world.pass_time(0.1)
    assert not peer.connected


def test_more_bytes_than_one_sensor_may_have(world: MemoryWorld, log_events: list[LogEvent]) -> None:
    """128 KiB a second, for as long as one likes; one byte more ends the connection, and the log says why."""
    peer = sensor(world)
    text = b'{"a":"' + b"x" * ((64 << 10) - 8) + b'"}'
    for _ in range(3):
        peer.send(text * 2)
        world.pass_time(1.1)
    assert peer.connected
    peer.send(text * 2 + b"{}")
    world.pass_time(0.1)
    assert not peer.connected
    assert "more than 128 KiB of objects a second" in [event.get("reason") for event in log_events]


def test_a_thousand_a_second_are_fine(world: MemoryWorld) -> None:
    """A fast sensor keeps its connection."""
    peer = sensor(world)
    for _ in range(3):
        peer.send(b"{}" * 1000)
        world.pass_time(1.1)
    assert peer.connected
    peer.hang_up()
    world.pass_time(0.1)
