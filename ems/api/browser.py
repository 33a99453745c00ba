"""Keeping web pages away from the HTTP door.

The door has no log-in; that it listens on the loopback address is its protection. A browser on the same machine is inside
of that, and runs what any page tells it: a page can have it send a request to ``http://127.0.0.1:7777`` (cross-site request
forgery), or have a name of its own resolve to 127.0.0.1 and so be of the same origin (DNS rebinding). Three rules refuse
both and let programs, which send none of these headers, alone:

* ``Host`` must be an IP address (such a name cannot be made to resolve elsewhere), ``localhost``, the machine's own name, or
  one that the acceptor's ``allowedHosts`` lists;
* ``Origin``, and without it ``Referer``, if sent, must be of the same host and port, or listed in ``allowedOrigins``;
* ``Sec-Fetch-Site``, which browsers add to every request (Fetch Metadata), must be ``same-origin`` or ``none``, unless the
  origin is listed.
"""

import socket
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class BrowserPolicy:
    """Who may speak to the door. Names are lower-case; an origin is ``https://host:port`` without anything behind it."""

    allowed_hosts: Collection[str] = ()
    allowed_origins: Collection[str] = ()

    def refusal(self, host: str | None, origin: str | None, referer: str | None, fetch_site: str | None) -> str:
        """Why a request with these headers (None: absent) is refused; empty when it is not."""
        if host is not None and not self._is_own(_host_name(host)):
            return f"Host {host} is not this server"
        source = origin if origin is not None else referer
        if source is not None and _origin(source) in self.allowed_origins:
            return ""
        if source is not None and _authority(source) != (host or "").lower():
            return f"requests of pages from {source} are refused"
        if fetch_site is not None and fetch_site.lower() not in ("same-origin", "none"):
            return "requests of other sites' pages are refused"
        return ""

    def _is_own(self, name: str) -> bool:
        own = ("localhost", socket.gethostname().lower())
        return _is_address(name) or name in own or name.endswith(".localhost") or name in self.allowed_hosts


def _host_name(host: str) -> str:
    """The name or address in a Host header (RFC 9110 §7.2), without its port and without an IPv6 address's brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _authority(url: str) -> str:
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""


def _origin(url: str) -> str:
    scheme, _, rest = url.lower().partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"
