"""TLS modes of a connection as Python SSL contexts."""

from __future__ import annotations

import os
import shutil
import ssl
import tempfile
from pathlib import Path

from engine.config import Tls, TlsMode


def context(tls: Tls) -> ssl.SSLContext | None:
    """The client context of a mode, None for `disable`. Raises ssl.SSLError for PEM text that is none.

    `prefer` and `require` encrypt without looking at the certificate; `verify-ca` checks the chain,
    `verify-full` also that the certificate names the host (a DNS name or an address).
    """
    if tls.mode is TlsMode.DISABLE:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.check_hostname = tls.mode is TlsMode.VERIFY_FULL
    if tls.mode in (TlsMode.VERIFY_CA, TlsMode.VERIFY_FULL):
        made.verify_mode = ssl.CERT_REQUIRED
        # Authorities made by mysql_ssl_rsa_setup lack extensions that newer Pythons insist on.
        made.verify_flags &= ~ssl.VERIFY_X509_STRICT
        made.load_verify_locations(cadata=tls.ca)
    else:
        made.verify_mode = ssl.CERT_NONE
    if tls.client_cert is not None and tls.client_key is not None:
        _load_client(made, tls.client_cert, tls.client_key.get_secret_value())
    return made


def _load_client(made: ssl.SSLContext, certificate: str, key: str) -> None:
    """OpenSSL reads a client's pair from files only: private ones, gone before anything is sent."""
    folder = Path(tempfile.mkdtemp(prefix="dbstreams-tls-"))
    try:
        for name, pem in (("client.crt", certificate), ("client.key", key)):
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(pem)
        # An encrypted key must not make OpenSSL ask on the terminal.
        made.load_cert_chain(folder / "client.crt", folder / "client.key", password=lambda: b"")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
