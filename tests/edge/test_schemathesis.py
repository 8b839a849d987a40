"""Requests made from the OpenAPI document, right and wrong ones: no 5xx, and answers as documented.

Against a real server, since the generator is synchronous and the exchange lives in this test's loop. Once as
an owner with a session, once as an agent that signs whatever it sends.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from tests.edge.agents import Bot, approved
from tests.edge.harness import running_exchange, served

from exchange.edge.app import create_app
from exchange.edge.openapi_file import document_text

EXAMPLES = 6
CHECKED = ("response_schema_conformance", "status_code_conformance", "content_type_conformance")
ENDING = {"/v1/auth/logout"}
"""What would end the session that the others use."""

NOT_NOW = {"not_yet", "not_compared_yet"}
"""Codes of a 503 that is the right answer here."""

Sign = Callable[[requests.PreparedRequest], requests.PreparedRequest]


@dataclass(slots=True)
class Played:
    """Which operations were played, and how they were answered."""

    operations: set[str] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)

    def count(self, case: schemathesis.Case, status: int, code: str | None) -> None:
        self.operations.add(f"{case.method} {case.path}")
        self.statuses[status] += 1
        if code is not None:
            self.codes[code] += 1


def by_session(token: str) -> Sign:
    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    return sign


def by_agent(bot: Bot) -> Sign:
    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body or b""
        raw = body.encode() if isinstance(body, str) else body
        method, target = request.method or "", request.path_url.removesuffix("?")
        request.headers.update(bot.headers(method, target, b"" if method == "GET" else raw))
        return request

    return sign


def attack(base_url: str, sign: Sign) -> Played:
    """Plays every operation of the document."""
    schema = schemathesis.openapi.from_dict(json.loads(document_text()))
    checks = CHECKS.get_by_names(CHECKED)
    played = Played()
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
                if case.path in ENDING:
                    return
                for name in [name for name in case.headers or () if name.lower().startswith("exchange-")]:
                    del case.headers[name]  # made up from the security schemes
                response = case.call(base_url=base_url, auth=sign, timeout=10)
                problem_code = response.json().get("code") if response.status_code >= 400 else None
                assert response.status_code < 500 or problem_code in NOT_NOW, response.text
                case.validate_response(response, checks=checks)
                played.count(case, response.status_code, problem_code)

            with suppress(Unsatisfiable):  # an operation without parameters can not be asked wrongly
                play()
    return played


async def test_no_request_made_from_the_document_is_answered_with_a_5xx(database_url, pool, clickhouse):
    async with running_exchange(database_url, pool, clickhouse) as exchange:
        trader = await exchange.trader(USDC=10**12, ETH=10**20)
        bot = await approved(trader)
        impatient = replace(exchange.edge, config=replace(exchange.edge.config, read_wait_s=0.02))
        async with served(create_app(impatient)) as base_url, asyncio.timeout(180):
            for sign in (by_session(trader.token), by_agent(bot)):
                played = await asyncio.to_thread(attack, base_url, sign)
                assert len(played.operations) >= 20
                assert played.statuses[200] >= 60
                assert not {"unauthenticated", "signature_wrong_signer", "nonce_used"} & set(played.codes)
        assert played.codes["agent_not_allowed"] > 0
        assert (await trader.get("/v1/me")).status_code == 200
        assert (await bot.get("/v1/whoami")).status_code == 200
