"""CSV as DuckDB reads it: strictly, in a dialect found once, nothing guessed while the rows are read."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import duckdb

from engine.config import CsvDialect
from engine.errors import Code, EngineError
from engine.formats.manifest import ManifestCsv
from engine.formats.read_layout import Unit
from engine.formats.read_lines import bad_record, line_of_row, records
from engine.formats.read_session import Feed, Session, Sessions, literal
from engine.formats.read_split import parts
from engine.formats.read_stream import coding_of, pieces
from engine.formats.storage import Storage, StoredFile, changed
from engine.formats.tables import Compression

HEAD = 4 << 20  # bytes of a file that is not plain text on this machine, for finding its dialect
MAX_LINE = 256 << 20
BUFFER = 8 << 20  # what DuckDB reads at once; a thread scans as much, and by itself it takes four times that
_DELIMITERS = (",", "\t", ";", "|")


@dataclass(frozen=True, slots=True)
class Dialect:
    """quote and escape may be empty. encoding None: by the byte order mark, else UTF-8."""

    delimiter: str
    quote: str
    escape: str
    header: bool
    null: str = ""
    skip: int = 0
    encoding: str | None = None
    max_line: int | None = None  # bytes, where a line is longer than DuckDB takes by itself

    @classmethod
    def of_manifest(cls, csv: ManifestCsv) -> Dialect:
        return cls(csv.delimiter, csv.quote, csv.quote, csv.header, csv.null)

    def options(self, columns: Sequence[str], types: Sequence[str] | None = None) -> str:
        """Arguments of read_csv for these columns; texts unless `types` are given."""
        kinds = types or ["VARCHAR"] * len(columns)
        struct = ", ".join(
            f"{literal(name)}: {literal(kind)}" for name, kind in zip(columns, kinds, strict=True)
        )
        return (
            "auto_detect = false, strict_mode = true, null_padding = false, ignore_errors = false,"
            f" allow_quoted_nulls = false, header = {'true' if self.header else 'false'},"
            f" skip = {self.skip}, delim = {literal(self.delimiter)}, quote = {literal(self.quote)},"
            f" escape = {literal(self.escape)}, nullstr = {literal(self.null)}, columns = {{{struct}}}"
            + (f", max_line_size = {self.max_line}" if self.max_line else f", buffer_size = {BUFFER}")
        )


class CsvFile:
    """One file, in one dialect once `dialect` is set."""

    def __init__(
        self, storage: Storage, file: StoredFile, compression: Compression, sessions: Sessions
    ) -> None:
        self.storage = storage
        self._sessions = sessions
        self.file = file
        self.compression = compression
        self._local: str | None = None
        self._asked = False
        self._skippable = 0

    def local(self, encoding: str | None) -> str | None:
        """The path DuckDB can read by itself: of a plain UTF-8 file on this machine."""
        path = self.storage.local_path(self.file.path)
        if path is None or self.compression != "none":
            return None
        if encoding is not None and coding_of(encoding) != "utf-8":
            return None
        if not self._asked:
            self._asked = True
            with self.storage.open(self.file.path, self.file.version) as stream:
                mark = stream.read(4) or b""
            if not mark.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")):
                self._local = str(path)
        return self._local

    @contextlib.contextmanager
    def open(
        self,
        dialect: Dialect,
        columns: Sequence[str],
        types: Sequence[str] | None = None,
        unit: Unit | None = None,
    ) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
        """A session and the relation of the file, or of a part, in it, to be read once. Raises ROW_REJECTED
        with file and line for what is not in the dialect, FILE_CHANGED."""
        local = self.local(dialect.encoding)
        stream = self.pieces(dialect.encoding)
        used = dialect
        if unit is not None and unit.end is not None:
            local = None
            stream = pieces(self.storage, self.file, "none", None, unit.start, unit.end)
            used = replace(dialect, header=dialect.header and unit.start == 0)
            used = used if unit.start == 0 else replace(used, skip=0)
        with contextlib.ExitStack() as stack:
            session = stack.enter_context(self._sessions.take())
            feed = None if local else Feed(stream)
            path = local if feed is None else feed.path
            assert path is not None
            try:
                yield session.connection, f"read_csv({literal(path)}, {used.options(columns, types)})"
            except duckdb.Error as error:
                if feed is not None:
                    feed.finish()
                raise self.explain(error, dialect, len(columns)) from error
            except BaseException:
                if feed is not None:
                    session.interrupt()
                    with contextlib.suppress(EngineError, OSError):
                        feed.finish()
                raise
            if feed is not None:
                feed.finish()
            self.check()

    def parts(self, dialect: Dialect, rows: int) -> list[Unit] | None:
        """Parts that can be read apart, of a large file that DuckDB reads from this machine as it is."""
        if self.local(dialect.encoding) is None:
            return None
        with self.storage.open(self.file.path, self.file.version) as stream:
            return parts(stream, self.file, rows, dialect.skip + dialect.header)

    def check(self) -> None:
        """FILE_CHANGED when a file of this machine is no longer the one that was looked at."""
        if self.storage.flavor == "files":
            now = self.storage.stat(self.file.path)
            if now is None or now.version != self.file.version:
                raise changed(self.file.path)

    def pieces(self, encoding: str | None) -> Iterator[bytes]:
        return pieces(self.storage, self.file, self.compression, encoding)

    def explain(self, error: duckdb.Error, dialect: Dialect, columns: int) -> EngineError:
        """What DuckDB refused, with the physical line: its own numbers count records."""
        said = str(error)
        if "Maximum line size" in said and (dialect.max_line or 0) < MAX_LINE:
            return _LongLine(self.file.path)
        if isinstance(error, duckdb.OutOfMemoryException | duckdb.InterruptException):
            return EngineError(Code.QUERY_FAILED, f"{self.file.path}: {_first_line(said)}")
        found = bad_record(self.pieces(dialect.encoding), dialect, columns)
        record = re.search(r"CSV Error on Line: (\d+)", said)
        text = re.search(r"Original Line: ?(.*)", said)
        reason = re.search(r"\n((?:Expected Number|Value with|Invalid unicode|Maximum line)[^\n]*)", said)
        line = found[0] if found else int(record[1]) if record else None
        what = found[1] if found else text[1] if text else ""
        why = found[2] if found else reason[1] if reason else _first_line(said)
        where = f"{self.file.path}, line {line}" if line else self.file.path
        return EngineError(
            Code.ROW_REJECTED,
            f"{where}: {why}" + (f": {what[:200]!r}" if what else "") + self._advice(),
            file=self.file.path,
            line=line,
            text=what[:1000] or None,
            reason=why,
        )

    def _advice(self) -> str:
        skip = self._skippable
        return f"; set csv.skip to {skip} if the first {skip} lines are no data" if skip else ""

    def line_of(self, dialect: Dialect, row: int) -> int | None:
        """The physical line where a data row (from 1) begins."""
        return line_of_row(self.pieces(dialect.encoding), dialect, row)

    # ------------------------------------------------------------ the dialect

    def sniff(self, given: CsvDialect, sample: int = 20_480) -> Dialect:
        """What DuckDB finds, under what the user says. VALIDATION_FAILED for an empty file; ROW_REJECTED
        when lines before the header have another shape."""
        local = self.local(given.encoding)
        if local is not None:
            return self._sniffed(local, given, sample)
        with tempfile.TemporaryDirectory(prefix="dbstreams-csv-") as folder:
            head = Path(folder, "head.csv")
            head.write_bytes(_head(self.pieces(given.encoding)))
            return self._sniffed(os.fspath(head), given, sample)

    def _sniffed(self, path: str, given: CsvDialect, sample: int) -> Dialect:
        options = [f"sample_size = {sample}"]
        if given.skip:
            options.append(f"skip = {given.skip}")
        options += [
            f"{name} = {literal(value)}"
            for name, value in (("delim", given.delimiter), ("quote", given.quote), ("escape", given.escape))
            if value is not None
        ]
        if given.header is not None:
            options.append(f"header = {str(given.header).lower()}")
        session = Session([path])
        try:
            row = session.execute(
                "SELECT Delimiter, Quote, Escape, SkipRows, HasHeader, len(Columns)"
                f" FROM sniff_csv({literal(path)}, {', '.join(options)})"
            ).fetchone()
        except duckdb.Error:
            row = None
        finally:
            session.close()
        return self._settled(path, given, row)

    def _settled(self, path: str, given: CsvDialect, row: tuple[object, ...] | None) -> Dialect:
        first = _first_record(path, given.skip)
        if not first.strip():
            raise EngineError(
                Code.VALIDATION_FAILED, f"{self.file.path} is empty: it has no header", path=self.file.path
            )
        delimiter, quote, escape, skipped, header, count = row or (None, None, None, 0, True, 1)
        found = "" if delimiter in (None, "(empty)") else str(delimiter)
        if isinstance(skipped, int) and skipped > given.skip:
            # DuckDB would pass over lines that fit less well. They are rows, until somebody says otherwise.
            self._skippable, header = skipped, True
        if given.delimiter is not None:
            found = given.delimiter
        elif count == 1:
            # One column: either there is no delimiter, or broken lines kept the right one from being seen.
            likely = max(_DELIMITERS, key=first.count)
            found = likely if first.count(likely) else ","
            if self.file.path.lower().rsplit(".", 1)[-1] == "tsv":
                found = "\t"
        marks = '"' if quote in (None, "(empty)") else str(quote)
        marks = given.quote if given.quote is not None else marks
        other = marks if escape in (None, "(empty)") else str(escape)
        other = given.escape if given.escape is not None else other
        return Dialect(
            found,
            marks,
            other if marks else "",
            given.header if given.header is not None else bool(header),
            given.null or "",
            given.skip,
            given.encoding,
        )

    def names(self, dialect: Dialect) -> list[str]:
        """The names in the header, or `column0`… when there is none, as they stand."""
        record = next(islice(_records(self.pieces(dialect.encoding), dialect), 1), None)
        if record is None:
            return []
        return record if dialect.header else [f"column{number}" for number in range(len(record))]


class _LongLine(EngineError):
    """A line longer than the buffer: read again with a larger one."""

    def __init__(self, path: str) -> None:
        super().__init__(Code.ROW_REJECTED, f"{path}: a line is longer than {MAX_LINE} bytes", file=path)


def with_longer_lines(dialect: Dialect, error: EngineError) -> Dialect | None:
    """The dialect with the next larger buffer, when that is what `error` asks for."""
    if not isinstance(error, _LongLine):
        return None
    return replace(dialect, max_line=min(MAX_LINE, (dialect.max_line or 2 << 20) * 8))


def _records(stream: Iterator[bytes], dialect: Dialect) -> Iterator[list[str]]:
    for record in records(stream, dialect):
        yield record.fields


def _head(stream: Iterator[bytes]) -> bytes:
    """About the first HEAD bytes, up to the end of a line unless that is everything."""
    data = b""
    for piece in stream:
        data += piece
        if len(data) > HEAD:
            close = getattr(stream, "close", None)
            if close is not None:
                close()
            return data[: data.rfind(b"\n", 0, HEAD) + 1] or data
    return data


def _first_record(path: str, skip: int) -> str:
    with open(path, encoding="utf-8-sig", errors="replace", newline=None) as file:
        return next(islice(file, skip, None), "")


def _first_line(text: str) -> str:
    return text.split("\n", 1)[0][:300]
