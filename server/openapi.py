"""The OpenAPI 3.0.3 document, built from the route table and the models: it cannot say what is not there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from typing import Any

import orjson

from engine.errors import Code
from server.json_schema import REF, component_schemas, field_schemas, without_null
from server.operations import Auth, Confirm, Operation
from server.responses import JSON_TEXT
from server.schemas.common import Error, FieldProblem

Document = dict[str, Any]
BASE = "/api/v1"

_TAGS = {
    "system": "Health, defaults, logging, metrics",
    "documentation": "This document",
    "user": "The key's owner",
    "connections": "Saved coordinates and credentials of databases, files and buckets",
    "databases": "Databases and schemas of a connection",
    "stream-configs": "Saved descriptions of transfers",
    "streams": "Executions of stream configs",
    "logs": "What happens, live",
}
_SECURITY: dict[Auth, list[dict[str, list[str]]]] = {
    Auth.NONE: [],
    Auth.FULL: [{"apiKey": [], "installId": []}],
    Auth.KEY: [{"apiKey": []}, {"apiKey": [], "installId": []}],
    Auth.BROWSER: [{"apiKey": [], "installId": []}, {"apiKeyQuery": [], "installIdQuery": []}],
}
_SCHEMES = {
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "installId": {"type": "apiKey", "in": "header", "name": "X-Install-ID"},
    "apiKeyQuery": {"type": "apiKey", "in": "query", "name": "api_key"},
    "installIdQuery": {"type": "apiKey", "in": "query", "name": "install_id"},
}
_PATH_PARAMETERS = {
    "id": "The id",
    "db": "The database's name, percent-encoded",
    "runId": "The run's id",
}
_ABOUT = """Connect databases, and move data between them: nothing lost, nothing silently changed.

Errors of every call have the schema `Error`; its `code` is stable. Unknown fields and parameters are refused.
Every answer carries `X-Request-ID`. GET calls answer HEAD too; OPTIONS says what a path allows (`Allow`);
another method gives 405 `METHOD_NOT_ALLOWED`, another path 404 `ROUTE_NOT_FOUND`. The health, readiness and
documentation calls are also served without the base path. Enumerations in answers may get new values."""


def build_document(operations: Iterable[Operation]) -> Document:
    """The whole document as plain data."""
    calls = list(operations)
    paths: dict[str, Document] = {}
    for operation in calls:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    used = {operation.tag for operation in calls}
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "dbstreams REST API",
            "version": product_version(),
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "servers": [{"url": BASE}],
        "tags": [{"name": tag, "description": text} for tag, text in _TAGS.items() if tag in used],
        "paths": paths,
        "components": {
            "schemas": _refined(component_schemas(*_models(calls))),
            "securitySchemes": _SCHEMES,
            "parameters": _shared_parameters(),
            "headers": _shared_headers(),
            "examples": {code.value: {"value": _example(code)} for code in Code},
        },
    }


def product_version() -> str:
    try:
        return version("dbstreams")
    except PackageNotFoundError:
        return "0.0.0"


def as_json(document: Document) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def as_yaml(document: Document) -> bytes:
    """Block style; every string is double-quoted in JSON's form, which YAML 1.2 shares."""
    return ("\n".join(_yaml_lines(document, 0)) + "\n").encode()


# What an answer adds to what was sent may be sent back with it, and is ignored.
_READ_ONLY = {
    "Connection": ("id", "created", "status", "databasesInfo"),
    "StreamConfig": ("id", "created", "modified"),
}


# Objects of which exactly one field is given; the models check it in code, which no schema shows.
_EXACTLY_ONE = ("ConnectionSpec", "TargetSpec")


def _refined(schemas: dict[str, Document]) -> dict[str, Document]:
    """The schemas with what the models' own code adds to them."""
    for name in _EXACTLY_ONE:
        schemas[name] |= {"minProperties": 1, "maxProperties": 1}
        fields_of = schemas[name]["properties"]
        for field, schema in fields_of.items():
            fields_of[field] = without_null(schema)
    for name, fields in _READ_ONLY.items():
        for field in fields:
            schemas[name]["properties"][field] = {"readOnly": True, "description": "Ignored when sent"}
    return schemas


def _models(calls: Sequence[Operation]) -> tuple[list[Any], list[Any]]:
    requests = [call.body.model for call in calls if call.body]
    answers: list[Any] = [call.answer.model for call in calls if call.answer.model]
    return requests, [*answers, Error, FieldProblem]


def _operation(operation: Operation) -> Document:
    parts: Document = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": _parameters(operation),
        "responses": _responses(operation),
        "security": _SECURITY[operation.auth],
    }
    if operation.description:
        parts["description"] = " ".join(operation.description.split())
    if operation.body is not None:
        parts["requestBody"] = _body(operation)
    return parts


def _parameters(operation: Operation) -> list[Document]:
    found: list[Document] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PATH_PARAMETERS[name],
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        }
        for name in operation.path_parameters
    ]
    if operation.query is not None:
        for name, (schema, required) in field_schemas(operation.query).items():
            text = schema.pop("description", "")
            found.append(
                {"name": name, "in": "query", "required": required, "description": text, "schema": schema}
            )
    found.append({"$ref": "#/components/parameters/RequestId"})
    if operation.idempotent:
        found.append({"$ref": "#/components/parameters/IdempotencyKey"})
    if operation.confirm is not Confirm.NONE:
        name = "Confirmation" if operation.confirm is Confirm.NEEDED else "ConfirmDelete"
        found.append({"$ref": f"#/components/parameters/{name}"})
    if operation.id == "streamLogs":
        found.append({"$ref": "#/components/parameters/LastEventId"})
    return found


def _body(operation: Operation) -> Document:
    body = operation.body
    assert body is not None
    entry: Document = {"schema": {"$ref": REF + body.model.__name__}}
    if body.example is not None:
        entry["example"] = body.example
    content: Document = {JSON_TEXT: entry}
    if body.plain_text_field is not None:
        plain, _ = field_schemas(body.model)[body.plain_text_field]
        content["text/plain"] = {"schema": plain}
    return {"required": body.required, "content": content}


def _responses(operation: Operation) -> Document:
    answer = operation.answer
    headers: Document = {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}}
    if operation.idempotent:
        headers["Idempotency-Replayed"] = {"$ref": "#/components/headers/IdempotencyReplayed"}
    if operation.location:
        headers["Location"] = {"$ref": "#/components/headers/Location"}
    success: Document = {
        "description": answer.description,
        "headers": headers,
        "content": {answer.media.partition(";")[0]: _content(operation)},
    }
    if operation.links:
        success["links"] = {
            name: {"operationId": link.operation_id, "parameters": {link.parameter: link.expression}}
            for name, link in operation.links.items()
        }
    found: Document = {str(answer.status): success}
    for status, codes in groupby(operation.all_errors, key=lambda code: code.status):
        found[str(status)] = _failure(status, list(codes))
    return found


def _content(operation: Operation) -> Document:
    answer = operation.answer
    if answer.model is None:
        return {"schema": {"type": "object" if answer.structured else "string"}}
    reference = {"$ref": REF + answer.model.__name__}
    entry: Document = {"schema": {"type": "array", "items": reference} if answer.listed else reference}
    if answer.example is not None:
        entry["example"] = answer.example
    return entry


def _failure(status: int, codes: list[Code]) -> Document:
    names = [code.value for code in codes]
    headers: Document = {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}}
    if status in (429, 503):
        headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
    return {
        "description": ", ".join(names),
        "x-codes": names,
        "headers": headers,
        "content": {
            JSON_TEXT: {
                "schema": {"$ref": REF + "Error"},
                "examples": {name: {"$ref": f"#/components/examples/{name}"} for name in names},
            }
        },
    }


def _example(code: Code) -> Document:
    return {
        "error": code.value.replace("_", " ").lower(),
        "code": code.value,
        "category": code.category.value,
        "details": {},
        "requestId": "req_7f3a0c5d2b9e4816a1c0d3f2",
    }


def _shared_parameters() -> Document:
    return {
        "RequestId": {
            "name": "X-Request-ID",
            "in": "header",
            "description": "Echoed when it is 1 to 128 plain characters, else one is made",
            "schema": {"type": "string"},
        },
        "IdempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "The same call with the same key within 24 h gives the first successful "
            "answer again; a different call with it is refused",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        },
        "ConfirmDelete": {
            "name": "X-Confirm-Delete",
            "in": "header",
            "description": "true confirms a deletion that takes much with it",
            "schema": {"type": "string", "enum": ["true", "false"]},
        },
        "Confirmation": {
            "name": "X-Confirm-Delete",
            "in": "header",
            "required": True,
            "description": "Without it nothing is deleted: 428 CONFIRMATION_REQUIRED",
            "schema": {"type": "string", "enum": ["true"]},
        },
        "LastEventId": {
            "name": "Last-Event-ID",
            "in": "header",
            "description": "The id of the last event received",
            "schema": {"type": "string", "maxLength": 32},
        },
    }


def _shared_headers() -> Document:
    return {
        "RequestId": {"description": "The request's id", "schema": {"type": "string"}},
        "IdempotencyReplayed": {
            "description": "true when this is a kept answer",
            "schema": {"type": "string", "enum": ["true"]},
        },
        "Location": {"description": "Where the new thing is", "schema": {"type": "string"}},
        "RetryAfter": {"description": "Seconds to wait", "schema": {"type": "string"}},
    }


def _yaml_lines(value: Any, depth: int) -> list[str]:
    pad = "  " * depth
    lines: list[str] = []
    if isinstance(value, dict):
        for key, inner in value.items():
            lines += _yaml_item(f"{pad}{_yaml_scalar(str(key))}:", inner, depth + 1)
    else:
        for inner in value:
            lines += _yaml_item(f"{pad}-", inner, depth + 1)
    return lines


def _yaml_item(head: str, value: Any, depth: int) -> list[str]:
    if isinstance(value, dict | list | tuple) and value:
        return [head, *_yaml_lines(value, depth)]
    return [f"{head} {_yaml_scalar(value)}"]


def _yaml_scalar(value: Any) -> str:
    if isinstance(value, str) and value.isidentifier() and value.lower() not in _YAML_WORDS:
        return value
    return orjson.dumps(value).decode()


_YAML_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"}
