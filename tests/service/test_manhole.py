"""The manhole: a Python prompt inside the running server for those who may log in, and for nobody else."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.conch.error import ConchError
from twisted.conch.ssh.channel import SSHChannel
from twisted.conch.ssh.connection import SSHConnection
from twisted.conch.ssh.keys import Key
from twisted.conch.ssh.session import packRequest_pty_req
from twisted.conch.ssh.transport import SSHClientTransport
from twisted.conch.ssh.userauth import SSHUserAuthClient
from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol

from ems.config import ConfigError
from ems.config.features import Manhole as ManholeConfig
from ems.manhole import Manhole, read_host_key

STREAMS = {"one": object(), "two": object()}


class Shell(SSHChannel):
    """Opens a terminal, types one line, and waits for a text to appear."""

    name = b"session"

    def __init__(self, line: bytes, expected: bytes) -> None:
        super().__init__()
        self.line = line
        self.expected = expected
        self.received = b""
        self.seen: Deferred[None] = Deferred()

    def channelOpen(self, specificData: bytes) -> None:
        terminal = packRequest_pty_req(b"xterm", (24, 80, 0, 0), b"")
        self.conn.sendRequest(self, b"pty-req", terminal)
        self.conn.sendRequest(self, b"shell", b"")
        self.conn.sendRequest(self, b"window-change", terminal[9:25])
        self.write(self.line + b"\r")

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        if self.expected in self.received and not self.seen.called:
            self.seen.callback(None)


class Login(SSHUserAuthClient):
    """Logs in by a password or by a key."""

    def __init__(self, connection: SSHConnection, password: str | None, key: Key | None) -> None:
        super().__init__(b"operator", connection)
        self._password = password
        self._key = key

    def getPassword(self, prompt: bytes | None = None) -> Any:
        password, self._password = self._password, None
        return succeed(password.encode()) if password is not None else None

    def getPublicKey(self) -> Any:
        key, self._offered = self._key, self._key
        self._key = None
        return key.public() if key is not None else None

    def getPrivateKey(self) -> Any:
        return succeed(self._offered)


class Conversation(SSHConnection):
    """Opens the shell as soon as the login has succeeded."""

    def __init__(self, shell: Shell) -> None:
        super().__init__()
        self.shell = shell

    def serviceStarted(self) -> None:
        super().serviceStarted()
        self.openChannel(self.shell)


class Client(SSHClientTransport):
    """One SSH connection."""

    def __init__(self, shell: Shell, password: str | None, key: Key | None) -> None:
        self.shell = shell
        self.password = password
        self.key = key

    def verifyHostKey(self, hostKey: bytes, fingerprint: bytes) -> Deferred[bool]:
        return succeed(True)

    def connectionSecure(self) -> None:
        self.requestService(Login(Conversation(self.shell), self.password, self.key))

    def connectionLost(self, reason: Any) -> None:
        super().connectionLost(reason)
        if not self.shell.seen.called:
            self.shell.seen.errback(ConchError("not let in"))


async def typed(manhole: Manhole, line: str, expected: str, password: str | None = None, key: Key | None = None) -> None:
    """Log in, type a line, and return as soon as `expected` is on the screen. ConchError for a refused login."""
    assert manhole.address is not None
    shell = Shell(line.encode(), expected.encode())
    client = await connectProtocol(TCP4ClientEndpoint(reactor, *manhole.address), Client(shell, password, key))
    try:
        await shell.seen.addTimeout(10, reactor)
    finally:
        client.transport.abortConnection()


@pytest.fixture
def login_key() -> Key:
    """A key pair of an operator."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Key(Ed25519PrivateKey.generate())


@pytest.fixture
def manhole(tmp_path: Path, login_key: Key) -> Iterator[Manhole]:
    """A manhole with one key and one password."""
    (tmp_path / "keys").write_bytes(login_key.public().toString("openssh") + b"\n")
    (tmp_path / "passwords").write_text("operator:secret\n")
    config = ManholeConfig(authorized_keys="keys", password_file="passwords")
    service = Manhole(reactor, config, lambda path: tmp_path / path, {"streams": STREAMS})
    service.startService()
    yield service
    pytest_twisted.blockon(service.stopService())


@pytest_twisted.ensureDeferred
async def test_operator_looks_at_the_streams(manhole: Manhole) -> None:
    """Who logs in with a password can evaluate Python in the running server."""
    await typed(manhole, "'there are %d' % len(streams)", "there are 2", password="secret")


@pytest_twisted.ensureDeferred
async def test_operator_logs_in_by_key(manhole: Manhole, login_key: Key) -> None:
    """A key in the authorized_keys file opens the manhole."""
    await typed(manhole, "'there are %d' % len(streams)", "there are 2", key=login_key)


@pytest_twisted.ensureDeferred
async def test_mistake_at_the_prompt_is_shown_there(manhole: Manhole) -> None:
    """An exception at the prompt is the operator's to see, and the server goes on."""
    await typed(manhole, "streams['three']", "KeyError", password="secret")
    await typed(manhole, "'%d' % 4711", "4711", password="secret")


@pytest_twisted.ensureDeferred
async def test_strangers_are_refused(manhole: Manhole) -> None:
    """A wrong password opens nothing."""
    with pytest.raises(ConchError):
        await typed(manhole, "1", "1", password="guess")


def test_manhole_listens_on_loopback_only(manhole: Manhole) -> None:
    """Unless told otherwise, nobody reaches the manhole over the network."""
    assert manhole.address is not None
    assert manhole.address[0] == "127.0.0.1"


def test_host_key_is_private_and_stays(tmp_path: Path) -> None:
    """The host key is made once, readable for its owner only, so that clients recognise the server after a restart."""
    path = tmp_path / "config" / "manhole_host_key"
    first = read_host_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_host_key(path).fingerprint() == first.fingerprint()


def test_broken_host_key_is_told(tmp_path: Path) -> None:
    """A host key that is none stops the start with its path, instead of being replaced silently."""
    path = tmp_path / "key"
    path.write_text("-----BEGIN nonsense")
    with pytest.raises(ConfigError, match="hostKey"):
        read_host_key(path)


@pytest.mark.parametrize(
    ("config", "told"),
    [(ManholeConfig(), "nobody could log in"), (ManholeConfig(authorized_keys="missing"), "authorizedKeys")],
)
def test_manhole_without_a_lock_is_refused(tmp_path: Path, config: ManholeConfig, told: str) -> None:
    """A manhole that nobody could log in to, or whose key file is missing, stops the start with the reason."""
    with pytest.raises(ConfigError, match=told):
        Manhole(reactor, config, lambda path: tmp_path / path, {})
