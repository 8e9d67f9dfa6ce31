"""Texts of JSON strings and of moments, as other parsers read them."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pyarrow as pa
import pytest

from engine.formats.encode_text import json_escaped
from engine.formats.encode_times import moment_text

TEXTS = ["a", '"', "\\", '\\"', "".join(map(chr, range(32))), "é\u2028😀", "", None, "\\n", "\x7f/"]


@pytest.mark.parametrize(
    "array",
    [
        pa.array(TEXTS),
        pa.array(TEXTS, pa.large_string()),
        pa.array(TEXTS).slice(2, 5),
        pa.array(["plain", "é"]),
        pa.array([], pa.string()),
        pa.array([None], pa.string()),
    ],
    ids=["all", "large", "slice", "nothing-to-escape", "empty", "null"],
)
def test_strings_of_json(array: pa.Array) -> None:
    found = [None if text is None else json.loads(f'"{text}"') for text in json_escaped(array).to_pylist()]
    assert found == array.to_pylist()


@pytest.mark.parametrize(
    ("arrow", "value", "text"),
    [
        (pa.timestamp("us"), 1_583_020_799_999_999, "2020-02-29 23:59:59.999999"),
        (pa.timestamp("us"), -(2**63), "-infinity"),
        (
            pa.timestamp("us", "UTC"),
            dt.datetime(1969, 12, 31, 23, 59, 59, tzinfo=dt.UTC),
            "1969-12-31 23:59:59.000000Z",
        ),
        (pa.timestamp("us", "UTC"), -62_167_219_200_000_001, "-0001-12-31 23:59:59.999999Z"),
        (pa.timestamp("us", "UTC"), 253_402_300_800_000_000, "10000-01-01 00:00:00.000000Z"),
        (pa.timestamp("us", "UTC"), 2**63 - 1, "infinity"),
        (pa.timestamp("us", "UTC"), 9_000_000_000_000_000_000, "287168-08-24 16:00:00.000000Z"),
        (pa.date32(), dt.date(1, 1, 1), "0001-01-01"),
        (pa.date32(), None, None),
        (pa.timestamp("us", "UTC"), None, None),
    ],
    ids=str,
)
@pytest.mark.parametrize("separator", [" ", "T"])
def test_moments(arrow: pa.DataType, value: Any, text: str | None, separator: str) -> None:
    array = pa.array([value], arrow)
    expected = text.replace(" ", separator) if text else text
    assert moment_text(array, separator).to_pylist() == [expected]
    assert moment_text(pa.concat_arrays([array, array]).slice(1), separator).to_pylist() == [expected]
