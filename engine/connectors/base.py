"""What a connector offers, and the values handed between a source, the stream and a target.

Nothing here knows a dialect. A source connector makes `TableRead`s and readers; a target connector makes
`TargetTable`s and loads record batches; `engine.streams` drives both.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

from engine.config import DbTarget, Policies, Selection, WriteMode
from engine.schema import Column, Database, Table
from engine.types import Image

if TYPE_CHECKING:  # the registry is loaded by processes that never see a batch
    import pyarrow as pa

# ---------------------------------------------------------------- what the plan reports


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    REFUSED = "refused"  # the stream will not start while one of these stands


@dataclass(frozen=True, slots=True)
class Note:
    """One line of the plan's report: what is not carried as it is, and why.

    `slug` names the policy or case in docs/policies.md. `count` is how many values it touches, where known.
    """

    severity: Severity
    slug: str
    message: str
    table: str | None = None
    column: str | None = None
    policy: str | None = None
    count: int | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            key: value
            for key, value in (
                ("severity", self.severity.value),
                ("slug", self.slug),
                ("message", self.message),
                ("table", self.table),
                ("column", self.column),
                ("policy", self.policy),
                ("count", self.count),
            )
            if value is not None
        }


@dataclass(frozen=True, slots=True)
class ServerInfo:
    flavor: str  # mysql, mariadb, postgresql, duckdb, files, s3
    version: str  # as printed
    version_tuple: tuple[int, ...]
    identity: str  # server uuid or system identifier: tells one server from another
    tls: str | None = None  # negotiated protocol, or None for plain text


# ---------------------------------------------------------------- reading


@dataclass(frozen=True, slots=True)
class ReadColumn:
    """How one column is read: the left half of its codec.

    expression: SELECT expression in the source dialect, already quoted, for our own reader.
    connectorx: the same for ConnectorX, giving a type it carries exactly, or None when it cannot.
    invalid: what happens to a temporal value outside the calendar (policy zeroDate).
    """

    name: str
    expression: str
    image: Image
    arrow: pa.DataType
    source: Column
    connectorx: str | None = None
    invalid: Literal["refuse", "null", "sentinel"] = "refuse"


@dataclass(frozen=True, slots=True)
class TableRead:
    """A table, or the result of a query, as it is read: columns in the order of the batches. Generated
    columns are not among them unless they are copied as plain ones.

    selection: filters, sorts and limit the reader applies; its columns are applied already. With sorts or a
    limit the table is one chunk, in the order of the sorts.
    version: of the source's server, as its own protocol numbers it; 0 where it does not matter.
    """

    table: Table
    columns: tuple[ReadColumn, ...]
    key: tuple[str, ...] = ()  # columns that order and range the chunks; empty: one stream, no order
    batch_rows: int = 65_536
    batch_bytes: int = 8 << 20
    widest_row: int | None = None  # bytes, measured or estimated; sets ConnectorX's batch_size
    selection: Selection = field(default_factory=Selection)
    version: int = 0

    @property
    def arrow_schema(self) -> pa.Schema:
        import pyarrow as pa

        return pa.schema([pa.field(column.name, column.arrow) for column in self.columns])


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """What the data of a column says; None where nobody asked.

    max_octets: of a value as UTF-8. zero_dates, empty_enum (index 0), lossy_text (does not survive the way to
    UTF-8 and back), inexact_json (a number that neither 64 bits nor a double hold): how many values.
    integer_digits, fraction_digits: the most that any decimal has before and behind the point. nans,
    infinities: how many decimals are none; where nans is known, digits of None mean that there are no values.
    """

    min: int | None = None
    max: int | None = None
    zero_dates: int | None = None
    empty_enum: int | None = None
    max_octets: int | None = None
    lossy_text: int | None = None
    integer_digits: int | None = None
    fraction_digits: int | None = None
    nans: int | None = None
    infinities: int | None = None
    inexact_json: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What the data of a table says, by source column."""

    columns: Mapping[str, ColumnFacts]


KeyValue = int | str | bytes


@dataclass(frozen=True, slots=True)
class KeyRange:
    """A half-open range [lower, upper) of the key in the source's own order; None is unbounded."""

    columns: tuple[str, ...]
    lower: tuple[KeyValue, ...] | None = None
    upper: tuple[KeyValue, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        return {"columns": list(self.columns), "lower": _plain(self.lower), "upper": _plain(self.upper)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> KeyRange:
        return cls(tuple(data["columns"]), _rich(data["lower"]), _rich(data["upper"]))


def _plain(values: tuple[KeyValue, ...] | None) -> list[Any] | None:
    if values is None:
        return None
    return [{"hex": value.hex()} if isinstance(value, bytes) else value for value in values]


def _rich(values: Sequence[Any] | None) -> tuple[KeyValue, ...] | None:
    if values is None:
        return None
    return tuple(bytes.fromhex(value["hex"]) if isinstance(value, dict) else value for value in values)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a table that is committed as one. `bounds` None is the whole table."""

    number: int
    bounds: KeyRange | None
    estimated_rows: int = 0
    estimated_bytes: int = 0


@dataclass(frozen=True, slots=True)
class RawRows:
    """Rows in the target's own wire form, taken from the source as they are: PostgreSQL's binary COPY tuples
    without header and trailer."""

    data: bytes | bytearray | memoryview
    rows: int

    @property
    def nbytes(self) -> int:
        return len(self.data)


ReaderKind = Literal["native", "connectorx"]


class SnapshotReader(Protocol):
    """One connection to the source, used by one thread at a time."""

    def read(self, read: TableRead, bounds: KeyRange | None) -> Generator[pa.RecordBatch, None, None]:
        """Batches with `read.arrow_schema`, in key order. Raises EngineError: VALUE_NOT_REPRESENTABLE with
        table, column, key and value; CONNECTION_LOST; QUERY_FAILED."""

    @property
    def counters(self) -> Mapping[tuple[str, str], int]:
        """How many values a policy touched so far: (column, policy) → count."""

    def cancel(self) -> None:
        """From another thread: stop the running read on the server, so that nobody works for nothing."""

    def close(self) -> None: ...


class RawReader(SnapshotReader, Protocol):
    """A reader that can also pass rows on undecoded, to a target for which `Target.takes_raw` says so."""

    def read_raw(self, read: TableRead, bounds: KeyRange | None) -> Generator[RawRows, None, None]: ...


@runtime_checkable
class PrintsMoments(Protocol):
    """A source whose timestamps reach further than their image does."""

    def printed(self, read: TableRead) -> TableRead:
        """The same rows with every date and time of day together as the server's text, in UTC."""


class Picture(Protocol):
    """Readers that see the same rows, where the source allows it (`consistent`). `broken`: a reader had to be
    replaced by one with a newer picture."""

    @property
    def consistent(self) -> bool: ...

    @property
    def broken(self) -> bool: ...

    def reader(self, kind: ReaderKind) -> SnapshotReader:
        """A reader of its own, which the caller closes. Called from any thread. A source without ConnectorX
        gives its own reader whatever the kind."""


class SnapshotSource(Protocol):
    """A source system for a bounded read: a database of it, or files. One thread at a time."""

    database: str  # what a person would call it: the database's name, the folder, the bucket
    info: ServerInfo

    def catalog(self, database: str, only: Sequence[str] | None = None) -> Database:
        """Tables of `database` (always `self.database`); `only` those, where given: names that are not there
        are simply absent from the answer."""

    def query_table(self, name: str, query: str) -> Table:
        """The result of a SELECT as a table of that name (kind QUERY, `query` set), its columns discovered
        without running it. Raises QUERY_FAILED with the server's words; UNSUPPORTED_ROUTE where SQL cannot
        be a source."""

    def facts(self, table: Table, policies: Policies) -> Facts:
        """What the data says where the structure alone does not decide; asks only what the policies need."""

    def plan_read(
        self,
        table: Table,
        policies: Policies,
        *,
        plain_generated: frozenset[str] = frozenset(),
        max_rows: int | None = None,
        selection: Selection | None = None,
    ) -> tuple[TableRead, tuple[Note, ...]]:
        """How a table is read. `plain_generated`: generated columns to read as if they were plain.
        `selection`: only its columns are read; it filters and sorts by any column of `table`, selected or
        not. UNKNOWN_COLUMN names one that is not there."""

    def chunks(self, read: TableRead, target_bytes: int, minimum: int) -> tuple[Chunk, ...]:
        """Ranges that together are the whole table, each about target_bytes; at least `minimum` of them when
        the table is big enough to share among workers. A read with sorts or a limit is one chunk."""

    def position(self) -> str | None:
        """Where the source's log, or its files, stand now: equal positions mean that nothing has changed in
        between. None where the source cannot tell."""

    def picture(self, count: int) -> AbstractContextManager[Picture]:
        """One picture of the source for `count` readers. Leaving it closes what was not handed out."""

    def close(self) -> None: ...


# ---------------------------------------------------------------- the target's structure


class Phase(StrEnum):
    """When a statement runs. The order of members is the order of a stream."""

    NAMESPACE = "namespace"  # schema
    TYPE = "type"  # enums, domains, helper functions
    TABLE = "table"
    DATA = "data"  # no statements: the rows go here
    PRIMARY_KEY = "primary_key"
    INDEX = "index"
    CHECK = "check"
    FOREIGN_KEY = "foreign_key"
    VALIDATE = "validate"
    SEQUENCE = "sequence"
    TRIGGER = "trigger"
    COMMENT = "comment"
    ANALYZE = "analyze"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of structure. `exists` is a query giving one row when it has been carried out already
    (by an earlier attempt or by the user), None when repeating it is harmless."""

    phase: Phase
    table: str | None  # target table name
    object: str  # what it makes, for messages and the journal; unique within (phase, table)
    sql: str
    exists: str | None = None


@dataclass(frozen=True, slots=True)
class TargetColumn:
    source: str  # source column name
    name: str  # target column name
    type: str  # rendered, e.g. `numeric(20,0)` or `"shop"."film_rating"`
    base: str  # what the encoder is chosen by: the type's catalog name, e.g. `numeric`, `_text`, `enum`
    nullable: bool = True
    loaded: bool = True  # False: generated by the target itself
    conversion: str = ""  # one line for people: how values change, empty when they do not
    labels: tuple[str, ...] = ()  # of an enum, or of a set that became an array


@dataclass(frozen=True, slots=True)
class TargetTable:
    source: Table
    schema: str
    name: str
    columns: tuple[TargetColumn, ...]
    statements: tuple[Statement, ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class TargetDatabase:
    schema: str
    tables: tuple[TargetTable, ...]
    statements: tuple[Statement, ...] = ()  # not belonging to one table: namespace, types, functions
    notes: tuple[Note, ...] = ()


# ---------------------------------------------------------------- comparing both sides


class Form(StrEnum):
    """The text, or the bytes, in which both servers' values of one column are compared.

    Those of SERVER_FORMS are printed alike by SQL on both sides; the others only by our own encoder.
    """

    INTEGER = "integer"  # digits with an optional '-'
    DECIMAL = "decimal"  # as declared
    DECIMAL_TRIMMED = "decimal_trimmed"  # without trailing zeros of the fraction
    BITS = "bits"  # one digit a bit
    DATE = "date"  # ISO, '-infinity' for the sentinel
    MOMENT = "moment"  # date and time without zone, or in UTC; fraction without trailing zeros
    DURATION = "duration"  # [-]HH:MM:SS with the fraction without trailing zeros
    TEXT = "text"  # UTF-8
    PRINTED = "printed"  # whatever the servers print: pairs of types nothing better is known for
    BYTES = "bytes"  # hexadecimal
    LABELS = "labels"  # of a set: how many, then joined by commas
    UUID = "uuid"  # 32 hexadecimal digits
    INET = "inet"  # the bytes of PostgreSQL's inet_send, hexadecimal
    FLOAT = "float"  # IEEE 754 double, eight bytes
    JSON = "json"  # keys sorted, numbers by value
    GEOMETRY = "geometry"  # SRID, then WKB
    VECTOR = "vector"  # IEEE 754 single, four bytes each
    # Texts that name one value but are not always the same for the same value: alike proves equality, unlike
    # proves nothing.
    FLOAT_TEXT = "float_text"
    JSON_TEXT = "json_text"


SERVER_FORMS = frozenset(Form) - {Form.FLOAT, Form.JSON, Form.GEOMETRY, Form.VECTOR}


@dataclass(frozen=True, slots=True)
class DigestColumn:
    """One column of both sides with the form it is compared in.

    inline: bytes up to which a text or binary value goes into the row's text as it is, after its length;
    longer ones go as 'h' and their hash. None: as they are, whatever their length.
    """

    read: ReadColumn
    target: TargetColumn
    form: Form
    inline: int | None = None


class HashFunction(StrEnum):
    """Names as in hashlib. MySQL from 9.6 on has MD5 only as an optional component."""

    MD5 = "md5"
    SHA256 = "sha256"


class DigestSql(Protocol):
    """How one server spells what a comparison needs. Every method gives SQL text; `text` and `hex` in the
    names say what the expression yields. Texts are UTF-8 on both sides."""

    table: str  # quoted and qualified

    def field_text(self, column: DigestColumn) -> str:
        """The column in its form (of SERVER_FORMS), never NULL: '~' stands for it."""

    def raw(self, column: DigestColumn) -> str:
        """The column for our own encoder."""

    def joined(self, texts: Sequence[str]) -> str:
        """The texts with '|' between."""

    def digest_hex(self, text: str) -> str:
        """The first 64 bits of the hash of a text, 16 lower-case digits."""

    def number(self, digest_hex: str) -> str:
        """A 64-bit integer, signed or not, that can be summed without overflow."""

    def bucket(self, digest_hex: str, count: int) -> str:
        """0 to count-1; `count` is a power of two up to 65536."""

    def within(self, bounds: KeyRange | None) -> str:
        """A condition on the leading key column. NULL belongs to the range without lower bound."""


class DigestSession(Protocol):
    """One connection for comparing, used by one thread at a time (`cancel` by any)."""

    def begin(self) -> None:
        """Start a read-only transaction with one picture of the data."""

    def end(self) -> None: ...

    def rows(self, statement: str) -> Iterator[tuple[Any, ...]]:
        """Stream the rows of a SELECT, however many. Raises QUERY_FAILED, CONNECTION_LOST."""

    def fetch(self, statement: str) -> list[tuple[Any, ...]]:
        """The few rows of a SELECT, by whatever plan is fastest. Raises as `rows`."""

    def cancel(self) -> None: ...

    def close(self) -> None: ...


# ---------------------------------------------------------------- loading

SqlLog = Callable[[str, str], None]  # statement, purpose
Encoded: TypeAlias = "memoryview | pa.RecordBatch | RawRows"


@dataclass(slots=True)
class LoadResult:
    rows: int = 0
    bytes: int = 0
    counters: dict[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TableState:
    """What the journal in the target says of one table. `detail` is what `Target.prepare` was given, and
    `created`: whether this stream made the table."""

    state: str
    detail: Mapping[str, Any]
    chunks: Mapping[int, tuple[int, int]] = field(default_factory=dict)  # number → rows, bytes


@dataclass(frozen=True, slots=True)
class LoadTable:
    """Where the rows of one table go: target columns in the order of the encoded fields."""

    schema: str
    name: str
    columns: tuple[str, ...]
    write_mode: WriteMode
    primary_key: tuple[str, ...] = ()
    disable_triggers: bool = False
    text: bool = False  # encoded rows are in the target's text form, where it has two


class BatchEncoder(Protocol):
    """The right half of a table's codecs: batches as read → what the loader takes."""

    @property
    def counters(self) -> Mapping[tuple[str, str], int]: ...

    def encode(self, batch: pa.RecordBatch) -> Encoded:
        """Valid until the next call. Raises ext.rowerror.RowError for the first value that cannot go."""


class Loader(Protocol):
    """One session of the target, used by one thread (`cancel` by any)."""

    def load(self, table: LoadTable, chunk: int, encoded: Iterable[tuple[Encoded, int]]) -> LoadResult:
        """Load one chunk and commit it with its checkpoint, both or neither. `encoded` gives rows and how
        many they are; an exception of it leaves the target as it was.

        Raises EPOCH_SUPERSEDED, CONNECTION_LOST (the commit may or may not have happened: ask `committed`),
        ROW_REJECTED, CONSTRAINT_VIOLATION, TARGET_FULL, PERMISSION_DENIED.
        """

    def committed(self, table: str, chunk: int) -> tuple[int, int] | None:
        """Rows and bytes of the chunk when it is durable."""

    def cancel(self) -> None: ...

    def close(self) -> None: ...


class Finisher(Protocol):
    """One session that runs statements after the data, used by one thread."""

    def run(self, statement: Statement, log: SqlLog) -> Note | None: ...

    def close(self) -> None: ...


class Target(Protocol):
    """Where a stream loads into. Looking changes nothing until `claim`.

    The order of calls: map, check, load_order (plan) → claim → prepare → load_table, encoder, loader… →
    finishing, finisher → put_stream("finished") → forget. A later attempt does the same; `journal` then holds
    what the earlier ones decided and committed, and policies are not asked again.
    """

    spec: DbTarget  # policies, schemaPolicy, writeMode, skipData; a target that is no database makes one up
    info: ServerInfo
    database: str
    schema: str

    def map(self, database: Database, facts: Mapping[str, Facts]) -> TargetDatabase:
        """Structure of the source → structure here. Pure; what cannot be carried is a note."""

    def exists(self, name: str) -> bool:
        """Whether the target has a table of that name now."""

    def check(self, read: TableRead, table: TargetTable) -> list[Note]:
        """What the schema policy and the write mode say of a table that is or is not there; for one that
        stays, whether every column read fits it."""

    def as_found(self, table: TargetTable) -> TargetTable:
        """The table with its live column types, where it is there and stays."""

    def load_order(self, tables: Sequence[TargetTable]) -> tuple[list[list[str]], list[Note]]:
        """Waves of target table names: rows a kept foreign key points at come in an earlier wave."""

    def references_itself(self, name: str) -> bool: ...

    def takes_raw(self, read: TableRead, table: TargetTable) -> bool:
        """Whether RawRows of this read can be loaded undecoded."""

    def encoder(self, read: TableRead, table: TargetTable) -> BatchEncoder: ...

    def claim(self) -> bool:
        """Own the stream: make database and schema when absent, raise the epoch. True when an earlier attempt
        left something."""

    def journal(self) -> dict[str, TableState]:
        """What earlier attempts decided and committed; empty before the first `claim`."""

    def stream_detail(self) -> Mapping[str, Any]: ...

    def put_stream(self, state: Literal["running", "finished"], detail: Mapping[str, Any]) -> None: ...

    def is_finished(self) -> bool: ...

    def prepare(
        self, database: TargetDatabase, details: Mapping[str, Mapping[str, Any]], log: SqlLog
    ) -> dict[str, TableState]:
        """Decide the policies once per table, journal that with `details`, and create what is missing. The
        returned journal holds every table."""

    def load_table(self, read: TableRead, table: TargetTable) -> LoadTable: ...

    def loader(self) -> Loader: ...

    def finishing(
        self, database: TargetDatabase, journal: Mapping[str, TableState]
    ) -> dict[Phase, list[Statement]]:
        """What is left to do after the data, by phase, in order."""

    def finisher(self) -> Finisher: ...

    def forget(self) -> None:
        """Remove this stream's checkpoints: after the store says FINISHED, or for cleanup."""

    def close(self) -> None: ...
