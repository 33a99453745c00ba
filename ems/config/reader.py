"""Reading a table into a section by the section's declarations: names, kinds, ranges, nested tables.

Nothing stops at the first mistake: each goes into `Findings` with its place, and reading continues with the key's default,
so that one start-up shows everything that is wrong with a file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from ems.config.errors import at, shown
from ems.config.keys import Checked, Declarations, Entries, Key, Section, SectionList, declarations

T = TypeVar("T")

POSITION = "0x"
"""How the name of an entry begins that has a position in place of a name (``0x00000001`` is the first)."""

SIMILAR = 0.6
"""How like a declared name an unknown one must be (see `difflib`) to be taken for it."""

SLIP = 0.85
"""The same where unknown names are allowed: only what is nearly the same is a slip of the pen."""

USER_VARIABLE = "_"
"""Names that begin so belong to users: they are never reported as unknown."""


class Finding(NamedTuple):
    """One line: what is to be said about the value at `place`."""

    place: str
    text: str


@dataclass
class Findings:
    """What is to be said about a file.

    `errors` are mistakes for which it is refused, `warnings` are things that are skipped or not understood, `notes` are
    right but may surprise. `inherited` are the values so far of keys that count for inner tables as well.
    """

    errors: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    inherited: dict[str, object] = field(default_factory=dict)

    def error(self, place: str, text: str) -> None:
        """Add an error."""
        self.errors.append(Finding(place, text))

    def warn(self, place: str, text: str) -> None:
        """Add a warning."""
        self.warnings.append(Finding(place, text))

    def note(self, place: str, text: str) -> None:
        """Add a note."""
        self.notes.append(Finding(place, text))


def read_section(section: type[T], value: object, place: str, findings: Findings) -> T:
    """Return the table `value`, which stands at `place`, as a `section`; what is missing or wrong has its default."""
    declared = declarations(section)
    table = _as_mapping(value)
    if table is None:
        findings.error(place, f"expected a table, got {shown(value)}")
        return section()
    errors_before = len(findings.errors)
    matched, others = _match(table, declared, place, findings)
    values = _read_keys(declared, matched, others, place, findings)
    _note_absent(section, declared, values, place, findings)
    if declared.extra is not None:
        values[declared.extra] = MappingProxyType(others)
    _report_unknown(others, declared, place, findings)
    result = section(**values)
    if isinstance(result, Checked) and len(findings.errors) == errors_before:
        for name, text in result.contradictions():
            findings.error(at(place, name), text)
    return result


def _read_keys(
    declared: Declarations, matched: Mapping[str, object], others: dict[str, object], place: str, findings: Findings
) -> dict[str, object]:
    """Return the values of a section's fields; entries without a declared name are taken out of `others`."""
    values: dict[str, object] = {}
    for field_name, key in declared.keys.items():
        if isinstance(key.kind, Entries):
            values[field_name] = _read_entries(key.kind, others, place, findings)
        elif matched.get(field_name) is not None:
            _read_key(field_name, key, matched[field_name], at(place, key.name), values, findings)
        elif key.required:
            findings.error(at(place, key.name), f"is missing, expected {key.kind.expected}")
        elif key.name in findings.inherited:
            values[field_name] = findings.inherited[key.name]
    return values


def _note_absent(
    section: type[Any], declared: Declarations, values: Mapping[str, object], place: str, findings: Findings
) -> None:
    """Tell of values that ask for what this version does not have."""
    for field_name, value in values.items():
        key = declared.keys[field_name]
        if key.absent and value != getattr(section, field_name):
            findings.note(at(place, key.name), "is not in this version")


def _as_mapping(value: object) -> Mapping[str, Any] | None:
    """Return a table as a mapping; the entries of a list are named by their positions."""
    if isinstance(value, list):
        return {f"{POSITION}{index:08x}": item for index, item in enumerate(value, 1)}
    return value if isinstance(value, Mapping) else None


def _match(
    table: Mapping[str, object], declared: Declarations, place: str, findings: Findings
) -> tuple[dict[str, object], dict[str, object]]:
    """Split `table` into the values of declared keys, by field name, and the others, by their own."""
    known = {spelling.lower(): field_name for field_name, key in declared.keys.items() for spelling in (key.name, *key.aliases)}
    matched: dict[str, object] = {}
    others: dict[str, object] = {}
    for name, value in table.items():
        field_name = known.get(name.lower())
        if field_name is None:
            others[name] = value
        elif field_name in matched:
            findings.error(at(place, name), f"is given twice, in two spellings of {declared.keys[field_name].name}")
        else:
            matched[field_name] = value
    return matched, others


def _read_key(field_name: str, key: Key, value: object, place: str, values: dict[str, object], findings: Findings) -> None:
    """Put the converted `value` of `key` into `values`, or report it."""
    if isinstance(key.kind, SectionList):
        values[field_name] = _read_list(key.kind, value, place, findings)
    elif isinstance(key.kind, Section):
        values[field_name] = read_section(key.kind.of, value, place, findings)
    else:
        try:
            values[field_name] = key.kind.convert(value)
        except ValueError:
            findings.error(place, f"expected {key.kind.expected}, got {shown(value)}")
    if key.inherited and field_name in values:
        findings.inherited[key.name] = values[field_name]


def _read_list(kind: SectionList[Any], value: object, place: str, findings: Findings) -> tuple[Any, ...]:
    if value == {}:
        return ()
    if not isinstance(value, list):
        findings.error(place, f"expected {kind.expected}, got {_shown_table(value)}")
        return ()
    items = (_read_item(kind, item, at(place, index), findings) for index, item in enumerate(value, 1))
    return tuple(item for item in items if item is not None)


def _read_item(kind: SectionList[Any], value: object, place: str, findings: Findings) -> Any:
    """Return one table of a list, or None when it is skipped."""
    own = Findings(inherited=findings.inherited)
    item = read_section(kind.of, value, place, own)
    findings.warnings += own.warnings
    findings.notes += own.notes
    if any(error.place == at(place, name) for error in own.errors for name in kind.skipped_for):
        findings.warnings += [Finding(error.place, f"{error.text}; skipped") for error in own.errors]
        return None
    findings.errors += own.errors
    return item


def _shown_table(value: object) -> str:
    return "a table with names: put another pair of braces around it" if isinstance(value, Mapping) else shown(value)


def _read_entries(kind: Entries[Any], others: dict[str, object], place: str, findings: Findings) -> tuple[Any, ...]:
    """Take the tables without a declared name out of `others` and read them."""
    sections = []
    for name in [name for name, value in others.items() if _is_entry(kind, name, value)]:
        value = others.pop(name)
        if kind.named and isinstance(value, Mapping) and not any(key.lower() == "name" for key in value):
            value = {**value, "name": name}
        sections.append(read_section(kind.of, value, at(place, _position(name)), findings))
    return tuple(sections)


def _is_entry(kind: Entries[Any], name: str, value: object) -> bool:
    return isinstance(_position(name), int) or (kind.named and isinstance(value, Mapping | list))


def _position(name: str) -> str | int:
    """Return the position that `name` stands for, or `name` itself."""
    if name.startswith(POSITION) and len(name) == len(POSITION) + 8:
        try:
            return int(name[len(POSITION) :], 16)
        except ValueError:
            return name
    return name


def _report_unknown(others: Mapping[str, object], declared: Declarations, place: str, findings: Findings) -> None:
    """Warn about names that nobody knows, with the declared name that was probably meant."""
    accepted = {name.lower() for name in declared.extra_known}
    names = {spelling.lower(): spelling for key in declared.keys.values() for spelling in (key.name, *key.aliases)}
    free = declared.extra is not None and not accepted
    for name in others:
        if name.startswith(USER_VARIABLE) or name.lower() in accepted:
            continue
        position = _position(name)
        near = get_close_matches(name.lower(), names, n=1, cutoff=SLIP if free else SIMILAR)
        hint = f"; did you mean {names[near[0]]}?" if near else ""
        if isinstance(position, int):
            findings.warn(at(place, position), "is a value without a name, and ignored")
        elif near or not free:
            findings.warn(at(place, name), f"is not a key that the server knows{hint}")
