"""The answers' shapes, for the OpenAPI document and the tests; handlers return plain dicts of the engine."""
