"""pushPullSetup.xml: the jobs that survive a restart, in the original's layout.

The root map has a list for each kind of job, ``version`` (the number of the layout), ``serverVersion`` (who wrote it) and
``checksum`` (`ems.config.variant.checksum`). An entry's name is its id, ``0x00000007``, its content the job's configuration.

The original starts with nothing when the checksum is wrong. Here everything that can be understood is taken, so that a file
that somebody has edited by hand keeps its jobs; `Setup.doubts` says what was strange.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ems.config.variant import Array, UInt32, Variant, VariantError, checksum, index_name, to_binary
from ems.config.variant_xml import MAX_FILE, MAX_VALUES, read_variant, write_variant

if TYPE_CHECKING:
    from ems.version import Version

KINDS = ("dash", "hds", "hls", "mss", "process", "pull", "push", "record", "webrtc")
"""The lists that are always there."""

METADATA_KIND = "metalistener"
"""A list of the newest layout only."""

LAYOUT, LAYOUT_WITH_METADATA = 26, 27
"""What is written: the layout of the original's last release, or its successor's when it is needed."""

READABLE_LAYOUTS = range(25, 28)

MAX_ID = 2**31
"""Larger ids come from damage: they are counted from 1, and from the highest on, in 32 bits."""

_MAP_HEAD = 6
"""Bytes of a map's binary form before its first entry: type, whether it is an array, and the number of entries."""

IN_MEMORY_ONLY = ("status", "computedPathToFile")
"""Keys of configurations that are no part of the file."""


class Entry(NamedTuple):
    """A stored job: its kind, its id (0 when the file has none that can be used), and its configuration without ``configId``."""

    kind: str
    id: int
    values: Mapping[str, Variant]


@dataclass(frozen=True, slots=True)
class Setup:
    """What a file holds: its entries in stored order, and what was strange about it, a sentence each."""

    entries: tuple[Entry, ...]
    doubts: tuple[str, ...]


def read_setup(content: bytes) -> Setup:
    """Read a file. Raises `VariantError` when it is no such file at all."""
    root = read_variant(content)
    if not isinstance(root, dict):
        raise VariantError("the root element is no MAP")
    doubts = [*_doubts(root)]
    entries: list[Entry] = []
    for kind in (*KINDS, METADATA_KIND):
        stored = root.get(kind, {})
        if not isinstance(stored, dict):
            doubts.append(f"{kind} is no list")
            continue
        for name, values in stored.items():
            if isinstance(values, dict):
                entries.append(_entry(kind, name, values))
            else:
                doubts.append(f"{kind}.{name} is no configuration")
    return Setup(tuple(entries), tuple(doubts))


class Piece(NamedTuple):
    """An entry as it lies in the file: its kind, its name, its XML, and its binary form, over which the checksum is taken."""

    kind: str
    name: str
    xml: bytes
    binary: bytes


def make_piece(entry: Entry) -> Piece:
    """The form of an entry with an id. Raises `VariantError` for what cannot be stored."""
    name, values = index_name(entry.id), {**entry.values, "configId": UInt32(entry.id)}
    alone = write_variant({entry.kind: Array({name: values})})
    _declaration, _root, _list, xml = alone.split(b"\n", 3)
    return Piece(entry.kind, name, xml.removesuffix(b"    </MAP>\n</MAP>\n"), to_binary(values))


def write_setup(pieces: Iterable[Piece], version: "Version") -> bytes:
    """The file of these entries. Raises `VariantError` when it would be too large to be read again.

    It is put together from the pieces that there are already, so that one job more among a thousand costs little.
    """
    lists: dict[str, list[Piece]] = {kind: [] for kind in KINDS}
    for piece in sorted(pieces, key=lambda piece: piece.name):
        lists.setdefault(piece.kind, []).append(piece)
    root: dict[str, Variant] = {
        **{kind: Array() for kind in lists},
        "serverVersion": _server_version(version),
        "version": UInt32(LAYOUT_WITH_METADATA if METADATA_KIND in lists else LAYOUT),
    }
    binary = _fill(to_binary(root), lists, _binary_list)
    root["checksum"] = hashlib.md5(binary, usedforsecurity=False).hexdigest()
    content = _fill(write_variant(root), lists, _xml_list)
    if len(content) > MAX_FILE:
        raise VariantError(f"more than {MAX_FILE >> 20} MiB would have to be stored")
    # Every element begins a line.
    if content.count(b"\n") > MAX_VALUES:
        raise VariantError(f"more than {MAX_VALUES} values would have to be stored")
    return content


def _fill(content: bytes, lists: Mapping[str, list[Piece]], form: Callable[[str, list[Piece]], bytes]) -> bytes:
    """Put the lists where `content` has empty ones.

    The last comes first: then whatever the pieces contain lies behind the empty list that is looked for.
    """
    for kind in sorted(lists, reverse=True):
        content = content.replace(form(kind, []), form(kind, lists[kind]), 1)
    return content


def _xml_list(kind: str, pieces: list[Piece]) -> bytes:
    opening = f'\n    <MAP isArray="true" name="{kind}"'.encode()
    return opening + (b">\n" + b"".join(piece.xml for piece in pieces) + b"    </MAP>\n" if pieces else b" />\n")


def _binary_list(kind: str, pieces: list[Piece]) -> bytes:
    """A list behind its name, as a map has it."""
    empty = to_binary({kind: Array()})[_MAP_HEAD:]
    entries = [part for piece in pieces for part in (len(piece.name).to_bytes(4, "big"), piece.name.encode(), piece.binary)]
    return empty[:-4] + len(pieces).to_bytes(4, "big") + b"".join(entries)


def _doubts(root: Mapping[str, Variant]) -> Iterable[str]:
    layout = root.get("version")
    if layout not in READABLE_LAYOUTS:
        yield f"it has the layout {layout!r}, and this server knows {READABLE_LAYOUTS.start} to {READABLE_LAYOUTS.stop - 1}"
    if root.get("checksum") != checksum(root):
        yield "its checksum is wrong, so it was written by another program or by hand"
    for name in sorted(root.keys() - {*KINDS, METADATA_KIND, "checksum", "serverVersion", "version"}):
        yield f"{name} is unknown"


def _entry(kind: str, name: str, values: Mapping[str, Variant]) -> Entry:
    kept = {key: _listed(value) for key, value in values.items() if key not in ("configId", *IN_MEMORY_ONLY)}
    config_id = values.get("configId")
    if config_id is None and re.fullmatch("0x[0-9a-f]{8}", name):
        config_id = UInt32(int(name, 16))
    usable = isinstance(config_id, int) and 0 < config_id <= MAX_ID
    return Entry(kind, int(config_id) if usable and isinstance(config_id, int) else 0, kept)


def _listed(value: Variant) -> Variant:
    """An array as the list that it is when its names are positions."""
    return [*value.values()] if isinstance(value, Array) and value == Array.of(value.values()) else value


def _server_version(version: "Version") -> dict[str, Variant]:
    return {
        "banner": version.banner,
        "branchName": version.branch_name,
        "buildDate": version.build_date,
        "buildNumber": version.build_number,
        "codeName": version.code_name,
        "hash": version.hash,
        "releaseNumber": version.release_number,
    }
