"""What a URL means to the server: which stream or file, in which form, and which of its media.

===========================  =====================================================================
``/<name>``                  a live stream, RTP for each medium
``/ts/<name>``               the same as MPEG-TS
``/vod/<path>``              a file
``/vodts/<path>``            a file as MPEG-TS; also ``/tsvod/<path>``
``/<path>.vod``              a file that says where a stream is pulled from when somebody wants it
===========================  =====================================================================

In the query, ``forceTs`` is for MPEG-TS, ``forceTcp`` refuses UDP, and ``waitForIdr`` begins with the next key frame instead of
the newest one; the rest of it belongs to the name. Behind all that, SETUP names a medium: ``/trackID=2``.
"""

import re
from enum import Enum
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ems.errors import RemoteProtocolError

CONTROL = "trackID="
"""What the address of a medium ends with, before its number."""

_CONTROL = re.compile(rf"(?i)/?{CONTROL}(\d{{1,4}})/?$", re.ASCII)
_PREFIXES = {"ts": ("live", True), "vod": ("file", False), "vodts": ("file", True), "tsvod": ("file", True)}
_FLAGS = ("forcets", "forcetcp", "waitforidr")


class Origin(str, Enum):
    """Where media come from."""

    LIVE = "live"
    FILE = "file"
    PULL = "pull"


class Address(NamedTuple):
    """A URL taken apart; `medium` is the number that SETUP names, None for the whole presentation."""

    name: str
    origin: Origin = Origin.LIVE
    ts: bool = False
    force_tcp: bool = False
    wait_for_key_frame: bool = False
    medium: int | None = None


def parse_address(url: str) -> Address:
    """Take a URL apart, absolute or only a path. Raises `RemoteProtocolError` for what is none."""
    found = _CONTROL.search(url)
    medium = int(found[1]) if found else None
    try:
        parts = urlsplit(url[: found.start()] if found else url)
        path = unquote(parts.path, errors="strict").strip("/")
    except ValueError:
        raise RemoteProtocolError(f"not an address: {url[:60]!r}") from None
    if parts.scheme.lower() not in ("", "rtsp", "rtsps", "rtspu", "rtspt", "rtsph"):
        raise RemoteProtocolError(f"not an address of RTSP: {url[:60]!r}")
    fields = [field for field in parts.query.rstrip("/").split("&") if field]
    flags = {field.partition("=")[0].lower() for field in fields} & {*_FLAGS}
    query = "&".join(field for field in fields if field.partition("=")[0].lower() not in _FLAGS)
    prefix, _, behind = path.partition("/")
    kind, ts = _PREFIXES.get(prefix.lower(), ("live", False)) if behind else ("live", False)
    name = behind if behind and prefix.lower() in _PREFIXES else path
    if kind == "live" and name.lower().endswith(".vod"):
        kind = "pull"
    shown = f"{name}?{query}" if query else name
    return Address(shown, Origin(kind), ts or "forcets" in flags, "forcetcp" in flags, "waitforidr" in flags, medium)


def published_name(url: str) -> str:
    """The name under which a client that announces at this URL wants its stream to appear: the last part of the path.

    Empty when there is no path. Raises `RemoteProtocolError` for what is no URL.
    """
    name, question, query = parse_address(url).name.partition("?")
    return name.rpartition("/")[2] + question + query
