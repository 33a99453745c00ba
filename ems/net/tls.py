"""TLS, both ends: the certificate of an acceptor, which may be renewed while it listens, and what a client asks of a server.

An acceptor with ``sslKey`` and ``sslCert`` speaks TLS 1.2 and later (RFC 5246, RFC 8446) with these files: a private key
(RSA, ECDSA or Ed25519) and the certificate with its chain, both PEM (RFC 7468). Certificates live for weeks, connections and
the server for months: so `ServerTls` looks at the files when somebody connects, and a new pair counts from then on. A pair
that cannot be used, as while only one of the two has been replaced, changes nothing.

These keys are the server's own. As a client it shows none, and whether it wants to know whom it talks to is `client_options`.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificates
from OpenSSL.crypto import X509, PKey
from OpenSSL.SSL import NO_OVERLAPPING_PROTOCOLS, Connection, Context, Error
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IProtocolNegotiationFactory,
    IReactorTime,
)
from twisted.internet.ssl import AcceptableCiphers, CertificateOptions, optionsForClientTLS
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from zope.interface import implementer

from ems.errors import CommandError
from ems.uri import is_literal_address

MAX_PEM_BYTES = 1 << 20
"""Of a key or certificate file: a chain has a few KiB, and a device or a log file named by mistake has no end."""


class CertificateError(CommandError):
    """A key or certificate file that is missing, unreadable, damaged, or does not belong to the other."""


class CertificateFiles(NamedTuple):
    """Where key and certificate chain are, and which ciphers go with them (an OpenSSL cipher list; empty: Twisted's choice)."""

    key: Path
    chain: Path
    cipher_suite: str = ""

    def stamp(self) -> tuple[tuple[int, int, int], ...]:
        """What changes when a file is written or replaced: time, size and inode of each; empty when one is not there."""
        try:
            found = [path.stat() for path in (self.key, self.chain)]
        except OSError:
            return ()
        return tuple((status.st_mtime_ns, status.st_size, status.st_ino) for status in found)

    def load(self) -> CertificateOptions:
        """Read both files. Raises `CertificateError`."""
        try:
            key = load_pem_private_key(_read(self.key), None)
            chain = [X509.from_cryptography(one) for one in load_pem_x509_certificates(_read(self.chain))]
            ciphers = AcceptableCiphers.fromOpenSSLCipherString(self.cipher_suite) if self.cipher_suite else None
            private_key = PKey.from_cryptography_key(key)  # type: ignore[arg-type]
            options = CertificateOptions(private_key, chain[0], extraCertChain=chain[1:], acceptableCiphers=ciphers)
            # The context is made when it is first asked for, and only then OpenSSL compares key and certificate.
            options.getContext().set_alpn_select_callback(_select_protocol)
        except Error as error:
            raise CertificateError(f"{self.key} is not the key of {self.chain}") from error
        except OSError as error:
            raise CertificateError(f"{error.filename}: {error.strerror}") from error
        except (ValueError, TypeError) as error:
            raise CertificateError(f"cannot use {self.key} with {self.chain}: {error}") from error
        return options


InThread = Callable[[Callable[[], CertificateOptions | None]], "Deferred[CertificateOptions | None]"]
"""Does something slow without blocking the reactor."""


@implementer(IOpenSSLServerConnectionCreator)
class ServerTls:
    """The TLS of one acceptor. Raises `CertificateError` when its files cannot be used at first."""

    LOOK_SECONDS = 1.0
    """Between two looks at the files, however many connect."""

    log = Logger()

    def __init__(self, files: CertificateFiles, reactor: Any, in_thread: InThread | None = None) -> None:
        self._files = files
        self._clock: IReactorTime = reactor
        self._in_thread = in_thread or partial(_in_thread, reactor)
        self._stamp = files.stamp()
        self._options = files.load()
        self._looked = self._clock.seconds()
        self._looking = False

    def serverConnectionForTLS(self, protocol: Any) -> Connection:
        """The TLS state of a new connection (`IOpenSSLServerConnectionCreator`), with the newest pair that could be used."""
        now = self._clock.seconds()
        if not self._looking and now - self._looked >= self.LOOK_SECONDS:
            self._looked = now
            Deferred.fromCoroutine(self._look())
        connection: Connection = self._options.serverConnectionForTLS(protocol)
        return connection

    async def _look(self) -> None:
        self._looking = True
        try:
            renewed = await self._in_thread(self._load_if_new)
        except CertificateError as error:
            self.log.error("the certificate in use stays: {error}", error=error)
        except Exception:
            self.log.failure("looking for a renewed certificate")
        else:
            if renewed is not None:
                self._options = renewed
                self.log.info("the certificate {chain} is renewed", chain=str(self._files.chain))
        finally:
            self._looking = False

    def _load_if_new(self) -> CertificateOptions | None:
        """In a thread; the stamp is kept also when loading fails, so that a broken pair is told of once."""
        stamp = self._files.stamp()
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        return self._files.load()


def client_options(host: str, *, verify: bool) -> IOpenSSLClientConnectionCreator:
    """TLS towards a server of this name (RFC 6066 §3: it is told the name, unless that is an address).

    With `verify` its certificate must be for that name or address and come from an authority that the system trusts.
    """
    options: IOpenSSLClientConnectionCreator = optionsForClientTLS(host) if verify else _AnyServer(host)
    return options


@implementer(IOpenSSLClientConnectionCreator)
class _AnyServer:
    """A client that takes whatever certificate it is shown."""

    def __init__(self, host: str) -> None:
        self._name = b"" if is_literal_address(host) else host.encode("idna")
        self._context: Context = CertificateOptions().getContext()

    def clientConnectionForTLS(self, protocol: Any) -> Connection:
        connection = Connection(self._context, None)
        if self._name:
            connection.set_tlsext_host_name(self._name)
        return connection


def _select_protocol(connection: Connection, offered: list[bytes]) -> Any:
    """The protocol to speak inside TLS (ALPN, RFC 7301): of the offered ones the first that the acceptor knows.

    Nearly no acceptor names any. Then nothing is agreed upon, which every client takes; Twisted's own way fails the handshake.
    """
    factory = connection.get_app_data().factory.wrappedFactory
    known = factory.acceptableProtocols() if IProtocolNegotiationFactory.providedBy(factory) else ()
    return next((protocol for protocol in known if protocol in offered), NO_OVERLAPPING_PROTOCOLS)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_PEM_BYTES + 1)
    if len(content) > MAX_PEM_BYTES:
        raise ValueError(f"{path} has more than {MAX_PEM_BYTES} bytes")
    return content


def _in_thread(reactor: Any, function: Callable[[], CertificateOptions | None]) -> "Deferred[CertificateOptions | None]":
    result: Deferred[CertificateOptions | None] = deferToThreadPool(reactor, reactor.getThreadPool(), function)
    return result
