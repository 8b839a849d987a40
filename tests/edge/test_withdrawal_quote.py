"""The quote of a withdrawal, shown before anything is signed: it holds when the withdrawal is asked for."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from tests.edge.harness import CHAIN_ID, USDC, VAULT, Exchange, Trader, problem, running_exchange

from exchange.chain.gas_price import GasPrice
from exchange.core.commands import SetAccountState, SetWithdrawalTerms
from exchange.core.words import AccountState
from exchange.edge.rest import withdrawal_quote

DELAY_S = 1_800
COLD = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
USDC_ATOMS = 10**6
USDC_ID = 2


@pytest.fixture
async def exchange(database_url: str, pool: asyncpg.Pool) -> AsyncIterator[Exchange]:
    async with running_exchange(database_url, pool, address_delay_s=DELAY_S) as running:
        yield running


async def quote(
    trader: Trader, asset: str = "USDC", amount: str = "2.5", **parameters: Any
) -> dict[str, Any]:
    response = await trader.get("/v1/withdrawals/quote", asset=asset, amount=amount, **parameters)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_a_quote_tells_what_a_withdrawal_would_be(exchange):
    trader = await exchange.trader(USDC=10 * USDC_ATOMS)
    await exchange.sequencer.submit(SetWithdrawalTerms(USDC_ID, 500_000, 1_000_000))
    exchange.faults.gas_price = GasPrice(10**9 + 1, 2, 77)
    assert await quote(trader) == {
        "seq": exchange.view.seq,
        "asset": "USDC",
        "amount": "2.5",
        "fee": "0.5",
        "receives": "2",
        "minimum": "1.5",
        "max_fee": "0.5",
        "available": "10",
        "refusals": [],
        "network": {
            "gas": 130_000,
            "base_fee_wei": "1000000001",
            "priority_fee_wei": "2",
            "cost_wei": "130000000390000",
            "block_number": 77,
        },
        "confirmations": 3,
        "reviewed": False,
        "review_reason": None,
        "halted": False,
        "destination": None,
        "to_sign": None,
    }


async def test_the_chains_fees_are_null_while_they_are_not_known(exchange):
    assert (await quote(await exchange.trader()))["network"] is None


async def test_what_the_quote_says_to_sign_is_taken_as_it_is(exchange):
    trader = await exchange.trader(USDC=10 * USDC_ATOMS)
    await exchange.sequencer.submit(SetWithdrawalTerms(USDC_ID, 500_000, 1))
    quoted = await quote(trader, destination=trader.key.address)
    assert quoted["destination"] == {
        "address": trader.key.address,
        "status": "allowed",
        "active_at_ms": None,
    }
    assert quoted["refusals"] == []
    signed = trader.key.sign_typed_data(full_message=quoted["to_sign"]["typed_data"])
    request = quoted["to_sign"]["request"] | {"signature": "0x" + signed.signature.hex()}
    answer = await trader.request("POST", "/v1/withdrawals", json=request)
    assert answer.status_code == 201, answer.text
    item = answer.json()["withdrawal"]
    assert (item["amount"], item["fee"]) == (quoted["amount"], quoted["fee"])
    assert (await trader.balances())["USDC"] == ("7.5", "0")


async def test_each_refusal_of_a_quote_is_what_the_request_is_answered_with(exchange, subtests):
    await exchange.sequencer.submit(SetWithdrawalTerms(USDC_ID, 500_000, 1_000_000))
    small = {"USDC": USDC_ATOMS}
    plenty = {"USDC": 10 * USDC_ATOMS}
    for name, deposits, amount, destination, code in [
        ("too small", plenty, "1.499999", None, "withdrawal_too_small"),
        ("less than the fee", plenty, "0.1", None, "withdrawal_too_small"),
        ("too much", small, "2.5", None, "insufficient_funds"),
        ("not listed", plenty, "2.5", COLD, "destination_not_allowed"),
    ]:
        with subtests.test(name):
            trader = await exchange.trader(**deposits)
            quoted = await quote(trader, amount=amount, destination=destination or trader.key.address)
            assert quoted["refusals"] == [code]
            signed = trader.key.sign_typed_data(full_message=quoted["to_sign"]["typed_data"])
            request = quoted["to_sign"]["request"] | {"signature": "0x" + signed.signature.hex()}
            response = await trader.request("POST", "/v1/withdrawals", json=request)
            assert response.json()["code"] == code


async def test_a_frozen_account_is_told(exchange):
    trader = await exchange.trader(USDC=10 * USDC_ATOMS)
    await exchange.sequencer.submit(SetAccountState(trader.account_id, AccountState.FROZEN))
    assert (await quote(trader))["refusals"] == ["account_frozen"]


async def test_all_refusals_are_told_at_once(exchange):
    trader = await exchange.trader()
    await exchange.sequencer.submit(SetWithdrawalTerms(USDC_ID, 0, 3_000_000))
    quoted = await quote(trader, destination=COLD)
    assert quoted["refusals"] == [
        "destination_not_allowed",
        "withdrawal_too_small",
        "insufficient_funds",
    ]


async def test_what_is_received_is_never_below_nothing(exchange):
    await exchange.sequencer.submit(SetWithdrawalTerms(USDC_ID, 500_000, 1))
    assert (await quote(await exchange.trader(), amount="0.1"))["receives"] == "0"


async def test_a_destination_on_the_list_is_waiting_and_then_allowed(exchange):
    trader = await exchange.trader(USDC=10 * USDC_ATOMS)
    assert (await quote(trader, destination=COLD))["destination"]["status"] == "not_listed"
    added = await trader.request("POST", "/v1/withdrawal-addresses", json=trader.withdrawal_address(COLD))
    waiting = await quote(trader, destination=COLD.lower())
    assert waiting["destination"] == {
        "address": COLD,
        "status": "waiting",
        "active_at_ms": added.json()["withdrawal_address"]["active_at_ms"],
    }
    assert waiting["refusals"] == ["destination_waiting"]
    exchange.faults.clock_ahead_ns = DELAY_S * 10**9
    allowed = await quote(trader, destination=COLD)
    assert (allowed["destination"]["status"], allowed["refusals"]) == ("allowed", [])


async def test_an_amount_that_a_person_looks_at_is_told_and_gets_a_later_deadline(exchange):
    trader = await exchange.trader(WBTC=10**9)
    exactly = await quote(trader, "WBTC", "1", destination=trader.key.address)
    assert (exactly["reviewed"], exactly["review_reason"]) == (False, None)
    more = await quote(trader, "WBTC", "1.00000001", destination=trader.key.address)
    assert more["reviewed"] is True
    assert more["review_reason"] == exchange.edge.risk_policy.reviews("WBTC", 10**8 + 1)
    later_s = more["to_sign"]["request"]["deadline_s"] - exactly["to_sign"]["request"]["deadline_s"]
    difference_s = withdrawal_quote.DEADLINE_REVIEWED_S - withdrawal_quote.DEADLINE_S
    assert difference_s <= later_s <= difference_s + 60
    signed = trader.key.sign_typed_data(full_message=more["to_sign"]["typed_data"])
    request = more["to_sign"]["request"] | {"signature": "0x" + signed.signature.hex()}
    assert (await trader.request("POST", "/v1/withdrawals", json=request)).status_code == 201


async def test_halted_payments_are_told(exchange):
    trader = await exchange.trader()
    exchange.faults.withdrawals_halted = True
    assert (await quote(trader))["halted"] is True


@pytest.mark.parametrize(
    ("fee_atoms", "most_atoms", "max_fee"),
    [
        (3, 1_000_000, "0.000005"),
        (500_000, 1_000_000, "0.75"),
        (900_000, 1_000_000, "1"),
        (2_000_000, 1_000_000, "2"),
    ],
)
async def test_the_maximum_to_sign_has_room_where_the_fee_follows_the_networks(
    exchange, monkeypatch, fee_atoms, most_atoms, max_fee
):
    edge = exchange.edge
    following = replace(edge, config=replace(edge.config, network_fee_max_atoms={"USDC": most_atoms}))
    monkeypatch.setattr(exchange.client._transport.app.state, "edge", following)
    await exchange.sequencer.submit(SetWithdrawalTerms(USDC_ID, fee_atoms, 1))
    assert (await quote(await exchange.trader()))["max_fee"] == max_fee


async def test_a_quote_is_for_the_sub_account_that_it_names(exchange):
    trader = await exchange.trader(USDC=10 * USDC_ATOMS)
    nobody = await quote(trader, sub_account=5, destination=trader.key.address)
    assert (nobody["available"], nobody["refusals"]) == ("0", ["insufficient_funds"])
    body = {"from_sub_account": 0, "to_sub_account": 5, "asset": "USDC", "amount": "4"}
    moved = await trader.request("POST", "/v1/transfers", json=body | {"client_transfer_id": "a"})
    quoted = await quote(trader, sub_account=5, destination=trader.key.address, min_seq=moved.json()["seq"])
    assert (quoted["available"], quoted["refusals"]) == ("4", [])
    assert quoted["to_sign"]["typed_data"]["message"]["subAccount"] == 5
    assert quoted["to_sign"]["request"]["sub_account"] == 5


async def test_the_typed_data_holds_exact_atoms_and_checksummed_addresses(exchange):
    trader = await exchange.trader()
    typed_data = (await quote(trader, amount="2.50", destination=COLD.lower()))["to_sign"]["typed_data"]
    message = typed_data["message"]
    assert (message["amount"], message["maxFee"], message["destination"]) == ("2500000", "0", COLD)
    assert (message["token"].lower(), message["account"]) == (USDC, trader.key.address)
    assert typed_data["primaryType"] == "Withdrawal"
    assert typed_data["domain"]["chainId"] == CHAIN_ID
    assert typed_data["domain"]["verifyingContract"].lower() == VAULT
    assert typed_data["domain"]["salt"] == exchange.view.genesis_id


async def test_a_quote_that_can_not_be_made_is_a_problem_with_its_code(exchange, subtests):
    trader = await exchange.trader()
    right = {"asset": "USDC", "amount": "1"}
    for name, parameters, status, code in [
        ("no asset", {"amount": "1"}, 422, "field_missing"),
        ("no amount", {"asset": "USDC"}, 422, "field_missing"),
        ("unknown asset", right | {"asset": "DOGE"}, 404, "unknown_asset"),
        ("zero", right | {"amount": "0"}, 422, "must_be_positive"),
        ("too fine", right | {"amount": "0.0000001"}, 422, "too_many_decimals"),
        ("exponent", right | {"amount": "1e3"}, 422, "not_a_decimal"),
        ("too large", right | {"amount": str(2**128)}, 422, "amount_too_large"),
        ("destination", right | {"destination": "0x12"}, 422, "address_invalid"),
        ("to nobody", right | {"destination": "0x" + "00" * 20}, 422, "destination_invalid"),
        ("sub-account", right | {"sub_account": 128}, 422, "field_invalid"),
        ("unknown parameter", right | {"memo": "x"}, 422, "field_unknown"),
        ("seq far ahead", right | {"min_seq": 10**12}, 503, "not_yet"),
    ]:
        with subtests.test(name):
            problem(await trader.get("/v1/withdrawals/quote", **parameters), status, code)
    path = "/v1/withdrawals/quote?asset=USDC&amount=1"
    problem(await exchange.client.get(path), 401, "unauthenticated")
