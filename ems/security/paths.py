"""Names from outside that become files: one place decides which are safe.

A name is split at ``/``, and each part must be an ordinary file name: no ``.`` or ``..``, nothing hidden, no backslash and no
control character. `file_path` puts such a name behind a folder without looking at the disk. `safe_path` looks, too: where a
symbolic link on the way leads out of the folder, the name is refused.
"""

import os
from pathlib import Path

from ems.errors import CommandError

MAX_NAME = 255
"""Bytes of one part: what file systems can hold."""

MAX_PATH = 1024
"""Bytes of a whole name: far below what the system can open, with room for the folder before it."""

FORBIDDEN = frozenset("\\\x7f") | frozenset(map(chr, range(0x20)))
"""The backslash is a separator elsewhere; NUL ends a name for the system; control characters would command a terminal."""


class UnsafePath(CommandError):
    """A name that is not the name of a file in its folder."""


def split_path(relative: str) -> tuple[str, ...]:
    """The parts of a name, empty ones left out. Raises `UnsafePath`."""
    try:
        size = len(relative.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise UnsafePath("a file name must be valid Unicode") from error
    if size > MAX_PATH:
        raise UnsafePath(f"a path of {size} bytes is longer than {MAX_PATH}")
    if not FORBIDDEN.isdisjoint(relative):
        raise UnsafePath(f"{relative!r} has a character that file names must not have")
    parts = tuple(part for part in relative.split("/") if part)
    for part in parts:
        if part.startswith("."):
            raise UnsafePath(f"{relative!r} leads out of its folder or to a hidden file")
        if len(part) > MAX_NAME or len(part.encode("utf-8")) > MAX_NAME:
            raise UnsafePath(f"a file name of more than {MAX_NAME} bytes")
    return parts


def file_path(root: Path, relative: str) -> Path:
    """The path of `relative` in the folder `root`. Raises `UnsafePath`, also for an absolute name."""
    if relative.startswith("/"):
        raise UnsafePath(f"{relative!r} is an absolute path")
    return root.joinpath(*split_path(relative))


def safe_path(root: Path, relative: str) -> Path:
    """`file_path`, which is also a path within `root` when all symbolic links are followed. It need not exist.

    Looks at the disk, a microsecond or two for each part. Raises `UnsafePath`.
    """
    path = file_path(root, relative)
    require_inside(root, path)
    return path


def require_inside(root: Path, path: Path) -> None:
    """Raise `UnsafePath` when `path`, its symbolic links followed, is not in `root`."""
    real_root = os.path.realpath(root)
    real = os.path.realpath(path)
    if os.path.commonpath((real_root, real)) != real_root:
        raise UnsafePath(f"{path} leads out of {root}")
