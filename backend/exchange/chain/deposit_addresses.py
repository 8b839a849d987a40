"""The deposit addresses' language: what their functions take and answer, and what their logs say. Pure.

Each account has a deposit address of its own, known before it has code. What arrives there is not credited
before a sweep brings it into the vault: the vault's own numbered deposit, whose `sender` is the deposit
address, is what counts, and a Swept only explains it.
Source: contracts/src/interfaces/IDepositAddresses.sol.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from eth_abi.abi import encode

from exchange.chain.errors import RpcAnswerInvalid
from exchange.chain.rpc import Log
from exchange.chain.vault import decode_word, decode_words, event_topic, log_fields, selector

SET_MINIMUM_TYPE = "setMinimum(address,uint256)"
SET_MINIMUM = selector(SET_MINIMUM_TYPE)
MINIMUM_OF = selector("minimumOf(address)")
ADDRESS_OF = selector("addressOf(address)")
BALANCES = selector("balances(address[],address[])")
SWEEP = selector("sweep(address,address)")
SWEEP_BATCH = selector("sweepBatch((address,address)[])")

SWEPT = event_topic("Swept(address,address,uint256,uint256)")
SWEEP_SKIPPED = event_topic("SweepSkipped(address,address)")


@dataclass(frozen=True, slots=True)
class Swept:
    """A `Swept` log. `amount_atoms` left the deposit address; what was credited is in deposit `number`."""

    account: str
    token: str
    amount_atoms: int
    number: int


@dataclass(frozen=True, slots=True)
class SweepSkipped:
    """A `SweepSkipped` log: an item of a batch that could not be swept, for whatever reason."""

    account: str
    token: str


def address_of_call(account: str) -> bytes:
    """Calldata of `addressOf`: the deposit address of an account."""
    return ADDRESS_OF + encode(["address"], [account])


def minimum_of_call(token: str) -> bytes:
    """Calldata of `minimumOf`: the least amount that is swept of a token, 0 when it is not listed."""
    return MINIMUM_OF + encode(["address"], [token])


def balances_call(accounts: Sequence[str], tokens: Sequence[str]) -> bytes:
    """Calldata of `balances`: what lies at the accounts' deposit addresses, in each of the tokens."""
    return BALANCES + encode(["address[]", "address[]"], [list(accounts), list(tokens)])


def sweep_call(account: str, token: str) -> bytes:
    """Calldata of `sweep`, which reverts when there is too little."""
    return SWEEP + encode(["address", "address"], [account, token])


def sweep_batch_call(sweeps: Sequence[tuple[str, str]]) -> bytes:
    """Calldata of `sweepBatch` over (account, token) pairs, which leaves out what can not be swept."""
    return SWEEP_BATCH + encode(["(address,address)[]"], [list(sweeps)])


def decode_address(answer: bytes) -> str:
    """The answer to `addressOf`. Raises RpcAnswerInvalid."""
    word = decode_word(answer)
    if word == 0 or word >= 2**160:
        raise RpcAnswerInvalid("eth_call", f"{word:#x} is no address")
    return f"0x{word:040x}"


def decode_balances(answer: bytes, account_count: int, token_count: int) -> list[list[int]]:
    """The answer to `balances`: per account a list of atoms, one for each token. Raises RpcAnswerInvalid."""
    offset, length, *atoms = decode_words(answer, 2 + account_count * token_count)
    if offset != 32 or length != len(atoms):
        raise RpcAnswerInvalid("eth_call", f"a list of {length} words at {offset} where {len(atoms)} are due")
    return [atoms[index * token_count : (index + 1) * token_count] for index in range(account_count)]


def decode_sweep(log: Log) -> Swept | SweepSkipped | None:
    """A sweep's log, None for any other. Raises LogInvalid."""
    kind = log.topics[0] if log.topics else ""
    if kind == SWEPT:
        (account, token, number), (amount_atoms,) = log_fields(
            log, kind, ["address", "address", "uint256"], ["uint256"]
        )
        return Swept(account, token, amount_atoms, number)
    if kind == SWEEP_SKIPPED:
        (account, token), () = log_fields(log, kind, ["address", "address"], [])
        return SweepSkipped(account, token)
    return None
