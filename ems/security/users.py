"""users.lua: who may log in, by what password.

The file is a Lua program like the configuration::

    users = {
        alice = "s3cret",
        bob = "adobe:Kx3…:5WZ…==",     -- ems --hash-password bob
    }
    realms = {
        { name = "cameras", method = "Digest", users = { "alice" } },
    }

A password stands there as it is, or hashed for the Adobe scheme (`ems.security.adobe`) as ``adobe:<salt>:<base64 of an MD5>``.
`realms` belong to RTSP. The file is read again whenever it has changed. A broken one lets nobody in: going on with the users of
before would let in who has just been taken out.
"""

import os
import re
import secrets
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from pathlib import Path

from twisted.logger import Logger

from ems.config import ConfigError
from ems.config.lua import Value, load_globals
from ems.security import adobe

MAX_NAME = 128
"""Characters of a user's name."""

_HASHED = re.compile(r"adobe:(?P<salt>[^:&=?\s]{1,64}):(?P<hash>[A-Za-z0-9+/]{22}==)", re.ASCII)

_LUA_NAME = re.compile(
    r"(?!(and|break|do|else|elseif|end|false|for|function|goto|if|in|local|nil|not|or|repeat|return|then|true|until|while)$)"
    r"[A-Za-z_][A-Za-z0-9_]*",
    re.ASCII,
)
"""What needs no quotation marks as a key of a Lua table (Lua 5.4 §3.1)."""

_SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Password:
    """One user's password: `clear`, or only the `salt` and the `salted` hash of it. Never shown."""

    user: str
    clear: str | None = field(default=None, repr=False)
    salt: str = field(default="", repr=False)
    salted: str = field(default="", repr=False)

    def salted_with(self, salt: str) -> str:
        """The Adobe scheme's hash; a hashed password has a salt of its own, which the caller has used."""
        return self.salted if self.clear is None else adobe.salted_hash(self.user, salt, self.clear)

    def matches(self, password: str) -> bool:
        """Whether this is the password, in a time that does not tell where it differs."""
        if self.clear is not None:
            return same(password, self.clear)
        return same(adobe.salted_hash(self.user, self.salt, password), self.salted)


@dataclass(frozen=True, slots=True)
class Realm:
    """A protection space of RTSP (RFC 7235 §2.2): its name, ``Basic`` or ``Digest``, and who may enter."""

    name: str
    method: str
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Users:
    """What users.lua says; `realms` are in alphabetical order, and RTSP uses the first."""

    passwords: Mapping[str, Password]
    realms: tuple[Realm, ...] = ()


class UsersFile:
    """A users.lua that is read again when its time or size changes."""

    log = Logger()

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, ...] | None = None
        self._found: Users | ConfigError = ConfigError(f"{path.name}: not read yet")

    def current(self) -> Users:
        """The users of now. Raises `ConfigError`, whose text quotes nothing of the file, while the file cannot be used.

        It reads on the spot, so that a user who was taken out is out; a thousand users take 20 ms.
        """
        stamp = self._stamp_of_file()
        if stamp != self._stamp:
            self._stamp = stamp
            self._found = self._read()
        if isinstance(self._found, ConfigError):
            raise self._found
        return self._found

    def _stamp_of_file(self) -> tuple[int, ...]:
        try:
            status = os.stat(self.path)
        except OSError as error:
            return (error.errno or 0,)
        return (status.st_mtime_ns, status.st_size, status.st_ino)

    def _read(self) -> Users | ConfigError:
        try:
            found = read_users(self.path)
        except ConfigError as error:
            self.log.error("nobody can log in: {problem}", problem=str(error))
            return error
        self.log.info("{file}: {count} users", file=str(self.path), count=len(found.passwords))
        return found


def read_users(path: Path) -> Users:
    """Read a users.lua. Raises `ConfigError` with all that is wrong, and without a word that could be a password."""
    try:
        values = load_globals(path, "users", "realms")
    except ConfigError as error:
        raise ConfigError(_unquoted(problem) for problem in error.problems) from None
    problems: list[str] = []
    passwords = _read_passwords(values.get("users"), problems)
    realms = _read_realms(values.get("realms"), passwords, problems)
    if problems:
        raise ConfigError(f"{path.name}: {problem}" for problem in problems)
    return Users(passwords, realms)


def hashed_password(user: str, password: str) -> str:
    """The text that stands for a password in users.lua, made with a fresh salt."""
    salt = secrets.token_urlsafe(_SALT_BYTES)
    return f"adobe:{salt}:{adobe.salted_hash(user, salt, password)}"


def users_line(user: str, password: str) -> str:
    """The line for the table ``users`` of users.lua. Raises `ValueError` for a name that nobody can log in with."""
    if not _is_user_name(user):
        raise ValueError(f"a user's name has 1–{MAX_NAME} characters, none of them a control character")
    quoted = user.replace("\\", "\\\\").replace('"', '\\"')
    key = user if _LUA_NAME.fullmatch(user) else f'["{quoted}"]'
    return f'{key} = "{hashed_password(user, password)}",'


def same(one: str, other: str) -> bool:
    """Compare secrets in a time that does not tell where they differ."""
    return compare_digest(one.encode(errors="surrogatepass"), other.encode(errors="surrogatepass"))


def _unquoted(problem: str) -> str:
    """A message of Lua up to what it quotes of the program: ``users.lua:3: unfinished string``."""
    return re.split(r"['\"]", problem, maxsplit=1)[0].removesuffix(" near ").strip()


def _is_user_name(name: str) -> bool:
    return 0 < len(name) <= MAX_NAME and name.isprintable()


def _read_passwords(value: Value, problems: list[str]) -> dict[str, Password]:
    if value is None or not isinstance(value, dict):
        problems.append("users: expected a table of names and passwords")
        return {}
    passwords = {}
    for name, text in value.items():
        if not _is_user_name(name):
            problems.append(f"users: {name[:40]!r} cannot be a user's name")
        elif not isinstance(text, str) or not text:
            problems.append(f"users.{name}: expected a password")
        else:
            password = _read_password(name, text)
            if password is None:
                problems.append(f"users.{name}: a password that begins with adobe: has the form adobe:<salt>:<base64 of an MD5>")
            else:
                passwords[name] = password
    return passwords


def _read_password(user: str, text: str) -> Password | None:
    if not text.startswith("adobe:"):
        return Password(user, clear=text)
    found = _HASHED.fullmatch(text)
    if found is None or len(b64decode(found["hash"])) != 16:
        return None
    return Password(user, salt=found["salt"], salted=found["hash"])


def _read_realms(value: Value, passwords: Mapping[str, Password], problems: list[str]) -> tuple[Realm, ...]:
    if value is None or value == {}:
        return ()
    if not isinstance(value, list):
        problems.append("realms: expected a list of tables")
        return ()
    realms: dict[str, Realm] = {}
    for index, item in enumerate(value, 1):
        realm = _read_realm(item, f"realms[{index}]", passwords, problems)
        if realm is None:
            continue
        if realm.name in realms:
            problems.append(f"realms[{index}]: there is another realm {realm.name!r}")
        realms[realm.name] = realm
    return tuple(realms[name] for name in sorted(realms))


def _read_realm(value: Value, place: str, passwords: Mapping[str, Password], problems: list[str]) -> Realm | None:
    table = value if isinstance(value, dict) else {}
    name, method, users = table.get("name"), table.get("method"), table.get("users")
    if not isinstance(name, str) or not name or not name.isprintable() or '"' in name:
        problems.append(f"{place}.name: expected a text without quotation marks")
    elif method not in ("Basic", "Digest"):
        problems.append(f'{place}.method: expected "Basic" or "Digest"')
    elif not isinstance(users, list) or not all(isinstance(user, str) for user in users):
        problems.append(f"{place}.users: expected a list of users' names")
    else:
        realm = Realm(name, str(method), tuple(str(user) for user in users))
        mistakes = _wrong_members(realm, passwords)
        problems += [f"{place}.users: {mistake}" for mistake in mistakes]
        return None if mistakes else realm
    return None


def _wrong_members(realm: Realm, passwords: Mapping[str, Password]) -> list[str]:
    mistakes = [f"{user[:40]!r} is not in users" for user in realm.users if user not in passwords]
    if realm.method == "Digest":
        hashed = [user for user in realm.users if user in passwords and passwords[user].clear is None]
        mistakes += [f"{user!r} has a hashed password, which Digest cannot be computed from" for user in hashed]
    return mistakes
