"""The OpenAPI document: valid, and its examples are what the service takes and answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from agent_app.http import openapi
from agent_app.http.api import create
from agent_app.settings import Settings
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from agent_app import service

Json = dict[str, Any]


@pytest.fixture
async def document() -> Json:
    async with service.opened(Settings()) as parts:
        return create(parts).openapi()


def _operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


def _bodies(document: Json) -> Iterator[tuple[str, str, Json]]:
    """Every body of every operation, with what it is: its media type and description."""
    for _, _, operation in _operations(document):
        for kind, body in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{operation['operationId']} takes", kind, body
        for status, answer in operation["responses"].items():
            for kind, body in answer.get("content", {}).items():
                yield f"{operation['operationId']} answers {status}", kind, body


def _examples(document: Json, body: Json) -> list[Any]:
    """The body's own, else its schema's."""
    if "example" in body:
        return [body["example"]]
    if "examples" in body:
        return [example["value"] for example in body["examples"].values()]
    name = body["schema"].get("$ref", "/").rpartition("/")[2]
    examples: list[Any] = document["components"]["schemas"].get(name, {}).get("examples", [])
    return examples


def _check(document: Json, schema: Json, value: object) -> None:
    whole = {**schema, "components": document["components"]}
    Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)


async def test_the_document_is_openapi_3_1(document: Json) -> None:
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


async def test_every_body_has_examples_that_are_valid(document: Json) -> None:
    told = 0
    for what, kind, body in _bodies(document):
        examples = _examples(document, body)
        assert examples, f"{what} has no example as {kind}"
        for example in examples:
            _check(document, body["schema"], example)
            told += 1
    assert told > 40


async def test_the_data_of_events_is_described(document: Json) -> None:
    body = document["paths"]["/v1/chat"]["post"]["responses"]["200"]["content"]["text/event-stream"]
    kinds = {kind["properties"]["event"]["const"]: kind["properties"] for kind in body["schema"]["oneOf"]}
    assert set(kinds) == {"delta", "done", "error"}
    for example in _examples(document, body):
        _check(document, kinds[example["event"]]["data"]["contentSchema"], json.loads(example["data"]))


async def test_operations_have_names_of_their_own_and_a_tag_that_is_described(document: Json) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    names = [operation["operationId"] for _, _, operation in _operations(document)]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)
    for _, _, operation in _operations(document):
        assert set(operation["tags"]) <= tags


async def test_what_needs_a_key_says_so() -> None:
    async with service.opened(Settings()) as parts:
        app = create(parts)
    guarded = openapi.document(app, guarded=True)
    OpenAPIV31SpecValidator(guarded).validate()
    assert set(guarded["components"]["securitySchemes"]) == {"bearer", "apiKey"}
    for path, _, operation in _operations(guarded):
        asks = {name for way in operation.get("security", []) for name in way}
        assert asks == ({"bearer", "apiKey"} if path.startswith("/v1/") else set())
        assert ("401" in operation["responses"]) == path.startswith("/v1/")
    free = app.openapi()
    assert all(operation.get("security", []) == [] for _, _, operation in _operations(free))
