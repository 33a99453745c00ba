"""Sinks by configuration and by plugin: who gets what, and that a bad one harms nobody."""

import io
import re
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent
from zope.interface import implementer

from ems.config import Application, Config, EventLogger, EventSink
from ems.events import Event
from ems.events.sinks import EventSinks
from ems.interfaces import IEventSink
from ems.server import Server
from ems.testing import testing_server
from tests.conversation import connect, create_stream, publish
from tests.processes import Children
from tests.server import EmsServer
from tests.service.events.receivers import signature
from tests.service.rtmp.sessions import HANDSHAKE, on_the_wire

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "events.md"


class Console(io.StringIO):
    """Standard output."""


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Console:
    """What the server prints."""
    made = Console()
    monkeypatch.setattr(sys, "__stdout__", made)
    return made


class Running:
    """A server in memory with these loggers, whose files are written at once."""

    def __init__(self, folder: Path, inner: EventLogger | None, outer: EventLogger | None, plugins: Any = ()) -> None:
        self.server: Server = testing_server(Clock(), Application(name="ems", event_logger=inner), runtime=folder)
        self.server.config = Config(application=self.server.config.application, event_logger=outer)
        self.sinks = EventSinks(self.server, plugins, in_thread=lambda run, *arguments: succeed(run(*arguments)))
        self.sinks.privilegedStartService()
        self.sinks.startService()

    def emit(self, *event_types: str) -> None:
        for event_type in event_types:
            self.server.events.emit(event_type, {})

    def stop(self) -> "Deferred[None]":
        return self.sinks.stopService()


def file(filename: str, **keys: Any) -> EventSink:
    return EventSink(type="file", filename=filename, append_timestamp=False, format="json", **keys)


def types(path: Path) -> list[str]:
    """The types of the events in a JSON file."""
    return re.findall(r'"type":"(\w+)"},$', path.read_text(), re.MULTILINE) if path.exists() else []


def test_two_loggers(tmp_path: Path) -> None:
    """The application's gets what concerns it, the outermost what happens outside; the end of the server is told to both."""
    running = Running(tmp_path, EventLogger(sinks=(file("inner"),)), EventLogger(sinks=(file("outer"),)))
    running.emit("applicationStart", "serverStarted", "inStreamCreated", "playlistItemStart", "carrierClosed", "serverStopping")
    running.stop()
    assert types(tmp_path / "inner") == ["inStreamCreated", "carrierClosed", "serverStopping"]
    assert types(tmp_path / "outer") == ["applicationStart", "serverStarted", "carrierClosed", "serverStopping"]


def test_custom_data_of_the_nearest_counts(tmp_path: Path) -> None:
    """A sink's own goes before its logger's, and that before the outermost logger's."""
    inner = EventLogger(custom_data=None, sinks=(file("own", custom_data={"a": [1]}), file("inherited")))
    running = Running(tmp_path, inner, EventLogger(custom_data="outer"))
    running.emit("inStreamCreated")
    running.stop()
    assert '"customData":{"a":[1]}' in (tmp_path / "own").read_text()
    assert '"customData":"outer"' in (tmp_path / "inherited").read_text()


def test_console(tmp_path: Path, console: Console) -> None:
    """A sink of type console writes what the text format has."""
    running = Running(tmp_path, EventLogger(sinks=(EventSink(type="console"),)), None)
    running.emit("timerClosed")
    running.stop()
    assert re.fullmatch(r"00001\ttimerClosed\t\d{4}-\w{3}-\d\d \d\d:\d\d:\d\d\n\tPID: \d+\n\n", console.getvalue())


def test_what_cannot_work_is_left_out(tmp_path: Path, log_events: list[LogEvent]) -> None:
    """An RPC sink outside of the application, and an address that is none, are named in the log; the other sinks work."""
    bad = EventSink(type="RPC", url="http://host:99999/hook")
    inner = EventLogger(sinks=(bad, file("ev", enabled_events=("inStreamCreatd", "inStreamClosed"))))
    running = Running(tmp_path, inner, EventLogger(sinks=(EventSink(type="RPC", url="http://192.0.2.5/"),)))
    running.emit("inStreamClosed")
    running.stop()
    assert types(tmp_path / "ev") == ["inStreamClosed"]
    told = [formatEvent(event) for event in log_events if event["log_namespace"].startswith("ems.events")]
    assert "a sink of events is left out: the outermost eventLogger has no sinks of type RPC" in told[0]
    assert "a sink of events is left out: 'http://host:99999/hook' is no address" in told[1]
    assert told[2] == "enabledEvents: the server has no event 'inStreamCreatd', but inStreamCreated"


@implementer(IEventSink)
class Plugin:
    """A plugin that does what the test says."""

    def __init__(self, events: tuple[str, ...] | None = None, fails: str = "") -> None:
        self.events = events
        self.fails = fails
        self.heard: list[str] = []
        self.closed: Deferred[None] = Deferred()

    def open(self, server: Server) -> None:
        assert server.events
        if self.fails == "open":
            raise RuntimeError("no")

    def event(self, event: Event) -> None:
        self.heard.append(event.type)
        if self.fails == "event":
            raise RuntimeError("no")

    def close(self) -> "Deferred[None]":
        if self.fails == "close":
            raise RuntimeError("no")
        return self.closed


def test_plugins(tmp_path: Path, log_events: list[LogEvent]) -> None:
    """A plugin gets the events that it names, or all; one that raises anywhere disturbs neither the others nor the stop."""
    every, some = Plugin(), Plugin(("inStreamClosed",))
    broken = [Plugin(fails=where) for where in ("open", "event", "close")]
    running = Running(tmp_path, None, None, (broken[0], every, broken[1], broken[2], some))
    running.emit("inStreamCreated", "playlistItemStart", "inStreamClosed")
    assert every.heard == ["inStreamCreated", "playlistItemStart", "inStreamClosed"]
    assert some.heard == ["inStreamClosed"]
    assert broken[0].heard == []
    stopped = running.stop()
    every.closed.callback(None)
    broken[1].closed.callback(None)
    assert not stopped.called
    running.server.clock.advance(5)
    assert stopped.called, "a plugin that does not come to an end is not waited for"
    running.emit("inStreamCreated")
    assert len(every.heard) == 3
    assert len([event for event in log_events if "log_failure" in event]) == 4


def example(number: int) -> str:
    """A Python example of docs/events.md."""
    return str(re.findall(r"```python\n(.*?)```", DOCUMENTATION.read_text(), re.DOTALL)[number])


def test_the_documentations_check_of_a_signature() -> None:
    """Who copies it tells genuine requests from others."""
    names: dict[str, Any] = {}
    exec(example(0), names)
    assert names["genuine"]("s3cret", b"body", signature("s3cret", b"body"))
    assert not names["genuine"]("s3cret", b"body", signature("other", b"body"))
    assert not names["genuine"]("s3cret", b"Body", signature("s3cret", b"body"))


def test_a_real_server_with_files_and_the_documentations_plugin(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first event to the last: files have them all, and the plugin of docs/events.md rings for a stream."""
    plugins = tmp_path / "installed" / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "ems_doorbell.py").write_text(example(1))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "installed"))
    folder = tmp_path / "server"
    folder.mkdir()
    named = '"serverStarted", "inStreamCreated", "cliRequest", "cliResponse", "inStreamClosed", "serverStopping"'
    keys = f'filename = "logs/ev.log", format = "json", appendTimestamp = false, enabledEvents = {{ {named} }}'
    sinks = f'{{ type = "file", {keys} }}'
    server = EmsServer(children, folder, f"eventLogger = {{ sinks = {{ {sinks} }} }},")
    with socket.create_connection(("127.0.0.1", server.ports["inboundRtmp"])) as publisher:
        publisher.sendall(HANDSHAKE + on_the_wire([connect(), create_stream(2), publish("cam", 1)]))
        server.wait_for_stream("cam")
        server.stop()
    told = types(folder / "logs" / "ev.log")
    assert told[0] == "serverStarted"
    assert told[-2:] == ["serverStopping", "inStreamClosed"]
    between = [event for event in told[1:-2] if event != "inStreamCreated"]
    assert between == ["cliRequest", "cliResponse"] * (len(between) // 2)
    assert len(between) == len(told) - 4
    assert "ding dong: cam is number 1" in server.output
    assert "it has rung 1 times" in server.output
