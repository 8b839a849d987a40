"""Finds the transaction that used an id, when none of ours is known to have done it.

Searches the vault's logs from the head backwards, in ranges that the node takes, a bounded number in each
pass over all payments together, and goes on in the next one.
"""

from exchange.chain.errors import RpcError, RpcUnavailable, SearchUnanswered
from exchange.chain.rpc import Header, Rpc
from exchange.chain.vault import payment_topics

SEARCH_BLOCKS = 5_000
SEARCHES_PER_PASS = 16


class PaymentSearch:
    """The searches for one vault's payments."""

    def __init__(self, rpc: Rpc, vault: str, deploy_block: int) -> None:
        self._rpc = rpc
        self._vault = vault
        self._deploy_block = deploy_block
        self._blocks = SEARCH_BLOCKS
        self._searched_down_to: dict[str, int] = {}
        self._left = 0

    def start_pass(self) -> None:
        """As many requests again."""
        self._left = SEARCHES_PER_PASS

    async def transactions(self, withdrawal_id: str, head: Header) -> list[str]:
        """Hashes of transactions that used the id, as far as this pass found any.

        Raises RpcError; SearchUnanswered, when the next pass asks for less.
        """
        topics = payment_topics(withdrawal_id)
        last = self._searched_down_to.pop(withdrawal_id, head.number + 1) - 1
        while self._left > 0:
            if last < self._deploy_block:
                return []  # from the head again: the payment was reorganized in between
            self._left -= 1
            first = max(self._deploy_block, last - self._blocks + 1)
            try:
                found = await self._rpc.logs(self._vault, topics, first, last)
            except RpcUnavailable as error:
                self._blocks = max(1, (last - first + 1) // 2)
                self._searched_down_to[withdrawal_id] = last + 1
                raise SearchUnanswered(withdrawal_id, first, last) from error
            except RpcError:
                if first == last:
                    self._blocks = SEARCH_BLOCKS
                    raise
                self._blocks = (last - first + 1) // 2
                continue
            self._blocks = min(SEARCH_BLOCKS, self._blocks + self._blocks // 8 + 1)
            if found:
                return [entry.tx_hash for entry in found]
            last = first - 1
        self._searched_down_to[withdrawal_id] = last + 1
        return []
