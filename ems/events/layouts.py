"""What an event looks like in a file: ``text``, ``json``, ``xml`` or ``w3c``.

A layout makes one entry of an envelope (`Event.envelope`), the entry's number in the file's sequence, and the local time, when
the sink writes that (``timestamp``). `header` begins each file, `footer` ends it.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from ems.events.event import Plain
from ems.events.serializers import Envelope, to_json, to_variant_xml
from ems.events.w3c import w3c_fields, w3c_row

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
"""A name that a peer has made up must not look like an entry of its own, or command a terminal."""


class Layout:
    """A form of entries."""

    def header(self, software: str, now: str) -> bytes:
        """What a file begins with; `now` is the local time."""
        return b""

    def entry(self, envelope: Envelope, number: int, stamp: str) -> bytes:
        """One entry with its end; empty for an event that this form leaves out. `stamp` is the local time, or empty."""
        raise NotImplementedError

    def footer(self) -> bytes:
        """What a file ends with."""
        return b""


class TextLayout(Layout):
    """Number (from 1), type and time; then the payload, a line for each value, indented by tabs; then an empty line."""

    def entry(self, envelope: Envelope, number: int, stamp: str) -> bytes:
        head = "\t".join((f"{number + 1:05}", str(envelope["type"]), *([stamp] if stamp else ())))
        lines = (head, *_text_lines(envelope["payload"], "\t"), "", "")
        return "\n".join(lines).encode("utf-8", "replace")


class JsonLayout(Layout):
    """The envelope as JSON, with its number (from 0), and a comma."""

    def entry(self, envelope: Envelope, number: int, stamp: str) -> bytes:
        return to_json(_numbered(envelope, number, stamp)) + b",\n"


class XmlLayout(Layout):
    """The envelope as variant XML, with its number (from 0), in one line."""

    def entry(self, envelope: Envelope, number: int, stamp: str) -> bytes:
        return to_variant_xml(_numbered(envelope, number, stamp)) + b"\n"


class W3cLayout(Layout):
    """Rows of columns in the W3C extended log file format; for streams, web sessions and downloads only."""

    def __init__(self, *, timestamp: bool) -> None:
        self._timestamp = timestamp

    def header(self, software: str, now: str) -> bytes:
        fields = "\t".join(w3c_fields(timestamp=self._timestamp))
        return f"#Version: 1.0\n#Start-Date: {now}\n#Software: {software}\n#Fields: {fields}\n".encode()

    def entry(self, envelope: Envelope, number: int, stamp: str) -> bytes:
        row = w3c_row(envelope)
        if not row:
            return b""
        columns = [stamp, *row] if self._timestamp else row
        return ("\t".join(columns).translate(_ROW_CONTROLS) + "\n").encode("utf-8", "replace")

    def footer(self) -> bytes:
        return b"# ======= End of file ========\n"


_ROW_CONTROLS = {code: text for code, text in _CONTROLS.items() if code != ord("\t")}


def make_layout(name: str, *, timestamp: bool) -> Layout:
    """The layout of that name, in any case; anything unknown is text."""
    match name.lower():
        case "json":
            return JsonLayout()
        case "xml":
            return XmlLayout()
        case "w3c":
            return W3cLayout(timestamp=timestamp)
    return TextLayout()


def _numbered(envelope: Envelope, number: int, stamp: str) -> dict[str, Plain]:
    return {**envelope, "_logEntry": f"{number:05}", **({"timestamp": stamp} if stamp else {})}


def _text_lines(value: Plain, indent: str) -> Iterator[str]:
    for key, item in _entries(value):
        label = f"{indent}{key.translate(_CONTROLS)}:"
        if isinstance(item, dict | list):
            yield label
            yield from _text_lines(item, indent + "\t")
        elif item is not None:
            yield f"{label} {item.translate(_CONTROLS) if isinstance(item, str) else json.dumps(item)}"


def _entries(value: Any) -> Iterable[tuple[str, Plain]]:
    """The entries of a map in the order of their names, or of a list by their positions."""
    return sorted(value.items()) if isinstance(value, dict) else ((str(index), item) for index, item in enumerate(value))
