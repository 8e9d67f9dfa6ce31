from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.config import Connection
from engine.copying import CopyRequest, parse_url
from engine.errors import Code, EngineError

PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mysql://root:pw@db:3307/shop", ("mysql", "db", 3307, "root", "pw", "shop", None)),
        ("mariadb://u@h/x", ("mariadb", "h", 3306, "u", "", "x", None)),
        ("postgres://u:pass@h/x?schema=app", ("postgresql", "h", 5432, "u", "pass", "x", "app")),
        (
            "postgresql://u%40corp:p%2F%3A%40@h/my%20db",
            ("postgresql", "h", 5432, "u@corp", "p/:@", "my db", None),
        ),
        ("mysql://u:pass@[::1]:3306/x", ("mysql", "::1", 3306, "u", "pass", "x", None)),
        ("mysql://u:pass@h", ("mysql", "h", 3306, "u", "pass", None, None)),
    ],
)
def test_urls(url: str, expected: tuple[Any, ...]) -> None:
    """slug: copy-urls"""
    endpoint = parse_url(url)
    model = Connection.parse(endpoint.body)
    server = model.database
    assert (
        model.type.value, server.host, server.port, server.username,
        server.password.get_secret_value(), endpoint.database, endpoint.schema,
    ) == expected  # fmt: skip
    password = server.password.get_secret_value()
    assert not password or password not in endpoint.label
    assert not password or password not in repr(endpoint)


@pytest.mark.parametrize(
    ("option", "mode"),
    [
        ("ssl-mode=DISABLED", "disable"),
        ("ssl-mode=VERIFY_IDENTITY&ssl-ca={ca}", "verify-full"),
        ("ssl-mode=verify-ca&ssl-ca={ca}", "verify-ca"),
        ("sslmode=require", "require"),
        ("sslmode=verify-full&sslrootcert={ca}", "verify-full"),
    ],
)
def test_tls_options_of_both_dialects(tmp_path: Path, option: str, mode: str) -> None:
    """slug: copy-urls"""
    ca = tmp_path / "ca.pem"
    ca.write_text(PEM)
    ssl = Connection.parse(parse_url("mysql://u:p@h/x?" + option.format(ca=ca)).body).ssl
    assert ssl.mode.value == mode
    assert ssl.ca == (PEM if "{ca}" in option else None)


@pytest.mark.parametrize(
    ("url", "field"),
    [
        ("oracle://u:sesame@h/x", "url"),
        ("mysql://h/x", "url"),
        ("mysql:///x", "url"),
        ("mysql://u:sesame@h:port/x", "url"),
        ("mysql://u:ses/ame@h:1/x", "url"),
        ("mysql://u:sesame@h/x?charset=latin1", "charset"),
        ("mysql://u:sesame@h/x?schema=a", "schema"),
        ("mysql://u:sesame@h/x?ssl-mode=maybe", "ssl-mode"),
        ("mysql://u:sesame@h/x?ssl-ca=/no/such/file", "ssl-ca"),
    ],
)
def test_what_is_wrong_with_a_url_is_said_without_the_url(url: str, field: str) -> None:
    """slug: copy-urls"""
    with pytest.raises(EngineError) as caught:
        parse_url(url)
    assert caught.value.code is Code.VALIDATION_FAILED
    assert caught.value.details["fields"][0]["field"] == field
    assert "ses" not in caught.value.message


def test_a_request_does_not_show_its_urls() -> None:
    assert "sesame" not in repr(CopyRequest("mysql://u:sesame@h/x", "postgresql://u:sesame@h/x"))
