"""Each bot as people start it, a process of its own, against a real exchange."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exchange.testing_devnet.devnet import Devnet
from exchange.testing_devnet.wallets import FundedWallet, WalletMaker

pytest_plugins = ["exchange.testing"]
pytestmark = pytest.mark.timeout(240)

REPOSITORY = Path(__file__).parents[2]
RICH = {"ETH": 100, "USDC": 500_000, "WBTC": 5}
PATIENCE_S = 60.0


class Bot:
    """One bot's process, and its log."""

    def __init__(self, folder: Path, program: str, url: str, wallet: FundedWallet | None, *more: str) -> None:
        self.log_path = folder / f"{program}.log"
        self.key_file = folder / f"{program}.key"
        environment = {name: value for name, value in os.environ.items() if name != "EXCHANGE_BOT_WALLET"}
        if wallet is not None:
            environment["EXCHANGE_BOT_WALLET"] = wallet.key
        command = [sys.executable, "-m", "bots", program, "--url", url, "--key-file", str(self.key_file)]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--verbose", *more], cwd=REPOSITORY, env=environment, stdout=log, stderr=log
            )

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def wait_for(self, what: str, holds: Callable[[], bool]) -> None:
        """Until it holds, or the bot is gone, or nobody has patience any more."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert self.process.poll() is None, f"the bot has ended:\n{self.log}"
            assert time.monotonic() < deadline, f"{what} has not come:\n{self.log}"
            time.sleep(0.1)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


Start = Callable[..., Bot]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts bots that end with the test."""
    started: list[Bot] = []

    def start_bot(program: str, devnet: Devnet, wallet: FundedWallet | None, *more: str) -> Bot:
        started.append(Bot(tmp_path, program, devnet.url, wallet, *more))
        return started[-1]

    yield start_bot
    for bot in started:
        if bot.process.poll() is None:
            bot.process.kill()
            bot.process.wait()


def book(devnet: Devnet, symbol: str) -> dict[str, Any]:
    return dict(devnet.call("GET", f"/v1/markets/{symbol}/book?depth=500"))


def is_empty(devnet: Devnet, *symbols: str) -> bool:
    return not any(book(devnet, symbol)[side] for symbol in symbols for side in ("bids", "asks"))


def is_quoted(devnet: Devnet, symbol: str, levels: int) -> bool:
    shown = book(devnet, symbol)
    return len(shown["bids"]) >= levels and len(shown["asks"]) >= levels


def trades(devnet: Devnet, symbol: str) -> int:
    return len(devnet.call("GET", f"/v1/markets/{symbol}/trades")["items"])


def open_orders(wallet: FundedWallet) -> dict[str, dict[str, Any]]:
    items = wallet.call("GET", "/v1/orders?status=open")["items"]
    return {item["order_id"]: item for item in items}


def test_a_maker_quotes_all_its_markets_amends_as_the_price_moves_and_leaves_nothing_behind(
    exchange_devnet: Devnet, exchange_wallet: WalletMaker, start: Start
) -> None:
    wallet = exchange_wallet(RICH)
    markets = ("--market=ETH-USDC=3000", "--market=WBTC-USDC=60000", "--market=WBTC-ETH")
    maker = start("maker", exchange_devnet, wallet, *markets, "--round=0.2", "--step-bps=20", "--layers=3")
    for symbol in ("ETH-USDC", "WBTC-USDC", "WBTC-ETH"):
        maker.wait_for(f"a quote in {symbol}", lambda symbol=symbol: is_quoted(exchange_devnet, symbol, 3))
    cross = book(exchange_devnet, "WBTC-ETH")
    assert Decimal(18) < Decimal(cross["bids"][0][0]) < Decimal(cross["asks"][0][0]) < Decimal(22)
    before = open_orders(wallet)
    maker.wait_for("another price", lambda: _moved(before, open_orders(wallet)) >= 5)
    assert wallet.call("GET", "/v1/me")["sub_accounts"][0]["cancel_all_at_ms"] is not None
    assert maker.stop() == 0
    assert is_empty(exchange_devnet, "ETH-USDC", "WBTC-USDC", "WBTC-ETH")
    assert wallet.call("GET", "/v1/me")["sub_accounts"][0]["cancel_all_at_ms"] is None


def _moved(before: dict[str, dict[str, Any]], now: dict[str, dict[str, Any]]) -> int:
    """How many orders are the same orders at another price."""
    return sum(now[order_id]["price"] != before[order_id]["price"] for order_id in before.keys() & now.keys())


def test_what_a_killed_maker_has_left_is_cancelled_and_the_next_start_needs_no_wallet(
    exchange_devnet: Devnet, exchange_wallet: WalletMaker, start: Start
) -> None:
    wallet = exchange_wallet(RICH)
    maker = start("maker", exchange_devnet, wallet, "--market=ETH-USDC=3000")
    maker.wait_for("a quote", lambda: is_quoted(exchange_devnet, "ETH-USDC", 5))
    maker.process.kill()
    maker.process.wait()
    deadline = time.monotonic() + PATIENCE_S
    while not is_empty(exchange_devnet, "ETH-USDC"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    again = start("maker", exchange_devnet, None, "--market=ETH-USDC=3000")
    again.wait_for("a quote", lambda: is_quoted(exchange_devnet, "ETH-USDC", 5))
    agents = wallet.call("GET", "/v1/agents")["items"]
    assert [agent["scopes"] for agent in agents] == [["read", "trade"]]
    wallet.call("DELETE", f"/v1/agents/{agents[0]['key']}")
    assert again.process.wait(PATIENCE_S) == 1
    assert "agent_revoked" in again.log
    assert "Traceback" not in again.log
    refused = start("maker", exchange_devnet, None, "--market=ETH-USDC=3000")
    assert refused.process.wait(PATIENCE_S) == 1
    assert "there is no wallet to approve one with" in refused.log


def test_a_maker_outlives_the_crash_of_its_exchange_and_quotes_again(
    exchange_devnet_fresh: Devnet, start: Start
) -> None:
    devnet = exchange_devnet_fresh
    maker = start("maker", devnet, devnet.wallet(RICH), "--market=ETH-USDC=3000")
    maker.wait_for("a quote", lambda: is_quoted(devnet, "ETH-USDC", 5))
    devnet.crash()
    devnet.restart()
    maker.wait_for("the way back", lambda: "all is well again" in maker.log)
    assert "what stands is not known" in maker.log
    maker.wait_for("a new quote", lambda: is_quoted(devnet, "ETH-USDC", 5))
    assert maker.stop() == 0
    assert is_empty(devnet, "ETH-USDC")


def test_where_a_recording_has_a_gap_the_quotes_are_pulled_and_come_back_after_it(
    exchange_devnet: Devnet, exchange_wallet: WalletMaker, start: Start, tmp_path: Path
) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text("time_ms,price\n0,3000\n8000,3001\n16000,3002\n")
    recorded = (f"--recorded={prices}", "--stale=4")
    maker = start("maker", exchange_devnet, exchange_wallet(RICH), "--market=ETH-USDC", *recorded)
    maker.wait_for("a quote", lambda: is_quoted(exchange_devnet, "ETH-USDC", 5))
    maker.wait_for("the pull", lambda: is_empty(exchange_devnet, "ETH-USDC"))
    assert "no price to quote ETH-USDC on" in maker.log
    maker.wait_for("a quote after the gap", lambda: is_quoted(exchange_devnet, "ETH-USDC", 5))
    assert maker.stop() == 0


def test_a_taker_trades_and_leaves_the_book_standing(
    exchange_devnet: Devnet, exchange_wallet: WalletMaker, start: Start
) -> None:
    maker, wallet = exchange_wallet(RICH), exchange_wallet(RICH)
    for price in range(1, 6):
        for side, at in (("buy", 3000 - price), ("sell", 3000 + price)):
            order = {"market": "ETH-USDC", "side": side, "price": str(at), "size": "1"}
            maker.call("POST", "/v1/orders", order)
    before = trades(exchange_devnet, "ETH-USDC")
    taker = start("taker", exchange_devnet, wallet, "--market=ETH-USDC", "--per-s=20")
    taker.wait_for("trades", lambda: trades(exchange_devnet, "ETH-USDC") >= before + 10)
    assert taker.stop() == 0
    shown = book(exchange_devnet, "ETH-USDC")
    assert shown["bids"]
    assert shown["asks"]
    assert open_orders(wallet) == {}


def test_a_mirror_follows_the_book_of_another_exchange_and_pulls_when_it_is_gone(
    exchange_devnet: Devnet, exchange_wallet: WalletMaker, exchange_devnet_fresh: Devnet, start: Start
) -> None:
    source, here = exchange_devnet_fresh, exchange_devnet
    there = source.wallet(RICH)
    for side, price in (("buy", "2990"), ("sell", "3010")):
        order = {"market": "ETH-USDC", "side": side, "price": price, "size": "2"}
        there.call("POST", "/v1/orders", order)
    mirror = start(
        "mirror",
        here,
        exchange_wallet(RICH),
        "--market=ETH-USDC",
        f"--from-url={source.url}",
        "--margin-bps=100",
    )
    mirror.wait_for("a quote", lambda: is_quoted(here, "ETH-USDC", 1))
    shown = book(here, "ETH-USDC")
    assert shown["bids"] == [["2960.1", "1"]]
    assert shown["asks"] == [["3040.1", "1"]]
    source.crash()
    mirror.wait_for("the pull", lambda: is_empty(here, "ETH-USDC"))
    assert mirror.stop() == 0


def test_an_lmsr_maker_raises_its_price_as_it_sells_and_remembers_what_it_has_sold(
    exchange_devnet: Devnet, exchange_wallet: WalletMaker, start: Start
) -> None:
    wallet, buyer = exchange_wallet({"ETH": 50, "USDC": 200_000}), exchange_wallet(RICH)
    rule = ("--market=ETH-USDC", "--floor=2000", "--cap=4000", "--first-price=3000", "--depth=20", "--size=1")
    lmsr = start("lmsr", exchange_devnet, wallet, *rule, "--layers=3")
    lmsr.wait_for("a quote", lambda: is_quoted(exchange_devnet, "ETH-USDC", 3))
    first_ask = Decimal(book(exchange_devnet, "ETH-USDC")["asks"][0][0])
    bought = {"market": "ETH-USDC", "side": "buy", "price": "3500", "size": "2.5", "time_in_force": "ioc"}
    assert buyer.call("POST", "/v1/orders", bought)["order"]["status"] == "filled"
    lmsr.wait_for("a dearer ask", lambda: _best(exchange_devnet, "asks") > first_ask + 40)
    lmsr.wait_for("a dearer bid", lambda: _best(exchange_devnet, "bids") > first_ask)
    dearer_bid = _best(exchange_devnet, "bids")
    assert lmsr.stop() == 0
    again = start("lmsr", exchange_devnet, None, *rule, "--layers=3")
    again.wait_for("a quote", lambda: is_quoted(exchange_devnet, "ETH-USDC", 3))
    assert _best(exchange_devnet, "bids") == dearer_bid
    assert again.stop() == 0


def _best(devnet: Devnet, side: str) -> Decimal:
    levels = book(devnet, "ETH-USDC")[side]
    return Decimal(levels[0][0]) if levels else Decimal(0)


def is_mined_into_the_vault(devnet: Devnet, wallet: FundedWallet, left: int) -> bool:
    """Whether the wallet has so much left on the chain, where a block is mined each time."""
    devnet.chain.mine()
    return devnet.chain.balance(wallet.address, "USDC") == left


def test_a_bot_that_was_killed_while_it_deposited_waits_for_that_and_does_not_deposit_again(
    exchange_devnet: Devnet, exchange_wallet: WalletMaker, start: Start
) -> None:
    devnet, wallet = exchange_devnet, exchange_wallet(on_chain={"ETH": 1, "USDC": 5_000})
    options = ("--market=ETH-USDC", f"--rpc-url={devnet.rpc_url}", "--fund=USDC=1000")
    with devnet.chain.standing_still():  # so that it can not be credited yet
        taker = start("taker", devnet, wallet, *options)
        taker.wait_for("the deposit", lambda: is_mined_into_the_vault(devnet, wallet, 4_000))
        taker.process.kill()
        taker.process.wait()
        assert wallet.balances()["USDC"] == 0
        again = start("taker", devnet, wallet, *options)
        again.wait_for("it", lambda: "waiting for what was deposited before this start" in again.log)
    again.wait_for("work", lambda: "taker takes in" in again.log)
    assert wallet.balances()["USDC"] == 1_000
    assert devnet.chain.balance(wallet.address, "USDC") == 4_000
    assert again.stop() == 0
    assert not again.key_file.with_suffix(".deposits.json").exists()


def test_a_deposit_that_was_noted_and_never_sent_is_made(
    exchange_devnet: Devnet, exchange_wallet: WalletMaker, start: Start, tmp_path: Path
) -> None:
    devnet, wallet = exchange_devnet, exchange_wallet(on_chain={"ETH": 1, "USDC": 5_000})
    (tmp_path / "taker.deposits.json").write_text(json.dumps({"tx_hashes": ["0x" + "ab" * 32]}))
    options = ("--market=ETH-USDC", f"--rpc-url={devnet.rpc_url}", "--fund=USDC=1000")
    taker = start("taker", devnet, wallet, *options)
    taker.wait_for("work", lambda: "taker takes in" in taker.log)
    assert wallet.balances()["USDC"] == 1_000
    assert taker.stop() == 0


def test_an_asset_that_there_is_not_is_told_in_a_line(
    exchange_devnet: Devnet, exchange_wallet: WalletMaker, start: Start
) -> None:
    rpc = f"--rpc-url={exchange_devnet.rpc_url}"
    taker = start("taker", exchange_devnet, exchange_wallet(), "--market=ETH-USDC", rpc, "--fund=DOGE=5")
    assert taker.process.wait(PATIENCE_S) == 1
    assert "there is no asset DOGE" in taker.log
    assert "Traceback" not in taker.log
