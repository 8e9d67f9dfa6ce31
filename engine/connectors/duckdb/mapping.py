"""Structure of a source → structure of a DuckDB schema. Pure, the file is not asked.

Tables, types, NOT NULL, literal defaults and comments are carried. Foreign keys, unique keys, checks and
indexes are not: DuckDB cannot add them afterwards, and each costs memory that grows with the table. A primary
key is made where `upsert` needs one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.config import DbTarget, WriteMode
from engine.connectors.base import (
    Facts,
    Note,
    Phase,
    Severity,
    Statement,
    TargetColumn,
    TargetDatabase,
    TargetTable,
)
from engine.connectors.duckdb.identifiers import literal, qualified, quote
from engine.connectors.duckdb.types import Mapped, map_type
from engine.errors import Code, EngineError
from engine.formats.layout import distinct
from engine.schema import COPIED_KINDS, Column, Database, Table
from engine.types import Kind

_DEFAULTS = frozenset(
    {Kind.INT8, Kind.INT16, Kind.INT24, Kind.INT32, Kind.INT64, Kind.DECIMAL, Kind.YEAR}
    | {Kind.CHAR, Kind.VARCHAR, Kind.TEXT, Kind.ENUM, Kind.FLOAT64}
)
_MOMENTS = frozenset({Kind.DATE, Kind.DATETIME, Kind.TIMESTAMP})
_FIELD = "target.spec.db"


@dataclass(frozen=True, slots=True)
class MapOptions:
    catalog: str
    schema: str
    spec: DbTarget
    facts: Mapping[str, Facts]


def map_database(source: Database, options: MapOptions) -> TargetDatabase:
    """The target's tables, statements and notes. VALIDATION_FAILED for a rename of what is not there; what a
    policy refuses is a note of severity REFUSED."""
    tables = [table for table in source.tables if table.kind in COPIED_KINDS]
    renames = _renames(tables, options.spec.rename)
    wanted = [renames.get((table.name,)) or _cased(table.name, options) for table in tables]
    notes = [*_refused_policies(options), *_inventory(source)]
    mapped = tuple(
        _Table(table, name, asked, renames, options).mapped()
        for table, name, asked in zip(tables, distinct(wanted), wanted, strict=True)
    )
    namespace = Statement(
        Phase.NAMESPACE,
        None,
        options.schema,
        f"CREATE SCHEMA IF NOT EXISTS {quote(options.catalog)}.{quote(options.schema)}",
    )
    return TargetDatabase(options.schema, mapped, (namespace,), tuple(notes))


def _cased(name: str, options: MapOptions) -> str:
    return name.lower() if options.spec.policies.identifiers == "lower" else name


def _renames(tables: list[Table], rename: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    meanings: dict[str, list[tuple[str, ...]]] = {}
    for table in tables:
        meanings.setdefault(f"{table.schema}.{table.name}", []).append((table.name,))
        for column in table.columns:
            path = (table.name, column.name)
            meanings.setdefault(f"{table.schema}.{table.name}.{column.name}", []).append(path)
    problems, result = [], {}
    for key, new in rename.items():
        found = meanings.get(key, [])
        if len(found) == 1:
            result[found[0]] = new
        else:
            said = "this name could mean a table or a column" if found else "the stream has nothing so called"
            problems.append({"field": f"{_FIELD}.rename.{key}", "problem": said})
    if problems:
        first = problems[0]
        raise EngineError(Code.VALIDATION_FAILED, f"{first['field']}: {first['problem']}", fields=problems)
    return result


# ---------------------------------------------------------------- one table


class _Table:
    def __init__(
        self,
        source: Table,
        name: str,
        asked: str,
        renames: Mapping[tuple[str, ...], str],
        options: MapOptions,
    ) -> None:
        self.source = source
        self.name = name
        self.options = options
        self.facts = options.facts.get(source.name)
        self.notes: list[Note] = []
        if name != asked:
            self._note(Severity.WARNING, "case-collision", f"the table {asked} is called {name}")
        asked_columns = [
            renames.get((source.name, column.name)) or _cased(column.name, options)
            for column in source.columns
        ]
        self.names = dict(
            zip((column.name for column in source.columns), distinct(asked_columns), strict=True)
        )
        for column, wanted in zip(source.columns, asked_columns, strict=True):
            given = self.names[column.name]
            if given != wanted:
                said = f"{wanted} is called {given}: DuckDB's names have no case"
                self._note(Severity.WARNING, "case-collision", said, column.name)

    def _note(
        self,
        severity: Severity,
        slug: str,
        message: str,
        column: str | None = None,
        policy: str | None = None,
        count: int | None = None,
    ) -> None:
        self.notes.append(Note(severity, slug, message, self.name, column, policy, count))

    def mapped(self) -> TargetTable:
        options = self.options
        columns, definitions = [], []
        key = set(self.source.key_columns) if options.spec.write_mode is WriteMode.UPSERT else set()
        for column in self.source.columns:
            facts = None if self.facts is None else self.facts.columns.get(column.name)
            found = map_type(column, options.spec.policies, facts, column.type_dialect or self.source.dialect)
            remark = found.note(self.name, column.name)
            if remark is not None:
                self.notes.append(remark)
            nullable = column.nullable or self._loosened(column)
            columns.append(self._column(column, found, nullable))
            definitions.append(self._definition(column, found, nullable))
        if key and options.spec.structure_options.indexes:
            names = ", ".join(quote(self.names[name]) for name in self.source.key_columns)
            definitions.append(f"PRIMARY KEY ({names})")
        self._left_out()
        place = qualified(options.catalog, options.schema, self.name)
        statements = []
        if options.spec.structure_options.tables:
            sql = f"CREATE TABLE {place} (\n  " + ",\n  ".join(definitions) + "\n)"
            statements = [Statement(Phase.TABLE, self.name, self.name, sql), *self._comments(place)]
        return TargetTable(
            self.source, options.schema, self.name, tuple(columns), tuple(statements), tuple(self.notes)
        )

    def _column(self, column: Column, found: Mapped, nullable: bool) -> TargetColumn:
        return TargetColumn(
            source=column.name,
            name=self.names[column.name],
            type=found.type,
            base=found.base,
            nullable=nullable,
            conversion=found.conversion,
            labels=found.labels,
        )

    def _definition(self, column: Column, found: Mapped, nullable: bool) -> str:
        parts = [quote(self.names[column.name]), found.type]
        default = self._default(column, found)
        if default is not None:
            parts.append(f"DEFAULT {default}")
        if not nullable:
            parts.append("NOT NULL")
        return " ".join(parts)

    def _default(self, column: Column, found: Mapped) -> str | None:
        if column.generated is not None or column.default is None:
            return None
        value = column.default.literal
        known = column.type.kind in _DEFAULTS and found.base != "BLOB"
        if known and isinstance(value, str) and "\0" not in value:
            return f"CAST({literal(value)} AS {found.type})"
        self._note(Severity.INFO, "default-left-out", "the default is not carried to DuckDB", column.name)
        return None

    def _loosened(self, column: Column) -> bool:
        """NOT NULL goes where the policy turns dates of zeros into NULL and there may be some."""
        if column.type.kind not in _MOMENTS or self.options.spec.policies.zero_date != "null":
            return False
        known = None if self.facts is None else self.facts.columns.get(column.name)
        zeros = None if known is None else known.zero_dates
        if zeros == 0:
            return False
        said = "NOT NULL is dropped, because zero dates become NULL"
        self._note(Severity.WARNING, "zero-date-nullable", said, column.name, "zeroDate", zeros)
        return True

    def _left_out(self) -> None:
        """What the table has and DuckDB does not get, in one line each."""
        source, structure = self.source, self.options.spec.structure_options
        unique = sum(index.unique for index in source.indexes)
        keyed = source.primary_key and not (
            self.options.spec.write_mode is WriteMode.UPSERT and structure.indexes
        )
        left = [
            ("the primary key", bool(keyed)),
            (_counted(unique, "unique key"), structure.indexes and unique > 0),
            (
                _counted(len(source.indexes) - unique, "index", "indexes"),
                structure.indexes and len(source.indexes) > unique,
            ),
            (
                _counted(len(source.foreign_keys), "foreign key"),
                structure.foreign_keys and bool(source.foreign_keys),
            ),
            (_counted(len(source.checks), "check"), structure.check_constraints and bool(source.checks)),
        ]
        said = [what for what, there in left if there]
        if said:
            self._note(Severity.INFO, "no-constraints", f"not made on DuckDB: {', '.join(said)}")
        for column in source.columns:
            if column.generated is not None:
                self._note(
                    Severity.INFO, "generated-as-plain", "generated: carried as plain values", column.name
                )
            elif column.auto_increment:
                self._note(Severity.INFO, "no-identity", "DuckDB does not count on: values only", column.name)
            elif column.on_update_now:
                self._note(
                    Severity.INFO, "no-triggers", "ON UPDATE CURRENT_TIMESTAMP is not carried", column.name
                )

    def _comments(self, place: str) -> list[Statement]:
        made = []
        if self.source.comment:
            sql = f"COMMENT ON TABLE {place} IS {_commented(self.source.comment)}"
            made.append(Statement(Phase.COMMENT, self.name, "table", sql))
        for column in self.source.columns:
            if column.comment:
                where = f"{place}.{quote(self.names[column.name])}"
                sql = f"COMMENT ON COLUMN {where} IS {_commented(column.comment)}"
                made.append(Statement(Phase.COMMENT, self.name, f"column {column.name}", sql))
        return made


def _counted(count: int, noun: str, several: str = "") -> str:
    return f"{count} {noun if count == 1 else several or noun + 's'}"


def _commented(text: str) -> str:
    return literal(text.replace("\0", ""))


# ---------------------------------------------------------------- the rest


def _inventory(source: Database) -> list[Note]:
    left = (
        ("view", source.views),
        ("routine", source.routines),
        ("trigger", source.triggers),
        ("event", source.events),
        ("sequence", source.sequences),
    )
    notes = [
        Note(Severity.INFO, "not-in-duckdb", f"{_counted(len(found), noun)} not copied to DuckDB")
        for noun, found in left
        if found
    ]
    return [*notes, *(Note(Severity.INFO, "catalog", text) for text in source.notes)]


def _refused_policies(options: MapOptions) -> list[Note]:
    """Policies that would be ignored are refused by name."""
    policies = options.spec.policies
    meaningless = (
        (policies.geometry == "postgis", "geometry", "DuckDB has no PostGIS: auto and ewkb write WKB"),
        (policies.case_insensitive_text != "plain", "caseInsensitiveText", "text is compared exactly here"),
        (policies.triggers != "refuse", "triggers", "DuckDB has no triggers"),
        (
            policies.nul_byte == "bytea",
            "nulByte",
            "DuckDB holds NUL in text: refuse carries it, strip removes it",
        ),
        (policies.json_ == "jsonb", "json", "DuckDB has one JSON type: auto, json or text"),
    )
    return [
        Note(Severity.REFUSED, "policy-without-meaning", f"policies.{name}: {why}", policy=name)
        for refused, name, why in meaningless
        if refused
    ]
