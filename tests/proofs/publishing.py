"""What tests of the publisher share: its clock, things that happen, and what the chain has of it."""

import time
from collections.abc import Callable

from tests.proofs.venue import Venue

from exchange.chain.balance_roots import COUNT_CALL, publish_call
from exchange.chain.dev_keys import PUBLISHER_KEY, dev_address
from exchange.chain.vault import decode_word
from exchange.core.words import Side
from exchange.proofs.publisher import ProofPublisher

Publish = Callable[..., ProofPublisher]


class Clock:
    """Wall clock that can be moved."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


async def compare(venue: Venue) -> None:
    await venue.credit()
    await venue.reconciler.poll()


async def something_happens(venue: Venue) -> None:
    """A command, in the read tables, and in a comparison at a new finalized block."""
    await venue.order(0, Side.SELL, lots=1)
    await venue.project()
    await venue.mine(1)
    await compare(venue)


async def roots_on_chain(venue: Venue) -> int:
    return decode_word(await venue.rpc.view(venue.deployment.balance_roots, COUNT_CALL))


async def sent(venue: Venue) -> int:
    """Transactions of the publisher's key."""
    return await venue.rpc.transaction_count(dev_address(PUBLISHER_KEY))


async def publish_another(venue: Venue, root: bytes, seq: int, block_number: int = 1) -> None:
    """The publisher's key publishes something by itself."""
    await venue.rpc.call("anvil_impersonateAccount", dev_address(PUBLISHER_KEY))
    wallet = venue.wallet(0)
    wallet.address = dev_address(PUBLISHER_KEY)
    await wallet.send(venue.deployment.balance_roots, publish_call(root, seq, block_number), gas="0x3d090")
