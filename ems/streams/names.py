"""Stream names: what is one, and under which names a stream is found."""

import unicodedata

from ems.errors import CommandError

MAX_LENGTH = 200
"""Longer names come from attacks and from broken encoders only; they would not fit a file name either."""


def short_name(name: str) -> str:
    """The name without its query: ``cam?token=1`` is ``cam``."""
    return name.partition("?")[0]


def checked_name(name: str) -> str:
    """The name in Unicode's composed form, fit to become part of a path, an address and a log line.

    Raises `CommandError` with the reason: empty, too long, control or formatting characters (a right-to-left override makes a
    name look like another), a leading slash or dot, or ``..`` as a path component.
    """
    name = unicodedata.normalize("NFC", name)
    if not name:
        raise CommandError("a stream name must not be empty")
    if len(name) > MAX_LENGTH:
        raise CommandError(f"a stream name has at most {MAX_LENGTH} characters, this one has {len(name)}")
    for character in name:
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
            raise CommandError(f"a stream name must not contain U+{ord(character):04X}")
    parts = short_name(name).replace("\\", "/").split("/")
    if any(part.startswith(".") or not part for part in parts):
        raise CommandError(f"a stream name must not have empty parts or parts that begin with a dot: {name!r}")
    return name
