"""Plays the exchange's main job, wallet to wallet, against a devnet of its own, through the public API only.

Two new wallets sign in, deposit, trade with a partial fill and a price improvement, see the server killed and
come back, trade on, and withdraw everything; at the end the wallets, the vault and the ledger must agree to
the atom. The last line is `demo: ok ...`; anything else ends with a non-zero exit.

    python scripts/demo.py [--keep]        --keep leaves the devnet's folder for a look afterwards
"""

import argparse
import asyncio
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import httpx
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount
from web3 import Web3
from web3.types import TxReceipt

NATIVE = "0x" + "00" * 20
START_TIMEOUT_S = 120
STEP_TIMEOUT_S = 60
MARKET = "ETH-USDC"
BURST_MARKET = "WBTC-USDC"

VAULT_ABI: list[dict[str, Any]] = json.loads(
    """[
    {"type":"function","name":"depositNative","stateMutability":"payable","outputs":[{"type":"uint256"}],
     "inputs":[{"name":"account","type":"address"}]},
    {"type":"function","name":"deposit","stateMutability":"nonpayable","outputs":[{"type":"uint256"}],
     "inputs":[{"name":"account","type":"address"},{"name":"token","type":"address"},{"name":"amount","type":"uint256"}]},
    {"type":"function","name":"accounted","stateMutability":"view","outputs":[{"type":"uint256"}],
     "inputs":[{"name":"token","type":"address"}]}
    ]"""
)
TOKEN_ABI: list[dict[str, Any]] = json.loads(
    """[
    {"type":"function","name":"mint","stateMutability":"nonpayable","outputs":[],
     "inputs":[{"name":"to","type":"address"},{"name":"amount","type":"uint256"}]},
    {"type":"function","name":"approve","stateMutability":"nonpayable","outputs":[{"type":"bool"}],
     "inputs":[{"name":"spender","type":"address"},{"name":"amount","type":"uint256"}]},
    {"type":"function","name":"balanceOf","stateMutability":"view","outputs":[{"type":"uint256"}],
     "inputs":[{"name":"account","type":"address"}]}
    ]"""
)


class DemoFailed(Exception):
    """Something is not as it must be."""


def check(condition: bool, what: str) -> None:
    """Raises DemoFailed unless the condition holds."""
    if not condition:
        raise DemoFailed(what)


def say(text: str) -> None:
    """One line of the transcript."""
    print(f"  {text}", flush=True)


def title(text: str) -> None:
    """Opens an act."""
    print(f"\n{text}", flush=True)


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Devnet:
    """The server under test: one `exchange devnet` process, restarted on the same folder and ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.rpc_port = free_port(), free_port()
        self.url = f"http://localhost:{self.port}"
        self.rpc_url = f"http://localhost:{self.rpc_port}"
        self.log_path = folder / "devnet.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the process and waits until it is ready."""
        command = [str(Path(sys.executable).with_name("exchange")), "devnet", "--no-bots"]
        command += [
            "--port",
            str(self.port),
            "--rpc-port",
            str(self.rpc_port),
            "--data-dir",
            str(self.folder / "data"),
        ]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise DemoFailed(f"the devnet ended with {self._process.returncode}:\n{self._log_tail()}")
            try:
                if httpx.get(f"{self.url}/v1/health/ready", timeout=2).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise DemoFailed(f"the devnet was not ready after {START_TIMEOUT_S} s:\n{self._log_tail()}")

    def kill(self) -> None:
        """SIGKILL, no goodbye."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """Ctrl-C, and the exit code."""
        if self._process is None or self._process.poll() is not None:
            return 0
        self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise DemoFailed("the devnet did not stop within 60 s of Ctrl-C") from None

    def _log_tail(self) -> str:
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-40:])


@dataclass
class Wallet:
    """A person: a new key, a session, and what came to and went from the key on chain, in atoms."""

    name: str
    key: LocalAccount
    http: httpx.Client
    gas_atoms: int = 0
    received: dict[str, int] = field(default_factory=dict)
    deposited: dict[str, int] = field(default_factory=dict)
    withdrawn: dict[str, int] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return str(self.key.address)

    def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """One API request; anything but success is a failure of the demo."""
        response = self.http.request(method, path, **options)
        check(response.is_success, f"{method} {path} answered {response.status_code}: {response.text}")
        answer: dict[str, Any] = response.json()
        return answer

    def sign_in(self) -> None:
        """Sign-In-With-Ethereum: the server's text, signed by the wallet, for a bearer token."""
        issued = self.call("POST", "/v1/auth/nonce", json={"address": self.address})
        signature = self.key.sign_message(encode_defunct(text=issued["message"])).signature
        login = self.call(
            "POST",
            "/v1/auth/login",
            json={
                "message": issued["message"],
                "signature": "0x" + bytes(signature).hex(),
                "pre_login_token": issued["pre_login_token"],
            },
        )
        self.http.headers["Authorization"] = f"Bearer {login['token']}"
        say(f"{self.name} {self.address} signed in as account {login['account_id']}")

    def order(self, side: str, price: str, size: str) -> dict[str, Any]:
        body = {
            "market": MARKET,
            "side": side,
            "type": "limit",
            "time_in_force": "gtc",
            "price": price,
            "size": size,
        }
        body["client_order_id"] = secrets.token_hex(8)
        answer = self.call("POST", "/v1/orders", json=body)
        order = answer["order"]
        say(
            f"{self.name} {side}s {size} ETH at {price}: order {order['order_id']} is {order['status']}, "
            f"seq {answer['seq']}"
        )
        for fill in answer["fills"]:
            say(f"    filled {fill['size']} at {fill['price']}, fee {fill['fee']} {fill['fee_asset']}")
        return answer

    def items(self, path: str) -> list[dict[str, Any]]:
        """Every item of a paginated listing."""
        found: list[dict[str, Any]] = []
        cursor = None
        while True:
            page = self.call("GET", path, params={"cursor": cursor} if cursor else {})
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return found


class Demo:
    """The play, act by act. Amounts are atoms unless they come from the API as decimals."""

    def __init__(self, devnet: Devnet) -> None:
        self.devnet = devnet
        self.orders_per_s = 0
        self.deposits = 0
        self.withdrawals = 0

    def meet(self) -> None:
        """Reads what the deployment says of itself."""
        with httpx.Client(base_url=self.devnet.url, timeout=10) as http:
            self.deployment = http.get("/v1/deployment").raise_for_status().json()
            self.assets = {a["symbol"]: a for a in http.get("/v1/assets").raise_for_status().json()["items"]}
            markets = http.get("/v1/markets").raise_for_status().json()["items"]
        self.web3 = Web3(Web3.HTTPProvider(self.devnet.rpc_url))
        check(self.web3.eth.chain_id == self.deployment["chain_id"], "wrong chain id")
        self.vault = self.web3.eth.contract(self.deployment["vault"], abi=VAULT_ABI)
        say(f"vault {self.deployment['vault']} on chain {self.deployment['chain_id']}")
        for market in markets:
            say(f"market {market['symbol']}: tick {market['tick']}, lot {market['lot']}")

    def atoms(self, amount: str, asset: str) -> int:
        return int(Decimal(amount).scaleb(self.assets[asset]["decimals"]))

    def token(self, asset: str) -> Any:
        return self.web3.eth.contract(Web3.to_checksum_address(self.assets[asset]["token"]), abi=TOKEN_ABI)

    def on_chain(self, address: str, asset: str) -> int:
        """An address's own balance on chain."""
        if self.assets[asset]["token"] == NATIVE:
            return int(self.web3.eth.get_balance(Web3.to_checksum_address(address)))
        return int(self.token(asset).functions.balanceOf(Web3.to_checksum_address(address)).call())

    def new_wallet(self, name: str) -> Wallet:
        """A new key with 10 ETH from a development account."""
        wallet = Wallet(name, Account.create(), httpx.Client(base_url=self.devnet.url, timeout=30))
        faucet = self.web3.eth.accounts[0]
        wallet.received["ETH"] = Web3.to_wei(10, "ether")
        transfer = {"from": faucet, "to": wallet.address, "value": wallet.received["ETH"]}
        self.web3.eth.wait_for_transaction_receipt(
            self.web3.eth.send_transaction(transfer), timeout=STEP_TIMEOUT_S
        )
        wallet.sign_in()
        return wallet

    def send(self, wallet: Wallet, call: Any, what: str, value: int = 0) -> TxReceipt:
        """Signs and sends a contract call from the wallet, waits for it, and keeps count of the gas."""
        unsigned = call.build_transaction(
            {
                "from": wallet.address,
                "value": value,
                "nonce": self.web3.eth.get_transaction_count(wallet.key.address),
                "chainId": self.deployment["chain_id"],
            }
        )
        raw = wallet.key.sign_transaction(unsigned).raw_transaction
        receipt = self.web3.eth.wait_for_transaction_receipt(
            self.web3.eth.send_raw_transaction(raw), timeout=STEP_TIMEOUT_S
        )
        check(receipt["status"] == 1, f"{what} failed on chain")
        wallet.gas_atoms += receipt["gasUsed"] * receipt["effectiveGasPrice"]
        say(f"{wallet.name} {what}: tx 0x{receipt['transactionHash'].hex().removeprefix('0x')}")
        return receipt

    def deposit(self, wallet: Wallet, asset: str, amount: str) -> None:
        """Puts an amount into the vault and waits until it is credited."""
        atoms = self.atoms(amount, asset)
        wallet.deposited[asset] = atoms
        if self.assets[asset]["token"] == NATIVE:
            call = self.vault.functions.depositNative(wallet.address)
            self.send(wallet, call, f"deposits {atoms} {asset} atoms", value=atoms)
        else:
            token = self.token(asset)
            wallet.received[asset] = atoms
            self.send(wallet, token.functions.mint(wallet.address, atoms), f"mints {atoms} {asset} atoms")
            self.send(wallet, token.functions.approve(self.vault.address, atoms), "approves the vault")
            call = self.vault.functions.deposit(wallet.address, token.address, atoms)
            self.send(wallet, call, f"deposits {atoms} {asset} atoms")
        self.deposits += 1
        seen = ""
        deadline = time.monotonic() + STEP_TIMEOUT_S
        while time.monotonic() < deadline:
            for item in wallet.call("GET", "/v1/deposits")["items"]:
                count = f"{item['confirmations']} of {item['required_confirmations']} confirmations"
                state = f"{item['status']}, {count}"
                if state != seen:
                    say(f"    {item['amount']} {item['asset']} {state}")
                    seen = state
                if item["status"] == "credited":
                    return
            time.sleep(0.2)
        raise DemoFailed(f"the deposit of {wallet.name} was not credited in {STEP_TIMEOUT_S} s")

    def balances(self, wallet: Wallet) -> dict[str, tuple[int, int]]:
        """(available, held) atoms by asset, as the API tells them."""
        listed = wallet.call("GET", "/v1/balances")["items"]
        return {
            b["asset"]: (self.atoms(b["available"], b["asset"]), self.atoms(b["held"], b["asset"]))
            for b in listed
        }

    async def burst(self, wallet: Wallet, count: int = 900, connections: int = 16) -> None:
        """A short burst of post-only orders, one request each, for information; all cancelled again."""
        body = {"market": BURST_MARKET, "side": "buy", "type": "limit", "time_in_force": "post_only"}
        # aiohttp, because httpx takes longer for a request than the exchange for an order
        async with aiohttp.ClientSession(self.devnet.url, headers=dict(wallet.http.headers)) as http:

            async def one_connection(first: int) -> None:
                for number in range(first, count, connections):
                    order = {**body, "size": "0.001", "price": f"{100 + number % 100}.0"}
                    async with http.post("/v1/orders", json=order) as answer:
                        check(answer.status == 201, f"a burst order was answered with {await answer.text()}")

            started = time.perf_counter()
            async with asyncio.TaskGroup() as group:
                for first in range(connections):
                    group.create_task(one_connection(first))
            self.orders_per_s = round(count / (time.perf_counter() - started))
        left = wallet.call("DELETE", "/v1/orders", params={"market": BURST_MARKET})
        check(left["count"] == count, f"cancelled {left['count']} of {count}")
        say(f"{count} orders over {connections} connections: {self.orders_per_s} orders/s with this client")

    def withdraw(self, wallet: Wallet, asset: str, atoms: int) -> str:
        """Signs a withdrawal of everything there is to the wallet itself, and hands it in."""
        deadline = int(time.time()) + 3_600
        nonce = secrets.randbits(63)
        message = {
            "account": wallet.address,
            "subAccount": 0,
            "token": self.assets[asset]["token"],
            "amount": atoms,
            "maxFee": 0,
            "destination": wallet.address,
            "nonce": nonce,
            "deadline": deadline,
        }
        typed = self.deployment["withdrawal_typed_data"]
        signed = wallet.key.sign_typed_data(
            typed["domain"], {"Withdrawal": typed["types"]["Withdrawal"]}, message
        )
        answer = wallet.call(
            "POST",
            "/v1/withdrawals",
            json={
                "asset": asset,
                "amount": format(Decimal(atoms).scaleb(-self.assets[asset]["decimals"]), "f"),
                "max_fee": "0",
                "destination": wallet.address,
                "nonce": str(nonce),
                "deadline_s": deadline,
                "signature": "0x" + bytes(signed.signature).hex(),
            },
        )
        withdrawal_id: str = answer["withdrawal"]["withdrawal_id"]
        check(
            withdrawal_id == "0x" + bytes(signed.message_hash).hex(),
            "the id is not the digest that was signed",
        )
        say(f"{wallet.name} withdraws {atoms} {asset} atoms: {withdrawal_id}")
        self.withdrawals += 1
        return withdrawal_id

    def settled(self, wallet: Wallet, withdrawal_id: str) -> None:
        """Waits until a withdrawal is settled on chain."""
        seen: list[str] = []
        deadline = time.monotonic() + STEP_TIMEOUT_S
        while time.monotonic() < deadline:
            item = wallet.call("GET", f"/v1/withdrawals/{withdrawal_id}")["withdrawal"]
            if item["status"] not in seen:
                seen.append(item["status"])
            if item["status"] == "settled":
                say(f"    {item['asset']} for {wallet.name}: {' -> '.join(seen)}, tx {item['tx_hash']}")
                return
            time.sleep(0.1)
        raise DemoFailed(f"withdrawal {withdrawal_id} is {seen[-1]} after {STEP_TIMEOUT_S} s")

    def play(self) -> str:
        """The whole play; returns the figures of the last line."""
        started = time.monotonic()
        title("1. A devnet starts")
        self.devnet.start()
        self.meet()
        title("2. Two new wallets sign in with Sign-In-With-Ethereum")
        alice, bob = self.new_wallet("alice"), self.new_wallet("bob")
        title("3. They deposit into the vault")
        self.deposit(alice, "ETH", "3")
        self.deposit(bob, "USDC", "10000")
        title("4. They trade: a partial fill at a better price, and a rest in the book")
        resting_id = self.trade(alice, bob)
        title("5. A short burst of orders, for information")
        asyncio.run(self.burst(bob))
        title("6. The server is killed with SIGKILL and started again")
        self.kill_and_return(alice, bob, resting_id)
        title("7. Both withdraw everything")
        self.withdraw_everything(alice, bob)
        title("8. Wallets, vault and ledger agree to the atom")
        fees, trades = self.agree(alice, bob)
        check(self.devnet.stop() == 0, "the devnet did not stop cleanly")
        return (
            f"deposits={self.deposits} trades={trades} withdrawals={self.withdrawals} "
            f"fees_usdc_atoms={fees} difference_atoms=0 burst_orders_per_s={self.orders_per_s} "
            f"seconds={time.monotonic() - started:.1f}"
        )

    def trade(self, alice: Wallet, bob: Wallet) -> str:
        """Bob takes all of alice's offer below his limit; the id of what is left of his order."""
        alice.order("sell", "2000.00", "1")
        answer = bob.order("buy", "2010.00", "1.5")
        check(answer["order"]["remaining"] == "0.5", f"remaining {answer['order']['remaining']}, not 0.5")
        check([f["price"] for f in answer["fills"]] == ["2000"], "the fill is not at the maker's price")
        improvement = self.atoms("2010", "USDC") - self.atoms("2000", "USDC")
        say(f"    price improvement {improvement} USDC atoms, back in bob's balance at once")
        available, held = self.balances(bob)["USDC"]
        fee = sum(self.atoms(f["fee"], "USDC") for f in answer["fills"])
        rest = self.atoms("1005", "USDC")
        expected = self.atoms("8000", "USDC") - fee
        check(available + held == expected, f"bob has {available + held} USDC atoms, not {expected}")
        check(held >= rest, f"bob's rest of {rest} atoms is not covered by {held} held")
        say(f"    bob holds {held} USDC atoms for the rest and its fee, {available} are available")
        resting_id: str = answer["order"]["order_id"]
        return resting_id

    def kill_and_return(self, alice: Wallet, bob: Wallet, resting_id: str) -> None:
        """SIGKILL; after the restart nothing is missing, and the resting order fills."""
        before = self.balances(alice), self.balances(bob)
        self.devnet.kill()
        say("killed")
        started = time.monotonic()
        self.devnet.start()
        say(f"ready again after {time.monotonic() - started:.1f} s")
        check((self.balances(alice), self.balances(bob)) == before, "balances differ after the restart")
        order = bob.call("GET", f"/v1/orders/{resting_id}")["order"]
        check((order["status"], order["remaining"]) == ("open", "0.5"), f"the resting order is {order}")
        say(f"order {resting_id} is still open, for {order['remaining']} ETH")
        answer = alice.order("sell", "2005.00", "0.5")
        check(
            [f["price"] for f in answer["fills"]] == ["2010"], "the resting order did not fill at its price"
        )
        order = bob.call("GET", f"/v1/orders/{resting_id}", params={"min_seq": answer["seq"]})["order"]
        check(order["status"] == "filled", f"the resting order is {order}")
        say(f"order {resting_id} is filled")

    def withdraw_everything(self, alice: Wallet, bob: Wallet) -> None:
        """Both take out all they have, and wait until it is settled on chain."""
        pending: list[tuple[Wallet, str]] = []
        for wallet in (alice, bob):
            for asset, (available, held) in self.balances(wallet).items():
                check(held == 0, f"{wallet.name} still holds {held} {asset} atoms for orders")
                if available:
                    wallet.withdrawn[asset] = available
                    pending.append((wallet, self.withdraw(wallet, asset, available)))
        for wallet, withdrawal_id in pending:
            self.settled(wallet, withdrawal_id)

    def agree(self, alice: Wallet, bob: Wallet) -> tuple[int, int]:
        """Compares chain, vault and ledger; returns the fees in the vault (USDC atoms) and the trades."""
        fills = [fill for wallet in (alice, bob) for fill in wallet.items("/v1/fills")]
        check({fill["fee_asset"] for fill in fills} == {"USDC"}, "a fee is not in quote")
        fees = sum(self.atoms(fill["fee"], "USDC") for fill in fills)
        for wallet in (alice, bob):
            self.agree_with_wallet(wallet)
        for asset in self.assets:
            token = Web3.to_checksum_address(self.assets[asset]["token"])
            accounted = int(self.vault.functions.accounted(token).call())
            held = self.on_chain(self.vault.address, asset)
            due = fees if asset == "USDC" else 0
            check(accounted == held == due, f"vault: {accounted} {asset} accounted, {held} held, {due} due")
            say(f"vault: {held} {asset} atoms held = accounted = due (fees)")
        return fees, len({fill["trade_id"] for fill in fills})

    def agree_with_wallet(self, wallet: Wallet) -> None:
        """The ledger's entries sum to zero, and the wallet has on chain what it must have."""
        check(all(b == (0, 0) for b in self.balances(wallet).values()), f"{wallet.name} has a balance left")
        ledger = dict.fromkeys(self.assets, 0)
        for entry in wallet.items("/v1/ledger"):
            for change in (entry["available_change"], entry["held_change"]):
                ledger[entry["asset"]] += self.atoms(change, entry["asset"])
        check(set(ledger.values()) == {0}, f"{wallet.name}'s ledger entries sum to {ledger}")
        for asset in self.assets:
            spent = wallet.deposited.get(asset, 0) + (wallet.gas_atoms if asset == "ETH" else 0)
            expected = wallet.received.get(asset, 0) - spent + wallet.withdrawn.get(asset, 0)
            found = self.on_chain(wallet.address, asset)
            check(found == expected, f"{wallet.name} has {found} {asset} atoms on chain, not {expected}")
            say(f"{wallet.name}: {found} {asset} atoms in the wallet, 0 in the ledger")


def main() -> int:
    """Runs the play in a temporary folder and cleans up behind it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keep", action="store_true", help="keep the devnet's folder")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="exchange-demo-"))
    devnet = Devnet(folder)
    figures = ""
    try:
        figures = Demo(devnet).play()
    except* (DemoFailed, httpx.HTTPError, aiohttp.ClientError) as failures:
        print(f"\ndemo: FAILED: {failures.exceptions[0]}", file=sys.stderr)
    finally:
        devnet.stop()
        if options.keep:
            print(f"\nkept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if not figures:
        return 1
    print(f"\ndemo: ok {figures}")
    return 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
