"""What only the owner may, against a real exchange; and what limits everybody."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from tests.edge.harness import running_exchange, served
from tests.sdk.faulty import Fault, FaultyWay
from tests.sdk.market import Market

from exchange.edge.app import create_app
from exchange.gateway.rate_policy import read_policy
from exchange_sdk import AgentKey, Exchange
from exchange_sdk.errors import Conflict, Forbidden, Invalid, NotFound, RateLimited


async def test_an_approval_says_all_that_was_asked_for(market: Market) -> None:
    key = AgentKey.generate("secp256k1")
    async with market.owner() as owner:
        now_ms = (await owner.time()).time_ms
        agent = await owner.approve(
            key,
            "maker on host 7",
            scopes=["trade", "read"],
            markets=["ETH-USDC"],
            sub_accounts=[0, 2],
            expires=timedelta(days=7),
            ip_ranges=["127.0.0.0/8", "2001:db8::/32"],
        )
        assert (agent.key, agent.kind, agent.name, agent.state) == (
            key.id,
            "secp256k1",
            "maker on host 7",
            "active",
        )
        assert (agent.scopes, agent.markets, agent.sub_accounts) == (("read", "trade"), ("ETH-USDC",), (0, 2))
        assert agent.ip_ranges == ("127.0.0.0/8", "2001:db8::/32")
        assert 0 <= agent.expires_at_ms - now_ms - 7 * 86_400_000 + 1_000 < 60_000
        until = datetime.fromtimestamp(now_ms // 1_000, UTC) + timedelta(days=30)
        dated = await owner.approve(AgentKey.generate(), "dated", expires=until, scopes=["read"])
        assert dated.expires_at_ms == int(until.timestamp()) * 1_000


async def test_what_can_not_be_approved_is_told(market: Market) -> None:
    async with market.owner() as owner:
        key = AgentKey.generate()
        wrong: list[dict[str, Any]] = [
            {"scopes": ["withdraw"]},
            {"scopes": "read"},
            {"markets": "ETH-USDC"},
            {"ip_ranges": "10.0.0.0/8"},
            {"expires": datetime(2026, 12, 1)},  # noqa: DTZ001
        ]
        for options in wrong:
            with pytest.raises((ValueError, TypeError)):
                await owner.approve(key, "maker", **options)
        with pytest.raises(Invalid):
            await owner.approve(key, "maker", expires=timedelta(days=400))
        with pytest.raises(NotFound, match="unknown_market"):
            await owner.approve(key, "maker", markets=["DOGE-USDC"])
        with pytest.raises(ValueError, match="a key's id"):
            await owner.approve("0x12", "maker")
        await owner.approve(key, "maker")
        with pytest.raises(Conflict, match="agent_key_used"):
            await owner.approve(key, "other")


async def test_an_approval_and_a_transfer_whose_answers_were_lost_are_made_once(market: Market) -> None:
    way = FaultyWay()
    async with market.owner(http=way) as owner:
        await owner.balances()
        way.faults.append(Fault.ANSWER_LOST)
        key = AgentKey.generate()
        assert (await owner.approve(key, "maker")).is_active
        way.faults.append(Fault.ANSWER_LOST)
        await owner.transfer("USDC", "2.5", to=1)
        assert (await owner.balances(1))["USDC"].total == Decimal("2.5")
        assert len(await owner.agents()) == 1


async def test_a_key_is_kept_to_the_addresses_it_may_come_from(market: Market) -> None:
    async with market.agent(ip_ranges=["10.0.0.0/8"]) as exchange:
        with pytest.raises(Forbidden, match="ip_not_allowed"):
            await exchange.balances()


async def test_withdrawal_addresses_are_added_listed_and_removed(market: Market) -> None:
    async with market.owner() as owner:
        address = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
        added = await owner.add_withdrawal_address(address, "cold wallet")
        assert (added.address, added.label) == (address, "cold wallet")
        assert await owner.withdrawal_addresses() == [added]
        assert (await owner.remove_withdrawal_address(address)).address == address
        assert await owner.withdrawal_addresses() == []


async def test_a_deposit_address_is_ones_own(market: Market) -> None:
    async with market.owner() as one, market.owner() as other:
        assert (await one.deposit_address()).address != (await other.deposit_address()).address


async def test_a_limit_that_is_used_up_is_waited_for_or_told(database_url: str, pool: asyncpg.Pool) -> None:
    policy = read_policy(POLICY)
    async with (
        running_exchange(database_url, pool, rate_policy=policy, rate_clock_ns=lambda: 0) as running,
        served(create_app(running.edge, running.hub)) as url,
    ):
        market = Market(running, url)
        waited: list[float] = []

        async def sleep(seconds: float) -> None:
            waited.append(seconds)

        async with market.owner() as owner:
            for _ in range(3):
                await owner.place("ETH-USDC", "buy", size="0.1", price=2900)
            assert owner.rate_limit is not None
            assert (owner.rate_limit.limit, owner.rate_limit.remaining) == (3, 0)
            owner._http.sleep = sleep
            with pytest.raises(RateLimited) as caught:
                await owner.place("ETH-USDC", "buy", size="0.1", price=2900)
            assert caught.value.retry_after_s == 1
            assert len(waited) == owner._http.retries.attempts - 1
            assert min(waited) >= 1
            assert (await owner.cancel_all()).count == 3, "cancellations have budgets of their own"
            limits = {(limit.scope, limit.name): limit for limit in (await owner.whoami()).limits}
            assert limits["account", "orders"].remaining == 0


POLICY = """
[ip]
requests = { burst = 1000, per_s = 100 }
[key]
requests = { burst = 1000, per_s = 100 }
[account.standard]
orders = { burst = 3, per_s = 1 }
[account.market_maker]
orders = { burst = 1000, per_s = 100 }
"""


async def test_the_escape_hatch_speaks_the_rest_of_the_api(market: Market) -> None:
    async with Exchange(market.url) as exchange:
        answer = await exchange.request("GET", "/v1/health/live", who="nobody")
        assert answer == {"live": True}
        with pytest.raises(NotFound):
            await exchange.request("GET", "/v1/nothing", params={"a": "b c&d"}, who="nobody")
    async with market.agent() as exchange:
        params = {"asset": "USDC", "amount": "1", "destination": "0x" + "11" * 20}
        assert (await exchange.request("get", "/v1/withdrawals/quote", params=params))["asset"] == "USDC"
