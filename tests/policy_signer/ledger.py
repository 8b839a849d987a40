"""A real ledger for the signer to read: sequencer and journal, users with funds, signed requests."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import msgspec
from eth_typing import Hash32
from tests.sequencer.engine import Running, running

from exchange.chain.dev_keys import DEV_CHAIN_ID, dev_account, dev_address
from exchange.chain.payment_orders import OwnerRequest, PaymentOrder, owner_request
from exchange.chain.remote_signer import signing_request
from exchange.chain.vault import Payment
from exchange.core.commands import (
    Command,
    CreditDeposit,
    ListAsset,
    OpenAccount,
    RequestWithdrawal,
)
from exchange.core.events import Event, WithdrawalRequested
from exchange.core.markets import NATIVE_TOKEN
from exchange.gateway.typed_data import TypedDataDomain, WithdrawalMessage
from exchange.journal.log import JournalLog
from exchange.journal.rows import READ_ROWS, encode_payload, row_hash
from exchange.journal.tail import Tail
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.sequencer import Outcome

VAULT = "0x" + "e5" * 20
USDC = "0x" + "c0" * 20
DESTINATION = "0x" + "d1" * 20
FEE_ATOMS = 5
FUNDS_ATOMS = 1_000_000
ALICE, BOB, CAROL = 0, 1, 2


@dataclass
class Ledger:
    """A running exchange without a chain. Its users are development keys by number."""

    engine: Running
    database_url: str
    pool: asyncpg.Pool
    vault: str
    domain: TypedDataDomain
    nonce: int = 0

    @property
    def committed(self) -> CommittedView:
        return self.engine.sequencer.committed

    @property
    def now_s(self) -> int:
        return self.committed.time_ns // 10**9

    async def submit(self, command: Command) -> Outcome:
        return await self.engine.sequencer.submit(command)

    def account_id(self, user: int, sub_account: int = 0) -> int:
        account_id = self.committed.account_id(dev_address(user), sub_account)
        assert account_id is not None
        return account_id

    def message(self, user: int = ALICE, amount_atoms: int = 1_000, **fields: Any) -> WithdrawalMessage:
        """A message that this user could sign now."""
        self.nonce += 1
        message = WithdrawalMessage(
            account=dev_address(user),
            sub_account=0,
            token=NATIVE_TOKEN,
            amount_atoms=amount_atoms,
            max_fee_atoms=10,
            destination=DESTINATION,
            nonce=self.nonce,
            deadline_s=self.now_s + 3_600,
        )
        return replace(message, **fields)

    def command(
        self, message: WithdrawalMessage, *, signer: int = ALICE, domain: TypedDataDomain | None = None
    ) -> RequestWithdrawal:
        """The request of a message that a user has signed."""
        digest = (domain or self.domain).digest(message)
        [asset] = [asset for asset in self.committed.assets.values() if asset.token == message.token]
        account_id = self.committed.account_id(message.account, message.sub_account)
        assert account_id is not None
        return RequestWithdrawal(
            withdrawal_id=f"0x{digest.hex()}",
            account_id=account_id,
            asset_id=asset.asset_id,
            amount_atoms=message.amount_atoms,
            max_fee_atoms=message.max_fee_atoms,
            destination=message.destination,
            nonce=message.nonce,
            deadline_s=message.deadline_s,
            signature=sign(digest, signer),
        )

    async def requested(
        self, message: WithdrawalMessage | None = None, *, signer: int = ALICE
    ) -> PaymentOrder:
        """A withdrawal that was requested, amid other commands of its row, and the order to pay it."""
        command = self.command(message or self.message(), signer=signer)
        other = OpenAccount(dev_address(BOB))
        outcomes = await self.engine.sequencer.submit_batch([other, command, other])
        return await self.order(outcomes[1])

    async def order(self, outcome: Outcome) -> PaymentOrder:
        """The order that a worker makes of a taken request."""
        [event] = outcome.events
        assert isinstance(event, WithdrawalRequested), event
        request = await owner_request(
            Tail(self.pool), self.committed.sub_account, outcome.seq, event.withdrawal_id
        )
        return order_of(request, event.fee_atoms)


def claimed(message: WithdrawalMessage, command: RequestWithdrawal, seq: int) -> PaymentOrder:
    """An order for a signed message of which somebody says that it is journaled at `seq`."""
    request = OwnerRequest(
        command.withdrawal_id,
        message.account,
        message.sub_account,
        message.token,
        message.amount_atoms,
        message.max_fee_atoms,
        message.destination,
        message.nonce,
        message.deadline_s,
        command.signature,
        seq,
    )
    return order_of(request, FEE_ATOMS)


def taken(command: RequestWithdrawal, message: WithdrawalMessage, **changes: Any) -> WithdrawalRequested:
    """The event that the core makes of a request, with some of it replaced."""
    fields: dict[str, Any] = {
        "withdrawal_id": command.withdrawal_id,
        "account_id": command.account_id,
        "asset_id": command.asset_id,
        "amount_atoms": message.amount_atoms,
        "fee_atoms": FEE_ATOMS,
        "destination": message.destination,
        "nonce": message.nonce,
        "deadline_s": message.deadline_s,
        "owner": message.account,
        "chain_id": DEV_CHAIN_ID,
        "vault": VAULT,
        "token": message.token,
    }
    return WithdrawalRequested(**fields | changes)


def order_of(request: OwnerRequest, fee_atoms: int) -> PaymentOrder:
    """The payment of a request, less a fee."""
    return PaymentOrder(
        Payment(
            request.withdrawal_id,
            request.owner,
            request.token,
            request.amount_atoms - fee_atoms,
            request.destination,
            request.deadline_s,
        ),
        request,
    )


def sign(digest: bytes, user: int) -> str:
    """What a wallet answers, as hex."""
    return f"0x{bytes(dev_account(user).unsafe_sign_hash(Hash32(digest)).signature).hex()}"


def body_of(order: PaymentOrder, **changes: Any) -> dict[str, Any]:
    """What a client sends for an order, with some of it replaced: message fields by name, or the others."""
    body: dict[str, Any] = msgspec.json.decode(signing_request(order))
    for name, value in changes.items():
        if name in body["withdrawal"]:
            body["withdrawal"][name] = value
        else:
            assert name in body, name
            body[name] = value
    return body


@asynccontextmanager
async def running_ledger(
    database_url: str,
    pool: asyncpg.Pool,
    *,
    vault: str = VAULT,
    usdc: str = USDC,
    funded: bool = True,
) -> AsyncIterator[Ledger]:
    """A new exchange with ETH and USDC, whose users Alice and Bob have deposited if it is `funded`."""
    async with await JournalLog.claim(database_url) as log, running(log) as engine:
        genesis_id = log.head.hash
        ledger = Ledger(
            engine, database_url, pool, vault, TypedDataDomain(f"0x{genesis_id.hex()}", DEV_CHAIN_ID, vault)
        )
        for symbol, token, decimals in (("ETH", NATIVE_TOKEN, 18), ("USDC", usdc, 6)):
            await ledger.submit(
                ListAsset(symbol, decimals, DEV_CHAIN_ID, vault, token, withdrawal_fee_atoms=FEE_ATOMS)
            )
        for user in (ALICE, BOB):
            await ledger.submit(OpenAccount(dev_address(user)))
        if funded:
            deposits = [(user, token) for user in (ALICE, BOB) for token in (NATIVE_TOKEN, usdc)]
            for number, (user, token) in enumerate(deposits, 1):
                await ledger.submit(
                    CreditDeposit(
                        DEV_CHAIN_ID,
                        vault,
                        number,
                        dev_address(user),
                        token,
                        FUNDS_ATOMS,
                        "0x" + "11" * 32,
                        0,
                        number,
                    )
                )
        yield ledger


# ---- what somebody with write access to the database can do ----------------------------------------------


async def append_forged(
    pool: asyncpg.Pool,
    commands: Sequence[Command],
    events: Sequence[Sequence[Event]],
    time_ns: int,
    *,
    left_out: int = 0,
) -> int:
    """A row that no engine has made, with all hashes right; the seq of its first command."""
    head = await pool.fetchrow("SELECT seq_last, hash, epoch FROM journal ORDER BY seq_last DESC LIMIT 1")
    assert head is not None
    first = head["seq_last"] + left_out + 1
    last = first + len(commands) - 1
    payloads = encode_payload(list(commands)), encode_payload([list(some) for some in events])
    digest = row_hash(head["hash"], first, last, head["epoch"], time_ns, 1, *payloads)
    await pool.execute(
        "INSERT INTO journal (seq_first, seq_last, epoch, time_ns, rules_version, commands, events,"
        " hash_prev, hash) VALUES ($1, $2, $3, $4, 1, $5, $6, $7, $8)",
        first,
        last,
        head["epoch"],
        time_ns,
        *payloads,
        head["hash"],
        digest,
    )
    return int(first)


async def rewrite_history(pool: asyncpg.Pool, seq: int) -> None:
    """Another time in the row that holds `seq`, and every hash from there on made to fit again."""
    records = await pool.fetch(READ_ROWS, seq - 1, 1_000)
    hash_prev = records[0]["hash_prev"]
    for index, record in enumerate(records):
        content = {
            name: record[name]
            for name in (
                "seq_first",
                "seq_last",
                "epoch",
                "time_ns",
                "rules_version",
                "commands",
                "events",
            )
        }
        content["time_ns"] += 1 if index == 0 else 0
        digest = row_hash(hash_prev, **content)
        await pool.execute(
            "UPDATE journal SET time_ns = $2, hash_prev = $3, hash = $4 WHERE seq_first = $1",
            record["seq_first"],
            content["time_ns"],
            hash_prev,
            digest,
        )
        hash_prev = digest
