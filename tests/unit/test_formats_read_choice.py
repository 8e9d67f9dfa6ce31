"""Names, globs and the lines of CSV files, without any server."""

from __future__ import annotations

import pytest

from engine.formats.read_csv import Dialect
from engine.formats.read_layout import unique_names
from engine.formats.read_lines import bad_record, line_of_row
from engine.formats.tables import glob_matcher, kind_of


@pytest.mark.parametrize(
    ("path", "form", "compression", "stem"),
    [
        ("a/orders.csv", "csv", "none", "orders"),
        ("orders.CSV.GZ", "csv", "gzip", "orders"),
        ("orders.v2.jsonl.zst", "jsonl", "zstd", "orders.v2"),
        ("x.ndjson", "jsonl", "none", "x"),
        ("x.tsv", "csv", "none", "x"),
        ("x.parquet", "parquet", "none", "x"),
        ("x.txt", None, "none", "x"),
        (".csv", None, "none", ".csv"),
        ("noname.gz", None, "gzip", "noname"),
    ],
)
def test_what_a_name_says(path: str, form: str | None, compression: str, stem: str) -> None:
    """files-choice."""
    found = kind_of(path)
    assert (found.format, found.compression, found.stem) == (form, compression, stem)


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.csv", "a.csv", True),
        ("*.csv", "d/a.csv", False),
        ("**/*.csv", "a.csv", True),
        ("**/*.csv", "d/e/a.csv", True),
        ("d/**", "d/e/a.csv", True),
        ("?.csv", "a.csv", True),
        ("?.csv", "ab.csv", False),
        ("[ab].csv", "b.csv", True),
        ("[!ab].csv", "b.csv", False),
        ("[a-c]1.csv", "b1.csv", True),
        ("a+b(1).csv", "a+b(1).csv", True),
        ("a.csv", "axcsv", False),
    ],
)
def test_globs(pattern: str, path: str, matches: bool) -> None:
    """files-choice."""
    assert glob_matcher(pattern)(path) is matches


@pytest.mark.parametrize(
    ("stored", "names"),
    [
        (["a", "A", "a"], ["a", "A", "a_2"]),
        (["a", "a", "a_2"], ["a", "a_3", "a_2"]),
        (["", "x", ""], ["column0", "x", "column2"]),
        (["column1", ""], ["column1", "column1_2"]),
        (["a\0b"], ["ab"]),
    ],
)
def test_names_of_columns(stored: list[str], names: list[str]) -> None:
    """column-renamed."""
    assert unique_names(stored) == names


PLAIN = Dialect(",", '"', '"', True)


@pytest.mark.parametrize(
    ("data", "row", "line"),
    [
        (b"a,b\n1,2\n3,4\n", 2, 3),
        (b'a,b\n"x\ny",2\n3,4\n', 2, 4),
        (b"a,b\r\n1,2\r\n3,4\r\n", 2, 3),
        (b"a,b\r1,2\r3,4\r", 2, 3),
        (b"a,b\n\n\n1,2\n", 1, 4),
        (b"a\n\n2\n", 2, 3),
        (b"a,b\n1,2\n", 9, None),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_the_line_of_a_row(data: bytes, row: int, line: int | None, size: int) -> None:
    """csv-strict: however the pieces fall."""
    pieces = iter([data[at : at + size] for at in range(0, len(data), size)])
    assert line_of_row(pieces, PLAIN, row) == line


@pytest.mark.parametrize(
    ("data", "line", "fault"),
    [
        (b"a,b\n1,2\n3\n", 3, "1 fields"),
        (b'a,b\n"x\ny",2\n3,4,5\n', 4, "3 fields"),
        (b"a,b\n1,\xff\n", 2, "no UTF-8"),
        (b'a,b\n1,2\n3,"x\n', 3, "quoting"),
    ],
)
def test_the_bad_record(data: bytes, line: int, fault: str) -> None:
    """csv-strict."""
    found = bad_record(iter([data]), PLAIN, 2)
    assert found is not None
    assert found[0] == line
    assert fault in found[2]
    assert bad_record(iter([b"a,b\n1,2\n"]), PLAIN, 2) is None
