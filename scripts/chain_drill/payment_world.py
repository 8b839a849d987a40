"""One chain, one database, one vault and its owners, for a number of rounds of withdrawals."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import asyncpg
from eth_abi.abi import encode
from scripts.chain_drill.chain import ARTIFACTS, GWEI, DrillChain
from scripts.chain_drill.compare import Asked, Verdict, compare_deposits, compare_holdings, compare_payments
from scripts.chain_drill.databases import Databases
from scripts.chain_drill.exchange import Engine, custody, open_engine, set_up
from scripts.chain_drill.readings import (
    ZERO_ADDRESS,
    JournaledEvent,
    accounted,
    credited,
    deposit_logs,
    holding,
    journaled,
    payment_logs,
)
from scripts.chain_drill.requests import Owners
from scripts.chain_drill.signing import policy_signer
from scripts.chain_drill.worker import MAX_FEE_WEI, SignerPlace

from exchange.chain.deployment import Deployment, deploy
from exchange.chain.dev_keys import DEV_CHAIN_ID, SENDER_KEY, dev_address
from exchange.chain.finality import Finality
from exchange.chain.halts import Halts
from exchange.chain.vault import selector
from exchange.core.invariants import audit
from exchange.gateway.typed_data import TypedDataDomain
from exchange.journal.recovery import read_genesis_and_head, replay
from exchange.stores.postgres import open_connection, open_pool

MAX_CONFIRMATIONS = 4
OWNERS = range(3)
FEES_ATOMS = {"ETH": 0, "USDC": 250, "WBTC": 7}
DEPOSITS_ATOMS = {"ETH": 50 * 10**18, "USDC": 200_000 * 10**6, "WBTC": 20 * 10**8}
GAS = "0x7a120"
REVERTS = "0x5f5ffd"
"""Code of an address that takes no money: PUSH0 PUSH0 REVERT."""


@dataclass
class PaymentWorld:
    """What a round needs. `asked` are all withdrawals until now, `events` the journal as far as read."""

    chain: DrillChain
    database_url: str
    pool: asyncpg.Pool
    deployment: Deployment
    owners: Owners
    signer: SignerPlace | None
    asked: list[Asked] = field(default_factory=list)
    events: list[JournaledEvent] = field(default_factory=list)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def sender(self) -> str:
        return dev_address(SENDER_KEY)

    @property
    def vault(self) -> str:
        return self.deployment.vault

    async def read_journal(self) -> list[JournaledEvent]:
        """Everything in the journal until now, in `events` too."""
        async with self._reading:
            self.events += await journaled(self.pool, self.events[-1].seq if self.events else 0)
        return self.events

    async def refuse_transfers(self, destination: str) -> None:
        """From now on whatever is sent to this address comes back."""
        await self.chain.call("anvil_setCode", destination, REVERTS)

    async def deposit(self, random: Random) -> None:
        """An owner brings a little more; it is mined with the next block, and may be reorganized away."""
        owner = dev_address(random.choice(OWNERS))
        call = selector("depositNative(address)") + encode(["address"], [owner])
        fee = {"maxFeePerGas": hex(100 * MAX_FEE_WEI), "maxPriorityFeePerGas": hex(GWEI)}
        await send(self.chain, owner, self.vault, call, random.randrange(1, 10**9), **fee)

    # ---- the worker's tables

    async def count(self, query: str, *values: object) -> int:
        """Of a SELECT count(*) in the worker's tables."""
        return int(await self.pool.fetchval(query, *values))

    async def lose_tables(self) -> None:
        """Everything that the worker remembers is gone."""
        await self.pool.execute(
            "TRUNCATE payments, payment_cursors, payment_tries, sent_transactions, sent_attempts CASCADE"
        )

    async def lift_halts(self) -> int:
        """As an operator does who has looked at everything; how many there were."""
        halts = Halts(self.pool)
        lifted = await halts.open()
        for halt in lifted:
            await halts.lift(halt.id, "drill", "books and chain agree again")
        return len(lifted)

    # ---- what must be so

    async def judge(self, newest: list[Asked]) -> Verdict:
        """Chain against journal, withdrawal by withdrawal, and what the destinations of the newest have."""
        await self.read_journal()
        logs = await payment_logs(self.chain.rpc, self.vault)
        verdict = compare_payments(self.asked, logs, self.events)
        destinations = {asked.destination for asked in newest}
        expected: dict[str, int] = {}
        for log in logs:
            if not log.claimable and log.destination in destinations:
                name = f"{log.token} of {log.destination}"
                expected[name] = expected.get(name, 0) + log.amount_atoms
        found = {
            f"{asked.token} of {asked.destination}": await holding(
                self.chain.rpc, asked.token, asked.destination
            )
            for asked in newest
        }
        verdict.add(compare_holdings("paid out", expected, found))
        return verdict

    async def close_books(self) -> Verdict:
        """After the last round: what was deposited meanwhile is credited, and then everything must fit."""
        await self.chain.mine(MAX_CONFIRMATIONS)
        async with open_engine(self.database_url) as engine:
            await custody(engine, self.chain.rpc, self.deployment, Finality(MAX_CONFIRMATIONS)).watcher.poll()
        verdict = await self.judge(self.asked)
        on_chain = [entry.deposit for entry in await deposit_logs(self.chain.rpc, self.vault)]
        verdict.add(compare_deposits(on_chain, credited(self.events, self.vault)))
        verdict.add(await self._audit())
        return verdict

    async def _audit(self) -> Verdict:
        """The journal replayed from its first row, against sums made here; and the vault against both."""
        connection = await open_connection(self.database_url)
        try:
            state = await replay(connection, *await read_genesis_and_head(connection))
        finally:
            await connection.close()
        audit(state)
        refunded = {e.fields[0] for e in self.events if e.name == "WithdrawalRefunded"}
        balances: dict[str, int] = {}
        custody_atoms: dict[str, int] = {}
        for entry in await deposit_logs(self.chain.rpc, self.vault):
            deposit = entry.deposit
            _add(balances, f"{deposit.token} of {deposit.owner}", deposit.amount_atoms)
            _add(custody_atoms, deposit.token, deposit.amount_atoms)
        for asked in self.asked:
            if asked.withdrawal_id not in refunded:
                _add(balances, f"{asked.token} of {asked.owner}", -asked.amount_atoms)
        for log in await payment_logs(self.chain.rpc, self.vault):
            _add(custody_atoms, log.token, -log.amount_atoms)
        tokens = {asset.asset_id: asset.token for asset in state.assets.values() if asset.listed}
        found = {
            f"{tokens[asset_id]} of {account.owner}": balance.available_atoms + balance.held_atoms
            for account in state.accounts.values()
            if account.owner.startswith("0x")
            for asset_id, balance in account.balances.items()
            if asset_id in tokens
        }
        verdict = compare_holdings("account", balances, found)
        vaults = {token: await accounted(self.chain.rpc, self.vault, token) for token in tokens.values()}
        verdict.add(compare_holdings("vault", custody_atoms, vaults))
        return verdict


@contextlib.asynccontextmanager
async def open_world(
    folder: Path, databases: Databases, random: Random, *, policed: bool
) -> AsyncIterator[PaymentWorld]:
    """A new chain with the contracts, and an exchange to which its owners have brought money.

    `policed`: payments are signed by a policy signer, not by the worker itself.
    """
    await asyncio.to_thread(folder.mkdir)
    database_url = await databases.new()
    async with contextlib.AsyncExitStack() as stack:
        chain = await stack.enter_async_context(DrillChain(folder))
        deployment = await deploy(chain.rpc, ARTIFACTS)
        await _bring_money(chain, deployment)
        await chain.stop_automine()
        await chain.mine(MAX_CONFIRMATIONS)
        async with open_engine(database_url) as engine:
            await set_up(engine, deployment, FEES_ATOMS, [dev_address(index) for index in OWNERS])
            await custody(engine, chain.rpc, deployment, Finality(MAX_CONFIRMATIONS)).watcher.poll()
            owners = _owners(engine, deployment, random)
            genesis_id = engine.committed.genesis_id
        pool = await open_pool(database_url, max_size=2)
        stack.callback(pool.terminate)
        signer = None
        if policed:
            tokens = [ZERO_ADDRESS, *(token.address for token in deployment.tokens)]
            signer = await stack.enter_async_context(
                policy_signer(database_url, genesis_id, deployment.vault, tokens, folder)
            )
        world = PaymentWorld(chain, database_url, pool, deployment, owners, signer)
        await world.read_journal()
        yield world


def _owners(engine: Engine, deployment: Deployment, random: Random) -> Owners:
    committed = engine.committed
    domain = TypedDataDomain(committed.genesis_id, DEV_CHAIN_ID, deployment.vault)
    account_ids: dict[int, int] = {}
    for index in OWNERS:
        account_id = committed.account_id(dev_address(index))
        assert account_id is not None
        account_ids[index] = account_id
    assets = {
        symbol: (committed.asset_by_symbol[symbol].asset_id, committed.asset_by_symbol[symbol].token)
        for symbol in FEES_ATOMS
    }
    return Owners(domain, account_ids, assets, FEES_ATOMS, random)


async def _bring_money(chain: DrillChain, deployment: Deployment) -> None:
    """Each owner deposits each asset; a block for each transaction."""
    for index in OWNERS:
        owner = dev_address(index)
        native = selector("depositNative(address)") + encode(["address"], [owner])
        await send(chain, owner, deployment.vault, native, DEPOSITS_ATOMS["ETH"])
        for token in deployment.tokens:
            atoms = DEPOSITS_ATOMS[token.symbol]
            allow = selector("approve(address,uint256)") + encode(
                ["address", "uint256"], [deployment.vault, atoms]
            )
            await send(chain, owner, token.address, allow)
            bring = selector("deposit(address,address,uint256)") + encode(
                ["address", "address", "uint256"], [owner, token.address, atoms]
            )
            await send(chain, owner, deployment.vault, bring)


async def send(chain: DrillChain, sender: str, to: str, data: bytes, value: int = 0, **more: str) -> str:
    """Hands in a transaction of a key that anvil has; its hash."""
    transaction = {"from": sender, "to": to, "data": "0x" + data.hex(), "value": hex(value), "gas": GAS}
    return str(await chain.call("eth_sendTransaction", transaction | more))


def _add(amounts: dict[str, int], name: str, atoms: int) -> None:
    amounts[name] = amounts.get(name, 0) + atoms
