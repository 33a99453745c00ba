"""Events over real sockets: to a web hook as a user would write it."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.ssl import Certificate, KeyPair, PrivateCertificate, trustRootFromCertificates
from twisted.logger import LogEvent, formatEvent
from twisted.web.client import BrowserLikePolicyForHTTPS
from twisted.web.server import Site

from ems.config.load import parse_config
from ems.config.lua import load_global
from ems.events.rpc import Address, RpcSink, keep_alive_agent
from ems.events.sinks import EventSinks
from ems.server import Server
from ems.testing import testing_server
from tests.certificates import make_certificate
from tests.conversation import sleep
from tests.service.events.receivers import Hook, signature
from tests.unit.events.samples import event


@pytest.fixture
def reactor() -> Any:
    """The reactor of the tests."""
    from twisted.internet import reactor

    return reactor


class Listening:
    """A web hook on a free port."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.hook = Hook()
        self.site = Site(self.hook)
        self.site.noisy = False
        self.doors: list[Any] = []

    def open(self, port: int = 0) -> int:
        """Listen; the port."""
        self.doors.append(self.reactor.listenTCP(port, self.site, interface="127.0.0.1"))
        return int(self.doors[-1].getHost().port)

    def open_tls(self, certificate: Any) -> int:
        """Listen with TLS; the port."""
        self.doors.append(self.reactor.listenSSL(0, self.site, certificate.options(), interface="127.0.0.1"))
        return int(self.doors[-1].getHost().port)

    async def until(self, condition: Callable[[], object]) -> None:
        """Return when it is true; a test that waits in vain is ended by its time-out."""
        for _ in range(2000):
            if condition():
                return
            await sleep(self.reactor, 0.005)
        raise AssertionError(f"waited in vain; it has {[event['type'] for event in self.hook.events]}")

    async def close(self) -> None:
        """Listen no more."""
        for door in self.doors:
            await door.stopListening()
        self.doors.clear()


@pytest_twisted.async_yield_fixture
async def listening(reactor: Any, log_events: list[LogEvent]) -> AsyncIterator[Listening]:
    """A web hook. Fails the test when the log has a traceback."""
    made = Listening(reactor)
    yield made
    await made.close()
    assert [event for event in log_events if "log_failure" in event] == []


def configured(reactor: Any, folder: Path, event_logger: str) -> Server:
    """A server in memory whose application has this ``eventLogger``, which is Lua."""
    source = folder / "config.lua"
    source.write_text(f'configuration = {{ applications = {{ {{ name = "ems", {event_logger} }} }} }}')
    values: Any = load_global(source, "configuration")
    config = parse_config(values, source.name)
    assert config.warnings == ()
    return testing_server(reactor, config.application, runtime=folder / "runtime")


async def started(server: Server) -> EventSinks:
    """The running sinks of a server."""
    sinks = EventSinks(server)
    sinks.privilegedStartService()
    sinks.startService()
    return sinks


async def stopped(server: Server, sinks: EventSinks) -> None:
    """End the server in memory and its sinks."""
    for part in (server.jobs, server.streams, server.connections):
        await (part.stopService() or Deferred.fromCoroutine(_nothing()))
    await sinks.stopService()


async def _nothing() -> None:
    """Some services stop at once."""


@pytest_twisted.ensureDeferred
async def test_the_documents_configuration_works(reactor: Any, listening: Listening, tmp_path: Path) -> None:
    """The block of the documents, as it is but for the address: a web hook with custom data and two events, and a JSON file."""
    port = listening.open()
    server = configured(
        reactor,
        tmp_path,
        """
eventLogger = {
  customData = 7,
  sinks = {
    { type="RPC", url="http://user:pass@127.0.0.1:PORT/hook?a=b", serializerType="JSON",
      customData={site="lab"}, enabledEvents={"inStreamCreated","inStreamClosed"} },
    { type="file", filename="../logs/ev", format="json", timestamp=true },
  },
},""".replace("PORT", str(port)),
    )
    sinks = await started(server)
    stream = server.streams.register("cam", type_tag="INR", source=None)
    stream.end("the test is over")
    hook = listening.hook
    await listening.until(lambda: len(hook.events) == 2)
    await stopped(server, sinks)
    assert [told["type"] for told in hook.events] == ["inStreamCreated", "inStreamClosed"]
    assert [told["id"] for told in hook.events] == [1, 2]
    assert [told["payload"]["customData"] for told in hook.events] == [{"site": "lab"}] * 2
    assert hook.events[0]["payload"]["name"] == "cam"
    assert (hook.paths[0], hook.hosts[0], hook.logins[0]) == (b"/hook?a=b", f"127.0.0.1:{port}", None)
    assert hook.agents[0] == server.version.user_agent
    assert len(hook.peers) == 1, "one connection is kept"
    (file,) = (tmp_path / "logs").iterdir()
    lines = file.read_text().splitlines()
    assert file.name.startswith("ev_2")
    assert [line.endswith("},") for line in lines] == [True, True]
    assert '"customData":7' in lines[0]
    assert '"_logEntry":"00001"' in lines[1]


@pytest_twisted.ensureDeferred
async def test_a_slow_hook_slows_nothing_down(reactor: Any, listening: Listening, tmp_path: Path) -> None:
    """While a hook keeps its answer back, streams come and go, and everything is told when it answers."""
    port = listening.open()
    listening.hook.held = []
    hook = f'type="RPC", url="http://127.0.0.1:{port}/", serializerType="JSON", enabledEvents={{"inStreamCreated"}}'
    server = configured(reactor, tmp_path, f"eventLogger = {{ sinks = {{ {{ {hook} }} }} }}")
    sinks = await started(server)
    for number in range(50):
        server.streams.register(f"cam{number}", type_tag="INR", source=None).end("the test is over")
    await listening.until(lambda: listening.hook.held)
    assert len(listening.hook.events) == 1
    held, listening.hook.held = listening.hook.held, None
    held[0].finish()
    await listening.until(lambda: len(listening.hook.events) == 50)
    assert [told["payload"]["name"] for told in listening.hook.events] == [f"cam{number}" for number in range(50)]
    await stopped(server, sinks)


@pytest_twisted.ensureDeferred
async def test_a_hook_that_is_restarted_misses_nothing(
    reactor: Any, listening: Listening, tmp_path: Path, log_events: list[LogEvent]
) -> None:
    """The hook's server goes away with its connections and comes back: what happened meanwhile arrives."""
    port = listening.open()
    hook = f'type="RPC", url="http://127.0.0.1:{port}/", serializerType="JSON", enabledEvents={{"inStreamCreated"}}'
    server = configured(reactor, tmp_path, f"eventLogger = {{ sinks = {{ {{ {hook} }} }} }}")
    sinks = await started(server)
    server.streams.register("one", type_tag="INR", source=None)
    await listening.until(lambda: len(listening.hook.events) == 1)
    await listening.close()
    listening.hook.hang_up()
    server.streams.register("two", type_tag="INR", source=None)
    server.streams.register("three", type_tag="INR", source=None)
    await listening.until(lambda: any("does not take events" in formatEvent(told) for told in log_events))
    listening.open(port)
    await listening.until(lambda: len(listening.hook.events) == 3)
    assert [told["payload"]["name"] for told in listening.hook.events] == ["one", "two", "three"]
    await stopped(server, sinks)


@pytest_twisted.ensureDeferred
async def test_https(reactor: Any, listening: Listening) -> None:
    """With https the receiver's certificate is checked: a good one gets the events, and one that nobody vouches for nothing."""
    made = make_certificate()
    ours = PrivateCertificate.fromCertificateAndKeyPair(Certificate.loadPEM(made.pem), KeyPair.load(made.key_pem(), 1))
    address = Address.parse(f"https://localhost:{listening.open_tls(ours)}/hook")
    trust = BrowserLikePolicyForHTTPS(trustRootFromCertificates([Certificate.loadPEM(made.pem)]))
    sinks = []
    for policy in (trust, None):
        agent, close = keep_alive_agent(reactor, policy)
        sink = RpcSink(reactor, agent, address, "JSON", close=close, user_agent="EMS/1")
        sink.start()
        sink(event("timerClosed", 1 if policy else 2))
        sinks.append(sink)
    await listening.until(lambda: listening.hook.events)
    for sink in sinks:
        await sink.stop()
    assert [told["id"] for told in listening.hook.events] == [1]


@pytest_twisted.ensureDeferred
async def test_the_last_event_goes_out(reactor: Any, listening: Listening, tmp_path: Path) -> None:
    """serverStopping reaches the hook, signed, before the server is gone."""
    port = listening.open()
    hook = f'type="RPC", url="http://127.0.0.1:{port}/", serializerType="JSON", secret="s3cret"'
    server = configured(reactor, tmp_path, f"eventLogger = {{ sinks = {{ {{ {hook} }} }} }}")
    sinks = await started(server)
    server.events.emit("serverStopping", {"banner": "EMS"})
    await stopped(server, sinks)
    assert [told["type"] for told in listening.hook.events] == ["serverStopping"]
    assert listening.hook.signatures == [signature("s3cret", body) for body in listening.hook.bodies]
