"""Addresses of streams on other servers: taken apart as pullStream and pushStream answer them (RFC 3986)."""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from ems.errors import CommandError

DEFAULT_PORTS = {
    "rtmp": 1935,
    "rtmpe": 1935,
    "rtmps": 443,
    "rtmpt": 80,
    "rtmpte": 80,
    "http": 80,
    "https": 443,
    "rtsp": 554,
    "rtsps": 322,
}
"""Ports that a scheme implies; addresses of other schemes must name theirs."""

MAX_LENGTH = 4096
"""Characters of an address."""


@dataclass(frozen=True, slots=True)
class Uri:
    """An absolute address. User name and password are percent-decoded; path and query are as they were written.

    `host` has no brackets around an IPv6 address. `port_written` tells a port that was written from one that is implied.
    """

    text: str
    scheme: str
    user_name: str
    password: str
    host: str
    port: int
    port_written: bool
    path: str
    query: str

    @classmethod
    def parse(cls, text: str) -> "Uri":
        """Take an address apart. Raises `CommandError` in the runtime API's words."""
        text = text.strip()
        try:
            return cls._parse(text)
        except ValueError:
            raise CommandError(f"Invalid URI: {text[:200]}") from None

    @classmethod
    def _parse(cls, text: str) -> "Uri":
        if len(text) > MAX_LENGTH or any(ord(character) <= 32 for character in text):
            raise ValueError(text)
        parts = urlsplit(text, allow_fragments=False)
        scheme = parts.scheme.lower()
        if scheme == "file" and parts.path:
            return cls(text, scheme, "", "", "", 0, False, parts.path, parts.query)
        port = parts.port or DEFAULT_PORTS.get(scheme, 0)
        if not parts.hostname or not port:
            raise ValueError(text)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(text, scheme, user, password, parts.hostname, port, parts.port is not None, parts.path or "/", parts.query)

    @property
    def without_credentials(self) -> str:
        """The address as it may be logged."""
        before, at, behind = self.text.partition("://")[2].partition("/")[0].rpartition("@")
        return self.text.replace(f"{before}{at}", "", 1) if at and behind else self.text

    @property
    def path_and_query(self) -> str:
        """Path and query as they were written."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def directory(self) -> str:
        """The path up to and including its last slash. In RTMP a colon (``mp4:a/b.mp4``) ends the search for it."""
        return self.path[: self._document_at]

    @property
    def document(self) -> str:
        """The path behind `directory`."""
        return self.path[self._document_at :]

    @property
    def _document_at(self) -> int:
        colon = self.path.find(":") if self.scheme.startswith("rtmp") else -1
        return self.path.rfind("/", 0, colon if colon >= 0 else None) + 1

    def as_dict(self, ip: str) -> dict[str, object]:
        """The URI object of the runtime API; `ip` is the host's resolved address, empty when it is not resolved."""
        return {
            "originalUri": self.text,
            "fullUri": self.without_credentials,
            "fullUriWithAuth": self.text,
            "scheme": self.scheme,
            "userName": self.user_name,
            "password": self.password,
            "host": self.host,
            "ip": ip,
            "port": self.port,
            "portSpecified": self.port_written,
            "fullDocumentPath": self.path,
            "fullDocumentPathWithParameters": self.path_and_query,
            "fullParameters": self.query,
            "documentPath": self.directory,
            "document": self.document,
            "documentWithFullParameters": f"{self.document}?{self.query}" if self.query else self.document,
            "parameters": dict(pair.partition("=")[::2] for pair in self.query.split("&") if pair),
        }


def is_literal_address(host: str) -> bool:
    """True when the host is an IP address and needs no resolving."""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
