"""Where a large CSV file may be split: only where that is proven."""

from __future__ import annotations

import io

import pytest

from engine.formats import read_split
from engine.formats.storage import StoredFile

ROW = b'12,"a name",3.5\n'


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_split, "PART", 1000)
    monkeypatch.setattr(read_split, "_PIECE", 300)


@pytest.mark.parametrize(
    ("data", "rows", "before", "split"),
    [
        (b"a,b,c\n" + ROW * 500, 500, 1, True),
        (ROW * 500, 500, 0, True),
        (b"made by hand\na,b,c\n" + ROW * 500, 500, 2, True),
        (b"a,b,c\n" + ROW * 499 + ROW.strip(), 500, 1, True),  # no line end at the end
        (b"a,b,c\r\n" + ROW.replace(b"\n", b"\r\n") * 500, 500, 1, True),
        (b"a,b,c\n" + ROW * 499 + b'1,"a\nb",2\n', 500, 1, False),  # a line end inside a field
        (b"a,b,c\n" + ROW * 500 + b"\n", 500, 1, False),  # a blank line is no row
        (b"a,b,c\r" + ROW.replace(b"\n", b"\r") * 500, 500, 1, False),
        (b"a,b,c\n" + ROW * 50, 50, 1, False),  # small
    ],
)
def test_where_a_file_may_be_split(data: bytes, rows: int, before: int, split: bool) -> None:
    """files-chunks."""
    file = StoredFile("t.csv", len(data), "1")
    units = read_split.parts(io.BytesIO(data), file, rows, before)  # type: ignore[arg-type]
    assert (units is not None) == split
    if units is None:
        return
    assert len(units) > 5
    assert [unit.start for unit in units] == [0, *(unit.end for unit in units[:-1])]
    assert units[-1].end == len(data)
    assert sum(unit.rows for unit in units) == rows
    for number, unit in enumerate(units):
        text = data[unit.start : unit.end]
        lines = len(text.splitlines()) - (before if number == 0 else 0)
        assert unit.rows == lines
