"""The addresses that an RTSP client asks for: of the whole presentation, and of each medium in it.

A session description gives every medium a ``control`` attribute, absolute or relative to the presentation's own address (RFC 2326
§C.1.1), which is that of Content-Base, else of Content-Location, else the one that was asked for. By RFC 3986 a relative one
would replace the last part of the base; but cameras leave out the slash at its end and mean it, put the reference behind a query,
or begin it with a slash that means nothing. So it is appended, as other clients do.
"""

from collections.abc import Callable
from urllib.parse import urlsplit

from ems.uri import Uri

ABSOLUTE = ("rtsp://", "rtsps://", "rtspu://")


def presentation_url(uri: Uri) -> str:
    """The address of a presentation as requests name it: as it was written, without user and password."""
    return uri.without_credentials


def base_url(asked: str, header: Callable[[str], str]) -> str:
    """What ``control`` attributes are relative to when DESCRIBE of `asked` is answered; `header` gives a header's value or ''."""
    for name in ("Content-Base", "Content-Location"):
        base = header(name).strip()
        if base.lower().startswith(ABSOLUTE):
            return base
    return asked


def control_url(base: str, control: str) -> str:
    """The address of one medium, or with the session's own attribute that of the presentation."""
    control = control.strip()
    if control in ("", "*"):
        return base
    if control.lower().startswith(ABSOLUTE):
        return control
    parts = urlsplit(base)
    if control.startswith("/") and len(parts.path) > 1 and control.startswith(f"{parts.path.rstrip('/')}/"):
        return f"{parts.scheme}://{parts.netloc}{control}"
    return f"{base.rstrip('/')}/{control.lstrip('/')}"
