"""Keeps the stored blocks on the branch that the node follows: finds where they part, and rolls back to
there.

The newest stored block (the tip) is compared with the node's block of that number; another hash, or a
successor that names another parent, means a reorganization, and what is stored after the newest block that
both share is forgotten, at whatever depth that lies.

A node may lag, or several may answer in turns (a load balancer), so an answer that only says less than we
know proves nothing: a node that is behind is waited for, a block that it does not have yet is asked for
again. What would take back a deposit that is credited is looked at twice, a while apart, with the chain's
id in between.
"""

import asyncio

import structlog

from exchange.chain.deposit_rows import Block, DepositRows
from exchange.chain.errors import ChainMoved
from exchange.chain.rpc import Header, Rpc

log = structlog.get_logger(__name__)


class Branch:
    """The stored blocks of one vault, beside the node's. `look_again_s` lies between the two looks."""

    def __init__(
        self, rpc: Rpc, rows: DepositRows, *, chain_id: int, deploy_block: int, look_again_s: float
    ) -> None:
        assert deploy_block >= 1
        self._rpc = rpc
        self._rows = rows
        self._chain_id = chain_id
        self._deploy_block = deploy_block
        self._look_again_s = look_again_s

    async def before_deployment(self) -> Block:
        """The block before the first with anything of the vault in it. Raises ChainMoved."""
        header = await self._rpc.header(self._deploy_block - 1)
        if header is None:
            raise ChainMoved(self._deploy_block - 1)
        return Block(header.number, header.hash)

    async def parts_from(self, tip: Block, head: Header) -> bool | None:
        """Whether the node's branch is another than the tip's; None when it is too short to tell."""
        if head.number < tip.number:
            stored = await self._rows.block(head.number)
            return None if stored is None or stored.hash == head.hash else True
        if head.number == tip.number:
            return head.hash != tip.hash
        if head.number == tip.number + 1:
            return head.parent_hash != tip.hash
        return not await self._is_shared(tip)

    async def roll_back(self, tip: Block, head: Header, credited: int) -> Block:
        """Forgets what is stored and not on the node's branch; the new tip. Raises ChainMoved."""
        ancestor = await self._ancestor(tip, head)
        if ancestor == tip:  # the node has changed its mind meanwhile
            return tip
        if await self._rows.has_credited_after(ancestor.number, credited):
            log.warning("credited_deposits_reorganized", ancestor=ancestor.number, looking_again=True)
            await asyncio.sleep(self._look_again_s)
            await self._rpc.check_chain(self._chain_id)
            if await self._ancestor(tip, await self._rpc.head()) != ancestor:
                raise ChainMoved(tip.number)
        result = await self._rows.roll_back(ancestor.number, credited)
        log.warning(
            "chain_reorganized", ancestor=ancestor.number, dropped=result.dropped, displaced=result.displaced
        )
        return ancestor

    async def _ancestor(self, tip: Block, head: Header) -> Block:
        stored = await self._rows.blocks(min(tip.number, head.number))
        low, high = 0, len(stored)  # the first `low` are shared, those from `high` on are not
        while low < high:
            middle = (low + high) // 2
            if await self._is_shared(stored[middle]):
                low = middle + 1
            else:
                high = middle
        return stored[low - 1] if low else await self.before_deployment()

    async def _is_shared(self, block: Block) -> bool:
        header = await self._rpc.header(block.number)
        if header is None:  # it is not beyond the head, so this answer is of a node that is behind
            raise ChainMoved(block.number)
        return header.hash == block.hash
