"""The OpenAPI document and a page that shows it."""

from __future__ import annotations

from functools import cache
from typing import Any

from blacksheep import Response

from server.operations import Answer, Auth, Call, Table
from server.responses import JSON_TEXT, encode, raw_response
from server.web.page import docs_page

table = Table("documentation")
YAML = "application/yaml"
HTML = "text/html; charset=utf-8"


@cache
def _document(form: str) -> bytes:
    from server.openapi import as_yaml, build_document
    from server.routes import all_operations

    document = build_document(all_operations())
    return encode(document) if form == "json" else as_yaml(document)


@table.call(
    "GET",
    "/openapi.json",
    "getOpenapiJson",
    "This document as JSON",
    auth=Auth.NONE,
    at_root=True,
    answer=Answer(description="OpenAPI 3.0 document", media=JSON_TEXT, structured=True),
)
async def openapi_json(call: Call) -> Any:
    return raw_response(200, await call.run(_document, "json"), JSON_TEXT, {"Cache-Control": "no-cache"})


@table.call(
    "GET",
    "/openapi.yaml",
    "getOpenapiYaml",
    "This document as YAML",
    auth=Auth.NONE,
    at_root=True,
    answer=Answer(description="OpenAPI 3.0 document", media=YAML, structured=True),
)
async def openapi_yaml(call: Call) -> Any:
    return raw_response(200, await call.run(_document, "yaml"), YAML, {"Cache-Control": "no-cache"})


@table.call(
    "GET",
    "/docs",
    "getDocsPage",
    "A page that shows this document",
    auth=Auth.NONE,
    at_root=True,
    answer=Answer(description="HTML page", media=HTML),
)
async def docs(call: Call) -> Response:
    body, policy = docs_page()
    return raw_response(
        200,
        body,
        HTML,
        {"Cache-Control": "no-cache", "Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"},
    )
