"""What the server's log shows of queries and tracebacks."""

from __future__ import annotations

import pytest

from server.redaction import redacted_query, without_secrets


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        (b"", ""),
        (b"limit=1&offset=2", "limit=1&offset=2"),
        (b"api_key=abc&x=1", "api_key=***&x=1"),
        (b"x=1&api_key=abc&install_id=i", "x=1&api_key=***&install_id=***"),
        (b"API_KEY=abc", "API_KEY=***"),
        (b"my_password=a&token=b&clientSecret=c", "my_password=***&token=***&clientSecret=***"),
        (b"api%5Fkey=abc", "(encoded)"),
        (b"search=api_key", "search=api_key"),
        (b"api_key=a=b", "api_key=***"),
    ],
)
def test_queries(query: bytes, shown: str) -> None:
    """rest-log-redaction"""
    assert redacted_query(query) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nothing here", "nothing here"),
        ("password=hunter2 host=a", "password=*** host=a"),
        ("{'password': 'hunter2', 'a': 1}", "{'password': ***, 'a': 1}"),
        ('"secretKey": "x y"', '"secretKey": ***'),
        ("mysql://app:hunter2@db/shop", "mysql://app:***@db/shop"),
        ("X-API-Key: abc", "X-API-Key: ***"),
    ],
)
def test_texts(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
