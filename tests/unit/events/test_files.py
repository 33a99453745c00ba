"""Event files: their names, their parts, and what a bad disk does to them."""

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.logger import LogEvent, formatEvent

from ems.config import EventSink
from ems.events.files import MAX_BACKLOG, EventFile, FileSink
from ems.events.layouts import TextLayout
from tests.unit.events.samples import event


@pytest.fixture(autouse=True)
def somewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A time zone of two hours before UTC's noon, so that local times are known."""
    monkeypatch.setenv("TZ", "EET-2")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class Bench:
    """An event file in a folder, at a time that the test says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 1_714_996_424.0  # 2024-05-06 13:53:44 local time
        self.file: EventFile | None = None

    def begin(self, filename: str = "ev.txt", custom_data: Any = None, **keys: Any) -> EventFile:
        sink = EventSink(type="file", filename=filename, **keys)
        self.file = EventFile(sink, self.folder / filename, "EMS of a test", custom_data, now=lambda: self.now)
        return self.file

    def write(self, *numbers: int) -> None:
        assert self.file is not None
        self.file.write([event("timerTriggered", number, timerId=number) for number in numbers])

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def text(self) -> str:
        return "".join(path.read_text() for path in sorted(self.folder.iterdir()))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize(
    ("keys", "pattern"),
    [
        ({}, r"ev_20240506_135344\.txt"),
        ({"append_timestamp": False}, r"ev\.txt"),
        ({"append_timestamp": False, "append_instance": True}, r"ev_\d{4}\.txt"),
        ({"append_instance": True}, r"ev_\d{4}_20240506_135344\.txt"),
        ({"append_timestamp": False, "file_chunk_length": 5}, r"ev_0000\.txt"),
        ({"file_chunk_length": 5}, r"ev_20240506_135344\.txt"),
        ({"filename": "a.tar.log", "append_timestamp": False, "append_instance": True}, r"a_\d{4}\.tar\.log"),
        ({"filename": "plain"}, r"plain_20240506_135344"),
    ],
    ids=range(8),
)
def test_names(bench: Bench, keys: dict[str, Any], pattern: str) -> None:
    """The parts of a name are put before its extension, which begins at the first dot."""
    bench.begin(**keys)
    bench.write(1)
    (name,) = bench.names()
    assert re.fullmatch(pattern, name)


def test_a_folder_gets_events_log(bench: Bench, tmp_path: Path) -> None:
    """A path that ends in a slash is a folder, which is made if need be."""
    bench.begin(filename="logs/", append_timestamp=False)
    bench.write(1)
    assert (tmp_path / "logs" / "events.log").read_text().startswith("00001\ttimerTriggered\n")


def test_parts_by_length(bench: Bench) -> None:
    """After so many seconds the next file begins; numbers go on."""
    bench.begin(append_timestamp=False, file_chunk_length=60)
    bench.write(1, 2)
    bench.now += 59
    bench.write(3)
    bench.now += 1
    bench.write(4)
    assert bench.names() == ["ev_0000.txt", "ev_0001.txt"]
    assert (bench.folder / "ev_0001.txt").read_text().startswith("00004\ttimerTriggered\n")


def test_parts_by_time_of_day(bench: Bench) -> None:
    """At 14:00 local time the next file begins, and again a day later."""
    bench.begin(file_chunk_time="14:00")
    bench.write(1)
    bench.now += 6 * 60 + 15
    bench.write(2)
    bench.now += 1
    bench.write(3)
    bench.now += 24 * 3600 - 1
    bench.write(4)
    bench.now += 2
    bench.write(5)
    assert bench.names() == ["ev_20240506_135344.txt", "ev_20240506_140000.txt", "ev_20240507_140001.txt"]


def test_both_kinds_of_parts_are_none(bench: Bench) -> None:
    """With both keys there is one file for ever."""
    bench.begin(append_timestamp=False, file_chunk_time="14:00:30", file_chunk_length=1)
    for _ in range(3):
        bench.write(1)
        bench.now += 86400
    assert bench.names() == ["ev.txt"]


def test_w3c_files_begin_and_end(bench: Bench) -> None:
    """Every part has its header and its last line, and rows between them."""
    file = bench.begin(append_timestamp=False, file_chunk_length=60, format="w3c", timestamp=True)
    file.write([event("inStreamCreated", name="cam"), event("timerClosed"), event("inStreamClosed", name="cam")])
    bench.now += 60
    file.write([event("inStreamCreated", name="cam")])
    file.close()
    for name, rows in (("ev_0000.txt", 2), ("ev_0001.txt", 1)):
        lines = (bench.folder / name).read_text().splitlines()
        assert [line.split()[0] for line in lines[:4]] == ["#Version:", "#Start-Date:", "#Software:", "#Fields:"]
        assert lines[-1] == "# ======= End of file ========"
        assert len(lines) == 5 + rows
        assert lines[4].startswith("2024-May-06 14:53:44\t4021\tinStreamCreated\tcam\t")


def test_custom_data_and_time(bench: Bench) -> None:
    """What the operator attaches is in every entry, and with `timestamp` the local time."""
    bench.begin(custom_data={"site": "lab"}, timestamp=True)
    bench.write(1)
    assert "timerTriggered\t2024-May-06 14:53:44\n" in bench.text()
    assert "\tcustomData:\n\t\tsite: lab\n" in bench.text()


def test_an_existing_file_is_kept(bench: Bench) -> None:
    """A restart does not destroy what was written before."""
    bench.begin(append_timestamp=False)
    bench.write(1)
    bench.begin(append_timestamp=False)
    bench.write(2)
    assert bench.text().count("timerTriggered") == 2


def test_a_full_disk_is_one_line_in_the_log(bench: Bench, monkeypatch: pytest.MonkeyPatch, log_events: list[LogEvent]) -> None:
    """The server goes on; the log says once that events are lost, and how many were when there is room again."""
    bench.begin(append_timestamp=False)
    bench.write(1)
    write = os.write

    def full(file: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    for _ in range(5):
        bench.write(2)
        bench.now += 0.5
    monkeypatch.setattr(os, "write", write)
    bench.now += 1
    bench.write(3)
    told = [formatEvent(event) for event in log_events]
    assert [line.partition("ev.txt")[2] for line in told if "ev.txt" in line] == [
        ": No space left on device; they are lost",
        " is written again; 5 events are missing there",
    ]
    assert re.findall(r"timerId: (\d)", bench.text()) == ["1", "3"]


def test_a_removed_folder_comes_back(bench: Bench, tmp_path: Path) -> None:
    """Somebody deletes the folder while the server runs: the next event makes it again."""
    bench.begin(filename="logs/ev.txt", append_timestamp=False)
    bench.write(1)
    path = tmp_path / "logs" / "ev.txt"
    path.unlink()
    path.parent.rmdir()
    bench.write(2)
    assert "timerId: 2" in path.read_text()


class SlowDisk:
    """Threads that finish when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Deferred[Any], Callable[..., Any], tuple[Any, ...]]] = []

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> "Deferred[Any]":
        done: Deferred[Any] = Deferred()
        self.waiting.append((done, function, arguments))
        return done

    def finish(self) -> None:
        done, function, arguments = self.waiting.pop(0)
        done.callback(function(*arguments))


def test_a_slow_disk_holds_nobody_up(bench: Bench, log_events: list[LogEvent]) -> None:
    """Events wait for a disk that stands still, up to a limit; then the oldest go, which the log says."""
    disk = SlowDisk()
    sink = FileSink(bench.begin(append_timestamp=False), disk)
    sink.start()
    for number in range(MAX_BACKLOG + 6):
        sink(event("timerTriggered", number, timerId=number))
    while disk.waiting:
        disk.finish()
    told = [formatEvent(event) for event in log_events]
    assert "the disk is too slow: 5 events were not written" in told
    written = [int(number) for number in re.findall(r"timerId: (\d+)", bench.text())]
    assert written == [0, *range(6, MAX_BACKLOG + 6)]


def test_what_came_before_the_start_and_what_waits_at_the_end_is_written(bench: Bench) -> None:
    """Nothing is lost at the edges: events of the start-up are in the file, and those of the end."""
    disk = SlowDisk()
    sink = FileSink(bench.begin(append_timestamp=False, format="w3c"), disk)
    sink(event("inStreamCreated", name="early"))
    assert disk.waiting == []
    sink.start()
    sink(event("inStreamClosed", name="late"))
    stopped = Deferred.fromCoroutine(sink.stop())
    while disk.waiting:
        disk.finish()
    assert stopped.called
    lines = bench.text().splitlines()
    assert [line.split("\t")[2] for line in lines[4:6]] == ["early", "late"]
    assert lines[-1] == "# ======= End of file ========"


def test_a_mistake_in_one_event_costs_that_one(bench: Bench, monkeypatch: pytest.MonkeyPatch, log_events: list[LogEvent]) -> None:
    """An event that cannot be written is logged, and those behind it are written."""
    monkeypatch.setattr(TextLayout, "entry", lambda *_: 1 / 0)
    sink = FileSink(bench.begin(append_timestamp=False), lambda function, *arguments: succeed(function(*arguments)))
    sink.start()
    sink(event("timerTriggered", 1))
    monkeypatch.undo()
    sink(event("timerTriggered", 2))
    assert bench.text().count("timerTriggered") == 1
    assert len([entry for entry in log_events if "log_failure" in entry]) == 1
