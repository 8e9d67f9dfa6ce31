"""Names on a PostgreSQL target: quoting, 63 bytes, collisions, system columns, the rename map."""

from __future__ import annotations

import pytest

from engine.config import Policies
from engine.connectors.base import Severity
from engine.connectors.postgres.identifiers import bytes_literal, literal, qualified, quote, text_array
from engine.connectors.postgres.mapping import MapOptions, map_database
from engine.connectors.postgres.names import MAX_BYTES, Namespace, byte_length, fit, resolve_names
from engine.errors import Code, EngineError
from engine.schema import Column, Database, Index, IndexPart, Sequence, Table
from engine.types import Kind, LogicalType

INT = LogicalType(Kind.INT32)


def table(name: str, *columns: str, **options: object) -> Table:
    return Table("shop", name, tuple(Column(c, INT, "int") for c in columns), **options)  # type: ignore[arg-type]


def policies(**given: str) -> Policies:
    return Policies.model_validate(given)


# ---------------------------------------------------------------- quoting (odd-names)


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("a", '"a"'),
        ("A", '"A"'),
        ("select", '"select"'),
        ("a b", '"a b"'),
        ("a.b", '"a.b"'),
        ('a"b', '"a""b"'),
        ('"', '""""'),
        ("a'b", '"a\'b"'),
        ("a`b", '"a`b"'),
        ("a\\b", '"a\\b"'),
        ("1a", '"1a"'),
        ("naïve", '"naïve"'),
        ("😀", '"😀"'),
        ("a;drop table x;--", '"a;drop table x;--"'),
        ("$$", '"$$"'),
        ("%s", '"%s"'),
    ],
)
def test_quote(name: str, quoted: str) -> None:
    assert quote(name) == quoted
    assert qualified("s", name) == f'"s".{quoted}'


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_quote_refuses(name: str) -> None:
    with pytest.raises(EngineError) as caught:
        quote(name)
    assert caught.value.code is Code.VALIDATION_FAILED


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("", "''"),
        ("it's", "'it''s'"),
        ("\\", "'\\'"),
        ("a\nb", "'a\nb'"),
        ("😀", "'😀'"),
        ("$$x$$", "'$$x$$'"),
    ],
)
def test_literal(value: str, quoted: str) -> None:
    assert literal(value) == quoted


def test_other_literals() -> None:
    assert bytes_literal(b"\x00\xff'") == "'\\x00ff27'::bytea"
    assert text_array([]) == "'{}'::text[]"
    assert text_array(["a,b", '"', "{}", "NULL", ""]) == "ARRAY['a,b', '\"', '{}', 'NULL', '']::text[]"


# ---------------------------------------------------------------- length (long-name)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("a" * 63, True),
        ("a" * 64, False),
        ("é" * 31, True),
        ("é" * 32, False),
        ("c" + "é" * 63, False),
        ("😀" * 15, True),
        ("😀" * 16, False),
        ("", True),
    ],
)
def test_fit(name: str, kept: bool) -> None:
    fitted = fit(name)
    assert byte_length(fitted) <= MAX_BYTES
    assert (fitted == name) is kept
    assert fit(name) == fitted
    assert fit(fitted) == fitted


def test_long_names_that_differ_at_the_end_stay_apart() -> None:
    names = [("x" * 63) + last for last in "abc"] + ["é" * 40 + last for last in "abc"]
    assert len({fit(name) for name in names}) == len(names)


def test_namespace_is_unique_and_deterministic() -> None:
    first, second = Namespace(), Namespace()
    made = [
        first.take(wanted, identity) for wanted, identity in [("a", "1"), ("a", "2"), ("a", "2"), ("a", "3")]
    ]
    again = [
        second.take(wanted, identity) for wanted, identity in [("a", "1"), ("a", "2"), ("a", "2"), ("a", "3")]
    ]
    assert len(set(made)) == 4
    assert made == again
    assert made[0] == "a"
    assert all(byte_length(name) <= MAX_BYTES for name in made)


def test_long_names_are_refused_by_policy() -> None:
    names = resolve_names(
        Database("shop", (table("t" * 64, "c" * 64),)), policies(longIdentifiers="refuse"), {}
    )
    refused = [note for note in names.table_notes["t" * 64] if note.severity is Severity.REFUSED]
    assert [(note.slug, note.column) for note in refused] == [
        ("long-name-refused", None),
        ("long-name-refused", "c" * 64),
    ]


# ---------------------------------------------------------------- case (name-collision)


@pytest.mark.parametrize(
    ("names", "policy", "expected", "refused"),
    [
        (["foo", "FOO"], "exact", ["foo", "FOO"], False),
        (["Foo", "bar"], "lower", ["foo", "bar"], False),
        (["foo", "FOO"], "lower", ["foo", None], True),
        (["Éa", "éa"], "lower", ["éa", None], True),
    ],
)
def test_case(names: list[str], policy: str, expected: list[str | None], refused: bool) -> None:
    source = Database("shop", tuple(table(name, "a") for name in names))
    resolved = resolve_names(source, policies(identifiers=policy), {})
    targets = [resolved.tables[name] for name in names]
    assert len(set(targets)) == len(names)
    for target, wanted in zip(targets, expected, strict=True):
        assert wanted is None or target == wanted
    notes = [note for found in resolved.table_notes.values() for note in found]
    assert any(note.slug == "name-collision" for note in notes) is refused


def test_lower_case_is_noted() -> None:
    resolved = resolve_names(Database("shop", (table("Foo", "Bar"),)), policies(identifiers="lower"), {})
    assert resolved.columns["Foo"] == {"Bar": "bar"}
    assert {note.slug for note in resolved.table_notes["Foo"]} == {"lower-case-name"}


# ---------------------------------------------------------------- system columns (system-column-name)


@pytest.mark.parametrize("name", ["xmin", "xmax", "cmin", "cmax", "ctid", "tableoid"])
def test_system_columns(name: str) -> None:
    resolved = resolve_names(Database("shop", (table("t", name, "oid", name.upper()),)), Policies(), {})
    columns = resolved.columns["t"]
    assert columns[name] != name
    assert columns[name].startswith(name)
    assert columns["oid"] == "oid"
    assert columns[name.upper()] == name.upper()
    assert [note.slug for note in resolved.table_notes["t"]] == ["system-column-name"]


# ---------------------------------------------------------------- rename (renamed)


def test_rename() -> None:
    source = Database(
        "shop", (table("t", "a", "b"), table("u.v", "w")), sequences=(Sequence("shop", "numbers"),)
    )
    rename = {
        "shop.t": "things",
        "shop.t.a": "first one",
        "shop.u.v.w": "W",
        "shop.numbers": "counter",
    }
    resolved = resolve_names(source, Policies(), rename)
    assert resolved.tables == {"t": "things", "u.v": "u.v"}
    assert resolved.columns == {"t": {"a": "first one", "b": "b"}, "u.v": {"w": "W"}}
    assert resolved.sequences == {"numbers": "counter"}
    assert [note.slug for note in resolved.table_notes["t"]] == ["renamed", "renamed"]


def test_rename_wins_over_folding() -> None:
    source = Database("shop", (table("T", "A"),))
    resolved = resolve_names(source, policies(identifiers="lower"), {"shop.T": "Keep"})
    assert resolved.tables == {"T": "Keep"}
    assert resolved.columns["T"] == {"A": "a"}


@pytest.mark.parametrize(
    ("rename", "problem"),
    [
        ({"shop.x": "y"}, "no table or column"),
        ({"t": "y"}, "no table or column"),
        ({"other.t": "y"}, "no table or column"),
        ({"shop.t.z": "y"}, "no table or column"),
        ({"shop.T": "y"}, "no table or column"),
        ({"shop.t": "y" * 64}, "longer than 63 bytes"),
        ({"shop.t": "é" * 32}, "longer than 63 bytes"),
        ({"shop.t": ""}, "empty"),
        ({"shop.t": "a\0"}, "NUL"),
        ({"shop.t.a": "ctid"}, "system column"),
        ({"shop.p.q": "y"}, "could mean a table or a column"),
    ],
)
def test_rename_refuses(rename: dict[str, str], problem: str) -> None:
    source = Database("shop", (table("t", "a"), table("p", "q"), table("p.q", "r")))
    with pytest.raises(EngineError) as caught:
        resolve_names(source, Policies(), rename)
    assert caught.value.code is Code.VALIDATION_FAILED
    assert problem in caught.value.message
    assert next(iter(rename)) in caught.value.details["fields"][0]["field"]


def test_rename_onto_another_is_refused() -> None:
    source = Database("shop", (table("a", "x"), table("b", "x", "y")))
    resolved = resolve_names(source, Policies(), {"shop.b": "a", "shop.b.y": "x"})
    notes = resolved.table_notes["b"]
    assert [note.column for note in notes if note.slug == "name-collision"] == [None, "y"]
    assert len(set(resolved.tables.values())) == 2


# ---------------------------------------------------------------- one namespace (index-names)


def test_relations_share_one_namespace() -> None:
    one = table("a", "id", "b_seq", primary_key=(IndexPart("id"),), indexes=(Index("b", (IndexPart("id"),)),))
    others = (table("a_b", "x"), table("a_pkey", "x"), table("a_id_seq", "x"))
    source = Database("shop", (one, *others))
    target = map_database(source, MapOptions("s"))
    made = [table.name for table in target.tables]
    made += [
        statement.object
        for table in target.tables
        for statement in table.statements
        if statement.phase.value in ("primary_key", "index")
    ]
    assert made[:4] == ["a", "a_b", "a_pkey", "a_id_seq"]
    assert len(set(made)) == len(made) == 6


def test_index_names_of_long_tables() -> None:
    name = "t" * 63
    indexes = tuple(Index(f"i{number}", (IndexPart("a"),)) for number in range(5))
    target = map_database(Database("shop", (table(name, "a", indexes=indexes),)), MapOptions("s"))
    made = [statement.object for statement in target.tables[0].statements if statement.phase.value == "index"]
    assert len(set(made)) == 5
    assert all(byte_length(one) <= MAX_BYTES for one in made)
    assert made[0] != name


@pytest.mark.parametrize("schema", ["", "pg_x", "information_schema", "s" * 64, "a\0"])
def test_target_schema_refuses(schema: str) -> None:
    with pytest.raises(EngineError) as caught:
        map_database(Database("shop"), MapOptions(schema))
    assert caught.value.code is Code.VALIDATION_FAILED
