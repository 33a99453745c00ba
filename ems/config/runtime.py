"""The runtime directory: where configuration, media, pages and logs of one server lie.

It is the working directory at start, or what ``--runtime DIR`` names. At first start the folders and the files that a
server needs are put there from the packaged defaults, so that a fresh installation runs without any preparation. What
exists is never touched. Every relative path of the configuration and of the API's commands starts there.
"""

import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from twisted.logger import Logger

FOLDERS = ("config", "media", "webroot", "logs")
"""The folders of a runtime directory."""

CONFIG_FILE = "config/config.lua"

DEFAULT_FILES = {CONFIG_FILE: "config.lua", "config/webconfig.lua": "webconfig.lua"}
"""The files that a fresh runtime directory gets, and where each lies in the package's folder ``defaults``."""

_log = Logger()


@dataclass(frozen=True)
class Runtime:
    """A prepared runtime directory. `config_file` is its own configuration, or the packaged one when it has none."""

    directory: Path
    config_file: Path

    def resolve(self, path: str | Path) -> Path:
        """Return `path` as an absolute path: a relative one starts at the runtime directory."""
        return Path(os.path.normpath(self.directory / path))


def prepare_runtime(directory: Path) -> Runtime:
    """Make what is missing of the runtime directory and return it; never raises for a folder that cannot be written.

    Such a folder is used as it is, which a log line says; without a configuration in it the packaged one counts.
    """
    directory = Path(os.path.abspath(directory))
    try:
        _create(directory)
    except OSError as error:
        _log.warn(
            "{directory} cannot be prepared as runtime directory ({reason}): what is missing there stays missing",
            directory=str(directory),
            reason=error.strerror or str(error),
        )
    config_file = directory / CONFIG_FILE
    if not config_file.exists():
        config_file = packaged(DEFAULT_FILES[CONFIG_FILE])
        _log.warn("the packaged configuration is used: {file}", file=str(config_file))
    return Runtime(directory, config_file)


def packaged(name: str) -> Path:
    """Return the path of the packaged default file `name`. (Twisted's plugins need an unpacked installation, too.)"""
    return Path(str(files("ems.config"))) / "defaults" / name


def _create(directory: Path) -> None:
    """Make the folders and files that are missing; a file that another process makes meanwhile is left alone."""
    for folder in FOLDERS:
        (directory / folder).mkdir(parents=True, exist_ok=True)
    for target, name in DEFAULT_FILES.items():
        path = directory / target
        # A link counts as the administrator's, even one that leads nowhere yet.
        if path.exists() or path.is_symlink():
            continue
        _write_new(path, packaged(name).read_bytes())


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that did not exist; one that cannot be written whole (a full disk) is removed again."""
    try:
        file = path.open("xb")
    except FileExistsError:
        return
    try:
        with file:
            file.write(content)
    except OSError:
        path.unlink(missing_ok=True)
        raise
