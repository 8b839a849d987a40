"""The route of the faucet; what it does on the chain is in tests/chain and tests/e2e."""

from dataclasses import replace

import httpx
from tests.edge.agents import approved
from tests.edge.harness import Exchange, Trader, problem, served

from exchange.chain.errors import RpcUnavailable, WrongChain
from exchange.chain.faucet import Gift, Given, TooSoon
from exchange.edge.app import create_app

TX_HASH = "0x" + "5f" * 32


class Stub:
    """A faucet on a chain of which the test says what it does."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.has_plenty = False
        self.asked: list[tuple[str, list[Gift]]] = []

    async def give(self, owner: str, gifts: list[Gift]) -> list[Given]:
        self.asked.append((owner, gifts))
        if self.fault is not None:
            raise self.fault
        return [] if self.has_plenty else [Given(gift, TX_HASH) for gift in gifts]


async def ask(exchange: Exchange, trader: Trader, faucet: Stub) -> httpx.Response:
    async with (
        served(create_app(replace(exchange.edge, faucet=faucet))) as url,
        httpx.AsyncClient(base_url=url) as client,
    ):
        deployment = (await client.get("/v1/deployment")).json()
        assert deployment["faucet"] is True
        return await client.post("/v1/faucet", headers={"Authorization": f"Bearer {trader.token}"})


async def test_an_owner_gets_test_funds_in_the_wallet(exchange):
    trader, faucet = await exchange.trader(), Stub()
    answer = await ask(exchange, trader, faucet)
    assert answer.status_code == 200
    assert answer.json() == {
        "address": trader.key.address,
        "transactions": [
            {"asset": "ETH", "amount": "10", "tx_hash": TX_HASH},
            {"asset": "USDC", "amount": "25000", "tx_hash": TX_HASH},
            {"asset": "WBTC", "amount": "0.5", "tx_hash": TX_HASH},
        ],
    }
    [(owner, gifts)] = faucet.asked
    assert owner == trader.owner
    assert [gift.amount_atoms for gift in gifts] == [10 * 10**18, 25_000 * 10**6, 5 * 10**7]


async def test_each_reason_to_give_nothing_has_its_code(exchange):
    trader, faucet = await exchange.trader(), Stub()
    faucet.has_plenty = True
    problem(await ask(exchange, trader, faucet), 409, "faucet_not_needed")
    faucet.fault = TooSoon(7)
    refused = await ask(exchange, trader, faucet)
    problem(refused, 429, "rate_limited")
    assert refused.headers["retry-after"] == "7"
    faucet.fault = RpcUnavailable("eth_chainId", "away")
    problem(await ask(exchange, trader, faucet), 503, "unavailable")
    faucet.fault = WrongChain(31337, 1)
    problem(await ask(exchange, trader, faucet), 404, "no_faucet")


async def test_without_a_faucet_there_are_no_test_funds(exchange):
    trader = await exchange.trader()
    problem(await trader.request("POST", "/v1/faucet"), 404, "no_faucet")
    deployment = (await exchange.client.get("/v1/deployment")).json()
    assert (deployment["faucet"], deployment["rpc_url"]) == (False, None)


async def test_test_funds_are_for_the_owner_who_is_signed_in(exchange):
    problem(await exchange.client.post("/v1/faucet"), 401, "unauthenticated")
    bot = await approved(await exchange.trader(USDC=10**9))
    problem(await bot.request("POST", "/v1/faucet"), 403, "agent_not_allowed")
