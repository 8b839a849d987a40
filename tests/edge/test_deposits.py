from tests.edge.harness import CHAIN_ID, USDC, VAULT, Exchange, problem

USDC_ATOMS = 10**6


async def see_on_chain(exchange: Exchange, owner: str, number: int, token: str = USDC) -> None:
    """A deposit as the watcher stores it before it has its confirmations."""
    await exchange.edge.pool.execute(
        "INSERT INTO deposit_cursors (chain_id, vault, credited) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        CHAIN_ID,
        VAULT,
        exchange.edge.view.last_deposit(CHAIN_ID, VAULT),
    )
    await exchange.edge.pool.execute(
        """
        INSERT INTO vault_deposits (chain_id, vault, number, owner, token, amount_atoms, sender, deposit_hash,
            tx_hash, log_index, block_number, block_hash, first_seen_ms)
        VALUES ($1, $2, $3, $4, $5, 7000000, $4, $6, $7, 0, $8, $7, 1763841600000)
        """,
        CHAIN_ID,
        VAULT,
        number,
        owner,
        token,
        bytes(32),
        f"0x{number:064x}",
        100 + number,
    )


async def test_pending_deposits_come_first_with_their_confirmations(exchange):
    trader = await exchange.trader(USDC=5 * USDC_ATOMS)
    await see_on_chain(exchange, trader.owner, 2)
    exchange.faults.chain_head = 103
    content = (await trader.get("/v1/deposits")).json()
    assert content["items"][0] == {
        "number": "2",
        "asset": "USDC",
        "amount": "7",
        "status": "pending",
        "confirmations": 2,
        "required_confirmations": 3,
        "tx_hash": f"0x{2:064x}",
        "log_index": 0,
        "block_number": 102,
        "time_ms": 1763841600000,
    }
    credited = content["items"][1]
    assert (credited["number"], credited["status"], credited["confirmations"]) == ("1", "credited", 3)
    assert (credited["amount"], credited["tx_hash"]) == ("5", f"0x{1:064x}")
    assert (await trader.balances())["USDC"] == ("5", "0")


async def test_a_deposit_is_shown_once_while_it_turns_from_pending_to_credited(exchange):
    trader = await exchange.trader()
    await see_on_chain(exchange, trader.owner, 1)
    assert [item["status"] for item in (await trader.get("/v1/deposits")).json()["items"]] == ["pending"]
    await exchange.deposit(trader.owner, USDC, 7 * USDC_ATOMS)
    assert [item["status"] for item in (await trader.get("/v1/deposits")).json()["items"]] == ["credited"]


async def test_pending_deposits_of_unlisted_tokens_and_of_others_are_not_shown(exchange):
    trader, stranger = await exchange.trader(), await exchange.trader()
    await see_on_chain(exchange, trader.owner, 1, token="0x" + "99" * 20)
    await see_on_chain(exchange, stranger.owner, 2)
    exchange.view.assets = None  # nor are all assets, of which there may be many, looked through for that
    assert (await trader.get("/v1/deposits")).json()["items"] == []


async def test_credited_deposits_are_paged_and_pending_ones_stand_on_the_first_page_only(exchange):
    trader = await exchange.trader()
    for _ in range(3):
        await exchange.deposit(trader.owner, USDC, USDC_ATOMS)
    await see_on_chain(exchange, trader.owner, 4)
    first = (await trader.get("/v1/deposits", limit=2)).json()
    assert [item["number"] for item in first["items"]] == ["4", "3", "2"]
    second = (await trader.get("/v1/deposits", limit=2, cursor=first["next_cursor"])).json()
    assert [item["number"] for item in second["items"]] == ["1"]
    assert second["next_cursor"] is None
    problem(await trader.get("/v1/deposits", cursor="x"), 422, "cursor_invalid")
