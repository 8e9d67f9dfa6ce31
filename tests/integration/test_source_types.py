"""Columns that have a type of another system's again, and when they do not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine.config import StreamConfig
from engine.streams.job import StreamJob
from engine.streams.run import plan_stream
from tests import running

pytestmark = pytest.mark.integration

TABLE = (
    "CREATE TABLE t (id int PRIMARY KEY, took time(1) DEFAULT '01:00:00',"
    " tags set('a','b') NOT NULL DEFAULT 'a', mood enum('x','y') DEFAULT 'y', n bigint unsigned DEFAULT 7);"
    " INSERT INTO t VALUES (1, '-12:00:00.5', 'b,a', 'x', 18446744073709551615)"
)
OLD = {"id": "int(11)", "took": "time(1)", "tags": "set('a','b')", "mood": "enum('x','y')"}
TYPES = (
    "SELECT COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS"
    " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = 't'"
)


class There:
    """A table of MariaDB in PostgreSQL, and an empty MariaDB to take it back to."""

    def __init__(self, mariadb: MysqlEndpoint, postgres: PostgresEndpoint) -> None:
        self.mariadb, self.postgres = mariadb, postgres
        self.first, self.there, self.back = mariadb.database(), postgres.database(), mariadb.database()
        mariadb.execute(TABLE, database=self.first)
        running.finish(self.job(mariadb, self.first, postgres, self.there))

    def job(self, source: Any, database: str, target: Any, into: str, **policies: str) -> StreamJob:
        return running.job(source, database, target, into, policies=policies)

    def way_back(self, **policies: str) -> StreamJob:
        return self.job(self.postgres, self.there, self.mariadb, self.back, **policies)

    def types(self) -> dict[str, str]:
        return dict(self.mariadb.query(TYPES, (self.back,)))

    def change(self, statement: str) -> None:
        self.postgres.execute(statement, database=self.there)

    def notes(self, **policies: str) -> set[tuple[str, str | None]]:
        plan = plan_stream(self.way_back(**policies))
        return {(note["slug"], note.get("column")) for note in plan["notes"]}

    def said(self) -> str:
        return " ".join(note["message"] for note in plan_stream(self.way_back())["notes"])


@pytest.fixture
def there(mariadb: MysqlEndpoint, postgres: PostgresEndpoint) -> Iterator[There]:
    made = There(mariadb, postgres)
    yield made
    for name in (made.first, made.back):
        mariadb.drop_database(name)
    postgres.drop_database(made.there)


def test_types_come_back_and_the_plan_says_so(there: There) -> None:
    """slugs: source-type, source-type-default"""
    assert there.notes() >= {("source-type", name) for name in ("took", "tags", "mood", "n")}
    running.finish(there.way_back())
    assert there.types() == {**OLD, "n": "bigint(20) unsigned"}
    defaults = there.mariadb.query(
        "SELECT COLUMN_NAME, COLUMN_DEFAULT FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s"
        " AND TABLE_NAME = 't' AND COLUMN_DEFAULT IS NOT NULL AND COLUMN_DEFAULT <> 'NULL'",
        (there.back,),
    )
    assert dict(defaults) == {"mood": "'y'", "n": "7"}
    assert "the default of t.tags is not carried" in there.said()


@pytest.mark.parametrize(
    ("change", "column", "type_"),
    [
        (
            "ALTER TABLE t DROP CONSTRAINT t_tags_check, ALTER tags DROP DEFAULT;"
            " ALTER TABLE t ALTER tags TYPE text USING array_to_string(tags, ',')",
            "tags",
            "longtext",
        ),
        ("ALTER TABLE t ALTER took TYPE interval(3)", "took", "varchar(64)"),
        ("ALTER TABLE t DROP n; ALTER TABLE t ADD n numeric(19)", "n", "decimal(19,0)"),
    ],
)
def test_a_column_of_another_type_by_now_is_what_it_is(
    there: There, change: str, column: str, type_: str
) -> None:
    """slug: source-type-changed"""
    there.change(change)
    running.finish(there.way_back())
    found = there.types()
    assert found.pop(column) == type_
    assert found == {name: old for name, old in {**OLD, "n": "bigint(20) unsigned"}.items() if name != column}


@pytest.mark.parametrize(
    ("change", "column", "value"),
    [
        ("ALTER TABLE t DROP CONSTRAINT t_tags_check; UPDATE t SET tags = '{a,c}'", "tags", '["a", "c"]'),
        ("UPDATE t SET tags = '{a,a}'", "tags", '["a", "a"]'),
        ("UPDATE t SET took = '1 month'", "took", None),
        ("UPDATE t SET took = '900:00:00'", "took", None),
        ("ALTER TABLE t DROP CONSTRAINT t_n_check; UPDATE t SET n = -1", "n", "-1"),
    ],
)
def test_a_value_the_old_type_never_had(there: There, change: str, column: str, value: str | None) -> None:
    """slug: source-type-value"""
    there.change(change)
    outcome, _ = running.run(there.way_back())
    assert outcome.error is not None
    assert outcome.error["code"] == "VALUE_NOT_REPRESENTABLE", outcome.error
    details = outcome.error["details"]
    assert (details["table"], details["column"], details["key"]) == ("t", column, {"id": "1"})
    assert value is None or details["value"].replace('","', '", "') == value
    assert there.mariadb.scalar("SELECT count(*) FROM t", database=there.back) == 0
    there.mariadb.execute("DROP TABLE t", database=there.back)
    running.finish(there.way_back(sourceTypes="ignore"))
    assert there.types() == {
        "id": "int(11)",
        "took": "varchar(64)",
        "tags": "longtext",
        "mood": "enum('x','y')",
        "n": "decimal(20,0)",
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE _dbstreams_types SET origins = '[{' WHERE \"column\" = 'took'", "t.took cannot be read"),
        ("UPDATE _dbstreams_types SET origins = '{}' WHERE \"column\" = 'took'", ""),
        ("ALTER TABLE _dbstreams_types DROP origins", ""),
        ("ALTER TABLE _dbstreams_types ALTER type TYPE varchar(200)", ""),
        ("DROP TABLE _dbstreams_types; CREATE VIEW _dbstreams_types AS SELECT 1/0 AS origins", ""),
    ],
)
def test_what_cannot_be_read_means_nothing(there: There, change: str, said: str) -> None:
    """slug: source-type-damaged"""
    there.change(change)
    assert ("source-type", "took") not in there.notes()
    assert said in there.said()


def test_a_login_without_rights_knows_nothing(there: There, postgres: PostgresEndpoint) -> None:
    """slug: source-type-damaged"""
    postgres.execute("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN PASSWORD 'r'")
    there.change("GRANT SELECT ON t TO reader")
    job = there.way_back()
    connection = running.connection(postgres)
    body = connection.to_json(reveal=True)
    body["spec"]["database"].update(username="reader", password="r")
    source = job.config.source.connections[0].connection_id
    plain = StreamJob(
        job.stream_id,
        StreamConfig.parse(job.config.to_json()),
        {**job.connections, source: type(connection).parse(body)},
    )
    assert {note["slug"] for note in plan_stream(plain)["notes"]} & {"source-type"} == set()
    there.change("DROP OWNED BY reader")
    postgres.execute("DROP ROLE reader")


def test_several_sources_have_their_types_again(there: There) -> None:
    """slug: source-type"""
    other = There(there.mariadb, there.postgres)
    parts = [
        {"alias": alias, "connectionId": "source", "database": database}
        for alias, database in (("one", there.there), ("two", other.there))
    ]
    target = {"id": "target", "spec": {"db": {"database": there.back}}}
    config = {"name": "two", "mode": "convert", "source": {"connections": parts}, "target": target}
    job = StreamJob("stream_two", StreamConfig.parse(config), there.way_back().connections)
    running.finish(job)
    found = there.mariadb.query(
        "SELECT TABLE_NAME, COLUMN_TYPE FROM information_schema.COLUMNS"
        " WHERE TABLE_SCHEMA = %s AND COLUMN_NAME = 'tags'",
        (there.back,),
    )
    assert sorted(found) == [("one_t", OLD["tags"]), ("two_t", OLD["tags"])]
    assert running.verify(job)["equal"] is True
    for name in (other.first, other.back):
        there.mariadb.drop_database(name)
    there.postgres.drop_database(other.there)
