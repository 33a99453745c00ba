"""Conditional requests (RFC 9110 §13): a client that has the file already is told so instead of being sent it again."""

from collections.abc import Callable
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime
from enum import Enum
from functools import lru_cache

GZIP_MARK = "-gz"
"""What the entity tag of the compressed form has at its end: another form is another representation (RFC 9110 §8.8.3)."""

Header = Callable[[str], str | None]
"""The value of a request's header, None when it is absent."""


class Verdict(Enum):
    """What the conditions of a request come to."""

    SEND = 200
    NOT_MODIFIED = 304
    FAILED = 412


def entity_tag(modified: float, size: int) -> str:
    """The entity tag of a file of `size` bytes, changed at `modified` (seconds since 1970), with its quotation marks."""
    return f'"{int(modified * 1e6):x}-{size:x}"'


@lru_cache(maxsize=1024)
def http_date(seconds: float) -> str:
    """A time in seconds since 1970 as RFC 9110 §5.6.7 writes it."""
    return formatdate(seconds, usegmt=True)


def evaluate(header: Header, tag: str, modified: float) -> Verdict:
    """Look at the conditions in the order of RFC 9110 §13.2.2; `header` gives a header's value."""
    if_match = header("if-match")
    if if_match is not None:
        if not _matches(if_match, tag):
            return Verdict.FAILED
    elif _is_since(header("if-unmodified-since"), modified) is False:
        return Verdict.FAILED
    if_none_match = header("if-none-match")
    if if_none_match is not None:
        return Verdict.NOT_MODIFIED if _matches(if_none_match, tag) else Verdict.SEND
    return Verdict.NOT_MODIFIED if _is_since(header("if-modified-since"), modified) else Verdict.SEND


def allows_range(if_range: str | None, tag: str, modified: float) -> bool:
    """Whether parts are wanted of this very file (If-Range, RFC 9110 §13.1.5); otherwise all of it is."""
    if if_range is None:
        return True
    if '"' in if_range:
        return if_range.strip() == tag
    return if_range.strip() == http_date(modified)


def _matches(tags: str, tag: str) -> bool:
    """The weak comparison: a compressed form and a weak tag stand for the same content."""
    if tags.strip() == "*":
        return True
    return tag in (one.strip().removeprefix("W/").replace(f'{GZIP_MARK}"', '"') for one in tags.split(","))


def _is_since(date: str | None, modified: float) -> bool | None:
    """Whether the file is not newer than the date, which has whole seconds; None when there is no date or it is none."""
    if date is None:
        return None
    try:
        when = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    return int(modified) <= (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
