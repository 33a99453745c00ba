"""The manhole: a Python prompt inside the running server, over SSH (RFC 4251 to 4254, by Twisted Conch).

It is for looking at live objects and for mending what no command reaches, and it is off unless the configuration gives it a
port. Whoever may log in may do whatever the server may do; so it listens on 127.0.0.1 unless told otherwise, knows no
default password, and refuses to start without a file that says who may come in:

`authorizedKeys`
    an OpenSSH ``authorized_keys`` file; its keys are good for any user name.
`passwordFile`
    lines of ``name:password``.

Both are read at each login, so a change counts at once. docs/manhole.md shows what to do there.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.application.service import Service
from twisted.conch.checkers import IAuthorizedKeysDB, SSHPublicKeyChecker, readAuthorizedKeyFile
from twisted.conch.insults.insults import ServerProtocol
from twisted.conch.manhole import ColoredManhole
from twisted.conch.manhole_ssh import ConchFactory, TerminalRealm, TerminalSession, TerminalSessionTransport
from twisted.conch.ssh.keys import Key
from twisted.cred.checkers import FilePasswordDB
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort, IReactorTCP
from twisted.logger import Logger
from zope.interface import implementer

from ems.config.errors import ConfigError

if TYPE_CHECKING:
    from ems.config.features import Manhole as ManholeConfig

DEFAULT_HOST_KEY = "config/manhole_host_key"
"""In the runtime directory: kept over restarts, or every client would warn of a stranger."""


class Manhole(Service):
    """Listens for SSH connections and gives each a prompt in `namespace`.

    `resolve` makes a path of the configuration absolute. `ConfigError` is raised at once when nobody could log in.
    """

    log = Logger()

    def __init__(
        self, reactor: IReactorTCP, config: "ManholeConfig", resolve: Callable[[str], Path], namespace: Mapping[str, object]
    ) -> None:
        self.setName("manhole")
        self._reactor = reactor
        self._config = config
        self._host_key = resolve(config.host_key or DEFAULT_HOST_KEY)
        self._portal = Portal(_realm(namespace), _checkers(config, resolve))
        self._listening: IListeningPort | None = None

    @property
    def address(self) -> tuple[str, int] | None:
        """The IP address and the port it listens on, None when it does not."""
        if self._listening is None:
            return None
        here: Any = self._listening.getHost()
        return here.host, here.port

    def startService(self) -> None:
        """Listen. Raises `ConfigError` for an unusable host key, CannotListenError for a taken port."""
        factory: Any = ConchFactory(self._portal)
        host_key = read_host_key(self._host_key)
        factory.publicKeys = {host_key.sshType(): host_key.public()}
        factory.privateKeys = {host_key.sshType(): host_key}
        self._listening = self._reactor.listenTCP(self._config.port, factory, interface=self._config.ip)
        super().startService()

    def stopService(self) -> "Deferred[None] | None":
        """Listen no longer. Open prompts stay until the process ends."""
        super().stopService()
        listening, self._listening = self._listening, None
        return listening.stopListening() if listening is not None else None


def read_host_key(path: Path) -> Key:
    """The server's private key in the file `path`: made there, for the owner's eyes only, when the file is missing.

    Raises `ConfigError` when the file cannot be read, made or understood.
    """
    try:
        if not path.exists():
            _write_private(path, Key(Ed25519PrivateKey.generate()).toString("openssh"))
        key: Key = Key.fromFile(str(path))
        return key
    except Exception as error:
        # Conch raises whatever its parsers do, from BadKeyError to struct.error; to the user they mean one thing.
        raise ConfigError(f"manhole.hostKey: {path}: {error}") from error


def _write_private(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _checkers(config: "ManholeConfig", resolve: Callable[[str], Path]) -> list[Any]:
    checkers: list[Any] = []
    for key, name in (("authorizedKeys", config.authorized_keys), ("passwordFile", config.password_file)):
        if name and not resolve(name).is_file():
            raise ConfigError(f"manhole.{key}: {resolve(name)}: no such file")
    if config.authorized_keys:
        checkers.append(SSHPublicKeyChecker(_KeysOfAnyUser(resolve(config.authorized_keys))))
    if config.password_file:
        checkers.append(FilePasswordDB(str(resolve(config.password_file))))
    if not checkers:
        raise ConfigError("manhole: nobody could log in: give it authorizedKeys or passwordFile")
    return checkers


@implementer(IAuthorizedKeysDB)
class _KeysOfAnyUser:
    """One ``authorized_keys`` file for every user name."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def getAuthorizedKeys(self, username: bytes) -> Iterator[Key]:
        with self._path.open("rb") as file:
            yield from readAuthorizedKeyFile(file)


class _Session(TerminalSession):
    """Conch's session, and the two requests of an ordinary client that it leaves out."""

    def windowChanged(self, newWindowSize: tuple[int, int, int, int]) -> None:
        self.height, self.width = newWindowSize[:2]

    def eofReceived(self) -> None:
        """The client's input has ended; the prompt ends with the channel."""


def _realm(namespace: Mapping[str, object]) -> Any:
    realm: Any = TerminalRealm(TerminalSessionTransport)
    realm.sessionFactory = _Session
    # Each login gets a namespace of its own: what one assigns does not surprise the other.
    realm.chainedProtocolFactory = lambda: ServerProtocol(ColoredManhole, dict(namespace))
    return realm
