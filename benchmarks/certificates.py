"""A private certificate authority for TLS tests."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True, slots=True)
class Certificates:
    """Paths of PEM files: the authority, a server pair for localhost and 127.0.0.1, a client pair, a second
    server pair whose name matches no address here, and an authority that signed none of them."""

    ca: Path
    server_cert: Path
    server_key: Path
    client_cert: Path
    client_key: Path
    misnamed_cert: Path
    misnamed_key: Path
    foreign_ca: Path

    @property
    def server(self) -> tuple[Path, Path, Path]:
        """The `tls` argument of a private server."""
        return self.ca, self.server_cert, self.server_key

    @property
    def misnamed(self) -> tuple[Path, Path, Path]:
        """The same with the certificate of another host: verify-ca accepts it, verify-full does not."""
        return self.ca, self.misnamed_cert, self.misnamed_key


@dataclass(frozen=True, slots=True)
class _Authority:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def make_certificates(folder: Path, client_name: str = "dbs") -> Certificates:
    """Write a fresh authority and what it signs to `folder`; `client_name` is the client's common name."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = _authority("dbstreams test authority")
    foreign = _authority("another authority")
    local = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")),
        x509.IPAddress(ipaddress.IPv6Address("::1")),
    ]
    server = _signed(authority, "localhost", ExtendedKeyUsageOID.SERVER_AUTH, local)
    other = _signed(authority, "db.invalid", ExtendedKeyUsageOID.SERVER_AUTH, [x509.DNSName("db.invalid")])
    client = _signed(authority, client_name, ExtendedKeyUsageOID.CLIENT_AUTH, [])

    def write(name: str, content: bytes) -> Path:
        path = folder / name
        path.touch(mode=0o600)
        path.write_bytes(content)
        return path

    return Certificates(
        ca=write("ca.pem", _pem(authority.certificate)),
        server_cert=write("server.pem", _pem(server[1])),
        server_key=write("server.key", _key_pem(server[0])),
        client_cert=write("client.pem", _pem(client[1])),
        client_key=write("client.key", _key_pem(client[0])),
        misnamed_cert=write("misnamed.pem", _pem(other[1])),
        misnamed_key=write("misnamed.key", _key_pem(other[0])),
        foreign_ca=write("foreign-ca.pem", _pem(foreign.certificate)),
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _authority(name: str) -> _Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _Authority(key, certificate)


def _signed(
    authority: _Authority, name: str, purpose: x509.ObjectIdentifier, alternatives: list[x509.GeneralName]
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate.subject.rfc4514_string().removeprefix("CN=")
    builder = (
        _builder(name, issuer, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False
        )
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return key, builder.sign(authority.key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
