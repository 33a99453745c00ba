"""Log events arrive where the configuration sends them, in the form it asks for, whatever happens to the disk."""

import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure

from ems.config import LogAppender
from ems.log import DEBUG, FATAL, FINE, FINEST, INFO, OFF, LogOutputs, level_of


class Terminal(io.StringIO):
    """A console that is a terminal."""

    def isatty(self) -> bool:
        return True


class Bench:
    """Log outputs with a publisher, a clock and streams of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.stdout = Terminal()
        self.stderr = io.StringIO()
        self.publisher = LogPublisher()
        self.log = Logger(namespace="ems.streams", observer=self.publisher)
        self.outputs: LogOutputs | None = None

    def start(self, *appenders: LogAppender, **options: Any) -> LogOutputs:
        self.outputs = LogOutputs(
            appenders,
            self.folder.joinpath,
            clock=self.clock,
            stdout=self.stdout,
            stderr=self.stderr,
            now=self.clock.seconds,
            publisher=self.publisher,
            banner="EMS of a test",
            **options,
        )
        self.outputs.start()
        return self.outputs

    def files(self) -> list[Path]:
        return sorted(self.folder.glob("logs/*.log"), key=lambda path: int(path.name.split(".")[-2]))

    def lines(self) -> list[str]:
        """The records of all files, without headers."""
        return [line for path in self.files() for line in path.read_text().split("\n")[2:-1]]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    if bench.outputs is not None:
        bench.outputs.stop()


def file(**keys: Any) -> LogAppender:
    return LogAppender(**({"name": "disk", "type": "file", "level": 6, "file_name": "logs/ems"} | keys))


def console(**keys: Any) -> LogAppender:
    return LogAppender(**({"name": "console", "type": "console", "level": 6} | keys))


def test_levels_are_those_of_the_configuration() -> None:
    """Twisted's five levels are 0 to 4; an event may say 5 or 6 itself, and nonsense counts as its Twisted level."""
    levels = [LogLevel.critical, LogLevel.error, LogLevel.warn, LogLevel.info, LogLevel.debug]
    assert [level_of({"log_level": level}) for level in levels] == [0, 1, 2, 3, 4]
    assert level_of({"log_level": LogLevel.debug, "ems_level": FINEST}) == 6
    assert level_of({"log_level": LogLevel.warn, "ems_level": "x"}) == 2
    assert level_of({}) == INFO


def test_a_console_line_is_short(bench: Bench) -> None:
    """Time, level, system, message."""
    bench.start(console())
    bench.log.warn("{name} is gone", name="lobby")
    assert re.fullmatch(r"\d\d:\d\d:\d\d WARNING streams  lobby is gone\n", bench.stdout.getvalue())


def test_colours_are_for_terminals(bench: Bench) -> None:
    """coloredConsole paints what needs attention on a terminal, and nothing into a pipe."""
    bench.start(console(type="coloredConsole"))
    bench.log.error("x")
    bench.log.info("y")
    first, second = bench.stdout.getvalue().splitlines()
    assert (first.startswith("\x1b[31m"), first.endswith("\x1b[0m"), "\x1b" in second) == (True, True, False)
    pipe = io.StringIO()
    LogOutputs([console(type="coloredConsole")], stdout=pipe)({"log_level": LogLevel.error, "log_format": "x"})
    assert "\x1b" not in pipe.getvalue()


@pytest.mark.parametrize(
    ("level", "specific", "written"),
    [(OFF, 0, ""), (FATAL, 0, "0"), (INFO, 0, "0123"), (FINEST, 0, "0123456"), (INFO, 4, "4"), (OFF, 4, "")],
)
def test_the_level_decides(bench: Bench, level: int, specific: int, written: str) -> None:
    """Records up to level are written, or those of specificLevel only; -1 writes nothing."""
    outputs = bench.start(file(level=level, specific_level=specific))
    log_all_levels(bench.log)
    assert "".join(line[-1] for line in bench.lines()) == written
    assert outputs.wants(FINE) == ("5" in written)


def log_all_levels(log: Logger) -> None:
    for level, name in enumerate(["critical", "error", "warn", "info", "debug"]):
        getattr(log, name)(str(level))
    log.debug("5", ems_level=FINE)
    log.debug("6", ems_level=FINEST)


def test_set_log_level_changes_all_appenders(bench: Bench) -> None:
    """The command setLogLevel works at once, and refuses levels that do not exist."""
    outputs = bench.start(file(level=INFO), console(level=FATAL))
    outputs.set_level(DEBUG)
    log_all_levels(bench.log)
    assert len(bench.lines()) == len(bench.stdout.getvalue().splitlines()) == 5
    outputs.set_level(OFF)
    log_all_levels(bench.log)
    assert len(bench.lines()) == 5
    for level in (-2, 7):
        with pytest.raises(ValueError, match="from -1 to 6"):
            outputs.set_level(level)


def test_a_file_has_its_name_its_header_and_colon_separated_records(bench: Bench) -> None:
    """Programs that read the original's logs read these."""
    bench.start(file())
    bench.log.info("hello")
    (path,) = bench.files()
    assert path.name == f"ems.{os.getpid()}.1700000000000.log"
    first, second, record = path.read_text().splitlines()
    assert re.fullmatch(rf"PID: {os.getpid()}; TIMESTAMP: 1700000000; LIFE: {os.getpid()}_1700000000_[0-9a-f]{{8}}", first)
    assert second == "EMS of a test"
    assert re.fullmatch(r"\d+:3:tests/unit/log/test_outputs\.py:\d+:test_a_file_has_\w+:hello", record)
    assert path.stat().st_mode & 0o007 == 0


def test_json_is_one_object_a_line(bench: Bench) -> None:
    """Every line, the header too, is an object, whatever the message holds."""
    bench.start(file(type="json"))
    bench.log.warn("{text}", text='a"b\nc\u2028\ud800\x1b[2J')
    (path,) = bench.files()
    header, record = map(json.loads, path.read_text().splitlines())
    assert (header["pid"], header["banner"]) == (os.getpid(), "EMS of a test")
    assert record["message"] == 'a"b\nc\u2028\ud800\x1b[2J'
    assert (record["level"], record["levelName"], record["system"]) == (2, "WARNING", "streams")
    assert record["function"] == "test_json_is_one_object_a_line"


def test_a_peer_cannot_forge_records_or_steer_the_terminal(bench: Bench) -> None:
    """Line breaks are indented, and control characters are shown, not obeyed."""
    bench.start(file(), console())
    bench.log.info("{name}", name="x\r\n1700000000:0:forged\r\x1b[2J\x00\x85\u2028\u202e\ud800\t.")
    bench.log.info("{name}", name="next")
    first, second, third = bench.lines()
    assert first.endswith(":x")
    assert second == "    1700000000:0:forged\\r\\x1b[2J\\x00\\x85\\u2028\\u202e\\ud800\t."
    assert third.endswith(":next")
    assert "\x1b" not in bench.stdout.getvalue()


def test_single_line_keeps_a_record_on_one(bench: Bench) -> None:
    """With singleLine a line break is the two characters backslash and n; newLineCharacters end the record."""
    bench.start(file(single_line=True, new_line_characters="|\n"))
    bench.log.info("a\nb")
    (path,) = bench.files()
    assert path.read_text().splitlines()[2].endswith("a\\nb|")


def test_endless_messages_are_cut(bench: Bench) -> None:
    """A peer cannot fill the disk with one message."""
    bench.start(file())
    bench.log.info("{text}", text="x" * 1_000_000)
    assert bench.files()[0].stat().st_size < 70_000
    assert bench.lines()[0].endswith("… (1000000 characters)")


def test_an_unhandled_failure_has_its_traceback(bench: Bench) -> None:
    """A bug is found in the log."""
    bench.start(file())
    try:
        raise RuntimeError("a bug")
    except RuntimeError:
        bench.log.failure("while trying")
    text = "\n".join(bench.lines())
    assert re.search(r":0:.*:while trying\n    Traceback .*\n(.*\n)+    builtins.RuntimeError: a bug", text)


def test_an_event_that_cannot_be_formatted_is_written_all_the_same(bench: Bench) -> None:
    """A broken format or object costs its message, never the server."""

    class Broken:
        def __repr__(self) -> str:
            raise ValueError

    bench.start(file(), file(type="json", name="json", file_name="logs/json"))
    bench.log.info("{missing} {broken}", broken=Broken())
    bench.publisher({"log_format": "bare"})
    bench.publisher({})
    assert any("bare" in line for line in bench.lines())


def test_a_delayed_file_is_written_each_second(bench: Bench) -> None:
    """delayedFile gathers records and writes them with one call; stopping writes the rest."""
    outputs = bench.start(file(type="delayedFile"))
    bench.log.info("a")
    bench.log.info("b")
    assert bench.lines() == []
    bench.clock.advance(1)
    assert [line[-1] for line in bench.lines()] == ["a", "b"]
    bench.log.info("c")
    outputs.stop()
    assert bench.lines()[-1].endswith(":c")
    assert bench.clock.getDelayedCalls() == []


def test_a_delayed_file_does_not_hold_back_more_than_a_megabyte(bench: Bench) -> None:
    """Memory stays bounded however much is logged within a second."""
    bench.start(file(type="delayedFile"))
    for _ in range(20):
        bench.log.info("x" * 60_000)
    assert len(bench.lines()) >= 17


def test_files_are_rotated_and_old_ones_deleted(bench: Bench) -> None:
    """fileLength begins a new file, fileHistorySize keeps the newest; files of other names are left alone."""
    bench.start(file(file_length=200, file_history_size=3))
    (bench.folder / "logs/other.1.1.log").touch()
    (bench.folder / "logs/ems.txt").touch()
    for number in range(20):
        bench.log.info("{number}", number=number)
    own = [path for path in bench.files() if path.name.startswith("ems.")]
    assert len(own) == 3
    assert own[-1].read_text().splitlines()[-1].endswith(":19")
    assert all(path.read_text().startswith("PID: ") for path in own)
    assert (bench.folder / "logs/other.1.1.log").exists()


def test_a_clock_that_goes_back_does_not_delete_the_open_file(bench: Bench) -> None:
    """The history counts by the times in the names, but never the file in use."""
    (bench.folder / "logs").mkdir()
    for stamp in range(5):
        (bench.folder / f"logs/ems.1.{1_800_000_000_000 + stamp}.log").touch()
    bench.start(file(file_history_size=2))
    bench.log.info("a")
    assert len(bench.files()) == 2
    assert bench.files()[0].read_text().endswith(":a\n")


def test_clear_logs_on_start(bench: Bench) -> None:
    """Older files of this name are deleted at start, and nothing else is."""
    (bench.folder / "logs").mkdir()
    for name in ("ems.1.2.log", "ems.3.4.log", "web.1.2.log", "ems.log"):
        (bench.folder / "logs" / name).touch()
    bench.start(file(clear_logs_on_start=True))
    assert sorted(path.name for path in (bench.folder / "logs").iterdir())[1:] == ["ems.log", "web.1.2.log"]


def test_a_planted_link_is_not_followed(bench: Bench) -> None:
    """A file of the coming name, or a link in its place, is never written."""
    victim = bench.folder / "victim"
    victim.write_text("mine")
    (bench.folder / "logs").mkdir()
    (bench.folder / f"logs/ems.{os.getpid()}.1700000000000.log").symlink_to(victim)
    bench.start(file())
    bench.log.info("a")
    assert victim.read_text() == "mine"
    assert len(bench.files()) == 2


@pytest.mark.parametrize("kind", ["file", "delayedFile"])
def test_a_removed_log_folder_comes_back(bench: Bench, kind: str) -> None:
    """Somebody who tidies up while the server runs loses the old records only."""
    outputs = bench.start(file(type=kind))
    bench.log.info("a")
    outputs.flush()
    shutil.rmtree(bench.folder / "logs")
    bench.log.info("b")
    outputs.flush()
    assert [line[-1] for line in bench.lines()] == ["b"]


def test_a_log_that_cannot_be_written_is_said_once_and_recovers(bench: Bench) -> None:
    """While the folder is out of order standard error says so once; then the log says how much is missing."""
    (bench.folder / "logs").write_text("in the way")
    bench.start(file())
    for _ in range(3):
        bench.log.info("lost")
        bench.clock.advance(2)
    assert bench.stderr.getvalue().count("records are lost") == 1
    (bench.folder / "logs").unlink()
    bench.log.info("found")
    assert bench.lines()[0] == "3 records could not be written here"
    assert bench.lines()[1].endswith(":found")


def test_a_full_disk_never_reaches_the_server(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even half a record that fitted: the next one stands on its own line in a new file."""
    bench.start(file())
    write: Callable[[int, bytes], int] = os.write
    monkeypatch.setattr("os.write", lambda fd, data: write(fd, data[:5]))
    bench.log.info("cut off")
    monkeypatch.undo()
    bench.log.info("too early")
    bench.clock.advance(1)
    bench.log.info("well")
    assert "No space left" in bench.stderr.getvalue()
    assert [line for line in bench.lines() if "records could not" in line] == ["2 records could not be written here"]
    assert bench.lines()[-1].endswith(":well")


def test_a_closed_console_is_no_trouble(bench: Bench) -> None:
    """The terminal may go away."""
    bench.start(console())
    bench.stdout.close()
    bench.log.info("x")


def test_a_daemon_has_no_console(bench: Bench) -> None:
    """Console appenders are left out in the background."""
    bench.start(console(), console=False)
    bench.log.info("x")
    assert bench.stdout.getvalue() == ""


def test_an_event_nobody_wants_is_not_formatted(bench: Bench) -> None:
    """A debug event below every level is compared and dropped."""
    bench.start(file(level=INFO), console(level=INFO))

    class Unasked:
        def __str__(self) -> str:
            raise AssertionError("formatted")

    bench.log.debug("{it!s}", it=Unasked())
    assert bench.lines() == []


def test_a_failure_that_is_logged_while_logging_does_no_harm(bench: Bench) -> None:
    """A Deferred that is collected in the middle of a record logs its failure, too."""

    class Collector:
        def __str__(self) -> str:
            lost: Deferred[None] = Deferred()
            lost.addErrback(lambda failure: None)
            bench.log.failure("inner", failure=Failure(RuntimeError("x")))
            lost.callback(None)
            return "outer"

    bench.start(file())
    bench.log.info("{it!s}", it=Collector())
    assert [line.rpartition(":")[2] for line in bench.lines() if ":test_" in line or ":__str__" in line] == ["inner", "outer"]


def test_after_stop_nothing_is_written(bench: Bench) -> None:
    """A stopped log is detached and its files are closed."""
    outputs = bench.start(file())
    outputs.stop()
    bench.log.info("late")
    assert bench.lines() == []
