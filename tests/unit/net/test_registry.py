"""Connections as the server knows them: their time-outs, their end, their counters, and whose they are."""

from collections.abc import Iterator

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent

from ems.net.acceptor import MAX_PER_ADDRESS, crowding
from ems.net.connection import Connection
from ems.net.registry import ConnectionRegistry


class Ticking(Connection):
    """A connection that counts its ticks, and fails at each when it is `broken`."""

    broken = False

    transport: StringTransport

    def opened(self) -> None:
        self.ticks = 0

    @property
    def aborted(self) -> bool:
        """Whether it has been cut off."""
        return self.transport.disconnected

    def tick(self, now: float) -> None:
        self.ticks += 1
        if self.broken:
            raise RuntimeError("broken on purpose")


class House:
    """A registry on a clock, and its connections."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.registry = ConnectionRegistry(self.clock)
        self.registry.startService()

    def connect(self, host: str = "192.0.2.1") -> Ticking:
        """A connection of somebody there."""
        family = IPv6Address if ":" in host else IPv4Address
        made = Ticking(self.registry)
        made.makeConnection(StringTransport(peerAddress=family("TCP", host, 50000)))
        return made

    @property
    def bytes(self) -> tuple[float, float]:
        """All bytes in and out, as the runtime API tells them."""
        total = self.registry.counters.as_dict()["grandTotal"]
        return total["inBytes"], total["outBytes"]

    def pass_time(self, seconds: int) -> None:
        """Let whole seconds pass."""
        for _ in range(seconds):
            self.clock.advance(1)


@pytest.fixture
def house() -> Iterator[House]:
    """An empty one."""
    made = House()
    yield made
    made.registry.stopService()


def test_a_connection_whose_time_outs_fail_harms_nobody(house: House, log_events: list[LogEvent]) -> None:
    """A mistake in one protocol costs that connection: it is cut off, and all others go on, their time-outs too."""
    before, broken, after = house.connect(), house.connect(), house.connect()
    broken.broken = True
    house.pass_time(2)
    assert broken.aborted
    assert not before.aborted
    assert {event["log_failure"].type for event in log_events if "log_failure" in event} == {RuntimeError}
    broken.connectionLost()
    house.pass_time(3)
    assert before.ticks == after.ticks == 5


def test_who_does_not_answer_the_farewell_is_cut_off(house: House) -> None:
    """A closed connection has five seconds, as TLS waits for the peer's last word for ever; its time-outs are over."""
    connection = house.connect()
    house.pass_time(1)
    connection.close("enough")
    assert connection.transport.disconnecting
    house.pass_time(4)
    connection.close("again")
    assert not connection.aborted
    house.pass_time(1)
    assert connection.aborted
    assert connection.ticks == 1


def test_speeds_hold_while_connections_close(house: House) -> None:
    """A viewer that leaves takes nothing from what was measured: limits of bandwidth hold in that second, too."""
    staying, leaving = house.connect(), house.connect()
    staying.bytes_sent = leaving.bytes_sent = 1000
    house.pass_time(1)
    assert house.registry.speed == (0.0, 2000.0)
    staying.bytes_sent, leaving.bytes_sent = 2000, 1500
    leaving.connectionLost()
    house.pass_time(1)
    assert house.registry.speed == (0.0, 1500.0)
    house.pass_time(1)
    assert house.registry.speed == (0.0, 0.0)


def test_each_byte_is_counted_once(house: House) -> None:
    """inBytes and outBytes are of this moment, and do not jump when a connection closes."""
    connection = house.connect()
    connection.bytes_received, connection.bytes_sent = 300, 7000
    assert house.bytes == (300, 7000)
    house.pass_time(1)
    connection.connectionLost()
    assert house.bytes == (300, 7000)


def test_a_subscriber_has_one_limit(house: House) -> None:
    """The addresses of an IPv6 /64 network are one subscriber's, and count together; an IPv4 address counts alone."""
    for number in range(MAX_PER_ADDRESS):
        house.connect(f"2001:db8:0:1::{number:x}")
    refusal = "256 connections from this address are open"
    assert crowding(house.registry, IPv6Address("TCP", "2001:db8:0:1:ffff::1", 50000)) == refusal
    assert crowding(house.registry, IPv6Address("TCP", "2001:db8:0:2::1", 50000)) == ""
    lost = [house.connect("::ffff:192.0.2.1"), house.connect("192.0.2.1"), house.connect("fe80::1%eth0")]
    assert [house.registry.from_host(host) for host in ("192.0.2.1", "192.0.2.2", "fe80::2")] == [2, 0, 1]
    for connection in lost:
        connection.connectionLost()
    assert [house.registry.from_host(host) for host in ("192.0.2.1", "fe80::1")] == [0, 0]
