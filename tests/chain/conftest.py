"""A small exchange around the real core, wallets on the real chain, and a node that fails on demand."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
import pytest_asyncio
from eth_abi.abi import encode

from exchange.chain.allow_list import AllowList
from exchange.chain.deployment import Deployment
from exchange.chain.deposits import DepositWatcher
from exchange.chain.dev_keys import DEV_CHAIN_ID, SENDER_KEY, SIGNER_KEY, dev_address, dev_key
from exchange.chain.devchain import Anvil
from exchange.chain.displacement import DisplacedDeposits
from exchange.chain.finality import Finality
from exchange.chain.halts import only_logged
from exchange.chain.outbox import SendPolicy
from exchange.chain.risk import RiskPolicy, RiskStep
from exchange.chain.rpc import Receipt, Rpc
from exchange.chain.signer import LocalSender, LocalSigner
from exchange.chain.vault import selector
from exchange.chain.withdrawals import WithdrawalPolicy, WithdrawalWorker
from exchange.core.apply import apply
from exchange.core.commands import Command, ListAsset, OpenAccount, RequestWithdrawal
from exchange.core.events import WithdrawalRequested
from exchange.core.invariants import audit
from exchange.core.markets import NATIVE_TOKEN
from exchange.core.state import State
from exchange.journal.rows import JournalRow
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.sequencer import MAX_GROUP, Outcome

GENESIS_ID = "0x" + "ab" * 32
CONFIRMATIONS = 3
ETHER = 10**18
DESTINATION = "0x" + "d0" * 20


class Exchange:
    """The real core and committed view with a journal in memory: stands in for sequencer and tail."""

    def __init__(self) -> None:
        self.state = State()
        self.committed = CommittedView(GENESIS_ID)
        self.rows: list[JournalRow] = []
        self.commands: list[Command] = []
        self._woken = asyncio.Event()

    async def submit(self, command: Command) -> Outcome:
        return (await self.submit_batch([command]))[0]

    async def submit_batch(self, commands: Sequence[Command]) -> list[Outcome]:
        """One row of the journal; no other command comes in between."""
        assert 0 < len(commands) <= MAX_GROUP
        first = self.state.seq + 1
        time_ns = max(time.time_ns(), self.state.time_ns)
        events = [apply(self.state, seq, time_ns, command) for seq, command in enumerate(commands, first)]
        await asyncio.sleep(0)
        last = first + len(commands) - 1
        self.rows.append(JournalRow(first, last, 1, time_ns, 1, list(commands), events, b"", b""))
        self.committed.advance(last, time_ns, events)
        self.commands += commands
        audit(self.state)
        self._woken.set()
        return [Outcome(seq, time_ns, tuple(those)) for seq, those in enumerate(events, first)]

    async def read(self, after_seq: int, max_rows: int = 64) -> list[JournalRow]:
        return [row for row in self.rows if row.seq_last > after_seq][:max_rows]

    async def follow(self, after_seq: int, max_rows: int = 64) -> AsyncIterator[list[JournalRow]]:
        while True:
            self._woken.clear()
            if rows := await self.read(after_seq, max_rows):
                after_seq = rows[-1].seq_last
                yield rows
            else:
                await self._woken.wait()

    def available_atoms(self, owner: str, symbol: str) -> int:
        account_id = self.committed.account_id(owner)
        if account_id is None:
            return 0
        return self.committed.balance(
            account_id, self.committed.asset_by_symbol[symbol].asset_id
        ).available_atoms

    def submitted(self, kind: type[Command]) -> list[Any]:
        return [command for command in self.commands if isinstance(command, kind)]


async def mined(rpc: Rpc, tx_hash: str) -> Receipt:
    """Automining takes a moment: waits for the receipt, which must say success."""
    async with asyncio.timeout(5):
        while (receipt := await rpc.receipt(tx_hash)) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
    assert receipt.succeeded
    return receipt


class Wallet:
    """A development user acting on the chain."""

    def __init__(self, rpc: Rpc, deployment: Deployment, index: int) -> None:
        self.rpc = rpc
        self.vault = deployment.vault
        self.tokens = {token.symbol: token.address for token in deployment.tokens}
        self.address = dev_address(index)

    async def send(self, to: str, data: bytes = b"", value: int = 0, **more: str) -> str:
        transaction = {"from": self.address, "to": to, "data": "0x" + data.hex(), "value": hex(value), **more}
        tx_hash = str(await self.rpc.call("eth_sendTransaction", transaction))
        await mined(self.rpc, tx_hash)
        return tx_hash

    async def deposit_native(self, atoms: int, owner: str | None = None) -> str:
        data = selector("depositNative(address)") + encode(["address"], [owner or self.address])
        return await self.send(self.vault, data, atoms, gas="0x7a120")

    async def approve(self, symbol: str) -> None:
        data = selector("approve(address,uint256)") + bytes(12) + bytes.fromhex(self.vault[2:]) + b"\xff" * 32
        await self.send(self.tokens[symbol], data)

    async def deposit_token(self, symbol: str, atoms: int, owner: str | None = None) -> str:
        arguments = [owner or self.address, self.tokens[symbol], atoms]
        data = selector("deposit(address,address,uint256)") + encode(
            ["address", "address", "uint256"], arguments
        )
        return await self.send(self.vault, data, gas="0x7a120")

    async def token_balance(self, symbol: str) -> int:
        return await token_balance(self.rpc, self.tokens[symbol], self.address)


async def token_balance(rpc: Rpc, token: str, holder: str) -> int:
    data = selector("balanceOf(address)") + bytes(12) + bytes.fromhex(holder[2:])
    return int.from_bytes(await rpc.view(token, data))


class FaultyRpc(Rpc):
    """The real client, with a hook around each request: `before` may raise, `after` may raise or change."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.before: Callable[[str, tuple[Any, ...]], None] = lambda method, params: None
        self.after: Callable[[str, tuple[Any, ...], Any], Any] = lambda method, params, answer: answer

    async def call(self, method: str, *params: Any) -> Any:
        self.before(method, params)
        answer = await super().call(method, *params)
        if method == "eth_sendRawTransaction" and await super().call("anvil_getAutomine"):
            while await super().call("eth_getTransactionReceipt", answer) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.002)
        return self.after(method, params, answer)

    def heal(self) -> None:
        self.before = lambda method, params: None
        self.after = lambda method, params, answer: answer


async def until(
    condition: Callable[[], Awaitable[bool]] | Callable[[], bool], timeout_s: float = 20.0
) -> None:
    """Waits for a condition."""
    async with asyncio.timeout(timeout_s):
        while True:
            result = condition()
            if await result if isinstance(result, Awaitable) else result:
                return
            await asyncio.sleep(0.01)


@pytest.fixture
def eventually() -> Callable[..., Awaitable[None]]:
    return until


@pytest.fixture
def mine(rpc: Rpc) -> Callable[[int], Awaitable[None]]:
    async def mine_blocks(count: int = 1) -> None:
        await rpc.call("anvil_mine", hex(count))

    return mine_blocks


@pytest.fixture
def wallet(rpc: Rpc, deployment: Deployment) -> Callable[[int], Wallet]:
    return lambda index: Wallet(rpc, deployment, index)


@pytest_asyncio.fixture
async def faulty_rpc(anvil: Anvil) -> AsyncIterator[FaultyRpc]:
    async with FaultyRpc(anvil.url) as client:
        yield client


async def open_exchange(deployment: Deployment) -> Exchange:
    """A new exchange: ETH, USDC and WBTC listed, accounts of the first three users open."""
    result = Exchange()
    await result.submit(ListAsset("ETH", 18, DEV_CHAIN_ID, deployment.vault, NATIVE_TOKEN))
    for token in deployment.tokens:
        await result.submit(
            ListAsset(token.symbol, token.decimals, DEV_CHAIN_ID, deployment.vault, token.address)
        )
    for index in range(3):
        await result.submit(OpenAccount(dev_address(index)))
    return result


@pytest_asyncio.fixture
async def exchange(deployment: Deployment) -> Exchange:
    return await open_exchange(deployment)


async def nothing_displaced(displaced: DisplacedDeposits) -> None:
    """For a watcher that must not find anything displaced."""
    raise AssertionError(displaced)


class Clock:
    """Wall clock that can be moved forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Witness:
    """Remembers what a watcher says is displaced, and what it alerts about."""

    def __init__(self) -> None:
        self.displaced: list[DisplacedDeposits] = []
        self.alerts: list[tuple[str, str]] = []

    async def on_displaced(self, displaced: DisplacedDeposits) -> None:
        self.displaced.append(displaced)

    def alert(self, kind: str, detail: str) -> None:
        self.alerts.append((kind, detail))


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture
def watch(faulty_rpc, pool, exchange, deployment, witness) -> Callable[..., DepositWatcher]:
    """Makes a new watcher on the same tables, as a restart does; `confirmations` None: finalized."""

    def make(confirmations: int | None = CONFIRMATIONS, **changes: Any) -> DepositWatcher:
        arguments = {
            "chain_id": DEV_CHAIN_ID,
            "vault": deployment.vault,
            "deploy_block": deployment.deploy_block,
            "finality": Finality(confirmations),
            "on_displaced": witness.on_displaced,
            "alert": witness.alert,
            "poll_s": 0.01,
        } | changes
        return DepositWatcher(faulty_rpc, pool, exchange.submit_batch, exchange.committed, **arguments)

    return make


async def reorganize(
    rpc: Rpc, depth: int, transactions: list[tuple[dict[str, str], int]] | None = None
) -> None:
    """Replaces the last `depth` blocks; the given transactions go into the new block at their index."""
    await rpc.call("anvil_reorg", depth, transactions or [])


@pytest.fixture
async def funded(rpc, pool, exchange, deployment, wallet, mine) -> Any:
    """The exchange, with 10 ETH and 1000 USDC deposited by user 0."""
    alice = wallet(0)
    await alice.approve("USDC")
    await alice.deposit_native(10 * ETHER)
    await alice.deposit_token("USDC", 1_000_000_000)
    await DepositWatcher(
        rpc,
        pool,
        exchange.submit_batch,
        exchange.committed,
        chain_id=DEV_CHAIN_ID,
        vault=deployment.vault,
        deploy_block=deployment.deploy_block,
        finality=Finality(1),
        on_displaced=nothing_displaced,
    ).poll()
    assert exchange.available_atoms(alice.address, "ETH") == 10 * ETHER
    return exchange


@pytest.fixture
def work(faulty_rpc, pool, funded, deployment, clock) -> Callable[..., WithdrawalWorker]:
    """Makes a new worker on the same tables, as a restart does."""

    def make(
        send: SendPolicy | None = None,
        sender_key: int = SENDER_KEY,
        may_sign: Callable[[], bool] = lambda: True,
        risk: RiskPolicy | None = None,
        address_delay_s: int = 0,
        alert: Callable[[str, str], None] = only_logged,
        **policy: Any,
    ) -> WithdrawalWorker:
        return WithdrawalWorker(
            faulty_rpc,
            pool,
            funded.submit,
            funded.committed,
            funded,
            LocalSigner(dev_key(SIGNER_KEY), DEV_CHAIN_ID, deployment.vault),
            LocalSender(dev_key(sender_key), DEV_CHAIN_ID),
            RiskStep(
                pool,
                risk or RiskPolicy(),
                AllowList(pool, address_delay_s),
                lambda asset_id: funded.committed.assets[asset_id].symbol,
                chain_id=DEV_CHAIN_ID,
                vault=deployment.vault,
            ),
            chain_id=DEV_CHAIN_ID,
            vault=deployment.vault,
            deploy_block=deployment.deploy_block,
            policy=WithdrawalPolicy(
                finality=Finality(CONFIRMATIONS),
                **{"retry_s": 0.0} | policy,
                send=send or SendPolicy(rebroadcast_s=0.0),
            ),
            may_sign=may_sign,
            alert=alert,
            poll_s=0.01,
            now=clock,
        )

    return make


@pytest.fixture
def request_withdrawal(funded, rpc) -> Callable[..., Any]:
    count = 0

    async def request(
        atoms: int, symbol: str = "ETH", destination: str = DESTINATION, seconds: int = 3_600
    ) -> WithdrawalRequested:
        nonlocal count
        count += 1
        outcome = await funded.submit(
            RequestWithdrawal(
                withdrawal_id="0x" + count.to_bytes(32).hex(),
                account_id=funded.committed.account_id(dev_address(0)),
                asset_id=funded.committed.asset_by_symbol[symbol].asset_id,
                amount_atoms=atoms,
                max_fee_atoms=0,
                destination=destination,
                nonce=count,
                deadline_s=(await rpc.head()).time_s + seconds,
                signature="0x",
            )
        )
        [event] = outcome.events
        assert isinstance(event, WithdrawalRequested)
        return event

    return request
