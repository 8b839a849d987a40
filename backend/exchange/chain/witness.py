"""A second node, run by somebody else than the first, without whose word nothing is credited or signed.

The first node gives blocks, logs and the vault's answers, and whoever runs it can make all of them up: an
invented log, with a count and a rolling hash of deposits that fit it, and an `accounted` that fits the ledger
afterwards. Two nodes are harder to have lie alike. So the second one is asked, about a block that the first
one named, for that block's hash and for the vault's same answers at it. What differs raises WitnessDisagrees;
while it does not answer, or does not have the block for more than a moment, WitnessSilent: both mean to wait.

It is never asked for logs or transactions, so any node that has the state of the newest blocks will do.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from exchange.chain.deposit_rows import Block, Rolled
from exchange.chain.errors import ChainError, WitnessDisagrees, WitnessSilent
from exchange.chain.rpc import Header, Rpc, together
from exchange.chain.vault import DEPOSIT_COUNT_CALL, DEPOSIT_HASH_CALL, accounted_call

PATIENCE_S = 3.0
"""How long the second node may take to have a block that the first one has."""

LOOK_AGAIN_S = 0.2

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Answer:
    """A view of the vault, the word that it must answer with, and what that is called."""

    call: bytes
    word: bytes
    name: str


class Witness:
    """The second node's word about one vault."""

    def __init__(self, rpc: Rpc, *, chain_id: int, vault: str, patience_s: float = PATIENCE_S) -> None:
        self._rpc = rpc
        self._chain_id = chain_id
        self._vault = vault
        self._patience_s = patience_s

    async def confirm_deposits(self, block: Block, deposits: Rolled) -> None:
        """That the vault has exactly these deposits at a block. Raises WitnessDisagrees, WitnessSilent."""
        await self._confirm(
            block,
            [
                _Answer(DEPOSIT_COUNT_CALL, deposits.number.to_bytes(32), "the number of deposits"),
                _Answer(DEPOSIT_HASH_CALL, deposits.deposit_hash, "the hash of deposits"),
            ],
        )

    async def confirm_accounted(self, block: Block, accounted_atoms: Mapping[str, int]) -> None:
        """That the vault holds this much of each token at a block. Raises WitnessDisagrees, WitnessSilent."""
        await self._confirm(
            block,
            [
                _Answer(accounted_call(token), atoms.to_bytes(32), f"what is accounted of {token}")
                for token, atoms in accounted_atoms.items()
            ],
        )

    async def _confirm(self, block: Block, answers: list[_Answer]) -> None:
        if await _heard(self._rpc.chain_id()) != self._chain_id:
            raise WitnessDisagrees(block.number, "the chain's id")
        if (await self._header(block.number)).hash != block.hash:
            raise WitnessDisagrees(block.number, "the block itself")
        views = [self._rpc.view(self._vault, answer.call, block.hash) for answer in answers]
        words = await _heard(together(*views))
        for answer, word in zip(answers, words, strict=True):
            if word != answer.word:
                raise WitnessDisagrees(block.number, answer.name)

    async def _header(self, number: int) -> Header:
        """It may be a moment behind the first node."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._patience_s
        while (header := await _heard(self._rpc.header(number))) is None:
            if loop.time() >= until_s:
                raise WitnessSilent(f"it has no block {number}")
            await asyncio.sleep(LOOK_AGAIN_S)
        return header


async def _heard(request: Awaitable[T]) -> T:
    try:
        return await request
    except ChainError as error:
        raise WitnessSilent(str(error)) from error
