"""Which encoder carries which image into which column, and what the type's modifier adds to its options.

slugs: encode-pair, typmod-cut, typmod-domain, bit-width, not-boolean, unknown-label, uuid-text
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pytest

from engine.config import Policies
from engine.connectors.base import ReadColumn, TargetColumn
from engine.connectors.postgres.encode import choose
from engine.errors import Code, EngineError
from engine.schema import Column
from engine.types import Image, Kind, LogicalType
from ext.pgcopy import CopyEncoder, EncoderSpec

TEXT_OPTIONS = {"nul": "refuse", "invalid": "refuse"}
LABELS = ("a", "b")

ARROW: dict[Image, pa.DataType] = {
    Image.INT: pa.int64(),
    Image.FLOAT: pa.float64(),
    Image.BOOL: pa.int8(),
    Image.DECIMAL: pa.string(),
    Image.TEXT: pa.string(),
    Image.BYTES: pa.binary(),
    Image.BITS: pa.binary(),
    Image.DATE: pa.date32(),
    Image.TIMESTAMP: pa.timestamp("us"),
    Image.TIMESTAMPTZ: pa.timestamp("us", "UTC"),
    Image.DURATION: pa.duration("us"),
    Image.INTERVAL: pa.struct([("months", pa.int32()), ("days", pa.int32()), ("microseconds", pa.int64())]),
    Image.JSON: pa.string(),
    Image.UUID: pa.binary(),
    Image.INET: pa.binary(),
    Image.SET: pa.uint64(),
    Image.SET_TEXT: pa.string(),
    Image.GEOMETRY: pa.binary(),
    Image.VECTOR: pa.binary(),
}


def chosen(
    image: Image,
    base: str,
    type_: str | None = None,
    *,
    length: int | None = None,
    target_labels: tuple[str, ...] = (),
    policies: Policies | None = None,
) -> EncoderSpec:
    logical = LogicalType(Kind.OTHER, length=length, labels=LABELS)
    source = Column("c", logical, "its native type")
    read = ReadColumn("c", "`c`", image, ARROW[image], source)
    target = TargetColumn("c", "c_target", type_ or SPELLED.get(base, base), base, labels=target_labels)
    return choose(read, target, policies or Policies())


# ---------------------------------------------------------------- pairs

# How the catalog prints the plain type where that is not its base.
SPELLED = {
    "varchar": "character varying",
    "bpchar": "character(1)",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "time": "time without time zone",
    "bit": "bit(8)",
    "varbit": "bit varying",
    "_text": "text[]",
    "_varchar": "character varying[]",
    "_float4": "real[]",
}

STRINGS = ("text", "varchar", "bpchar", "citext")
PAIRS: dict[Image, dict[str, str]] = {
    Image.INT: {
        **{base: base for base in ("int2", "int4", "int8", "bool", "numeric", "float4", "float8")},
        **dict.fromkeys(STRINGS, "text"),
    },
    Image.BOOL: {base: base for base in ("bool", "int2", "int4", "int8", "numeric")},
    Image.FLOAT: {"float4": "float4", "float8": "float8"},
    Image.DECIMAL: {
        **{base: base for base in ("numeric", "int2", "int4", "int8")},
        **dict.fromkeys(STRINGS, "text"),
    },
    Image.TEXT: {**dict.fromkeys((*STRINGS, "name", "xml", "enum"), "text"), "bytea": "bytea"},
    Image.BYTES: {"bytea": "bytea", "uuid": "uuid"},
    Image.BITS: {"bit": "bit", "varbit": "bit"},
    Image.DATE: {"date": "date", "timestamp": "timestamp"},
    Image.TIMESTAMP: {"timestamp": "timestamp"},
    Image.TIMESTAMPTZ: {"timestamptz": "timestamp"},
    Image.DURATION: {"interval": "interval", "time": "time"},
    Image.INTERVAL: {"interval": "interval", **dict.fromkeys(STRINGS, "interval_text")},
    Image.JSON: {"json": "text", "jsonb": "jsonb", **dict.fromkeys(STRINGS, "text")},
    Image.UUID: {"uuid": "uuid", "bytea": "bytea", **dict.fromkeys(STRINGS, "uuid_text")},
    Image.INET: {"inet": "inet", **dict.fromkeys(STRINGS, "inet_text")},
    Image.SET: {"_text": "set_array", "_varchar": "set_array", **dict.fromkeys(STRINGS, "set_text")},
    Image.SET_TEXT: {"_text": "list_array", "_varchar": "list_array", **dict.fromkeys(STRINGS, "text")},
    Image.GEOMETRY: {"bytea": "ewkb", "geometry": "ewkb"},
    Image.VECTOR: {"_float4": "float4_array"},
}
BASES = sorted({base for pairs in PAIRS.values() for base in pairs} | {"oid", "money", "_int4", "cidr"})


def test_every_image_has_a_way() -> None:
    assert set(PAIRS) == set(Image)


@pytest.mark.parametrize(
    ("image", "base", "encoder"),
    [(image, base, encoder) for image, pairs in PAIRS.items() for base, encoder in pairs.items()],
)
def test_pairs_that_work(image: Image, base: str, encoder: str) -> None:
    """encode-pair: and the encoder takes its own options and reads the image's Arrow type."""
    spec = chosen(image, base, length=8, target_labels=LABELS if base == "enum" else ())
    assert (spec.column, spec.encoder) == ("c", encoder)
    batch = pa.record_batch([pa.nulls(2, ARROW[image])], names=["c"])
    assert bytes(CopyEncoder([spec]).encode(batch)) == b"\0\1\xff\xff\xff\xff" * 2


# Those that depend on more than the pair are in the tables below.
CONDITIONAL = {(Image.BITS, "bool")}


@pytest.mark.parametrize(
    ("image", "base"),
    [
        (image, base)
        for image, pairs in PAIRS.items()
        for base in BASES
        if base not in pairs and (image, base) not in CONDITIONAL
    ],
)
def test_pairs_refused(image: Image, base: str) -> None:
    """encode-pair: refused with the column, the image and the live type in the details."""
    refused(image, base)


def refused(image: Image, base: str, type_: str | None = None, **options: Any) -> None:
    with pytest.raises(EngineError) as caught:
        chosen(image, base, type_, **options)
    error = caught.value
    assert error.code is Code.STRUCTURE_MISMATCH
    assert error.details == {
        "column": "c",
        "image": image.value,
        "targetType": type_ or SPELLED.get(base, base),
    }
    assert "its native type" in error.message
    assert "c_target" in error.message


# ---------------------------------------------------------------- options

OPTIONS: list[tuple[Image, str, str, Mapping[str, Any]]] = [
    # typmod-cut, not-boolean
    (Image.DECIMAL, "numeric", "numeric", {}),
    (Image.DECIMAL, "numeric", "numeric(10,2)", {"precision": 10, "scale": 2}),
    (Image.DECIMAL, "numeric", "numeric(10)", {"precision": 10, "scale": 0}),
    (Image.DECIMAL, "numeric", "numeric(65,30)", {"precision": 65, "scale": 30}),
    (Image.DECIMAL, "numeric", "numeric(5,-2)", {"precision": 5, "scale": -2}),
    (Image.INT, "numeric", "numeric(20,0)", {"precision": 20, "scale": 0}),
    (Image.INT, "numeric", "numeric(5,-2)", {"precision": 5, "scale": -2}),
    (Image.BOOL, "numeric", "numeric(1,0)", {"flag": True, "precision": 1, "scale": 0}),
    (Image.BOOL, "int2", "smallint", {"flag": True}),
    (Image.BOOL, "bool", "boolean", {}),
    (Image.TIMESTAMP, "timestamp", "timestamp without time zone", {}),
    (Image.TIMESTAMP, "timestamp", "timestamp(6) without time zone", {}),
    (Image.TIMESTAMP, "timestamp", "timestamp(3) without time zone", {"unit": 1000}),
    (Image.TIMESTAMP, "timestamp", "timestamp(3)", {"unit": 1000}),
    (Image.TIMESTAMPTZ, "timestamptz", "timestamp(0) with time zone", {"unit": 1_000_000}),
    (Image.DATE, "timestamp", "timestamp(0) without time zone", {}),
    (Image.DURATION, "time", "time(2) without time zone", {"unit": 10_000}),
    (Image.DURATION, "interval", "interval", {}),
    (Image.DURATION, "interval", "interval(1)", {"unit": 100_000}),
    (Image.DURATION, "interval", "interval hour to minute", {"unit": 60_000_000}),
    (Image.DURATION, "interval", "interval day to hour", {"unit": 3_600_000_000}),
    (Image.DURATION, "interval", "interval day to second(3)", {"unit": 1000}),
    (Image.DURATION, "interval", "interval second", {}),
    # bit-width; the source has 8 bits
    (Image.BITS, "bit", "bit(5)", {"width": 5}),
    (Image.BITS, "bit", "bit(64)", {"width": 64}),
    (Image.BITS, "bit", "bit", {"width": 1}),
    (Image.BITS, "varbit", "bit varying", {"width": 8}),
    (Image.BITS, "varbit", "bit varying(9)", {"width": 8}),
    # texts
    (Image.TEXT, "text", "text", TEXT_OPTIONS),
    (Image.TEXT, "varchar", "character varying", TEXT_OPTIONS),
    (Image.TEXT, "varchar", "character varying(20)", {**TEXT_OPTIONS, "chars": 20}),
    (Image.TEXT, "varchar", "varchar(20)", {**TEXT_OPTIONS, "chars": 20}),
    (Image.TEXT, "bpchar", "character(3)", {**TEXT_OPTIONS, "chars": 3}),
    (Image.TEXT, "bpchar", "char(3)", {**TEXT_OPTIONS, "chars": 3}),
    (Image.TEXT, "name", "name", {**TEXT_OPTIONS, "octets": 63}),
    (Image.TEXT, "bytea", "bytea", {}),
    (Image.INT, "varchar", "character varying(5)", {"chars": 5}),
    (Image.DECIMAL, "varchar", "character varying(5)", {"chars": 5}),
    (Image.UUID, "varchar", "varchar(36)", {"chars": 36}),
    (Image.INET, "varchar", "character varying(45)", {"chars": 45}),
    (Image.JSON, "jsonb", "jsonb", {}),
    (Image.JSON, "json", "json", TEXT_OPTIONS),
    # labels
    (Image.SET, "_text", "text[]", {"labels": LABELS}),
    (Image.SET, "_varchar", "character varying[]", {"labels": LABELS, "element": 1043}),
    (Image.SET, "varchar", "character varying(9)", {"labels": LABELS, "chars": 9}),
    (Image.SET_TEXT, "_text", "text[]", {}),
    (Image.SET_TEXT, "_varchar", "character varying[]", {"element": 1043}),
]


@pytest.mark.parametrize(("image", "base", "type_", "options"), OPTIONS)
def test_options(image: Image, base: str, type_: str, options: Mapping[str, Any]) -> None:
    assert chosen(image, base, type_, length=8).options == options


def test_labels_of_an_enum_are_those_of_the_target() -> None:
    """unknown-label: the source's may be fewer, and the server would not name the row."""
    spec = chosen(Image.TEXT, "enum", '"shop"."film_rating"', target_labels=("x", "y"))
    assert spec.options == {**TEXT_OPTIONS, "labels": ("x", "y")}


def test_policies_of_text() -> None:
    policies = Policies(nul_byte="strip", invalid_text="replace")
    assert chosen(Image.TEXT, "text", policies=policies).options == {"nul": "strip", "invalid": "replace"}


@pytest.mark.parametrize(("length", "works"), [(None, True), (1, True), (2, False), (64, False)])
def test_bits_as_boolean(length: int | None, works: bool) -> None:
    """bit-width: BIT(1) is a boolean, a longer one is not."""
    if works:
        assert chosen(Image.BITS, "bool", "boolean", length=length).encoder == "bool"
    else:
        refused(Image.BITS, "bool", "boolean", length=length)


@pytest.mark.parametrize(
    ("image", "base", "type_"),
    [
        (Image.DURATION, "interval", "interval day"),
        (Image.DURATION, "interval", "interval year to month"),
        (Image.BITS, "varbit", "bit varying(7)"),
        # a domain: its modifier is not in its name
        (Image.DECIMAL, "numeric", "public.price"),
        (Image.TEXT, "varchar", "public.email"),
        (Image.TIMESTAMP, "timestamp", "public.moment"),
        (Image.DURATION, "interval", "public.intervals"),
        (Image.BITS, "bit", "public.bits"),
    ],
)
def test_types_that_would_cut(image: Image, base: str, type_: str) -> None:
    """typmod-cut, bit-width, typmod-domain"""
    refused(image, base, type_, length=8)


@pytest.mark.parametrize(
    ("policy", "base", "type_", "encoder"),
    [
        ("native", "uuid", "uuid", "uuid"),
        ("char", "varchar", "varchar(36)", "uuid_text"),
        ("binary", "bytea", "bytea", "bytea"),
    ],
)
def test_uuid_policies(policy: Any, base: str, type_: str, encoder: str) -> None:
    """uuid-text"""
    assert chosen(Image.UUID, base, type_, policies=Policies(uuid=policy)).encoder == encoder
