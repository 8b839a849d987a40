"""Our encoding of the list of balance roots against the contract itself."""

import pytest

from exchange.chain.balance_roots import (
    BLOCK_TOO_OLD,
    COUNT_CALL,
    LATEST_CALL,
    PublishedRoot,
    decode_root,
    publish_call,
    root_at_call,
)
from exchange.chain.deployment import MAX_ROOT_AGE_BLOCKS
from exchange.chain.dev_keys import KEY_COUNT, PUBLISHER_KEY, dev_address
from exchange.chain.errors import RpcAnswerInvalid, RpcError
from exchange.chain.vault import decode_word


async def test_the_publishers_roots_can_be_read_again_in_their_order(rpc, deployment, wallet):
    publisher, roots = wallet(PUBLISHER_KEY), deployment.balance_roots
    published = []
    for root, seq in ((b"\x01" * 32, 10), (b"\x02" * 32, 2**64 - 1)):
        block = (await rpc.head()).number
        await publisher.send(roots, publish_call(root, seq, block))
        published.append(PublishedRoot(root, seq, block, (await rpc.head()).time_s))
    assert decode_word(await rpc.view(roots, COUNT_CALL)) == 2
    assert [decode_root(await rpc.view(roots, root_at_call(index))) for index in (0, 1)] == published
    assert decode_root(await rpc.view(roots, LATEST_CALL)) == published[1]


async def test_a_block_that_is_too_old_is_refused_and_named(rpc, deployment):
    head = MAX_ROOT_AGE_BLOCKS + 1_000
    call = {"from": dev_address(PUBLISHER_KEY), "to": deployment.balance_roots}

    async def publish(block: int) -> None:
        """As if the chain had grown to `head`."""
        data = "0x" + publish_call(b"\x01" * 32, 1, block).hex()
        await rpc.call("eth_call", call | {"data": data}, "latest", {}, {"number": hex(head)})

    oldest = head - MAX_ROOT_AGE_BLOCKS
    await publish(oldest)
    with pytest.raises(RpcError) as caught:
        await publish(oldest - 1)
    assert caught.value.data == "0x" + (BLOCK_TOO_OLD + (oldest - 1).to_bytes(32) + oldest.to_bytes(32)).hex()


async def test_nobody_but_the_publisher_publishes(rpc, deployment):
    call = {"to": deployment.balance_roots, "data": "0x" + publish_call(b"\x01" * 32, 1, 1).hex()}
    await rpc.call("eth_call", call | {"from": dev_address(PUBLISHER_KEY)}, "latest")
    for index in set(range(KEY_COUNT)) - {PUBLISHER_KEY}:
        with pytest.raises(RpcError, match="revert"):
            await rpc.call("eth_call", call | {"from": dev_address(index)}, "latest")


def test_a_root_of_the_wrong_shape_is_refused():
    with pytest.raises(RpcAnswerInvalid):
        decode_root(bytes(96))
