"""Rows of text COPY: the encoder and its plain twin on arrays made at random, layouts by hand, JSON arrays.

Cases of docs/policies/encoding.md are cited by their slugs.
"""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext import pgcopy
from ext.pgcopy import CopyEncoder, EncoderSpec
from ext.plain import pgcopy as plain
from ext.rowerror import RowError
from tests.unit.pgcopy_twins import batch_of
from tests.unit.test_pgcopy_random import QUICK, RANDOM, STRINGS, Random, any_text, arrays, odd_text, texts

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | any_text
nested = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4), max_leaves=12)
objects = st.dictionaries(any_text, leaves, max_size=2)
json_arrays = st.builds(
    lambda value, ascii_, indent: json.dumps(value, ensure_ascii=ascii_, indent=indent).encode(),
    st.lists(nested | objects, max_size=5),
    st.booleans(),
    st.sampled_from([None, None, 1]),
)
pieces = (
    "[",
    "]",
    ",",
    '"',
    "\\",
    "\\u",
    "\\u0000",
    "\\ud800",
    "\\udc00",
    "\\ud83d\\ude00",
    "00e9",
    "{",
    "}",
)
others = ("null", "true", "-1.5e3", " ", "\n", "é", '"a"', "\\q", ":")
broken = st.lists(st.sampled_from((*pieces, *others)), max_size=9).map(
    lambda parts: ("[" + "".join(parts) + "]").encode()
)
LINES = [
    *RANDOM,
    Random("array", arrays(json_arrays | broken | odd_text, *STRINGS), ({}, {"delimiter": ";"})),
    Random("literal", arrays(odd_text, *STRINGS), texts),
]


def lines(module: Any, spec: EncoderSpec, batch: pa.RecordBatch) -> tuple[Any, ...]:
    encoder = module.CopyEncoder([spec], text=True)
    try:
        data = bytes(encoder.encode(batch))
    except RowError as error:
        return error.column, error.row, error.reason, error.value, encoder.counters
    return data, encoder.counters


@pytest.mark.parametrize("case", LINES, ids=lambda case: f"{case.encoder}-{case.name}".rstrip("-"))
def test_both_write_the_same_lines(case: Random) -> None:
    """slugs: text-copy, array-literal"""

    @QUICK
    @given(case.values, st.sampled_from(case.options))
    def check(array: pa.Array, options: dict[str, Any]) -> None:
        spec = EncoderSpec("c0", case.encoder, options)
        assert lines(pgcopy, spec, batch_of(array)) == lines(plain, spec, batch_of(array))

    check()


def test_every_encoder_is_tried() -> None:
    assert {case.encoder for case in LINES} == {**pgcopy.ENCODERS, **pgcopy.TEXT_ENCODERS}.keys()
    assert pgcopy.TEXT_ENCODERS.keys() == plain.TEXT_ENCODERS.keys()


def test_lines() -> None:
    """slug: text-copy"""
    specs = [EncoderSpec("c0", "int8"), EncoderSpec("c1", "literal"), EncoderSpec("c2", "bytea")]
    batch = batch_of(
        pa.array([-1, None]), pa.array(["a\tb\\N\r", "x\ny"]), pa.array([b"\0\xff", b""], pa.binary())
    )
    for module in (pgcopy, plain):
        data = bytes(module.CopyEncoder(specs, text=True).encode(batch))
        assert data == b"-1\ta\\tb\\\\N\\r\t\\\\x00ff\n\\N\tx\\ny\t\\\\x\n"


@pytest.mark.parametrize(
    ("given_", "literal"),
    [
        ("[]", "{}"),
        (" [ 1 , null , -2.5e3 ] ", "{1,NULL,-2.5e3}"),
        ("[[1,2],[3,4]]", "{{1,2},{3,4}}"),
        ('["a,b","NULL","",null]', '{"a,b","NULL","",NULL}'),
        (r'["\"\\\/\u00e9\ud83d\ude00"]', '{"\\"\\\\/é😀"}'),
        ('[{"a": "}"}, true]', '{"{\\"a\\": \\"}\\"}",true}'),
    ],
)
def test_array_literals(given_: str, literal: str) -> None:
    """slug: array-literal"""
    for module in (pgcopy, plain):
        encoder = module.CopyEncoder([EncoderSpec("c0", "array")], text=True)
        assert bytes(encoder.encode(batch_of(pa.array([given_])))).decode() == (
            literal.replace("\\", "\\\\") + "\n"
        )


@pytest.mark.parametrize(
    ("given_", "reason"),
    [
        *[(bad, "bad-json") for bad in ("", "1", "{}", "[", "[1", "[1]]", "[1,]", "[,1]", "[1 2]", '["a]')],
        *[
            (bad, "bad-json")
            for bad in ('["\\q"]', '["\\ud800"]', '["\\udc00x"]', '[{"a"]', '["\t"]', "[1][2]")
        ],
        ('["\\u0000"]', "nul-byte"),
        ('["\0"]', "nul-byte"),
    ],
)
def test_arrays_refused(given_: str, reason: str) -> None:
    """slug: array-literal"""
    for module in (pgcopy, plain):
        encoder = module.CopyEncoder([EncoderSpec("c0", "array")], text=True)
        with pytest.raises(RowError) as refused:
            encoder.encode(batch_of(pa.array(["[]", given_])))
        assert (refused.value.row, refused.value.reason) == (1, reason)


@pytest.mark.parametrize("encoder", ["array", "literal"])
def test_binary_rows_have_no_such_encoders(encoder: str) -> None:
    for module in (pgcopy, plain):
        with pytest.raises(ValueError, match="no encoder"):
            module.CopyEncoder([EncoderSpec("c0", encoder)])


def test_memory_of_lines() -> None:
    """A view stays as it is while a slice of it is held. slug: encode-memory"""
    encoder = CopyEncoder([EncoderSpec("c0", "int4")], text=True)
    held = encoder.encode(batch_of(pa.array([1, 2], pa.int32())))[:2]
    encoder.encode(batch_of(pa.array([7, 8], pa.int32())))
    assert bytes(held) == b"1\n"
