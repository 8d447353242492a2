"""The OpenAPI document holds: schemathesis calls every address with what it allows, and every answer is as it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from effort import HEAVY
from roe.serve.openapi import document
from roe.serve.routes import routes
from services import fill, policy, servers

schemathesis = pytest.importorskip("schemathesis")
CHECKS = pytest.importorskip("schemathesis.checks")
EXAMPLES = 200 if HEAVY else 5


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("openapi")
    with servers(policy(folder / "policy"), str(folder / "state")) as (server,):
        with server.client() as client:
            fill(client)
        yield schemathesis.openapi.from_url(f"{server.url}/v1/openapi.json")


def test_every_answer_is_as_the_document_says(schema: Any) -> None:
    checks = [CHECKS.not_a_server_error, CHECKS.response_schema_conformance, CHECKS.content_type_conformance]
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            response = case.call()
            assert response.status_code < 500, response.text
            if response.status_code >= 400:
                said = response.json()
                assert said["status"] == response.status_code and said["code"].startswith("R") and said["detail"] and said["title"]
            case.validate_response(response, checks=checks)

        ask()


def test_every_address_is_in_the_document() -> None:
    paths = document()["paths"]
    there = {(path, method) for path, methods in paths.items() for method in methods}
    served = {
        (r.path_format, m.lower()) for r in routes() for m in r.methods or () if m != "HEAD" and not r.path_format.startswith("/v1/hooks")
    }
    # the document of a fixed entity's address, and addresses that are not about records
    assert served - there == {("/metrics", "get"), ("/v1/openapi.json", "get")}
    assert not there - served
