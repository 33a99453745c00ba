"""What is in pushPullSetup.xml, and what comes of it at the next start."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred

from ems.config.store import Store
from ems.config.variant import Array, UInt8, UInt32, UInt64, Variant, checksum, index_name
from ems.config.variant_xml import read_variant, write_variant
from ems.errors import CommandError
from ems.jobs.service import JobService
from ems.jobs.setup_file import KINDS
from tests.service.jobs.fakes import World, result_of


def setup_file(folder: Path) -> Path:
    return folder / "pushPullSetup.xml"


def stored(folder: Path) -> Mapping[str, Any]:
    """What the file holds; it must be as the original would have it."""
    root = read_variant(setup_file(folder).read_bytes())
    assert isinstance(root, dict)
    assert root["checksum"] == checksum(root)
    return root


def stored_names(folder: Path) -> list[str]:
    """The stream names of the stored pulls."""
    return [entry["localStreamName"] for entry in stored(folder)["pull"].values()]


def store_original(folder: Path, **lists: Variant) -> None:
    """Put a file there that another server has written."""
    root: dict[str, Variant] = {**{kind: Array() for kind in KINDS}, "serverVersion": {}, "version": UInt32(26), **lists}
    setup_file(folder).write_bytes(write_variant({**root, "checksum": checksum(root)}))


def entries(*configurations: Mapping[str, Variant]) -> Array:
    """A list of the file."""
    return Array({index_name(int(str(one["configId"]))): one for one in configurations})


def test_what_is_kept_and_what_is_not(tmp_path: Path) -> None:
    """Only what is to be kept alive is in the file: as text, with its types, without its state."""
    world = World(tmp_path)
    kept = world.add_pull("kept", "rtmp://me:secret@192.0.2.40/cam/7", _crew="red", _tags=["a", "b"])
    world.add_pull("once", keepAlive=False)
    world.add_pull("hidden", serializeToConfig=False)
    world.add_push("kept", "rtmp://192.0.2.9/live")
    root = stored(tmp_path)
    [entry] = root["pull"].values()
    assert [*root["pull"]] == [index_name(kept.id)]
    assert (type(entry["configId"]), entry["configId"]) == (UInt32, kept.id)
    assert (type(entry["operationType"]), entry["operationType"]) == (UInt8, 1)
    assert type(entry["ttl"]) is UInt64
    assert (entry["uri"], entry["_crew"], [*entry["_tags"].values()]) == ("rtmp://me:secret@192.0.2.40/cam/7", "red", ["a", "b"])
    assert "status" not in entry
    [push] = root["push"].values()
    assert (push["operationType"], push["targetUri"]) == (2, "rtmp://192.0.2.9/live")
    assert len([*world.jobs]) == 4


def test_a_restart_brings_all_back(tmp_path: Path) -> None:
    """Every job that I was told is there is there again, with its id, its settings and my own variables, and runs."""
    world = World(tmp_path)
    made = [world.add_pull(name, _crew=f"{name}'s", _tags=["a", "b"]) for name in "abc"]
    push = world.add_push("ghost")
    result_of(world.jobs.remove([made[0]], "removeConfig"))
    again = World(tmp_path)
    assert [job.id for job in again.jobs] == [made[1].id, made[2].id, push.id]
    for before, after in zip([*made[1:], push], again.jobs, strict=True):
        assert after.configuration == before.configuration
    assert [attempt.settings["localStreamName"] for attempt in again.plugin.pulls] == ["b", "c"]
    assert again.states(push.id)[0] == "Waiting for stream"
    assert again.add_pull("d").id == push.id + 1


def test_a_removed_job_stays_away(tmp_path: Path) -> None:
    """What I have removed does not return with a restart."""
    world = World(tmp_path)
    job = world.add_pull()
    result_of(world.jobs.remove([job], "removeConfig"))
    assert stored_names(tmp_path) == []
    assert [*World(tmp_path).jobs] == []


def test_entries_of_other_kinds_survive(tmp_path: Path) -> None:
    """Recordings of my old server are not lost because this version cannot run them; I see them, and can remove them."""
    show: dict[str, Variant] = {
        "configId": UInt32(4),
        "operationType": UInt8(3),
        "groupName": "show",
        "bandwidth": UInt32(900),
        "localStreamName": "hi",
    }
    tape: dict[str, Variant] = {
        "configId": UInt32(9),
        "operationType": UInt8(7),
        "localStreamName": "lobby",
        "keepAlive": True,
        "_x": Array.of(["y"]),
    }
    store_original(tmp_path, hls=entries(show), record=entries(tape))
    world = World(tmp_path)
    world.add_pull()
    root = stored(tmp_path)
    assert (root["hls"], root["record"]) == (entries(show), entries(tape))
    assert [(job.id, job.kind) for job in world.jobs] == [(4, "hls"), (9, "record"), (10, "pull")]
    assert world.jobs.by_id(4).described["status"]["current"]["reason"] == "not implemented in this version"  # type: ignore[union-attr]
    assert world.jobs.by_id(9).described["_x"] == ["y"]  # type: ignore[union-attr]
    result_of(world.jobs.remove(world.jobs.of_group("show"), "removeConfig"))
    assert stored(tmp_path)["hls"] == Array()


def test_a_pull_that_cannot_run_here_is_kept(tmp_path: Path) -> None:
    """A stored pull of an unknown scheme, a taken name or with settings of the wrong type is told and kept; the others run."""
    good: dict[str, Variant] = {"uri": "rtmp://192.0.2.1/a/b", "localStreamName": "good"}
    wrong: list[dict[str, Variant]] = [
        {"uri": "gopher://192.0.2.1:70/a", "localStreamName": "a"},
        {"uri": "nonsense", "localStreamName": "b"},
        {"uri": "rtmp://192.0.2.1/a/b", "localStreamName": "c", "keepAlive": "yes"},
        good,
    ]
    pulls = entries(*({**one, "configId": UInt32(number)} for number, one in enumerate([good, *wrong], 1)))
    store_original(tmp_path, pull=pulls)
    world = World(tmp_path)
    assert [attempt.settings["localStreamName"] for attempt in world.plugin.pulls] == ["good"]
    reasons = [job.status.current.reason for job in world.jobs][1:]
    assert reasons == [
        "nothing installed knows the scheme gopher",
        "Invalid URI: nonsense",
        "keepAlive has a value of the wrong type: 'yes'",
        "Stream name good already taken",
    ]
    world.add_pull("new")
    assert {name: entry for name, entry in stored(tmp_path)["pull"].items() if name in pulls and name != index_name(1)} == {
        name: entry for name, entry in pulls.items() if name != index_name(1)
    }


def test_an_old_entry_gets_the_settings_that_it_lacks(tmp_path: Path) -> None:
    """A job of an older release runs with the defaults of what was added since."""
    store_original(tmp_path, pull=entries({"configId": UInt32(5), "uri": "rtmp://192.0.2.1/a/b", "localStreamName": "x"}))
    world = World(tmp_path)
    assert world.pull.settings["ttl"] == 256
    assert world.pull.settings["emulateUserAgent"] == world.server.version.user_agent


def test_ids_are_unique_even_when_a_file_says_otherwise(tmp_path: Path) -> None:
    """Two jobs of one id, or one without, are told apart by new ids."""
    pull: dict[str, Variant] = {"configId": UInt32(3), "localStreamName": "x", "uri": "rtmp://192.0.2.1/a/b"}
    push: dict[str, Variant] = {"configId": UInt32(3), "localStreamName": "x", "targetUri": "rtmp://192.0.2.1/a"}
    nameless: dict[str, Variant] = {"uri": "rtmp://192.0.2.1/a/b", "localStreamName": "y"}
    store_original(tmp_path, pull=Array({"a": pull, "b": nameless}), push=Array({"c": push}))
    assert [(job.id, job.kind) for job in World(tmp_path).jobs] == [(3, "pull"), (4, "pull"), (5, "push")]


def test_a_file_that_was_edited_is_taken_and_a_copy_kept(tmp_path: Path) -> None:
    """What I have changed by hand counts; the file as I left it stays beside, once, and the next start says nothing any more."""
    World(tmp_path).add_pull("lobby")
    edited = setup_file(tmp_path).read_bytes().replace(b">lobby<", b">hall<")
    setup_file(tmp_path).write_bytes(edited)
    assert [job.name for job in World(tmp_path).jobs] == ["hall"]
    [copy] = tmp_path.glob("pushPullSetup.xml.[0-9]*")
    assert copy.read_bytes() == edited
    copy.unlink()
    assert [job.name for job in World(tmp_path).jobs] == ["hall"]
    assert [*tmp_path.glob("pushPullSetup.xml.[0-9]*")] == []
    assert stored_names(tmp_path) == ["hall"]


def test_a_destroyed_file_does_not_cost_all_jobs(tmp_path: Path) -> None:
    """When the disk has destroyed the file the one before it is taken, and the server starts."""
    world = World(tmp_path)
    world.add_pull("a")
    world.add_pull("b")
    setup_file(tmp_path).write_bytes(setup_file(tmp_path).read_bytes()[:-200])
    assert [job.name for job in World(tmp_path).jobs] == ["a"]
    assert stored_names(tmp_path) == ["a"]


@pytest.mark.parametrize("content", [b"", b" \n"])
def test_an_empty_file_is_an_empty_list(tmp_path: Path, content: bytes) -> None:
    """A fresh server, or one whose file somebody has emptied, has no jobs."""
    setup_file(tmp_path).write_bytes(content)
    assert [*World(tmp_path).jobs] == []


def test_a_job_that_cannot_be_stored_is_refused(tmp_path: Path) -> None:
    """Where nothing can be written I am not told that my job will be kept; one that need not be kept runs."""
    world = World(tmp_path / "no" / "folder")
    (tmp_path / "no").write_text("in the way")
    with pytest.raises(CommandError, match=r"pushPullSetup\.xml cannot be written"):
        world.add_pull()
    assert ([*world.jobs], world.plugin.pulls) == ([], [])
    world.add_pull(keepAlive=False)
    assert len(world.plugin.pulls) == 1


def test_one_job_that_cannot_be_stored_does_not_stop_the_others(tmp_path: Path) -> None:
    """A value that the file has no form for is refused alone."""
    world = World(tmp_path)
    with pytest.raises(CommandError, match=r"U\+0001"):
        world.add_pull("a", _note="\x01")
    world.add_pull("b")
    assert stored_names(tmp_path) == ["b"]


def test_a_removal_that_cannot_be_stored_is_told(tmp_path: Path) -> None:
    """I learn that a job which I have removed will come back."""
    world = World(tmp_path / "folder")
    job = world.add_pull()
    setup_file(tmp_path / "folder").unlink()
    (tmp_path / "folder").rename(tmp_path / "elsewhere")
    (tmp_path / "folder").write_text("in the way")
    with pytest.raises(CommandError, match="It has ended, but comes back with the next restart"):
        result_of(world.jobs.remove([job], "removeConfig"))
    assert world.pull.stopped == ["removeConfig"]


class SlowDisk:
    """Stands for a thread that writes: each write waits until the test lets it go."""

    def __init__(self) -> None:
        self.waiting: list[Deferred[None]] = []

    def __call__(self, function: Any, *arguments: Any) -> Deferred[Any]:
        gate: Deferred[None] = Deferred()
        self.waiting.append(gate)
        return gate.addCallback(lambda _: function(*arguments))

    def write(self) -> None:
        """Let the write that waits be done."""
        self.waiting.pop(0).callback(None)


def slow_world(folder: Path) -> tuple[World, SlowDisk]:
    """A server with a disk that takes its time."""
    world, disk = World(), SlowDisk()
    world.jobs.stopService()
    plugins = {"rtmp": world.plugin}
    world.server.jobs = JobService(
        world.server,
        pullers=plugins,
        pushers=plugins,
        store=Store(setup_file(folder), in_thread=disk),
        in_thread=maybeDeferred,
    )
    world.jobs.startService()
    return world, disk


def ask(world: World, name: str, answered: list[str]) -> None:
    """Ask for a pull; its name is put into `answered` when the answer is there."""
    settings = {"uri": "rtmp://192.0.2.1/a/b", "localStreamName": name}
    ensureDeferred(world.jobs.pull(settings)).addCallback(lambda job: answered.append(job.name))


def test_the_answer_waits_for_the_disk(tmp_path: Path) -> None:
    """When I am told that a job exists it is on the disk; it starts then, too."""
    world, disk = slow_world(tmp_path)
    answered: list[str] = []
    ask(world, "a", answered)
    assert (answered, world.plugin.pulls, [job.name for job in world.jobs]) == ([], [], ["a"])
    disk.write()
    assert (answered, stored_names(tmp_path), len(world.plugin.pulls)) == (["a"], ["a"], 1)


def test_many_commands_share_a_write(tmp_path: Path) -> None:
    """A script that makes a hundred pulls waits for two writes, not for a hundred; answers come in order."""
    world, disk = slow_world(tmp_path)
    answered: list[str] = []
    names = [f"cam{number:02}" for number in range(100)]
    for name in names:
        ask(world, name, answered)
    assert len(disk.waiting) == 1
    disk.write()
    assert answered == names[:1]
    disk.write()
    assert (answered, disk.waiting) == (names, [])
    assert stored_names(tmp_path) == names


def test_a_job_that_is_removed_before_it_is_stored_never_starts(tmp_path: Path) -> None:
    """Two who change the same job at the same time leave it in one state, in memory as on the disk."""
    world, disk = slow_world(tmp_path)
    answered: list[str] = []
    ask(world, "a", answered)
    ensureDeferred(world.jobs.remove([*world.jobs], "removeConfig"))
    while disk.waiting:
        disk.write()
    assert (answered, [*world.jobs], world.plugin.pulls, stored_names(tmp_path)) == (["a"], [], [], [])


def test_stopping_waits_for_the_disk(tmp_path: Path) -> None:
    """A job that was asked for when the server stopped is there after the restart."""
    world, disk = slow_world(tmp_path)
    ask(world, "a", [])
    stopped: list[None] = []
    ensureDeferred(world.jobs.stopService()).addCallback(stopped.append)  # type: ignore[arg-type]
    assert stopped == []
    while disk.waiting:
        disk.write()
    assert stopped == [None]
    assert ([job.name for job in World(tmp_path).jobs], world.plugin.pulls) == (["a"], [])
