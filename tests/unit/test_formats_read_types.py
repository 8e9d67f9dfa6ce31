"""What texts are taken for: the inference over columns of CSV and JSON, as tables of cases."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import duckdb
import pyarrow as pa
import pytest

from engine.errors import Code, EngineError
from engine.formats import read_types
from engine.formats.infer import TextColumn, TextFile, infer
from engine.formats.read_session import Session


def files(*parts: Sequence[str | None]) -> list[TextFile]:
    def opener(number: int, values: Sequence[str | None]) -> TextFile:
        @contextlib.contextmanager
        def opened() -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
            session = Session()
            session.connection.register("rows", pa.table({"c0": pa.array(list(values), pa.string())}))
            try:
                yield session.connection, "rows"
            finally:
                session.close()

        return TextFile(f"file{number}", opened)

    return [opener(number, values) for number, values in enumerate(parts)]


def type_of(*parts: Sequence[str | None], family: str = "any", asked: str | None = None) -> str:
    kind = read_types.named(asked) if asked else None
    found = infer("t", [TextColumn("c", "c0", kind, family)], files(*parts))
    return found.types["c"].name


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "-5", None], "BIGINT"),
        (["9223372036854775807", "-9223372036854775808"], "BIGINT"),
        (["007", "12"], "VARCHAR"),  # leading zeros
        (["+5", "6"], "VARCHAR"),
        (["-0"], "VARCHAR"),
        (["0x1F"], "VARCHAR"),
        (["1_000"], "VARCHAR"),
        ([" 1"], "VARCHAR"),
        (["12345678901234567890", "1"], "DECIMAL(38,0)"),  # twenty digits
        (["9" * 38], "DECIMAL(38,0)"),
        (["9" * 45], "DECIMAL(45,0)"),
        (["1.10", "20.00"], "DECIMAL(18,2)"),
        (["1.10", "2.5"], "DECIMAL(18,2)"),  # 1.10 is not what a double prints
        (["1.5", "0.25", "7"], "DOUBLE"),
        (["0." + "1" * 40, "2.1"], "DECIMAL(41,40)"),
        (["1e5", "2.5E-3"], "DOUBLE"),
        (["1.2345678901234567890e5"], "VARCHAR"),  # a double has not the digits
        (["-0.00", "1.10"], "VARCHAR"),  # a decimal has no negative zero
        (["-0.0", "1.5"], "DOUBLE"),
        (["NA", "1"], "VARCHAR"),
        (["nan", "1.5"], "VARCHAR"),
        (["inf"], "VARCHAR"),
        (["", "1"], "VARCHAR"),
        (["true", "FALSE"], "BOOLEAN"),
        (["t", "f"], "VARCHAR"),
        (["0", "1"], "BIGINT"),
        (["2024-02-29", "0001-01-01"], "DATE"),
        (["2023-02-29"], "VARCHAR"),  # no such day
        (["2024-01-02 03:04:05", "2024-01-02T03:04:05.123456"], "TIMESTAMP"),
        (["2024-01-02 03:04:05.1234567"], "VARCHAR"),  # a microsecond is the least
        (["2024-01-02T03:04:05Z", "2024-01-02 03:04:05+05:30"], "TIMESTAMPTZ"),
        (["2024-01-02 03:04:05", "2024-01-02 03:04:05Z"], "VARCHAR"),  # with a zone and without
        (["03:04:05", "23:59"], "TIME"),
        (["01/02/2024", "03/04/2024"], "VARCHAR"),  # both orders fit
        (["01/02/2024", "31/12/2024"], "DATE '%d/%m/%Y'"),
        (["12/31/2024", "01/02/2024"], "DATE '%m/%d/%Y'"),
        (["31.12.2024"], "DATE '%d.%m.%Y'"),
        (["31/12/2024", "12/31/2024"], "VARCHAR"),
        ([None, None], "VARCHAR"),
        ([], "VARCHAR"),
    ],
)
def test_what_texts_are_taken_for(values: list[str | None], expected: str) -> None:
    """csv-inference, csv-leading-zeros, csv-big-integers, csv-ambiguous-date, csv-decimals."""
    assert type_of(values) == expected


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([["1"], ["2.50"]], "DECIMAL(18,2)"),
        ([["1"], ["x"]], "VARCHAR"),
        ([[None], ["1.5"]], "DECIMAL(18,1)"),
        ([["2024-01-01"], ["2024-01-01 00:00:00"]], "VARCHAR"),
        ([["1.10"], ["1.125"]], "DECIMAL(18,3)"),
    ],
)
def test_one_type_over_all_files(parts: list[list[str | None]], expected: str) -> None:
    """csv-inference: a table of several files has one type a column."""
    assert type_of(*parts) == expected


def test_a_late_value_counts() -> None:
    """csv-inference: the sample proposes, every value decides."""
    assert type_of([str(number) for number in range(30_000)] + ["x"]) == "VARCHAR"
    assert type_of([str(number) for number in range(30_000)] + ["0.50"]) == "DECIMAL(18,2)"


@pytest.mark.parametrize(
    ("family", "values", "expected"),
    [
        ("string", ["1", "2"], "VARCHAR"),
        ("string", ["2024-01-01"], "DATE"),
        ("number", ["1.10", "2.00"], "DECIMAL(18,2)"),
        ("number", ["12345678901234567890123"], "DECIMAL(38,0)"),
        ("number", ["1E400"], "VARCHAR"),
    ],
)
def test_strings_of_json_stay_strings(family: str, values: list[str | None], expected: str) -> None:
    """json-numbers, json-strings."""
    assert type_of(values, family=family) == expected


@pytest.mark.parametrize(
    ("asked", "good", "bad"),
    [
        ("INTEGER", "2147483647", "2147483648"),
        ("INTEGER", "007", "1.5"),
        ("UBIGINT", "18446744073709551615", "-1"),
        ("DECIMAL(5,2)", "123.45", "123.456"),
        ("DECIMAL(5,2)", "123.4500", "1234.5"),
        ("DECIMAL(60,2)", "9" * 58 + ".25", "1e3"),
        ("DOUBLE", "NaN", "1,5"),
        ("DATE", "2024-02-29", "2024-02-30"),
        ("DATE '%d/%m/%Y'", "31/12/2024", "12/31/2024"),
        ("TIMESTAMP", "2024-01-01 00:00:00.123456", "2024-01-01 00:00:00.1234567"),
        ("TIMESTAMPTZ", "2024-01-01 00:00:00+02", "2024-01-01 00:00:00"),
        ("UUID", "9AA8996B-26de-44c4-8067-11198944f1c0", "9AA8996B"),
        ("BOOLEAN", "True", "yes"),
        ("JSON", '{"a": 1.10}', "{"),
        ("TIME", "23:59:59.5", "25:00:00"),
        ("BLOB", "AP8=", "=="),
    ],
)
def test_a_type_that_was_asked_for_is_checked(asked: str, good: str, bad: str) -> None:
    """csv-type-override: nothing is rounded or cut to fit, and the first value that does not fit is named."""
    assert type_of([good], asked=asked) == read_types.named(asked).name
    with pytest.raises(EngineError) as caught:
        type_of([good], [good, None, bad], asked=asked)
    assert caught.value.code is Code.VALUE_NOT_REPRESENTABLE
    assert caught.value.details["file"] == "file1"
    assert caught.value.details["row"] == 3
    assert caught.value.details["value"] == bad


@pytest.mark.parametrize("name", ["GEOMETRY", "DECIMAL(0,0)", "DECIMAL(3,5)", "x; DROP TABLE y", ""])
def test_a_type_that_is_none(name: str) -> None:
    with pytest.raises(EngineError) as caught:
        read_types.named(name)
    assert caught.value.code is Code.VALIDATION_FAILED
    assert caught.value.details["field"] == "columns"
