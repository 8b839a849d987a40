"""What the chain and the journal say, read without the exchange's own decoders.

Logs are taken apart here word by word, so that an error in `exchange.chain.vault` can not hide itself.
Source: contracts/src/interfaces/IVault.sol, the contract ABI.
"""

from dataclasses import dataclass
from typing import Any

import asyncpg
import msgspec
from eth_hash.auto import keccak

from exchange.chain.rpc import Rpc

ZERO_ADDRESS = "0x" + "00" * 20


def _topic(event: str) -> str:
    return "0x" + keccak(event.encode()).hex()


_DEPOSITED = _topic("Deposited(uint256,address,address,uint256,address,bytes32)")
_PAID = _topic("Paid(bytes32,address,address,uint256,address)")
_CLAIMABLE = _topic("PaymentClaimable(bytes32,address,address,uint256,address)")


@dataclass(frozen=True, slots=True)
class Deposited:
    """A deposit of the vault. Addresses are lower-case 0x text."""

    number: int
    owner: str
    token: str
    amount_atoms: int


@dataclass(frozen=True, slots=True)
class DepositLog:
    """Where the chain has a deposit, and with which rolling hash."""

    deposit: Deposited
    rolled: str
    block_number: int
    tx_hash: str


@dataclass(frozen=True, slots=True)
class PaymentLog:
    """A use of a withdrawal's id: money sent, or (`claimable`) set aside for the owner."""

    withdrawal_id: str
    owner: str
    token: str
    amount_atoms: int
    destination: str
    claimable: bool
    tx_hash: str


@dataclass(frozen=True, slots=True)
class JournaledEvent:
    """An event as the journal has it: its name and its fields in order."""

    seq: int
    name: str
    fields: tuple[Any, ...]


async def deposit_logs(rpc: Rpc, vault: str, first_block: int = 0) -> list[DepositLog]:
    """All deposits on the chain from a block on, in its order."""
    return [
        DepositLog(
            Deposited(int(topics[1], 16), _address(topics[2]), _address(topics[3]), int(words[0], 16)),
            "0x" + words[2],
            int(entry["blockNumber"], 16),
            entry["transactionHash"],
        )
        for entry, topics, words in await _logs(rpc, vault, _DEPOSITED, first_block)
    ]


async def payment_logs(rpc: Rpc, vault: str, first_block: int = 0) -> list[PaymentLog]:
    """All uses of withdrawal ids on the chain from a block on."""
    return [
        PaymentLog(
            topics[1].lower(),
            _address(topics[2]),
            _address(topics[3]),
            int(words[0], 16),
            _address(words[1]),
            topic == _CLAIMABLE,
            entry["transactionHash"],
        )
        for topic in (_PAID, _CLAIMABLE)
        for entry, topics, words in await _logs(rpc, vault, topic, first_block)
    ]


async def holding(rpc: Rpc, token: str, holder: str) -> int:
    """Atoms of a token, or of the chain's coin (token zero), that an address holds."""
    if token == ZERO_ADDRESS:
        return int(await rpc.call("eth_getBalance", holder, "latest"), 16)
    return await word(rpc, token, "balanceOf(address)", holder)


async def accounted(rpc: Rpc, vault: str, token: str) -> int:
    """What the vault says it holds for accounts."""
    return await word(rpc, vault, "accounted(address)", token)


async def word(rpc: Rpc, contract: str, function: str, address: str) -> int:
    """A contract's answer of one number to a question about one address."""
    data = "0x" + keccak(function.encode())[:4].hex() + "00" * 12 + address[2:]
    answer = await rpc.call("eth_call", {"to": contract, "data": data}, "latest")
    assert len(answer) == 2 + 64
    return int(answer, 16)


async def journaled(connection: asyncpg.Connection | asyncpg.Pool, after_seq: int) -> list[JournaledEvent]:
    """All events of the journal after a seq, in order."""
    rows = await connection.fetch(
        "SELECT seq_first, events FROM journal WHERE seq_last > $1 ORDER BY seq_first", after_seq
    )
    return [
        JournaledEvent(seq, name, tuple(fields))
        for row in rows
        for seq, events in enumerate(msgspec.json.decode(row["events"]), row["seq_first"])
        if seq > after_seq
        for name, *fields in events
    ]


def credited(events: list[JournaledEvent], vault: str) -> list[Deposited]:
    """What was credited from a vault, in the journal's order."""
    found = []
    for event in events:
        if event.name == "DepositCredited":
            _, _, amount_atoms, _, credited_vault, number, owner, token, *_ = event.fields
            if credited_vault == vault:
                found.append(Deposited(number, owner, token, amount_atoms))
    return found


async def _logs(
    rpc: Rpc, vault: str, topic: str, first_block: int
) -> list[tuple[dict[str, Any], list[str], list[str]]]:
    """Logs with their topics and the words of their data."""
    query = {"address": vault, "topics": [topic], "fromBlock": hex(first_block), "toBlock": "latest"}
    found = await rpc.call("eth_getLogs", query)
    found.sort(key=lambda entry: (int(entry["blockNumber"], 16), int(entry["logIndex"], 16)))
    result = []
    for entry in found:
        data = entry["data"][2:]
        words = [data[start : start + 64] for start in range(0, len(data), 64)]
        result.append((entry, entry["topics"], words))
    return result


def _address(text: str) -> str:
    """The address in the low bytes of a word."""
    return "0x" + text[-40:].lower()
