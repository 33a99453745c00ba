"""Proving who we are to an RTSP server: the client's half of HTTP authentication (RFC 7235, RFC 2326 §1.5).

A server answers 401 with one challenge or several in ``WWW-Authenticate``. The request is sent again with ``Authorization``:
*Basic* (RFC 7617) is the password in base64, *Digest* (RFC 7616) a hash of it with the server's nonce, the method and the URI.
Of several challenges the strongest that we can answer counts: Digest with SHA-256, Digest with MD5, Basic.
"""

import hashlib
import re
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

MAX_CHALLENGES = 16
"""Of one answer: no server has more schemes, algorithms and realms than that."""

_PARAMETER = re.compile(r'(?:([A-Za-z][\w-]*)[ \t]+)?([A-Za-z][\w-]*)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))')
_SCHEME_ALONE = re.compile(r"[ \t]*([A-Za-z][\w-]*)[ \t]*")

_HASHES: Mapping[str, Callable[[bytes], "hashlib._Hash"]] = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}
"""The algorithms of RFC 7616 §3.3 that servers use, the stronger one first."""

_SESSION = "-SESS"
"""Behind the name of an algorithm: the hash of the password is bound to the nonces."""


class Challenge(NamedTuple):
    """One challenge: ``digest`` or ``basic``, and its parameters, named in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def read_challenges(values: Iterable[str]) -> list[Challenge]:
    """The challenges of all ``WWW-Authenticate`` headers of an answer; what cannot be read is left out."""
    found: list[tuple[str, dict[str, str]]] = []
    for value in values:
        alone = _SCHEME_ALONE.fullmatch(value)
        if alone:
            found.append((alone[1].lower(), {}))
            continue
        for scheme, name, quoted, plain in _PARAMETER.findall(value):
            if scheme:
                found.append((scheme.lower(), {}))
            if found:
                found[-1][1].setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) or plain)
    return [Challenge(*one) for one in found[:MAX_CHALLENGES]]


class Login:
    """A user and a password, and the challenge that they answer at present."""

    def __init__(self, user: str, password: str) -> None:
        self._user = user
        self._password = password
        self._challenge: Challenge | None = None
        self._count = 0

    def challenged(self, values: Iterable[str], *, again: bool) -> bool:
        """Take the headers of a 401; True when it makes sense to send the request once more.

        `again` tells that this very request has been sent with an answer before: then the user or the password is wrong, unless
        the server says that only its nonce was too old (``stale``).
        """
        if not self._user:
            return False
        challenge = min((one for one in read_challenges(values) if _rank(one) >= 0), key=_rank, default=None)
        if challenge is None or (again and challenge.parameters.get("stale", "").lower() != "true"):
            return False
        self._challenge = challenge
        self._count = 0
        return True

    def authorization(self, method: str, uri: str) -> str:
        """The value of ``Authorization`` for a request; empty while nobody has asked."""
        challenge = self._challenge
        if challenge is None:
            return ""
        if challenge.scheme == "basic":
            return "Basic " + b64encode(f"{self._user}:{self._password}".encode()).decode("ascii")
        self._count += 1
        return _digest(challenge.parameters, self._user, self._password, method, uri, self._count)


def _rank(challenge: Challenge) -> int:
    """How early a challenge is chosen; -1 when we cannot answer it."""
    if challenge.scheme == "basic":
        return len(_HASHES)
    parameters = challenge.parameters
    qop = parameters.get("qop", "")
    if challenge.scheme != "digest" or "nonce" not in parameters or (qop and "auth" not in _tokens(qop)):
        return -1
    algorithm = parameters.get("algorithm", "MD5").upper().removesuffix(_SESSION)
    return list(_HASHES).index(algorithm) if algorithm in _HASHES else -1


def _digest(challenge: Mapping[str, str], user: str, password: str, method: str, uri: str, count: int) -> str:
    """The answer of RFC 7616 §3.4; without qop that of RFC 2617 §3.2.2.1, which most cameras ask for."""
    algorithm = challenge.get("algorithm", "MD5")
    make = _HASHES[algorithm.upper().removesuffix(_SESSION)]

    def hashed(*parts: str) -> str:
        return make(":".join(parts).encode()).hexdigest()

    realm, nonce, cnonce = challenge.get("realm", ""), challenge["nonce"], secrets.token_hex(8)
    secret = hashed(user, realm, password)
    session = algorithm.upper().endswith(_SESSION)
    if session:
        secret = hashed(secret, nonce, cnonce)
    fields = {"username": user, "realm": realm, "nonce": nonce, "uri": uri}
    plain: dict[str, str] = {}
    if "qop" in challenge:
        number = f"{count:08x}"
        fields["response"] = hashed(secret, nonce, number, cnonce, "auth", hashed(method, uri))
        plain |= {"qop": "auth", "nc": number}
    else:
        fields["response"] = hashed(secret, nonce, hashed(method, uri))
    if plain or session:
        fields["cnonce"] = cnonce
    if "opaque" in challenge:
        fields["opaque"] = challenge["opaque"]
    if "algorithm" in challenge:
        plain["algorithm"] = algorithm
    return "Digest " + ", ".join([*(f'{name}="{_quoted(text)}"' for name, text in fields.items()), *map("=".join, plain.items())])


def _tokens(text: str) -> list[str]:
    return [token.strip().lower() for token in text.split(",")]


def _quoted(text: str) -> str:
    """The inside of a quoted string (RFC 9110 §5.6.4)."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
