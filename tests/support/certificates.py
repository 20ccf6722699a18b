"""A private certificate authority, made for one test run."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_FROM = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_UNTIL = datetime.datetime(2045, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCertificate:
    """A leaf and its key, as PEM files. ``combined`` has both, as pip's client-cert wants them."""

    certificate: Path
    key: Path
    combined: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A certificate authority whose PEM is ``ca_file``."""

    folder: Path
    ca_file: Path
    name: x509.Name
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls, folder: Path) -> Self:
        """A new authority that keeps its files in ``folder``."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hardtack test authority")])
        certificate = (
            _builder(name, name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(sign_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        folder.mkdir(parents=True, exist_ok=True)
        ca_file = folder / "authority.pem"
        ca_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return cls(folder=folder, ca_file=ca_file, name=name, key=key)

    def leaf(self, *names: str) -> ServerCertificate:
        """A server's certificate for host names and addresses (by default localhost and 127.0.0.1)."""
        return self._issue(names or ("localhost", "127.0.0.1"), ExtendedKeyUsageOID.SERVER_AUTH)

    def client(self, name: str = "client") -> ServerCertificate:
        """A client's certificate."""
        return self._issue((name,), ExtendedKeyUsageOID.CLIENT_AUTH)

    def _issue(self, names: tuple[str, ...], usage: x509.ObjectIdentifier) -> ServerCertificate:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        certificate = (
            _builder(subject, self.name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
            .add_extension(_usage(sign_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        stem = names[0].replace("*", "any")
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        made = ServerCertificate(
            certificate=self.folder / f"{stem}.pem", key=self.folder / f"{stem}.key", combined=self.folder / f"{stem}.combined.pem"
        )
        made.certificate.write_bytes(pem)
        made.key.write_bytes(secret)
        made.combined.write_bytes(secret + pem)
        return made


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    return builder.serial_number(x509.random_serial_number()).not_valid_before(_FROM).not_valid_after(_UNTIL)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )
