"""The operators' addresses as `/openapi.json` tells them. The gate answers before the application is asked, so these routes answer nothing."""

import json
from importlib import resources
from typing import Any

from fastapi import APIRouter, Response

from trust.edge.operations.gate import HEALTH, LIVE, METRICS, READY, SCHEMA
from trust.errors import NotFound

_SHORT = {"type": "object", "required": ["status"], "properties": {"status": {"enum": ["pass", "fail"]}}}


def schema() -> bytes:
    """JSON Schema of `/health`."""
    return (resources.files("trust.edge.operations") / "health.schema.json").read_bytes()


def _answers(what: str, shape: dict[str, Any], otherwise: str) -> dict[int | str, dict[str, Any]]:
    content = {"application/json": {"schema": shape}}
    return {200: {"description": what, "content": content}, 503: {"description": otherwise, "content": content}}


def description() -> APIRouter:
    routes = APIRouter(tags=["Operation"])
    whole = json.loads(schema())
    definitions = whole.pop("$defs")
    whole.pop("$schema")
    whole.pop("$id")
    full = json.loads(json.dumps(whole).replace('{"$ref": "#/$defs/status"}', json.dumps(definitions["status"])).replace("#/$defs/finding", "@"))
    refused = "Requests for time-stamps would be refused."
    text = {"text/plain": {"schema": {"type": "string"}}}

    def nothing() -> None:
        raise NotFound("nothing is served at this address")

    every: tuple[tuple[str, str, str, dict[int | str, dict[str, Any]]], ...] = (
        (HEALTH, "How the service does", "get_health", _answers("It does well; its details are for operations.networks.", _plain(full), refused)),
        (LIVE, "Whether the process works at all", "get_live", _answers("It does.", _SHORT, "It has to be started again.")),
        (READY, "Whether requests should be sent here", "get_ready", _answers("They should.", _SHORT, f"{refused} Or the service is ending.")),
        (SCHEMA, "JSON Schema of /health", "get_health_schema", {200: {"description": "The schema.", "content": {"application/schema+json": {}}}}),
        (
            METRICS,
            "Metrics for Prometheus",
            "get_metrics",
            {200: {"description": "Text format, or OpenMetrics where that is accepted.", "content": text}, 403: {"description": "Not from there."}},
        ),
    )
    for path, summary, name, responses in every:
        routes.add_api_route(path, nothing, methods=["GET"], summary=summary, operation_id=name, response_class=Response, responses=responses)
    return routes


def _plain(shape: Any) -> Any:
    """Without references: an OpenAPI document has another place for definitions, and what a finding is can be said where it stands."""
    if isinstance(shape, list):
        return [_plain(each) for each in shape]
    if not isinstance(shape, dict):
        return shape
    made = {name: _plain(each) for name, each in shape.items() if name != "$ref"}
    if "$ref" in shape:
        finding = {"status": {"enum": ["pass", "warn", "fail"]}, "why": {"type": "string"}}
        made = {"type": "object", "required": ["status"], **made, "properties": {**finding, **made.get("properties", {})}}
    return made
