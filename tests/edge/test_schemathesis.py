"""Requests made from the OpenAPI document, right and wrong ones: no 5xx, and answers as documented.

Against a real server, since the generator is synchronous and the exchange lives in this test's loop.
"""

import asyncio
import json
from contextlib import suppress
from dataclasses import replace

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from tests.edge.harness import running_exchange, served

from exchange.edge.app import create_app
from exchange.edge.openapi_file import document_text

EXAMPLES = 6
CHECKED = ("response_schema_conformance", "status_code_conformance", "content_type_conformance")

NOT_NOW = {"not_yet", "not_compared_yet"}
"""Codes of a 503 that is the right answer here."""


def attack(base_url: str, token: str) -> list[str]:
    """Plays every operation of the document; returns what it played."""
    schema = schemathesis.openapi.from_dict(json.loads(document_text()))
    checks = CHECKS.get_by_names(CHECKED)
    played: list[str] = []
    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @seed(20261122)
            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def play(case: schemathesis.Case) -> None:
                if case.path == "/v1/auth/logout":
                    return  # it would end the session that the others use
                response = case.call(
                    base_url=base_url, headers={"Authorization": f"Bearer {token}"}, timeout=10
                )
                problem_code = response.json().get("code") if response.status_code >= 400 else None
                assert response.status_code < 500 or problem_code in NOT_NOW, response.text
                case.validate_response(response, checks=checks)
                played.append(f"{case.method} {case.path}")

            with suppress(Unsatisfiable):  # an operation without parameters can not be asked wrongly
                play()
    return played


async def test_no_request_made_from_the_document_is_answered_with_a_5xx(database_url, pool, clickhouse):
    async with running_exchange(database_url, pool, clickhouse) as exchange:
        trader = await exchange.trader(USDC=10**12, ETH=10**20)
        impatient = replace(exchange.edge, config=replace(exchange.edge.config, read_wait_s=0.02))
        async with served(create_app(impatient)) as base_url, asyncio.timeout(90):
            played = await asyncio.to_thread(attack, base_url, trader.token)
        assert len(set(played)) >= 20
        assert (await trader.get("/v1/me")).status_code == 200
