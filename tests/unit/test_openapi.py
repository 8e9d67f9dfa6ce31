"""The document: valid 3.0.3, complete, and in step with the router and the list of codes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_schema_validator import OAS30WriteValidator
from openapi_spec_validator import OpenAPIV30SpecValidator
from pydantic import create_model

from engine.api import Engine
from engine.errors import Code
from server.app import BASE, create_app
from server.json_schema import component_schemas, convert
from server.openapi import as_json, as_yaml, build_document
from server.operations import Confirm, Operation
from server.routes import all_operations
from server.web.page import docs_page

OPERATIONS = all_operations()
DOCUMENT: dict[str, Any] = json.loads(as_json(build_document(OPERATIONS)))
NULL = {"type": "object", "nullable": True, "enum": [None]}
CALLS = [
    (path, method, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
]


def named(operation: Operation) -> str:
    return operation.id


def walk(value: Any) -> Any:
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(inner)


def test_valid() -> None:
    """openapi-valid"""
    assert DOCUMENT["openapi"] == "3.0.3"
    OpenAPIV30SpecValidator(DOCUMENT).validate()


def test_yaml_says_the_same() -> None:
    assert yaml.safe_load(as_yaml(build_document(OPERATIONS))) == DOCUMENT


def test_router_and_document_hold_the_same_calls(tmp_path: Path) -> None:
    """openapi-walks-the-router"""
    with Engine(tmp_path / "data", supervise=False) as engine:
        app = create_app(engine, tmp_path / "data")
        app.router.apply_routes()
        routed = {
            (method.decode() if isinstance(method, bytes) else method, route.mustache_pattern)
            for method, route in app.router.iter_with_methods()
        }
        app.services_of_api.close()
    documented = {(method.upper(), BASE + path) for path, method, _ in CALLS}
    heads = {("HEAD", path) for method, path in documented if method == "GET"}
    at_root = {(m, operation.path) for operation in OPERATIONS if operation.at_root for m in ("GET", "HEAD")}
    assert routed == documented | heads | at_root


def test_operation_ids() -> None:
    ids = [operation["operationId"] for _, _, operation in CALLS]
    assert len(ids) == len(set(ids))
    verbs = "get|list|create|update|delete|clone|test|ping|plan|start|pause|resume|stop|verify|stream|clear"
    verbs += "|validate"
    assert [name for name in ids if not re.fullmatch(rf"({verbs})[A-Z]\w+", name)] == []


def test_links_lead_to_calls() -> None:
    ids = {operation["operationId"] for _, _, operation in CALLS}
    targets = [
        link["operationId"]
        for _, _, operation in CALLS
        for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
    ]
    assert targets
    assert set(targets) <= ids


@pytest.mark.parametrize("operation", OPERATIONS, ids=named)
def test_each_call_is_described(operation: Operation) -> None:
    described = DOCUMENT["paths"][operation.path][operation.method.lower()]
    assert described["summary"]
    assert described["tags"]
    answers = described["responses"]
    success = answers[str(operation.answer.status)]
    assert success["content"]
    for code in operation.all_errors:
        assert code.value in answers[str(code.status)]["x-codes"]
        assert code.value in answers[str(code.status)]["content"]["application/json"]["examples"]
    for answer in answers.values():
        assert "X-Request-ID" in answer["headers"]
    if operation.body is not None:
        schema = described["requestBody"]["content"]["application/json"]["schema"]
        assert list(schema) == ["$ref"]
    if operation.method == "GET":
        assert operation.body is None
        assert not operation.idempotent
    if operation.confirm is not Confirm.NONE:
        assert operation.method == "DELETE"


def test_error_codes_are_all_listed() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert set(schemas["Code"]["enum"]) == {code.value for code in Code}


def test_only_words_of_3_0() -> None:
    """openapi-3.0-dialect: nothing of the newer JSON Schema is left."""
    newer = {"const", "$defs", "prefixItems", "examples", "propertyNames", "$schema", "if", "contains"}
    for schema in walk(DOCUMENT["components"]["schemas"]):
        if not isinstance(schema, dict):
            continue
        if "properties" in schema and isinstance(schema["properties"], dict):
            for name in schema["properties"]:
                assert name not in newer
        assert not newer & set(schema) or "type" not in schema, schema
        assert schema.get("type") != "null", schema
        assert not isinstance(schema.get("type"), list), schema
        if "$ref" in schema:
            assert list(schema) == ["$ref"]
            assert schema["$ref"].startswith("#/components/")
        for bound in ("exclusiveMinimum", "exclusiveMaximum"):
            assert isinstance(schema.get(bound, True), bool)


def test_references_are_kept() -> None:
    for item in walk(DOCUMENT):
        if isinstance(item, dict) and isinstance(item.get("$ref"), str):
            target: Any = DOCUMENT
            for part in item["$ref"].removeprefix("#/").split("/"):
                target = target[part]


@pytest.mark.parametrize(
    "operation", [o for o in OPERATIONS if o.body is not None and o.body.example is not None], ids=named
)
def test_examples_of_bodies_fit_their_schemas(operation: Operation) -> None:
    content = DOCUMENT["paths"][operation.path][operation.method.lower()]["requestBody"]["content"]
    entry = content["application/json"]
    whole = {"allOf": [entry["schema"]], "components": DOCUMENT["components"]}
    assert list(OAS30WriteValidator(whole).iter_errors(entry["example"])) == []


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
            {"nullable": True, "type": "string"},
        ),
        (
            {"anyOf": [{"$ref": "#/components/schemas/A"}, {"type": "null"}]},
            {"anyOf": [{"$ref": "#/components/schemas/A"}, NULL]},
        ),
        (
            {"anyOf": [{"type": "string"}, {"type": "boolean"}, {"type": "null"}]},
            {"anyOf": [{"type": "string"}, {"type": "boolean"}, NULL]},
        ),
        ({"const": "x", "type": "string"}, {"enum": ["x"], "type": "string"}),
        (
            {"anyOf": [{"enum": ["a"], "type": "string"}, {"type": "null"}]},
            {"nullable": True, "type": "string", "enum": ["a", None]},
        ),
        ({"examples": [1, 2], "type": "number"}, {"example": 1, "type": "number"}),
        (
            {"exclusiveMinimum": 0, "type": "number"},
            {"minimum": 0, "exclusiveMinimum": True, "type": "number"},
        ),
        (
            {"$ref": "#/components/schemas/A", "default": "x"},
            {"allOf": [{"$ref": "#/components/schemas/A"}], "default": "x"},
        ),
        ({"type": "integer", "maximum": 5}, {"type": "integer", "maximum": 5, "format": "int32"}),
        ({"type": "integer"}, {"type": "integer", "format": "int64"}),
        (
            {"prefixItems": [{"type": "string"}, {"type": "boolean"}], "type": "array"},
            {"items": {"oneOf": [{"type": "string"}, {"type": "boolean"}]}, "type": "array"},
        ),
        ({"type": "object", "propertyNames": {"maxLength": 3}}, {"type": "object"}),
        (
            {"properties": {"title": {"type": "string", "title": "Title"}}, "title": "T"},
            {"properties": {"title": {"type": "string"}}},
        ),
        (True, True),
    ],
)
def test_conversion(given: Any, wanted: Any) -> None:
    """openapi-nullable"""
    assert convert(given) == wanted


def test_two_models_of_one_name_are_refused() -> None:
    first = create_model("Twin", value=(int, ...))
    second = create_model("Twin", value=(str, ...))
    with pytest.raises(ValueError, match="share a name"):
        component_schemas([first, second], [])


def test_the_page_takes_nothing_from_elsewhere() -> None:
    """docs-self-contained"""
    page, policy = docs_page()
    assert not re.findall(rb"(?:src|href)=\"(?:https?:)?//", page)
    assert b"/* script */" not in page
    assert "'unsafe-inline'" not in policy
    assert "default-src 'none'" in policy
