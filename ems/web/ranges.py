"""Range requests (RFC 9110 §14): which bytes of a file a client asks for.

``bytes=0-499`` is the first 500 bytes, ``bytes=500-`` all after them, ``bytes=-500`` the last 500; several stand with commas
between. What is malformed, and what asks for more than the whole file, is answered with the whole file, as the standard
allows: nobody can have a small file sent a thousand times.
"""

import re
from typing import NamedTuple

MAX_RANGES = 8
"""Parts of one request. Players and download programs ask for one, readers of PDF files for a few."""

MAX_HEADER = 256
"""Characters: eight ranges of two long numbers."""

SPEC = re.compile(r"\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.ASCII)
"""Eighteen digits are more than any file has bytes."""


class Span(NamedTuple):
    """The bytes from `start` up to, but without, `stop`."""

    start: int
    stop: int


def parse_ranges(header: str | None, size: int) -> list[Span] | None:
    """The spans that a Range header asks for; none of them when no byte of it exists (416), None when the whole is sent."""
    if header is None or len(header) > MAX_HEADER:
        return None
    unit, separator, specs = header.partition("=")
    if not separator or unit.strip().lower() != "bytes":
        return None
    spans: list[Span] = []
    ranges = specs.split(",")
    if len(ranges) > MAX_RANGES:
        return None
    for spec in ranges:
        match = SPEC.fullmatch(spec)
        if match is None or not (match[1] or match[2]):
            return None
        if match[1] and match[2] and int(match[2]) < int(match[1]):
            return None
        span = _span(match[1], match[2], size)
        if span.start < span.stop:
            spans.append(span)
    return None if sum(span.stop - span.start for span in spans) > size else spans


def _span(first: str, last: str, size: int) -> Span:
    if not first:
        return Span(max(0, size - int(last)), size)
    return Span(int(first), min(int(last) + 1, size) if last else size)


def content_range(span: Span, size: int) -> str:
    """The value of Content-Range (RFC 9110 §14.4) for one span."""
    return f"bytes {span.start}-{span.stop - 1}/{size}"
