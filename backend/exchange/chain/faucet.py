"""Test funds on a development chain: native coins of a development account, and tokens made out of nothing.

It works by what development nodes alone can do (send for an account whose key they hold, mine when told to),
and makes sure of the chain's id each time, so on any other chain it gives nothing.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from exchange.chain.dev_keys import DEV_CHAIN_ID, FAUCET_KEY, dev_address, refuse_dev_key
from exchange.chain.errors import GiftFailed
from exchange.chain.rpc import Rpc, together
from exchange.chain.token_calls import balance_of, mint
from exchange.core.markets import NATIVE_TOKEN

WAIT_S = 10.0
"""Between two gifts to the same owner."""
MAX_OWNERS = 10_000
"""How many are remembered for that; the one longest ago is forgotten."""

_SUPPLY_WEI = 10_000 * 10**18
_GAS_WEI = 10**18
_MINED_S = 5.0


@dataclass(frozen=True, slots=True)
class Gift:
    """So much of a token (or the native coin) for a wallet that has less."""

    symbol: str
    token: str
    amount_atoms: int


@dataclass(frozen=True, slots=True)
class Given:
    """A gift that was mined."""

    gift: Gift
    tx_hash: str


class TooSoon(Exception):
    """The owner was given something a moment ago."""

    def __init__(self, wait_s: int) -> None:
        self.wait_s = wait_s
        super().__init__(f"again in {wait_s} s")


class Faucet:
    """Raises DevKeyRefused when it is made for any chain but the development one."""

    def __init__(self, rpc: Rpc, chain_id: int) -> None:
        self._address = dev_address(FAUCET_KEY)
        refuse_dev_key(self._address, chain_id)
        self._rpc = rpc
        self._given_at_s: OrderedDict[str, float] = OrderedDict()
        self._sending = asyncio.Lock()

    async def give(self, owner: str, gifts: Sequence[Gift]) -> list[Given]:
        """What the owner's wallet had less of, and now has more of; none: it has plenty of everything.

        Raises TooSoon, GiftFailed and the other errors of the chain.
        """
        self._begin(owner)
        given: list[Given] = []
        try:
            await self._rpc.check_chain(DEV_CHAIN_ID)
            async with self._sending:
                held = await together(*(self._held(owner, gift.token) for gift in gifts))
                lacking = [gift for gift, atoms in zip(gifts, held, strict=True) if atoms < gift.amount_atoms]
                for gift in lacking:
                    given.append(Given(gift, await self._send(owner, gift)))  # noqa: PERF401
            if given:
                await self._rpc.call("anvil_mine", "0x1", "0x0")  # rather than wait for the next block
                await together(*(self._mined(one) for one in given))
        finally:
            if not given:
                self._given_at_s.pop(owner, None)
        return given

    def _begin(self, owner: str) -> None:
        now_s = time.monotonic()
        before_s = self._given_at_s.get(owner)
        if before_s is not None and now_s < before_s + WAIT_S:
            raise TooSoon(max(1, round(before_s + WAIT_S - now_s)))
        self._given_at_s[owner] = now_s
        self._given_at_s.move_to_end(owner)
        if len(self._given_at_s) > MAX_OWNERS:
            self._given_at_s.popitem(last=False)

    async def _held(self, owner: str, token: str) -> int:
        if token == NATIVE_TOKEN:
            return await self._rpc.balance(owner)
        return int.from_bytes(await self._rpc.view(token, balance_of(owner)))

    async def _send(self, owner: str, gift: Gift) -> str:
        """Its hash. The node counts the nonces."""
        needed_wei = _GAS_WEI + (gift.amount_atoms if gift.token == NATIVE_TOKEN else 0)
        if await self._rpc.balance(self._address) < needed_wei:
            await self._rpc.call("anvil_setBalance", self._address, hex(needed_wei + _SUPPLY_WEI))
        transaction = {"from": self._address}
        if gift.token == NATIVE_TOKEN:
            transaction |= {"to": owner, "value": hex(gift.amount_atoms)}
        else:
            transaction |= {"to": gift.token, "data": "0x" + mint(owner, gift.amount_atoms).hex()}
        tx_hash: str = await self._rpc.call("eth_sendTransaction", transaction)
        return tx_hash

    async def _mined(self, given: Given) -> None:
        try:
            async with asyncio.timeout(_MINED_S):
                while (receipt := await self._rpc.receipt(given.tx_hash)) is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise GiftFailed(given.gift.symbol, given.tx_hash, "not mined") from None
        if not receipt.succeeded:
            raise GiftFailed(given.gift.symbol, given.tx_hash, "reverted")
