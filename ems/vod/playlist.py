"""Server-side playlists: ``.lst`` files, which say what plays after what.

A line is ``start,length,name``, in seconds, and ``#`` begins a comment::

    # sourceOfset,duration,localStreamName
    0,30,intro.mp4
    -2,-1,lobby

========  ==================================================================================================
start     0 and more: the file from there. -1: the live stream. -2 and other negatives: the live stream if it is
          there, else the file, else wait for the live stream
length    more than 0: at most so long. 0: one frame. -1: to the end; a live item holds its place when its source
          is lost. -2 and other negatives: to the end, or until the source is lost
========  ==================================================================================================

``# repeat=1`` has the list begin again at its end. Reading is pure; other lists that a list names are put in its place by
`ems.vod.library`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from ems.media.frame import MILLISECOND, SECOND

LIVE_OR_FILE: Final = -2
LIVE: Final = -1
"""Starts that are no times."""

TO_END: Final = -1
TO_LOSS: Final = -2
"""Lengths that are no times."""

MAX_ITEMS: Final = 10_000
"""Items of a list with all lists in it: the largest file has some 60,000 bytes of lines to fill, nested ones multiply."""

MAX_SECONDS: Final = 10**9
"""A start or a length beyond it is a mistake: thirty years."""

HEADER: Final = "# sourceOfset,duration,localStreamName"
"""The first line of a list that the server writes, spelled as clients know it."""

REPEAT: Final = "# repeat=1"

_NUMBER = re.compile(r"[+-]?[0-9]{1,12}(?:\.[0-9]{0,9})?", re.ASCII)


class Item(NamedTuple):
    """One item: a file or a stream, where it begins and how long it plays, in nanoseconds or as one of the constants above."""

    name: str
    start: int = LIVE_OR_FILE
    length: int = TO_END

    @classmethod
    def of_seconds(cls, name: str, start: float, length: float) -> Self:
        """An item whose times are seconds, any negative one a special value."""
        return cls(name, _special(start, SECOND), _special(length, SECOND))

    @classmethod
    def of_milliseconds(cls, name: str, start: int, length: int) -> Self:
        """An item whose times are milliseconds: -1000 and -2000 are the special values."""
        return cls(name, _special(start // 1000 if start < 0 else start, MILLISECOND), _length_of_milliseconds(length))


@dataclass(frozen=True, slots=True)
class Playlist:
    """The items of a list; what could not be read of it is told in `mistakes`."""

    items: tuple[Item, ...]
    repeat: bool = False
    mistakes: tuple[str, ...] = ()


def read_playlist(content: bytes) -> Playlist:
    """The list in a file's content (UTF-8, CR LF or LF). Lines that cannot be understood are left out and told."""
    items: list[Item] = []
    mistakes: list[str] = []
    repeat = False
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        line = line.strip("\ufeff \t")
        repeat = repeat or line.replace(" ", "") == REPEAT.replace(" ", "")
        if not line or line.startswith("#"):
            continue
        if len(items) == MAX_ITEMS:
            mistakes.append(f"line {number}: more than {MAX_ITEMS} items")
            break
        item = _read_line(line)
        if item is None:
            mistakes.append(f"line {number}: expected start,length,name")
        else:
            items.append(item)
    return Playlist(tuple(items), repeat, tuple(mistakes))


def write_playlist(names: Sequence[str], starts: Iterable[int], lengths: Iterable[int], *, repeat: bool) -> bytes:
    """The content of a list: names with their starts and lengths in seconds."""
    lines = [f"{start},{length},{name}" for name, start, length in zip(names, starts, lengths, strict=True)]
    return "".join(f"{line}\r\n" for line in (HEADER, *((REPEAT,) if repeat else ()), *lines)).encode()


def _read_line(line: str) -> Item | None:
    parts = [part.strip() for part in line.split(",", 2)]
    if len(parts) < 3 or not parts[2] or not all(_NUMBER.fullmatch(part) for part in parts[:2]):
        return None
    start, length = float(parts[0]), float(parts[1])
    return Item.of_seconds(parts[2], start, length) if max(start, length) <= MAX_SECONDS else None


def _special(value: float, unit: int) -> int:
    """A time in nanoseconds, or -1 for -1 and -2 for every other negative value."""
    return round(value * unit) if value >= 0 else -1 if value == -1 else -2


def _length_of_milliseconds(length: int) -> int:
    return length * MILLISECOND if length >= 0 else TO_LOSS if length == -2000 else TO_END
