"""The certificate of an acceptor: what can be used, what is said of what cannot, and how it is renewed."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from OpenSSL.SSL import (
    TLS1_1_VERSION,
    TLS1_2_VERSION,
    TLS1_3_VERSION,
    TLS1_VERSION,
    TLS_METHOD,
    Connection,
    Context,
    Error,
    WantReadError,
)
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent

from ems.net.tls import CertificateError, CertificateFiles, ServerTls, client_options
from tests.certificates import Certificate, make_certificate

PLAIN = SimpleNamespace(factory=SimpleNamespace(wrappedFactory=None))
"""As much of a connection as its TLS asks about: it negotiates no further protocols."""


class Thread:
    """Stands for a thread: does the work when it is told to."""

    def __init__(self) -> None:
        self.started = 0
        self._todo: list[Callable[[], None]] = []

    def __call__(self, function: Callable[[], Any]) -> "Deferred[Any]":
        self.started += 1
        done: Deferred[Any] = Deferred()
        self._todo.append(lambda: maybeDeferred(function).chainDeferred(done) and None)
        return done

    def finish(self) -> None:
        """Do what was asked for."""
        todo, self._todo = self._todo, []
        for one in todo:
            one()


class Renewable:
    """A `ServerTls` on files that a test replaces, with a clock and a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.thread = Thread()
        self._folder = folder
        self._age = 0
        self.first = make_certificate()
        self.files = CertificateFiles(*self.first.write(folder))
        self.tls = ServerTls(self.files, self.clock, self.thread)

    def replace(self, certificate: Certificate) -> None:
        """Write other files; their times differ for certain, however coarse the clock of the file system is."""
        self._age += 1
        for path in certificate.write(self._folder):
            os.utime(path, (self._age, self._age))

    def shown(self) -> bytes:
        """The certificate that a new connection shows, once the thread has done its work and another second has passed."""
        self.clock.advance(1)
        self._connect()
        self.thread.finish()
        return self._connect()

    def _connect(self) -> bytes:
        own = self.tls.serverConnectionForTLS(PLAIN).get_certificate()
        assert own is not None
        return bytes(Certificate(own.to_cryptography(), None).pem)


@pytest.fixture
def renewable(tmp_path: Path) -> Renewable:
    """An acceptor's TLS on fresh files."""
    return Renewable(tmp_path)


def errors(events: list[LogEvent]) -> list[str]:
    """The errors of the log, in words."""
    return [str(event["error"]) for event in events if event["log_level"].name == "error"]


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_either_kind_of_key_will_do(tmp_path: Path, kind: str) -> None:
    """RSA and ECDSA keys in PKCS #8 are loaded with their certificates."""
    CertificateFiles(*make_certificate(kind).write(tmp_path)).load()


def test_one_file_may_hold_both(tmp_path: Path) -> None:
    """Key and certificate may be parts of one file, named twice."""
    certificate = make_certificate()
    path = tmp_path / "both.pem"
    path.write_bytes(certificate.key_pem() + certificate.chain_pem)
    CertificateFiles(path, path).load()


@pytest.mark.parametrize(
    "broken",
    [b"", b"not PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", bytes(2 << 20)],
    ids=["empty", "text", "not DER", "large"],
)
@pytest.mark.parametrize("which", ["server.key", "server.cert"])
def test_a_broken_file_is_named(tmp_path: Path, broken: bytes, which: str) -> None:
    """What is wrong with a key or certificate is told in one line that names the file."""
    files = CertificateFiles(*make_certificate().write(tmp_path))
    (tmp_path / which).write_bytes(broken)
    with pytest.raises(CertificateError, match=which):
        files.load()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that is not there is named, too."""
    with pytest.raises(CertificateError, match=r"nowhere\.key: No such file"):
        CertificateFiles(tmp_path / "nowhere.key", tmp_path / "nowhere.cert").load()


def test_a_key_with_a_password_is_refused_without_asking(tmp_path: Path) -> None:
    """A server has nobody to ask for a password."""
    certificate = make_certificate()
    key, chain = certificate.write(tmp_path)
    key.write_bytes(certificate.key_pem(b"secret"))
    with pytest.raises(CertificateError, match="encrypted"):
        CertificateFiles(key, chain).load()


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    """A key that does not belong to the certificate is found at once, not by the first client."""
    key, _ = make_certificate().write(tmp_path, "one")
    _, chain = make_certificate().write(tmp_path, "other")
    with pytest.raises(CertificateError, match=r"one\.key is not the key of .*other\.cert"):
        CertificateFiles(key, chain).load()


def test_ciphers_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    """A cipher list that leaves nothing is a mistake."""
    with pytest.raises(CertificateError, match="cipher"):
        CertificateFiles(*make_certificate().write(tmp_path), "NOSUCHCIPHER").load()


def test_a_renewed_certificate_counts_without_a_restart(renewable: Renewable) -> None:
    """New files are shown to those who connect afterwards."""
    assert renewable.shown() == renewable.first.pem
    second = make_certificate("rsa")
    renewable.replace(second)
    assert renewable.shown() == second.pem


def test_a_broken_renewal_changes_nothing_and_is_told_once(renewable: Renewable, log_events: list[LogEvent]) -> None:
    """While only one file is new, or one is missing, the old pair stays; the log says so once, and the whole new pair counts."""
    second = make_certificate()
    renewable.replace(second)
    renewable.files.key.write_bytes(renewable.first.key_pem())
    for _ in range(5):
        assert renewable.shown() == renewable.first.pem
    assert len(errors(log_events)) == 1
    assert "is not the key of" in errors(log_events)[0]
    renewable.files.key.unlink()
    for _ in range(5):
        assert renewable.shown() == renewable.first.pem
    assert len(errors(log_events)) == 2
    renewable.replace(second)
    assert renewable.shown() == second.pem
    assert len(errors(log_events)) == 2


def test_the_files_are_looked_at_once_a_second(renewable: Renewable) -> None:
    """A storm of connections asks the disk once a second, never on the reactor's time, and never twice at once."""
    for _ in range(1000):
        renewable.tls.serverConnectionForTLS(PLAIN)
        renewable.clock.advance(0.01)
    assert renewable.thread.started == 1
    renewable.thread.finish()
    for _ in range(350):
        renewable.tls.serverConnectionForTLS(PLAIN)
        renewable.thread.finish()
        renewable.clock.advance(0.01)
    assert renewable.thread.started in (4, 5)


def shake_hands(server: Connection, client: Connection) -> None:
    """Do the TLS handshake of both in memory. Raises what either of them does."""
    server.set_accept_state()
    client.set_connect_state()
    for _ in range(4):
        for here, there in ((client, server), (server, client)):
            with suppress(WantReadError):
                here.do_handshake()
            with suppress(WantReadError):
                there.bio_write(here.bio_read(1 << 16))


def server_end(folder: Path, certificate: Certificate, cipher_suite: str = "") -> Connection:
    """The server's end of a new connection."""
    files = CertificateFiles(*certificate.write(folder), cipher_suite)
    return ServerTls(files, Clock(), Thread()).serverConnectionForTLS(PLAIN)


def client_end(version: int = 0) -> Connection:
    """A client's end that takes any certificate, and if told so speaks this version of TLS only."""
    context = Context(TLS_METHOD)
    context.set_cipher_list(b"DEFAULT@SECLEVEL=0")
    context.set_max_proto_version(version)
    return Connection(context, None)


def test_the_whole_chain_is_shown(tmp_path: Path) -> None:
    """A client gets the certificate and those that lead to its authority, in the order of the file."""
    root = make_certificate(name="root", authority=True)
    middle = make_certificate(name="middle", authority=True, signed_by=root)
    own = make_certificate(signed_by=middle)
    client = client_end()
    shake_hands(server_end(tmp_path, own), client)
    shown = client.get_peer_cert_chain(as_cryptography=True)
    assert shown == [own.certificate, middle.certificate, root.certificate]


@pytest.mark.parametrize("version", [TLS1_2_VERSION, TLS1_3_VERSION])
def test_current_versions_of_tls_are_spoken(tmp_path: Path, version: int) -> None:
    """TLS 1.2 and 1.3 work."""
    client = client_end(version)
    shake_hands(server_end(tmp_path, make_certificate()), client)
    assert client.get_protocol_version() == version


@pytest.mark.parametrize("version", [TLS1_VERSION, TLS1_1_VERSION])
def test_old_versions_of_tls_are_refused(tmp_path: Path, version: int) -> None:
    """TLS 1.0 and 1.1 (RFC 8996) are not spoken."""
    with pytest.raises(Error, match="unsupported protocol"):
        shake_hands(server_end(tmp_path, make_certificate()), client_end(version))


def test_the_cipher_suite_of_the_configuration_counts(tmp_path: Path) -> None:
    """With ``cipherSuite`` only what it names is used for TLS 1.2."""
    cipher = "ECDHE-ECDSA-AES256-GCM-SHA384"
    client = client_end(TLS1_2_VERSION)
    shake_hands(server_end(tmp_path, make_certificate(), cipher), client)
    assert client.get_cipher_name() == cipher


def outgoing(host: str, *, verify: bool) -> Connection:
    """Our own client's end."""
    wrapped = SimpleNamespace(factory=SimpleNamespace(wrappedFactory=None), failVerification=lambda reason: None)
    return client_options(host, verify=verify).clientConnectionForTLS(wrapped)


@pytest.mark.parametrize(("host", "told"), [("localhost", b"localhost"), ("127.0.0.1", None), ("::1", None)])
def test_a_server_is_told_its_name(tmp_path: Path, host: str, told: bytes | None) -> None:
    """As a client the server says which name it wants, so that servers of many names show the right certificate."""
    server = server_end(tmp_path, make_certificate())
    shake_hands(server, outgoing(host, verify=False))
    assert server.get_servername() == told


def test_verification_wants_an_authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With verification a certificate counts that a trusted authority has signed, and a self-signed one does not."""
    authority = make_certificate(name="authority", authority=True)
    _, trusted = authority.write(tmp_path, "authority")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    shake_hands(server_end(tmp_path, make_certificate(signed_by=authority)), outgoing("localhost", verify=True))
    with pytest.raises(Error, match="certificate verify failed"):
        shake_hands(server_end(tmp_path, make_certificate()), outgoing("localhost", verify=True))


@pytest.mark.parametrize("host", ["elsewhere.example", "127.0.0.2"])
def test_verification_wants_the_right_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """With verification the certificate of another server does not do, whoever has signed it."""
    authority = make_certificate(name="authority", authority=True)
    _, trusted = authority.write(tmp_path, "authority")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with pytest.raises(Error, match="certificate verify failed"):
        shake_hands(server_end(tmp_path, make_certificate(signed_by=authority)), outgoing(host, verify=True))
