"""The JSON contract as pydantic models: connections and stream configs.

Every model refuses unknown fields. Names on the wire are the contract's camelCase; in code, snake_case.
What a model accepts is only the shape; whether a route can honour a field is the planner's to say.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    SerializationInfo,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from engine.errors import Code, EngineError

MASK = "********"


def _dump_secret(value: SecretStr, info: SerializationInfo) -> str:
    reveal = bool(info.context and info.context.get("reveal"))
    return value.get_secret_value() if reveal else MASK


Secret = Annotated[SecretStr, PlainSerializer(_dump_secret, return_type=str)]
Name = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]+$")]
Identifier = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]+$")]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
Count = Annotated[int, Field(ge=0, le=2**63 - 1, strict=True)]


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True, frozen=True)

    def to_json(self, *, reveal: bool = False) -> dict[str, Any]:
        """The wire form. Secrets read MASK unless `reveal`: for the encrypted store and for workers only."""
        return self.model_dump(mode="json", by_alias=True, context={"reveal": reveal}, exclude_none=True)

    @classmethod
    def parse(cls, data: Any) -> Self:
        """Validate a decoded JSON body; VALIDATION_FAILED lists every bad field by its path."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise validation_failed(error) from None


def validation_failed(error: ValidationError) -> EngineError:
    """One EngineError for all the problems pydantic found; the values themselves are not echoed."""
    problems = [
        {"field": ".".join(str(part) for part in item["loc"]) or "(body)", "problem": item["msg"]}
        for item in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    first = problems[0]
    return EngineError(Code.VALIDATION_FAILED, f"{first['field']}: {first['problem']}", fields=problems)


# ---------------------------------------------------------------- connections


class ConnectionType(StrEnum):
    MYSQL = "mysql"
    MARIADB = "mariadb"
    POSTGRESQL = "postgresql"
    FILES = "files"
    S3 = "s3"
    DUCKDB = "duckdb"
    SNOWFLAKE = "snowflake"


class TlsMode(StrEnum):
    DISABLE = "disable"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


class Tls(BaseModel):
    """`ca`, `client_cert` and `client_key` are PEM text, never paths: a request cannot name a server file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: TlsMode = TlsMode.PREFER
    ca: str | None = None
    client_cert: str | None = None
    client_key: Secret | None = None

    @model_validator(mode="after")
    def _pem_and_pairs(self) -> Self:
        for name, pem in (("ca", self.ca), ("client_cert", self.client_cert)):
            if pem is not None and "-----BEGIN" not in pem:
                raise ValueError(f"ssl.{name} must be PEM text (it starts with -----BEGIN)")
        if self.mode in (TlsMode.VERIFY_CA, TlsMode.VERIFY_FULL) and not self.ca:
            raise ValueError(f"ssl.mode {self.mode.value} needs ssl.ca")
        if (self.client_cert is None) != (self.client_key is None):
            raise ValueError("ssl.client_cert and ssl.client_key go together")
        return self


class DatabaseSpec(Model):
    host: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00\s]+$")]
    port: Port
    username: Annotated[str, Field(min_length=1, max_length=128)]
    password: Secret = SecretStr("")
    database: Identifier | None = None


class FilesSpec(Model):
    base_path: str


class S3Credentials(Model):
    access_key: str
    secret_key: Secret
    session_token: Secret | None = None


class S3Scope(Model):
    bucket: str | None = None
    prefix: str | None = None


class S3Spec(Model):
    region: str
    endpoint: str | None = None
    credentials: S3Credentials
    scope: S3Scope = S3Scope()
    url_style: Literal["auto", "path", "virtual"] = "auto"
    use_ssl: bool = Field(default=True, alias="useSSL")


class DuckdbSpec(Model):
    path: str


class ConnectionSpec(Model):
    """Exactly one of the fields."""

    database: DatabaseSpec | None = None
    files: FilesSpec | None = None
    s3: S3Spec | None = None
    duckdb: DuckdbSpec | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(value is not None for value in (self.database, self.files, self.s3, self.duckdb)) != 1:
            raise ValueError("exactly one of database, files, s3, duckdb")
        return self


_SPEC_OF = {
    ConnectionType.MYSQL: "database",
    ConnectionType.MARIADB: "database",
    ConnectionType.POSTGRESQL: "database",
    ConnectionType.FILES: "files",
    ConnectionType.S3: "s3",
    ConnectionType.DUCKDB: "duckdb",
}
_FLAT = ("host", "port", "username", "password", "database", "defaultDatabase")


class Connection(Model):
    """What a user sends to save or test a connection. The flat form is folded into `spec.database`."""

    name: Name
    type: ConnectionType
    alias: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")] | None = None
    ssl: Tls = Tls()
    spec: ConnectionSpec

    @model_validator(mode="before")
    @classmethod
    def _fold_flat_form(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = dict(data)
        if data.get("type") == ConnectionType.SNOWFLAKE:
            raise EngineError(
                Code.UNSUPPORTED_CONNECTION_TYPE,
                "snowflake connections are not available yet",
                type="snowflake",
            )
        flat = {key: data.pop(key) for key in _FLAT if key in data}
        if flat:
            if "spec" in data:
                raise ValueError(f"give either spec or the flat fields ({', '.join(flat)}), not both")
            if "defaultDatabase" in flat:
                flat.setdefault("database", flat.pop("defaultDatabase"))
            data["spec"] = {"database": flat}
        return data

    @model_validator(mode="after")
    def _spec_matches_type(self) -> Self:
        wanted = _SPEC_OF[self.type]
        if getattr(self.spec, wanted) is None:
            raise ValueError(f"a {self.type.value} connection needs spec.{wanted}")
        return self

    @property
    def database(self) -> DatabaseSpec:
        """The coordinates of a server; callers have checked the type."""
        assert self.spec.database is not None
        return self.spec.database


# ---------------------------------------------------------------- stream configs


class Mode(StrEnum):
    CONVERT = "convert"
    CDC = "cdc"


class SchemaPolicy(StrEnum):
    FAIL_IF_EXISTS = "fail_if_exists"
    VALIDATE_EXISTING = "validate_existing"
    CREATE_MISSING_ONLY = "create_missing_only"
    DROP_AND_RECREATE = "drop_and_recreate"


class WriteMode(StrEnum):
    FAIL_IF_NOT_EMPTY = "fail_if_not_empty"
    APPEND = "append"
    TRUNCATE_AND_LOAD = "truncate_and_load"
    UPSERT = "upsert"


FileFormat = Literal["csv", "json", "jsonl", "parquet"]


class Filter(Model):
    column: Identifier
    operator: Literal["=", "!=", "<", "<=", ">", ">=", "like", "in", "is null", "is not null"]
    value: str | list[str] | None = None


class Sort(Model):
    column: Identifier
    direction: Literal["ASC", "DESC"] = "ASC"


class Selection(Model):
    selected_columns: list[Identifier] = []
    filters: list[Filter] = []
    sorts: list[Sort] = []
    limit: Count | None = None

    @property
    def is_everything(self) -> bool:
        return not self.selected_columns and not self.filters and not self.sorts and self.limit is None


class TableSelection(Model):
    name: Identifier
    selection: Selection = Selection()


class QuerySource(Model):
    name: Identifier
    query: Annotated[str, Field(min_length=1)]


class CsvDialect(Model):
    """How a CSV source is read where it does not say so itself; None is found out from the file."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    quote: Annotated[str, Field(max_length=1)] | None = None
    escape: Annotated[str, Field(max_length=1)] | None = None
    header: bool | None = None
    encoding: str | None = None  # utf-8, latin-1, utf-16
    null: str | None = None  # the unquoted text that means NULL; default: nothing at all
    skip: Annotated[int, Field(ge=0, le=1_000_000, strict=True)] = 0  # lines before the first row


class FileReading(Model):
    """Ours. How files become tables: `tables: file` gives each its own, `folder` one per folder (its files
    have one shape). `columns` overrides inferred types by DuckDB type name."""

    format: FileFormat | None = None  # None: by the name
    tables: Literal["file", "folder"] = "file"
    columns: dict[str, str] = {}
    csv: CsvDialect = CsvDialect()


class FilesSource(FileReading):
    """`paths` are files, globs or folders under `base_path`, which is under the connection's; no paths means
    everything in it."""

    base_path: str = ""
    paths: list[Annotated[str, Field(min_length=1, pattern=r"^[^\x00]+$")]] = []


class S3Source(FileReading):
    bucket: Annotated[str, Field(min_length=3, max_length=63)]
    prefixes: list[str] = []
    objects: list[str] = []
    manifest_path: str | None = None  # a manifest of ours: names the objects, so that nothing is listed


class SourceConnection(Model):
    alias: str | None = None
    connection_id: str
    database: Identifier | None = None
    schema_name: Identifier | None = Field(default=None, alias="schema")
    tables: list[TableSelection] = []
    exclude: list[Identifier] = []  # ours: tables left out when all are taken
    queries: list[QuerySource] = []
    files: FilesSource | None = None
    s3: S3Source | None = None


class SourceOptions(Model):
    data_bundle_size: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] | None = None
    replication_slot: str = ""
    publication_name: str = ""
    binlog_position: str = ""
    operations: list[Literal["insert", "update", "delete"]] = ["insert", "update", "delete"]
    initial_load: bool = True
    workers: Annotated[int, Field(ge=0, le=64, strict=True)] = 0
    slot_cleanup: bool = False
    reader: Literal["auto", "native", "connectorx"] = "auto"  # ours
    chunk_bytes: Annotated[int, Field(ge=65_536, le=1 << 30, strict=True)] = 64 << 20  # ours: of source data


class Source(Model):
    connections: Annotated[list[SourceConnection], Field(min_length=1)]
    query: str | None = None
    options: SourceOptions = SourceOptions()


class StructureOptions(Model):
    tables: bool = True
    indexes: bool = True
    foreign_keys: bool = True
    check_constraints: bool = True


class Policies(Model):
    """What to do with values and structures the target cannot hold as they are; careful by default."""

    zero_date: Literal["refuse", "null", "sentinel"] = "refuse"
    nul_byte: Literal["refuse", "strip", "replace", "bytea"] = "refuse"
    invalid_text: Literal["refuse", "replace", "bytea"] = "refuse"
    tinyint1: Literal["smallint", "boolean"] = "smallint"
    enum: Literal["native", "text"] = "native"
    set: Literal["array", "text"] = "array"
    json_: Literal["auto", "json", "jsonb", "text"] = Field(default="auto", alias="json")
    geometry: Literal["auto", "postgis", "ewkb"] = "auto"
    time: Literal["interval", "time"] = "interval"
    infinity: Literal["refuse", "null", "sentinel"] = "refuse"
    nan: Literal["refuse", "null"] = "refuse"
    unbounded_numeric: Literal["refuse", "scan", "text"] = "refuse"
    case_insensitive_text: Literal["plain", "citext", "icu"] = "plain"
    uuid: Literal["native", "char", "binary"] = "native"
    identifiers: Literal["exact", "lower"] = "exact"
    long_identifiers: Literal["hash", "refuse"] = "hash"
    triggers: Literal["refuse", "disable", "fire"] = "refuse"
    generated: Literal["recreate", "plain"] = "recreate"
    source_types: Literal["restore", "ignore"] = "restore"


class DbTarget(Model):
    database: Identifier | None = None
    schema_name: Identifier | None = Field(default=None, alias="schema")
    schema_policy: SchemaPolicy = SchemaPolicy.CREATE_MISSING_ONLY
    write_mode: WriteMode = WriteMode.APPEND
    skip_data: bool = False
    structure_options: StructureOptions = StructureOptions()
    policies: Policies = Policies()
    rename: dict[str, Identifier] = {}


class ParquetFormat(Model):
    compression_codec: Literal["none", "snappy", "gzip", "zstd"] | None = None  # None: format.compression
    compression_level: Annotated[int, Field(ge=1, le=22, strict=True)] | None = None
    max_row_group_size: Annotated[int, Field(ge=1, le=1 << 30, strict=True)] = 122_880  # rows
    target_row_group_size_mb: Annotated[int, Field(ge=1, le=1024, strict=True)] | None = Field(
        default=None, alias="targetRowGroupSizeMB"
    )
    enable_dictionary: bool = True
    enable_statistics: bool = True
    timestamp_unit: Literal["ms", "us", "ns"] = "us"


class CsvFormat(Model):
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    quote: Annotated[str, Field(min_length=1, max_length=1)] = '"'
    header: bool = True


class FormatOptions(Model):
    compression: Literal["none", "gzip", "zstd", "snappy"] = "none"
    parquet: ParquetFormat = ParquetFormat()
    csv: CsvFormat = CsvFormat()


class FilesTarget(Model):
    """Files of one format, a folder a table, with a manifest of ours beside them.

    Ours: `path` is the folder under the connection's base path, or one file when it ends in the format's
    suffix (then the stream has one table). `part_bytes` closes a part; `write_mode` and `policies` mean what
    they mean for a database (no upsert).
    """

    file_format: FileFormat
    format: FormatOptions = FormatOptions()
    path: Annotated[str, Field(pattern=r"^[^\x00]*$")] = ""
    part_bytes: Annotated[int, Field(ge=65_536, le=5 << 30, strict=True)] = 256 << 20
    write_mode: WriteMode = WriteMode.APPEND
    policies: Policies = Policies()
    rename: dict[str, Identifier] = {}


class S3Upload(Model):
    bucket: Annotated[str, Field(min_length=3, max_length=63)]
    prefix: str = ""
    storage_class: str | None = None
    server_side_enc: Literal["AES256", "aws:kms"] | None = None
    kms_key_id: str | None = None
    keep_local_files: bool = False


class S3Target(FilesTarget):
    upload: S3Upload


class TargetSpec(Model):
    """Exactly one form. gcs, azure and snowflake are refused by the planner by name."""

    db: DbTarget | None = None
    files: FilesTarget | None = None
    s3: S3Target | None = None
    gcs: dict[str, Any] | None = None
    azure: dict[str, Any] | None = None
    snowflake: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("exactly one of db, files, s3, gcs, azure, snowflake")
        return self


class Target(Model):
    id: str
    spec: TargetSpec


class Limits(Model):
    number_of_events: Count = 0
    elapsed_time: Count = 0


class StreamConfig(Model):
    name: Name
    mode: Mode
    description: str = ""
    reporting_interval: Annotated[int, Field(ge=1, le=3600, strict=True)] = 3
    source: Source
    target: Target
    limits: Limits = Limits()

    @model_validator(mode="before")
    @classmethod
    def _load_means_convert(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("mode") == "load":
            return {**data, "mode": "convert"}
        return data
