"""The doors on which a request is a line: order, limits, and callers that misbehave."""

import json
import os
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from ems.api import doors as plugins
from ems.api.arguments import Arguments
from ems.api.cli import CommandLine
from ems.api.command import CommandGroup, Json, text
from ems.api.commands import BUILT_IN_GROUPS
from ems.api.lines import MAX_LINE
from ems.api.registry import CommandRegistry
from ems.api.reply import to_ascii, to_json_line
from ems.api.request import parse_request
from tests.service.api.doors import Bench, call, make_bench, post, until

END = b"\r\n\r\n"

RUBBISH = int(os.environ.get("EMS_MUTATIONS", "5000"))
"""Lines that no command is meant to understand."""


def replies(received: bytes | bytearray) -> list[dict[str, Any]]:
    """The replies of the JSON door without length prefix."""
    return [json.loads(part) for part in received.split(END)[:-1]]


class Slow:
    """A command that waits until the test lets it go, and one that is broken."""

    def __init__(self) -> None:
        self.waiting: list[Deferred[None]] = []
        self.group = CommandGroup("test", "Test", "")

        @self.group.command("wait", "Waits.", text("name", "."), answer="Waited for {name}")
        async def wait(server: object, arguments: Arguments) -> None:
            waiting: Deferred[None] = Deferred()
            self.waiting.append(waiting)
            await waiting

        @self.group.command("break", "Breaks.", answer="x")
        async def broken(server: object, arguments: Arguments) -> None:
            raise RuntimeError("broken on purpose")

        @self.group.command("long", "Says much.", answer="x")
        async def long(server: object, arguments: Arguments) -> Json:
            return "x" * 1_000_000


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    """The doors have the commands of `Slow` too."""
    commands = Slow()
    monkeypatch.setattr(plugins, "load_commands", lambda: CommandRegistry([*BUILT_IN_GROUPS, commands.group]))
    yield commands
    for waiting in commands.waiting:
        if not waiting.called:
            waiting.callback(None)


@ensureDeferred
async def test_replies_come_in_the_order_of_requests(bench: Bench, slow: Slow) -> None:
    """I can send many requests at once; a slow one delays the others but does not change their order."""
    caller = await call(bench.open("inboundJsonCli"))
    caller.send(b"wait name=a\nversion\nwait name=b\ngetStreamsCount\n")
    await until(lambda: len(slow.waiting) == 1)
    assert caller.received == b""
    slow.waiting[0].callback(None)
    await until(lambda: len(slow.waiting) == 2)
    slow.waiting[1].callback(None)
    await until(lambda: caller.received.count(END) == 4)
    descriptions = [reply["description"] for reply in replies(caller.received)]
    assert descriptions == ["Waited for a", "Version", "Waited for b", "Active streams count"]


@ensureDeferred
async def test_a_slow_command_delays_its_own_connection_only(bench: Bench, slow: Slow) -> None:
    """Others are served meanwhile, and a caller that leaves does no harm."""
    port = bench.open("inboundJsonCli")
    first, second = await call(port), await call(port)
    first.send(b"wait\nversion\n")
    await until(lambda: slow.waiting)
    second.send(b"version\n")
    await second.comes(END)
    first.transport.abortConnection()
    await until(lambda: first.lost)
    slow.waiting[0].callback(None)
    second.send(b"version\n")
    await second.comes(END)


@ensureDeferred
async def test_a_mistake_of_ours_is_not_the_callers(bench: Bench, slow: Slow, log_events: list[dict[str, Any]]) -> None:
    """A broken command answers in words, the log has the traceback, and the connection goes on."""
    caller = await call(bench.open("inboundJsonCli"))
    caller.send(b"break\nversion\n")
    await until(lambda: caller.received.count(END) == 2)
    assert replies(caller.received)[0] == {"data": None, "description": "internal error", "status": "FAIL"}
    failures = [event["log_failure"] for event in log_events if "log_failure" in event]
    assert [failure.type for failure in failures] == [RuntimeError]
    status, _ = await post(bench.open("inboundHttpJsonCli"), "/break", b"{}")
    assert status == 500


@ensureDeferred
async def test_a_line_that_is_too_long(bench: Bench) -> None:
    """A line without end closes the connection without a reply, but after the replies to what came before it."""
    for protocol in ("inboundJsonCli", "inboundAsciiCli"):
        port = bench.open(protocol)
        caller = await call(port)
        caller.send(b"x" * MAX_LINE)
        assert await caller.gone() == b""
        caller = await call(port)
        caller.send(b"version\n" + b"x" * MAX_LINE + b"\nversion\n")
        assert (await caller.gone()).count(b"releaseNumber") == 1
    caller = await call(port)
    caller.send(b"y=" + b"x" * (10 << 20))
    assert await caller.gone() == b""


@ensureDeferred
async def test_the_longest_line_is_a_request(bench: Bench) -> None:
    """One byte less is answered."""
    caller = await call(bench.open("inboundJsonCli"))
    caller.send(b"version x=".ljust(MAX_LINE - 1, b"y") + b"\n")
    assert b'"Version"' in await caller.comes(END)


@pytest.mark.parametrize("protocol", ["inboundJsonCli", "inboundAsciiCli"])
@ensureDeferred
async def test_cuts_do_not_matter(bench: Bench, protocol: str) -> None:
    """A request that arrives byte by byte is answered like one that arrives at once."""
    port = bench.open(protocol)
    request = "version commandId=ключ\r\nnoSuch a\\ b=\xe9\n\ngetStreamsCount\n".encode()
    ending = b'"streamCount":0},"description":"Active streams count","status":"SUCCESS"}' + END
    ending = ending if protocol == "inboundJsonCli" else b"streamCount: 0\n\r\n\r\n"
    whole, pieces = await call(port), await call(port)
    whole.send(request)
    expected = await whole.comes(ending)
    pieces.transport.setTcpNoDelay(True)
    server_side = [*bench.server.connections._connections.values()][-1]
    for index in range(len(request)):
        pieces.send(request[index : index + 1])
        await until(lambda: server_side.bytes_received > index)  # noqa: B023
    assert await pieces.comes(ending) == expected


@ensureDeferred
async def test_the_ascii_door_is_for_terminals(bench: Bench) -> None:
    """Telnet's own bytes, NUL and tabs do not spoil a command, and lines of the reply end with LF CR."""
    caller = await call(bench.open("inboundAsciiCli"))
    caller.send(b"\xff\xfd\x03\xff\xfb\x18" * 1000 + b"ver\xff\xf1sion\t\r\0\r\n")
    received = await caller.comes(b"\n\r\n")
    assert received.startswith(b"Command entered successfully!\n\rVersion\n\r")
    assert f"\n\r    releaseNumber: {bench.server.version.release_number}\n\r".encode() in received
    assert b"branchName" not in received
    caller.send(b"no\xff\xffSuch\n")
    assert (await caller.comes(b"\n\r\n\r")).startswith(b"Command failed!\n\rcommand no")


@ensureDeferred
async def test_binary_is_answered_in_words(bench: Bench) -> None:
    """Somebody who speaks another protocol gets failures that are valid UTF-8, not a crash."""
    noise = random.Random(1).randbytes(100_000).replace(b"\xff", b"") + b"\nversion\n"
    for protocol in ("inboundJsonCli", "inboundAsciiCli"):
        caller = await call(bench.open(protocol))
        caller.send(noise)
        await until(lambda: caller.received.endswith((b'"status":"SUCCESS"}' + END, b"\n\r\n\r\n")))  # noqa: B023
        caller.received.decode("utf-8")


@ensureDeferred
async def test_quit(bench: Bench) -> None:
    """The reply comes first, then the connection closes; what I sent after it is not carried out."""
    caller = await call(bench.open("inboundJsonCli"))
    caller.send(b"quit\nversion\n")
    assert await caller.gone() == b'{"data":null,"description":"Bye!","status":"SUCCESS"}' + END


@ensureDeferred
async def test_a_caller_that_closes_its_half(bench: Bench, slow: Slow) -> None:
    """echo version | nc works: every reply arrives before the connection closes."""
    caller = await call(bench.open("inboundJsonCli"))
    caller.send(b"version\nwait\n" + b"version\n" * 100)
    caller.transport.loseWriteConnection()
    await until(lambda: slow.waiting)
    slow.waiting[0].callback(None)
    assert (await caller.gone()).count(END) == 102


@ensureDeferred
async def test_a_caller_that_does_not_read(bench: Bench, slow: Slow) -> None:
    """Its replies are made only as fast as it takes them, others do not notice, and later it gets them all."""
    port = bench.open("inboundJsonCli")
    caller = await call(port)
    [connection] = bench.server.connections._connections.values()
    caller.transport.pauseProducing()
    caller.send(b"long\n" * 40)
    await until(lambda: connection.bytes_received == 200 and connection._stalled)
    assert connection.bytes_sent < 30_000_000
    other = await call(port)
    other.send(b"version\n")
    await other.comes(END)
    caller.transport.resumeProducing()
    await until(lambda: not connection._stalled and len(caller.received) == connection.bytes_sent)
    assert caller.received.count(END) == 40


def in_memory(commands: CommandRegistry) -> tuple[CommandLine, StringTransport, Clock]:
    """A connection of the JSON door that is open, its transport, and the clock of its server."""
    bench = make_bench()
    clock = bench.server.clock = Clock()
    door = CommandLine(bench.server, commands, lambda reply: to_json_line(reply, False), ("TCP", "IJSONCLI"))
    transport = StringTransport()
    transport.setTcpKeepAlive = lambda enabled: None
    door.makeConnection(transport)
    return door, transport, clock


def test_nothing_more_is_read_while_replies_wait() -> None:
    """A peer that sends without end and reads nothing costs one batch of lines and one buffer of replies."""
    door, transport, clock = in_memory(CommandRegistry(BUILT_IN_GROUPS))
    door.dataReceived(b"version\n" * 100)
    assert transport.value().count(END) == 32
    assert transport.producerState == "paused"
    door.pauseProducing()
    clock.advance(0)
    assert transport.value().count(END) == 32
    door.resumeProducing()
    for _ in range(4):
        clock.advance(0)
    assert transport.value().count(END) == 100
    assert transport.producerState == "producing"


def test_nothing_more_is_read_while_a_command_waits() -> None:
    """A caller that goes on sending while its command waits has to wait as well: its lines do not pile up here."""
    slow = Slow()
    door, transport, _ = in_memory(CommandRegistry([*BUILT_IN_GROUPS, slow.group]))
    door.dataReceived(b"wait\n")
    assert transport.producerState == "paused"
    slow.waiting[0].callback(None)
    assert transport.producerState == "producing"


def test_lines_of_rubbish(log_events: list[dict[str, Any]]) -> None:
    """Whatever is typed, the answer is a reply and never a traceback."""
    registry = CommandRegistry(BUILT_IN_GROUPS)
    bench = make_bench()
    replied = _Replies(registry, bench)
    generator = random.Random(7)
    names = [command.name for command in registry if command.name != "shutdownServer"]
    parameters = sorted({parameter.name for command in registry for parameter in command.parameters})
    pieces = [
        "=",
        ",",
        "\\",
        " ",
        "1",
        "-1",
        "07",
        "true",
        "a",
        "é",
        "\x00",
        "\ud7ff",
        "99999999999999999999",
        "_x",
        "$Y",
        "{id}",
    ]
    for _ in range(RUBBISH):
        words = [generator.choice(names)]
        for _ in range(generator.randrange(4)):
            value = "".join(generator.choices(pieces, k=generator.randrange(5)))
            words.append(f"{generator.choice(parameters)}{generator.choice(('=', '', ' '))}{value}")
        replied(" ".join(words))
    assert replied.count == RUBBISH
    assert not [event for event in log_events if "log_failure" in event]


class _Replies:
    """Carries lines out and renders both forms of their replies."""

    def __init__(self, registry: CommandRegistry, bench: Bench) -> None:
        self._execute: Callable[..., Awaitable[Any]] = registry.execute
        self._server = bench.server
        self.count = 0

    def __call__(self, line: str) -> None:
        request = parse_request(line)
        assert request is not None
        result = Deferred.fromCoroutine(self._execute(self._server, request))  # type: ignore[arg-type]
        reply = result.result
        to_json_line(reply, True)
        if request.command != "help":
            to_ascii(reply)
        self.count += 1
