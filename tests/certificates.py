"""Keys and certificates for tests: made on the spot, valid for an hour, for localhost and 127.0.0.1."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificate:
    """A certificate with its private key; `chain` are the certificates of those that signed it, nearest first."""

    certificate: x509.Certificate
    key: Any
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def pem(self) -> bytes:
        """The certificate alone."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def chain_pem(self) -> bytes:
        """The certificate and its chain, as a server's file has them."""
        return self.pem + b"".join(one.public_bytes(Encoding.PEM) for one in self.chain)

    def key_pem(self, password: bytes | None = None) -> bytes:
        """The private key."""
        protection = BestAvailableEncryption(password) if password else NoEncryption()
        pem: bytes = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)
        return pem

    def write(self, folder: Path, name: str = "server") -> tuple[Path, Path]:
        """Write the files ``name.key`` and ``name.cert`` and return their paths."""
        key, certificate = folder / f"{name}.key", folder / f"{name}.cert"
        key.write_bytes(self.key_pem())
        certificate.write_bytes(self.chain_pem)
        return key, certificate


def make_certificate(
    kind: str = "ecdsa", *, name: str = "localhost", signed_by: Certificate | None = None, authority: bool = False
) -> Certificate:
    """A certificate with a fresh key, ``ecdsa`` or ``rsa``; self-signed unless an authority signs it."""
    key: Any = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signed_by.certificate.subject if signed_by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    )
    certificate = builder.sign(signed_by.key if signed_by else key, hashes.SHA256())
    chain = (signed_by.certificate, *signed_by.chain) if signed_by else ()
    return Certificate(certificate, key, chain)
