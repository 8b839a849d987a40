"""One chain, one vault and an exchange that watches it through a bad node, for a number of cases."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

from eth_abi.abi import encode
from scripts.chain_drill.branches import Plan, Planned
from scripts.chain_drill.chain import ARTIFACTS, GWEI, SAVED_AFTER_S, DrillChain
from scripts.chain_drill.compare import Verdict, compare_deposits, compare_holdings
from scripts.chain_drill.databases import Databases
from scripts.chain_drill.exchange import Custody, Engine, custody, open_engine, set_up
from scripts.chain_drill.faults import Fault, Injected
from scripts.chain_drill.node import BadNode, Mood
from scripts.chain_drill.readings import (
    ZERO_ADDRESS,
    Deposited,
    DepositLog,
    credited,
    deposit_logs,
    journaled,
)

from exchange.chain.deployment import Deployment, deploy
from exchange.chain.dev_keys import DEV_CHAIN_ID, USER_KEYS, dev_address
from exchange.chain.errors import ChainError
from exchange.chain.finality import Finality
from exchange.chain.vault import selector
from exchange.core.commands import CreditDeposit, SetAccountState
from exchange.core.words import AccountState

FINALIZED_BEHIND = 2
"""How far anvil's finalized block is behind its head."""
LISTED = {"ETH": 0, "USDC": 0}
LOOK_S = 0.005
TWICE = "0x" + "2d" * 20
GAS = "0x7a120"
MUCH_ATOMS = 10**15


class DepositWorld:
    """The parts, as they are at the moment: engine, watcher and node are replaced now and then."""

    def __init__(
        self,
        chain: DrillChain,
        database_url: str,
        deployment: Deployment,
        finality: Finality,
        random: Random,
        injected: Injected,
    ) -> None:
        self.chain = chain
        self.deployment = deployment
        self.finality = finality
        self.random = random
        self.injected = injected
        self.owners = [dev_address(index) for index in USER_KEYS][:4] + [
            "0x" + random.randbytes(20).hex() for _ in range(4)
        ]
        self.trouble: ChainError | None = None
        self._database_url = database_url
        self._tokens = {"ETH": ZERO_ADDRESS} | {token.symbol: token.address for token in deployment.tokens}
        self._engine_stack = contextlib.AsyncExitStack()
        self._engine: Engine | None = None
        self._node: BadNode | None = None
        self._custody: Custody | None = None

    @property
    def confirmations(self) -> int:
        """How many a block needs to count, 1 in the newest block."""
        return self.finality.confirmations or FINALIZED_BEHIND + 1

    @property
    def engine(self) -> Engine:
        assert self._engine is not None
        return self._engine

    @property
    def custody(self) -> Custody:
        assert self._custody is not None
        return self._custody

    @property
    def node(self) -> BadNode:
        assert self._node is not None
        return self._node

    # ---- the exchange

    async def open_engine(self) -> None:
        """Recovers from the journal; what ran before is gone."""
        mood = self._node.mood if self._node is not None else Mood()
        await self._engine_stack.aclose()
        self._engine = await self._engine_stack.enter_async_context(open_engine(self._database_url))
        self._node = await self._engine_stack.enter_async_context(
            BadNode(self.chain.url, self.random, self.injected.note)
        )
        self._node.mood = mood
        self.new_watcher()

    async def close_engine(self) -> None:
        await self._engine_stack.aclose()

    def new_watcher(self) -> None:
        """As after a restart: nothing is known but what is stored."""
        self._custody = custody(self.engine, self.node, self.deployment, self.finality, poll_s=LOOK_S)

    async def look(self) -> bool:
        """One pass of the watcher, perhaps of a new one; whether it had no trouble, else `trouble` has it."""
        draw = self.random.random()
        if draw < 0.05:
            self.injected.note(Fault.ENGINE_RESTARTED)
            await self.open_engine()
        elif draw < 0.18:
            self.injected.note(Fault.WATCHER_RESTARTED)
            self.new_watcher()
        try:
            await self.custody.watcher.poll()
        except ChainError as error:
            self.trouble = error
            return False
        self.trouble = None
        return True

    async def books_agree(self) -> bool:
        """Whether vault and ledger hold the same, at the newest and at the finalized block."""
        try:
            await self.custody.halts.refresh()
            await self.custody.reconciler.poll()
        except ChainError as error:
            self.trouble = error
            return False
        return self.custody.reconciler.agrees and not self.custody.halts.halted

    async def set_free(self) -> None:
        """As operators do who have looked at everything: lifts the halts, unfreezes the accounts."""
        halts = self.custody.halts
        for halt in await halts.open():
            await halts.lift(halt.id, "drill", "the chain has the deposits again")
        await halts.refresh()
        for owner in self.owners:
            for account_id in self.accounts(owner):
                if self.engine.committed.account_state(account_id) is not AccountState.ACTIVE:
                    await self.engine.sequencer.submit(SetAccountState(account_id, AccountState.ACTIVE))

    def is_listed(self, token: str) -> bool:
        return any(self._tokens[symbol] == token for symbol in LISTED)

    def accounts(self, owner: str) -> list[int]:
        return [account_id for _, account_id in self.engine.committed.sub_accounts(owner)]

    # ---- the chain

    async def mine(self, block: tuple[Planned, ...]) -> None:
        """The next block, with these deposits in the order of their fees."""
        for planned in block:
            await self._send(planned)
        await self.chain.mine(1)

    async def mine_all(self, plan: Plan) -> None:
        for block in plan:
            await self.mine(block)

    async def _send(self, planned: Planned) -> None:
        token = self._tokens[planned.symbol]
        if token == ZERO_ADDRESS:
            data = selector("depositNative(address)") + encode(["address"], [planned.owner])
            value = planned.amount_atoms * (2 if planned.doubled else 1)
        else:
            data = selector("deposit(address,address,uint256)") + encode(
                ["address", "address", "uint256"], [planned.owner, token, planned.amount_atoms]
            )
            value = 0
        await self.chain.call(
            "eth_sendTransaction",
            {
                "from": dev_address(planned.sender),
                "to": TWICE if planned.doubled else self.deployment.vault,
                "data": "0x" + data.hex(),
                "value": hex(value),
                "gas": GAS,
                "maxFeePerGas": hex(10 * GWEI),
                "maxPriorityFeePerGas": hex(planned.priority_fee_wei),
            },
        )

    async def restart_chain(self) -> None:
        self.injected.note(Fault.CHAIN_RESTARTED)
        await self.chain.restart()

    async def kill_chain(self, plan: Plan) -> None:
        """The blocks of the plan come, are seen or not, and are lost with the node that had them."""
        await asyncio.sleep(SAVED_AFTER_S)
        for block in plan:
            await self.mine(block)
            await self.look()
        before = (await self.chain.head()).number
        await self.chain.kill()
        if (await self.chain.head()).number < before:
            self.injected.note(Fault.CHAIN_KILLED)

    async def logs(self) -> list[DepositLog]:
        return await deposit_logs(self.chain.rpc, self.deployment.vault)

    async def confirmed(self) -> list[Deposited]:
        """Deposits in blocks that count, by the chain alone."""
        newest = (await self.chain.head()).number - self.confirmations + 1
        return [log.deposit for log in await self.logs() if log.block_number <= newest]

    async def credited(self) -> list[Deposited]:
        """Deposits in the ledger, by the journal alone."""
        return credited(await journaled(self.engine.pool, 0), self.deployment.vault)

    async def credit_out_of_nothing(self) -> None:
        """Sabotage, to test the drill: the next number is credited, and nobody has deposited anything."""
        number = self.engine.committed.last_deposit(DEV_CHAIN_ID, self.deployment.vault) + 1
        await self.engine.sequencer.submit(
            CreditDeposit(
                chain_id=DEV_CHAIN_ID,
                vault=self.deployment.vault,
                number=number,
                owner=self.owners[0],
                token=ZERO_ADDRESS,
                amount_atoms=1,
                tx_hash="0x" + "00" * 32,
                log_index=0,
                block_number=1,
            )
        )

    # ---- what must be so

    async def judge(self) -> Verdict:
        """Chain against journal, and what each owner has against sums made here."""
        on_chain = await self.confirmed()
        verdict = compare_deposits(on_chain, await self.credited())
        committed = self.engine.committed
        symbols = {self._tokens[symbol]: symbol for symbol in LISTED}
        expected: dict[str, int] = {}
        for deposit in on_chain:
            if deposit.token in symbols:
                name = f"{symbols[deposit.token]} of {deposit.owner}"
                expected[name] = expected.get(name, 0) + deposit.amount_atoms
        found: dict[str, int] = {}
        for owner in self.owners:
            for account_id in self.accounts(owner):
                for symbol in LISTED:
                    balance = committed.balance(account_id, committed.asset_by_symbol[symbol].asset_id)
                    found[f"{symbol} of {owner}"] = balance.available_atoms
        verdict.add(compare_holdings("account", expected, found))
        return verdict

    async def open_halts(self) -> list[str]:
        rows = await self.engine.pool.fetch("SELECT kind, detail FROM halts WHERE lifted_ms IS NULL")
        return [f"{row['kind']}: {row['detail']}" for row in rows]


@contextlib.asynccontextmanager
async def open_world(
    folder: Path, databases: Databases, finality: Finality, random: Random, injected: Injected
) -> AsyncIterator[DepositWorld]:
    """A new chain with the contracts and users who may deposit, and a new exchange."""
    await asyncio.to_thread(folder.mkdir)
    database_url = await databases.new()
    async with DrillChain(folder) as chain:
        deployment = await deploy(chain.rpc, ARTIFACTS)
        await _let_deposit(chain, deployment)
        await chain.stop_automine()
        world = DepositWorld(chain, database_url, deployment, finality, random, injected)
        try:
            await world.open_engine()
            await set_up(world.engine, deployment, LISTED, [])
            yield world
        finally:
            await world.close_engine()


async def _let_deposit(chain: DrillChain, deployment: Deployment) -> None:
    """Users and the doubling contract hold tokens that the vault may take."""
    await chain.call("anvil_setBalance", TWICE, hex(10**18))
    await chain.call("anvil_impersonateAccount", TWICE)
    for token in deployment.tokens:
        mint = selector("mint(address,uint256)") + encode(["address", "uint256"], [TWICE, MUCH_ATOMS])
        allow = selector("approve(address,uint256)") + encode(
            ["address", "uint256"], [deployment.vault, MUCH_ATOMS]
        )
        sends = [(dev_address(0), mint), (TWICE, allow)]
        sends += [(dev_address(index), allow) for index in USER_KEYS]
        for sender, data in sends:
            await chain.call(
                "eth_sendTransaction",
                {"from": sender, "to": token.address, "data": "0x" + data.hex(), "gas": GAS},
            )
    await chain.call("anvil_setCode", TWICE, "0x" + twice_code(deployment.vault).hex())


def twice_code(vault: str) -> bytes:
    """A contract that calls the vault twice with its own call data, half the value each; both or neither."""
    call = bytes.fromhex("5f5f365f6002340473" + vault[2:] + "5af1")
    copy = bytes.fromhex("365f5f37")
    check = bytes.fromhex("1615")  # AND ISZERO
    target = len(copy) + 2 * len(call) + len(check) + 4
    ends = bytes([0x60, target, 0x57, 0x00, 0x5B]) + bytes.fromhex("5f5ffd")
    return copy + 2 * call + check + ends
