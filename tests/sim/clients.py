"""Traders: they deposit on the chain, send random commands, and send them again when no answer comes."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from tests.sim import workload
from tests.sim.keys import OF_THE_KEY, SharedKey, refused_for
from tests.sim.oracle import require
from tests.sim.world import TOKENS, Unreachable

from exchange.core.commands import Command, OpenAccount, PlaceOrder, RevokeAgent, SetMarketState, UseNonce
from exchange.core.events import AccountKnown, AccountOpened, OrderAccepted, OrderKnown, Rejected
from exchange.core.rejects import RejectReason
from exchange.core.words import MarketState
from exchange.sequencer.sequencer import EngineStopped, Outcome, Overloaded

if TYPE_CHECKING:
    from tests.sim.world import World

CALL_TIMEOUT_S = 5.0
NO_ANSWER = (Unreachable, Overloaded, OSError, TimeoutError, EngineStopped)

_KINDS = {
    "place": 50, "batch": 8, "amend": 8, "cancel": 14, "deposit": 6, "transfer": 3, "withdraw": 5, "again": 4,
    "account": 1, "nonsense": 2, "approve": 2, "revoke": 1, "replay": 4,
}  # fmt: skip


def owner_of(number: int) -> str:
    """The wallet of a client."""
    return f"0x{0xC11E47 + number:040x}"


class Client:
    """One trader with an account, and nothing but the answers it got to go by.

    About every second request is signed with a key that another client has too; without one none is.
    """

    def __init__(self, world: "World", number: int, key: SharedKey | None) -> None:
        self.world = world
        self.number = number
        self.owner = owner_of(number)
        self.account_ids: list[int] = []
        self._key = key
        self._random = world.random
        self._names = 0
        self._orders: dict[int, list[int]] = {}
        """The newest order ids of each account."""
        self._old: list[PlaceOrder] = []

    async def trade(self, commands: int) -> None:
        """Opens the account, funds it, and sends so many commands."""
        random, world = self._random, self.world
        for token in TOKENS.values():
            world.chain.deposit(self.owner, token, random.choice((50, 2_000, 10**9)))
        while not await self._open(0):
            pass
        await self._approve()
        sent = 0
        while sent < commands:
            await asyncio.sleep(random.expovariate(2.0))
            burst = 1 if random.random() < 0.7 else random.randint(2, 8)
            sent += burst
            if burst == 1:
                await self._act()
            else:
                async with asyncio.TaskGroup() as group:
                    for _ in range(burst):
                        group.create_task(self._act())

    async def _open(self, sub_account: int) -> bool:
        outcomes = await self._send([OpenAccount(self.owner, sub_account)], for_s=60)
        if outcomes is None:
            return False
        event = outcomes[0].events[0]
        assert isinstance(event, AccountOpened | AccountKnown)
        if event.account_id not in self.account_ids:
            self.account_ids.append(event.account_id)
        return True

    async def _act(self) -> None:
        random, now_ns = self._random, self.world.loop.now_ns()
        account_id = random.choice(self.account_ids)
        orders = self._orders.get(account_id, [])
        match random.choices(tuple(_KINDS), tuple(_KINDS.values()))[0]:
            case "batch":
                await self._batch(account_id)
            case "amend" if orders:
                await self._send([workload.an_amendment(random, account_id, random.choice(orders), now_ns)])
            case "cancel":
                names = self._names_of(account_id)
                command = workload.a_cancellation(random, account_id, orders, names, now_ns)
                await self._send([command], for_s=5)
            case "deposit":
                token = TOKENS[random.choice(sorted(TOKENS))] if random.random() < 0.95 else "0x" + "dd" * 20
                self.world.chain.deposit(self.owner, token, random.choice((1, 30, 700, 10**6)))
            case "transfer":
                await self._send([workload.a_transfer(random, account_id, now_ns, self._name())], for_s=20)
            case "withdraw":
                name = self._name()
                digest = "0x" + name.encode().hex().rjust(64, "0")
                await self._send(
                    [workload.a_withdrawal(random, account_id, now_ns, digest, self._names)], for_s=20
                )
            case "again" if self._old:
                await self._again()
            case "account":
                await self._open(random.choice((0, 1, 2)))
            case "approve":
                await self._approve()
            case "revoke":
                await self._revoke()
            case "replay" if self._key is not None and self._key.sent:
                await self._replay(self._key)
            case "nonsense":
                await self._send([workload.nonsense(random, self.account_ids)])
            case _:
                await self._place([self._new_order(account_id)])

    def _name(self) -> str:
        self._names += 1
        return f"c{self.number}-{self._names}"

    # ---- orders

    def _new_order(self, account_id: int) -> PlaceOrder:
        name = self._name() if self._random.random() < 0.8 else None
        order = workload.an_order(self._random, account_id, self.world.loop.now_ns(), name)
        if name is not None:
            self._old.append(order)
            del self._old[:-30]
        return order

    def _names_of(self, account_id: int) -> list[str]:
        """Ids of orders of late, taken or not, answered or not: the client's own."""
        orders = [order for order in self._old if order.account_id == account_id]
        return [order.client_order_id for order in orders if order.client_order_id is not None]

    async def _batch(self, account_id: int) -> None:
        random, now_ns = self._random, self.world.loop.now_ns()
        orders = self._orders.get(account_id, [])
        commands: list[Command] = [self._new_order(account_id) for _ in range(random.randint(1, 6))]
        if orders:
            commands.append(workload.an_amendment(random, account_id, random.choice(orders), now_ns))
            names = self._names_of(account_id)
            commands.append(workload.a_cancellation(random, account_id, orders, names, now_ns))
            random.shuffle(commands)
        await self._place(commands)

    async def _place(self, commands: Sequence[Command]) -> None:
        """Sends them until they have expired, if all of them may come twice."""
        named = all(not isinstance(one, PlaceOrder) or one.client_order_id is not None for one in commands)
        outcomes = await self._send(commands, for_s=workload.LIFE_S if named else 0)
        for command, outcome in zip(commands, outcomes or (), strict=False):
            if isinstance(command, PlaceOrder):
                self._learn(command, outcome)

    def _learn(self, command: PlaceOrder, outcome: Outcome) -> None:
        """What the answer says must agree with what is known to have become of the order before."""
        first, oracle = outcome.events[0], self.world.oracle
        if isinstance(first, OrderAccepted):
            orders = self._orders.setdefault(command.account_id, [])
            orders.append(first.order_id)
            del orders[:-20]
        accepted = oracle.accepted.get((command.account_id, command.client_order_id or ""))
        if accepted is None or accepted == outcome.seq or accepted > outcome.seq:
            return
        original = oracle.done[accepted].command
        assert isinstance(original, PlaceOrder)
        if isinstance(first, OrderKnown):
            require(
                first.order_id == accepted,
                "an order sent again is the order it was",
                command,
                first,
                accepted,
            )
        elif msgspec.structs.replace(original, expires_ns=command.expires_ns) == command:
            assert isinstance(first, Rejected)
            require(
                first.reason is RejectReason.REQUEST_EXPIRED, "an order sent again is known", command, first
            )
        else:
            require(isinstance(first, Rejected), "one name is one order", command, first)

    async def _again(self) -> None:
        """An old request comes once more, perhaps long after; or with another content."""
        self.world.faults.note("resent_late")
        command = self._random.choice(self._old)
        if self._random.random() < 0.2:
            command = msgspec.structs.replace(command, size_lots=command.size_lots + 1)
        await self._place([command])

    # ---- keys

    async def _approve(self) -> None:
        if self._key is not None:
            approval = self._key.approval(self._random, self.world.loop.now_ns())
            await self._send([approval], for_s=20, signing=False)

    async def _revoke(self) -> None:
        """The key, and goes on with another one; the other client as well."""
        if self._key is not None:
            command = RevokeAgent(self._key.owner, self._key.key)
            self._key.renew()
            await self._send([command], for_s=20, signing=False)
            await self._approve()

    async def _replay(self, key: SharedKey) -> None:
        """A signed request comes again, exactly so: this client's or the other's, answered or not."""
        self.world.faults.note("replayed")
        commands, nonce = self._random.choice(key.sent)
        with contextlib.suppress(*NO_ANSWER):
            await self.world.call(commands, CALL_TIMEOUT_S, nonce)

    def _sign(self, commands: Sequence[Command]) -> UseNonce | None:
        key = self._key
        return None if key is None else key.sign(self._random, self.world.loop.now_ns(), commands)

    # ---- sending

    async def _send(
        self, commands: Sequence[Command], for_s: float = 0, *, signing: bool = True
    ) -> list[Outcome] | None:
        """Sends them, and again for a while when no answer comes; None when nobody knows what became of
        it.
        """
        world, random = self.world, self._random
        until_s = world.loop.time() + for_s
        pause_s = 0.1
        nonce = self._sign(commands) if signing and random.random() < 0.5 else None
        while True:
            with contextlib.suppress(*NO_ANSWER):
                outcomes = await world.call(commands, CALL_TIMEOUT_S, nonce)
                refused = None if nonce is None else refused_for(outcomes[0])
                if refused is None:
                    return outcomes
                if refused in OF_THE_KEY:
                    nonce = await self._without_key(nonce)
                else:  # by the time, or because the request before it was taken: this one is not the same
                    nonce = self._sign(commands)
            if nonce is not None and random.random() < 0.3:
                nonce = self._sign(commands)
            await asyncio.sleep(pause_s * (0.5 + random.random()))
            pause_s = min(2 * pause_s, 2.0)
            if world.loop.time() >= until_s:
                return None

    async def _without_key(self, nonce: UseNonce) -> None:
        """The key was refused: it is not approved yet, or it is over and the next one is."""
        assert self._key is not None
        if nonce.key == self._key.key and self._random.random() < 0.5:
            self._key.renew()
        await self._approve()


class Operator(Client):
    """Changes states, fees, bands and limits, and opens the market again."""

    async def operate(self, clients: Sequence[Client]) -> None:
        """Until cancelled."""
        random = self._random
        owners = [client.owner for client in clients]
        while True:
            await asyncio.sleep(random.expovariate(1 / 8))
            account_ids = [account_id for client in clients for account_id in client.account_ids] or [1]
            command = workload.an_operation(random, owners, account_ids)
            await self._send([command])
            if isinstance(command, SetMarketState):
                await asyncio.sleep(random.random() * 3)
                await self._send([SetMarketState(1, MarketState.OPEN)], for_s=10)
