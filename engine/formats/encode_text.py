"""Rows of CSV, JSON and JSONL files, a batch at a time, made by Arrow's kernels over whole columns.

A column becomes an array of its cells, NULL written out; the cells of a row are joined with what stands
between them, and the buffer of the result is what goes into the file. Arrow lets go of the GIL meanwhile.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from engine.formats.encode import TableValues
from engine.formats.encode_context import any_true
from engine.formats.encode_times import moment_text
from engine.formats.manifest import Encoding, ManifestCsv
from engine.types import Image
from ext.rowerror import RowError

SLICE_BYTES = 1 << 20  # of a batch, made into rows at once: what lies between stays in the cache
WIDE_BYTES = 256 << 20  # of a batch, above which the joined rows may need 64-bit offsets

Render: TypeAlias = "Callable[[pa.Array], pa.Array]"  # values → cells, where NULL stays NULL


@dataclass(frozen=True, slots=True)
class Cells:
    """One column of a text format: how a value is printed, and whether it is a string that must be quoted."""

    render: Render
    quoted: bool


class TextEncoder:
    """Batches as read → the bytes of their rows; a BatchEncoder. Rows end in `end`."""

    end = "\n"

    def __init__(self, values: TableValues) -> None:
        self._values = values
        self._buffer = bytearray()  # the memory behind what `encode` gave

    @property
    def counters(self) -> Mapping[tuple[str, str], int]:
        return self._values.counters

    def encode(self, batch: pa.RecordBatch) -> memoryview:
        """Valid until the next call. Raises RowError for the first value that cannot go."""
        try:
            self._buffer.clear()
        except BufferError:  # somebody still holds what he was given
            self._buffer = bytearray()
        size = max(1, batch.nbytes)
        step = max(1, min(batch.num_rows, batch.num_rows * SLICE_BYTES // size))
        for start in range(0, batch.num_rows, step):
            try:
                self._buffer += self._rows(batch.slice(start, step))
            except RowError as error:
                raise RowError(error.column, start + error.row, error.reason, error.value) from None
        pa.default_memory_pool().release_unused()  # Arrow's allocator keeps what was freed for a while
        return memoryview(self._buffer)

    def _rows(self, batch: pa.RecordBatch) -> memoryview:
        kind = pa.large_string() if batch.nbytes > WIDE_BYTES else pa.string()
        pieces = self._pieces(self._values.arrays(batch))
        joined = pc.binary_join_element_wise(*(pc.cast(piece, kind) for piece in pieces), pa.scalar("", kind))
        return _bytes_of(joined)

    def _pieces(self, arrays: list[pa.Array]) -> list[pa.Array | pa.Scalar]:
        """What a row is made of, in order."""
        raise NotImplementedError


def _bytes_of(text: pa.Array) -> memoryview:
    """The bytes of all values, one after the other."""
    _, offsets, data = text.buffers()
    if data is None or not len(text):
        return memoryview(b"")
    octets = memoryview(offsets).cast("B")
    places = octets.cast("q") if pa.types.is_large_string(text.type) else octets.cast("i")
    return memoryview(data)[places[text.offset] : places[text.offset + len(text)]]


def _octets(text: pa.Array) -> np.ndarray:
    return np.frombuffer(_bytes_of(text), np.uint8)


def _holds(text: pa.Array, char: str) -> bool:
    """Whether a character stands anywhere in the values; it may be said of one behind a NULL too."""
    return (
        bool((_octets(text) == ord(char)).any())
        if char.isascii()
        else any_true(pc.match_substring(text, char))
    )


def _floats(array: pa.Array) -> pa.Array:
    """Shortest text that reads back as the same number; -0.0 keeps its sign with every reader."""
    text = pc.cast(array, pa.string())
    if any_true(pc.equal(array, pa.scalar(0.0, array.type))):
        text = pc.if_else(pc.fill_null(pc.equal(text, "-0"), False), "-0.0", text)
    if any_true(pc.invert(pc.is_finite(array))):
        for printed, name in (("nan", "NaN"), ("-nan", "NaN"), ("inf", "Infinity"), ("-inf", "-Infinity")):
            text = pc.if_else(pc.fill_null(pc.equal(text, printed), False), name, text)
    return text


def _base64(array: pa.Array) -> pa.Array:
    encode = binascii.b2a_base64
    values = [None if value is None else encode(value, newline=False) for value in _binary(array).to_pylist()]
    return pa.array(values, pa.large_binary()).view(pa.large_string())


def _binary(array: pa.Array) -> pa.Array:
    return pc.cast(array, pa.binary()) if pa.types.is_fixed_size_binary(array.type) else array


def _plain(array: pa.Array) -> pa.Array:
    return pc.cast(array, pa.string())


def _as_it_is(array: pa.Array) -> pa.Array:
    return array


# ---------------------------------------------------------------- CSV


class CsvEncoder(TextEncoder):
    """NULL is an unquoted empty field (`csv.null`), what is quoted is a string. Numbers and moments are not
    quoted, unless the delimiter could be a character of theirs."""

    def __init__(self, values: TableValues, names: tuple[str, ...], csv: ManifestCsv) -> None:
        super().__init__(values)
        self._csv = csv
        everything = csv.delimiter.isalnum() or csv.delimiter in "+-.:\\ "
        self._cells = tuple(
            Cells(cells.render, cells.quoted or everything)
            for cells in (
                _csv_cells(shape.encoding, shape.arrow, column.image)
                for shape, column in zip(values.shapes, values.read.columns, strict=True)
            )
        )
        header = csv.delimiter.join(self._quote(name) for name in names) + self.end
        self.head = header.encode() if csv.header else b""

    def _quote(self, text: str) -> str:
        quote = self._csv.quote
        return f"{quote}{text.replace(quote, quote * 2)}{quote}"

    def _pieces(self, arrays: list[pa.Array]) -> list[pa.Array | pa.Scalar]:
        pieces: list[pa.Array | pa.Scalar] = []
        pending = ""  # constant text before the next array
        quote = self._csv.quote
        for at, (array, cells) in enumerate(zip(arrays, self._cells, strict=True)):
            pending += self._csv.delimiter if at else ""
            text = cells.render(array)
            if cells.quoted:
                if _holds(text, quote):
                    text = pc.replace_substring(text, quote, quote * 2)
                if not text.null_count:
                    pieces += [pa.scalar(pending + quote), text]
                    pending = quote
                    continue
                mark = pa.scalar(quote, text.type)
                text = pc.binary_join_element_wise(mark, text, mark, pa.scalar("", text.type))
            if pending:
                pieces.append(pa.scalar(pending))
            pieces.append(pc.fill_null(text, self._csv.null))
            pending = ""
        pieces.append(pa.scalar(pending + self.end))
        return pieces


def _csv_cells(encoding: Encoding, arrow: pa.DataType, image: Image) -> Cells:
    if encoding in (Encoding.BASE64, Encoding.EWKB_BASE64):
        return Cells(_base64, quoted=True)
    if encoding is Encoding.FLOATS_TEXT:
        return Cells(_list_of_floats, quoted=True)
    if encoding is not Encoding.PLAIN:
        return Cells(_as_it_is, quoted=encoding is not Encoding.CLOCK)
    if pa.types.is_floating(arrow):
        return Cells(_floats, quoted=False)
    if pa.types.is_temporal(arrow):
        return Cells(lambda array: moment_text(array, " "), quoted=False)
    return Cells(_plain, quoted=image is Image.TEXT)


# ---------------------------------------------------------------- JSON


class JsonEncoder(TextEncoder):
    """One object a row. Decided by column, as in our answers over HTTP: 64-bit integers, decimals and moments
    are strings, smaller integers and floats are numbers (NaN and infinities strings)."""

    head = b""

    def __init__(self, values: TableValues, names: tuple[str, ...], *, lines: bool) -> None:
        super().__init__(values)
        self.end = "\n" if lines else ",\n"
        self._names = tuple(orjson.dumps(name).decode() for name in names)
        self._cells = tuple(
            _json_cells(shape.encoding, shape.arrow, column.image, lines)
            for shape, column in zip(values.shapes, values.read.columns, strict=True)
        )

    def _pieces(self, arrays: list[pa.Array]) -> list[pa.Array | pa.Scalar]:
        pieces: list[pa.Array | pa.Scalar] = []
        pending = "{"
        for name, array, cells in zip(self._names, arrays, self._cells, strict=True):
            pending += f"{name}:"
            text = cells.render(array)
            if cells.quoted and not text.null_count:
                pieces += [pa.scalar(f'{pending}"'), text]
                pending = '",'
                continue
            if cells.quoted:
                mark = pa.scalar('"', text.type)
                text = pc.binary_join_element_wise(mark, text, mark, pa.scalar("", text.type))
            pieces += [pa.scalar(pending), pc.fill_null(text, "null")]
            pending = ","
        pieces.append(pa.scalar(pending.removesuffix(",") + "}" + self.end))
        return pieces


_ANY_TEXT = (Image.TEXT, Image.JSON, Image.SET, Image.SET_TEXT)  # whose values may hold any character


def _json_cells(encoding: Encoding, arrow: pa.DataType, image: Image, lines: bool) -> Cells:
    if encoding in (Encoding.BASE64, Encoding.EWKB_BASE64):
        return Cells(_base64, quoted=True)
    if encoding is Encoding.LABELS:
        return Cells(_list_of_strings, quoted=False)
    if pa.types.is_list(arrow):
        return Cells(_list_of_floats, quoted=False)
    if encoding is not Encoding.PLAIN:
        return Cells(json_escaped if image in _ANY_TEXT else _as_it_is, quoted=True)
    if image is Image.JSON:
        return Cells(_json_nested if lines else _as_it_is, quoted=False)
    if pa.types.is_string(arrow) or pa.types.is_large_string(arrow):
        return Cells(json_escaped if image in _ANY_TEXT else _as_it_is, quoted=True)
    if pa.types.is_floating(arrow):
        return Cells(_json_floats, quoted=False)
    if pa.types.is_temporal(arrow):
        return Cells(lambda array: moment_text(array, "T"), quoted=True)
    return Cells(_plain, quoted=arrow in (pa.int64(), pa.uint64()))


_SHORT = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r"}
_ESCAPES = {  # the backslash first, which the others bring in
    **{92: "\\\\", 34: '\\"'},
    **{code: _SHORT.get(code, f"\\u{code:04x}") for code in range(32)},
}


def json_escaped(text: pa.Array) -> pa.Array:
    """The characters of JSON strings, without the quotes around them."""
    octets = _octets(text)
    if not ((octets < 32).any() or (octets == 34).any() or (octets == 92).any()):
        return text
    there = np.zeros(256, np.bool_)
    there[octets] = True
    for code, escape in _ESCAPES.items():
        if there[code]:
            text = pc.replace_substring(text, chr(code), escape)
    return text


def _json_nested(text: pa.Array) -> pa.Array:
    """A line end between the parts of a JSON text would end a row of JSONL."""
    for char in "\r\n":
        if _holds(text, char):
            text = pc.replace_substring(text, char, " ")
    return text


def _json_floats(array: pa.Array) -> pa.Array:
    text = _floats(array)
    special = pc.invert(pc.is_finite(array))
    if any_true(special):
        quoted = pc.binary_join_element_wise(pa.scalar('"'), text, pa.scalar('"'), "")
        text = pc.if_else(pc.fill_null(special, False), quoted, text)
    return text


def _list_of_floats(array: pa.Array) -> pa.Array:
    return _joined_list(array, _json_floats(array.flatten()))


def _list_of_strings(array: pa.Array) -> pa.Array:
    items = pc.binary_join_element_wise(pa.scalar('"'), json_escaped(array.flatten()), pa.scalar('"'), "")
    return _joined_list(array, items)


def _joined_list(array: pa.Array, items: pa.Array) -> pa.Array:
    """`[…]` of every list, from the texts of all items in order."""
    items = pc.cast(items, pa.string())
    sizes = pc.fill_null(pc.list_value_length(array), 0).to_numpy()
    offsets = pa.array([0, *sizes.cumsum().tolist()], pa.int32())
    text = pc.binary_join(pa.ListArray.from_arrays(offsets, items), ",")
    text = pc.binary_join_element_wise(pa.scalar("["), text, pa.scalar("]"), "")
    if array.null_count:
        text = pc.if_else(array.is_valid(), text, pa.scalar(None, pa.string()))
    return text
