"""Where addresses lead, and whether they lead back here."""

import socket
from typing import Any, cast

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from ems.config import AcceptorConfig
from ems.jobs.destinations import RESOLVE_TIME, leads_back, names_stream, resolve
from ems.net.sockets import listening_socket
from ems.server import Server
from ems.uri import Uri
from tests.service.api.doors import Bench, make_bench


class NameServer:
    """A resolver that answers when the test says so."""

    def __init__(self) -> None:
        self.receiver: Any = None

    def resolveHostName(self, receiver: Any, host: str) -> None:
        self.receiver = receiver

    def answer(self, *addresses: str) -> None:
        """What the name stands for."""
        for address in addresses:
            kind = IPv6Address if ":" in address else IPv4Address
            self.receiver.addressResolved(kind("TCP", address, 0))
        self.receiver.resolutionComplete()


class NamingClock(Clock):
    """A clock with a resolver."""

    def __init__(self) -> None:
        super().__init__()
        self.nameResolver = NameServer()


def outcome(deferred: "Deferred[Any]") -> list[Any]:
    """A list that gets the result, or the failure's value."""
    found: list[Any] = []
    deferred.addCallbacks(found.append, lambda failure: found.append(failure.value))
    return found


def test_addresses_are_what_they_are() -> None:
    """An IP address is used as it is written, without asking anybody."""
    for address in ("192.0.2.1", "2001:db8::1", "fe80::1%eth0"):
        assert outcome(Deferred.fromCoroutine(resolve(None, address))) == [[address]]


def test_a_name_stands_for_its_addresses() -> None:
    """A name has all its addresses, each once, in the order of the system."""
    clock = NamingClock()
    found = outcome(Deferred.fromCoroutine(resolve(clock, "cameras.example")))
    assert found == []
    clock.nameResolver.answer("192.0.2.1", "2001:db8::1", "192.0.2.1")
    assert found == [["192.0.2.1", "2001:db8::1"]]


@pytest.mark.parametrize("late", [False, True])
def test_a_name_server_that_does_not_answer(late: bool) -> None:
    """After five seconds a command gives up; an answer that comes then harms nothing."""
    clock = NamingClock()
    found = outcome(Deferred.fromCoroutine(resolve(clock, "cameras.example")))
    clock.advance(RESOLVE_TIME)
    assert isinstance(found[0], LookupError)
    if late:
        clock.nameResolver.answer("192.0.2.1")
    assert len(found) == 1


def test_a_name_of_nothing() -> None:
    """A name without an address, and a text that is no name, are told as such."""
    clock = NamingClock()
    found = outcome(Deferred.fromCoroutine(resolve(clock, "nowhere.example")))
    clock.nameResolver.answer()
    assert isinstance(found[0], LookupError)
    for text in ("a..b", "x" * 70 + ".example"):
        assert isinstance(outcome(Deferred.fromCoroutine(resolve(clock, text)))[0], LookupError)


@ensureDeferred
async def test_the_real_resolver() -> None:
    """The machine knows itself."""
    assert set(await resolve(reactor, "localhost")) & {"127.0.0.1", "::1"}


@pytest.mark.parametrize(
    ("path", "name", "same"),
    [
        ("/live/lobby", "lobby", True),
        ("/live/lobby?token=1", "lobby", True),
        ("/live/lobby", "lobby?token=1", True),
        ("/live/room/lobby", "room/lobby", True),
        ("/live/flv:lobby", "lobby", True),
        ("/live/:lobby", "lobby", True),
        ("/live/%6cobby", "lobby", True),
        ("/live/lobby2", "lobby", False),
        ("/live/my-lobby", "lobby", False),
        ("/lobby/other", "lobby", False),
    ],
)
def test_the_name_in_a_path(path: str, name: str, same: bool) -> None:
    """A stream is recognised under the ways in which it can be written."""
    assert names_stream(path, name) is same


@pytest.fixture
def bench() -> Bench:
    return make_bench()


def port_of(server: Server, ip: str) -> int:
    """An acceptor on that address, without any socket."""

    class Listening:
        config = AcceptorConfig(ip=ip, port=1935, protocol="inboundRtmp")
        port = 1935

    server.acceptors.services[1] = cast(Any, Listening())
    return 1935


def own_address() -> str:
    """An address of this machine that is not loopback, or loopback when it has no other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


@pytest.mark.parametrize("address", ["127.0.0.1", "127.5.5.5", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", own_address()])
def test_ways_that_lead_back(bench: Bench, address: str) -> None:
    """However this machine is called, it is recognised."""
    if ":" in address and not socket.has_ipv6:
        pytest.skip("no IPv6")
    try:
        listening_socket(address, 0).close()
    except OSError:
        pytest.skip(f"this machine cannot listen on {address}")
    port = port_of(bench.server, "0.0.0.0")
    uri = Uri.parse(f"rtmp://somewhere:{port}/live/lobby")
    assert leads_back(bench.server, uri, ["192.0.2.1", address])


def test_ways_that_lead_elsewhere(bench: Bench) -> None:
    """Another machine, another port, and an address of ours on which another program listens are no loop."""
    port = port_of(bench.server, "0.0.0.0")
    assert not leads_back(bench.server, Uri.parse(f"rtmp://somewhere:{port}/live/lobby"), ["192.0.2.1", "2001:db8::1"])
    assert not leads_back(bench.server, Uri.parse(f"rtmp://somewhere:{port + 1}/live/lobby"), ["127.0.0.1"])
    port_of(bench.server, "127.0.0.2")
    uri = Uri.parse(f"rtmp://somewhere:{port}/live/lobby")
    assert not leads_back(bench.server, uri, ["127.0.0.1"])
    assert leads_back(bench.server, uri, ["127.0.0.2"])
