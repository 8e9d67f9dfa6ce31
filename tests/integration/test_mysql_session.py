"""Sessions on MySQL and MariaDB: TLS modes, failures told apart, what a session pins.

slugs: mysql-tls-modes, mysql-tls-plain-password, mysql-failures, mysql-pinned, mysql-identity
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint
from benchmarks.servers import Certificates, MariaDB
from engine.config import Connection
from engine.connectors.mysql import session
from engine.errors import Code, EngineError

pytestmark = pytest.mark.integration


def connection(server: Any, ssl: dict[str, Any] | None = None, **changes: Any) -> Connection:
    flat = {
        "host": server.host,
        "port": server.port,
        "username": server.user,
        "password": server.password,
        **changes,
    }
    return Connection.parse({"name": "source", "type": "mysql", "ssl": ssl or {}, **flat})


def reason(wanted: Connection, database: str | None = None) -> str:
    """Why it cannot be opened; neither the message nor the details hold the password."""
    with pytest.raises(EngineError) as refused:
        session.connect(wanted, database).close()
    error = refused.value
    assert error.code is Code.CONNECTION_FAILED
    secret = wanted.database.password.get_secret_value()
    assert secret not in str(error.as_dict()), error.message
    return str(error.details["reason"])


# ---------------------------------------------------------------- TLS

# mode, authority given, what comes of it on a server whose certificate the test authority signed
MODES = [
    ("disable", None, None),
    ("prefer", None, "TLSv1.3"),
    ("prefer", "foreign", "TLSv1.3"),
    ("require", None, "TLSv1.3"),
    ("require", "foreign", "TLSv1.3"),
    ("verify-ca", "own", "TLSv1.3"),
    ("verify-ca", "foreign", "refused"),
    ("verify-full", "own", "TLSv1.3"),
    ("verify-full", "foreign", "refused"),
]


def tls_of(mode: str, ca: Path | None) -> dict[str, Any]:
    return {"mode": mode} if ca is None else {"mode": mode, "ca": ca.read_text()}


@pytest.mark.parametrize(("mode", "authority", "expected"), MODES)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_modes_on_mariadb(
    tls_mariadb: MariaDB,
    certificates: Certificates,
    mode: str,
    authority: str | None,
    expected: str | None,
    host: str,
) -> None:
    """A certificate may name the host or its address."""
    ca = {"own": certificates.ca, "foreign": certificates.foreign_ca, None: None}[authority]
    wanted = connection(tls_mariadb, tls_of(mode, ca), host=host)
    if expected == "refused":
        assert reason(wanted) == "tls"
        return
    assert session.test(wanted)["tls"] == expected
    with closing(session.connect(wanted)) as opened, opened.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_version'")
        assert cursor.fetchone()[1] == (expected or "")


def test_verify_full_needs_the_name_and_verify_ca_does_not(certificates: Certificates) -> None:
    with MariaDB(tls=certificates.misnamed) as server:
        assert session.test(connection(server, tls_of("verify-ca", certificates.ca)))["tls"] == "TLSv1.3"
        assert reason(connection(server, tls_of("verify-full", certificates.ca))) == "tls"


def test_modes_on_mysql(source_server: MysqlEndpoint, certificates: Certificates, tmp_path: Path) -> None:
    """MySQL made its own authority, and a certificate that names no host."""
    if source_server.kind != "mysql":
        return
    own = tmp_path / "ca.pem"
    pem = source_server.scalar("SELECT LOAD_FILE(CONCAT(@@datadir, @@ssl_ca))")
    own.write_bytes(pem if isinstance(pem, bytes) else pem.encode())
    for mode, ca, expected in (
        ("disable", None, None),
        ("prefer", None, "TLSv1.3"),
        ("require", None, "TLSv1.3"),
        ("verify-ca", own, "TLSv1.3"),
    ):
        assert session.test(connection(source_server, tls_of(mode, ca)))["tls"] == expected
    assert reason(connection(source_server, tls_of("verify-full", own))) == "tls"
    assert reason(connection(source_server, tls_of("verify-ca", certificates.foreign_ca))) == "tls"


def test_a_server_without_certificates(mariadb: MysqlEndpoint, certificates: Certificates) -> None:
    """It has no TLS, or from MariaDB 11.4 on one by a certificate it makes itself."""
    offers = mariadb.scalar("SELECT @@have_ssl") == "YES"
    assert session.test(connection(mariadb, tls_of("disable", None)))["tls"] is None
    assert (session.test(connection(mariadb, tls_of("prefer", None)))["tls"] is not None) == offers
    if offers:
        assert session.test(connection(mariadb, tls_of("require", None)))["tls"] is not None
    for mode in ("verify-ca", "verify-full") if offers else ("require", "verify-ca", "verify-full"):
        ca = certificates.ca if mode != "require" else None
        assert reason(connection(mariadb, tls_of(mode, ca))) == "tls"


def test_a_client_certificate(tls_mariadb: MariaDB, certificates: Certificates) -> None:
    tls_mariadb.execute("CREATE OR REPLACE USER needs_x509@'%' IDENTIFIED BY 'certain' REQUIRE X509")
    login = {"username": "needs_x509", "password": "certain"}
    pair = {
        "client_cert": certificates.client_cert.read_text(),
        "client_key": certificates.client_key.read_text(),
    }
    for mode in ("prefer", "require", "verify-full"):
        tls = tls_of(mode, certificates.ca if mode == "verify-full" else None)
        assert session.test(connection(tls_mariadb, {**tls, **pair}, **login))["ping"] == "ok"
        assert reason(connection(tls_mariadb, tls, **login)) == "auth"
    wrong = {**pair, "client_key": "-----BEGIN PRIVATE KEY-----\nbm8=\n-----END PRIVATE KEY-----\n"}
    assert reason(connection(tls_mariadb, {"mode": "require", **wrong}, **login)) == "tls"


def test_an_authority_that_is_none(tls_mariadb: MariaDB) -> None:
    bad = {"mode": "verify-ca", "ca": "-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n"}
    assert reason(connection(tls_mariadb, bad)) == "tls"


# ---------------------------------------------------------------- logins

PASSWORDS = ["", "p w'\"\\%@:/#", "пароль-é-😀"]


@pytest.mark.parametrize("password", PASSWORDS, ids=["empty", "special", "unicode"])
def test_passwords_of_any_character(source_server: MysqlEndpoint, password: str) -> None:
    user = "of_any_character"
    with closing(source_server.connect()) as root, root.cursor() as cursor:
        cursor.execute(f"DROP USER IF EXISTS {user}")
        cursor.execute(f"CREATE USER {user} IDENTIFIED BY %s", (password,))
    try:
        for mode in ("disable", "prefer"):  # without TLS caching_sha2_password encrypts it with RSA
            wanted = connection(source_server, {"mode": mode}, username=user, password=password)
            assert session.test(wanted)["ping"] == "ok"
        wrong = connection(source_server, username=user, password=f"{password}-wrong")
        assert reason(wrong) == "auth"
    finally:
        source_server.execute(f"DROP USER {user}")


@pytest.mark.parametrize(
    ("changes", "database", "expected"),
    [
        ({"password": "not this"}, None, "auth"),
        ({"username": "nobody-here"}, None, "auth"),
        ({}, "there_is_no_such_database", "unknown_database"),
        ({"host": "no-such-host.invalid"}, None, "dns"),
        ({"host": "a..b"}, None, "dns"),
        ({"port": 1}, None, "refused"),
    ],
    ids=["password", "user", "database", "host", "malformed-host", "port"],
)
def test_failures_are_told_apart(
    source_server: MysqlEndpoint, changes: dict[str, Any], database: str | None, expected: str
) -> None:
    assert reason(connection(source_server, **changes), database) == expected


@contextmanager
def answering(answer: bytes | None) -> Iterator[int]:
    """A port that is no MySQL: it says `answer` and hangs up, or (None) nothing at all."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            try:
                while True:
                    peer, _ = listener.accept()
                    with peer:
                        if answer is None:
                            peer.recv(1)  # until the client gives up
                        else:
                            peer.sendall(answer)
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


class _Nowhere:
    host = "127.0.0.1"
    user = "u"
    password = "secret-of-u"

    def __init__(self, port: int) -> None:
        self.port = port


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"",
        b"\x05\0\0\0\x0a5.5",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"\x01\0\0\0\x0a",
    ],
)
def test_what_is_no_mysql(answer: bytes) -> None:
    with answering(answer) as port:
        assert reason(connection(_Nowhere(port))) == "protocol"


def test_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "CONNECT_TIMEOUT", 0.3)
    with answering(None) as port:
        assert reason(connection(_Nowhere(port))) == "timeout"


def test_a_password_is_not_given_away_in_plain_text() -> None:
    """A server chooses the method; asking for plain text over a plain line is refused."""
    handshake = (
        b"\x0a8.0.0\0"
        + struct.pack("<I", 1)
        + b"12345678\0"
        + struct.pack("<H", 0xF7FF)
        + b"\x2d\2\0"
        + struct.pack("<H", 0x0008 | 0x0020)
        + bytes([21])
        + bytes(10)
        + b"123456789012\0"
        + b"mysql_native_password\0"
    )
    switch = b"\xfemysql_clear_password\0"
    seen = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(len(handshake).to_bytes(3, "little") + b"\0" + handshake)
                seen.extend(peer.recv(4096))
                peer.sendall(len(switch).to_bytes(3, "little") + b"\2" + switch)
                while data := peer.recv(4096):
                    seen.extend(data)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        wanted = connection(_Nowhere(listener.getsockname()[1]), {"mode": "disable"})
        assert reason(wanted) == "auth"
        thread.join(10)
    assert b"secret-of-u" not in seen


# ---------------------------------------------------------------- an open session


def test_what_a_session_pins(source_server: MysqlEndpoint) -> None:
    with closing(session.connect(connection(source_server))) as opened, opened.cursor() as cursor:
        isolation = "tx_isolation" if source_server.kind == "mariadb" else "transaction_isolation"
        limit = "max_statement_time" if source_server.kind == "mariadb" else "max_execution_time"
        cursor.execute(
            "SELECT @@time_zone, @@sql_mode, @@character_set_results, @@character_set_connection,"
            f" @@autocommit, @@net_write_timeout, @@{isolation}, @@{limit}"
        )
        assert cursor.fetchone() == ("+00:00", "", "utf8mb4", "utf8mb4", 1, 600, "REPEATABLE-READ", 0)


def test_info_tells_servers_apart(source_server: MysqlEndpoint, mariadb: MysqlEndpoint) -> None:
    with closing(session.connect(connection(source_server))) as opened:
        info = session.server_info(opened)
        again = session.server_info(opened)
    assert info.flavor == source_server.kind
    assert info.version == source_server.scalar("SELECT VERSION()")
    assert info.version_tuple >= (8, 0, 0)
    assert info.identity
    assert info.identity == again.identity
    if source_server.kind == "mysql":
        with closing(session.connect(connection(mariadb))) as other:
            assert session.server_info(other).identity != info.identity


def test_databases_are_listed_and_made(source_server: MysqlEndpoint) -> None:
    name = "made `of` 'odd\" характеров"
    with closing(session.connect(connection(source_server))) as opened:
        session.create_database(opened, name)
        try:
            listed = {entry["name"]: entry["isSystem"] for entry in session.databases(opened)}
            assert listed[name] is False
            assert listed["information_schema"] is True
            with pytest.raises(EngineError) as taken:
                session.create_database(opened, name)
            assert taken.value.code is Code.NAME_TAKEN
        finally:
            source_server.drop_database(name)
        for bad in ("x" * 65, "", "a\0b"):
            with pytest.raises(EngineError) as refused:
                session.create_database(opened, bad)
            assert refused.value.code is Code.VALIDATION_FAILED


def test_making_a_database_without_the_right(source_server: MysqlEndpoint) -> None:
    source_server.execute(
        "DROP USER IF EXISTS may_nothing; CREATE USER may_nothing IDENTIFIED BY 'nothing-1'"
    )
    try:
        wanted = connection(source_server, username="may_nothing", password="nothing-1")
        with closing(session.connect(wanted)) as opened, pytest.raises(EngineError) as denied:
            session.create_database(opened, "denied_to_me")
        assert denied.value.code is Code.PERMISSION_DENIED
    finally:
        source_server.execute("DROP USER may_nothing")
