"""The target of a request (RFC 9112 §3.2): the parts of the path, decoded once.

``GET /show/playlist.m3u8?_HLS_msn=7`` has the parts ``show`` and ``playlist.m3u8``. A proxy's absolute form
(``http://host/show/``) means the same. Percent-encoding (RFC 3986 §2.1) is undone exactly once, before the path is looked at, so
``..%2f`` is as refused as ``../``.
"""

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from ems.security.paths import UnsafePath, split_path

MAX_QUERY_VALUE = 20
"""Characters of a question about a playlist: a sequence number has that many digits at most."""


MAX_KNOWN = 256
"""Bytes of a request target that is remembered: the names that viewers ask for are short, and they ask together."""


class Target(NamedTuple):
    """What is asked for. `folder` is true when the path ends in ``/``; `query` is as it came."""

    parts: tuple[str, ...]
    folder: bool
    query: bytes

    @property
    def path(self) -> str:
        """The path without slashes at its ends."""
        return "/".join(self.parts)


def parse_target(uri: bytes) -> Target:
    """The parts of a request target. Raises `UnsafePath` for one that cannot be the name of a file."""
    return _known(uri) if len(uri) <= MAX_KNOWN else _parse(uri)


def _parse(uri: bytes) -> Target:
    path, _, query = uri.partition(b"?")
    if not path.startswith(b"/"):
        scheme, separator, rest = path.partition(b"://")
        if not separator or scheme.lower() not in (b"http", b"https"):
            raise UnsafePath("a path begins with /")
        path = b"/" + rest.partition(b"/")[2]
    if b"%" in path:
        path = unquote_to_bytes(path)
    try:
        text = path.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnsafePath("a path is UTF-8") from error
    return Target(split_path(text), text.endswith("/"), query)


_known = lru_cache(maxsize=1024)(_parse)


def questions(query: bytes) -> dict[str, str] | None:
    """The delivery directives of low-latency HLS (RFC 8216bis §6.2.5): parameters that begin with ``_HLS_``.

    None when one is there twice or longer than any that makes sense.
    """
    found: dict[str, str] = {}
    for pair in query.split(b"&") if b"_HLS_" in query else ():
        name, _, value = pair.decode("latin-1").partition("=")
        if not name.startswith("_HLS_"):
            continue
        if name in found or len(value) > MAX_QUERY_VALUE:
            return None
        found[name] = value
    return found
