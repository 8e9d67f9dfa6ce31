"""Schema policies, write modes, and what becomes of tables, keys and triggers that are on the target."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine.config import StreamConfig
from engine.streams.job import Control, StreamJob
from tests import running

pytestmark = pytest.mark.integration

SOURCE = """
CREATE TABLE parent (id bigint AUTO_INCREMENT PRIMARY KEY, name varchar(20) NOT NULL);
CREATE TABLE child (id int PRIMARY KEY, parent_id bigint, FOREIGN KEY (parent_id) REFERENCES parent (id));
INSERT INTO parent VALUES (1, 'one'), (2, 'two'), (7, 'seven');
INSERT INTO child VALUES (10, 1), (11, 2), (12, NULL);
"""
TARGET = """
CREATE TABLE public.parent (id bigint PRIMARY KEY, name text NOT NULL);
CREATE TABLE public.child (id int PRIMARY KEY, parent_id bigint REFERENCES public.parent (id));
"""


@dataclass
class Ends:
    source: MysqlEndpoint
    source_database: str
    target: PostgresEndpoint
    target_database: str

    def job(self, **options: Any) -> StreamJob:
        return running.job(self.source, self.source_database, self.target, self.target_database, **options)

    def make(self, sql: str) -> None:
        self.source.execute(sql, database=self.source_database)

    def on_target(self, sql: str) -> None:
        self.target.execute(sql, database=self.target_database)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.target.query(sql, database=self.target_database)

    def tables(self) -> set[str]:
        found = self.rows("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
        return {name for (name,) in found} - {"_dbstreams_checkpoint"}


@pytest.fixture
def ends(
    source_server: MysqlEndpoint, source_database: str, postgres: PostgresEndpoint, postgres_database: str
) -> Ends:
    source_server.execute(SOURCE, database=source_database)
    return Ends(source_server, source_database, postgres, postgres_database)


def refused(stream: StreamJob, code: str, slug: str | None = None) -> dict[str, Any]:
    outcome, _ = running.run(stream)
    assert outcome.status == "FAILED"
    assert outcome.error is not None
    assert outcome.error["code"] == code, outcome.error
    if slug is not None:
        assert slug in {note["slug"] for note in outcome.error["details"]["notes"]}
    return outcome.error


def slugs(outcome: Any) -> set[str]:
    return {note["slug"] for note in outcome.notes}


# ---------------------------------------------------------------- schema policies


def test_the_default_creates_what_is_missing_and_keeps_what_is_there(ends: Ends) -> None:
    ends.on_target("CREATE TABLE public.parent (id bigint PRIMARY KEY, name text, extra int DEFAULT 5)")
    running.finish(ends.job())
    assert ends.rows("SELECT id, name, extra FROM public.parent ORDER BY id") == [
        (1, "one", 5),
        (2, "two", 5),
        (7, "seven", 5),
    ]
    assert ends.rows("SELECT count(*) FROM public.child") == [(3,)]


def test_fail_if_exists_touches_nothing(ends: Ends) -> None:
    ends.on_target("CREATE TABLE public.child (whatever int)")
    refused(ends.job(schemaPolicy="fail_if_exists"), "TABLE_EXISTS")
    assert ends.tables() == {"child"}


def test_validate_existing_wants_every_table_with_fitting_columns(ends: Ends) -> None:
    refused(ends.job(schemaPolicy="validate_existing"), "STRUCTURE_MISMATCH", "table-missing")
    assert ends.tables() == set()
    ends.on_target(TARGET)
    running.finish(ends.job(schemaPolicy="validate_existing"))
    assert ends.rows("SELECT count(*) FROM public.parent") == [(3,)]


def test_drop_and_recreate_replaces_tables_that_refer_to_each_other(ends: Ends) -> None:
    ends.on_target(TARGET + "INSERT INTO public.parent VALUES (99, 'old')")
    running.finish(ends.job(schemaPolicy="drop_and_recreate"))
    assert ends.rows("SELECT max(id) FROM public.parent") == [(7,)]


def test_drop_and_recreate_after_an_enum_changed_on_the_source(ends: Ends) -> None:
    ends.make("ALTER TABLE child ADD e enum('a','b') DEFAULT 'a'")
    running.finish(ends.job())
    ends.make("ALTER TABLE child MODIFY e enum('a','c','b')")
    running.finish(ends.job(schemaPolicy="drop_and_recreate"))
    assert ends.rows("SELECT enum_range(NULL::public.child_e)::text") == [("{a,c,b}",)]


MISFITS = [
    ("CREATE VIEW public.parent AS SELECT 1 AS id", "table-kind"),
    ("CREATE TABLE public.parent (id bigint)", "column-missing"),
    ("CREATE TABLE public.parent (id bigint, name text, must int NOT NULL)", "column-not-given"),
    ("CREATE TABLE public.parent (id bigint, name date)", "type-mismatch"),
    (
        "CREATE TABLE public.parent (id bigint, name text GENERATED ALWAYS AS ('x') STORED)",
        "column-generated",
    ),
]


@pytest.mark.parametrize(("ddl", "slug"), MISFITS, ids=[slug for _, slug in MISFITS])
def test_a_table_the_rows_do_not_fit_into_is_refused_before_anything_is_done(
    ends: Ends, ddl: str, slug: str
) -> None:
    ends.on_target(ddl)
    refused(ends.job(), "STRUCTURE_MISMATCH", slug)
    assert "child" not in ends.tables()


def test_a_domain_counts_as_its_base_type(ends: Ends) -> None:
    ends.make("CREATE TABLE price (id int PRIMARY KEY, p decimal(10,4)); INSERT INTO price VALUES (1, 1.5)")
    ends.on_target(
        "CREATE DOMAIN public.money4 AS numeric(12,4) CHECK (VALUE > 0);"
        "CREATE TABLE public.price (id int PRIMARY KEY, p public.money4)"
    )
    running.finish(ends.job(tables=["price"]))
    assert ends.rows("SELECT p::text FROM public.price") == [("1.5000",)]


def test_a_narrower_column_refuses_the_value_not_the_table(ends: Ends) -> None:
    ends.on_target("CREATE TABLE public.parent (id smallint PRIMARY KEY, name text)")
    running.finish(ends.job(tables=["parent"]))
    ends.make("INSERT INTO parent VALUES (40000, 'wide')")
    ends.on_target("TRUNCATE public.parent")
    error = refused(ends.job(tables=["parent"]), "VALUE_NOT_REPRESENTABLE")
    assert error["details"]["key"] == {"id": "40000"}
    assert ends.rows("SELECT count(*) FROM public.parent") == [(0,)]


# ---------------------------------------------------------------- write modes


def test_append_adds_and_a_double_key_is_the_targets_to_refuse(ends: Ends) -> None:
    ends.on_target(TARGET + "INSERT INTO public.parent VALUES (50, 'kept')")
    running.finish(ends.job())
    assert ends.rows("SELECT count(*) FROM public.parent") == [(4,)]
    error = refused(ends.job(tables=["parent"]), "CONSTRAINT_VIOLATION")
    assert error["details"]["constraint"] == "parent_pkey"
    assert ends.rows("SELECT count(*) FROM public.parent") == [(4,)]


def test_fail_if_not_empty(ends: Ends) -> None:
    ends.on_target(TARGET)
    running.finish(ends.job(writeMode="fail_if_not_empty"))
    refused(ends.job(writeMode="fail_if_not_empty"), "TABLE_NOT_EMPTY")


def test_truncate_and_load(ends: Ends) -> None:
    ends.on_target(TARGET + "INSERT INTO public.parent VALUES (50, 'gone')")
    running.finish(ends.job(writeMode="truncate_and_load"))
    assert ends.rows("SELECT max(id), count(*) FROM public.parent") == [(7, 3)]


def test_upsert_changes_adds_and_never_deletes(ends: Ends) -> None:
    ends.on_target(TARGET + "INSERT INTO public.parent VALUES (1, 'old'), (50, 'kept')")
    running.finish(ends.job(writeMode="upsert"))
    assert ends.rows("SELECT id, name FROM public.parent ORDER BY id") == [
        (1, "one"),
        (2, "two"),
        (7, "seven"),
        (50, "kept"),
    ]


@pytest.mark.parametrize(
    ("ddl", "slug"),
    [
        ("CREATE TABLE public.parent (id bigint, name text)", "upsert-without-key"),
        ("CREATE TABLE public.parent (id bigint, name text PRIMARY KEY)", "upsert-key-differs"),
    ],
)
def test_upsert_goes_by_the_declared_key_only(ends: Ends, ddl: str, slug: str) -> None:
    ends.on_target(ddl)
    refused(ends.job(tables=["parent"], writeMode="upsert"), "PLAN_REFUSED", slug)


# ---------------------------------------------------------------- keys, triggers, sequences


def test_kept_foreign_keys_are_loaded_parents_first_and_cycles_are_refused(ends: Ends) -> None:
    ends.on_target(TARGET)
    running.finish(ends.job())
    assert ends.rows("SELECT count(*) FROM public.child") == [(3,)]
    ends.on_target(
        "ALTER TABLE public.parent ADD c int REFERENCES public.child (id);"
        "TRUNCATE public.parent, public.child"
    )
    refused(ends.job(), "PLAN_REFUSED", "fk-cycle")


def test_a_kept_key_of_a_table_to_itself_is_loaded_in_one_piece(ends: Ends) -> None:
    ends.make(
        "CREATE TABLE tree (id int PRIMARY KEY, up int); INSERT INTO tree VALUES (1, 3), (2, 1), (3, NULL)"
    )
    ends.on_target("CREATE TABLE public.tree (id int PRIMARY KEY, up int REFERENCES public.tree (id))")
    running.finish(ends.job(tables=["tree"], options={"chunkBytes": 65_536}))
    assert ends.rows("SELECT count(*) FROM public.tree") == [(3,)]


TRIGGER = """
CREATE FUNCTION public.spoil() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN NEW.name := 'spoilt'; RETURN NEW; END $$;
CREATE TRIGGER spoil BEFORE INSERT ON public.parent FOR EACH ROW EXECUTE FUNCTION public.spoil();
"""


def test_triggers_are_refused_disabled_or_fired_as_told(ends: Ends) -> None:
    ends.on_target(TARGET + TRIGGER)
    refused(ends.job(tables=["parent"]), "PLAN_REFUSED", "user-triggers")
    for policy, name in (("disable", "one"), ("fire", "spoilt")):
        stream = ends.job(tables=["parent"], writeMode="upsert", policies={"triggers": policy})
        running.finish(stream)
        assert ends.rows("SELECT name FROM public.parent WHERE id = 1") == [(name,)]
    assert ends.rows("SELECT tgenabled::text FROM pg_trigger WHERE tgname = 'spoil'") == [("O",)]


def test_orphans_of_the_source_leave_the_key_not_valid_and_are_counted(ends: Ends) -> None:
    """slug: constraint-not-valid"""
    ends.make("SET foreign_key_checks = 0; INSERT INTO child VALUES (20, 1000), (21, 1001)")
    outcome, _ = running.finish(ends.job())
    note = next(note for note in outcome.notes if note["slug"] == "constraint-not-valid")
    assert note["count"] == 2
    assert ends.rows("SELECT convalidated FROM pg_constraint WHERE contype = 'f'") == [(False,)]
    assert ends.rows("SELECT count(*) FROM public.child") == [(5,)]


def test_sequences_go_on_past_the_sources_counter(ends: Ends) -> None:
    ends.make("INSERT INTO parent VALUES (500, 'x'); DELETE FROM parent WHERE id = 500")
    running.finish(ends.job())
    ends.on_target("INSERT INTO public.parent (name) VALUES ('next')")
    assert ends.rows("SELECT id FROM public.parent WHERE name = 'next'") == [(501,)]


STRUCTURE = [
    (
        {"indexes": False},
        "SELECT count(*) FROM pg_indexes WHERE indexname NOT LIKE '%pkey' AND schemaname = 'public'",
    ),
    ({"foreignKeys": False}, "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"),
    (
        {"checkConstraints": False},
        "SELECT count(*) FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace",
    ),
]


@pytest.mark.parametrize(("options", "count"), STRUCTURE, ids=[next(iter(o)) for o, _ in STRUCTURE])
def test_parts_of_the_structure_can_be_left_out(ends: Ends, options: dict[str, bool], count: str) -> None:
    ends.make(
        "CREATE TABLE more (id int PRIMARY KEY, a int, u bigint unsigned, KEY (a),"
        " CONSTRAINT c CHECK (a > 0))"
    )
    running.finish(ends.job(structureOptions=options))
    assert ends.rows(count) == [(0,)]


def test_tables_off_wants_them_there(ends: Ends) -> None:
    refused(ends.job(structureOptions={"tables": False}), "STRUCTURE_MISMATCH", "table-missing")


def test_database_and_schema_are_made_when_absent(ends: Ends) -> None:
    name = f"{ends.target_database}_new"
    stream = running.job(ends.source, ends.source_database, ends.target, name, schema="fresh schema")
    try:
        running.finish(stream)
        assert ends.target.scalar('SELECT count(*) FROM "fresh schema".parent', database=name) == 3
        assert running.verify(stream)["equal"]
    finally:
        ends.target.drop_database(name)


def test_rename_of_tables_and_columns(ends: Ends) -> None:
    database = ends.source_database
    stream = ends.job(rename={f"{database}.parent": "Eltern", f"{database}.parent.name": "Name"})
    running.finish(stream)
    assert ends.rows('SELECT "Name" FROM public."Eltern" WHERE id = 7') == [("seven",)]
    assert running.verify(stream)["equal"]


def test_a_schema_of_a_source_that_has_none_is_noted(ends: Ends) -> None:
    """slug: source-schema"""
    job = ends.job()
    body = job.config.to_json()
    body["source"]["connections"][0]["schema"] = "public"
    outcome, _ = running.finish(StreamJob(job.stream_id, StreamConfig.parse(body), job.connections))
    assert "source-schema" in slugs(outcome)


def test_an_unknown_table_is_named(ends: Ends) -> None:
    error = refused(ends.job(tables=["nonesuch"]), "UNKNOWN_TABLE")
    assert error["details"]["tables"] == ["nonesuch"]


# ---------------------------------------------------------------- unfinished business


def interrupted(ends: Ends, **db: Any) -> StreamJob:
    """A stream that has decided everything and loaded nothing."""
    stream = ends.job(**db)
    control = Control()
    report = running.Recorder()
    report.stage = lambda number: control.request("stop") if number == 3 else None  # type: ignore[method-assign]
    outcome = running.run_stream(stream, control, report)
    assert outcome.status == "STOPPED", outcome.error
    return stream


def test_a_table_another_stream_left_half_loaded_is_refused_and_can_be_replaced(ends: Ends) -> None:
    """slug: half-loaded"""
    first = interrupted(ends)
    refused(ends.job(), "PLAN_REFUSED", "half-loaded")
    replacing = ends.job(schemaPolicy="drop_and_recreate")
    running.finish(replacing)
    running.cleanup(replacing)
    assert ends.rows("SELECT count(*) FROM public.parent") == [(3,)]
    # The first stream's memory is void: resumed, it is a new run, and the tables are complete already.
    refused(StreamJob(first.stream_id, first.config, first.connections, True), "CONSTRAINT_VIOLATION")


def test_a_source_that_moved_between_attempts_is_said(ends: Ends) -> None:
    """slug: source-moved"""
    stream = interrupted(ends)
    ends.make("INSERT INTO parent VALUES (8, 'late')")
    outcome, _ = running.finish(StreamJob(stream.stream_id, stream.config, stream.connections, True))
    assert "source-moved" in slugs(outcome)
    assert ends.rows("SELECT count(*) FROM public.parent") == [(4,)]


def test_a_source_whose_structure_changed_between_attempts_is_refused(ends: Ends) -> None:
    """slug: source-changed"""
    stream = interrupted(ends)
    ends.make("ALTER TABLE parent ADD extra int")
    resumed = StreamJob(stream.stream_id, stream.config, stream.connections, True)
    refused(resumed, "STRUCTURE_MISMATCH", "source-changed")


def test_workers_read_one_picture_of_a_source_that_is_written_to(
    mariadb: MysqlEndpoint, mariadb_database: str, postgres: PostgresEndpoint, postgres_database: str
) -> None:
    """slug: one-picture. Two tables always hold the same number of rows, at every commit."""
    for name in ("a", "b"):
        mariadb.execute(
            f"CREATE TABLE {name} (id int AUTO_INCREMENT PRIMARY KEY, t text)", database=mariadb_database
        )
    stop = threading.Event()
    insert: Callable[[str], str] = lambda name: f"INSERT INTO {name} (t) VALUES (REPEAT('x', 500));"  # noqa: E731

    def write() -> None:
        while not stop.is_set():
            mariadb.execute(
                "START TRANSACTION;" + insert("a") + insert("b") + "COMMIT", database=mariadb_database
            )

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(5):
            outcome, _ = running.finish(
                running.job(
                    mariadb,
                    mariadb_database,
                    postgres,
                    postgres_database,
                    schemaPolicy="drop_and_recreate",
                )
            )
            assert "picture-per-worker" not in slugs(outcome)
            counts = postgres.query(
                "SELECT (SELECT count(*) FROM public.a), (SELECT count(*) FROM public.b)",
                database=postgres_database,
            )
            assert counts[0][0] == counts[0][1]
    finally:
        stop.set()
        writer.join()
