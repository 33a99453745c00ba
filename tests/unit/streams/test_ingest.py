"""Ingest points are unique, survive a restart, and a damaged file opens nothing."""

from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, ensureDeferred, execute
from twisted.logger import LogEvent, formatEvent

from ems.config.store import Store
from ems.streams.ingest import IngestPoints, UnknownIngestPoint


def points(folder: Path, *, enabled: bool = True) -> IngestPoints:
    """Ingest points that have started."""
    made = IngestPoints(Store(folder / "ingestpoints.xml", in_thread=execute), enabled=enabled)
    made.startService()
    return made


def refused(done: "Deferred[None]") -> str:
    failures: list[str] = []
    done.addErrback(lambda failure: failures.append(f"{failure.type.__name__}: {failure.value}"))
    return failures[0]


def test_they_outlive_a_restart_in_the_original_s_form(tmp_path: Path) -> None:
    """R-040: the file names each point, private names in order; the next server reads it."""
    made = points(tmp_path)
    ensureDeferred(made.create("k9", "stage"))
    ensureDeferred(made.create("k10", "b&w"))
    assert (tmp_path / "ingestpoints.xml").read_text() == (
        '<?xml version="1.0" ?>\n<MAP isArray="false" name="">\n'
        '    <STR name="k10">b&amp;w</STR>\n    <STR name="k9">stage</STR>\n</MAP>\n'
    )
    again = points(tmp_path)
    assert again.public_name("k9") == "stage"
    assert ensureDeferred(again.remove("k9")).result == "stage"
    assert sorted(points(tmp_path)) == [("k10", "b&w")]


@pytest.mark.parametrize(
    ("private", "public"),
    [("x", "x"), ("k9", "new"), ("stage", "new"), ("new", "k9"), ("new", "stage"), ("a?b", "c"), ("../a", "b"), ("a", "")],
)
def test_names_are_unique_and_names(tmp_path: Path, private: str, public: str) -> None:
    """R-035: neither name may be in use by another point, as its private or public one."""
    made = points(tmp_path)
    ensureDeferred(made.create("k9", "stage"))
    assert refused(ensureDeferred(made.create(private, public))).startswith("CommandError")
    assert sorted(made) == [("k9", "stage")]


def test_a_name_is_free_again(tmp_path: Path) -> None:
    """After a point is taken back both its names can be used anew; taking it back twice is an error."""
    made = points(tmp_path)
    ensureDeferred(made.create("k9", "stage"))
    ensureDeferred(made.remove("k9"))
    assert "there is no ingest point k9" in refused(ensureDeferred(made.remove("k9")))
    ensureDeferred(made.create("stage", "k9"))
    assert made.public_name("stage") == "k9"


def test_only_private_names_can_be_published(tmp_path: Path) -> None:
    """An unknown name is refused without being repeated; switched off, every name is itself."""
    made = points(tmp_path)
    ensureDeferred(made.create("k9", "stage"))
    for name in ("stage", "other", "", "x" * 1_000_000, "k9\u202e"):
        with pytest.raises(UnknownIngestPoint) as caught:
            made.public_name(name)
        assert str(caught.value) == "there is no ingest point of that name"
    off = points(tmp_path, enabled=False)
    assert off.public_name("anything") == "anything"
    assert "k9" not in off
    assert "off in the configuration" in refused(ensureDeferred(off.create("a", "b")))


def test_what_of_the_file_can_be_used_is_used(tmp_path: Path, log_events: list[LogEvent]) -> None:
    """An entry of another type, a bad name or a name used twice is left out, and a secret name is not told."""
    (tmp_path / "ingestpoints.xml").write_text(
        '<MAP isArray="false" name=""><STR name="k9">stage</STR><UINT8 name="n1">1</UINT8><STR name="n2">stage</STR>'
        '<STR name="../n3">x</STR></MAP>'
    )
    assert sorted(points(tmp_path)) == [("k9", "stage")]
    lines = [formatEvent(event) for event in log_events]
    assert [line.partition("entry ")[2][0] for line in lines if "entry" in line] == ["2", "3", "4"]
    assert not any("n1" in line or "n2" in line for line in lines)


def test_a_damaged_file_falls_back_to_the_one_before(tmp_path: Path) -> None:
    """Half a file: the points of before the last change are there, and publishing stays closed to the rest."""
    made = points(tmp_path)
    ensureDeferred(made.create("k9", "stage"))
    ensureDeferred(made.create("k10", "other"))
    path = tmp_path / "ingestpoints.xml"
    path.write_bytes(path.read_bytes()[:80])
    again = points(tmp_path)
    assert sorted(again) == [("k9", "stage")]
