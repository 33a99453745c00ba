"""Who may publish and play over RTSP: Basic (RFC 7617) and Digest (RFC 7616) with the users and realms of users.lua.

Publishers have to log in whenever the table ``authentication.rtsp`` is in the configuration, players only with
``authenticatePlay``. The first realm of the file, in alphabetical order, is the one that counts; its method says how. Digest is
offered with SHA-256 and with MD5, which older clients know alone: those take the last offer that they understand.

Whoever has logged in on a connection stays logged in there, so a challenge is short-lived and belongs to its connection, and an
answer is good for nothing on another one.
"""

import re
import secrets
from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Callable
from contextlib import suppress
from hashlib import md5, sha256
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from twisted.internet.interfaces import IReactorTime

from ems.config import ConfigError, RtspAuthentication
from ems.security.attempts import Throttle
from ems.security.users import MAX_NAME, Realm, Users, UsersFile, same

PUBLISHING = frozenset(("ANNOUNCE", "RECORD"))
PLAYING = frozenset(("DESCRIBE", "PLAY"))

MAX_ANSWERS = 1000
"""Answers to one challenge; with ``nc`` each has a number, and each number counts once."""

_ALGORITHMS: dict[str, Callable[[bytes], Any]] = {"SHA-256": sha256, "MD5": md5}

_PARAMETER = re.compile(r'([A-Za-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


class Challenge(NamedTuple):
    """What a connection was asked; `expires` is in the clock's seconds."""

    nonce: str
    expires: float


class Login:
    """The state of one connection: its challenge, and the user that has logged in (None: nobody yet)."""

    __slots__ = ("_counts", "challenge", "user")

    def __init__(self) -> None:
        self.user: str | None = None
        self.challenge: Challenge | None = None
        self._counts: set[int] = set()

    def ask(self, challenge: Challenge) -> None:
        """There is a new challenge; answers to the one before are stale."""
        self.challenge = challenge
        self._counts.clear()

    def counts(self, number: int) -> bool:
        """True when an answer of this number has not been given to the present challenge."""
        if number in self._counts or len(self._counts) >= MAX_ANSWERS:
            return False
        self._counts.add(number)
        return True


class Verdict(NamedTuple):
    """What becomes of a request: let in when `challenges` (values of WWW-Authenticate) are empty and `barred` is not set.

    `barred` says why nothing is heard from this address for a while. The answer is to be given after `delay` seconds.
    """

    challenges: tuple[str, ...] = ()
    reason: str = ""
    delay: float = 0.0
    barred: bool = False


WELCOME = Verdict()


class RtspGate:
    """RTSP authentication. Without `settings` and `users` nobody is ever asked."""

    NONCE_LIFETIME = 60.0
    """Seconds: a client answers in one; a person who is asked for a password takes longer and is asked again by his program."""

    def __init__(self, clock: IReactorTime, settings: RtspAuthentication | None, users: UsersFile | None) -> None:
        self.throttle = Throttle(clock.seconds)
        self._clock = clock
        self._settings = settings
        self._users = users

    def asks(self, method: str) -> bool:
        """True when this method is for those who have logged in."""
        if self._settings is None or self._users is None:
            return False
        return method in PUBLISHING or (method in PLAYING and self._settings.authenticate_play)

    def judge(self, login: Login, method: str, uri: str, authorization: str, host: str) -> Verdict:
        """The verdict on a request of a connection from `host`, with the value of its Authorization header, empty without one."""
        if login.user is not None or not self.asks(method):
            return WELCOME
        assert self._users is not None
        try:
            users = self._users.current()
        except ConfigError:
            return Verdict(reason="users.lua cannot be read", barred=True)
        if not users.realms:
            return Verdict(reason="users.lua has no realm", barred=True)
        realm = users.realms[0]
        if not authorization:
            return self._ask(login, realm, "it has to log in")
        delay = self.throttle.charge(host)
        if delay is None:
            return Verdict(reason="too many attempts to log in", barred=True)
        verdict = self._verify(login, users, realm, method, uri, authorization)
        if verdict is WELCOME:
            self.throttle.succeeded(host)
        return verdict._replace(delay=delay)

    def _verify(self, login: Login, users: Users, realm: Realm, method: str, uri: str, authorization: str) -> Verdict:
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() != realm.method.lower():
            return self._ask(login, realm, "it logs in by another scheme")
        if realm.method == "Basic":
            user = _basic_user(users, realm, value)
            return self._admit(login, user) if user is not None else self._ask(login, realm, "wrong name or password")
        answer = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(value)}
        challenge = login.challenge
        if challenge is None or not same(answer.get("nonce", ""), challenge.nonce) or challenge.expires < self._clock.seconds():
            return self._ask(login, realm, "its nonce is not of now", stale=True)
        if "uri" not in answer or not _same_address(answer["uri"], uri):
            return self._ask(login, realm, "it answers for another address")
        if answer.get("qop") and not login.counts(_count(answer.get("nc", ""))):
            return self._ask(login, realm, "it has answered before", stale=True)
        user = answer.get("username", "")[:MAX_NAME]
        expected = _digest(users, realm, user, method, answer)
        if expected is None or not same(answer.get("response", "").lower(), expected):
            return self._ask(login, realm, "wrong name or password")
        return self._admit(login, user)

    def _admit(self, login: Login, user: str) -> Verdict:
        login.user = user
        login.challenge = None
        return WELCOME

    def _ask(self, login: Login, realm: Realm, reason: str, *, stale: bool = False) -> Verdict:
        if realm.method == "Basic":
            return Verdict((f'Basic realm="{realm.name}", charset="UTF-8"',), reason)
        nonce = secrets.token_hex(16)
        login.ask(Challenge(nonce, self._clock.seconds() + self.NONCE_LIFETIME))
        rest = ', stale="true"' if stale else ""
        offer = f'Digest realm="{realm.name}", nonce="{nonce}", qop="auth"'
        return Verdict(tuple(f'{offer}, algorithm="{name}"{rest}' for name in _ALGORITHMS), reason)


def _basic_user(users: Users, realm: Realm, value: str) -> str | None:
    """The user whose name and password these are (RFC 7617 §2)."""
    with suppress(NoBase64, ValueError):
        user, colon, password = b64decode(value.strip(), validate=True).decode().partition(":")
        if colon and user in realm.users and users.passwords[user].matches(password):
            return user
    return None


def _digest(users: Users, realm: Realm, user: str, method: str, answer: dict[str, str]) -> str | None:
    """The response that this user would give (RFC 7616 §3.4.1), without ``qop`` as RFC 2069 has it; None for nobody."""
    algorithm = _ALGORITHMS.get(answer.get("algorithm", "MD5").upper())
    clear = users.passwords[user].clear if user in realm.users else None
    if algorithm is None or clear is None or answer.get("realm") != realm.name or answer.get("qop", "auth") != "auth":
        return None

    def hashed(text: str) -> str:
        return str(algorithm(text.encode()).hexdigest())

    secret, asked = hashed(f"{user}:{realm.name}:{clear}"), hashed(f"{method}:{answer['uri']}")
    middle = f"{answer.get('nc', '')}:{answer.get('cnonce', '')}:auth:" if "qop" in answer else ""
    return hashed(f"{secret}:{answer['nonce']}:{middle}{asked}")


def _count(text: str) -> int:
    """``nc``: eight hexadecimal digits."""
    try:
        return int(text, 16) if len(text) == 8 else 0
    except ValueError:
        return 0


def _same_address(answered: str, asked: str) -> bool:
    """Whether both are of the same resource; clients differ in whether they give the whole URL or the path."""
    try:
        one, other = urlsplit(answered), urlsplit(asked)
    except ValueError:
        return False
    return (one.path.rstrip("/"), one.query) == (other.path.rstrip("/"), other.query)
