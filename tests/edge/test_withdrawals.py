import csv
import time

import pytest
from eth_account import Account
from tests.edge.harness import problem, read_tables_standing_still

from exchange.core.commands import RefundWithdrawal, SettleWithdrawal
from exchange.edge.rest.withdrawals import WithdrawalItem

USDC_ATOMS = 10**6
MAX_ATOMS = 2**128
TX_HASH = "0x" + "5f" * 32


async def ask(trader, body):
    return await trader.request("POST", "/v1/withdrawals", json=body)


async def store_payment(exchange, withdrawal_id, state, *, tx_hash=None, outcome=None, note=""):
    """What the worker stores of a payment."""
    await exchange.edge.pool.execute(
        """
        INSERT INTO payments (withdrawal_id, chain_id, vault, requested_seq, account_id, asset_id, owner,
            token, amount_atoms, fee_atoms, destination, deadline_s, state, updated_ms, tx_hash, outcome,
            note, block_number, block_hash)
        SELECT withdrawal_id, chain_id, vault, seq, account_id, asset_id, owner,
            token, amount_atoms, fee_atoms, destination, deadline_s, $2, 1, $3, $4, $5, 9, $6
        FROM withdrawals WHERE withdrawal_id = $1
        """,
        withdrawal_id,
        state,
        tx_hash,
        outcome,
        note,
        TX_HASH,
    )


async def test_a_withdrawal_signed_by_the_owner_leaves_the_balance_and_is_listed(exchange):
    trader = await exchange.trader(USDC=10 * USDC_ATOMS)
    body = trader.withdrawal()
    answer = await ask(trader, body)
    assert answer.status_code == 201, answer.text
    item = answer.json()["withdrawal"]
    assert item == {
        "withdrawal_id": item["withdrawal_id"],
        "asset": "USDC",
        "amount": "2.5",
        "fee": "0",
        "destination": trader.key.address,
        "nonce": "1",
        "deadline_s": body["deadline_s"],
        "status": "requested",
        "reason": None,
        "outcome": None,
        "tx_hash": None,
        "requested_ms": item["requested_ms"],
        "updated_ms": item["requested_ms"],
    }
    assert (await trader.balances())["USDC"] == ("7.5", "0")
    listed = (await trader.get("/v1/withdrawals", min_seq=answer.json()["seq"])).json()
    assert listed["items"] == [item]
    one = (await trader.get(f"/v1/withdrawals/{item['withdrawal_id']}")).json()
    assert one["withdrawal"] == item


async def test_a_replayed_withdrawal_is_refused_and_takes_nothing(exchange):
    trader = await exchange.trader(USDC=10 * USDC_ATOMS)
    body = trader.withdrawal()
    assert (await ask(trader, body)).status_code == 201
    problem(await ask(trader, body), 409, "withdrawal_replayed")
    assert (await trader.balances())["USDC"] == ("7.5", "0")


async def test_a_refused_withdrawal_changes_no_balance(exchange, subtests):
    trader = await exchange.trader(USDC=10 * USDC_ATOMS)
    now_s = int(time.time())
    signed = trader.withdrawal()
    for name, body, status, code in [
        ("another key", trader.withdrawal(key=Account.create()), 403, "signature_wrong_signer"),
        ("another amount", signed | {"amount": "9"}, 403, "signature_wrong_signer"),
        ("another fee", signed | {"max_fee": "1"}, 403, "signature_wrong_signer"),
        ("another asset", signed | {"asset": "WBTC"}, 403, "signature_wrong_signer"),
        ("another destination", signed | {"destination": "0x" + "77" * 20}, 403, "signature_wrong_signer"),
        ("another nonce", signed | {"nonce": "2"}, 403, "signature_wrong_signer"),
        ("another deadline", signed | {"deadline_s": now_s + 600}, 403, "signature_wrong_signer"),
        ("past", trader.withdrawal(signed_deadline_s=now_s - 1), 422, "withdrawal_deadline_passed"),
        ("near", trader.withdrawal(signed_deadline_s=now_s + 60), 422, "withdrawal_deadline_too_near"),
        ("far", trader.withdrawal(signed_deadline_s=now_s + 10**6), 422, "withdrawal_deadline_too_far"),
        ("unknown asset", signed | {"asset": "DOGE"}, 404, "unknown_asset"),
        ("float", signed | {"amount": 2.5}, 422, "field_invalid"),
        ("integer", signed | {"amount": 2}, 422, "field_invalid"),
        ("exponent", signed | {"amount": "25e-1"}, 422, "not_a_decimal"),
        ("full width", signed | {"amount": "\uff12.5"}, 422, "not_a_decimal"),
        ("negative", signed | {"amount": "-2.5"}, 422, "not_a_decimal"),
        ("zero", signed | {"amount": "0"}, 422, "must_be_positive"),
        ("too fine", signed | {"amount": "2.5000001"}, 422, "too_many_decimals"),
        ("too long", signed | {"amount": "2." + "5" * 100}, 422, "too_many_digits"),
        ("2^128", signed | {"amount": str(MAX_ATOMS)}, 422, "amount_too_large"),
        ("no signature", signed | {"signature": "0x"}, 422, "signature_invalid"),
        ("zero signature", signed | {"signature": "0x" + "00" * 65}, 422, "signature_invalid"),
        ("missing", {"asset": "USDC"}, 422, "field_missing"),
        ("unknown field", signed | {"memo": "x"}, 422, "field_unknown"),
        ("nonce number", signed | {"nonce": 1}, 422, "field_invalid"),
        ("deadline text", signed | {"deadline_s": "1"}, 422, "field_invalid"),
        ("deadline huge", signed | {"deadline_s": 10**19}, 422, "withdrawal_deadline_too_far"),
        ("to nobody", signed | {"destination": "0x" + "00" * 20}, 422, "destination_invalid"),
    ]:
        with subtests.test(name):
            problem(await ask(trader, body), status, code)
            assert (await trader.balances())["USDC"] == ("10", "0")
    assert (await trader.get("/v1/withdrawals")).json()["items"] == []


async def test_a_withdrawal_of_more_than_there_is_is_refused(exchange):
    trader = await exchange.trader(USDC=2 * USDC_ATOMS)
    problem(await ask(trader, trader.withdrawal()), 409, "insufficient_funds")
    assert (await trader.balances())["USDC"] == ("2", "0")


async def test_a_stolen_session_can_not_withdraw_to_its_own_wallet(exchange):
    victim = await exchange.trader(USDC=10 * USDC_ATOMS)
    thief = await exchange.trader()
    problem(await ask(victim, thief.withdrawal()), 403, "signature_wrong_signer")
    problem(await ask(victim, victim.withdrawal(key=thief.key)), 403, "signature_wrong_signer")
    problem(await ask(thief, victim.withdrawal()), 403, "signature_wrong_signer")
    assert (await victim.balances())["USDC"] == ("10", "0")


async def test_somebody_elses_withdrawal_does_not_exist(exchange):
    owner = await exchange.trader(USDC=10 * USDC_ATOMS)
    stranger = await exchange.trader()
    withdrawal_id = (await ask(owner, owner.withdrawal())).json()["withdrawal"]["withdrawal_id"]
    problem(await stranger.get(f"/v1/withdrawals/{withdrawal_id}"), 404, "unknown_withdrawal")
    for nothing in ("1", "0x", "0x" + "00" * 32, "%00" * 22, "x" * 66):
        problem(await owner.get(f"/v1/withdrawals/{nothing}"), 404, "unknown_withdrawal")


async def test_a_withdrawal_that_the_read_tables_do_not_have_yet_is_not_said_not_to_exist(exchange):
    trader = await exchange.trader(USDC=10 * USDC_ATOMS)
    async with read_tables_standing_still(exchange):
        withdrawal_id = (await ask(trader, trader.withdrawal())).json()["withdrawal"]["withdrawal_id"]
        response = await trader.get(f"/v1/withdrawals/{withdrawal_id}")
        problem(response, 503, "not_yet")
        assert response.headers["retry-after"] == "1"
    assert (await trader.get(f"/v1/withdrawals/{withdrawal_id}")).status_code == 200


async def test_the_payments_state_is_shown_until_the_ledger_is_final(exchange):
    trader = await exchange.trader(USDC=10 * USDC_ATOMS)
    paid = (await ask(trader, trader.withdrawal())).json()["withdrawal"]["withdrawal_id"]
    back = (await ask(trader, trader.withdrawal(signed_nonce=2))).json()["withdrawal"]["withdrawal_id"]
    assert await exchange.projection.reached(exchange.view.seq, 5)
    await store_payment(exchange, paid, "broadcast", tx_hash=TX_HASH)
    items = (await trader.get("/v1/withdrawals")).json()["items"]
    assert [(item["withdrawal_id"], item["status"], item["tx_hash"]) for item in items] == [
        (back, "requested", None),
        (paid, "broadcast", TX_HASH),
    ]
    await exchange.sequencer.submit(SettleWithdrawal(paid, TX_HASH, 9, "paid"))
    deadline_s = items[0]["deadline_s"]
    outcome = await exchange.sequencer.submit(RefundWithdrawal(back, 10, deadline_s + 1))
    items = (await trader.get("/v1/withdrawals", min_seq=outcome.seq)).json()["items"]
    assert [(item["status"], item["outcome"], item["tx_hash"]) for item in items] == [
        ("refunded", None, None),
        ("settled", "paid", TX_HASH),
    ]
    assert set(items[0]) == set(WithdrawalItem.model_fields)
    assert (await trader.balances())["USDC"] == ("7.5", "0")


@pytest.mark.parametrize(
    ("state", "outcome", "note", "status", "reason"),
    [
        ("requested", None, "", "requested", None),
        ("requested", None, "velocity limit of the account", "requested", "velocity limit of the account"),
        ("requested", "skipped", "skipped, reason 4", "requested", None),
        ("review", None, "amount is reviewed by hand", "review", "amount is reviewed by hand"),
        ("rejected", None, "the address is a known thief's", "rejected", "the address is a known thief's"),
        ("rejected", "reverted", "reverted, reason None", "rejected", None),
        ("approved", None, "the vault holds 12 atoms", "approved", None),
        ("signed", None, "", "signed", None),
        ("broadcast", None, "error -32000 from the node", "broadcast", None),
        ("mined", "paid", "", "mined", None),
        ("settled", "paid", "", "mined", None),
        ("refunded", None, "", "refunded", None),
    ],
)
async def test_the_owner_is_shown_where_it_stands_and_why_but_not_what_concerns_the_operator(
    exchange, state, outcome, note, status, reason
):
    trader = await exchange.trader(USDC=10 * USDC_ATOMS)
    withdrawal_id = (await ask(trader, trader.withdrawal())).json()["withdrawal"]["withdrawal_id"]
    assert await exchange.projection.reached(exchange.view.seq, 5)
    await store_payment(exchange, withdrawal_id, state, tx_hash=TX_HASH, outcome=outcome, note=note)
    [item] = (await trader.get("/v1/withdrawals")).json()["items"]
    one = (await trader.get(f"/v1/withdrawals/{withdrawal_id}")).json()["withdrawal"]
    assert (item["status"], item["reason"], item["outcome"]) == (status, reason, None)
    assert one == item


@pytest.mark.parametrize(
    ("state", "outcome", "note", "reason"),
    [
        ("rejected", None, "the address is a known thief's", "the address is a known thief's"),
        ("refunded", None, "the address is a known thief's", "the address is a known thief's"),
        ("refunded", None, "", None),
        ("refunded", "reverted", "reverted, reason None", None),
        ("review", None, "amount is reviewed by hand", None),
        ("requested", None, "velocity limit of the account", None),
        ("approved", None, "the vault holds 12 atoms", None),
    ],
)
async def test_what_a_reviewer_said_is_shown_also_when_the_amount_is_back(
    exchange, state, outcome, note, reason
):
    trader = await exchange.trader(USDC=10 * USDC_ATOMS)
    asked = (await ask(trader, trader.withdrawal())).json()["withdrawal"]
    assert await exchange.projection.reached(exchange.view.seq, 20)
    await store_payment(exchange, asked["withdrawal_id"], state, outcome=outcome, note=note)
    command = RefundWithdrawal(asked["withdrawal_id"], 10, asked["deadline_s"] + 1)
    seq = (await exchange.sequencer.submit(command)).seq
    [item] = (await trader.get("/v1/withdrawals", min_seq=seq)).json()["items"]
    assert (item["status"], item["reason"]) == ("refunded", reason)
    one = await trader.get(f"/v1/withdrawals/{asked['withdrawal_id']}", min_seq=seq)
    assert one.json()["withdrawal"] == item
    [row] = csv.DictReader((await trader.get("/v1/withdrawals.csv", min_seq=seq)).text.splitlines())
    assert (row["status"], row["reason"]) == ("refunded", reason or "")
