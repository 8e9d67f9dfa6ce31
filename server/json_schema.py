"""pydantic's JSON Schema (2020-12) as the schema objects of OpenAPI 3.0.3, which are an older dialect.

What differs, and what becomes of it: a type or null → `nullable`; `const` → a one-element `enum`;
`examples` → `example`; `$defs` → components; `prefixItems` → `items`; numeric `exclusiveMinimum` → the pair
`minimum` and `exclusiveMinimum: true`; siblings of `$ref`, which 3.0 ignores → `allOf` around the reference.
Defaults that are objects are left out: their fields say their own, and client generators choke on them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

Schema = dict[str, Any]
REF = "#/components/schemas/"
_INT64 = 2**53


def component_schemas(
    requests: Iterable[type[BaseModel]], answers: Iterable[type[BaseModel]]
) -> dict[str, Schema]:
    """All models and those inside them, by class name. Raises ValueError when two classes share a name."""
    wanted = [(model, "validation") for model in dict.fromkeys(requests)]
    wanted += [
        (model, "serialization") for model in dict.fromkeys(answers) if (model, "validation") not in wanted
    ]
    _, whole = models_json_schema(wanted, ref_template=REF + "{model}")  # type: ignore[arg-type]
    found: dict[str, Schema] = {}
    for name, schema in whole.get("$defs", {}).items():
        if not name.isidentifier() or "__" in name:
            raise ValueError(f"two models share a name: {name}")
        found[name] = convert(schema)
    return dict(sorted(found.items()))


def field_schemas(model: type[BaseModel]) -> dict[str, tuple[Schema, bool]]:
    """name → (schema, required) of each field of a model."""
    whole = model.model_json_schema(ref_template=REF + "{model}")
    required = set(whole.get("required", ()))
    return {name: (convert(schema), name in required) for name, schema in whole.get("properties", {}).items()}


def convert(schema: Any) -> Any:
    """One schema and everything inside it."""
    if not isinstance(schema, dict):
        return schema
    schema = {key: value for key, value in schema.items() if key not in ("$defs", "title", "$schema")}
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            schema[key] = [convert(item) for item in schema[key]]
    for key in ("items", "additionalProperties", "not"):
        if key in schema:
            schema[key] = convert(schema[key])
    if "properties" in schema:
        schema["properties"] = {name: convert(item) for name, item in schema["properties"].items()}
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    if "examples" in schema:
        schema["example"] = schema.pop("examples")[0]
    if "prefixItems" in schema:
        schema["items"] = {"oneOf": [convert(item) for item in schema.pop("prefixItems")]}
    schema.pop("propertyNames", None)
    _bounds(schema)
    _null(schema)
    return _reference(schema)


def _bounds(schema: Schema) -> None:
    for exclusive, plain in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(schema.get(exclusive), int | float) and not isinstance(schema[exclusive], bool):
            schema[plain] = schema[exclusive]
            schema[exclusive] = True
    if schema.get("type") == "integer":
        schema.setdefault("format", "int64" if schema.get("maximum", _INT64) > 2**31 - 1 else "int32")


# `nullable` adds null to the `type` beside it and to nothing else (3.0.3, Schema Object), so that it cannot
# open a reference or a choice: null is a choice of its own there.
_ONLY_NULL: Schema = {"type": "object", "nullable": True, "enum": [None]}


def without_null(schema: Schema) -> Schema:
    """A converted schema that does not take null any more."""
    choices = [item for item in schema.get("anyOf", ()) if item != _ONLY_NULL]
    if len(choices) == 1:
        return {**choices[0]}
    return {key: value for key, value in schema.items() if key != "nullable"}


def _null(schema: Schema) -> None:
    for key in ("anyOf", "oneOf"):
        choices = schema.get(key)
        if not choices:
            continue
        kept = [item for item in choices if item != {"type": "null"}]
        if len(kept) == len(choices):
            continue
        if len(kept) > 1 or "$ref" in kept[0]:
            schema[key] = [*kept, dict(_ONLY_NULL)]
            continue
        schema["nullable"] = True
        del schema[key]
        for name, value in kept[0].items():
            schema.setdefault(name, value)
    if schema.get("nullable") and "enum" in schema and None not in schema["enum"]:
        schema["enum"] = [*schema["enum"], None]
    if schema.get("default", 0) is None or isinstance(schema.get("default"), dict):
        del schema["default"]


def _reference(schema: Schema) -> Schema:
    if "$ref" in schema and len(schema) > 1:
        reference = {"$ref": schema.pop("$ref")}
        return {"allOf": [reference], **schema}
    return schema
