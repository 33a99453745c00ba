"""The runtime directory appears at first start and belongs to its owner from then on."""

import errno
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.logger import globalLogPublisher

from ems.config import load_config, prepare_runtime
from ems.config.runtime import FOLDERS, packaged

REPOSITORY = Path(__file__).parents[3]
PROTOCOLS = (
    *("inboundRtmp", "inboundRtmps", "inboundRtmpt"),
    *("inboundRtsp", "inboundLiveFlv", "inboundTcpTs", "inboundUdpTs"),
    *("inboundJsonMeta", "wsJsonMeta", "wssJsonMeta", "inboundWSFMP4", "inboundWSSFMP4"),
    *("inboundJsonCli", "inboundAsciiCli", "inboundHttpJsonCli"),
)


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """The formats of all log events of the test."""
    formats: list[str] = []

    def observe(event: dict[str, str]) -> None:
        formats.append(event["log_format"])

    globalLogPublisher.addObserver(observe)  # type: ignore[arg-type]
    yield formats
    globalLogPublisher.removeObserver(observe)  # type: ignore[arg-type]


def test_a_fresh_directory_gets_everything_a_server_needs(tmp_path: Path) -> None:
    """An empty folder, even one that does not exist yet, is enough to start."""
    runtime = prepare_runtime(tmp_path / "a" / "b")
    assert sorted(path.name for path in runtime.directory.iterdir()) == sorted(FOLDERS)
    assert list((runtime.directory / "webroot").iterdir()) == [], "the packaged pages are served where no file hides them"
    config = load_config(runtime.config_file, known_protocols=PROTOCOLS, directory=runtime.directory)
    assert config.warnings == ()
    assert [note.split(": ", 2)[2] for note in config.notes] == [
        f'{door} is off: there is no "config/server.key"'
        for door in ("inboundRtmps on port 4443", "wssJsonMeta on port 8433", "inboundWSSFMP4 on port 8420")
    ]


def test_the_stock_configuration_opens_the_doors_of_this_version(tmp_path: Path) -> None:
    """Media and metadata are open to everyone, the API to this machine only; what needs TLS waits for a certificate."""
    runtime = prepare_runtime(tmp_path)
    application = load_config(runtime.config_file, known_protocols=PROTOCOLS, directory=tmp_path).application
    assert [(door.ip, door.port, door.protocol, door.use_length_padding) for door in application.acceptors] == [
        ("0.0.0.0", 1935, "inboundRtmp", False),
        ("0.0.0.0", 8080, "inboundRtmpt", False),
        ("0.0.0.0", 5544, "inboundRtsp", False),
        ("0.0.0.0", 6666, "inboundLiveFlv", False),
        ("0.0.0.0", 9999, "inboundTcpTs", False),
        ("0.0.0.0", 9999, "inboundUdpTs", False),
        ("0.0.0.0", 8110, "inboundJsonMeta", False),
        ("0.0.0.0", 8210, "wsJsonMeta", False),
        ("0.0.0.0", 8410, "inboundWSFMP4", False),
        ("127.0.0.1", 1112, "inboundJsonCli", True),
        ("127.0.0.1", 1222, "inboundAsciiCli", False),
        ("127.0.0.1", 7777, "inboundHttpJsonCli", False),
    ]
    assert application.demo_stream == "demo"
    assert [storage.media_folder for storage in application.media_storage.storages] == ["media"]


def test_what_exists_is_never_touched(tmp_path: Path) -> None:
    """A second start leaves a changed configuration as it is, and one that is a link to a file that is not there yet."""
    runtime = prepare_runtime(tmp_path)
    runtime.config_file.write_text("mine")
    assert prepare_runtime(tmp_path) == runtime
    assert runtime.config_file.read_text() == "mine"
    runtime.config_file.unlink()
    runtime.config_file.symlink_to(tmp_path / "elsewhere")
    prepare_runtime(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_directory_that_cannot_be_written_is_said_and_used(tmp_path: Path, logged: list[str]) -> None:
    """With nothing to write to, the server runs on the packaged configuration and says both."""
    (tmp_path / "file").touch()
    runtime = prepare_runtime(tmp_path / "file")
    assert runtime.config_file == packaged("config.lua")
    assert [text.partition("}")[2][:18] for text in logged] == [" cannot be prepare", ""]


class FullDisk(io.BytesIO):
    """A file that takes nothing."""

    def write(self, data: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_no_half_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that could not be written whole would count as the owner's at the next start, so it is removed."""
    create = Path.open

    def open_on_full_disk(path: Path, mode: str) -> io.BytesIO:
        create(path, mode).close()
        return FullDisk()

    monkeypatch.setattr(Path, "open", open_on_full_disk)
    monkeypatch.setattr(Path, "read_bytes", lambda path: b"x")
    assert prepare_runtime(tmp_path).config_file == packaged("config.lua")
    assert not (tmp_path / "config/config.lua").exists()


def test_relative_paths_start_at_the_runtime_directory(tmp_path: Path) -> None:
    """A path of the configuration or of a command means the same wherever the server was started."""
    runtime = prepare_runtime(tmp_path)
    assert runtime.resolve("media/x.mp4") == tmp_path / "media/x.mp4"
    assert runtime.resolve("./media/../logs") == tmp_path / "logs"
    assert runtime.resolve("/var/media") == Path("/var/media")


def test_the_repositorys_configuration_is_the_packaged_one() -> None:
    """What one reads in the sources is what an installation starts with."""
    assert (REPOSITORY / "config/config.lua").read_bytes() == packaged("config.lua").read_bytes()


def test_the_page_of_all_keys_is_current() -> None:
    """docs/configuration.md describes the keys that this server reads."""
    from ems.config.reference import render

    assert (REPOSITORY / "docs/configuration.md").read_text() == render()


def test_the_later_doors_of_the_stock_configuration_are_right(tmp_path: Path) -> None:
    """Each door that is a comment today loads when its comment signs are taken away."""
    text = packaged("config.lua").read_text()
    lines = [line.replace("-- ", "", 1) if line.lstrip().startswith(("-- {", "--   ssl")) else line for line in text.splitlines()]
    runtime = prepare_runtime(tmp_path)
    runtime.config_file.write_text("\n".join(lines))
    config = load_config(runtime.config_file, directory=tmp_path)
    assert len(config.application.acceptors) == 12
    assert len(config.notes) == 3
    shutil.copy(runtime.config_file, tmp_path / "config/server.key")
    shutil.copy(runtime.config_file, tmp_path / "config/server.cert")
    assert len(load_config(runtime.config_file, directory=tmp_path).application.acceptors) == 15
