"""Where the files of a stream lie: ``<targetFolder>/<groupName>/<stream>/``, with names that cannot lead anywhere else."""

import re
from pathlib import Path

from ems.config import Runtime
from ems.errors import CommandError
from ems.security.paths import file_path, split_path

WEB_ROOT = "webroot"
"""The folder of the runtime directory that the web server serves."""

SEED_WEB_ROOT = "evo-webroot"
"""What the original's examples call it."""

_QUERY_SIGNS = re.compile("[?&=;]+")


def target_folder(runtime: Runtime, given: str) -> Path:
    """The folder that ``targetFolder`` means; a relative one is in the runtime directory.

    One that is not there and is called ``evo-webroot``, as in the original's examples, is the web root.
    """
    folder = runtime.resolve(given)
    if folder.name == SEED_WEB_ROOT and not folder.exists():
        return runtime.resolve(WEB_ROOT)
    return folder


def stream_folder_name(stream: str) -> str:
    """The name of a stream's folder: the last part of its path, a query's signs replaced: ``app/a?b=c`` is ``a_b_c``."""
    path, _, query = stream.partition("?")
    name = path.rpartition("/")[2] + (f"?{query}" if query else "")
    return _QUERY_SIGNS.sub("_", name).replace("/", "_").replace("\\", "_")


def group_folder(target: Path, group: str) -> Path:
    """The folder of a group. Raises `CommandError` for a name that leads out of `target`."""
    folder = file_path(target, group)
    if folder == target:
        raise CommandError("groupName is no name of a folder")
    return folder


def file_name(parameter: str, name: str) -> str:
    """A name that is one file in its folder. Raises `CommandError` that tells the parameter."""
    if "/" in name or split_path(name) != (name,):
        raise CommandError(f"{parameter} is no file name: {name!r}")
    return name
