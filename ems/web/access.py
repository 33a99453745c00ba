"""Who may come in: addresses by lists, folders by passwords, and the runtime API.

Passwords are checked by HTTP Basic (RFC 7617), and an address that guesses is slowed down (`ems.security.attempts.Throttle`).

The runtime API at ``/api/`` can do everything. With ``apiProxy`` it takes that name and password. Without, only programs and
browsers on the server's own machine may use it: the connection must come from a loopback address, the request must name this
machine (a page cannot have a name of its own resolve to 127.0.0.1, *DNS rebinding*), and no reverse proxy may have passed it
on for somebody else. Either way a browser's request must come from a page of this server: browsers send what any page tells
them, and remember passwords (*cross-site request forgery*).
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Callable
from hmac import compare_digest
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from twisted.logger import Logger

from ems.config.web import ApiProxy, WebConfig
from ems.errors import CommandError
from ems.security.addresses import AddressFilter
from ems.security.attempts import Throttle
from ems.security.paths import UnsafePath, split_path
from ems.web.request import WebRequest

MAX_FILE = 1 << 20
"""Bytes of a password file: 15 000 users."""

LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
"""Host headers, without a port, that mean this machine and cannot be made to mean another."""

PASSED_ON = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
"""Headers of a request that a reverse proxy has passed on."""

HOW_TO_OPEN = (
    'The API is open to this machine only. To open it to others, set apiProxy with authentication = "basic" in webconfig.lua.'
)


def address_filter(config: WebConfig) -> AddressFilter | None:
    """The two lists of ``enableIPFilter``; None when it is off. Raises `CommandError` when there is neither list."""
    application = config.application
    if not application.enable_ip_filter:
        return None
    lists = [config.resolve(path) if path else None for path in (application.whitelist_file, application.blacklist_file)]
    white, black = (path if path is not None and path.exists() else None for path in lists)
    if white is None and black is None:
        raise CommandError(f"enableIPFilter needs a list, and there is neither {lists[0]} nor {lists[1]}")
    return AddressFilter(white, black)


class Credentials:
    """Checks the names and passwords of requests."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._throttle = Throttle(now)

    def accepts(self, request: WebRequest, check: Callable[[str, str], bool]) -> bool:
        """Whether the request has a name and a password that `check` takes. A guesser's are not even looked at."""
        given = basic_credentials(request.getHeader("authorization"))
        if given is None:
            return False
        delay = self._throttle.charge(request.peer)
        if delay is None or delay > 0 or not check(*given):
            return False
        self._throttle.succeeded(request.peer)
        return True


def basic_credentials(header: str | None) -> tuple[str, str] | None:
    """Name and password of an Authorization header; None when it has none."""
    scheme, _, encoded = (header or "").strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, separator, password = base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeError, ValueError):
        return None
    return (name, password) if separator else None


class PasswordFile:
    """Lines of ``user:`` and the MD5 of the password in hexadecimal, as the original writes them; read again when changed.

    MD5 protects nobody whose file is stolen; it is what these files have.
    """

    log = Logger()

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, ...] = ()
        self._hashes: dict[str, str] = {}

    def check(self, user: str, password: str) -> bool:
        """Whether this is the user's password; nobody's while the file cannot be read."""
        self._look()
        expected = self._hashes.get(user, "")
        given = hashlib.md5(password.encode("utf-8"), usedforsecurity=False).hexdigest()
        return compare_digest(expected.encode("utf-8"), given.encode("ascii"))

    def _look(self) -> None:
        try:
            status = os.stat(self.path)
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp == self._stamp:
                return
            with self.path.open("rb") as file:
                lines = file.read(MAX_FILE).decode("utf-8", "replace").splitlines()
        except OSError as error:
            self.log.error("{path}: {error}; nobody is let in", path=str(self.path), error=error.strerror)
            self._stamp, self._hashes = (), {}
            return
        pairs = (line.strip().rpartition(":") for line in lines if ":" in line)
        self._stamp, self._hashes = stamp, {user: digest.lower() for user, _, digest in pairs}


class FolderGuard:
    """The folders that ask for a password (``auth``). One inside another has the passwords of its own; ``/`` is the web root.

    Raises `CommandError` for a folder that no path can lead to: its files would be open under their real one.
    """

    def __init__(self, config: WebConfig) -> None:
        blocks = [block for block in config.application.auth if block.enable]
        self._files = {_folder(block.domain): PasswordFile(config.resolve(block.digest_file)) for block in blocks}
        self._depths = sorted({len(folder) for folder in self._files}, reverse=True)

    def password_file(self, parts: tuple[str, ...]) -> PasswordFile | None:
        """The file of the innermost guarded folder in which a path lies; None when it lies in none."""
        for depth in self._depths:
            file = self._files.get(parts[:depth])
            if file is not None:
                return file
        return None


def _folder(domain: str) -> tuple[str, ...]:
    try:
        return split_path(domain)
    except UnsafePath as error:
        raise CommandError(f"auth: domain: {error}") from None


def matches_proxy(proxy: ApiProxy, user: str, password: str) -> bool:
    """Whether these are the name and the password of the API; how long that takes does not tell which is wrong."""
    name_is_right = compare_digest(user.encode("utf-8"), proxy.user_name.encode("utf-8"))
    return compare_digest(password.encode("utf-8"), proxy.password.encode("utf-8")) and name_is_right


def is_foreign(request: WebRequest) -> bool:
    """Whether a page of another site has told a browser to send this."""
    source = request.getHeader("origin") or request.getHeader("referer")
    if source is not None and _authority(source) != (request.getHeader("host") or "").lower():
        return True
    return (request.getHeader("sec-fetch-site") or "none").lower() not in ("same-origin", "none")


def is_local(request: WebRequest) -> bool:
    """Whether somebody on this machine has sent this, to this machine, and nobody has passed it on.

    HTTP/1.0 is what a reverse proxy speaks that was told nothing else, and no browser.
    """
    try:
        loopback = ip_address(request.peer.partition("%")[0]).is_loopback
    except ValueError:
        return False
    if not loopback or request.clientproto != b"HTTP/1.1" or any(request.getHeader(name) is not None for name in PASSED_ON):
        return False
    return _without_port(request.getHeader("host") or "") in LOCAL_NAMES


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()


def _authority(url: str) -> str:
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""
